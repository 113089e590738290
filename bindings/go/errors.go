package raft

import (
	"errors"
	"fmt"

	"github.com/raftcore/raftcore/bindings/go/internal/capi"
	upstream "go.etcd.io/raft/v3"
)

// Upstream's errors. Compare with [errors.Is]: what is returned may say more.
var (
	ErrStopped                        = upstream.ErrStopped
	ErrProposalDropped                = upstream.ErrProposalDropped
	ErrStepLocalMsg                   = upstream.ErrStepLocalMsg
	ErrStepPeerNotFound               = upstream.ErrStepPeerNotFound
	ErrCompacted                      = upstream.ErrCompacted
	ErrSnapOutOfDate                  = upstream.ErrSnapOutOfDate
	ErrUnavailable                    = upstream.ErrUnavailable
	ErrSnapshotTemporarilyUnavailable = upstream.ErrSnapshotTemporarilyUnavailable
)

// Errors that upstream has no value for: it panics there, or goes on.
var (
	// ErrNilMessage is returned for a message that is nil.
	ErrNilMessage = errors.New("raft: a nil message")
	// ErrReentry is returned by a call on a node from inside its own Storage or Logger.
	ErrReentry = errors.New("raft: a node was called from inside its own storage or logger")
	// ErrFaulted is returned by a node that has stopped for good, because its storage failed in
	// the middle of a step. What is stored is intact: make a new node from it.
	ErrFaulted = errors.New("raft: the node is faulted")
)

// DropReason is why a proposal was not taken.
type DropReason int32

// The reasons.
const (
	DropOther DropReason = iota
	// DropNoLeader: this node knows no leader.
	DropNoLeader
	// DropTransferring: the leader is handing over.
	DropTransferring
	// DropTooMuchUncommitted: [Config].MaxUncommittedEntriesSize is reached.
	DropTooMuchUncommitted
	// DropNotAMember: this node leads, but was removed.
	DropNotAMember
	// DropForwardingDisabled: this node does not lead, and may not forward.
	DropForwardingDisabled
	// DropTooManyReads: [Config].MaxPendingReads is reached.
	DropTooManyReads
)

func (r DropReason) String() string {
	names := [...]string{"other", "no leader", "transferring leadership",
		"too much uncommitted", "not a member", "forwarding is disabled", "too many reads"}
	if r < 0 || int(r) >= len(names) {
		return fmt.Sprintf("DropReason(%d)", int32(r))
	}
	return names[r]
}

// DroppedError says that a proposal was not taken, and why. It is an ErrProposalDropped.
type DroppedError struct{ Reason DropReason }

func (e *DroppedError) Error() string {
	return fmt.Sprintf("%v: %v", ErrProposalDropped, e.Reason)
}

// Unwrap returns ErrProposalDropped.
func (e *DroppedError) Unwrap() error { return ErrProposalDropped }

// RefusedError says that a message was not taken, since no honest member could have sent it.
// Nothing changed. Upstream panics at some of these, and does harm to its log at others.
type RefusedError struct {
	// Code is the library's RAFTCORE_REFUSAL_ number.
	Code int32
	// Text is a sentence for a log.
	Text string
}

func (e *RefusedError) Error() string { return "raft: " + e.Text }

// CodeError is any other failure of a call into the library.
type CodeError struct {
	// Code is the library's RAFTCORE_ERR_ number.
	Code int32
	// Text is a sentence for a log.
	Text string
	// What it is, if upstream has a value for it.
	is error
}

func (e *CodeError) Error() string { return "raft: " + e.Text }

// Unwrap returns the value that upstream has for this error, or nil.
func (e *CodeError) Unwrap() error { return e.is }

// translate makes the error of this package from the library's.
func translate(err error) error {
	if err == nil {
		return nil
	}
	return translated(err)
}

func translated(err error) error {
	e, ok := err.(*capi.Error)
	switch {
	case err == capi.ErrClosed:
		return ErrStopped
	case !ok:
		return err
	}
	switch e.Status {
	case capi.StatusDropped:
		return &DroppedError{Reason: DropReason(e.Detail)}
	case capi.StatusRefused:
		switch e.Detail {
		case capi.RefusalLocalKind:
			return ErrStepLocalMsg
		case capi.RefusalNotAMember:
			return ErrStepPeerNotFound
		}
		return &RefusedError{Code: e.Detail, Text: e.Text}
	case capi.StatusCompacted:
		return ErrCompacted
	case capi.StatusUnavailable:
		return ErrUnavailable
	case capi.StatusSnapshotOutOfDate:
		return ErrSnapOutOfDate
	case capi.StatusSnapshotTemporary:
		return ErrSnapshotTemporarilyUnavailable
	case capi.StatusReentry:
		return ErrReentry
	case capi.StatusFaulted:
		return &CodeError{Code: e.Status, Text: e.Text, is: ErrFaulted}
	}
	return &CodeError{Code: e.Status, Text: e.Text}
}
