package capi

/*
#include "shim.h"
*/
import "C"

import (
	"runtime"
	"runtime/cgo"
	"slices"
	"unsafe"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// Storage is a raftcore_storage.
type Storage struct {
	pointer *C.raftcore_storage
	// Of a storage written in Go: where one of its methods runs.
	inside *inside
	// Of a memory storage: the payloads that stayed in Go.
	kept *mirror
}

// NewMemory makes an empty memory storage in the library.
func NewMemory() (*Storage, error) {
	var pointer *C.raftcore_storage
	var e C.raftcore_error
	e.struct_size = C.size_t(unsafe.Sizeof(e))
	if err := failure(C.raftcore_storage_create_memory(nil, &pointer, &e), &e); err != nil {
		return nil, err
	}
	s := ownStorage(pointer, nil)
	s.kept = new(mirror)
	// Upstream has no Close: a program makes the next node while the last one, which it has
	// dropped, is not collected yet.
	return s, s.call(func(pointer *C.raftcore_storage, e *C.raftcore_error) C.int32_t {
		return C.raftcore_storage_set_shared(pointer, 1, e)
	})
}

// NewCallbacks makes a storage that asks one written in Go.
func NewCallbacks(storage raft.Storage) (*Storage, error) {
	table := &callbacks{storage: storage}
	handle := cgo.NewHandle(table)
	var pointer *C.raftcore_storage
	var e C.raftcore_error
	e.struct_size = C.size_t(unsafe.Sizeof(e))
	status := C.rc_storage_callbacks(C.uint64_t(handle), &pointer, &e)
	if err := failure(status, &e); err != nil {
		handle.Delete()
		return nil, err
	}
	return ownStorage(pointer, &table.inside), nil
}

func ownStorage(pointer *C.raftcore_storage, inside *inside) *Storage {
	s := &Storage{pointer: pointer, inside: inside}
	count(1)
	runtime.AddCleanup(s, freeStorage, pointer)
	return s
}

func freeStorage(pointer *C.raftcore_storage) {
	C.raftcore_storage_destroy(pointer)
	count(-1)
}

func (s *Storage) call(act func(pointer *C.raftcore_storage, e *C.raftcore_error) C.int32_t) error {
	var e C.raftcore_error
	e.struct_size = C.size_t(unsafe.Sizeof(e))
	status := act(s.pointer, &e)
	runtime.KeepAlive(s)
	return failure(status, &e)
}

// Append appends entries.
func (s *Storage) Append(entries []*pb.Entry) error {
	packed, err := packEntries(nil, entries)
	if err != nil {
		return err
	}
	err = s.call(func(pointer *C.raftcore_storage, e *C.raftcore_error) C.int32_t {
		return C.rc_storage_append(pointer, bytes(packed), C.size_t(len(entries)), e)
	})
	if err == nil && len(entries) > 0 {
		s.kept.change(func(m *mirror) { m.cut(entries[0].GetIndex()) })
	}
	return err
}

// packEntries appends entries, each as a head and its data.
func packEntries(b []byte, entries []*pb.Entry) ([]byte, error) {
	size := 0
	for _, e := range entries {
		if e == nil {
			return b, errNilEntry
		}
		size += int(unsafe.Sizeof(C.rc_head{})) + len(e.Data)
	}
	b = slices.Grow(b, size)
	for _, e := range entries {
		head := C.rc_head{
			term: C.uint64_t(e.GetTerm()), index: C.uint64_t(e.GetIndex()),
			len: C.uint64_t(len(e.Data)), kind: C.int32_t(e.GetType()),
		}
		b = append(b, (*[unsafe.Sizeof(head)]byte)(unsafe.Pointer(&head))[:]...)
		b = append(b, e.Data...)
	}
	return b, nil
}

// SetHardState sets the hard state.
func (s *Storage) SetHardState(h *pb.HardState) error {
	c := C.raftcore_hard_state{
		term: C.uint64_t(h.GetTerm()), vote: C.uint64_t(h.GetVote()),
		commit: C.uint64_t(h.GetCommit()),
	}
	return s.call(func(pointer *C.raftcore_storage, e *C.raftcore_error) C.int32_t {
		return C.raftcore_storage_set_hard_state(pointer, &c, e)
	})
}

// members lays a membership out for C.
func members(cs *pb.ConfState) (C.rc_members, []uint64) {
	var m C.rc_members
	if cs == nil {
		m.is_null = 1
		return m, nil
	}
	var all []uint64
	for i, list := range [...][]uint64{cs.Voters, cs.Learners, cs.VotersOutgoing, cs.LearnersNext} {
		m.counts[i] = C.uint64_t(len(list))
		all = append(all, list...)
	}
	m.auto_leave = flag(cs.GetAutoLeave())
	return m, all
}

// ApplySnapshot replaces the log by a snapshot.
func (s *Storage) ApplySnapshot(snap *pb.Snapshot) error {
	meta := snap.GetMetadata()
	conf, ids := members(meta.GetConfState())
	data := snap.GetData()
	err := s.call(func(pointer *C.raftcore_storage, e *C.raftcore_error) C.int32_t {
		return C.rc_storage_apply_snapshot(pointer, C.uint64_t(meta.GetIndex()),
			C.uint64_t(meta.GetTerm()), &conf, numbers(ids), bytes(data), C.size_t(len(data)), e)
	})
	if err == nil {
		s.kept.change(func(m *mirror) { m.cut(0) })
	}
	return err
}

// SetConfState sets the membership that a node begins with.
func (s *Storage) SetConfState(cs *pb.ConfState) error {
	conf, ids := members(cs)
	return s.call(func(pointer *C.raftcore_storage, e *C.raftcore_error) C.int32_t {
		return C.rc_storage_set_conf_state(pointer, &conf, numbers(ids), e)
	})
}

// CreateSnapshot makes a snapshot; a nil membership is that of the last one.
func (s *Storage) CreateSnapshot(index uint64, cs *pb.ConfState, data []byte) (*pb.Snapshot,
	error) {
	conf, ids := members(cs)
	var out *C.raftcore_snapshot
	err := s.call(func(pointer *C.raftcore_storage, e *C.raftcore_error) C.int32_t {
		return C.rc_storage_create_snapshot(pointer, C.uint64_t(index), &conf, numbers(ids),
			bytes(data), C.size_t(len(data)), &out, e)
	})
	if err != nil {
		return nil, err
	}
	defer C.raftcore_snapshot_destroy(out)
	return snapshot(out), nil
}

// Compact throws entries away.
func (s *Storage) Compact(index uint64) error {
	err := s.call(func(pointer *C.raftcore_storage, e *C.raftcore_error) C.int32_t {
		return C.raftcore_storage_compact(pointer, C.uint64_t(index), e)
	})
	if err == nil {
		s.kept.change(func(m *mirror) { m.drop(index) })
	}
	return err
}

// FirstIndex returns the index of the first entry.
func (s *Storage) FirstIndex() (uint64, error) {
	var out C.uint64_t
	err := s.call(func(pointer *C.raftcore_storage, e *C.raftcore_error) C.int32_t {
		return C.raftcore_storage_first_index(pointer, &out, e)
	})
	return uint64(out), err
}

// LastIndex returns the index of the last entry.
func (s *Storage) LastIndex() (uint64, error) {
	var out C.uint64_t
	err := s.call(func(pointer *C.raftcore_storage, e *C.raftcore_error) C.int32_t {
		return C.raftcore_storage_last_index(pointer, &out, e)
	})
	return uint64(out), err
}

// Term returns the term of an entry.
func (s *Storage) Term(index uint64) (uint64, error) {
	var out C.uint64_t
	err := s.call(func(pointer *C.raftcore_storage, e *C.raftcore_error) C.int32_t {
		return C.raftcore_storage_term(pointer, C.uint64_t(index), &out, e)
	})
	return uint64(out), err
}

// Entries returns entries, in memory of Go's.
func (s *Storage) Entries(low, high, maxBytes uint64) ([]*pb.Entry, error) {
	var out *C.raftcore_entries
	err := s.call(func(pointer *C.raftcore_storage, e *C.raftcore_error) C.int32_t {
		return C.raftcore_storage_entries(pointer, C.uint64_t(low), C.uint64_t(high),
			C.uint64_t(maxBytes), &out, e)
	})
	if err != nil {
		return nil, err
	}
	defer C.raftcore_entries_destroy(out)
	slabs := slabs{stable: s.kept}
	entries := slabs.copyEntries(out)
	if slabs.lost {
		return nil, &Error{Status: StatusCompacted, Text: "compacted meanwhile"}
	}
	return entries, nil
}

// InitialState returns the stored hard state and membership.
func (s *Storage) InitialState() (*pb.HardState, *pb.ConfState, error) {
	var hard C.raftcore_hard_state
	var conf *C.raftcore_conf_state
	err := s.call(func(pointer *C.raftcore_storage, e *C.raftcore_error) C.int32_t {
		return C.raftcore_storage_initial_state(pointer, &hard, &conf, e)
	})
	if err != nil {
		return nil, nil, err
	}
	defer C.raftcore_conf_state_destroy(conf)
	return HardState(uint64(hard.term), uint64(hard.vote), uint64(hard.commit)), confState(conf),
		nil
}

// Snapshot returns the latest snapshot.
func (s *Storage) Snapshot() (*pb.Snapshot, error) {
	var out *C.raftcore_snapshot
	err := s.call(func(pointer *C.raftcore_storage, e *C.raftcore_error) C.int32_t {
		return C.raftcore_storage_snapshot(pointer, &out, e)
	})
	if err != nil {
		return nil, err
	}
	defer C.raftcore_snapshot_destroy(out)
	return snapshot(out), nil
}
