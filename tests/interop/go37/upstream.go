// Package upstream runs the interoperability stories with go.etcd.io/raft/v3.
//
// This file is the same for both versions of upstream: in go36 it is a link. What differs between
// them, the types of raftpb, is in convert.go.
package upstream

import (
	"errors"

	interop "github.com/raftcore/raftcore/tests/interop/shared"
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// Upstream makes members of go.etcd.io/raft/v3.
type Upstream struct{}

// Name implements [interop.Kind].
func (Upstream) Name() string { return "etcd " + version }

// New implements [interop.Kind].
func (Upstream) New(c interop.Config, d *interop.Disk, peers []uint64) interop.Member {
	m := &member{
		id: c.ID, async: c.Async, storage: &storage{MemoryStorage: raft.NewMemoryStorage()},
		appends: map[uint64]message{}, applies: map[uint64]message{},
	}
	m.fill(d)
	config := &raft.Config{
		ID: c.ID, ElectionTick: interop.ElectionTicks, HeartbeatTick: interop.HeartbeatTicks,
		Storage: m.storage, Applied: d.Applied, AsyncStorageWrites: c.Async,
		MaxSizePerMsg: c.MaxMessageBytes, MaxCommittedSizePerReady: c.MaxCommittedBytes,
		MaxUncommittedEntriesSize: c.MaxUncommittedBytes, MaxInflightMsgs: c.MaxInflightMessages,
		MaxInflightBytes: c.MaxInflightBytes, CheckQuorum: c.CheckQuorum, PreVote: c.PreVote,
		DisableProposalForwarding: c.NoForwarding, StepDownOnRemoval: c.StepDownOnRemoval,
		Logger: logger{},
	}
	if c.LeaseBasedReads {
		config.ReadOnlyOption = raft.ReadOnlyLeaseBased
	}
	node, err := raft.NewRawNode(config)
	must(err)
	if len(peers) > 0 {
		var founders []raft.Peer
		for _, id := range peers {
			founders = append(founders, raft.Peer{ID: id, Context: interop.PeerContext(id)})
		}
		must(node.Bootstrap(founders))
	}
	m.node = node
	return m
}

// EncodeConfChange implements [interop.Upstream].
func (Upstream) EncodeConfChange(c interop.ConfChange) (int, []byte) {
	kind, data, err := pb.MarshalConfChange(toConfChange(c))
	must(err)
	return int(kind), data
}

type member struct {
	id      uint64
	async   bool
	node    *raft.RawNode
	storage *storage
	conf    interop.ConfState
	// The Ready that is to be advanced.
	outstanding raft.Ready
	readies     uint64
	// Work for the two storage threads, by the number of its Ready.
	appends, applies map[uint64]message
	objections       []*interop.Objection
}

// fill reads a disk, whoever wrote it.
func (m *member) fill(d *interop.Disk) {
	if d.Snapshot != nil {
		m.storage.restore(d.Snapshot.Encoded)
		m.conf = d.Snapshot.ConfState
	}
	if d.ConfState != nil {
		m.conf = *d.ConfState
		m.storage.conf = toConfState(m.conf)
	}
	m.storage.fill(d.HardState, d.Entries)
}

// try notes what the node objects to. What upstream does not say with an error it says with a
// panic, which ends the test.
func (m *member) try(call string, err error) error {
	reason := interop.Broken
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrStepPeerNotFound):
		reason = interop.Stranger
	case errors.Is(err, raft.ErrProposalDropped):
		reason = interop.Dropped
	}
	o := &interop.Objection{Reason: reason, Call: call, Text: err.Error()}
	m.objections = append(m.objections, o)
	return o
}

func (m *member) Tick() { m.node.Tick() }

func (m *member) Step(p interop.Packet) {
	decoded, err := decodeMessage(p.Bytes)
	if m.try("decode", err) == nil {
		_ = m.try("step", m.node.Step(decoded))
	}
}

func (m *member) Propose(data []byte) error { return m.try("propose", m.node.Propose(data)) }

func (m *member) ProposeConfChange(c interop.ConfChange) error {
	return m.try("propose "+c.String(), m.node.ProposeConfChange(toConfChange(c)))
}

func (m *member) Campaign() { _ = m.try("campaign", m.node.Campaign()) }

func (m *member) Transfer(to uint64) error {
	m.node.TransferLeader(to)
	return nil
}

func (m *member) ReadIndex(context []byte) error {
	m.node.ReadIndex(context)
	return nil
}

func (m *member) ForgetLeader() { _ = m.try("forget leader", m.node.ForgetLeader()) }

func (m *member) ReportUnreachable(id uint64) { m.node.ReportUnreachable(id) }

func (m *member) ReportSnapshot(id uint64, arrived bool) {
	status := raft.SnapshotFailure
	if arrived {
		status = raft.SnapshotFinish
	}
	m.node.ReportSnapshot(id, status)
}

func (m *member) HasReady() bool { return m.node.HasReady() }

// Ready hands out all packets to be sent after the write: that is what upstream asks for. With
// asynchronous storage writes the message to the append thread says which ones wait.
func (m *member) Ready() *interop.Ready {
	rd := m.node.Ready()
	m.outstanding = rd
	m.readies++
	r := &interop.Ready{Number: m.readies, State: m.State()}
	for _, read := range rd.ReadStates {
		r.Reads = append(r.Reads, interop.ReadState{Index: read.Index, Context: read.RequestCtx})
	}
	if !m.async {
		r.Write = messageWrite(readyMessage(rd))
		r.After = toPackets(rd.Messages, 0)
		r.Committed = fromEntries(rd.CommittedEntries)
		return r
	}
	for _, message := range rd.Messages {
		switch target(message) {
		case raft.LocalAppendThread:
			r.HasWrite = true
			r.Write = messageWrite(message)
			r.After = toPackets(message.Responses, m.id)
			m.appends[r.Number] = message
		case raft.LocalApplyThread:
			r.Committed = fromEntries(message.Entries)
			m.applies[r.Number] = message
		default:
			r.Before = append(r.Before, toPacket(message))
		}
	}
	return r
}

func (m *member) Advance(*interop.Ready) {
	rd := m.outstanding
	m.persist(readyMessage(rd))
	m.apply(rd.CommittedEntries)
	m.node.Advance(rd)
}

func (m *member) AppendDone(r *interop.Ready) {
	work := m.appends[r.Number]
	delete(m.appends, r.Number)
	m.persist(work)
	m.respond(work.Responses)
}

func (m *member) ApplyDone(r *interop.Ready) {
	work := m.applies[r.Number]
	delete(m.applies, r.Number)
	m.apply(work.Entries)
	m.respond(work.Responses)
}

// respond delivers a storage thread's responses to the node itself; those to peers are packets.
func (m *member) respond(responses []message) {
	for _, response := range responses {
		if target(response) == m.id {
			_ = m.try("respond", m.node.Step(response))
		}
	}
}

func (m *member) persist(work message) {
	if s := snapshotOf(work); s != nil {
		m.storage.restore(s.Encoded)
		m.conf = s.ConfState
	}
	must(m.storage.Append(work.Entries))
	m.storage.setHardState(work)
}

func (m *member) apply(entries []entry) {
	for _, e := range fromEntries(entries) {
		if e.Type != interop.EntryNormal {
			m.conf = fromConfState(m.node.ApplyConfChange(decodeConfChange(e.Type, e.Data)))
		}
	}
}

func (m *member) Snapshot(index uint64, data []byte, kept uint64) *interop.Snapshot {
	s, err := m.storage.CreateSnapshot(index, toConfState(m.conf), data)
	must(err)
	first, err := m.storage.FirstIndex()
	must(err)
	if index >= first+kept {
		must(m.storage.Compact(index - kept))
	}
	return fromSnapshot(s)
}

func (m *member) ConfState() interop.ConfState { return m.conf }

func (m *member) State() interop.State { return fromStatus(m.node.BasicStatus()) }

func (m *member) Log() []interop.Entry {
	first, err := m.storage.FirstIndex()
	must(err)
	last, err := m.storage.LastIndex()
	must(err)
	if first > last {
		return nil
	}
	entries, err := m.storage.Entries(first, last+1, 1<<62)
	must(err)
	return fromEntries(entries)
}

func (m *member) Objections() []*interop.Objection {
	o := m.objections
	m.objections = nil
	return o
}

func (m *member) Close() {}

// must is for what only a mistake of the tests can bring about.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
