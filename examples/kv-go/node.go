package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/raftcore/raftcore/bindings/go"
	"go.etcd.io/raft/v3/raftpb"
)

// node is a member: a RawNode, what it replicates, and who waits for it. One goroutine owns all of
// it; others hand it functions.
type node struct {
	options *options
	raw     *raft.RawNode
	memory  *raft.MemoryStorage
	disk    *disk
	state   *state
	conf    *raftpb.ConfState
	peers   *peers
	calls   chan func()
	stopped chan struct{}
	started time.Time

	serial        uint64
	leader        uint64
	term          uint64
	elections     []election
	waiting       map[uint64]*request
	reads         map[uint64]*request
	snapshotIndex uint64
	cutIndex      uint64
	made          uint64
	installed     uint64
	installedAt   uint64
	removed       bool
	failure       error

	// The Ready that a full disk does not take, and how often it did not; the last error, or nil.
	stuck         *stuck
	storageErrors int
	storageError  error
}

// stuck is a Ready that waits for the disk.
type stuck struct {
	rd     raft.Ready
	isSent bool
}

func openNode(o *options) (*node, error) {
	n := &node{
		options: o, memory: raft.NewMemoryStorage(), state: newState(), conf: &raftpb.ConfState{},
		calls: make(chan func(), 256), stopped: make(chan struct{}), started: time.Now(),
		serial:    rand.Uint64(),
		elections: []election{}, waiting: map[uint64]*request{}, reads: map[uint64]*request{},
	}
	d, snapshot, isUsed, err := openDisk(o, n.memory)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.data, err)
	}
	n.disk = d
	if snapshot != nil {
		if err := n.restore(snapshot); err != nil {
			return nil, err
		}
	}
	if o.forceNewCluster {
		if err := n.forceNewCluster(isUsed); err != nil {
			return nil, fmt.Errorf("%s: %w", o.data, err)
		}
	}
	config := &raft.Config{
		ID: o.id, ElectionTick: 10, HeartbeatTick: 1, Storage: n.memory, MaxSizePerMsg: 1 << 20,
		MaxInflightMsgs: 256, MaxUncommittedEntriesSize: 64 << 20, PreVote: true,
		CheckQuorum: true, VotesWaitForSync: true, Logger: n.logger(),
	}
	if n.raw, err = raft.NewRawNode(config); err != nil {
		return nil, err
	}
	if !isUsed && !o.join {
		return n, n.bootstrap()
	}
	return n, nil
}

func (n *node) logger() raft.Logger {
	out := io.Discard
	if n.options.verbose {
		out = log.Writer()
	}
	return &raft.DefaultLogger{Logger: log.New(out, "raft ", log.Ltime|log.Lmicroseconds)}
}

func (n *node) bootstrap() error {
	var founders []raft.Peer
	for _, id := range slices.Sorted(maps.Keys(n.options.cluster)) {
		context := (&change{url: n.options.cluster[id]}).encode()
		founders = append(founders, raft.Peer{ID: id, Context: context})
	}
	return n.raw.Bootstrap(founders)
}

// do runs a function in the node's goroutine; false when the node has stopped.
func (n *node) do(f func()) bool {
	select {
	case n.calls <- f:
		return true
	case <-n.stopped:
		return false
	}
}

// run is the loop.
func (n *node) run(ctx context.Context) error {
	defer close(n.stopped)
	defer n.raw.Close()
	defer n.disk.close()
	ticker := time.NewTicker(n.options.tick)
	defer ticker.Stop()
	for n.failure == nil {
		for n.stuck == nil && n.raw.HasReady() && n.failure == nil {
			n.failure = n.handle(n.raw.Ready())
		}
		if n.failure == nil {
			n.failure = n.raw.Err()
		}
		if n.removed {
			log.Printf("kv-go: this node was removed from the cluster")
			n.peers.drain()
			return nil
		}
		select {
		case f := <-n.calls:
			f()
			// What waits already shares the next write to the disk.
			for range len(n.calls) {
				(<-n.calls)()
			}
		case <-ticker.C:
			n.raw.Tick()
			n.expire(time.Now())
			if n.stuck != nil {
				n.failure = n.write(n.stuck.rd, n.stuck.isSent)
			}
		case <-ctx.Done():
			return nil
		}
	}
	return n.failure
}

// handle does what a Ready says. A leader's messages may leave before its own write; nobody else's.
func (n *node) handle(rd raft.Ready) error {
	if rd.SoftState != nil {
		n.leader = rd.SoftState.Lead
		if n.leader != raft.None {
			n.noteElection(n.raw.BasicStatus().GetTerm())
		}
	}
	isLeader := n.raw.BasicStatus().RaftState == raft.StateLeader
	if isLeader {
		n.peers.send(rd.Messages)
	}
	return n.write(rd, isLeader)
}

// write stores a Ready and goes on with it, or keeps it until there is room on the disk.
func (n *node) write(rd raft.Ready, isSent bool) error {
	var err error
	if n.disk.broken {
		err = n.disk.reopen(n.memory)
	}
	if err == nil {
		err = n.disk.save(&rd)
	}
	if err != nil {
		n.stuck = &stuck{rd, isSent}
		return n.noteFull(err)
	}
	if n.stuck != nil {
		log.Printf("kv-go: the disk can be written again")
	}
	n.stuck, n.storageError = nil, nil
	return n.finishReady(rd, isSent)
}

// noteFull returns the error, unless it is one that passes.
func (n *node) noteFull(err error) error {
	if !isFull(err) {
		return fmt.Errorf("the disk: %w", err)
	}
	if n.storageError == nil {
		log.Printf("kv-go: the disk cannot be written: %v", err)
	}
	n.storageErrors++
	n.storageError = fmt.Errorf("the disk cannot be written: %w", err)
	return nil
}

func (n *node) finishReady(rd raft.Ready, isSent bool) error {
	if !raft.IsEmptySnap(rd.Snapshot) {
		if err := n.install(rd.Snapshot); err != nil {
			return err
		}
	}
	err := n.memory.Append(rd.Entries)
	if !raft.IsEmptyHardState(rd.HardState) {
		err = errors.Join(err, n.memory.SetHardState(rd.HardState))
		n.term = rd.HardState.GetTerm()
	}
	if err != nil {
		return err
	}
	if !isSent {
		n.peers.send(rd.Messages)
	}
	changed := false
	for _, e := range rd.CommittedEntries {
		changed = n.apply(e) || changed
	}
	for _, read := range rd.ReadStates {
		n.confirmRead(read)
	}
	n.answerReads()
	n.raw.Advance(rd)
	if n.leader != raft.None {
		n.propose()
	}
	return n.maybeSnapshot(changed)
}

func (n *node) install(snapshot *raftpb.Snapshot) error {
	if err := n.memory.ApplySnapshot(snapshot); err != nil {
		return err
	}
	n.installed++
	n.installedAt = snapshot.Metadata.GetIndex()
	return n.restore(snapshot)
}

func (n *node) restore(snapshot *raftpb.Snapshot) error {
	index := snapshot.Metadata.GetIndex()
	restored, err := decodeState(index, snapshot.Data)
	if err != nil {
		return err
	}
	n.state, n.conf = restored, snapshot.Metadata.ConfState
	n.snapshotIndex, n.cutIndex = index, index
	return nil
}

// apply applies an entry. It returns whether the membership may have changed.
func (n *node) apply(e *raftpb.Entry) bool {
	isChange := e.GetType() != raftpb.EntryNormal
	if isChange {
		n.applyChange(e)
	} else if w, err := decodeWrite(e.GetData()); err == nil {
		at := n.state.apply(e.GetIndex(), w)
		if w.origin == n.options.id {
			n.finish(w.serial, answer{status: 204, index: at})
		}
	}
	n.state.index = e.GetIndex()
	n.forgetLost(e.GetTerm())
	return isChange
}

func (n *node) applyChange(e *raftpb.Entry) {
	context, v2 := changeOf(e)
	if v2 == nil {
		return
	}
	var ids []uint64
	for _, step := range v2.Changes {
		ids = append(ids, step.GetNodeId())
		// A removed id stays removed: every node finds the same here, and vetoes the same.
		if step.GetType() != raftpb.ConfChangeRemoveNode &&
			n.state.members[step.GetNodeId()].removed {
			step.NodeId = new(uint64)
		}
	}
	n.conf = n.raw.ApplyConfChange(v2)
	c := decodeChange(context)
	for _, id := range ids {
		n.followChange(id, c.url)
	}
	if c.origin == n.options.id {
		n.finish(c.serial, answer{status: 204, index: e.GetIndex()})
	}
}

func (n *node) followChange(id uint64, url string) {
	known, exists := n.state.members[id]
	switch {
	case id == 0 || id > maxID:
	case isMember(n.conf, id):
		if url == "" {
			url = known.url
		}
		n.state.members[id] = member{url: url}
	case exists:
		n.state.members[id] = member{removed: true}
		if id == n.options.id {
			n.removed = true
		}
	}
}

func isMember(c *raftpb.ConfState, id uint64) bool {
	return isVoter(c, id) || slices.Contains(c.GetLearners(), id) ||
		slices.Contains(c.GetLearnersNext(), id)
}

func isVoter(c *raftpb.ConfState, id uint64) bool {
	return slices.Contains(c.GetVoters(), id) || slices.Contains(c.GetVotersOutgoing(), id)
}

// maybeSnapshot makes a snapshot every so many entries, and once the log is cut after each change
// of members, since a new member gets only a snapshot that names it.
func (n *node) maybeSnapshot(changed bool) error {
	index := n.state.index
	isDue := index >= n.snapshotIndex+n.options.snapshotEntries || changed && n.cutIndex > 0
	if !isDue || index <= n.snapshotIndex {
		return nil
	}
	snapshot, err := n.memory.CreateSnapshot(index, n.conf, n.state.encode())
	if err != nil {
		return err
	}
	n.snapshotIndex = index
	if err := n.disk.saveSnapshot(snapshot); err != nil {
		return n.noteFull(err) // The next one is due in as many entries.
	}
	n.made++
	if index <= n.options.catchUp {
		return nil
	}
	n.cutIndex = index - n.options.catchUp
	if err := n.memory.Compact(n.cutIndex); err != nil && !errors.Is(err, raft.ErrCompacted) {
		return err
	}
	return nil
}

// request is a client's that waits.
type request struct {
	serial   uint64
	deadline time.Time
	done     chan answer
	// Of a write: its entry, and whether it may be proposed again.
	data       []byte
	repeatable bool
	// The term in which it was proposed, or zero.
	proposed uint64
	// Of a change of members.
	change *raftpb.ConfChange
	// Of a read: its index, once it is known, and when it was asked for.
	index uint64
	asked time.Time
}

// answer is what a client gets.
type answer struct {
	status  int
	index   uint64
	reason  string
	outcome string
}

// wait has a request wait, and asks for what it needs.
func (n *node) wait(r *request) {
	n.serial++
	r.serial = n.serial
	n.waiting[r.serial] = r
}

// propose proposes what waits and is not proposed in this term. What went to an earlier leader may
// be lost; only what carries a request id can be repeated.
func (n *node) propose() {
	term := n.raw.BasicStatus().GetTerm()
	for _, serial := range slices.Sorted(maps.Keys(n.waiting)) {
		r := n.waiting[serial]
		if r.proposed == 0 || r.repeatable && r.proposed < term {
			n.proposeOne(r, term)
		}
	}
}

func (n *node) proposeOne(r *request, term uint64) {
	if r.change == nil {
		if n.raw.Propose(r.data) == nil {
			r.proposed = term
		}
		return
	}
	outcome, err := n.raw.ProposeConfChangeOutcome(r.change)
	if err != nil {
		return
	}
	r.proposed = term
	if outcome.Replaced {
		n.finish(r.serial, answer{status: 409, reason: "another change is under way"})
	}
}

// finish answers a request of this node's, if it still waits.
func (n *node) finish(serial uint64, a answer) {
	if r := n.waiting[serial]; r != nil {
		delete(n.waiting, serial)
		r.done <- a
	}
}

const lost = "outcome unknown: the leader changed"

// forgetLost answers what was proposed before a term whose first entry is now applied.
func (n *node) forgetLost(term uint64) {
	for serial, r := range n.waiting {
		if r.proposed != 0 && r.proposed < term && !r.repeatable {
			n.finish(serial, answer{status: 503, reason: lost, outcome: "unknown"})
		}
	}
}

// expire answers what waits for too long, and asks again for reads that may be lost.
func (n *node) expire(now time.Time) {
	for serial, r := range n.waiting {
		if now.Before(r.deadline) {
			continue
		}
		a := answer{status: 503, reason: "outcome unknown: timed out", outcome: "unknown"}
		if r.proposed == 0 {
			a = answer{status: 503, reason: "there is no leader", outcome: "refused"}
		}
		n.finish(serial, a)
	}
	for serial, r := range n.reads {
		switch {
		case !now.Before(r.deadline):
			delete(n.reads, serial)
			r.done <- answer{status: 503, reason: "the read was not confirmed in time"}
		case r.index == 0 && now.Sub(r.asked) > 5*n.options.tick:
			n.askRead(r)
		}
	}
}

// askRead asks for a read index, under a new number: an old answer would not be linearizable.
func (n *node) askRead(r *request) {
	delete(n.reads, r.serial)
	n.serial++
	r.serial, r.asked = n.serial, time.Now()
	n.reads[r.serial] = r
	context := binary.BigEndian.AppendUint64(nil, n.options.id)
	n.raw.ReadIndex(binary.BigEndian.AppendUint64(context, r.serial))
}

func (n *node) confirmRead(read raft.ReadState) {
	if len(read.RequestCtx) != 16 {
		return
	}
	if r := n.reads[binary.BigEndian.Uint64(read.RequestCtx[8:])]; r != nil {
		r.index = max(read.Index, 1)
	}
}

// answerReads answers the reads whose index is applied.
func (n *node) answerReads() {
	for serial, r := range n.reads {
		if r.index != 0 && r.index <= max(n.state.index, 1) {
			delete(n.reads, serial)
			r.done <- answer{status: 200}
		}
	}
}
