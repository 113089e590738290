package raft

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/raftcore/raftcore/bindings/go/internal/capi"
	pb "go.etcd.io/raft/v3/raftpb"
)

// drive runs the loop of a node's application until the context ends.
func drive(ctx context.Context, n Node, storage *MemoryStorage, applied chan<- string) {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			n.Tick()
		case rd := <-n.Ready():
			_ = storage.Append(rd.Entries)
			if !IsEmptyHardState(rd.HardState) {
				_ = storage.SetHardState(rd.HardState)
			}
			for _, e := range rd.CommittedEntries {
				switch {
				case e.GetType() != pb.EntryNormal:
					n.ApplyConfChange(decoded(e))
				case len(e.Data) > 0 && applied != nil:
					applied <- string(e.Data)
				}
			}
			n.Advance()
		case <-ctx.Done():
			return
		}
	}
}

// single is a running group of one.
func single(t *testing.T) (Node, *MemoryStorage, chan string) {
	t.Helper()
	storage := NewMemoryStorage()
	n := StartNode(testConfig(1, storage), []Peer{{ID: 1}})
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	applied := make(chan string, 10_000)
	done.Go(func() { drive(ctx, n, storage, applied) })
	t.Cleanup(func() {
		cancel()
		done.Wait()
		n.Stop()
	})
	return n, storage, applied
}

func TestNodeCommitsWhatManyPropose(t *testing.T) {
	n, _, applied := single(t)
	var clients sync.WaitGroup
	for client := range 8 {
		clients.Go(func() {
			for i := range 100 {
				if err := n.Propose(t.Context(), fmt.Appendf(nil, "%d/%d", client, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	clients.Wait()
	next := map[string]int{}
	for range 800 {
		client, number, _ := strings.Cut(<-applied, "/")
		if fmt.Sprint(next[client]) != number {
			t.Fatalf("client %s: %s comes after %d", client, number, next[client]-1)
		}
		next[client]++
	}
	if s := n.Status(); s.RaftState != StateLeader || s.GetCommit() < 800 {
		t.Fatal(s)
	}
}

func TestNodeProposesOnlyWithALeader(t *testing.T) {
	n := RestartNode(testConfig(1, NewMemoryStorage()))
	defer n.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := n.Propose(ctx, []byte("x")); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
}

func TestNodeReads(t *testing.T) {
	storage := NewMemoryStorage()
	n := StartNode(testConfig(1, storage), []Peer{{ID: 1}})
	defer n.Stop()
	asked := false
	for range 200 {
		select {
		case rd := <-n.Ready():
			must(t, storage.Append(rd.Entries))
			for _, e := range rd.CommittedEntries {
				if e.GetType() != pb.EntryNormal {
					n.ApplyConfChange(decoded(e))
				}
			}
			n.Advance()
			if len(rd.ReadStates) > 0 {
				if read := rd.ReadStates[0]; string(read.RequestCtx) != "ask" || read.Index == 0 {
					t.Fatalf("%v", read)
				}
				return
			}
		case <-time.After(5 * time.Millisecond):
			if n.Status().RaftState != StateLeader {
				must(t, n.Campaign(t.Context()))
			} else if !asked {
				must(t, n.ReadIndex(t.Context(), []byte("ask")))
				asked = true
			}
		}
	}
	t.Fatal("the read is not answered")
}

func TestNodeTellsWhyAChangeIsReplaced(t *testing.T) {
	n, _, applied := single(t)
	must(t, n.Propose(t.Context(), []byte("there is a leader")))
	<-applied
	leave := &pb.ConfChangeV2{}
	must(t, n.ProposeConfChange(t.Context(), leave))
	outcome, err := n.(Diagnostics).ProposeConfChangeOutcome(t.Context(), leave)
	must(t, err)
	if !outcome.Replaced || outcome.Reason != ReplaceNotJoint || outcome.Index == 0 {
		t.Fatalf("%+v", outcome)
	}
}

// Every method of a stopped node returns at once.
func TestStoppedNode(t *testing.T) {
	stopped := RestartNode(testConfig(1, NewMemoryStorage()))
	stopped.Stop()
	stopped.Stop()
	bad := map[string]Node{
		"stopped":    stopped,
		"no config":  StartNode(nil, []Peer{{ID: 1}}),
		"no peers":   StartNode(testConfig(1, NewMemoryStorage()), nil),
		"no storage": RestartNode(testConfig(1, nil)),
		"nil memory": RestartNode(testConfig(1, (*MemoryStorage)(nil))),
		"no id":      RestartNode(testConfig(0, NewMemoryStorage())),
		"nil":        RestartNode(nil),
	}
	for name, n := range bad {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			n.Tick()
			n.Advance()
			n.ReportUnreachable(2)
			n.ReportSnapshot(2, SnapshotFailure)
			n.TransferLeadership(ctx, 1, 2)
			for call, err := range map[string]error{
				"Campaign": n.Campaign(ctx), "Propose": n.Propose(ctx, nil),
				"ProposeConfChange": n.ProposeConfChange(ctx, &pb.ConfChange{}),
				"Step":              n.Step(ctx, &pb.Message{Type: pb.MsgApp.Enum()}),
				"ForgetLeader":      n.ForgetLeader(ctx), "ReadIndex": n.ReadIndex(ctx, nil),
			} {
				if !errors.Is(err, ErrStopped) {
					t.Errorf("%s: %v", call, err)
				}
			}
			if cs := n.ApplyConfChange(&pb.ConfChange{}); cs != nil {
				t.Error(cs)
			}
			if s := n.Status(); s.ID != 0 {
				t.Error(s)
			}
			if err := n.(Diagnostics).Err(); (err == nil) != (name == "stopped") {
				t.Error(err)
			}
			n.Stop()
		})
	}
}

func TestNodeWithACancelledContext(t *testing.T) {
	n := RestartNode(testConfig(1, NewMemoryStorage()))
	defer n.Stop()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 50 {
		if err := n.Propose(ctx, []byte("x")); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		// Both ways are open: the call may also go through.
		if err := n.Campaign(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
}

func TestNodeWhoseReadiesNobodyReads(t *testing.T) {
	n := StartNode(testConfig(1, NewMemoryStorage()), []Peer{{ID: 1}})
	must(t, n.Campaign(t.Context()))
	for range 1000 {
		n.Tick()
	}
	if n.Status().ID != 1 {
		t.Fatal("the node does not answer")
	}
	n.Stop()
}

func TestNodeIgnoresWhatNoMemberSends(t *testing.T) {
	n := RestartNode(testConfig(1, NewMemoryStorage()))
	defer n.Stop()
	if err := n.Step(t.Context(), nil); !errors.Is(err, ErrNilMessage) {
		t.Error(err)
	}
	for kind := range pb.MessageType(40) {
		m := &pb.Message{Type: &kind, From: ref(uint64(7)), Term: ref(uint64(3))}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		_ = n.Step(ctx, m)
		cancel()
	}
	if n.Status().ID != 1 {
		t.Fatal("the node does not answer")
	}
}

func TestNodeWhoseStorageBreaksStops(t *testing.T) {
	w := &wrapped{MemoryStorage: NewMemoryStorage()}
	broken := make(chan struct{})
	w.entries = func(lo, hi, maxSize uint64) ([]*pb.Entry, error) {
		select {
		case <-broken:
			return []*pb.Entry{entry(lo+100, 1, "lie")}, nil
		default:
			return w.MemoryStorage.Entries(lo, hi, maxSize)
		}
	}
	n := StartNode(testConfig(1, w), []Peer{{ID: 1}})
	defer n.Stop()
	close(broken)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go drive(ctx, n, w.MemoryStorage, nil)
	_ = n.Campaign(t.Context())
	short, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	_ = n.Propose(short, []byte("x"))
	// Whether it needed the storage or not: it answers.
	_ = n.Status()
}

func TestNothingLeaks(t *testing.T) {
	settle := func() (int, int64) {
		for range 20 {
			runtime.GC()
			time.Sleep(5 * time.Millisecond)
		}
		return runtime.NumGoroutine(), capi.Living()
	}
	goroutines, living := settle()
	for i := range 30 {
		storage := NewMemoryStorage()
		n := StartNode(testConfig(1, storage), []Peer{{ID: 1}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			drive(ctx, n, storage, nil)
			close(done)
		}()
		if i%2 == 0 {
			_ = n.Propose(t.Context(), []byte("x"))
		}
		cancel()
		<-done
		n.Stop()
		// Nobody closes these.
		raw, err := NewRawNode(testConfig(1, &wrapped{MemoryStorage: NewMemoryStorage()}))
		must(t, err)
		must(t, raw.Bootstrap([]Peer{{ID: 1}}))
		_ = raw.Ready()
	}
	if g, l := settle(); g > goroutines || l > living {
		t.Errorf("%d goroutines and %d objects of the library; before %d and %d", g, l,
			goroutines, living)
	}
}
