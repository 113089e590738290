// The raft node: its start from what is stored, ticks, and what clients and peers ask of it.

package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log"
	"maps"
	"slices"
	"time"

	"github.com/raftcore/raftcore/bindings/go"
	"go.etcd.io/raft/v3/raftpb"
)

const (
	electionTicks  = 10
	heartbeatTicks = 1
	maxID          = 1<<63 - 1
)

// node is a member: a RawNode, what it replicates, and who waits for it. One goroutine owns all of
// it; others hand it functions, by do and now.
type node struct {
	options *options
	ownURL  string
	raw     *raft.RawNode
	memory  *raft.MemoryStorage // the log, from which the library reads
	store   *store
	state   *state
	conf    *raftpb.ConfState
	peers   *peers

	requests *requests
	calls    chan func()
	stopped  chan struct{}
	started  time.Time
	leaving  <-chan time.Time // of a node that was removed; nil else

	// What this node knows as of the last Ready.
	term          uint64
	leader        uint64
	role          raft.StateType
	appliedTerm   uint64
	snapshotIndex uint64
	elections     []election // oldest first

	// The Ready in hand: a full disk does not take it. Whether its messages have left, and why the
	// disk could not be written.
	ready         *raft.Ready
	isSent        bool
	trouble       string
	storageErrors int
	storageError  *string // the last one

	snapshotsMade, snapshotsInstalled, snapshotInstalledIndex uint64
}

// refusal says why something is not done: as an HTTP status and a text. Nil is consent.
type refusal struct {
	status int
	why    string
}

func refuse(status int, format string, args ...any) *refusal {
	return &refusal{status, fmt.Sprintf(format, args...)}
}

// loadLog fills the log in memory as it was, and the state as the snapshot has it.
func (n *node) loadLog(stored *stored) error {
	if stored.snapshot != nil {
		if err := n.memory.ApplySnapshot(stored.snapshot); err != nil {
			return err
		}
		if err := n.restore(stored.snapshot); err != nil {
			return err
		}
	}
	if stored.hard != nil {
		if err := n.memory.SetHardState(stored.hard); err != nil {
			return err
		}
		n.term = stored.hard.GetTerm()
	}
	return n.memory.Append(stored.entries)
}

// bootstrap makes the same entries on every first member, sorted by id, and so the same log.
func (n *node) bootstrap() error {
	var founders []raft.Peer
	for _, id := range slices.Sorted(maps.Keys(n.options.cluster)) {
		context := (&change{url: n.options.cluster[id]}).encode()
		founders = append(founders, raft.Peer{ID: id, Context: context})
	}
	return n.raw.Bootstrap(founders)
}

// findOwnURL finds where this node is. The stored membership knows best, with the changes in the
// log; a new node takes it from --cluster.
func (n *node) findOwnURL(stored *stored) error {
	id := n.options.id
	known, given := n.state.members[id], n.options.cluster[id]
	for _, e := range stored.entries {
		context, change := changeOf(e)
		for _, step := range change.GetChanges() {
			if step.GetNodeId() == id && step.GetType() != raftpb.ConfChangeRemoveNode {
				known.url = decodeChange(context).url
			}
		}
	}
	switch {
	case known.isRemoved:
		return refusedData(fmt.Sprintf("node %d was removed from the cluster; an id is never used"+
			" again", id))
	case known.url != "" && given != "" && known.url != given:
		return refusedData(fmt.Sprintf("--cluster says that this node is at %s, the cluster knows"+
			" it at %s", given, known.url))
	case known.url == "" && given == "":
		return refusedData(fmt.Sprintf("--cluster must contain this node, %d", id))
	}
	n.ownURL = cmp.Or(known.url, given)
	return nil
}

func (n *node) tick() error {
	n.raw.Tick()
	n.peers.tick()
	n.requests.tick(time.Now())
	if n.ready != nil {
		return n.commitAndFinish()
	}
	return nil
}

func (n *node) makeRaft() (err error) {
	out := io.Discard
	if n.options.verbose {
		out = log.Writer()
	}
	n.raw, err = raft.NewRawNode(&raft.Config{
		ID: n.options.id, ElectionTick: electionTicks, HeartbeatTick: heartbeatTicks,
		Storage: n.memory, MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 256,
		MaxUncommittedEntriesSize: 64 << 20, PreVote: true, CheckQuorum: true,
		VotesWaitForSync: true,
		Logger: &raft.DefaultLogger{
			Logger: log.New(out, log.Prefix()+"raft: ", log.Flags()),
		},
	})
	return err
}

// startNode starts from what is in the store.
func startNode(o *options) (*node, error) {
	n := &node{
		options: o, memory: raft.NewMemoryStorage(), state: newState(), conf: &raftpb.ConfState{},
		calls: make(chan func(), 256), stopped: make(chan struct{}), started: time.Now(),
		elections: []election{},
	}
	n.requests = newRequests(n)
	n.peers = newPeers(n)
	var stored *stored
	var err error
	if n.store, stored, err = openStore(o); err != nil {
		return nil, fmt.Errorf("%s: %w", o.data, err)
	}
	if err := n.loadLog(stored); err != nil {
		return nil, fmt.Errorf("%s: %w", o.data, err)
	}
	if err := n.findOwnURL(stored); err != nil {
		return nil, err
	}
	if o.forceNewCluster {
		if err := n.forceNewCluster(stored); err != nil {
			return nil, fmt.Errorf("%s: %w", o.data, err)
		}
	}
	if err := n.makeRaft(); err != nil {
		return nil, err
	}
	if !stored.isNew() {
		last, err := n.memory.LastIndex()
		log.Printf("starts at term %d, snapshot %d, log to %d", n.term, n.snapshotIndex, last)
		return n, err
	}
	log.Printf("starts new")
	if !o.join {
		return n, n.bootstrap()
	}
	return n, nil
}

// run is the loop, until the node is asked to stop, was removed, or cannot go on.
func (n *node) run(ctx context.Context) (err error) {
	defer n.close()
	ticker := time.NewTicker(n.options.tick())
	defer ticker.Stop()
	n.peers.follow()
	for {
		for err == nil && n.ready == nil && n.raw.HasReady() {
			err = n.onReady(n.raw.Ready())
		}
		if err = cmp.Or(err, n.raw.Err()); err != nil {
			return err
		}
		select {
		case f := <-n.calls:
			f()
			// What waits already shares the next write to the disk.
			for range len(n.calls) {
				(<-n.calls)()
			}
		case <-ticker.C:
			err = n.tick()
		case <-n.leaving:
			return nil
		case <-ctx.Done():
			log.Printf("asked to stop")
			return nil
		}
	}
}

// close answers who waits.
func (n *node) close() {
	n.requests.answerAll(stopping)
	close(n.stopped)
	n.raw.Close()
	_ = n.store.close()
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

// now does the same and waits for it.
func (n *node) now(f func()) bool {
	done := make(chan struct{})
	if !n.do(func() { f(); close(done) }) {
		return false
	}
	select {
	case <-done:
		return true
	case <-n.stopped:
		return false
	}
}

// ---- what is asked of it

const stopping = "this node is stopping"

func (n *node) whyNotTaken() *refusal {
	if n.leader == raft.None {
		return refuse(503, "no leader is known")
	}
	return refuse(503, "the leader takes nothing new for now")
}

func (n *node) propose(entry []byte) *refusal {
	if n.raw.Propose(entry) != nil {
		return n.whyNotTaken()
	}
	return nil
}

// proposeChange proposes to add a member, or, without a URL, to remove it.
func (n *node) proposeChange(id uint64, url string, serial uint64) *refusal {
	if wrong := n.checkChange(id, url); wrong != nil {
		return wrong
	}
	kind := raftpb.ConfChangeAddNode
	if url == "" {
		kind = raftpb.ConfChangeRemoveNode
	}
	outcome, err := n.raw.ProposeConfChangeOutcome(&raftpb.ConfChange{
		Type: kind.Enum(), NodeId: &id, Context: (&change{n.options.id, serial, url}).encode(),
	})
	if err != nil {
		return n.whyNotTaken()
	}
	if outcome.Replaced {
		return refuse(409, "another change of members is under way")
	}
	return nil
}

// transfer asks the leader to hand over.
func (n *node) transfer(id uint64) *refusal {
	if m, known := n.state.members[id]; !known || m.isRemoved {
		return refuse(404, "no member has the id %d", id)
	}
	if n.leader == raft.None {
		return n.whyNotTaken()
	}
	n.raw.TransferLeader(id)
	return nil
}

func (n *node) readIndex(context []byte) { n.raw.ReadIndex(context) }

func (n *node) reportUnreachable(peer uint64) { n.raw.ReportUnreachable(peer) }

func (n *node) reportSnapshot(peer uint64, hasArrived bool) {
	status := raft.SnapshotFailure
	if hasArrived {
		status = raft.SnapshotFinish
	}
	n.raw.ReportSnapshot(peer, status)
}

// leave stops this node, which is no longer a member, but lets what it still has to say leave
// before.
func (n *node) leave(whoSaysSo string) {
	if n.leaving == nil {
		log.Printf("removed from the cluster, says %s: stopping", whoSaysSo)
		n.leaving = time.After(electionTicks * n.options.tick())
	}
}
