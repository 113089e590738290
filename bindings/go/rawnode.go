package raft

import (
	"errors"
	"maps"
	"sync"

	"github.com/raftcore/raftcore/bindings/go/internal/capi"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
	"google.golang.org/protobuf/proto"
)

// RawNode is a member of a group without goroutines. Drive it as upstream's:
//
//  1. hand in what happens: Tick, Step, Propose;
//  2. while HasReady, take a Ready: save its snapshot, entries and hard state, send its messages,
//     apply its committed entries;
//  3. Advance.
//
// What upstream answers with a panic stops nothing here: a method without an error remembers it
// for Err, and does nothing. The methods may be called from any goroutine, one at a time.
type RawNode struct {
	node   *capi.Node
	memory *MemoryStorage
	logger Logger
	async  bool
	limits limits

	mu  sync.Mutex
	err error
	// With asynchronous storage writes: the responses that the node waits for, by their numbers.
	awaited map[*pb.Message]uint64
}

// limits are what a tracker.Inflights is made with.
type limits struct {
	messages int
	bytes    uint64
}

// NewRawNode makes a node from what is in its storage. Upstream panics at a bad configuration; here
// it is the error.
func NewRawNode(config *Config) (*RawNode, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	storage, memory, err := open(config.Storage)
	if err != nil {
		return nil, err
	}
	level := int32(capi.LevelDebug)
	if _, isDefault := config.Logger.(*DefaultLogger); isDefault {
		level = capi.LevelInfo
	}
	node, err := capi.NewNode(config.toLibrary(), storage, logTo(config.Logger), level)
	if err != nil {
		return nil, translate(err)
	}
	return &RawNode{
		node: node, memory: memory, logger: config.Logger,
		async:  config.AsyncStorageWrites,
		limits: limits{messages: config.MaxInflightMsgs, bytes: config.MaxInflightBytes},
	}, nil
}

// Close frees the node's memory. Later calls return ErrStopped or do nothing. Without it the memory
// is freed some time after the node is no longer in use.
func (rn *RawNode) Close() {
	rn.node.Close()
	if rn.memory != nil {
		rn.memory.node.CompareAndSwap(rn.node, nil)
	}
}

// Err returns what a method without an error last failed with, or nil. Upstream panics at these.
func (rn *RawNode) Err() error {
	rn.mu.Lock()
	defer rn.mu.Unlock()
	return rn.err
}

// note remembers a failure for Err.
func (rn *RawNode) note(err error) error {
	if err == nil {
		return nil
	}
	err = translate(err)
	rn.mu.Lock()
	defer rn.mu.Unlock()
	rn.err = err
	return err
}

// Bootstrap starts a group on an empty storage, with these members.
func (rn *RawNode) Bootstrap(peers []Peer) error {
	if len(peers) == 0 {
		return errors.New("must provide at least one peer to Bootstrap")
	}
	ids, contexts := make([]uint64, len(peers)), make([][]byte, len(peers))
	for i, peer := range peers {
		ids[i], contexts[i] = peer.ID, peer.Context
	}
	return translate(rn.node.Bootstrap(ids, contexts))
}

// Tick lets one tick of time pass.
func (rn *RawNode) Tick() { _ = rn.note(rn.node.Tick()) }

// TickQuiesced lets one tick of time pass without acting on it.
//
// Deprecated: it is upstream's, where it will be removed.
func (rn *RawNode) TickQuiesced() { _ = rn.note(rn.node.TickQuiesced()) }

// Campaign campaigns at once.
func (rn *RawNode) Campaign() error { return translate(rn.node.Campaign()) }

// Propose proposes data for the log. A [DroppedError] says that it was not taken, and why.
func (rn *RawNode) Propose(data []byte) error {
	_, err := rn.node.Propose(data)
	return translate(err)
}

// ProposeMany proposes payloads in one call; they become consecutive entries, all or none.
func (rn *RawNode) ProposeMany(payloads [][]byte) error {
	_, err := rn.node.ProposeMany(payloads)
	return translate(err)
}

// ProposeConfChange proposes a membership change. As in upstream, a change that cannot follow the
// present membership is no error: see ProposeConfChangeOutcome.
func (rn *RawNode) ProposeConfChange(cc pb.ConfChangeI) error {
	_, err := rn.ProposeConfChangeOutcome(cc)
	return err
}

// ProposeConfChangeOutcome is ProposeConfChange, and tells what became of the change.
func (rn *RawNode) ProposeConfChangeOutcome(cc pb.ConfChangeI) (ConfChangeOutcome, error) {
	kind, data, err := pb.MarshalConfChange(cc)
	if err != nil {
		return ConfChangeOutcome{}, err
	}
	return rn.proposeConfChange(kind, data)
}

func (rn *RawNode) proposeConfChange(kind pb.EntryType, data []byte) (ConfChangeOutcome, error) {
	proposed, err := rn.node.ProposeConfChange(kind, data)
	if err != nil {
		return ConfChangeOutcome{}, translate(err)
	}
	return ConfChangeOutcome{
		Index: proposed.Last, Term: proposed.Term,
		Forwarded: proposed.Outcome == capi.OutcomeForwarded,
		Replaced:  proposed.Outcome == capi.OutcomeReplaced,
		Reason:    ReplaceReason(proposed.ReplaceReason),
	}, nil
}

// ApplyConfChange applies a committed membership change, and returns the new membership, which
// snapshots must contain. After Close it returns nil.
func (rn *RawNode) ApplyConfChange(cc pb.ConfChangeI) *pb.ConfState {
	data, err := proto.Marshal(asV2(cc))
	if rn.note(err) != nil {
		return nil
	}
	state, err := rn.node.ApplyConfChange(pb.EntryConfChangeV2, data)
	if rn.note(err) != nil || state == nil {
		// A snapshot has overtaken the change, or no node can apply it.
		state, _, _ = rn.node.Details()
	}
	return state
}

func asV2(cc pb.ConfChangeI) *pb.ConfChangeV2 {
	if cc == nil {
		return &pb.ConfChangeV2{}
	}
	return cc.AsV2()
}

// Step hands in a message from a peer, or from a storage thread. A [RefusedError] says that no
// honest member could have sent it.
func (rn *RawNode) Step(m *pb.Message) error {
	switch {
	case m == nil:
		return ErrNilMessage
	case IsLocalMsg(m.GetType()) && !IsLocalMsgTarget(m.GetFrom()):
		return ErrStepLocalMsg
	}
	return rn.take(m)
}

// await remembers responses that the node waits for.
func (rn *RawNode) await(responses map[*pb.Message]uint64) {
	if len(responses) == 0 {
		return
	}
	rn.mu.Lock()
	defer rn.mu.Unlock()
	if rn.awaited == nil {
		rn.awaited = map[*pb.Message]uint64{}
	}
	maps.Copy(rn.awaited, responses)
}

// takeResponse returns the number of a response of a storage thread, or zero. It need not be the
// very message that was handed out: a copy will do.
func (rn *RawNode) takeResponse(m *pb.Message) uint64 {
	if !rn.async {
		return 0
	}
	rn.mu.Lock()
	defer rn.mu.Unlock()
	number, found := rn.awaited[m]
	if found {
		delete(rn.awaited, m)
		return number
	}
	if !IsLocalMsgTarget(m.GetFrom()) && m.GetFrom() != m.GetTo() {
		return 0
	}
	var oldest *pb.Message
	for candidate, place := range rn.awaited {
		if (number == 0 || place < number) && proto.Equal(candidate, m) {
			oldest, number = candidate, place
		}
	}
	delete(rn.awaited, oldest)
	return number
}

// StepMany hands in messages from peers in one call. It returns an error for each message, or nil
// when all were taken. One that is refused does not keep back those after it.
func (rn *RawNode) StepMany(messages []*pb.Message) []error {
	batch := make([]*pb.Message, 0, len(messages))
	places := make([]int, 0, len(messages))
	var results []error
	fail := func(i int, err error) {
		if err != nil && results == nil {
			results = make([]error, len(messages))
		}
		if err != nil {
			results[i] = err
		}
	}
	for i, m := range messages {
		if m == nil || rn.async || m.GetFrom() == None || IsLocalMsg(m.GetType()) {
			fail(i, rn.Step(m))
			continue
		}
		batch, places = append(batch, m), append(places, i)
	}
	if len(batch) == 0 {
		return results
	}
	failed, err := rn.node.StepMany(batch)
	for i, place := range places {
		if err != nil {
			fail(place, translate(err))
		} else if failed != nil {
			fail(place, translate(failed[i]))
		}
	}
	return results
}

// take takes a response of a storage thread, or any other message.
func (rn *RawNode) take(m *pb.Message) error {
	if number := rn.takeResponse(m); number != 0 {
		return translate(rn.node.Respond(number))
	}
	return rn.step(m)
}

// step takes also what upstream's Node sends to itself.
func (rn *RawNode) step(m *pb.Message) error {
	switch m.GetType() {
	case pb.MsgProp:
		if m.GetFrom() == None {
			return rn.proposeEntries(m.GetEntries())
		}
	case pb.MsgReadIndex:
		if m.GetFrom() == None && len(m.GetEntries()) == 1 {
			_ = rn.node.ReadIndex(m.GetEntries()[0].GetData())
			return nil
		}
	case pb.MsgTransferLeader:
		if m.GetTerm() == 0 {
			_ = rn.node.TransferLeader(m.GetFrom())
			return nil
		}
	case pb.MsgForgetLeader:
		return translate(rn.node.ForgetLeader())
	case pb.MsgHup:
		return translate(rn.node.Campaign())
	case pb.MsgUnreachable:
		return translate(rn.node.ReportUnreachable(m.GetFrom()))
	case pb.MsgSnapStatus:
		status := SnapshotFinish
		if m.GetReject() {
			status = SnapshotFailure
		}
		rn.ReportSnapshot(m.GetFrom(), status)
		return nil
	}
	return translate(rn.node.Step(m))
}

// proposeEntries proposes what an application puts into a MsgProp of its own.
func (rn *RawNode) proposeEntries(entries []*pb.Entry) error {
	if len(entries) == 1 && entries[0].GetType() != pb.EntryNormal {
		_, err := rn.proposeConfChange(entries[0].GetType(), entries[0].GetData())
		return err
	}
	payloads := make([][]byte, len(entries))
	for i, e := range entries {
		if e.GetType() != pb.EntryNormal {
			return errors.New("raft: a membership change must be proposed alone")
		}
		payloads[i] = e.GetData()
	}
	return rn.ProposeMany(payloads)
}

// HasReady says whether there is a Ready to take. It makes no call into the library.
func (rn *RawNode) HasReady() bool { return rn.node.HasReady() }

// Ready takes what there is to do. It is empty when there is nothing, and when the last one is not
// advanced.
func (rn *RawNode) Ready() Ready {
	var rd capi.Ready
	if _, err := rn.node.Ready(&rd); err != nil {
		rn.logger.Errorf("raft: no Ready: %v", rn.note(err))
		return Ready{}
	}
	switch {
	case rn.async:
		rn.await(rd.Responses)
	case rn.memory != nil && (len(rd.Entries) > 0 || rd.HardState != nil || rd.Snapshot != nil):
		rn.memory.node.Store(rn.node)
	}
	return rd.Ready
}

// Advance says that everything in the last Ready is done. If its entries are not in the storage, it
// stays outstanding, and Err says so.
func (rn *RawNode) Advance(_ Ready) {
	if rn.async {
		_ = rn.note(errors.New("raft: Advance must not be called with AsyncStorageWrites"))
		return
	}
	if err := rn.note(rn.node.Advance()); err != nil {
		rn.logger.Errorf("raft: the Ready stays outstanding: %v", err)
		return
	}
	if rn.memory != nil && rn.memory.node.Load() == rn.node {
		rn.memory.node.CompareAndSwap(rn.node, nil)
	}
}

// BasicStatus returns what the node knows of itself.
func (rn *RawNode) BasicStatus() BasicStatus {
	s, err := rn.node.State()
	if err != nil {
		return BasicStatus{}
	}
	return BasicStatus{
		ID: s.ID, HardState: capi.HardState(s.Term, s.Vote, s.Commit),
		SoftState: SoftState{Lead: s.Leader, RaftState: StateType(s.Role)},
		Applied:   s.Applied, LeadTransferee: s.TransferringTo,
	}
}

// Status returns everything about the node. The progress of members is there when it leads.
func (rn *RawNode) Status() Status {
	conf, all, err := rn.node.Details()
	status := Status{BasicStatus: rn.BasicStatus(), Config: trackerConfig(conf)}
	if err == nil && status.RaftState == StateLeader {
		status.Progress = make(map[uint64]tracker.Progress, len(all))
		for i := range all {
			status.Progress[all[i].ID] = rn.progress(&all[i], true)
		}
	}
	return status
}

// WithProgress calls visitor for each member that the node leads, by rising id.
func (rn *RawNode) WithProgress(visitor func(id uint64, typ ProgressType, pr tracker.Progress)) {
	_, all, err := rn.node.Details()
	if err != nil {
		return
	}
	for i := range all {
		kind := ProgressTypePeer
		if all[i].IsLearner {
			kind = ProgressTypeLearner
		}
		visitor(all[i].ID, kind, rn.progress(&all[i], false))
	}
}

// ReportUnreachable says that the last message to a member was not delivered.
func (rn *RawNode) ReportUnreachable(id uint64) { _ = rn.note(rn.node.ReportUnreachable(id)) }

// ReportSnapshot says how the sending of a snapshot went.
func (rn *RawNode) ReportSnapshot(id uint64, status SnapshotStatus) {
	outcome := int32(capi.SnapshotFinished)
	if status == SnapshotFailure {
		outcome = capi.SnapshotFailed
	}
	_ = rn.note(rn.node.ReportSnapshot(id, outcome))
}

// TransferLeader asks for leadership to be handed over.
func (rn *RawNode) TransferLeader(transferee uint64) { _ = rn.node.TransferLeader(transferee) }

// ForgetLeader makes a follower forget who leads.
func (rn *RawNode) ForgetLeader() error { return translate(rn.node.ForgetLeader()) }

// ReadIndex asks for an index at which a read is linearizable. It comes in a Ready's ReadStates,
// with the same rctx, or not at all: ask again then. No rctx is used twice, not even after a
// restart: an old answer, with an old index, may be on its way yet.
func (rn *RawNode) ReadIndex(rctx []byte) { _ = rn.node.ReadIndex(rctx) }
