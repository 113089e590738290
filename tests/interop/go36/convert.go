package upstream

import (
	interop "github.com/raftcore/raftcore/tests/interop/shared"
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

const version = "3.6"

// Up to 3.6 the types of raftpb are those of gogo/protobuf: plain structs with plain fields, of
// which every number is written, zeros too.
type (
	message  = pb.Message
	entry    = pb.Entry
	snapshot = pb.Snapshot
)

// storage is a log in memory, beside which the membership at a later applied index may be given.
type storage struct {
	*raft.MemoryStorage
	conf *pb.ConfState
}

func (s *storage) InitialState() (pb.HardState, pb.ConfState, error) {
	hard, conf, err := s.MemoryStorage.InitialState()
	if s.conf != nil {
		conf = *s.conf
	}
	return hard, conf, err
}

func (s *storage) restore(encoded []byte) {
	var decoded pb.Snapshot
	must(decoded.Unmarshal(encoded))
	must(s.ApplySnapshot(decoded))
}

func (s *storage) fill(hardState []byte, stored []interop.Entry) {
	var hard pb.HardState
	must(hard.Unmarshal(hardState))
	must(s.SetHardState(hard))
	entries := make([]pb.Entry, len(stored))
	for i, e := range stored {
		must(entries[i].Unmarshal(e.Encoded))
	}
	must(s.Append(entries))
}

// setHardState stores the hard state that a message to the append thread carries.
func (s *storage) setHardState(m message) {
	hard := pb.HardState{Term: m.Term, Vote: m.Vote, Commit: m.Commit}
	if !raft.IsEmptyHardState(hard) {
		must(s.SetHardState(hard))
	}
}

func encode(m interface{ Marshal() ([]byte, error) }) []byte {
	encoded, err := m.Marshal()
	must(err)
	return encoded
}

func decodeMessage(encoded []byte) (m message, err error) {
	return m, m.Unmarshal(encoded)
}

func target(m message) uint64 { return m.To }

func toPacket(m message) interop.Packet {
	return interop.Packet{
		From: m.From, To: m.To, Term: m.Term, Kind: int(m.Type), Bytes: encode(&m),
	}
}

func toPackets(messages []message, but uint64) (packets []interop.Packet) {
	for _, m := range messages {
		if m.To != but {
			packets = append(packets, toPacket(m))
		}
	}
	return packets
}

// readyMessage puts what a Ready writes into the form of a message to the append thread.
func readyMessage(rd raft.Ready) message {
	return message{
		Entries: rd.Entries, Snapshot: &rd.Snapshot,
		Term: rd.Term, Vote: rd.Vote, Commit: rd.Commit,
	}
}

// messageWrite is what a message to the append thread writes.
func messageWrite(m message) (w interop.Write) {
	hard := pb.HardState{Term: m.Term, Vote: m.Vote, Commit: m.Commit}
	if !raft.IsEmptyHardState(hard) {
		w.HardState = encode(&hard)
	}
	w.Snapshot = snapshotOf(m)
	w.Entries = fromEntries(m.Entries)
	return w
}

func snapshotOf(m message) *interop.Snapshot {
	if m.Snapshot == nil || raft.IsEmptySnap(*m.Snapshot) {
		return nil
	}
	return fromSnapshot(*m.Snapshot)
}

func fromSnapshot(s snapshot) *interop.Snapshot {
	return &interop.Snapshot{
		Term: s.Metadata.Term, Index: s.Metadata.Index, Data: s.Data,
		ConfState: fromConfState(&s.Metadata.ConfState), Encoded: encode(&s),
	}
}

func fromEntry(e entry) interop.Entry {
	return interop.Entry{
		Term: e.Term, Index: e.Index, Type: int(e.Type), Data: e.Data, Encoded: encode(&e),
	}
}

func fromEntries(entries []entry) (all []interop.Entry) {
	for _, e := range entries {
		all = append(all, fromEntry(e))
	}
	return all
}

func fromStatus(s raft.BasicStatus) interop.State {
	return interop.State{
		Term: s.Term, Vote: s.Vote, Commit: s.Commit,
		Role: interop.Role(s.RaftState), Leader: s.Lead,
	}
}

func fromConfState(s *pb.ConfState) interop.ConfState {
	return interop.ConfState{
		Voters: s.Voters, Learners: s.Learners, VotersOutgoing: s.VotersOutgoing,
		LearnersNext: s.LearnersNext, AutoLeave: s.AutoLeave,
	}
}

func toConfState(s interop.ConfState) *pb.ConfState {
	return &pb.ConfState{
		Voters: s.Voters, Learners: s.Learners, VotersOutgoing: s.VotersOutgoing,
		LearnersNext: s.LearnersNext, AutoLeave: s.AutoLeave,
	}
}

func toConfChange(c interop.ConfChange) pb.ConfChangeI {
	if c.V1 {
		return pb.ConfChange{
			Type: pb.ConfChangeType(c.Changes[0].Type), NodeID: c.Changes[0].Node,
			Context: c.Context,
		}
	}
	v2 := pb.ConfChangeV2{
		Transition: pb.ConfChangeTransition(c.Transition), Context: c.Context,
	}
	for _, change := range c.Changes {
		v2.Changes = append(v2.Changes, pb.ConfChangeSingle{
			Type: pb.ConfChangeType(change.Type), NodeID: change.Node,
		})
	}
	return v2
}

func decodeConfChange(entryType int, data []byte) pb.ConfChangeI {
	if entryType == interop.EntryConfChange {
		var v1 pb.ConfChange
		must(v1.Unmarshal(data))
		return v1
	}
	var v2 pb.ConfChangeV2
	must(v2.Unmarshal(data))
	return v2
}

// DecodeConfChange implements [interop.Upstream].
func (Upstream) DecodeConfChange(entryType int, data []byte) (interop.ConfChange, error) {
	decoded := decodeConfChange(entryType, data)
	_, v1 := decoded.AsV1()
	v2 := decoded.AsV2()
	c := interop.ConfChange{V1: v1, Transition: int(v2.Transition), Context: v2.Context}
	for _, change := range v2.Changes {
		c.Changes = append(c.Changes, interop.Change{Type: int(change.Type), Node: change.NodeID})
	}
	return c, nil
}

// DecodeEntry implements [interop.Upstream].
func (Upstream) DecodeEntry(encoded []byte) (interop.Entry, error) {
	var e pb.Entry
	if err := e.Unmarshal(encoded); err != nil {
		return interop.Entry{}, err
	}
	return fromEntry(e), nil
}

// DecodeSnapshot implements [interop.Upstream].
func (Upstream) DecodeSnapshot(encoded []byte) (*interop.Snapshot, error) {
	var s pb.Snapshot
	if err := s.Unmarshal(encoded); err != nil {
		return nil, err
	}
	return fromSnapshot(s), nil
}
