package raft

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	upstream "go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

func entry(index, term uint64, data string) *pb.Entry {
	return &pb.Entry{Index: &index, Term: &term, Data: []byte(data)}
}

func snapshotAt(index, term uint64, voters ...uint64) *pb.Snapshot {
	return &pb.Snapshot{
		Data: fmt.Appendf(nil, "state at %d", index),
		Metadata: &pb.SnapshotMetadata{Index: &index, Term: &term,
			ConfState: &pb.ConfState{Voters: voters}},
	}
}

// memory is what both libraries' MemoryStorage has.
type memory interface {
	Storage
	SetHardState(*pb.HardState) error
	ApplySnapshot(*pb.Snapshot) error
	CreateSnapshot(uint64, *pb.ConfState, []byte) (*pb.Snapshot, error)
	Compact(uint64) error
	Append([]*pb.Entry) error
}

// TestMemoryStorageIsUpstreams plays the same calls on both libraries' storages and compares what
// they answer.
func TestMemoryStorageIsUpstreams(t *testing.T) {
	ours, theirs := memory(NewMemoryStorage()), memory(upstream.NewMemoryStorage())
	same := func(name string, act func(m memory) (string, error)) {
		t.Helper()
		mine, err := act(ours)
		want, wanted := act(theirs)
		if mine != want || !errors.Is(err, wanted) || (err == nil) != (wanted == nil) {
			t.Errorf("%s: %q, %v; upstream %q, %v", name, mine, err, want, wanted)
		}
	}
	look := func() {
		t.Helper()
		for i := range uint64(14) {
			same(fmt.Sprintf("term %d", i), func(m memory) (string, error) {
				term, err := m.Term(i)
				return fmt.Sprint(term), err
			})
		}
		for lo := range uint64(12) {
			for _, size := range []uint64{0, 30, NoLimit} {
				same(fmt.Sprintf("entries from %d", lo), func(m memory) (string, error) {
					last, _ := m.LastIndex()
					if lo > last {
						return "", nil // Upstream panics.
					}
					entries, err := m.Entries(lo, last+1, size)
					return DescribeEntries(entries, nil), err
				})
			}
		}
		same("ends", func(m memory) (string, error) {
			first, _ := m.FirstIndex()
			last, err := m.LastIndex()
			return fmt.Sprint(first, last), err
		})
		same("state", func(m memory) (string, error) {
			hard, conf, err := m.InitialState()
			return DescribeHardState(hard) + DescribeConfState(conf), err
		})
		same("snapshot", func(m memory) (string, error) {
			s, err := m.Snapshot()
			return DescribeSnapshot(s) + string(s.GetData()), err
		})
	}
	act := func(name string, act func(m memory) error) {
		t.Helper()
		same(name, func(m memory) (string, error) { return "", act(m) })
		look()
	}
	look()
	act("append", func(m memory) error {
		return m.Append([]*pb.Entry{entry(1, 1, "a"), entry(2, 1, ""), entry(3, 2, "ccc")})
	})
	act("append nothing", func(m memory) error { return m.Append(nil) })
	act("overwrite", func(m memory) error {
		return m.Append([]*pb.Entry{entry(3, 3, "d"),
			entry(4, 3, "e")})
	})
	act("hard state", func(m memory) error {
		return m.SetHardState(&pb.HardState{Term: ref(uint64(3)), Vote: ref(uint64(2)),
			Commit: ref(uint64(2))})
	})
	act("snapshot", func(m memory) error {
		_, err := m.CreateSnapshot(2, &pb.ConfState{Voters: []uint64{1, 2}}, []byte("x"))
		return err
	})
	act("the same snapshot", func(m memory) error {
		_, err := m.CreateSnapshot(2, nil, []byte("x"))
		return err
	})
	act("compact", func(m memory) error { return m.Compact(2) })
	act("compact again", func(m memory) error { return m.Compact(1) })
	act("append below", func(m memory) error {
		return m.Append([]*pb.Entry{entry(1, 1, "a"), entry(2, 1, ""), entry(3, 3, "d"), entry(4,
			3, "e"), entry(5, 3, "f")})
	})
	act("restore", func(m memory) error { return m.ApplySnapshot(snapshotAt(9, 4, 1, 2, 3)) })
	act("restore older", func(m memory) error { return m.ApplySnapshot(snapshotAt(8, 4, 1)) })
	act("append after", func(m memory) error { return m.Append([]*pb.Entry{entry(10, 4, "g")}) })
}

func TestMemoryStorageAnswersWhereUpstreamPanics(t *testing.T) {
	ms := NewMemoryStorage()
	must(t, ms.Append([]*pb.Entry{entry(1, 1, "a")}))
	if _, err := ms.Entries(1, 5, NoLimit); !errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
	if _, err := ms.CreateSnapshot(7, nil, nil); !errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
	if err := ms.Compact(7); !errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
	for _, bad := range [][]*pb.Entry{{entry(5, 1, "gap")}, {nil}, {entry(2, 1, ""), entry(4, 1,
		"")}} {
		if ms.Append(bad) == nil {
			t.Errorf("%v was appended", bad)
		}
	}
	must(t, ms.SetHardState(nil))
	must(t, new(MemoryStorage).Append([]*pb.Entry{entry(1, 1, "")}))
	var none *MemoryStorage
	if none.Append([]*pb.Entry{entry(1, 1, "")}) == nil || none.Compact(1) == nil {
		t.Error("a nil storage")
	}
	if _, _, err := none.InitialState(); err == nil {
		t.Error("a nil storage")
	}
}

// wrapped is a storage of an application's own: it embeds a MemoryStorage and overrides methods.
type wrapped struct {
	*MemoryStorage
	entries func(lo, hi, maxSize uint64) ([]*pb.Entry, error)
	term    func(i uint64) (uint64, error)
	calls   int
}

func (w *wrapped) Entries(lo, hi, maxSize uint64) ([]*pb.Entry, error) {
	w.calls++
	if w.entries != nil {
		return w.entries(lo, hi, maxSize)
	}
	return w.MemoryStorage.Entries(lo, hi, maxSize)
}

func (w *wrapped) Term(i uint64) (uint64, error) {
	if w.term != nil {
		return w.term(i)
	}
	return w.MemoryStorage.Term(i)
}

// restarted makes a node on a wrapped storage with five committed entries, which the node has to
// read to hand them out.
func restarted(t *testing.T, w *wrapped) *RawNode {
	t.Helper()
	w.MemoryStorage = NewMemoryStorage()
	must(t, w.ApplySnapshot(membership(1, 2)))
	for i := range uint64(5) {
		must(t, w.Append([]*pb.Entry{entry(i+1, 1, fmt.Sprint(i))}))
	}
	must(t, w.SetHardState(&pb.HardState{Term: ref(uint64(1)), Commit: ref(uint64(5))}))
	node, err := NewRawNode(testConfig(1, w))
	must(t, err)
	t.Cleanup(node.Close)
	return node
}

func TestEmbeddedStorageIsCalledBack(t *testing.T) {
	w := &wrapped{}
	rd := restarted(t, w).Ready()
	if w.calls == 0 || len(rd.CommittedEntries) != 5 || string(rd.CommittedEntries[3].Data) != "3" {
		t.Fatalf("%d calls: %s", w.calls, DescribeReady(rd, nil))
	}
}

func TestStorageThatFailsIsContained(t *testing.T) {
	own := errors.New("the disk is on fire")
	for name, entries := range map[string]func(lo, hi, maxSize uint64) ([]*pb.Entry, error){
		"error":   func(_, _, _ uint64) ([]*pb.Entry, error) { return nil, own },
		"panic":   func(_, _, _ uint64) ([]*pb.Entry, error) { panic("no disk") },
		"nothing": func(_, _, _ uint64) ([]*pb.Entry, error) { return nil, nil },
		"wrong place": func(lo, _, _ uint64) ([]*pb.Entry,
			error) {
			return []*pb.Entry{entry(lo+7, 1, "")}, nil
		},
		"too many": func(lo, hi, _ uint64) ([]*pb.Entry, error) {
			var all []*pb.Entry
			for i := range hi - lo + 9 {
				all = append(all, entry(lo+i, 1, ""))
			}
			return all, nil
		},
		"nil entries": func(lo, hi, _ uint64) ([]*pb.Entry, error) {
			return make([]*pb.Entry,
				hi-lo), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := &wrapped{}
			m := restarted(t, w)
			w.entries = entries
			if rd := m.Ready(); len(rd.CommittedEntries) > 0 && name != "too many" {
				t.Errorf("%s", DescribeReady(rd, nil))
			}
			m.Tick()
			_ = m.Status().String()
			m.Close()
		})
	}
}

func TestStorageThatFailsAtStart(t *testing.T) {
	w := &wrapped{MemoryStorage: NewMemoryStorage()}
	must(t, w.Append([]*pb.Entry{entry(1, 1, "")}))
	w.term = func(uint64) (uint64, error) { panic("no disk") }
	if node, err := NewRawNode(testConfig(1, w)); err == nil {
		t.Fatalf("a node was made: %v", node.Status())
	}
}

func TestStorageMayNotCallItsNode(t *testing.T) {
	w := &wrapped{}
	m := restarted(t, w)
	var inner error
	w.entries = func(lo, hi, maxSize uint64) ([]*pb.Entry, error) {
		inner = m.Propose([]byte("from inside"))
		return w.MemoryStorage.Entries(lo, hi, maxSize)
	}
	_ = m.Ready()
	if !errors.Is(inner, ErrReentry) {
		t.Fatal(inner)
	}
}

// slowLogger stays in the first line after it was told to, until it may go on.
type slowLogger struct {
	*DefaultLogger
	isSlow     atomic.Bool
	isIn, goOn chan struct{}
}

func (l *slowLogger) Info(...any)           { l.line() }
func (l *slowLogger) Infof(string, ...any)  { l.line() }
func (l *slowLogger) Debug(...any)          { l.line() }
func (l *slowLogger) Debugf(string, ...any) { l.line() }

func (l *slowLogger) line() {
	if l.isSlow.CompareAndSwap(true, false) {
		close(l.isIn)
		<-l.goOn
	}
}

// Who is not inside the logger waits until it is done.
func TestStorageIsUsedWhileANodeLogs(t *testing.T) {
	log := &slowLogger{
		DefaultLogger: discard, isIn: make(chan struct{}), goOn: make(chan struct{}),
	}
	g := newGroup(t, 2, func(c *Config) { c.Logger = log })
	node := g.members[1]
	must(t, node.Step(appended(1, 0, 0, "a")))
	rd := node.Ready()
	stepped, stored := make(chan error, 1), make(chan error, 1)
	log.isSlow.Store(true)
	go func() { stepped <- node.Step(appended(2, 1, 1, "b")) }()
	<-log.isIn
	go func() { stored <- node.storage.Append(rd.Entries) }()
	select {
	case err := <-stored:
		t.Fatalf("it did not wait: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	close(log.goOn)
	must(t, <-stepped)
	must(t, <-stored)
	node.Advance(rd)
	must(t, node.Err())
}

func TestEntriesAreEqualToUpstreamsBytes(t *testing.T) {
	g := newGroup(t, 1, nil)
	must(t, g.members[1].Campaign())
	g.settle()
	must(t, g.members[1].Propose([]byte("x")))
	rd := g.members[1].Ready()
	for _, e := range rd.Entries {
		want := entry(e.GetIndex(), e.GetTerm(), string(e.Data))
		if len(e.Data) == 0 {
			want.Data = nil
		}
		if !proto.Equal(e, want) {
			t.Errorf("%v, not %v", e, want)
		}
	}
}
