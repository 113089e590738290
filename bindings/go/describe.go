package raft

import (
	upstream "go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// These speak of upstream's types alone, and are upstream's own.

// DescribeHardState describes a hard state in one line.
func DescribeHardState(hs *pb.HardState) string { return upstream.DescribeHardState(hs) }

// DescribeSoftState describes a soft state in one line.
func DescribeSoftState(ss SoftState) string { return upstream.DescribeSoftState(ss) }

// DescribeConfState describes a membership in one line.
func DescribeConfState(state *pb.ConfState) string {
	if state == nil {
		state = &pb.ConfState{}
	}
	return upstream.DescribeConfState(state)
}

// DescribeSnapshot describes a snapshot in one line.
func DescribeSnapshot(snap *pb.Snapshot) string {
	if snap.GetMetadata().GetConfState() == nil {
		meta := snap.GetMetadata()
		snap = &pb.Snapshot{Metadata: &pb.SnapshotMetadata{
			ConfState: &pb.ConfState{}, Index: ref(meta.GetIndex()), Term: ref(meta.GetTerm()),
		}}
	}
	return upstream.DescribeSnapshot(snap)
}

// DescribeReady describes a Ready, a line for each thing to do.
func DescribeReady(rd Ready, f EntryFormatter) string { return upstream.DescribeReady(rd, f) }

// DescribeMessage describes a message in one line, and one more for each entry.
func DescribeMessage(m *pb.Message, f EntryFormatter) string {
	return upstream.DescribeMessage(m,
		f)
}

// DescribeEntry describes an entry in one line.
func DescribeEntry(e *pb.Entry, f EntryFormatter) string { return upstream.DescribeEntry(e, f) }

// DescribeEntries describes entries, a line each.
func DescribeEntries(ents []*pb.Entry, f EntryFormatter) string {
	return upstream.DescribeEntries(ents, f)
}

// DescribeConfChange describes a membership change in one line.
func DescribeConfChange(cc pb.ConfChangeI) string { return upstream.DescribeConfChange(cc) }

// IsEmptyHardState says whether a hard state is nil or zero.
func IsEmptyHardState(st *pb.HardState) bool { return upstream.IsEmptyHardState(st) }

// IsEmptySnap says whether a snapshot is nil or of index zero.
func IsEmptySnap(sp *pb.Snapshot) bool { return upstream.IsEmptySnap(sp) }

// MustSync says whether a write must reach the disk before messages that depend on it leave.
func MustSync(st, prevst *pb.HardState, entsnum int) bool {
	return upstream.MustSync(st, prevst, entsnum)
}

// IsLocalMsg says whether a kind of message never travels between members.
func IsLocalMsg(msgt pb.MessageType) bool { return msgt >= 0 && upstream.IsLocalMsg(msgt) }

// IsResponseMsg says whether a kind of message answers another.
func IsResponseMsg(msgt pb.MessageType) bool { return msgt >= 0 && upstream.IsResponseMsg(msgt) }

// IsLocalMsgTarget says whether an id stands for a storage thread.
func IsLocalMsgTarget(id uint64) bool { return upstream.IsLocalMsgTarget(id) }

func ref[T any](value T) *T { return &value }
