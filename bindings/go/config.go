package raft

import (
	"errors"
	"math"

	"github.com/raftcore/raftcore/bindings/go/internal/capi"
)

// Config is what a node is told once, when it is made. The fields up to TraceLogger are upstream's
// and mean what they mean there; those after it are ours, and their zero value is upstream's
// behaviour.
type Config struct {
	// ID is this node's id: neither None nor that of a storage thread, and never used before.
	ID uint64
	// ElectionTick is how many ticks without a word from a leader make a follower campaign; the
	// actual number is drawn from [n, 2n). Ten times HeartbeatTick is a good value.
	ElectionTick int
	// HeartbeatTick is how many ticks lie between a leader's heartbeats.
	HeartbeatTick int
	// Storage is what the node reads its log from.
	Storage Storage
	// Applied is the last index that the application has applied, when it restarts.
	Applied uint64
	// AsyncStorageWrites has the node write to its storage by messages to two threads of the
	// application's, in place of Ready and Advance.
	AsyncStorageWrites bool
	// MaxSizePerMsg is the greatest size in bytes of an append message's entries. Zero: one entry
	// a message.
	MaxSizePerMsg uint64
	// MaxCommittedSizePerReady is the greatest size in bytes of the committed entries that are
	// being applied. Zero: as MaxSizePerMsg.
	MaxCommittedSizePerReady uint64
	// MaxUncommittedEntriesSize is the greatest size in bytes of a leader's uncommitted entries;
	// above it proposals are dropped. Zero: no limit.
	MaxUncommittedEntriesSize uint64
	// MaxInflightMsgs is how many append messages may be in flight to one member.
	MaxInflightMsgs int
	// MaxInflightBytes is how many bytes may be in flight to one member. Zero: no limit.
	MaxInflightBytes uint64
	// CheckQuorum has a leader step down that does not hear from a quorum.
	CheckQuorum bool
	// PreVote has a node ask whether it could win before it campaigns.
	PreVote bool
	// ReadOnlyOption says how reads are confirmed. ReadOnlyLeaseBased needs CheckQuorum.
	ReadOnlyOption ReadOnlyOption
	// Logger takes the node's log. Nil: that of SetLogger.
	Logger Logger
	// DisableProposalForwarding has a follower drop proposals.
	DisableProposalForwarding bool
	// DisableConfChangeValidation has a leader take any membership change into its log.
	DisableConfChangeValidation bool
	// StepDownOnRemoval has a leader step down that is removed or demoted.
	StepDownOnRemoval bool
	// TraceLogger is not used.
	TraceLogger TraceLogger

	// Seed seeds the randomized election timeouts. Zero: from the operating system. A simulation
	// gives a fixed one and gets the same run again.
	Seed uint64
	// VotesWaitForSync has requests for votes wait until what they speak of is durable. Without
	// it, as in upstream, a candidate that dies before its write can come back and count a vote
	// that was given to a longer log.
	VotesWaitForSync bool
	// CoalesceAppends has a leader build its appends when the Ready is taken: one for each member,
	// with everything that was proposed, acknowledged and committed meanwhile. Without it, as in
	// upstream, every proposal and every commit makes a message of its own.
	CoalesceAppends bool
	// VerifiedLease makes reads by ReadOnlyLeaseBased linearizable as long as no two members'
	// ticks differ by more than a tenth in length. Without it, as in upstream, such reads can be
	// stale under any clocks.
	VerifiedLease bool
	// MaxPendingReads is how many reads a leader keeps waiting. Zero: no limit.
	MaxPendingReads int
}

// validate checks what can be checked without the library, in upstream's words, and sets upstream's
// defaults.
func (c *Config) validate() error {
	if c == nil {
		return errors.New("config cannot be nil")
	}
	switch {
	case c.ID == None:
		return errors.New("cannot use none as id")
	case IsLocalMsgTarget(c.ID):
		return errors.New("cannot use local target as id")
	case c.HeartbeatTick <= 0:
		return errors.New("heartbeat tick must be greater than 0")
	case c.ElectionTick <= c.HeartbeatTick:
		return errors.New("election tick must be greater than heartbeat tick")
	case c.ElectionTick > math.MaxInt32:
		return errors.New("election tick must be less than 2^31")
	case isNil(c.Storage):
		return errors.New("storage cannot be nil")
	case c.MaxInflightMsgs <= 0:
		return errors.New("max inflight messages must be greater than 0")
	case c.MaxInflightBytes != 0 && c.MaxInflightBytes < c.MaxSizePerMsg:
		return errors.New("max inflight bytes must be >= max message size")
	case c.ReadOnlyOption != ReadOnlySafe && c.ReadOnlyOption != ReadOnlyLeaseBased:
		return errors.New("unknown ReadOnlyOption")
	case c.ReadOnlyOption == ReadOnlyLeaseBased && !c.CheckQuorum:
		return errors.New("CheckQuorum must be enabled when ReadOnlyOption is ReadOnlyLeaseBased")
	case c.MaxPendingReads < 0:
		return errors.New("max pending reads must not be negative")
	}
	if c.MaxUncommittedEntriesSize == 0 {
		c.MaxUncommittedEntriesSize = NoLimit
	}
	if c.MaxCommittedSizePerReady == 0 {
		c.MaxCommittedSizePerReady = c.MaxSizePerMsg
	}
	if c.MaxInflightBytes == 0 {
		c.MaxInflightBytes = NoLimit
	}
	if c.Logger == nil {
		c.Logger = getLogger()
	}
	return nil
}

func (c *Config) toLibrary() capi.Config {
	reads := uint64(c.MaxPendingReads)
	if reads == 0 {
		reads = math.MaxInt64
	}
	readOnly := int32(capi.ReadOnlySafe)
	if c.ReadOnlyOption == ReadOnlyLeaseBased {
		readOnly = capi.ReadOnlyLeaseUnverified
		if c.VerifiedLease {
			readOnly = capi.ReadOnlyLeaseBased
		}
	}
	return capi.Config{
		ID: c.ID, Seed: c.Seed, Applied: c.Applied, AsyncWrites: c.AsyncStorageWrites,
		MaxMessageBytes: c.MaxSizePerMsg, MaxCommittedBytes: c.MaxCommittedSizePerReady,
		MaxUncommittedBytes: c.MaxUncommittedEntriesSize,
		MaxInflightMessages: uint64(c.MaxInflightMsgs), MaxInflightBytes: c.MaxInflightBytes,
		MaxPendingReads: reads, ElectionTicks: uint32(c.ElectionTick),
		HeartbeatTicks: uint32(c.HeartbeatTick), ReadOnly: readOnly, CheckQuorum: c.CheckQuorum,
		PreVote: c.PreVote, ForwardProposals: !c.DisableProposalForwarding,
		ValidateConfChanges: !c.DisableConfChangeValidation,
		StepDownOnRemoval:   c.StepDownOnRemoval, VotesWaitForSync: c.VotesWaitForSync,
		CoalesceAppends: c.CoalesceAppends,
	}
}
