package interop

// The host's commands by their number.
const (
	opCreate = iota + 1
	opDrop
	opReencode
	opReset
)

const (
	opTick = iota + 10
	opStep
	opPropose
	opProposeConfChange
	opCampaign
	opTransfer
	opReadIndex
	opReportUnreachable
	opReportSnapshot
	opForgetLeader
	opReady
	opAdvance
	opAppendDone
	opApplyDone
	opSnapshot
	opStatus
	opLog
)

// Hosted makes members that live in a host program. Membership changes reach them in upstream's
// encoding.
type Hosted struct {
	Label    string
	Host     *Host
	Upstream Upstream
}

// Name implements [Kind].
func (h Hosted) Name() string { return h.Label }

// New implements [Kind].
func (h Hosted) New(c Config, d *Disk, peers []uint64) Member {
	h.Host.handles++
	m := &hosted{host: h.Host, upstream: h.Upstream, handle: h.Host.handles}
	if d.Snapshot != nil {
		m.conf = d.Snapshot.ConfState
	}
	if d.ConfState != nil {
		m.conf = *d.ConfState
	}
	// What is wrong with it is an objection.
	_, _ = m.now(opCreate, "create", createArgs(c, d, peers))
	return m
}

func createArgs(c Config, d *Disk, peers []uint64) []byte {
	b := appendU64(nil, c.ID)
	b = appendU64(b, c.Seed)
	b = appendU32(b, ElectionTicks)
	b = appendU32(b, HeartbeatTicks)
	flags := 0
	for bit, set := range []bool{
		c.PreVote, c.CheckQuorum, c.LeaseBasedReads, c.NoForwarding, false, c.StepDownOnRemoval,
		c.Async, c.VerifiedLeases,
	} {
		if set {
			flags |= 1 << bit
		}
	}
	b = appendU32(b, flags)
	b = appendU64(b, c.MaxMessageBytes)
	b = appendU64(b, c.MaxCommittedBytes)
	b = appendU64(b, c.MaxUncommittedBytes)
	b = appendU32(b, c.MaxInflightMessages)
	b = appendU64(b, c.MaxInflightBytes)
	b = appendU64(b, d.Applied)
	b = appendBool(b, d.ConfState != nil)
	var conf ConfState
	if d.ConfState != nil {
		conf = *d.ConfState
	}
	b = appendConfState(b, conf)
	b = appendBytes(b, d.HardState)
	var snapshot []byte
	if d.Snapshot != nil {
		snapshot = d.Snapshot.Encoded
	}
	b = appendBytes(b, snapshot)
	b = appendU32(b, len(d.Entries))
	for _, e := range d.Entries {
		b = appendBytes(b, e.Encoded)
	}
	b = appendU32(b, len(peers))
	for _, id := range peers {
		b = appendBytes(appendU64(b, id), PeerContext(id))
	}
	return b
}

// PeerContext is what the entry that adds a founding member carries, on every member alike.
func PeerContext(id uint64) []byte { return []byte{'@', byte('0' + id)} }

type hosted struct {
	host       *Host
	upstream   Upstream
	handle     uint64
	hasReady   bool
	conf       ConfState
	objections []*Objection
}

// later sends a command whose answer nobody waits for.
func (m *hosted) later(op byte, call string, args []byte) {
	m.host.queue(op, m.handle, args, func(a answer) {
		m.hasReady = a.hasReady
		if o := objection(call, a); o != nil {
			m.objections = append(m.objections, o)
		}
	})
}

// now sends a command and waits. An objection is an error for the caller; one that no caller
// expects is kept as well.
func (m *hosted) now(op byte, call string, args []byte) (reader, error) {
	a := m.host.call(op, m.handle, args)
	m.hasReady = a.hasReady
	if o := objection(call, a); o != nil {
		if o.Reason >= Refused {
			m.objections = append(m.objections, o)
		}
		return reader{}, o
	}
	return reader{a.body}, nil
}

func objection(call string, a answer) *Objection {
	reason := Broken
	switch a.code {
	case 0:
		return nil
	case 1:
		reason = Stranger
	case 2:
		reason = Dropped
	case 3:
		reason = Refused
	}
	return &Objection{Reason: reason, Call: call, Text: string(a.body)}
}

func (m *hosted) Tick() { m.later(opTick, "tick", nil) }

func (m *hosted) Step(p Packet) {
	m.later(opStep, "step "+p.describe(), appendBytes(nil, p.Bytes))
}

func (m *hosted) Propose(data []byte) error {
	_, err := m.now(opPropose, "propose", appendBytes(nil, data))
	return err
}

func (m *hosted) ProposeConfChange(c ConfChange) error {
	kind, data := m.upstream.EncodeConfChange(c)
	args := appendBytes([]byte{byte(kind)}, data)
	_, err := m.now(opProposeConfChange, "propose "+c.String(), args)
	return err
}

func (m *hosted) Campaign() { m.later(opCampaign, "campaign", nil) }

// Transfer lets the caller name somebody who is no voter, as upstream does: that is an error and
// no objection.
func (m *hosted) Transfer(to uint64) error {
	a := m.host.call(opTransfer, m.handle, appendU64(nil, to))
	m.hasReady = a.hasReady
	if o := objection("transfer", a); o != nil {
		return o
	}
	return nil
}

func (m *hosted) ReadIndex(context []byte) error {
	_, err := m.now(opReadIndex, "read index", appendBytes(nil, context))
	return err
}

func (m *hosted) ForgetLeader() { m.later(opForgetLeader, "forget leader", nil) }

func (m *hosted) ReportUnreachable(id uint64) {
	m.later(opReportUnreachable, "report unreachable", appendU64(nil, id))
}

func (m *hosted) ReportSnapshot(id uint64, arrived bool) {
	m.later(opReportSnapshot, "report snapshot", appendBool(appendU64(nil, id), arrived))
}

func (m *hosted) HasReady() bool {
	m.host.flush()
	return m.hasReady
}

func (m *hosted) Ready() *Ready {
	in, err := m.now(opReady, "ready", nil)
	if err != nil || in.u8() == 0 {
		return nil
	}
	r := &Ready{State: in.state(), Number: in.u64(), Before: in.packets()}
	after := in.packets()
	for range in.length() {
		r.Reads = append(r.Reads, ReadState{Index: in.u64(), Context: in.bytes()})
	}
	r.HasWrite = in.u8() != 0
	r.HardState = in.bytes()
	if in.u8() != 0 {
		r.Snapshot = in.snapshot()
	}
	r.Entries = in.entries()
	r.After = append(after, in.packets()...)
	r.Committed = in.entries()
	return r
}

func (m *hosted) Advance(*Ready) { m.done(opAdvance, "advance", nil) }

func (m *hosted) AppendDone(r *Ready) {
	m.done(opAppendDone, "append done", appendU64(nil, r.Number))
}

func (m *hosted) ApplyDone(r *Ready) {
	m.done(opApplyDone, "apply done", appendU64(nil, r.Number))
}

func (m *hosted) done(op byte, call string, args []byte) {
	if in, err := m.now(op, call, args); err == nil {
		m.conf = in.confState()
	}
}

func (m *hosted) Snapshot(index uint64, data []byte, kept uint64) *Snapshot {
	args := appendU64(appendBytes(appendU64(nil, index), data), kept)
	in, err := m.now(opSnapshot, "snapshot", args)
	if err != nil {
		return nil
	}
	return in.snapshot()
}

func (m *hosted) ConfState() ConfState { return m.conf }

func (m *hosted) State() State {
	in, err := m.now(opStatus, "status", nil)
	if err != nil {
		return State{}
	}
	return in.state()
}

func (r *reader) state() State {
	return State{
		Term: r.u64(), Vote: r.u64(), Commit: r.u64(), Role: Role(r.u8()), Leader: r.u64(),
	}
}

func (m *hosted) Log() []Entry {
	in, err := m.now(opLog, "log", nil)
	if err != nil {
		return nil
	}
	return in.entries()
}

func (m *hosted) Objections() []*Objection {
	m.host.flush()
	o := m.objections
	m.objections = nil
	return o
}

func (m *hosted) Close() { m.later(opDrop, "drop", nil) }
