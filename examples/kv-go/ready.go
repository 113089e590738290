// What each Ready says is to be stored, sent, applied and answered. onReady takes a Ready; then it
// is sent, stored, sent, applied, answered, advanced. Only a leader's messages leave before its
// own write, and nobody else's.

package main

import (
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/raftcore/raftcore/bindings/go"
	"go.etcd.io/raft/v3/raftpb"
)

// applyWrite applies an entry to the state. It need not be stored: the log is.
func (n *node) applyWrite(e *raftpb.Entry) {
	if len(e.GetData()) == 0 {
		return
	}
	w, err := decodeWrite(e.GetData())
	if err != nil {
		log.Printf("the entry at index %d is no write: it changes nothing, here as elsewhere",
			e.GetIndex())
		return
	}
	index, seen := n.state.seenBefore(w.request, e.GetIndex())
	switch {
	case seen:
	case w.operation == opPut:
		n.state.put(w.key, w.value)
	default:
		n.state.delete(w.key)
	}
	if w.origin == n.options.id {
		n.requests.writeApplied(w.serial, index)
	}
}

// commitReady stores a Ready, and syncs it. After a failure nobody knows what the log's end is:
// then it is opened again before.
func (n *node) commitReady() error {
	if n.store.isBroken {
		if err := n.store.reopen(n.memory); err != nil {
			return err
		}
	}
	return n.store.save(n.ready)
}

// ---- the loop

func (n *node) sendAll(messages []*raftpb.Message) {
	for _, m := range messages {
		n.peers.send(m)
	}
}

// election is a leader that this node heard of, and when.
type election struct {
	Term   uint64 `json:"term"`
	Leader uint64 `json:"leader"`
	AtMS   int64  `json:"at_ms"`
}

const electionsKept = 16

func (n *node) noteElection() {
	if last := len(n.elections) - 1; last >= 0 && n.elections[last].Term == n.term {
		return
	}
	n.elections = append(n.elections, election{n.term, n.leader, time.Now().UnixMilli()})
	n.elections = n.elections[max(0, len(n.elections)-electionsKept):]
}

func (n *node) noteRoles(soft *raft.SoftState) {
	n.role, n.leader = soft.RaftState, soft.Lead
	switch {
	case n.role == raft.StateLeader:
		log.Printf("leads")
	case n.leader != raft.None:
		log.Printf("follows node %d", n.leader)
	default:
		log.Printf("%s, knows no leader", roles[n.role])
	}
	if n.leader != raft.None {
		n.noteElection()
		n.requests.newLeader()
	}
}

// snapshotIsDue says so every so many entries. And at once when members changed after the log was
// cut: a new member needs a snapshot then, and only one that was made after it was added names it
// as a member.
func (n *node) snapshotIsDue(membershipChanged bool) bool {
	since := n.state.index - n.snapshotIndex
	return since >= n.options.snapshotEntries ||
		membershipChanged && n.snapshotIndex > 0 && since > 0
}

// makeSnapshot makes one of the applied state, as it is now.
func (n *node) makeSnapshot() error {
	data := n.state.dump()
	snapshot, err := n.memory.CreateSnapshot(n.state.index, n.conf, data)
	if err != nil {
		return fmt.Errorf("making a snapshot: %w", err)
	}
	n.snapshotIndex = n.state.index
	if err := n.store.saveSnapshot(snapshot); err != nil {
		return n.noteFailure(err) // The next one is due in as many entries.
	}
	n.snapshotsMade++
	log.Printf("snapshot at index %d, %d bytes", n.snapshotIndex, len(data))
	return nil
}

// cutLog leaves what members that are only a little behind still need.
func (n *node) cutLog() error {
	if n.snapshotIndex <= n.options.catchUp {
		return nil
	}
	err := n.memory.Compact(n.snapshotIndex - n.options.catchUp)
	if errors.Is(err, raft.ErrCompacted) {
		return nil
	}
	return err
}

func (n *node) noteAppliedTerm(term uint64) {
	if term > n.appliedTerm {
		n.appliedTerm = term
		n.requests.termApplied(term)
	}
}

// restore takes over the state of a snapshot.
func (n *node) restore(snapshot *raftpb.Snapshot) error {
	meta := snapshot.GetMetadata()
	if err := n.state.restore(meta.GetIndex(), snapshot.GetData()); err != nil {
		return err
	}
	n.conf, n.snapshotIndex = meta.GetConfState(), meta.GetIndex()
	return nil
}

// persist fills the log in memory with what is now on the disk.
func (n *node) persist() error {
	if s := n.ready.Snapshot; !raft.IsEmptySnap(s) {
		if err := n.memory.ApplySnapshot(s); err != nil {
			return err
		}
		if err := n.restore(s); err != nil {
			return err
		}
		n.snapshotsInstalled++
		n.snapshotInstalledIndex = n.snapshotIndex
		log.Printf("snapshot of index %d installed, %d bytes", n.snapshotIndex, len(s.GetData()))
	}
	if err := n.memory.Append(n.ready.Entries); err != nil {
		return err
	}
	if raft.IsEmptyHardState(n.ready.HardState) {
		return nil
	}
	return n.memory.SetHardState(n.ready.HardState)
}

// finishReady goes on once everything in the Ready is durable: what depends on that follows.
func (n *node) finishReady() error {
	rd := n.ready
	if err := n.persist(); err != nil {
		return fmt.Errorf("filling the log in memory: %w", err)
	}
	if !n.isSent {
		n.sendAll(rd.Messages)
	}
	membershipChanged := !raft.IsEmptySnap(rd.Snapshot)
	for _, e := range rd.CommittedEntries {
		if e.GetType() == raftpb.EntryNormal {
			n.applyWrite(e)
		} else {
			n.applyChange(e)
			membershipChanged = true
		}
		n.state.index = e.GetIndex()
	}
	if last := len(rd.CommittedEntries) - 1; last >= 0 {
		n.noteAppliedTerm(rd.CommittedEntries[last].GetTerm())
	}
	if membershipChanged {
		n.peers.follow()
	}
	for _, read := range rd.ReadStates {
		n.requests.readConfirmed(read.RequestCtx, read.Index)
	}
	n.requests.applied(n.state.index)

	n.raw.Advance(*rd)
	n.ready = nil
	if membershipChanged {
		n.replaceRemovedLeader()
	}
	if n.state.members[n.options.id].isRemoved {
		n.leave("the log")
	}
	if !n.snapshotIsDue(membershipChanged) {
		return nil
	}
	if err := n.makeSnapshot(); err != nil {
		return err
	}
	return n.cutLog()
}

// commitAndFinish keeps the Ready in hand while there is no room on the disk: nothing that depends
// on it is sent or answered, and the same is tried again with each tick. Meanwhile the node is
// mute, and the others may choose another leader.
func (n *node) commitAndFinish() error {
	if err := n.commitReady(); err != nil {
		return n.noteFailure(err)
	}
	if n.trouble != "" {
		log.Printf("the disk can be written again")
	}
	n.trouble = ""
	return n.finishReady()
}

// noteFailure returns an error that does not pass.
func (n *node) noteFailure(err error) error {
	text := fmt.Sprintf("the disk cannot be written: %v", err)
	n.storageErrors++
	n.storageError = &text
	if !mayPass(err) {
		return fmt.Errorf("the disk cannot be used any more: %w", err)
	}
	if n.trouble == "" {
		log.Printf("%s; trying again until it works", text)
	}
	if n.ready != nil {
		n.trouble = text
	}
	return nil
}

func (n *node) onReady(rd raft.Ready) error {
	n.ready = &rd
	if !raft.IsEmptyHardState(rd.HardState) {
		n.term = rd.HardState.GetTerm()
	}
	if rd.SoftState != nil {
		n.noteRoles(rd.SoftState)
	}
	if n.isSent = n.role == raft.StateLeader; n.isSent {
		n.sendAll(rd.Messages)
	}
	return n.commitAndFinish()
}
