// raftcore is raftcore's Go module in the benchmarks: the program in etcd37 with another import and
// the calls for many at once. It stands here again because that is what is compared: each library's
// types are its own, and a common form of both would be measured too.
package main

import (
	"io"
	"log"
	"math"

	"github.com/raftcore/raftcore/benches/go/harness"
	"github.com/raftcore/raftcore/bindings/go"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

type message = *pb.Message

type member struct {
	*raft.RawNode
	id    uint64
	store *raft.MemoryStorage
}

func newMember(id uint64, setup harness.Setup) harness.Member[message] {
	members := &pb.ConfState{}
	for voter := uint64(1); voter <= setup.Voters; voter++ {
		members.Voters = append(members.Voters, voter)
	}
	store := raft.NewMemoryStorage()
	// Of a group that has these members from the start.
	must(store.ApplySnapshot(&pb.Snapshot{Metadata: &pb.SnapshotMetadata{ConfState: members}}))
	config := &raft.Config{
		ID: id, ElectionTick: setup.ElectionTicks, HeartbeatTick: setup.HeartbeatTicks,
		Storage: store, MaxSizePerMsg: setup.MaxMessageBytes,
		MaxCommittedSizePerReady: math.MaxUint64, MaxInflightMsgs: setup.MaxInflight,
		CheckQuorum: setup.Lease,
		Logger:      quiet{&raft.DefaultLogger{Logger: log.New(io.Discard, "", 0)}},
	}
	if setup.Lease {
		config.ReadOnlyOption = raft.ReadOnlyLeaseBased
	}
	node, err := raft.NewRawNode(config)
	must(err)
	return &member{node, id, store}
}

func (m *member) Campaign()                { must(m.RawNode.Campaign()) }
func (m *member) Propose(payload []byte)   { must(m.RawNode.Propose(payload)) }
func (m *member) Step(message message)     { must(m.RawNode.Step(message)) }
func (m *member) Compact(index uint64)     { must(m.store.Compact(index)) }
func (m *member) ReadIndex(context []byte) { m.RawNode.ReadIndex(context) }
func (m *member) IsLeader() bool           { return m.BasicStatus().RaftState == raft.StateLeader }

func (m *member) ProposeMany(payloads [][]byte) {
	must(m.RawNode.ProposeMany(payloads))
}

func (m *member) StepEncoded(encoded []byte) {
	decoded := &pb.Message{}
	must(proto.Unmarshal(encoded, decoded))
	must(m.RawNode.Step(decoded))
}

func encode(message message) []byte {
	encoded, err := proto.Marshal(message)
	must(err)
	return encoded
}

func (m *member) HandleReady(out *harness.Out[message]) {
	ready := m.Ready()
	must(m.store.Append(ready.Entries))
	if !raft.IsEmptyHardState(ready.HardState) {
		must(m.store.SetHardState(ready.HardState))
	}
	for _, message := range ready.Messages {
		out.Send(message.GetTo(), message)
	}
	for _, entry := range ready.CommittedEntries {
		out.Apply(entry.GetIndex(), entry.GetData())
	}
	for _, read := range ready.ReadStates {
		out.AnswerRead(read.Index)
	}
	m.Advance(ready)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// quiet drops what is logged before it is formatted.
type quiet struct{ *raft.DefaultLogger }

func (quiet) Debug(...any)            {}
func (quiet) Debugf(string, ...any)   {}
func (quiet) Info(...any)             {}
func (quiet) Infof(string, ...any)    {}
func (quiet) Warning(...any)          {}
func (quiet) Warningf(string, ...any) {}

func main() {
	harness.Main(&harness.Library[message]{New: newMember, Encode: encode})
}
