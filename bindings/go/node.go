package raft

import (
	"context"
	"errors"
	"sync"

	"github.com/raftcore/raftcore/bindings/go/internal/capi"
	pb "go.etcd.io/raft/v3/raftpb"
)

// Diagnostics is what a [Node] of this package can do beyond upstream's:
//
//	node := raft.StartNode(config, peers)
//	if err := node.(raft.Diagnostics).Err(); err != nil { … }
type Diagnostics interface {
	// Err says why the node stopped by itself: it was made from bad input, or its storage failed in
	// the middle of a step. Upstream panics there. Nil for a node that runs or was stopped by Stop.
	Err() error
	// ProposeConfChangeOutcome is ProposeConfChange, and waits to tell what became of the change.
	ProposeConfChangeOutcome(ctx context.Context, cc pb.ConfChangeI) (ConfChangeOutcome, error)
}

// StartNode makes a node that starts a group with these members. A node made from bad input is a
// stopped one; its Err (see [Diagnostics]) says why.
func StartNode(c *Config, peers []Peer) Node {
	if len(peers) == 0 {
		return stoppedNode(errors.New("no peers given; use RestartNode instead"))
	}
	rn, err := NewRawNode(c)
	if err != nil {
		return stoppedNode(err)
	}
	if err := rn.Bootstrap(peers); err != nil {
		rn.logger.Warningf("error occurred during starting a new node: %v", err)
	}
	return run(rn)
}

// RestartNode makes a node from what is in its storage. A node made from bad input is a stopped
// one; its Err (see [Diagnostics]) says why.
func RestartNode(c *Config) Node {
	rn, err := NewRawNode(c)
	if err != nil {
		return stoppedNode(err)
	}
	return run(rn)
}

// proposal is a message that the node takes when there is a leader.
type proposal struct {
	message *pb.Message
	outcome *ConfChangeOutcome
	result  chan error
}

// change is a membership change to be applied.
type change struct {
	cc     pb.ConfChangeI
	result chan *pb.ConfState
}

// node drives a RawNode from one goroutine, by channels that block as upstream's do.
type node struct {
	proposals chan proposal
	messages  chan *pb.Message
	changes   chan change
	readies   chan Ready
	advances  chan struct{}
	ticks     chan struct{}
	statuses  chan chan Status
	stop      chan struct{}
	done      chan struct{}

	raw *RawNode

	mu  sync.Mutex
	err error
}

// So many ticks wait for a node that is busy.
const waitingTicks = 128

func newNode(rn *RawNode) *node {
	return &node{
		proposals: make(chan proposal),
		messages:  make(chan *pb.Message),
		changes:   make(chan change),
		readies:   make(chan Ready),
		advances:  make(chan struct{}),
		ticks:     make(chan struct{}, waitingTicks),
		statuses:  make(chan chan Status),
		stop:      make(chan struct{}),
		done:      make(chan struct{}),
		raw:       rn,
	}
}

func run(rn *RawNode) Node {
	n := newNode(rn)
	go n.run()
	return n
}

// stoppedNode is a node that never ran.
func stoppedNode(err error) Node {
	n := newNode(nil)
	n.err = err
	close(n.done)
	return n
}

// loop is what the node's goroutine remembers from turn to turn.
type loop struct {
	*node
	leader uint64
	// Nil while proposals must wait, because there is no leader or this node was removed.
	proposals chan proposal
	// The Ready that waits to be received, and the channel, or nil.
	ready   Ready
	readies chan Ready
	// Nil unless a Ready was received and not advanced.
	advances chan struct{}
}

func (n *node) run() {
	defer close(n.done)
	defer n.raw.Close()
	l := loop{node: n}
	for {
		state, err := n.raw.node.State()
		if err != nil || state.Faulted {
			n.fail(err)
			return
		}
		if state.Leader != l.leader {
			l.watchLeader(&state)
		}
		if l.readies == nil && l.advances == nil && n.raw.HasReady() {
			// A Ready that is taken cannot grow. So first take what waits already.
			if stopped, took := l.poll(); stopped {
				return
			} else if took {
				continue
			}
			l.ready, l.readies = n.raw.Ready(), n.readies
		}
		if l.wait() {
			return
		}
	}
}

// fail remembers why the node stops: its core is faulted.
func (n *node) fail(err error) {
	if err == nil {
		if _, err = n.raw.node.Ready(new(capi.Ready)); err == nil {
			err = ErrFaulted
		}
	}
	n.mu.Lock()
	n.err = translate(err)
	n.mu.Unlock()
	n.raw.logger.Errorf("raft.node: stopped: %v", n.err)
}

// watchLeader lets proposals in only when there is somebody to take them.
func (l *loop) watchLeader(state *capi.State) {
	log := l.raw.logger
	switch {
	case state.Leader == None:
		log.Infof("raft.node: %x lost leader %x at term %d", state.ID, l.leader, state.Term)
		l.proposals = nil
	case l.leader == None:
		log.Infof("raft.node: %x elected leader %x at term %d", state.ID, state.Leader, state.Term)
		l.proposals = l.node.proposals
	default:
		log.Infof("raft.node: %x changed leader from %x to %x at term %d", state.ID, l.leader,
			state.Leader, state.Term)
		l.proposals = l.node.proposals
	}
	l.leader = state.Leader
}

// poll takes one thing that waits to come in, if any does.
func (l *loop) poll() (stopped, took bool) {
	select {
	case p := <-l.proposals:
		l.propose(p)
	case m := <-l.messages:
		_ = l.raw.take(m)
	case <-l.stop:
		return true, false
	default:
		return false, false
	}
	return false, true
}

// wait takes the next thing, whatever it is. It returns true when that is to stop.
func (l *loop) wait() bool {
	select {
	case p := <-l.proposals:
		l.propose(p)
	case m := <-l.messages:
		_ = l.raw.take(m)
	case c := <-l.changes:
		c.result <- l.applyConfChange(c.cc)
	case <-l.ticks:
		l.raw.Tick()
	case l.readies <- l.ready:
		l.ready, l.readies = Ready{}, nil
		if !l.raw.async {
			l.advances = l.node.advances
		}
	case <-l.advances:
		l.raw.Advance(Ready{})
		l.advances = nil
	case answer := <-l.statuses:
		answer <- l.raw.Status()
	case <-l.stop:
		return true
	}
	return false
}

func (l *loop) propose(p proposal) {
	var err error
	if p.outcome != nil {
		e := p.message.GetEntries()[0]
		*p.outcome, err = l.raw.proposeConfChange(e.GetType(), e.GetData())
	} else {
		err = l.raw.step(p.message)
	}
	if p.result != nil {
		p.result <- err
	}
}

// applyConfChange lets no more proposals in when the node has removed itself.
func (l *loop) applyConfChange(cc pb.ConfChangeI) *pb.ConfState {
	before, _, _ := l.raw.node.Details()
	after := l.raw.ApplyConfChange(cc)
	id := l.raw.BasicStatus().ID
	if isMember(before, id) && !isMember(after, id) {
		l.proposals = nil
	}
	return after
}

func isMember(cs *pb.ConfState, id uint64) bool {
	for _, ids := range [...][]uint64{
		cs.GetVoters(), cs.GetVotersOutgoing(), cs.GetLearners(), cs.GetLearnersNext(),
	} {
		for _, member := range ids {
			if member == id {
				return true
			}
		}
	}
	return false
}

// Err implements [Diagnostics].
func (n *node) Err() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.err
}

// Stop stops the node and returns when it has stopped. Twice is harmless.
func (n *node) Stop() {
	select {
	case n.stop <- struct{}{}:
	case <-n.done:
		return
	}
	<-n.done
}

// Tick never blocks: a node that is too busy misses ticks.
func (n *node) Tick() {
	select {
	case n.ticks <- struct{}{}:
	case <-n.done:
	default:
		n.raw.logger.Warningf("raft.node: a tick is missed: the node is too busy")
	}
}

func (n *node) Campaign(ctx context.Context) error {
	return n.step(ctx, &pb.Message{Type: pb.MsgHup.Enum()})
}

// Propose waits until there is a leader and the proposal is taken or dropped.
func (n *node) Propose(ctx context.Context, data []byte) error {
	return n.propose(ctx, proposal{
		message: &pb.Message{Type: pb.MsgProp.Enum(), Entries: []*pb.Entry{{Data: data}}},
		result:  make(chan error, 1),
	})
}

// ProposeConfChange waits until there is a leader, and not for what becomes of the change.
func (n *node) ProposeConfChange(ctx context.Context, cc pb.ConfChangeI) error {
	message, err := confChangeMessage(cc)
	if err != nil {
		return err
	}
	return n.propose(ctx, proposal{message: message})
}

// ProposeConfChangeOutcome implements [Diagnostics].
func (n *node) ProposeConfChangeOutcome(ctx context.Context,
	cc pb.ConfChangeI) (ConfChangeOutcome, error) {
	message, err := confChangeMessage(cc)
	if err != nil {
		return ConfChangeOutcome{}, err
	}
	outcome := new(ConfChangeOutcome)
	p := proposal{message: message, outcome: outcome, result: make(chan error, 1)}
	if err := n.propose(ctx, p); err != nil {
		return ConfChangeOutcome{}, err
	}
	return *outcome, nil
}

func confChangeMessage(cc pb.ConfChangeI) (*pb.Message, error) {
	kind, data, err := pb.MarshalConfChange(cc)
	if err != nil {
		return nil, err
	}
	return &pb.Message{
		Type: pb.MsgProp.Enum(), Entries: []*pb.Entry{{Type: kind.Enum(), Data: data}},
	}, nil
}

// Step hands in a message from a peer or from a storage thread. Others are ignored.
func (n *node) Step(ctx context.Context, m *pb.Message) error {
	switch {
	case m == nil:
		return ErrNilMessage
	case IsLocalMsg(m.GetType()) && !IsLocalMsgTarget(m.GetFrom()):
		return nil
	}
	return n.step(ctx, m)
}

func (n *node) step(ctx context.Context, m *pb.Message) error {
	if m.GetType() == pb.MsgProp {
		return n.propose(ctx, proposal{message: m})
	}
	select {
	case n.messages <- m:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-n.done:
		return ErrStopped
	}
}

func (n *node) propose(ctx context.Context, p proposal) error {
	select {
	case n.proposals <- p:
	case <-ctx.Done():
		return ctx.Err()
	case <-n.done:
		return ErrStopped
	}
	if p.result == nil {
		return nil
	}
	select {
	case err := <-p.result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-n.done:
		return ErrStopped
	}
}

// Ready returns the channel of Readies. It is never closed.
func (n *node) Ready() <-chan Ready { return n.readies }

// Advance says that the last Ready is done.
func (n *node) Advance() {
	select {
	case n.advances <- struct{}{}:
	case <-n.done:
	}
}

// ApplyConfChange applies a committed membership change and returns the new membership; nil when
// the node is stopped.
func (n *node) ApplyConfChange(cc pb.ConfChangeI) *pb.ConfState {
	c := change{cc: cc, result: make(chan *pb.ConfState, 1)}
	select {
	case n.changes <- c:
	case <-n.done:
		return nil
	}
	return <-c.result
}

func (n *node) Status() Status {
	answer := make(chan Status, 1)
	select {
	case n.statuses <- answer:
		return <-answer
	case <-n.done:
		return Status{}
	}
}

// inform hands in what is no message of a peer's.
func (n *node) inform(ctx context.Context, m *pb.Message) {
	select {
	case n.messages <- m:
	case <-ctx.Done():
	case <-n.done:
	}
}

func (n *node) ReportUnreachable(id uint64) {
	n.inform(context.Background(), &pb.Message{Type: pb.MsgUnreachable.Enum(), From: &id})
}

func (n *node) ReportSnapshot(id uint64, status SnapshotStatus) {
	n.inform(context.Background(), &pb.Message{
		Type: pb.MsgSnapStatus.Enum(), From: &id, Reject: ref(status == SnapshotFailure),
	})
}

func (n *node) TransferLeadership(ctx context.Context, lead, transferee uint64) {
	n.inform(ctx, &pb.Message{Type: pb.MsgTransferLeader.Enum(), From: &transferee, To: &lead})
}

func (n *node) ForgetLeader(ctx context.Context) error {
	return n.step(ctx, &pb.Message{Type: pb.MsgForgetLeader.Enum()})
}

func (n *node) ReadIndex(ctx context.Context, rctx []byte) error {
	return n.step(ctx, &pb.Message{Type: pb.MsgReadIndex.Enum(),
		Entries: []*pb.Entry{{Data: rctx}}})
}
