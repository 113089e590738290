package capi

/*
#include <stdlib.h>
#include <string.h>
#include "shim.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime/cgo"
	"sync/atomic"
	"unsafe"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// callbacks is a storage written in Go as the library sees it. The library calls one function of
// it at a time.
type callbacks struct {
	storage raft.Storage
	inside  inside
	// What the last call returned, in C's memory: it must live until the next one.
	memory unsafe.Pointer
}

// inside is the thread on which a callback into Go runs on behalf of a call, or zero. While it does
// its goroutine keeps the thread, so whoever is on it comes from inside the callback.
type inside struct{ thread atomic.Uintptr }

// enter notes that a callback runs, until what it returns is called.
func (i *inside) enter() (leave func()) {
	before := i.thread.Swap(uintptr(C.rc_thread()))
	return func() { i.thread.Store(before) }
}

// isHere says whether the caller is inside the callback.
func (i *inside) isHere() bool {
	thread := i.thread.Load()
	return thread != 0 && thread == uintptr(C.rc_thread())
}

// release lets go of memory that C was given.
func (c *callbacks) release() {
	C.free(c.memory)
	c.memory = nil
}

// allocate makes memory that lives until the next call, zeroed.
func (c *callbacks) allocate(size int) unsafe.Pointer {
	c.release()
	c.memory = C.calloc(1, C.size_t(size)+1)
	return c.memory
}

// answer calls a method of the storage. Whatever happens in it ends here: an error and a panic
// become a status, with their text.
func answer(handle C.uint64_t, e *C.raftcore_error,
	act func(c *callbacks) error) (status C.int32_t) {
	table := cgo.Handle(handle).Value().(*callbacks)
	defer table.inside.enter()()
	defer func() {
		if p := recover(); p != nil {
			status = describe(e, fmt.Errorf("the storage panicked: %v", p))
		}
	}()
	if err := act(table); err != nil {
		return describe(e, err)
	}
	return C.RAFTCORE_OK
}

// describe writes an error's text for C, and returns the status that it stands for.
func describe(e *C.raftcore_error, err error) C.int32_t {
	if e != nil {
		text := err.Error()
		room := min(len(text), len(e.message)-1)
		copy(unsafe.Slice((*byte)(unsafe.Pointer(&e.message[0])), room), text)
		e.message[room] = 0
	}
	switch {
	case errors.Is(err, raft.ErrCompacted):
		return C.RAFTCORE_ERR_COMPACTED
	case errors.Is(err, raft.ErrUnavailable):
		return C.RAFTCORE_ERR_UNAVAILABLE
	case errors.Is(err, raft.ErrSnapshotTemporarilyUnavailable):
		return C.RAFTCORE_ERR_SNAPSHOT_UNAVAILABLE
	case errors.Is(err, raft.ErrSnapOutOfDate):
		return C.RAFTCORE_ERR_SNAPSHOT_OUT_OF_DATE
	}
	return C.RAFTCORE_ERR_STORAGE
}

//export raftcoreGoInitialState
func raftcoreGoInitialState(handle C.uint64_t, hard *C.raftcore_hard_state,
	conf *C.raftcore_conf_state, e *C.raftcore_error) C.int32_t {
	return answer(handle, e, func(c *callbacks) error {
		h, cs, err := c.storage.InitialState()
		if err != nil {
			return err
		}
		hard.term, hard.vote = C.uint64_t(h.GetTerm()), C.uint64_t(h.GetVote())
		hard.commit = C.uint64_t(h.GetCommit())
		numbers := unsafe.Slice((*C.uint64_t)(c.allocate(8*countIDs(cs))), countIDs(cs))
		fillConfState(conf, cs, numbers)
		return nil
	})
}

func countIDs(cs *pb.ConfState) int {
	return len(cs.GetVoters()) + len(cs.GetLearners()) + len(cs.GetVotersOutgoing()) +
		len(cs.GetLearnersNext())
}

// fillConfState writes a membership whose ids lie in C's memory.
func fillConfState(conf *C.raftcore_conf_state, cs *pb.ConfState, numbers []C.uint64_t) {
	put := func(list *C.raftcore_ids, ids []uint64) {
		if len(ids) == 0 {
			return
		}
		for i, id := range ids {
			numbers[i] = C.uint64_t(id)
		}
		list.items, list.count = &numbers[0], C.size_t(len(ids))
		numbers = numbers[len(ids):]
	}
	conf.struct_size = C.size_t(unsafe.Sizeof(*conf))
	put(&conf.voters, cs.GetVoters())
	put(&conf.learners, cs.GetLearners())
	put(&conf.voters_outgoing, cs.GetVotersOutgoing())
	put(&conf.learners_next, cs.GetLearnersNext())
	conf.auto_leave = flag(cs.GetAutoLeave())
}

//export raftcoreGoEntries
func raftcoreGoEntries(handle, low, high, maxBytes C.uint64_t, out *C.raftcore_entries,
	e *C.raftcore_error) C.int32_t {
	return answer(handle, e, func(c *callbacks) error {
		entries, err := c.storage.Entries(uint64(low), uint64(high), uint64(maxBytes))
		if err != nil {
			return err
		}
		one := int(unsafe.Sizeof(C.raftcore_entry{}))
		size := one * len(entries)
		for _, entry := range entries {
			size += len(entry.GetData())
		}
		memory := c.allocate(size)
		data := unsafe.Add(memory, one*len(entries))
		for i, entry := range entries {
			to := at[C.raftcore_entry](memory, C.size_t(one), i)
			to.term, to.index = C.uint64_t(entry.GetTerm()), C.uint64_t(entry.GetIndex())
			to.kind = C.raftcore_entry_kind(entry.GetType())
			if payload := entry.GetData(); len(payload) > 0 {
				copy(unsafe.Slice((*byte)(data), len(payload)), payload)
				to.data.data, to.data.len = (*C.uint8_t)(data), C.size_t(len(payload))
				data = unsafe.Add(data, len(payload))
			}
		}
		out.items, out.count, out.stride = (*C.raftcore_entry)(memory), C.size_t(len(entries)),
			C.size_t(one)
		return nil
	})
}

//export raftcoreGoTerm
func raftcoreGoTerm(handle, index C.uint64_t, out *C.uint64_t, e *C.raftcore_error) C.int32_t {
	return answer(handle, e, func(c *callbacks) error {
		term, err := c.storage.Term(uint64(index))
		*out = C.uint64_t(term)
		return err
	})
}

//export raftcoreGoFirstIndex
func raftcoreGoFirstIndex(handle C.uint64_t, out *C.uint64_t, e *C.raftcore_error) C.int32_t {
	return answer(handle, e, func(c *callbacks) error {
		index, err := c.storage.FirstIndex()
		*out = C.uint64_t(index)
		return err
	})
}

//export raftcoreGoLastIndex
func raftcoreGoLastIndex(handle C.uint64_t, out *C.uint64_t, e *C.raftcore_error) C.int32_t {
	return answer(handle, e, func(c *callbacks) error {
		index, err := c.storage.LastIndex()
		*out = C.uint64_t(index)
		return err
	})
}

//export raftcoreGoSnapshot
func raftcoreGoSnapshot(handle C.uint64_t, out *C.raftcore_snapshot,
	e *C.raftcore_error) C.int32_t {
	return answer(handle, e, func(c *callbacks) error {
		snap, err := c.storage.Snapshot()
		if err != nil {
			return err
		}
		meta := snap.GetMetadata()
		cs := meta.GetConfState()
		head := int(unsafe.Sizeof(C.raftcore_conf_state{}))
		memory := c.allocate(head + 8*countIDs(cs) + len(snap.GetData()))
		conf := (*C.raftcore_conf_state)(memory)
		numbers := unsafe.Slice((*C.uint64_t)(unsafe.Add(memory, head)), countIDs(cs))
		fillConfState(conf, cs, numbers)
		out.struct_size = C.size_t(unsafe.Sizeof(*out))
		out.index, out.term = C.uint64_t(meta.GetIndex()), C.uint64_t(meta.GetTerm())
		out.conf_state = conf
		if payload := snap.GetData(); len(payload) > 0 {
			data := unsafe.Add(memory, head+8*countIDs(cs))
			copy(unsafe.Slice((*byte)(data), len(payload)), payload)
			out.data.data, out.data.len = (*C.uint8_t)(data), C.size_t(len(payload))
		}
		return nil
	})
}

// LogFunc takes a line of a node's log.
type LogFunc func(level int32, text string)

type logSink struct {
	write  LogFunc
	inside *inside
}

//export raftcoreGoLog
func raftcoreGoLog(handle C.uint64_t, level C.int32_t, text *C.char, length C.size_t) {
	sink := cgo.Handle(handle).Value().(*logSink)
	defer sink.inside.enter()()
	// A logger that panics must not unwind through C.
	defer func() { _ = recover() }()
	sink.write(int32(level), C.GoStringN(text, C.int(length)))
}

//export raftcoreGoRelease
func raftcoreGoRelease(handle C.uint64_t) {
	h := cgo.Handle(handle)
	if table, ok := h.Value().(*callbacks); ok {
		table.release()
	}
	h.Delete()
}
