package main

import (
	"fmt"
	"log"
	"maps"
	"slices"

	"github.com/raftcore/raftcore/bindings/go"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// forceNewCluster is --force-new-cluster. Of a cluster whose quorum is lost for ever, one node goes
// on alone, with what it has. Raft cannot do that, so it is done to the log behind Raft's back:
// entries that remove all others, and a hard state that commits them.
func (n *node) forceNewCluster(isUsed bool) error {
	if !isUsed {
		return fmt.Errorf("%w: --force-new-cluster: nothing is stored here", errRefusedData)
	}
	hard, _, err := n.memory.InitialState()
	if err != nil {
		return err
	}
	last, err := n.memory.LastIndex()
	if err != nil {
		return err
	}
	lastTerm, err := n.memory.Term(last)
	if err != nil {
		return err
	}
	others, err := n.others(last)
	if err != nil || len(others) == 0 {
		return err
	}
	// A term that the old cluster has not seen: what is appended is not mistaken for an entry of
	// theirs at the same place.
	term := max(hard.GetTerm(), lastTerm) + 1
	var entries []*raftpb.Entry
	for i, id := range others {
		log.Printf("kv-go: node %d is removed by force", id)
		data, err := proto.Marshal(&raftpb.ConfChange{
			Type: raftpb.ConfChangeRemoveNode.Enum(), NodeId: &id, Context: (&change{}).encode(),
		})
		if err != nil {
			return err
		}
		index := last + 1 + uint64(i)
		entries = append(entries, &raftpb.Entry{
			Term: &term, Index: &index, Type: raftpb.EntryConfChange.Enum(), Data: data,
		})
	}
	commit := last + uint64(len(others))
	alone := &raftpb.HardState{Term: &term, Vote: &n.options.id, Commit: &commit}
	if err := n.disk.save(&raft.Ready{HardState: alone, Entries: entries}); err != nil {
		return err
	}
	if err := n.memory.Append(entries); err != nil {
		return err
	}
	return n.memory.SetHardState(alone)
}

// others is who is a member besides this node, or becomes one by what is in the log.
func (n *node) others(last uint64) ([]uint64, error) {
	ids := map[uint64]bool{}
	for id, m := range n.state.members {
		if !m.removed {
			ids[id] = true
		}
	}
	first, err := n.memory.FirstIndex()
	if err != nil {
		return nil, err
	}
	var entries []*raftpb.Entry
	if first <= last {
		if entries, err = n.memory.Entries(first, last+1, 1<<62); err != nil {
			return nil, err
		}
	}
	for _, e := range entries {
		for _, step := range stepsOf(e) {
			if step.GetType() != raftpb.ConfChangeRemoveNode {
				ids[step.GetNodeId()] = true
			} else if delete(ids, step.GetNodeId()); step.GetNodeId() == n.options.id {
				return nil, fmt.Errorf("%w: --force-new-cluster: the log removes this node; take"+
					" another", errRefusedData)
			}
		}
	}
	delete(ids, n.options.id)
	return slices.Sorted(maps.Keys(ids)), nil
}

// stepsOf is what a change of members does, or nothing.
func stepsOf(e *raftpb.Entry) []*raftpb.ConfChangeSingle {
	v1, v2 := new(raftpb.ConfChange), new(raftpb.ConfChangeV2)
	switch {
	case e.GetType() == raftpb.EntryConfChange && proto.Unmarshal(e.GetData(), v1) == nil:
		return v1.AsV2().Changes
	case e.GetType() == raftpb.EntryConfChangeV2 && proto.Unmarshal(e.GetData(), v2) == nil:
		return v2.Changes
	}
	return nil
}
