package raft

import (
	"math"

	upstream "go.etcd.io/raft/v3"
)

// What is plain data or an interface in upstream is the same type here, so that a value of one
// library is a value of the other: etcd's packages that take a raft.Ready or a raft.Peer take ours.
type (
	// Ready is what to persist, send and apply. See [upstream.Ready].
	Ready = upstream.Ready
	// SoftState is volatile: who leads, and what this node is.
	SoftState = upstream.SoftState
	// ReadState answers a ReadIndex.
	ReadState = upstream.ReadState
	// Peer is a member that a group is started with.
	Peer = upstream.Peer
	// Status is everything about a node at one moment.
	Status = upstream.Status
	// BasicStatus is Status without progress and membership.
	BasicStatus = upstream.BasicStatus
	// StateType is a role.
	StateType = upstream.StateType
	// SnapshotStatus says how the sending of a snapshot went.
	SnapshotStatus = upstream.SnapshotStatus
	// ReadOnlyOption says how reads are confirmed.
	ReadOnlyOption = upstream.ReadOnlyOption
	// ProgressType is the kind of member that a progress belongs to.
	ProgressType = upstream.ProgressType
	// CampaignType is the kind of a campaign.
	CampaignType = upstream.CampaignType
	// EntryFormatter writes the data of an entry for a person.
	EntryFormatter = upstream.EntryFormatter
	// Storage is where a node reads its log from. See [MemoryStorage].
	Storage = upstream.Storage
	// Node is a member of a group, driven through channels. See [StartNode].
	Node = upstream.Node
	// Logger takes a node's log.
	Logger = upstream.Logger
	// DefaultLogger writes to a [log.Logger].
	DefaultLogger = upstream.DefaultLogger
	// TraceLogger is upstream's, which is for its TLA+ traces; nothing is written to it here.
	TraceLogger = upstream.TraceLogger
	// TracingEvent is upstream's.
	TracingEvent = upstream.TracingEvent
)

// Ids that no member can have.
const (
	None              = upstream.None
	LocalAppendThread = upstream.LocalAppendThread
	LocalApplyThread  = upstream.LocalApplyThread
)

// NoLimit is for the limits of [Config] that count bytes.
const NoLimit uint64 = math.MaxUint64

// The roles.
const (
	StateFollower     = upstream.StateFollower
	StateCandidate    = upstream.StateCandidate
	StateLeader       = upstream.StateLeader
	StatePreCandidate = upstream.StatePreCandidate
)

// How the sending of a snapshot went.
const (
	SnapshotFinish  = upstream.SnapshotFinish
	SnapshotFailure = upstream.SnapshotFailure
)

// How reads are confirmed.
const (
	ReadOnlySafe       = upstream.ReadOnlySafe
	ReadOnlyLeaseBased = upstream.ReadOnlyLeaseBased
)

// The kinds of member that a progress belongs to.
const (
	ProgressTypePeer    = upstream.ProgressTypePeer
	ProgressTypeLearner = upstream.ProgressTypeLearner
)

// StateTraceDeployed is upstream's.
const StateTraceDeployed = upstream.StateTraceDeployed
