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
	others, err := n.others()
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
func (n *node) others() ([]uint64, error) {
	ids := map[uint64]bool{}
	for id, m := range n.state.members {
		if !m.removed {
			ids[id] = true
		}
	}
	entries, err := n.logged()
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		_, change := changeOf(e)
		for _, step := range change.GetChanges() {
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
