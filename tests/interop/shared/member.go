// Package interop proves that nodes of raftcore and nodes of go.etcd.io/raft/v3 form one cluster.
//
// It holds all that does not depend on upstream's version: a simulated network and disk, a cluster
// that drives its members over them, the judge that compares them, and the stories. Members of
// either kind are behind [Member]; what is between them is bytes. The modules go36 and go37 add
// upstream's own node, in its two versions, and run the stories.
package interop

import "fmt"

// The kinds of message by their number on the wire, those that the stories know by name.
const (
	MsgProp          = 2
	MsgApp           = 3
	MsgAppResp       = 4
	MsgVote          = 5
	MsgVoteResp      = 6
	MsgSnap          = 7
	MsgHeartbeat     = 8
	MsgHeartbeatResp = 9
	MsgTransfer      = 13
	MsgTimeoutNow    = 14
	MsgReadIndex     = 15
	MsgReadIndexResp = 16
	MsgPreVote       = 17
	MsgPreVoteResp   = 18
)

var kindNames = map[int]string{
	MsgProp: "MsgProp", MsgApp: "MsgApp", MsgAppResp: "MsgAppResp", MsgVote: "MsgVote",
	MsgVoteResp: "MsgVoteResp", MsgSnap: "MsgSnap", MsgHeartbeat: "MsgHeartbeat",
	MsgHeartbeatResp: "MsgHeartbeatResp", MsgTransfer: "MsgTransferLeader",
	MsgTimeoutNow: "MsgTimeoutNow", MsgReadIndex: "MsgReadIndex",
	MsgReadIndexResp: "MsgReadIndexResp", MsgPreVote: "MsgPreVote",
	MsgPreVoteResp: "MsgPreVoteResp",
}

// Role is what a member is.
type Role int

// The roles by upstream's numbers.
const (
	Follower Role = iota
	Candidate
	Leader
	PreCandidate
)

// Config is what a member is told when it is made. Every switch of raftcore that upstream does not
// have is at upstream's side.
type Config struct {
	ID   uint64
	Seed uint64

	PreVote, CheckQuorum, LeaseBasedReads, NoForwarding, StepDownOnRemoval, Async bool
	// VerifiedLeases is for members of raftcore; upstream's read safely instead.
	VerifiedLeases bool

	MaxMessageBytes, MaxCommittedBytes, MaxUncommittedBytes uint64
	MaxInflightMessages                                     int
	MaxInflightBytes                                        uint64
}

// The ticks of every member's clock.
const (
	ElectionTicks  = 10
	HeartbeatTicks = 1
)

// Entry is a log entry in plain form, and as its node's disk holds it.
type Entry struct {
	Term, Index uint64
	Type        int
	Data        []byte
	Encoded     []byte
}

// The types of entry.
const (
	EntryNormal       = 0
	EntryConfChange   = 1
	EntryConfChangeV2 = 2
)

// Snapshot is a snapshot in plain form, and as its node's disk holds it.
type Snapshot struct {
	Term, Index uint64
	Data        []byte
	ConfState   ConfState
	Encoded     []byte
}

// ConfState is a membership.
type ConfState struct {
	Voters, Learners, VotersOutgoing, LearnersNext []uint64
	AutoLeave                                      bool
}

// The operations of a [Change].
const (
	AddVoter   = 0
	Remove     = 1
	Update     = 2
	AddLearner = 3
)

// Change is one step of a [ConfChange].
type Change struct {
	Type int
	Node uint64
}

// How a [ConfChange] is carried out.
const (
	Auto          = 0
	JointImplicit = 1
	JointExplicit = 2
)

// ConfChange is a membership change. V1 says that it takes the older form, for one member.
type ConfChange struct {
	V1         bool
	Transition int
	Changes    []Change
	Context    []byte
}

func (c ConfChange) String() string {
	text := ""
	for _, change := range c.Changes {
		text += fmt.Sprintf(" %c%d", "vrul"[change.Type&3], change.Node)
	}
	return fmt.Sprintf("[%s%s]", [...]string{"auto", "implicit", "explicit"}[c.Transition], text)
}

// Packet is a message as it travels, with what the network needs to know of it.
type Packet struct {
	From, To, Term uint64
	Kind           int
	Bytes          []byte
}

// State is what a member is at one moment.
type State struct {
	Term, Vote, Commit uint64
	Role               Role
	Leader             uint64
}

// ReadState answers a read.
type ReadState struct {
	Index   uint64
	Context []byte
}

// Write is what is to be made durable, and what may be said when it is.
type Write struct {
	HardState []byte
	Snapshot  *Snapshot
	Entries   []Entry
	// Then packets that claim it.
	After []Packet
}

// Ready is what a member wants done.
type Ready struct {
	Number uint64
	State  State
	// Packets that need not wait for the disk.
	Before []Packet
	Write
	// HasWrite says, with asynchronous storage writes, that the append thread is to hear of it.
	HasWrite  bool
	Committed []Entry
	Reads     []ReadState
}

// Reason sorts what a member objects to.
type Reason int

// What a member can object to. Honest members' messages are refused for the first two alone.
const (
	// Stranger: a response of a node that is no member.
	Stranger Reason = iota + 1
	// Dropped: a proposal that is not taken now.
	Dropped
	// Refused: a message that cannot be right. Upstream panics where it notices.
	Refused
	// Broken: anything else.
	Broken
)

// Objection is an error of a member.
type Objection struct {
	Reason Reason
	Call   string
	Text   string
}

func (o *Objection) Error() string { return o.Call + ": " + o.Text }

// Member is a node of either kind. Calls without a result may be carried out later, before the
// next call with one; what they object to is in Objections.
type Member interface {
	Tick()
	Step(p Packet)
	Propose(data []byte) error
	ProposeConfChange(c ConfChange) error
	Campaign()
	Transfer(to uint64) error
	ReadIndex(context []byte) error
	ForgetLeader()
	ReportUnreachable(id uint64)
	ReportSnapshot(id uint64, arrived bool)
	HasReady() bool
	Ready() *Ready
	// Advance follows a Ready that is carried out, unless storage writes are asynchronous: then
	// AppendDone and ApplyDone do, for one Ready after the other. They apply the membership
	// changes.
	Advance(r *Ready)
	AppendDone(r *Ready)
	ApplyDone(r *Ready)
	// Snapshot stores a snapshot at an applied index and compacts the log below it.
	Snapshot(index uint64, data []byte, kept uint64) *Snapshot
	ConfState() ConfState
	State() State
	Log() []Entry
	Objections() []*Objection
	Close()
}

// Kind makes members of one implementation.
type Kind interface {
	Name() string
	// New starts a member from its disk; with peers it founds a group.
	New(c Config, d *Disk, peers []uint64) Member
}

// Upstream is upstream's implementation, which also is the measure of all encodings.
type Upstream interface {
	Kind
	EncodeConfChange(c ConfChange) (entryType int, data []byte)
	DecodeConfChange(entryType int, data []byte) (ConfChange, error)
	DecodeEntry(encoded []byte) (Entry, error)
	DecodeSnapshot(encoded []byte) (*Snapshot, error)
	// Fields decodes bytes and lists what they say, whatever their presence style.
	Fields(form Form, encoded []byte) (string, error)
	// Reencode decodes bytes and encodes them again.
	Reencode(form Form, encoded []byte) ([]byte, error)
}

// Form is what bytes are the encoding of, by the host's numbers.
type Form byte

// The forms of bytes.
const (
	FormMessage Form = iota
	FormEntry
	FormConfChange
	FormConfChangeV2
	FormSnapshot
	FormHardState
	FormConfState
)
