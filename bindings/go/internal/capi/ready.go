package capi

/*
#include "shim.h"
*/
import "C"

import (
	"unsafe"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// Ready is what a node wants done.
type Ready struct {
	raft.Ready
	// So many of its messages may leave before anything is on disk.
	Leave int
	// With asynchronous storage writes: the responses that go back into the node, by their numbers.
	Responses map[*pb.Message]uint64
}

// Ready takes the next Ready and copies it to rd; false when there is none. It stays outstanding in
// the library until Advance, unless storage writes are asynchronous.
func (n *Node) Ready(rd *Ready) (bool, error) {
	if err := n.enter(); err != nil {
		return false, err
	}
	defer n.mu.Unlock()
	if status := C.rc_ready(n.ref); status != C.RAFTCORE_OK {
		return false, failure(status, &n.box.error)
	}
	if n.box.ready == nil {
		return false, nil
	}
	if err := n.copyReady(rd, n.box.ready); err != nil {
		return false, err
	}
	if n.async {
		return true, failure(C.rc_release(n.ref), &n.box.error)
	}
	n.handed.entries, n.handed.hardState, n.handed.snapshot = rd.Entries, rd.HardState, rd.Snapshot
	return true, nil
}

// Respond says that a storage thread's work is done.
func (n *Node) Respond(number uint64) error {
	return n.call(func(node C.rc_node) C.int32_t {
		return C.rc_storage_response(node, C.uint64_t(number))
	})
}

// handed is what the application is to store of the Ready that is outstanding.
type handed struct {
	entries   []*pb.Entry
	hardState *pb.HardState
	snapshot  *pb.Snapshot
}

// StoreEntries says that the application stores these entries. If they are those of the outstanding
// Ready they go into the node's memory storage, without copying a payload and without a call: the
// next call that needs them there does it first. If not, it returns false.
func (n *Node) StoreEntries(entries []*pb.Entry) bool {
	if len(entries) == 0 || n.enter() != nil {
		return false
	}
	h := n.handed.entries
	return n.store(C.RAFTCORE_PERSIST_ENTRIES, len(h) == len(entries) && &h[0] == &entries[0])
}

// StoreHardState is StoreEntries for a hard state.
func (n *Node) StoreHardState(state *pb.HardState) bool {
	if state == nil || n.enter() != nil {
		return false
	}
	return n.store(C.RAFTCORE_PERSIST_HARD_STATE, n.handed.hardState == state)
}

// StoreSnapshot is StoreEntries for a snapshot.
func (n *Node) StoreSnapshot(snap *pb.Snapshot) bool {
	if snap == nil || n.enter() != nil {
		return false
	}
	return n.store(C.RAFTCORE_PERSIST_SNAPSHOT, n.handed.snapshot == snap)
}

// store is the end of the calls above: it unlocks.
func (n *Node) store(part C.uint32_t, isHanded bool) bool {
	if isHanded {
		n.box.stored |= part
		isHanded = n.mirrored(part)
	}
	n.mu.Unlock()
	return isHanded
}

// mirrored has the storage's mirror follow. What could fail there is done in the library first.
func (n *Node) mirrored(part C.uint32_t) bool {
	m := n.slabs.stable
	if m == nil || part == C.RAFTCORE_PERSIST_HARD_STATE {
		return true
	}
	if part == C.RAFTCORE_PERSIST_SNAPSHOT {
		if C.rc_persist(n.ref) != C.RAFTCORE_OK {
			return false
		}
		m.change(func(m *mirror) { m.cut(0) })
		return true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	first := n.handed.entries[0].GetIndex()
	if len(m.entries) == 0 || first < m.first || first > m.end() {
		if C.rc_persist(n.ref) != C.RAFTCORE_OK {
			return false
		}
	}
	m.append(first, n.handed.entries)
	return true
}

// Flush does what was left to be done.
func (n *Node) Flush() error {
	if err := n.enter(); err != nil {
		return err
	}
	defer n.mu.Unlock()
	if n.box.stored == 0 {
		return nil
	}
	return failure(C.rc_persist(n.ref), &n.box.error)
}

// Advance says that everything in the outstanding Ready is done.
func (n *Node) Advance() error {
	if err := n.enter(); err != nil {
		return err
	}
	defer n.mu.Unlock()
	if n.box.ready == nil {
		return nil
	}
	if status := C.rc_advance(n.ref); status != C.RAFTCORE_OK {
		return failure(status, &n.box.error)
	}
	n.handed = handed{}
	n.slabs.log.drop(n.slabs.applied)
	return nil
}

// messageSlot is a message and its kind. The numbers that it points to are in a slab of their own,
// since no kind has all of them.
type messageSlot struct {
	message pb.Message
	kind    pb.MessageType
	reject  bool
}

// stateSlot is a hard state and what it points to.
type stateSlot struct {
	state              pb.HardState
	term, vote, commit uint64
}

// slabs is the memory of Readies: each kind of thing is allocated many at a time, for several small
// Readies or for one large one. What is handed out is never taken back: a slab lives as long as
// anything in it is in use.
type slabs struct {
	entries  []pb.Entry
	pointers []*pb.Entry
	data     []byte
	messages []messageSlot
	outgoing []*pb.Message
	numbers  []uint64
	// What messages had last: the next ones have the same.
	from, term *uint64
	states     []stateSlot
	// What the library has yet to hand out, or to hand out as committed: up to applied it has.
	log     run
	applied uint64
	// Whether the log may have lost entries since, so that runs of it must be looked at one by one.
	doubted bool
	// What the memory storage has, or nil.
	stable *mirror
	// An entry was shown whose payload is not here any more.
	lost bool
}

// So much of each kind is allocated at once, if not more is needed.
const (
	entryChunk   = 32
	pointerChunk = 128
	dataChunk    = 4096
	messageChunk = 16
	stateChunk   = 16
	numberChunk  = 128
	// A message has at most so many numbers. A power of two: see message.
	numbersOfMessage = 8
)

// take hands out n things of a slab, and makes a new one if need be.
func take[T any](slab *[]T, n, chunk int) []T {
	if n > len(*slab) {
		if n >= chunk {
			return make([]T, n)
		}
		*slab = make([]T, chunk)
	}
	out := (*slab)[:n:n]
	*slab = (*slab)[n:]
	return out
}

// copyReady writes to rd, which is empty.
func (n *Node) copyReady(rd *Ready, c *C.raftcore_ready) error {
	s := &n.slabs
	rd.MustSync = c.must_sync != 0
	if c.soft_state != nil {
		rd.SoftState = &raft.SoftState{
			Lead: uint64(c.soft_state.leader), RaftState: raft.StateType(c.soft_state.role),
		}
	}
	if h := c.hard_state; h != nil {
		slot := &take(&s.states, 1, stateChunk)[0]
		slot.term, slot.vote, slot.commit = uint64(h.term), uint64(h.vote), uint64(h.commit)
		rd.HardState = slot.fields()
	}
	if c.snapshot != nil {
		rd.Snapshot = snapshot(c.snapshot)
		s.log.drop(uint64(c.snapshot.index))
	}
	// First what is new, so that what follows finds it.
	rd.Entries = s.newEntries(&c.entries)
	rd.CommittedEntries = s.copyEntries(&c.committed)
	if last := len(rd.CommittedEntries); last > 0 {
		s.applied = rd.CommittedEntries[last-1].GetIndex()
	}
	if s.lost {
		return errLost
	}
	if n.async {
		s.copyAsync(rd, c, uint64(n.box.id))
		s.log.drop(s.applied)
	} else {
		rd.Messages, rd.Leave = s.copyMessages(&c.messages, &c.messages_after_sync)
	}
	rd.ReadStates = s.readStates(&c.read_states)
	return nil
}

func (s *slabs) readStates(c *C.raftcore_read_states) []raft.ReadState {
	if c.count == 0 {
		return nil
	}
	states := make([]raft.ReadState, int(c.count))
	for i := range states {
		state := at[C.raftcore_read_state](unsafe.Pointer(c.items), c.stride, i)
		states[i] = raft.ReadState{
			Index: uint64(state.index), RequestCtx: s.bytes(state.context),
		}
	}
	return states
}

// span is what two ends of a list of entries say. Two lists of one log that end alike are alike.
type span struct{ first, last, term uint64 }

// bounds are those of a list that is not empty.
func bounds(list *C.raftcore_entries) span {
	if list.count == 0 {
		return span{}
	}
	first := at[C.raftcore_entry](unsafe.Pointer(list.items), list.stride, 0)
	last := at[C.raftcore_entry](unsafe.Pointer(list.items), list.stride, int(list.count)-1)
	return span{uint64(first.index), uint64(last.index), uint64(last.term)}
}

// newEntries returns entries that were not handed out yet, and has the log end with them.
func (s *slabs) newEntries(c *C.raftcore_entries) []*pb.Entry {
	entries := s.copyEntries(c)
	if len(entries) > 0 && (s.doubted || s.log.holes || s.log.end() != bounds(c).last+1) {
		s.log.put(entries[0].GetIndex(), entries)
	}
	s.doubted = false
	return entries
}

// copyEntries returns entries that are here, and copies of the others.
func (s *slabs) copyEntries(c *C.raftcore_entries) []*pb.Entry {
	count := int(c.count)
	if count == 0 {
		return nil
	}
	if known := s.known(bounds(c)); known != nil {
		return known
	}
	out := take(&s.pointers, count, pointerChunk)
	missing, size := 0, 0
	for i := range out {
		e := at[C.raftcore_entry](unsafe.Pointer(c.items), c.stride, i)
		if out[i] = s.find(e); out[i] == nil {
			missing++
			size += int(e.data.len)
		}
	}
	if missing > 0 {
		s.copyMissing(out, c, missing, size)
	}
	return out
}

// known returns a list that lies in one piece in the log, or in the mirror.
func (s *slabs) known(b span) []*pb.Entry {
	if s.doubted {
		return nil
	}
	list := s.log.list(b)
	if list == nil && s.stable != nil {
		s.stable.mu.Lock()
		defer s.stable.mu.Unlock()
		if list = s.stable.list(b); list != nil {
			out := take(&s.pointers, len(list), pointerChunk)
			copy(out, list)
			return out
		}
	}
	return list
}

// find returns the entry that the library means, or nil.
func (s *slabs) find(c *C.raftcore_entry) *pb.Entry {
	e := s.log.at(uint64(c.index), uint64(c.term))
	if e == nil {
		e = s.stable.at(uint64(c.index), uint64(c.term))
	}
	if e == nil || len(e.Data) != int(c.data.len) {
		return nil
	}
	return e
}

// copyMissing copies what out has not, whose payloads have so many bytes.
func (s *slabs) copyMissing(out []*pb.Entry, c *C.raftcore_entries, missing, size int) {
	entries := take(&s.entries, missing, entryChunk)
	numbers := take(&s.numbers, 2*missing, numberChunk)
	data := take(&s.data, size, dataChunk)
	for i := range out {
		if out[i] != nil {
			continue
		}
		c := at[C.raftcore_entry](unsafe.Pointer(c.items), c.stride, i)
		e := &entries[0]
		set(&e.Term, &numbers[0], c.term)
		set(&e.Index, &numbers[1], c.index)
		entries, numbers = entries[1:], numbers[2:]
		if c.kind != C.RAFTCORE_ENTRY_NORMAL {
			e.Type = pb.EntryType(c.kind).Enum()
		}
		if length := int(c.data.len); length > 0 {
			e.Data = data[:length:length]
			data = data[length:]
			if c.data.data == nil {
				s.lost = true
			} else {
				copy(e.Data, view(c.data.data, c.data.len))
			}
		}
		out[i] = e
	}
}

// doubt notes a message that may have replaced entries without their being known here.
func (s *slabs) doubt(kind pb.MessageType) {
	s.doubted = s.doubted || kind == pb.MsgApp || kind == pb.MsgSnap
}

// bytes copies bytes; none are nil.
func (s *slabs) bytes(c C.raftcore_slice) []byte {
	if c.len == 0 {
		return nil
	}
	out := take(&s.data, int(c.len), dataChunk)
	copy(out, view(c.data, c.len))
	return out
}

// copyMessages copies two lists into one, and says how many are of the first. A message whose
// entries the application has compacted since it was made is as good as lost on its way.
func (s *slabs) copyMessages(first, then *C.raftcore_messages) ([]*pb.Message, int) {
	count := int(first.count + then.count)
	if count == 0 {
		return nil, 0
	}
	out := take(&s.outgoing, count, pointerChunk)[:0]
	out = s.appendMessages(out, first)
	leave := len(out)
	return s.appendMessages(out, then), leave
}

func (s *slabs) appendMessages(out []*pb.Message, list *C.raftcore_messages) []*pb.Message {
	for i := range int(list.count) {
		m := s.message(at[C.raftcore_message](unsafe.Pointer(list.items), list.stride, i))
		if s.lost {
			s.lost = false
			continue
		}
		out = append(out, m)
	}
	return out
}

// copyAsync makes upstream's messages to the two storage threads, with their responses attached.
func (s *slabs) copyAsync(rd *Ready, c *C.raftcore_ready, id uint64) {
	rd.Messages = s.appendMessages(nil, &c.messages)
	rd.Leave = len(rd.Messages)
	responses := func(list *C.raftcore_messages) []*pb.Message {
		all := s.appendMessages(nil, list)
		for i, m := range all {
			number := at[C.raftcore_message](unsafe.Pointer(list.items), list.stride,
				i).response_number
			if number == 0 {
				continue
			}
			if rd.Responses == nil {
				rd.Responses = map[*pb.Message]uint64{}
			}
			rd.Responses[m] = uint64(number)
		}
		return all
	}
	after := responses(&c.messages_after_sync)
	h := rd.HardState
	if len(rd.Entries) > 0 || !raft.IsEmptyHardState(h) || rd.Snapshot != nil || len(after) > 0 {
		m := local(pb.MsgStorageAppend, raft.LocalAppendThread, id)
		m.Entries, m.Snapshot, m.Responses = rd.Entries, rd.Snapshot, after
		if !raft.IsEmptyHardState(h) {
			m.Term, m.Vote, m.Commit = h.Term, h.Vote, h.Commit
		}
		rd.Messages = append(rd.Messages, m)
	}
	applied := responses(&c.messages_after_apply)
	if len(rd.CommittedEntries) > 0 {
		m := local(pb.MsgStorageApply, raft.LocalApplyThread, id)
		m.Entries, m.Responses = rd.CommittedEntries, applied
		rd.Messages = append(rd.Messages, m)
	}
}

func local(kind pb.MessageType, to, from uint64) *pb.Message {
	return &pb.Message{Type: &kind, To: &to, From: &from}
}

func (s *slabs) message(c *C.raftcore_message) *pb.Message {
	slot := &take(&s.messages, 1, messageChunk)[0]
	m := &slot.message
	slot.kind = pb.MessageType(c.kind)
	m.Type = &slot.kind
	if len(s.numbers) < numbersOfMessage {
		s.numbers = make([]uint64, numberChunk)
	}
	// On the wire absent means zero.
	n := (*[numbersOfMessage]uint64)(s.numbers)
	n[0] = uint64(c.to)
	m.To = &n[0]
	used := 1
	number := func(value C.uint64_t) *uint64 {
		slot := &n[used&(numbersOfMessage-1)] // masked, so that no bound is checked
		*slot = uint64(value)
		used++
		return slot
	}
	if s.from == nil || *s.from != uint64(c.from) {
		s.from = number(c.from)
	}
	m.From = s.from
	if c.term != 0 {
		if s.term == nil || *s.term != uint64(c.term) {
			s.term = number(c.term)
		}
		m.Term = s.term
	}
	if c.log_term != 0 {
		m.LogTerm = number(c.log_term)
	}
	if c.index != 0 {
		m.Index = number(c.index)
	}
	if c.commit != 0 {
		m.Commit = number(c.commit)
	}
	if c.vote != 0 {
		m.Vote = number(c.vote)
	}
	if c.reject_hint != 0 {
		m.RejectHint = number(c.reject_hint)
	}
	s.numbers = s.numbers[used:]
	if c.reject != 0 {
		slot.reject = true
		m.Reject = &slot.reject
	}
	if isRead(c) {
		m.Entries = s.contextEntry(c)
		return m
	}
	if c.context.len != 0 {
		m.Context = s.bytes(c.context)
	}
	if c.entries.count != 0 {
		m.Entries = s.copyEntries(&c.entries)
	}
	if c.snapshot != nil {
		m.Snapshot = snapshot(c.snapshot)
	}
	return m
}

// isRead says whether a message asks for or answers a read. On the wire it has its context in an
// entry.
func isRead(c *C.raftcore_message) bool {
	return c.kind == C.RAFTCORE_MESSAGE_READ_INDEX ||
		c.kind == C.RAFTCORE_MESSAGE_READ_INDEX_RESPONSE
}

func (s *slabs) contextEntry(c *C.raftcore_message) []*pb.Entry {
	out := take(&s.pointers, 1, pointerChunk)
	out[0] = &take(&s.entries, 1, entryChunk)[0]
	out[0].Data = s.bytes(c.context)
	return out
}

// set sets a field, unless it is zero.
func set(field **uint64, slot *uint64, value C.uint64_t) {
	if value != 0 {
		*slot = uint64(value)
		*field = slot
	}
}

func snapshot(c *C.raftcore_snapshot) *pb.Snapshot {
	index, term := uint64(c.index), uint64(c.term)
	s := &pb.Snapshot{Metadata: &pb.SnapshotMetadata{
		ConfState: confState(c.conf_state), Index: &index, Term: &term,
	}}
	if c.data.len > 0 {
		s.Data = append([]byte(nil), view(c.data.data, c.data.len)...)
	}
	return s
}

// HardState makes a hard state with all its fields.
func HardState(term, vote, commit uint64) *pb.HardState {
	return (&stateSlot{term: term, vote: vote, commit: commit}).fields()
}

func (s *stateSlot) fields() *pb.HardState {
	s.state.Term, s.state.Vote, s.state.Commit = &s.term, &s.vote, &s.commit
	return &s.state
}
