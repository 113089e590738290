package raft

import (
	"fmt"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"
)

// etcd drives raft in two ways of its own. In the first a leader sends a Ready's messages before it
// writes the Ready; everybody else after.
func TestLeaderSendsBeforeItWrites(t *testing.T) {
	g := newGroup(t, 3, nil)
	must(t, g.members[1].Campaign())
	g.settle()
	leader := g.members[1]
	for i := range 20 {
		must(t, leader.Propose(fmt.Appendf(nil, "%d", i)))
		rd := leader.Ready()
		for _, m := range rd.Messages {
			g.inboxes[m.GetTo()] = append(g.inboxes[m.GetTo()], m)
		}
		// The followers write and acknowledge, and the leader hears of it, before its own write.
		for _, id := range []uint64{2, 3} {
			for _, m := range g.inboxes[id] {
				must(t, g.members[id].Step(m))
			}
			g.inboxes[id] = nil
			for g.members[id].HasReady() {
				g.handle(g.members[id])
			}
		}
		for _, m := range g.inboxes[1] {
			must(t, leader.Step(m))
		}
		g.inboxes[1] = nil
		if commit := leader.BasicStatus().GetCommit(); commit < uint64(i+1) {
			t.Fatalf("commit %d after proposal %d", commit, i)
		}
		must(t, leader.storage.Append(rd.Entries))
		if !IsEmptyHardState(rd.HardState) {
			must(t, leader.storage.SetHardState(rd.HardState))
		}
		for _, e := range rd.CommittedEntries {
			if len(e.Data) > 0 {
				leader.applied = append(leader.applied, string(e.Data))
			}
		}
		leader.Advance(rd)
		must(t, leader.Err())
		g.settle()
	}
	for id, m := range g.members {
		if len(m.applied) != 20 || m.applied[19] != "19" {
			t.Errorf("%d applied %q", id, m.applied)
		}
	}
}

// In the second a snapshot's message is replaced on its way by one whose data comes from elsewhere,
// and the sender reports how that went.
func TestSnapshotsOutOfBand(t *testing.T) {
	g := newGroup(t, 3, nil)
	leader, late := g.members[1], g.members[3]
	must(t, leader.Campaign())
	g.settle()
	delete(g.members, 3)
	for i := range 10 {
		must(t, leader.Propose(fmt.Appendf(nil, "%d", i)))
		g.settle()
	}
	g.inboxes[3] = nil
	applied := leader.BasicStatus().Applied
	_, err := leader.storage.CreateSnapshot(applied, &pb.ConfState{Voters: []uint64{1, 2, 3}},
		[]byte("small"))
	must(t, err)
	must(t, leader.storage.Compact(applied))
	g.members[3] = late

	nextSnapshot(t, g)
	if state := leader.Status().Progress[3].State.String(); state != "StateSnapshot" {
		t.Fatal(state)
	}
	// The first one is lost on its way, which the transport reports.
	leader.ReportSnapshot(3, SnapshotFailure)
	if state := leader.Status().Progress[3].State.String(); state != "StateProbe" {
		t.Fatal(state)
	}
	// The next one arrives with the data of another stream.
	snap := nextSnapshot(t, g)
	snap.Snapshot.Data = []byte("the whole database")
	must(t, late.Step(snap))
	leader.ReportSnapshot(3, SnapshotFinish)
	g.settle()
	stored, err := late.storage.Snapshot()
	must(t, err)
	if string(stored.Data) != "the whole database" || late.BasicStatus().GetCommit() < applied {
		t.Fatalf("%q at %d", stored.Data, late.BasicStatus().GetCommit())
	}
	must(t, leader.Propose([]byte("after")))
	g.settle()
	if n := len(late.applied); n == 0 || late.applied[n-1] != "after" {
		t.Fatalf("%q", late.applied)
	}
}

// nextSnapshot ticks the leader until it sends a snapshot, and takes that off the wire.
func nextSnapshot(t *testing.T, g *group) *pb.Message {
	t.Helper()
	for range 50 {
		g.members[1].Tick()
		for id := uint64(1); id <= 3; id++ {
			m := g.members[id]
			inbox := g.inboxes[id]
			g.inboxes[id] = nil
			for _, message := range inbox {
				if message.GetType() == pb.MsgSnap {
					return message
				}
				must(t, m.Step(message))
			}
			for m.HasReady() {
				g.handle(m)
			}
		}
	}
	t.Fatal("no snapshot is sent")
	return nil
}
