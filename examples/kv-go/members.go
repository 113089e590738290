package main

import (
	"cmp"
	"fmt"
	"math"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// ownURL is where the cluster knows this node; a new node takes it from --cluster.
func (n *node) ownURL() (string, error) {
	id := n.options.id
	known, given := n.state.members[id], n.options.cluster[id]
	entries, err := n.logged()
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		context, change := changeOf(e)
		for _, step := range change.GetChanges() {
			if step.GetNodeId() == id && step.GetType() != raftpb.ConfChangeRemoveNode {
				known.url = decodeChange(context).url
			}
		}
	}
	switch {
	case known.removed:
		return "", fmt.Errorf("%w: node %d was removed from the cluster; an id is never used again",
			errRefusedData, id)
	case known.url != "" && given != "" && known.url != given:
		return "", fmt.Errorf("%w: --cluster says that this node is at %s, the cluster knows it at"+
			" %s", errRefusedData, given, known.url)
	case known.url == "" && given == "":
		return "", fmt.Errorf("%w: --cluster must contain this node, %d", errRefusedData, id)
	}
	return cmp.Or(known.url, given), nil
}

// logged is what stands in the log behind the snapshot.
func (n *node) logged() ([]*raftpb.Entry, error) {
	first, err := n.memory.FirstIndex()
	if err != nil {
		return nil, err
	}
	last, err := n.memory.LastIndex()
	if err != nil || last < first {
		return nil, err
	}
	return n.memory.Entries(first, last+1, math.MaxUint64)
}

// changeOf is the context of a change of members, and what it does; nil when it is none.
func changeOf(e *raftpb.Entry) ([]byte, *raftpb.ConfChangeV2) {
	v1, v2 := new(raftpb.ConfChange), new(raftpb.ConfChangeV2)
	switch {
	case e.GetType() == raftpb.EntryConfChange && proto.Unmarshal(e.GetData(), v1) == nil:
		v2.Changes = v1.AsV2().Changes
		return v1.Context, v2
	case e.GetType() == raftpb.EntryConfChangeV2 && proto.Unmarshal(e.GetData(), v2) == nil:
		return v2.Context, v2
	}
	return nil, nil
}
