package raft

import (
	"fmt"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"
)

// group is members in one process, driven by hand, without a clock.
type group struct {
	t       testing.TB
	members map[uint64]*member
	inboxes map[uint64][]*pb.Message
}

type member struct {
	*RawNode
	storage *MemoryStorage
	applied []string
}

func newGroup(t testing.TB, size int, change func(*Config)) *group {
	t.Helper()
	g := &group{t: t, members: map[uint64]*member{}, inboxes: map[uint64][]*pb.Message{}}
	var voters []uint64
	for id := uint64(1); id <= uint64(size); id++ {
		voters = append(voters, id)
	}
	for _, id := range voters {
		storage := NewMemoryStorage()
		must(t, storage.ApplySnapshot(membership(voters...)))
		c := testConfig(id, storage)
		if change != nil {
			change(c)
		}
		node, err := NewRawNode(c)
		must(t, err)
		t.Cleanup(node.Close)
		g.members[id] = &member{RawNode: node, storage: storage}
	}
	return g
}

// membership is a snapshot of nothing but a membership.
func membership(voters ...uint64) *pb.Snapshot {
	conf := &pb.ConfState{Voters: voters}
	return &pb.Snapshot{Metadata: &pb.SnapshotMetadata{ConfState: conf}}
}

func testConfig(id uint64, storage Storage) *Config {
	return &Config{
		ID: id, ElectionTick: 10, HeartbeatTick: 1, Storage: storage, Seed: id,
		MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 256, Logger: discard,
	}
}

// settle delivers and handles until nothing is left to do.
func (g *group) settle() {
	g.t.Helper()
	for busy := true; busy; {
		busy = false
		for id := uint64(1); id <= uint64(len(g.members)); id++ {
			m := g.members[id]
			inbox := g.inboxes[id]
			g.inboxes[id] = nil
			for _, message := range inbox {
				must(g.t, m.Step(message))
				busy = true
			}
			for m.HasReady() {
				g.handle(m)
				busy = true
			}
		}
	}
}

func (g *group) handle(m *member) {
	g.t.Helper()
	rd := m.Ready()
	if !IsEmptySnap(rd.Snapshot) {
		must(g.t, m.storage.ApplySnapshot(rd.Snapshot))
	}
	must(g.t, m.storage.Append(rd.Entries))
	if !IsEmptyHardState(rd.HardState) {
		must(g.t, m.storage.SetHardState(rd.HardState))
	}
	for _, message := range rd.Messages {
		g.inboxes[message.GetTo()] = append(g.inboxes[message.GetTo()], message)
	}
	for _, e := range rd.CommittedEntries {
		switch {
		case e.GetType() != pb.EntryNormal:
			m.ApplyConfChange(decoded(e))
		case len(e.Data) > 0:
			m.applied = append(m.applied, string(e.Data))
		}
	}
	m.Advance(rd)
	must(g.t, m.Err())
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestGroupCommitsInOrder(t *testing.T) {
	g := newGroup(t, 3, nil)
	must(t, g.members[1].Campaign())
	g.settle()
	for i := range 50 {
		must(t, g.members[1].Propose(fmt.Appendf(nil, "entry %d", i)))
		if i%7 == 0 {
			g.settle()
		}
	}
	g.settle()
	for id, m := range g.members {
		if len(m.applied) != 50 || m.applied[49] != "entry 49" {
			t.Fatalf("%d applied %q", id, m.applied)
		}
		s := m.Status()
		if s.GetCommit() != 51 || s.Applied != 51 || s.Lead != 1 {
			t.Fatalf("%d: %v", id, s)
		}
	}
	if s := g.members[1].Status(); len(s.Progress) != 3 || s.Progress[2].Match != 51 {
		t.Fatalf("%v", s)
	}
}

// HasReady takes no lock: it may be asked at any time, also while the node is closed and after.
func TestHasReadyIsFalseAfterClose(t *testing.T) {
	g := newGroup(t, 1, nil)
	node := g.members[1].RawNode
	must(t, node.Campaign())
	if !node.HasReady() {
		t.Fatal("a candidate has a vote to store")
	}
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		for node.HasReady() {
		}
	}()
	node.Close()
	<-asked
	if node.HasReady() || len(node.Ready().Messages) > 0 {
		t.Fatal("a closed node has a Ready")
	}
}

// Messages of one Ready share the numbers that are the same. Who changes a message puts a number of
// its own there, as always.
func TestMessagesHaveTheirOwnReceivers(t *testing.T) {
	g := newGroup(t, 3, nil)
	leader := g.members[1]
	must(t, leader.Campaign())
	g.settle()
	must(t, leader.Propose([]byte("x")))
	messages := leader.Ready().Messages
	if len(messages) != 2 || messages[0].To == messages[1].To {
		t.Fatalf("%v", messages)
	}
	var nobody uint64
	messages[0].To, messages[0].From, messages[0].Term = &nobody, &nobody, &nobody
	if messages[1].GetTo() == 0 || messages[1].GetFrom() != 1 || messages[1].GetTerm() == 0 {
		t.Fatalf("%v", messages[1])
	}
}
