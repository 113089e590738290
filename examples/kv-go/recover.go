// --force-new-cluster: of a cluster whose quorum is lost for ever, one node goes on alone, with
// what it has. Raft cannot do that, so it is done to the log behind Raft's back: entries that
// remove all others, and a hard state that commits them.

package main

import (
	"log"
	"maps"
	"slices"

	"github.com/raftcore/raftcore/bindings/go"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

type recovery struct {
	n              *node
	others         map[uint64]bool // who is or would become a member, besides this node
	last, lastTerm uint64
	removesThis    bool
	removals       []*raftpb.Entry
}

func (r *recovery) lookAtEntry(e *raftpb.Entry) {
	r.last, r.lastTerm = e.GetIndex(), e.GetTerm()
	_, change := changeOf(e)
	for _, step := range change.GetChanges() {
		id, isRemoval := step.GetNodeId(), step.GetType() == raftpb.ConfChangeRemoveNode
		switch {
		case id == r.n.options.id:
			r.removesThis = r.removesThis || isRemoval
		case isRemoval:
			delete(r.others, id)
		case id != 0:
			r.others[id] = true
		}
	}
}

func (r *recovery) appendRemoval(id, term uint64) error {
	data, err := proto.Marshal(&raftpb.ConfChange{
		Type: raftpb.ConfChangeRemoveNode.Enum(), NodeId: &id, Context: (&change{}).encode(),
	})
	r.last++
	index := r.last
	r.removals = append(r.removals, &raftpb.Entry{
		Term: &term, Index: &index, Type: raftpb.EntryConfChange.Enum(), Data: data,
	})
	return err
}

// removeOthers does it in a new term, one that the old cluster has not seen: what is appended is
// not mistaken for an entry of theirs at the same place.
func (r *recovery) removeOthers(stored *stored) error {
	term := max(stored.hard.GetTerm(), r.lastTerm) + 1
	for _, id := range slices.Sorted(maps.Keys(r.others)) {
		log.Printf("node %d is removed by force", id)
		if err := r.appendRemoval(id, term); err != nil {
			return err
		}
	}
	hard := &raftpb.HardState{Term: &term, Vote: &r.n.options.id, Commit: &r.last}
	if err := r.n.store.save(&raft.Ready{HardState: hard, Entries: r.removals}); err != nil {
		return err
	}
	r.n.term = term
	if err := r.n.memory.Append(r.removals); err != nil {
		return err
	}
	return r.n.memory.SetHardState(hard)
}

func (n *node) forceNewCluster(stored *stored) error {
	r := &recovery{n: n, others: map[uint64]bool{}}
	if stored.snapshot != nil {
		r.last = stored.snapshot.GetMetadata().GetIndex()
		r.lastTerm = stored.snapshot.GetMetadata().GetTerm()
	}
	for id, m := range n.state.members {
		if !m.isRemoved && id != n.options.id {
			r.others[id] = true
		}
	}
	for _, e := range stored.entries {
		r.lookAtEntry(e)
	}
	switch {
	case r.last == 0:
		return refusedData("--force-new-cluster: nothing is stored here")
	case r.removesThis:
		return refusedData("--force-new-cluster: the log removes this node; take another")
	case len(r.others) == 0:
		return nil
	}
	return r.removeOthers(stored)
}
