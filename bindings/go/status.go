package raft

import (
	"github.com/raftcore/raftcore/bindings/go/internal/capi"
	"go.etcd.io/raft/v3/quorum"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
)

// ReplaceReason is why an empty entry took the place of a membership change.
type ReplaceReason int32

// The reasons.
const (
	// ReplaceNone: it did not.
	ReplaceNone ReplaceReason = iota
	// ReplacePending: a change may be in the log that is not applied yet.
	ReplacePending
	// ReplaceAlreadyJoint: the membership is joint, and must be left first.
	ReplaceAlreadyJoint
	// ReplaceNotJoint: the membership is not joint, and cannot be left.
	ReplaceNotJoint
	// ReplaceOther: a reason that has no number of its own yet.
	ReplaceOther
)

func (r ReplaceReason) String() string {
	switch r {
	case ReplaceNone:
		return "not replaced"
	case ReplacePending:
		return "another change is pending"
	case ReplaceAlreadyJoint:
		return "the membership is joint already"
	case ReplaceNotJoint:
		return "the membership is not joint"
	}
	return "other"
}

// ConfChangeOutcome is what became of a membership change that was proposed.
type ConfChangeOutcome struct {
	// Index and Term are where it stands in this leader's log; zero when it was forwarded.
	Index, Term uint64
	// Forwarded: it was passed on to the leader, and nothing more will be heard of it.
	Forwarded bool
	// Replaced: an empty entry stands in its place, for this Reason.
	Replaced bool
	Reason   ReplaceReason
}

// trackerConfig is a membership as upstream's Status has it.
func trackerConfig(cs *pb.ConfState) tracker.Config {
	config := tracker.Config{
		Voters:    quorum.JointConfig{set(cs.GetVoters()), nil},
		AutoLeave: cs.GetAutoLeave(),
	}
	if config.Voters[0] == nil {
		config.Voters[0] = quorum.MajorityConfig{}
	}
	if outgoing := cs.GetVotersOutgoing(); len(outgoing) > 0 {
		config.Voters[1] = set(outgoing)
	}
	config.Learners, config.LearnersNext = set(cs.GetLearners()), set(cs.GetLearnersNext())
	return config
}

func set(ids []uint64) map[uint64]struct{} {
	if len(ids) == 0 {
		return nil
	}
	members := make(map[uint64]struct{}, len(ids))
	for _, id := range ids {
		members[id] = struct{}{}
	}
	return members
}

// progress is a member's progress as upstream has it. How many messages and bytes are in flight is
// true; which indexes they end at is not known here.
func (rn *RawNode) progress(p *capi.Progress, inflights bool) tracker.Progress {
	progress := tracker.Progress{
		Match: p.Match, Next: p.Next, PendingSnapshot: p.PendingSnapshot,
		RecentActive: p.RecentActive, IsLearner: p.IsLearner,
	}
	switch p.State {
	case capi.ProgressReplicate:
		progress.State = tracker.StateReplicate
		progress.MsgAppFlowPaused = p.FlowPaused
	case capi.ProgressSnapshot:
		progress.State = tracker.StateSnapshot
	default:
		progress.State = tracker.StateProbe
		progress.MsgAppFlowPaused = p.FlowPaused
	}
	if inflights {
		progress.Inflights = tracker.NewInflights(rn.limits.messages, rn.limits.bytes)
		for i := range p.InflightMessages {
			var size uint64
			if i == p.InflightMessages-1 {
				size = p.InflightBytes
			}
			progress.Inflights.Add(p.Match+i+1, size)
		}
	}
	return progress
}
