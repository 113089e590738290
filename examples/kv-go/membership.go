// Changes of members: checked when they are asked for, and applied.

package main

import (
	"net/url"
	"slices"
	"strconv"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// isURL says whether a text is http://host:port, with nothing behind it.
func isURL(text string) bool {
	u, err := url.Parse(text)
	if err != nil || len(text) > urlMax {
		return false
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil && port > 0 && u.Hostname() != "" && text == "http://"+u.Host
}

// ---- changes of members

// checkChange says what forbids a change; without a URL it removes. What this node knows may be
// old; the leader and the log have the last word.
func (n *node) checkChange(id uint64, url string) *refusal {
	m, known := n.state.members[id]
	left := 0
	for other, at := range n.state.members {
		if !at.isRemoved {
			left++
		}
		if url != "" && !known && at.url == url {
			return refuse(409, "node %d is a member already, at %s", other, url)
		}
	}
	switch {
	case m.isRemoved && url != "":
		return refuse(409, "node %d was removed; an id is never used again", id)
	case m.isRemoved:
		return refuse(404, "node %d was removed; an id is never used again", id)
	case url == "" && !known:
		return refuse(404, "no member has the id %d", id)
	case url != "" && known && m.url != url:
		return refuse(409, "node %d is a member already, at %s", id, m.url)
	case url == "" && left == 1:
		return refuse(409, "the last member cannot be removed")
	}
	return nil
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

func isVoter(c *raftpb.ConfState, id uint64) bool {
	return slices.Contains(c.GetVoters(), id) || slices.Contains(c.GetVotersOutgoing(), id)
}

func inConfState(c *raftpb.ConfState, id uint64) bool {
	return isVoter(c, id) || slices.Contains(c.GetLearners(), id)
}

// followChange has the members follow the membership that the library says is now in force.
func (n *node) followChange(id uint64, url string) {
	known, exists := n.state.members[id]
	switch {
	case id == 0 || id > maxID:
	case inConfState(n.conf, id):
		if url == "" {
			url = known.url
		}
		n.state.members[id] = member{url: url}
	case exists:
		n.state.members[id] = member{isRemoved: true}
	}
}

func (n *node) applyChange(e *raftpb.Entry) {
	context, change := changeOf(e)
	if change == nil {
		return // What no node can decode, every node skips.
	}
	// A removed id stays removed. Every node finds the same here, and vetoes the same.
	var ids []uint64
	for _, step := range change.Changes {
		ids = append(ids, step.GetNodeId())
		if step.GetType() != raftpb.ConfChangeRemoveNode &&
			n.state.members[step.GetNodeId()].isRemoved {
			step.NodeId = new(uint64)
		}
	}
	n.conf = n.raw.ApplyConfChange(change)
	c := decodeChange(context)
	for _, id := range ids {
		n.followChange(id, c.url)
	}
	if c.origin == n.options.id {
		n.requests.writeApplied(c.serial, e.GetIndex())
	}
}

// replaceRemovedLeader does not wait for a leader that was removed: the members forget it, so that
// they may vote, and the first of them stands for election at once. If that fails, the election
// timeout comes anyway.
func (n *node) replaceRemovedLeader() {
	if !n.state.members[n.leader].isRemoved || n.leader == n.options.id {
		return
	}
	_ = n.raw.ForgetLeader()
	for _, id := range n.state.memberIDs() {
		if !n.state.members[id].isRemoved {
			if id == n.options.id {
				_ = n.raw.Campaign()
			}
			return
		}
	}
}
