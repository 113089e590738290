package capi

/*
#include "shim.h"
*/
import "C"

import (
	"runtime"
	"runtime/cgo"
	"sync"
	"sync/atomic"
	"unsafe"

	pb "go.etcd.io/raft/v3/raftpb"
)

// Config is a raftcore_config in Go's words.
type Config struct {
	ID, Seed, Applied                                   uint64
	MaxMessageBytes, MaxCommittedBytes                  uint64
	MaxUncommittedBytes, MaxInflightMessages            uint64
	MaxInflightBytes, MaxPendingReads                   uint64
	ElectionTicks, HeartbeatTicks                       uint32
	ReadOnly                                            int32
	CheckQuorum, PreVote, ForwardProposals              bool
	ValidateConfChanges, StepDownOnRemoval, AsyncWrites bool
	VotesWaitForSync, CoalesceAppends                   bool
}

// Node is a raftcore_node and what its wrapper remembers. Its methods may be called from any
// goroutine, one at a time by its own lock.
type Node struct {
	mu sync.Mutex
	// Lives as long as this, so that it can be read without the lock, and after Close.
	box *C.rc_box
	// The same, as calls take it; zero after Close.
	ref C.rc_node
	// Where a callback into Go runs on behalf of a call: a second call from there is refused rather
	// than left waiting for itself.
	inside  *inside
	cleanup runtime.Cleanup
	// Whether it writes to its storage by messages.
	async bool
	slabs slabs
	// Of the Ready that is outstanding.
	handed handed
	// Bytes on their way in.
	scratch []byte
	kept    kept
}

// NewNode makes a node. The storage may be let go of afterwards.
func NewNode(config Config, storage *Storage, logger LogFunc, level int32) (*Node, error) {
	ref := C.rc_node_new()
	if ref == 0 {
		return nil, outOfMemory()
	}
	box := C.rc_box_of(ref)
	c, err := config.toC(&box.error)
	if err != nil {
		C.rc_node_free(ref)
		return nil, err
	}
	status := C.rc_create(ref, c, storage.pointer)
	runtime.KeepAlive(storage)
	if status != C.RAFTCORE_OK {
		err := failure(status, &box.error)
		C.rc_node_free(ref)
		return nil, err
	}
	node := &Node{ref: ref, box: box, inside: storage.inside, async: config.AsyncWrites}
	if !node.async {
		node.slabs.stable = storage.kept
	}
	if node.inside == nil {
		node.inside = new(inside)
	}
	if logger != nil {
		handle := cgo.NewHandle(&logSink{write: logger, inside: node.inside})
		if status := C.rc_set_log(ref, C.int32_t(level),
			C.uint64_t(handle)); status != C.RAFTCORE_OK {
			handle.Delete()
			err := failure(status, &box.error)
			C.rc_node_free(ref)
			return nil, err
		}
	}
	count(1)
	node.cleanup = runtime.AddCleanup(node, free, ref)
	return node, nil
}

func (c *Config) toC(e *C.raftcore_error) (*C.raftcore_config, error) {
	config := new(C.raftcore_config)
	status := C.raftcore_config_init(config, C.size_t(unsafe.Sizeof(*config)), e)
	if err := failure(status, e); err != nil {
		return nil, err
	}
	config.id = C.uint64_t(c.ID)
	if c.Seed != 0 {
		config.seed = C.uint64_t(c.Seed)
	}
	config.applied = C.uint64_t(c.Applied)
	config.max_message_bytes = C.uint64_t(c.MaxMessageBytes)
	config.max_committed_bytes_per_ready = C.uint64_t(c.MaxCommittedBytes)
	config.max_uncommitted_bytes = C.uint64_t(c.MaxUncommittedBytes)
	config.max_inflight_messages = C.uint64_t(c.MaxInflightMessages)
	config.max_inflight_bytes = C.uint64_t(c.MaxInflightBytes)
	config.max_pending_reads = C.uint64_t(c.MaxPendingReads)
	config.election_timeout_ticks = C.uint32_t(c.ElectionTicks)
	config.heartbeat_interval_ticks = C.uint32_t(c.HeartbeatTicks)
	config.read_only = C.raftcore_read_only(c.ReadOnly)
	config.message_forms = C.RAFTCORE_FORM_FIELDS
	config.check_quorum = flag(c.CheckQuorum)
	config.pre_vote = flag(c.PreVote)
	config.forward_proposals = flag(c.ForwardProposals)
	config.validate_conf_changes = flag(c.ValidateConfChanges)
	config.step_down_on_removal = flag(c.StepDownOnRemoval)
	config.votes_wait_for_sync = flag(c.VotesWaitForSync)
	config.coalesce_appends = flag(c.CoalesceAppends)
	config.async_storage_writes = flag(c.AsyncWrites)
	return config, nil
}

func flag(on bool) C.uint32_t {
	if on {
		return 1
	}
	return 0
}

func free(ref C.rc_node) {
	C.rc_node_free(ref)
	count(-1)
}

func freeBox(ref C.rc_node) { C.rc_node_free(ref) }

// Close frees the node. Later calls return ErrClosed.
func (n *Node) Close() {
	if n.enter() != nil {
		return
	}
	defer n.mu.Unlock()
	n.cleanup.Stop()
	C.rc_node_close(n.ref)
	count(-1)
	runtime.AddCleanup(n, freeBox, n.ref)
	n.ref, n.slabs, n.handed, n.scratch, n.kept = 0, slabs{}, handed{}, nil, kept{}
}

// enter locks the node for one call.
func (n *Node) enter() error {
	if n.inside.isHere() {
		return errReentry
	}
	n.mu.Lock()
	if n.ref == 0 {
		n.mu.Unlock()
		return ErrClosed
	}
	return nil
}

var errReentry = &Error{
	Status: StatusReentry,
	Text:   "a node was called while its storage or logger was being called",
}

// call makes one call. The lock is held until it returned, which keeps the node alive as well.
func (n *Node) call(act func(node C.rc_node) C.int32_t) error {
	if err := n.enter(); err != nil {
		return err
	}
	defer n.mu.Unlock()
	return failure(act(n.ref), &n.box.error)
}

// Tick lets one tick pass.
func (n *Node) Tick() error {
	return n.call(func(node C.rc_node) C.int32_t { return C.rc_tick(node) })
}

// TickQuiesced lets one tick pass without acting on it.
func (n *Node) TickQuiesced() error {
	return n.call(func(node C.rc_node) C.int32_t { return C.rc_tick_quiesced(node) })
}

// Campaign campaigns at once.
func (n *Node) Campaign() error {
	return n.call(func(node C.rc_node) C.int32_t { return C.rc_campaign(node) })
}

// ForgetLeader makes a follower forget who leads.
func (n *Node) ForgetLeader() error {
	return n.call(func(node C.rc_node) C.int32_t { return C.rc_forget_leader(node) })
}

// TransferLeader asks for leadership to be handed over.
func (n *Node) TransferLeader(to uint64) error {
	return n.call(func(node C.rc_node) C.int32_t {
		return C.rc_transfer_leader(node, C.uint64_t(to))
	})
}

// ReportUnreachable says that a message could not be sent.
func (n *Node) ReportUnreachable(peer uint64) error {
	return n.call(func(node C.rc_node) C.int32_t {
		return C.rc_report_unreachable(node, C.uint64_t(peer))
	})
}

// ReportSnapshot says how the sending of a snapshot went.
func (n *Node) ReportSnapshot(peer uint64, status int32) error {
	return n.call(func(node C.rc_node) C.int32_t {
		return C.rc_report_snapshot(node, C.uint64_t(peer), C.int32_t(status))
	})
}

// ReadIndex asks for a read index.
func (n *Node) ReadIndex(context []byte) error {
	if err := n.enter(); err != nil {
		return err
	}
	defer n.mu.Unlock()
	return failure(C.rc_read_index(n.ref, bytes(context), C.size_t(len(context))), &n.box.error)
}

// Bootstrap starts a group.
func (n *Node) Bootstrap(ids []uint64, contexts [][]byte) error {
	packed, lengths := pack(nil, contexts)
	return n.call(func(node C.rc_node) C.int32_t {
		return C.rc_bootstrap(node, numbers(ids), numbers(lengths), C.size_t(len(ids)),
			bytes(packed))
	})
}

// Step hands in a message from a peer. Its entries belong to the node then, as with upstream.
func (n *Node) Step(m *pb.Message) error {
	if err := n.enter(); err != nil {
		return err
	}
	defer n.mu.Unlock()
	return n.step(m)
}

func (n *Node) step(m *pb.Message) (err error) {
	switch {
	case isPlain(m):
		return n.stepPlain(m)
	case n.canKeep(m):
		return n.stepKept(m)
	}
	if n.scratch, err = AppendMessage(n.scratch[:0], m, uint64(n.box.id)); err != nil {
		return err
	}
	status := C.rc_step(n.ref, bytes(n.scratch), C.size_t(len(n.scratch)))
	n.shrink()
	n.slabs.doubt(m.GetType())
	return failure(status, &n.box.error)
}

// isPlain says whether a message consists of numbers.
func isPlain(m *pb.Message) bool {
	return len(m.Entries) == 0 && m.Snapshot == nil && len(m.Context) == 0 &&
		m.GetType() != pb.MsgReadIndex && m.GetType() != pb.MsgReadIndexResp
}

// stepPlain hands in a message that consists of numbers. They need not be encoded.
func (n *Node) stepPlain(m *pb.Message) error {
	var reject C.uint32_t
	if m.GetReject() {
		reject = 1
	}
	status := C.rc_step_plain(n.ref, C.int32_t(m.GetType()), reject, C.uint64_t(n.receiver(m)),
		C.uint64_t(m.GetFrom()), C.uint64_t(m.GetTerm()), C.uint64_t(m.GetLogTerm()),
		C.uint64_t(m.GetIndex()), C.uint64_t(m.GetCommit()), C.uint64_t(m.GetRejectHint()))
	n.slabs.doubt(m.GetType())
	return failure(status, &n.box.error)
}

// receiver is whom a message is for. Upstream does not look at it: one to nobody is for this node.
func (n *Node) receiver(m *pb.Message) uint64 {
	if to := m.GetTo(); to != 0 {
		return to
	}
	return uint64(n.box.id)
}

// StepMany hands in messages, in one call but for the appends whose payloads stay in Go. It
// returns an error for each, nil for those taken.
func (n *Node) StepMany(messages []*pb.Message) ([]error, error) {
	if err := n.enter(); err != nil {
		return nil, err
	}
	defer n.mu.Unlock()
	var results []error
	fail := func(i int, err error) {
		if err != nil && results == nil {
			results = make([]error, len(messages))
		}
		if err != nil {
			results[i] = err
		}
	}
	for at := 0; at < len(messages); {
		if n.canKeep(messages[at]) {
			fail(at, n.stepKept(messages[at]))
			at++
			continue
		}
		end := at + 1
		for end < len(messages) && messages[end].GetType() != pb.MsgApp {
			end++
		}
		if err := n.stepPacked(messages[at:end], at, fail); err != nil {
			return nil, err
		}
		at = end
	}
	return results, nil
}

// stepPacked hands in messages in one call, and says of each that failed, counted from first, why.
func (n *Node) stepPacked(messages []*pb.Message, first int, fail func(int, error)) error {
	lengths := make([]uint64, len(messages))
	n.scratch = n.scratch[:0]
	for i, m := range messages {
		before := len(n.scratch)
		var err error
		if n.scratch, err = AppendMessage(n.scratch, m, uint64(n.box.id)); err != nil {
			return err
		}
		lengths[i] = uint64(len(n.scratch) - before)
	}
	statuses := make([]int32, len(messages))
	worst := C.rc_step_many(n.ref, bytes(n.scratch), C.size_t(len(n.scratch)), numbers(lengths),
		C.size_t(len(messages)), (*C.int32_t)(unsafe.Pointer(unsafe.SliceData(statuses))))
	n.shrink()
	for _, m := range messages {
		n.slabs.doubt(m.GetType())
	}
	told := false
	for i, status := range statuses {
		switch {
		case status == C.RAFTCORE_OK:
		case status == int32(worst) && !told: // The text is that of the first one.
			told = true
			fail(first+i, failure(worst, &n.box.error))
		default:
			fail(first+i, failure(C.int32_t(status), &C.raftcore_error{}))
		}
	}
	return nil
}

// shrink lets go of a buffer that one large message made large.
func (n *Node) shrink() {
	if cap(n.scratch) > 1<<20 {
		n.scratch = nil
	}
}

// Proposed is what became of a proposal.
type Proposed struct {
	Outcome, ReplaceReason    int32
	Term, First, Last, Leader uint64
}

func (n *Node) proposed(status C.int32_t) (Proposed, error) {
	if status != C.RAFTCORE_OK {
		return Proposed{}, failure(status, &n.box.error)
	}
	p := &n.box.proposed
	n.kept.elsewhere = p.outcome == C.RAFTCORE_OUTCOME_FORWARDED
	return Proposed{
		Outcome: int32(p.outcome), ReplaceReason: int32(p.replace_reason),
		Term: uint64(p.term), First: uint64(p.first), Last: uint64(p.last),
		Leader: uint64(p.leader),
	}, nil
}

// Propose proposes one payload.
func (n *Node) Propose(data []byte) (Proposed, error) {
	if err := n.enter(); err != nil {
		return Proposed{}, err
	}
	defer n.mu.Unlock()
	one := [1][]byte{data}
	if proposed, done, err := n.proposeKept(one[:]); done {
		return proposed, err
	}
	return n.proposed(C.rc_propose(n.ref, bytes(data), C.size_t(len(data))))
}

// ProposeMany proposes payloads that become consecutive entries, all or none.
func (n *Node) ProposeMany(payloads [][]byte) (Proposed, error) {
	if err := n.enter(); err != nil {
		return Proposed{}, err
	}
	defer n.mu.Unlock()
	if proposed, done, err := n.proposeKept(payloads); done {
		return proposed, err
	}
	var lengths []uint64
	n.scratch, lengths = pack(n.scratch[:0], payloads)
	status := C.rc_propose_many(n.ref, bytes(n.scratch), C.size_t(len(n.scratch)), numbers(lengths),
		C.size_t(len(lengths)))
	n.shrink()
	return n.proposed(status)
}

func pack(buffer []byte, parts [][]byte) ([]byte, []uint64) {
	lengths := make([]uint64, len(parts))
	for i, part := range parts {
		buffer = append(buffer, part...)
		lengths[i] = uint64(len(part))
	}
	return buffer, lengths
}

// ProposeConfChange proposes a membership change in the form in which an entry has it.
func (n *Node) ProposeConfChange(kind pb.EntryType, data []byte) (Proposed, error) {
	if err := n.enter(); err != nil {
		return Proposed{}, err
	}
	defer n.mu.Unlock()
	status := C.rc_propose_conf_change(n.ref, C.int32_t(kind), bytes(data), C.size_t(len(data)))
	return n.proposed(status)
}

// ApplyConfChange applies a membership change in the form in which an entry has it. It returns
// nil when a snapshot has overtaken the change.
func (n *Node) ApplyConfChange(kind pb.EntryType, data []byte) (*pb.ConfState, error) {
	if err := n.enter(); err != nil {
		return nil, err
	}
	defer n.mu.Unlock()
	var state *C.raftcore_conf_state
	status := C.rc_apply_conf_change(n.ref, C.int32_t(kind), bytes(data), C.size_t(len(data)),
		&state)
	return n.takeConfState(status, state)
}

// ApplyEntry applies the membership change in an entry, as ApplyConfChange, and knows by its index
// whether a snapshot has overtaken it.
func (n *Node) ApplyEntry(e *pb.Entry) (*pb.ConfState, error) {
	if err := n.enter(); err != nil {
		return nil, err
	}
	defer n.mu.Unlock()
	var state *C.raftcore_conf_state
	status := C.rc_apply_entry(n.ref, C.uint64_t(e.GetTerm()), C.uint64_t(e.GetIndex()),
		C.int32_t(e.GetType()), bytes(e.GetData()), C.size_t(len(e.GetData())), &state)
	return n.takeConfState(status, state)
}

func (n *Node) takeConfState(status C.int32_t, c *C.raftcore_conf_state) (*pb.ConfState, error) {
	if err := failure(status, &n.box.error); err != nil || c == nil {
		return nil, err
	}
	defer C.raftcore_conf_state_destroy(c)
	return confState(c), nil
}

// State is what a node knows of itself.
type State struct {
	ID, Term, Vote, Commit, Applied, Leader, TransferringTo uint64
	FirstIndex, LastIndex                                   uint64
	Role                                                    int32
	HasReady, Faulted                                       bool
}

// State returns the node's state.
func (n *Node) State() (State, error) {
	if err := n.enter(); err != nil {
		return State{}, err
	}
	defer n.mu.Unlock()
	C.rc_state(n.ref)
	s := &n.box.state
	return State{
		ID: uint64(s.id), Term: uint64(s.term), Vote: uint64(s.vote), Commit: uint64(s.commit),
		Applied: uint64(s.applied), Leader: uint64(s.leader),
		TransferringTo: uint64(s.transferring_to),
		FirstIndex:     uint64(s.first_index), LastIndex: uint64(s.last_index),
		Role: int32(s.role), HasReady: s.has_ready == 1, Faulted: s.faulted != 0,
	}, nil
}

// HasReady says whether there is a Ready to take. It costs no call and no lock.
func (n *Node) HasReady() bool {
	has := atomic.LoadInt32((*int32)(unsafe.Pointer(&n.box.has_ready)))
	runtime.KeepAlive(n)
	return has == 1
}

// Progress is how far a leader is with one member.
type Progress struct {
	ID, Match, Next, PendingSnapshot    uint64
	InflightMessages, InflightBytes     uint64
	State                               int32
	IsLearner, RecentActive, FlowPaused bool
}

// Details returns the membership that governs the node, and the progress of each member.
func (n *Node) Details() (*pb.ConfState, []Progress, error) {
	if err := n.enter(); err != nil {
		return nil, nil, err
	}
	defer n.mu.Unlock()
	var details *C.raftcore_details
	if err := failure(C.rc_details(n.ref, &details), &n.box.error); err != nil {
		return nil, nil, err
	}
	defer C.raftcore_details_destroy(details)
	all := make([]Progress, int(details.progress.count))
	for i := range all {
		p := at[C.raftcore_progress](unsafe.Pointer(details.progress.items),
			details.progress.stride, i)
		all[i] = Progress{
			ID: uint64(p.id), Match: uint64(p.match_index), Next: uint64(p.next_index),
			PendingSnapshot:  uint64(p.pending_snapshot),
			InflightMessages: uint64(p.inflight_messages),
			InflightBytes:    uint64(p.inflight_bytes),
			State:            int32(p.state), IsLearner: p.is_learner != 0,
			RecentActive: p.recent_active != 0, FlowPaused: p.flow_paused != 0,
		}
	}
	return confState(details.membership), all, nil
}

func confState(c *C.raftcore_conf_state) *pb.ConfState {
	autoLeave := c.auto_leave != 0
	return &pb.ConfState{
		Voters: ids(c.voters), Learners: ids(c.learners),
		VotersOutgoing: ids(c.voters_outgoing), LearnersNext: ids(c.learners_next),
		AutoLeave: &autoLeave,
	}
}

func ids(list C.raftcore_ids) []uint64 {
	if list.count == 0 {
		return nil
	}
	return append([]uint64(nil), unsafe.Slice((*uint64)(unsafe.Pointer(list.items)),
		int(list.count))...)
}

// StepEncoded hands in a message as it came over the wire.
func (n *Node) StepEncoded(data []byte) error {
	if err := n.enter(); err != nil {
		return err
	}
	defer n.mu.Unlock()
	n.slabs.doubted = true
	return failure(C.rc_step(n.ref, bytes(data), C.size_t(len(data))), &n.box.error)
}
