package upstream

import (
	interop "github.com/raftcore/raftcore/tests/interop/shared"
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

const version = "3.7"

// Since 3.7 the types of raftpb are those of google.golang.org/protobuf: structs behind pointers,
// whose fields are pointers too.
type (
	message  = *pb.Message
	entry    = *pb.Entry
	snapshot = *pb.Snapshot
)

// storage is a log in memory, beside which the membership at a later applied index may be given.
type storage struct {
	*raft.MemoryStorage
	conf *pb.ConfState
}

func (s *storage) InitialState() (*pb.HardState, *pb.ConfState, error) {
	hard, conf, err := s.MemoryStorage.InitialState()
	if s.conf != nil {
		conf = s.conf
	}
	return hard, conf, err
}

func (s *storage) restore(encoded []byte) {
	decoded := &pb.Snapshot{}
	must(proto.Unmarshal(encoded, decoded))
	must(s.ApplySnapshot(decoded))
}

func (s *storage) fill(hardState []byte, stored []interop.Entry) {
	hard := &pb.HardState{}
	must(proto.Unmarshal(hardState, hard))
	must(s.SetHardState(hard))
	var entries []*pb.Entry
	for _, e := range stored {
		decoded := &pb.Entry{}
		must(proto.Unmarshal(e.Encoded, decoded))
		entries = append(entries, decoded)
	}
	must(s.Append(entries))
}

// setHardState stores the hard state that a message to the append thread carries.
func (s *storage) setHardState(m message) {
	hard := &pb.HardState{Term: m.Term, Vote: m.Vote, Commit: m.Commit}
	if !raft.IsEmptyHardState(hard) {
		must(s.SetHardState(hard))
	}
}

func encode(m proto.Message) []byte {
	encoded, err := proto.Marshal(m)
	must(err)
	return encoded
}

func decodeMessage(encoded []byte) (message, error) {
	m := &pb.Message{}
	return m, proto.Unmarshal(encoded, m)
}

func target(m message) uint64 { return m.GetTo() }

func toPacket(m message) interop.Packet {
	return interop.Packet{
		From: m.GetFrom(), To: m.GetTo(), Term: m.GetTerm(), Kind: int(m.GetType()),
		Bytes: encode(m),
	}
}

func toPackets(messages []message, but uint64) (packets []interop.Packet) {
	for _, m := range messages {
		if m.GetTo() != but {
			packets = append(packets, toPacket(m))
		}
	}
	return packets
}

// readyMessage puts what a Ready writes into the form of a message to the append thread.
func readyMessage(rd raft.Ready) message {
	m := &pb.Message{Entries: rd.Entries, Snapshot: rd.Snapshot}
	if rd.HardState != nil {
		m.Term, m.Vote, m.Commit = rd.HardState.Term, rd.HardState.Vote, rd.HardState.Commit
	}
	return m
}

// messageWrite is what a message to the append thread writes.
func messageWrite(m message) (w interop.Write) {
	hard := &pb.HardState{Term: m.Term, Vote: m.Vote, Commit: m.Commit}
	if !raft.IsEmptyHardState(hard) {
		w.HardState = encode(hard)
	}
	w.Snapshot = snapshotOf(m)
	w.Entries = fromEntries(m.Entries)
	return w
}

func snapshotOf(m message) *interop.Snapshot {
	if raft.IsEmptySnap(m.GetSnapshot()) {
		return nil
	}
	return fromSnapshot(m.GetSnapshot())
}

func fromSnapshot(s snapshot) *interop.Snapshot {
	meta := s.GetMetadata()
	return &interop.Snapshot{
		Term: meta.GetTerm(), Index: meta.GetIndex(), Data: s.GetData(),
		ConfState: fromConfState(meta.GetConfState()), Encoded: encode(s),
	}
}

func fromEntry(e entry) interop.Entry {
	return interop.Entry{
		Term: e.GetTerm(), Index: e.GetIndex(), Type: int(e.GetType()), Data: e.GetData(),
		Encoded: encode(e),
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
		Term: s.GetTerm(), Vote: s.GetVote(), Commit: s.GetCommit(),
		Role: interop.Role(s.RaftState), Leader: s.Lead,
	}
}

func fromConfState(s *pb.ConfState) interop.ConfState {
	return interop.ConfState{
		Voters: s.GetVoters(), Learners: s.GetLearners(), VotersOutgoing: s.GetVotersOutgoing(),
		LearnersNext: s.GetLearnersNext(), AutoLeave: s.GetAutoLeave(),
	}
}

func toConfState(s interop.ConfState) *pb.ConfState {
	return &pb.ConfState{
		Voters: s.Voters, Learners: s.Learners, VotersOutgoing: s.VotersOutgoing,
		LearnersNext: s.LearnersNext, AutoLeave: proto.Bool(s.AutoLeave),
	}
}

func toConfChange(c interop.ConfChange) pb.ConfChangeI {
	if c.V1 {
		return &pb.ConfChange{
			Type:   pb.ConfChangeType(c.Changes[0].Type).Enum(),
			NodeId: proto.Uint64(c.Changes[0].Node), Context: c.Context,
		}
	}
	v2 := &pb.ConfChangeV2{
		Transition: pb.ConfChangeTransition(c.Transition).Enum(), Context: c.Context,
	}
	for _, change := range c.Changes {
		v2.Changes = append(v2.Changes, &pb.ConfChangeSingle{
			Type: pb.ConfChangeType(change.Type).Enum(), NodeId: proto.Uint64(change.Node),
		})
	}
	return v2
}

func decodeConfChange(entryType int, data []byte) pb.ConfChangeI {
	if entryType == interop.EntryConfChange {
		v1 := &pb.ConfChange{}
		must(proto.Unmarshal(data, v1))
		return v1
	}
	v2 := &pb.ConfChangeV2{}
	must(proto.Unmarshal(data, v2))
	return v2
}

// DecodeConfChange implements [interop.Upstream].
func (Upstream) DecodeConfChange(entryType int, data []byte) (interop.ConfChange, error) {
	decoded := decodeConfChange(entryType, data)
	_, v1 := decoded.AsV1()
	v2 := decoded.AsV2()
	c := interop.ConfChange{V1: v1, Transition: int(v2.GetTransition()), Context: v2.GetContext()}
	for _, change := range v2.GetChanges() {
		c.Changes = append(c.Changes, interop.Change{
			Type: int(change.GetType()), Node: change.GetNodeId(),
		})
	}
	return c, nil
}

// DecodeEntry implements [interop.Upstream].
func (Upstream) DecodeEntry(encoded []byte) (interop.Entry, error) {
	e := &pb.Entry{}
	if err := proto.Unmarshal(encoded, e); err != nil {
		return interop.Entry{}, err
	}
	return fromEntry(e), nil
}

// DecodeSnapshot implements [interop.Upstream].
func (Upstream) DecodeSnapshot(encoded []byte) (*interop.Snapshot, error) {
	s := &pb.Snapshot{}
	if err := proto.Unmarshal(encoded, s); err != nil {
		return nil, err
	}
	return fromSnapshot(s), nil
}
