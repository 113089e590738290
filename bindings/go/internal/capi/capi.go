// Package capi is the only place of the Go module that speaks C.
//
// What the library hands out is copied into Go's memory before a call returns, in slabs: a handful
// of allocations for a Ready, however many entries it has. What the library is given are bytes,
// for the time of a call. Values of Go's that C must name (a storage, a logger) go by an integer
// handle. No pointer into Go's memory is kept by C.
//
// A [Node] and a [Storage] own memory of C's. Close frees it; a cleanup frees it if nobody does.
package capi

/*
#cgo nocallback rc_thread
#cgo noescape rc_step
#cgo noescape rc_step_kept
#cgo noescape rc_step_many
#cgo noescape rc_propose_kept
#cgo noescape rc_propose
#cgo noescape rc_propose_many
#cgo noescape rc_read_index
#cgo noescape rc_storage_append
#include "shim.h"
*/
import "C"

import (
	"errors"
	"unsafe"
)

// Error is what a call into the library failed with.
type Error struct {
	// Status is one of the library's RAFTCORE_ERR_ numbers.
	Status int32
	// Detail says more, as the status defines it.
	Detail int32
	// Text is a sentence for a log.
	Text string
}

func (e *Error) Error() string { return "raft: " + e.Text }

// The statuses that the Go API tells apart.
const (
	StatusRefused           = C.RAFTCORE_ERR_REFUSED
	StatusDropped           = C.RAFTCORE_ERR_DROPPED
	StatusTooLarge          = C.RAFTCORE_ERR_TOO_LARGE
	StatusReentry           = C.RAFTCORE_ERR_REENTRY
	StatusStorage           = C.RAFTCORE_ERR_STORAGE
	StatusCompacted         = C.RAFTCORE_ERR_COMPACTED
	StatusUnavailable       = C.RAFTCORE_ERR_UNAVAILABLE
	StatusSnapshotTemporary = C.RAFTCORE_ERR_SNAPSHOT_UNAVAILABLE
	StatusSnapshotOutOfDate = C.RAFTCORE_ERR_SNAPSHOT_OUT_OF_DATE
	StatusFaulted           = C.RAFTCORE_ERR_FAULTED
	StatusOperatingSystem   = C.RAFTCORE_ERR_OS
	RefusalLocalKind        = C.RAFTCORE_REFUSAL_LOCAL_KIND
	RefusalNotAMember       = C.RAFTCORE_REFUSAL_NOT_A_MEMBER
	OutcomeReplaced         = C.RAFTCORE_OUTCOME_REPLACED
	OutcomeForwarded        = C.RAFTCORE_OUTCOME_FORWARDED
	ReadOnlySafe            = C.RAFTCORE_READ_ONLY_SAFE
	ReadOnlyLeaseBased      = C.RAFTCORE_READ_ONLY_LEASE_BASED
	ReadOnlyLeaseUnverified = C.RAFTCORE_READ_ONLY_LEASE_UNVERIFIED
	ProgressProbe           = C.RAFTCORE_PROGRESS_PROBE
	ProgressReplicate       = C.RAFTCORE_PROGRESS_REPLICATE
	ProgressSnapshot        = C.RAFTCORE_PROGRESS_SNAPSHOT
	LevelDebug              = C.RAFTCORE_LOG_DEBUG
	LevelInfo               = C.RAFTCORE_LOG_INFO
	LevelWarn               = C.RAFTCORE_LOG_WARN
	LevelError              = C.RAFTCORE_LOG_ERROR
	SnapshotFinished        = C.RAFTCORE_SNAPSHOT_FINISHED
	SnapshotFailed          = C.RAFTCORE_SNAPSHOT_FAILED
)

// ErrClosed is returned by calls on a closed node.
var ErrClosed = errors.New("raft: closed")

// Version is that of the library that is linked.
func Version() string { return C.GoString(C.raftcore_version()) }

// failure makes an error of what a call wrote.
func failure(status C.int32_t, e *C.raftcore_error) error {
	if status == C.RAFTCORE_OK {
		return nil
	}
	text := C.GoString(C.raftcore_status_text(status))
	var detail int32
	if e.status == status {
		detail = int32(e.detail)
		if e.message[0] != 0 {
			text = C.GoString(&e.message[0])
		}
	}
	return &Error{Status: int32(status), Detail: detail, Text: text}
}

// bytes is the address of the first byte, for the time of a call.
func bytes(data []byte) *C.uint8_t { return (*C.uint8_t)(unsafe.Pointer(unsafe.SliceData(data))) }

// numbers is the address of the first number, for the time of a call.
func numbers(list []uint64) *C.uint64_t {
	return (*C.uint64_t)(unsafe.Pointer(unsafe.SliceData(list)))
}

// view is memory of C's, to be copied from.
func view(data *C.uint8_t, length C.size_t) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(data)), int(length))
}

// items are count elements of an array of C's that may have grown elements.
func at[T any](items unsafe.Pointer, stride C.size_t, i int) *T {
	return (*T)(unsafe.Add(items, i*int(stride)))
}
