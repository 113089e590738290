package interop

import (
	"bytes"
	"fmt"
	"sort"
)

// Judge watches what the nodes of a cluster say and do, and compares them in the end. It knows
// the rules of Raft, and nothing about an implementation.
type Judge struct {
	c *Cluster
	// Who led each term.
	leaders map[uint64]uint64
	// What was applied at each index, by whoever applied it first.
	history map[uint64]string
	// The highest commit index that any node ever had.
	committed uint64
	// Reads that wait, and the least index that may answer them.
	reads map[string]uint64
	// How many of a node's reads were answered.
	answered map[uint64]int
	// What was proposed, and where it was applied.
	proposed map[string]bool
	applied  map[string]uint64
	// The latest term of each node.
	terms map[uint64]uint64
}

func newJudge(c *Cluster) *Judge {
	return &Judge{
		c: c, leaders: map[uint64]uint64{}, history: map[uint64]string{},
		reads: map[string]uint64{}, answered: map[uint64]int{}, proposed: map[string]bool{},
		applied: map[string]uint64{}, terms: map[uint64]uint64{},
	}
}

// observe looks at a Ready.
func (j *Judge) observe(n *Node, r *Ready) {
	s := r.State
	if s.Term < j.terms[n.ID] {
		j.c.Fatalf("node %d went back from term %d to %d", n.ID, j.terms[n.ID], s.Term)
	}
	j.terms[n.ID] = s.Term
	if s.Role == Leader {
		if other, ok := j.leaders[s.Term]; ok && other != n.ID {
			j.c.Fatalf("nodes %d and %d lead term %d", other, n.ID, s.Term)
		}
		j.leaders[s.Term] = n.ID
	}
	was := n.state
	if was.Role == Leader && s.Role == Leader && was.Term == s.Term && s.Commit > was.Commit {
		if term := n.termAt(r, s.Commit); term != s.Term {
			j.c.Fatalf("node %d, which leads term %d, committed %d of term %d",
				n.ID, s.Term, s.Commit, term)
		}
	}
	j.committed = max(j.committed, s.Commit)
	for _, read := range r.Reads {
		floor, asked := j.reads[string(read.Context)]
		if !asked {
			j.c.Fatalf("node %d answers a read %q that nobody asked", n.ID, read.Context)
		}
		if read.Index < floor {
			j.c.Fatalf("node %d answers a read with %d, but %d was committed before it was asked",
				n.ID, read.Index, floor)
		}
		j.answered[n.ID]++
	}
}

// led says whether a node led one of the terms after the first few that had a leader.
func (j *Judge) led(id uint64, after int) bool {
	var terms []uint64
	for term := range j.leaders {
		terms = append(terms, term)
	}
	for _, term := range sorted(terms)[after:] {
		if j.leaders[term] == id {
			return true
		}
	}
	return false
}

// apply looks at an entry that a node applies.
func (j *Judge) apply(n *Node, e Entry) {
	if e.Index != n.machine.Index+1 {
		j.c.Fatalf("node %d applies %d after %d", n.ID, e.Index, n.machine.Index)
	}
	text := j.canonical(e)
	if first, ok := j.history[e.Index]; ok && first != text {
		j.c.Fatalf("node %d applies %s at %d, another applied %s", n.ID, text, e.Index, first)
	}
	j.history[e.Index] = text
	if e.Type != EntryNormal || len(e.Data) == 0 {
		return
	}
	if !j.proposed[string(e.Data)] {
		j.c.Fatalf("node %d applies %q, which nobody proposed", n.ID, e.Data)
	}
	if _, ok := j.applied[string(e.Data)]; !ok {
		j.applied[string(e.Data)] = e.Index
	}
}

// canonical is what an entry means. Membership changes are decoded: 3.6, 3.7 and raftcore encode
// the same change differently.
func (j *Judge) canonical(e Entry) string {
	if e.Type == EntryNormal {
		return fmt.Sprintf("%d/%d %q", e.Term, e.Index, e.Data)
	}
	change, err := j.c.upstream.DecodeConfChange(e.Type, e.Data)
	if err != nil {
		j.c.Fatalf("the change at %d cannot be decoded: %v", e.Index, err)
	}
	return fmt.Sprintf("%d/%d type %d %s %q", e.Term, e.Index, e.Type, change, change.Context)
}

// objections fails on those that no honest member's message or application's call deserves.
func (j *Judge) objections(n *Node, objections []*Objection) {
	for _, o := range objections {
		if o.Reason >= Refused {
			j.c.Fatalf("node %d (%s) objects: %s: %s", n.ID, n.Kind.Name(), o.Call, o.Text)
		}
	}
}

// Settle lets the network heal and everybody run until nothing is left to do, and then compares
// all nodes: logs entry by entry, commit indexes, memberships and state machines.
func (j *Judge) Settle() {
	c := j.c
	c.Helper()
	c.Net.Heal(c.now)
	c.Slow = 0
	for _, n := range c.nodes {
		if !n.Up() {
			c.Restart(n.ID)
		}
		n.crashAt = 0
	}
	c.Until("all nodes agree", 600, j.agree)
	j.compare()
}

// agree says whether one node leads, all members know it and have applied the same.
func (j *Judge) agree() bool {
	c := j.c
	leader := c.Leader()
	if leader == nil {
		return false
	}
	conf := leader.member.ConfState()
	for _, n := range c.Nodes() {
		s := n.state
		if !conf.member(n.ID) {
			continue
		}
		if s.Leader != leader.ID || s.Term != leader.state.Term ||
			s.Commit != leader.state.Commit || n.Applied() != s.Commit || n.member.HasReady() ||
			len(n.appends) > 0 || len(n.applies) > 0 {
			return false
		}
	}
	_, last := leader.Disk.last()
	return !conf.AutoLeave && last == leader.state.Commit
}

func (j *Judge) compare() {
	c := j.c
	leader := c.Leader()
	conf := leader.member.ConfState()
	reference := map[uint64]string{}
	for _, e := range leader.member.Log() {
		reference[e.Index] = j.canonical(e)
	}
	for _, n := range c.Nodes() {
		if !conf.member(n.ID) {
			continue
		}
		if got := n.member.State(); got.Commit != leader.state.Commit {
			c.Fatalf("node %d committed %d, the leader %d", n.ID, got.Commit, leader.state.Commit)
		}
		if n.machine != leader.machine {
			c.Fatalf("node %d's machine is %+v, the leader's %+v", n.ID, n.machine, leader.machine)
		}
		if got := n.member.ConfState(); got.String() != conf.String() {
			c.Fatalf("node %d's membership is %s, the leader's %s", n.ID, got, conf)
		}
		j.compareLogs(n, reference)
	}
}

// compareLogs holds a node's log against the leader's and against what was ever applied, and its
// disk against both, read by upstream's decoder whoever wrote it.
func (j *Judge) compareLogs(n *Node, reference map[uint64]string) {
	c := j.c
	last := uint64(0)
	if s := n.Disk.Snapshot; s != nil {
		last = s.Index
	}
	log := n.member.Log()
	for _, e := range log {
		text := j.canonical(e)
		if want, ok := reference[e.Index]; ok && want != text {
			c.Fatalf("node %d has %s, the leader %s", n.ID, text, want)
		}
		if want, ok := j.history[e.Index]; ok && want != text {
			c.Fatalf("node %d has %s, but %s was applied", n.ID, text, want)
		}
		last = max(last, e.Index)
	}
	if leader := c.Leader(); last != leader.state.Commit {
		c.Fatalf("node %d's log ends at %d, the leader's at %d", n.ID, last, leader.state.Commit)
	}
	if len(log) > len(n.Disk.Entries) {
		c.Fatalf("node %d has %d entries, its disk %d", n.ID, len(log), len(n.Disk.Entries))
	}
	stored := n.Disk.Entries[len(n.Disk.Entries)-len(log):]
	for i, e := range log {
		decoded, err := c.upstream.DecodeEntry(stored[i].Encoded)
		if err != nil {
			c.Fatalf("node %d's disk at %d: %v", n.ID, e.Index, err)
		}
		if j.canonical(decoded) != j.canonical(e) {
			c.Fatalf("node %d has %s, its disk %s", n.ID, j.canonical(e), j.canonical(decoded))
		}
		if !bytes.Equal(decoded.Data, e.Data) {
			c.Fatalf("node %d's disk has other data at %d", n.ID, e.Index)
		}
	}
}

func (s ConfState) member(id uint64) bool {
	return contains(s.Voters, id) || contains(s.Learners, id) ||
		contains(s.VotersOutgoing, id) || contains(s.LearnersNext, id)
}

func (s ConfState) voter(id uint64) bool {
	return contains(s.Voters, id) || contains(s.VotersOutgoing, id)
}

func (s ConfState) String() string {
	return fmt.Sprintf("voters %v learners %v outgoing %v next %v auto %v", sorted(s.Voters),
		sorted(s.Learners), sorted(s.VotersOutgoing), sorted(s.LearnersNext), s.AutoLeave)
}

func sorted(ids []uint64) []uint64 {
	ids = append([]uint64{}, ids...)
	sort.Slice(ids, func(i, j int) bool { return ids[i] < ids[j] })
	return ids
}
