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

// Ready takes the next Ready and copies it; false when there is none. It stays outstanding in the
// library until Advance, unless storage writes are asynchronous.
func (n *Node) Ready() (Ready, bool, error) {
	if err := n.enter(); err != nil {
		return Ready{}, false, err
	}
	defer n.mu.Unlock()
	if err := failure(C.rc_ready(n.box), &n.box.error); err != nil {
		return Ready{}, false, err
	}
	if n.box.ready == nil {
		return Ready{}, false, nil
	}
	rd := n.copyReady(n.box.ready)
	if n.async {
		return rd, true, failure(C.rc_release(n.box), &n.box.error)
	}
	return rd, true, nil
}

// Respond says that a storage thread's work is done.
func (n *Node) Respond(number uint64) error {
	return n.call(func(box *C.rc_box) C.int32_t {
		return C.rc_storage_response(box, C.uint64_t(number))
	})
}

// The parts of a Ready that Persist takes.
const (
	PersistSnapshot  = C.RAFTCORE_PERSIST_SNAPSHOT
	PersistEntries   = C.RAFTCORE_PERSIST_ENTRIES
	PersistHardState = C.RAFTCORE_PERSIST_HARD_STATE
)

// Persist puts parts of the outstanding Ready into the node's memory storage without copying a
// payload.
func (n *Node) Persist(parts uint32) error {
	return n.call(func(box *C.rc_box) C.int32_t { return C.rc_persist(box, C.uint32_t(parts)) })
}

// Advance says that everything in the outstanding Ready is done.
func (n *Node) Advance() error {
	return n.call(func(box *C.rc_box) C.int32_t {
		if box.ready == nil {
			return C.RAFTCORE_OK
		}
		return C.rc_advance(box)
	})
}

// entrySlot is an entry and what it points to.
type entrySlot struct {
	entry       pb.Entry
	term, index uint64
	kind        pb.EntryType
}

// messageSlot is a message and what it points to.
type messageSlot struct {
	message                        pb.Message
	kind                           pb.MessageType
	to, from, term, logTerm, index uint64
	commit, vote, rejectHint       uint64
	reject                         bool
}

// slabs is the memory of one Ready: each kind of thing is allocated once.
type slabs struct {
	entries  []entrySlot
	pointers []*pb.Entry
	data     []byte
	messages []messageSlot
	recent   *recent
}

func (n *Node) copyReady(c *C.raftcore_ready) Ready {
	if c.snapshot != nil {
		n.recent.forget()
	}
	s := slabs{recent: &n.recent}
	s.measure(c)
	rd := Ready{Ready: raft.Ready{MustSync: c.must_sync != 0}, Leave: int(c.messages.count)}
	if c.soft_state != nil {
		rd.SoftState = &raft.SoftState{
			Lead: uint64(c.soft_state.leader), RaftState: raft.StateType(c.soft_state.role),
		}
	}
	if h := c.hard_state; h != nil {
		rd.HardState = HardState(uint64(h.term), uint64(h.vote), uint64(h.commit))
	}
	if c.snapshot != nil {
		rd.Snapshot = snapshot(c.snapshot)
	}
	// First what is new, so that what follows finds it.
	rd.Entries = s.copyEntries(&c.entries)
	n.recent.add(rd.Entries)
	rd.CommittedEntries = s.copyEntries(&c.committed)
	if n.async {
		s.copyAsync(&rd, c, uint64(n.box.state.id))
	} else {
		rd.Messages = s.copyMessages(&c.messages, &c.messages_after_sync)
	}
	if count := int(c.read_states.count); count > 0 {
		rd.ReadStates = make([]raft.ReadState, count)
		for i := range rd.ReadStates {
			state := at[C.raftcore_read_state](unsafe.Pointer(c.read_states.items),
				c.read_states.stride, i)
			rd.ReadStates[i] = raft.ReadState{
				Index: uint64(state.index), RequestCtx: s.bytes(state.context),
			}
		}
	}
	if last := len(rd.CommittedEntries); last > 0 {
		n.recent.committed(rd.CommittedEntries[last-1].GetIndex())
	}
	return rd
}

// measure allocates the slabs. Entries that are at hand need no slot.
func (s *slabs) measure(c *C.raftcore_ready) {
	var slots, pointers, data int
	add := func(entries *C.raftcore_entries, isNew bool) {
		for i := range int(entries.count) {
			e := at[C.raftcore_entry](unsafe.Pointer(entries.items), entries.stride, i)
			pointers++
			if isNew || !(within(c, e) || s.recent.find(uint64(e.index), uint64(e.term)) != nil) {
				slots++
				data += int(e.data.len)
			}
		}
	}
	add(&c.entries, true)
	add(&c.committed, false)
	for _, list := range [...]*C.raftcore_messages{
		&c.messages, &c.messages_after_sync, &c.messages_after_apply,
	} {
		for i := range int(list.count) {
			m := at[C.raftcore_message](unsafe.Pointer(list.items), list.stride, i)
			add(&m.entries, false)
			data += int(m.context.len)
			if isRead(m) {
				slots++
				pointers++
			}
		}
	}
	for i := range int(c.read_states.count) {
		state := at[C.raftcore_read_state](unsafe.Pointer(c.read_states.items),
			c.read_states.stride, i)
		data += int(state.context.len)
	}
	if slots > 0 {
		s.entries = make([]entrySlot, slots)
	}
	if pointers > 0 {
		s.pointers = make([]*pb.Entry, pointers)
	}
	if data > 0 {
		s.data = make([]byte, data)
	}
	count := int(c.messages.count + c.messages_after_sync.count + c.messages_after_apply.count)
	if count > 0 {
		s.messages = make([]messageSlot, count)
	}
}

// within says whether an entry is one of those that the Ready wants persisted.
func within(c *C.raftcore_ready, e *C.raftcore_entry) bool {
	count := int(c.entries.count)
	if count == 0 {
		return false
	}
	first := at[C.raftcore_entry](unsafe.Pointer(c.entries.items), c.entries.stride, 0)
	place := uint64(e.index) - uint64(first.index)
	if place >= uint64(count) {
		return false
	}
	return at[C.raftcore_entry](unsafe.Pointer(c.entries.items), c.entries.stride,
		int(place)).term == e.term
}

func (s *slabs) copyEntries(c *C.raftcore_entries) []*pb.Entry {
	count := int(c.count)
	if count == 0 {
		return nil
	}
	out := s.pointers[:count:count]
	s.pointers = s.pointers[count:]
	for i := range out {
		e := at[C.raftcore_entry](unsafe.Pointer(c.items), c.stride, i)
		if out[i] = s.recent.find(uint64(e.index), uint64(e.term)); out[i] == nil {
			out[i] = s.entry(e)
		}
	}
	return out
}

func (s *slabs) entry(c *C.raftcore_entry) *pb.Entry {
	if len(s.entries) == 0 {
		s.entries = make([]entrySlot, 1)
	}
	slot := &s.entries[0]
	s.entries = s.entries[1:]
	slot.term, slot.index = uint64(c.term), uint64(c.index)
	slot.entry.Term, slot.entry.Index = &slot.term, &slot.index
	if c.kind != C.RAFTCORE_ENTRY_NORMAL {
		slot.kind = pb.EntryType(c.kind)
		slot.entry.Type = &slot.kind
	}
	slot.entry.Data = s.bytes(c.data)
	return &slot.entry
}

// bytes copies bytes; none are nil.
func (s *slabs) bytes(c C.raftcore_slice) []byte {
	length := int(c.len)
	if length == 0 {
		return nil
	}
	if length > len(s.data) {
		s.data = make([]byte, length)
	}
	out := s.data[:length:length]
	s.data = s.data[length:]
	copy(out, view(c.data, c.len))
	return out
}

func (s *slabs) copyMessages(lists ...*C.raftcore_messages) []*pb.Message {
	count := 0
	for _, list := range lists {
		count += int(list.count)
	}
	if count == 0 {
		return nil
	}
	out := make([]*pb.Message, 0, count)
	for _, list := range lists {
		for i := range int(list.count) {
			out = append(out, s.message(at[C.raftcore_message](unsafe.Pointer(list.items),
				list.stride, i)))
		}
	}
	return out
}

// copyAsync makes upstream's messages to the two storage threads, with their responses attached.
func (s *slabs) copyAsync(rd *Ready, c *C.raftcore_ready, id uint64) {
	rd.Messages = s.copyMessages(&c.messages)
	responses := func(list *C.raftcore_messages) []*pb.Message {
		all := s.copyMessages(list)
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
	slot := &s.messages[0]
	s.messages = s.messages[1:]
	m := &slot.message
	slot.kind = pb.MessageType(c.kind)
	m.Type = &slot.kind
	set(&m.To, &slot.to, c.to)
	set(&m.From, &slot.from, c.from)
	set(&m.Term, &slot.term, c.term)
	set(&m.LogTerm, &slot.logTerm, c.log_term)
	set(&m.Index, &slot.index, c.index)
	set(&m.Commit, &slot.commit, c.commit)
	set(&m.Vote, &slot.vote, c.vote)
	set(&m.RejectHint, &slot.rejectHint, c.reject_hint)
	if c.reject != 0 {
		slot.reject = true
		m.Reject = &slot.reject
	}
	if isRead(c) {
		m.Entries = s.contextEntry(c)
	} else {
		m.Context = s.bytes(c.context)
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
	out := s.pointers[:1:1]
	s.pointers = s.pointers[1:]
	slot := &s.entries[0]
	s.entries = s.entries[1:]
	slot.entry.Data = s.bytes(c.context)
	out[0] = &slot.entry
	return out
}

// set sets a field, unless it is zero: on the wire absent means zero.
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
	fields := &struct {
		state              pb.HardState
		term, vote, commit uint64
	}{term: term, vote: vote, commit: commit}
	h := &fields.state
	h.Term, h.Vote, h.Commit = &fields.term, &fields.vote, &fields.commit
	return h
}
