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

	leader        uint64
	isLeader      bool
	term          uint64
	appliedTerm   uint64
	elections     []election
	snapshotIndex uint64
	cutIndex      uint64
	made          uint64
	installed     uint64
	installedAt   uint64
	removed       bool
	failure       error

	// Writes and changes that wait, by their serials, and whether some of them are still to be
	// proposed in this term.
	serial  uint64
	waiting map[uint64]*request
	overdue bool
	// Reads that wait, oldest first. Each is covered by a question to the leader; questions are
	// numbered by the next one, and asked is the last one that was asked.
	reads    []*request
	question uint64
	asked    uint64
	asking   bool
	askedAgo int

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
		elections: []election{}, waiting: map[uint64]*request{},
		// Numbers that no earlier life of this node has used. Questions must not wrap.
		serial: rand.Uint64(), question: rand.Uint64() >> 2,
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
	n.peers.follow()
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
			n.peers.tick()
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
	if !raft.IsEmptyHardState(rd.HardState) {
		n.term = rd.HardState.GetTerm()
	}
	if rd.SoftState != nil {
		n.leader, n.isLeader = rd.SoftState.Lead, rd.SoftState.RaftState == raft.StateLeader
		if n.leader != raft.None {
			n.noteElection(n.term)
			n.overdue = true
		}
	}
	if n.isLeader {
		n.peers.send(rd.Messages)
	}
	return n.write(rd, n.isLeader)
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
	if changed {
		n.peers.follow()
	}
	for _, read := range rd.ReadStates {
		n.confirmReads(read)
	}
	n.answerReads()
	n.raw.Advance(rd)
	if n.overdue && n.leader != raft.None {
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
	if e.GetTerm() > n.appliedTerm {
		n.appliedTerm = e.GetTerm()
		n.forgetLost(n.appliedTerm)
	}
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
	// Of a read: its key, the question that covers it, and its index, once that is known.
	key         string
	question    uint64
	isConfirmed bool
	index       uint64
}

// answer is what a client gets.
type answer struct {
	status  int
	index   uint64
	value   []byte
	reason  string
	outcome string
}

// wait has a write or a change wait for its entry, once it has been given one.
func (n *node) wait(r *request) {
	n.serial++
	r.serial = n.serial
	n.waiting[r.serial] = r
}

// propose proposes what waits and is not proposed in this term. What went to an earlier leader may
// be lost; only what carries a request id can be repeated.
func (n *node) propose() {
	n.overdue = false
	term := n.raw.BasicStatus().GetTerm()
	for _, serial := range slices.Sorted(maps.Keys(n.waiting)) {
		r := n.waiting[serial]
		if r.proposed == 0 || r.repeatable && r.proposed < term {
			n.proposeOne(r)
		}
	}
}

func (n *node) proposeOne(r *request) {
	var outcome raft.ConfChangeOutcome
	var err error
	if r.change == nil {
		err = n.raw.Propose(r.data)
	} else {
		outcome, err = n.raw.ProposeConfChangeOutcome(r.change)
	}
	if err != nil {
		n.overdue = true
		return
	}
	r.proposed = n.raw.BasicStatus().GetTerm()
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
	for len(n.reads) > 0 && !now.Before(n.reads[0].deadline) {
		n.reads[0].done <- answer{status: 503, reason: "the read was not confirmed in time"}
		n.reads = n.reads[1:]
	}
	if n.askedAgo++; n.asking && n.askedAgo >= askAgainTicks {
		n.asking = false
		n.askIfNeeded()
	}
}

// A question may get lost with a leader, so the next one is asked after so many ticks; its answer
// serves all that came before.
const askAgainTicks = 3

// awaitRead has a read wait for two things: a leader's word on which index it must have seen, and
// that this index is applied. Reads that come while the leader is being asked share the next
// question, so that a thousand readers cost one round of heartbeats, not a thousand.
func (n *node) awaitRead(r *request) {
	r.question = n.question
	n.reads = append(n.reads, r)
	if !n.asking {
		n.askIfNeeded()
	}
}

func (n *node) askIfNeeded() {
	if !slices.ContainsFunc(n.reads, func(r *request) bool { return !r.isConfirmed }) {
		return
	}
	n.asked, n.asking, n.askedAgo = n.question, true, 0
	n.question++
	n.raw.ReadIndex(binary.BigEndian.AppendUint64(nil, n.asked))
}

func (n *node) confirmReads(read raft.ReadState) {
	if len(read.RequestCtx) != 8 {
		return
	}
	question := binary.BigEndian.Uint64(read.RequestCtx)
	if question > n.asked {
		return // An earlier life of this node asked it, and its answer was on the way for long.
	}
	for _, r := range n.reads {
		if !r.isConfirmed && r.question <= question {
			r.isConfirmed, r.index = true, read.Index
		}
	}
	if question == n.asked {
		n.asking = false
		n.askIfNeeded()
	}
}

// answerReads answers the reads whose index is applied.
func (n *node) answerReads() {
	for len(n.reads) > 0 && n.reads[0].isConfirmed && n.reads[0].index <= n.state.index {
		n.reads[0].done <- n.read(n.reads[0].key)
		n.reads = n.reads[1:]
	}
}

func (n *node) read(key string) answer {
	value, found := n.state.keys[key]
	if !found {
		return answer{status: 404, reason: "no such key"}
	}
	return answer{status: 200, value: value}
}
