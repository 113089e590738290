// The clients' requests that wait for an answer. A write waits until the log entry with its serial
// is applied here. A read waits for two things: a leader's word on which index it must have seen,
// and that this index is applied. Reads that arrive while the leader is being asked share the next
// question, so that a thousand readers cost one round of heartbeats, not a thousand.

package main

import (
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"slices"
	"time"
)

const askAgainTicks = 3

// request is a client's that waits.
type request struct {
	deadline    time.Time
	done        chan answer
	term        uint64 // of a write: the term in which it was proposed
	entry       []byte // of a write that may be proposed again
	key         string // of a read
	question    uint64 // of a read: the question that covers it
	isConfirmed bool   // of a read: its index is known
	readIndex   uint64 // of a read
}

// answer is what a client gets: a refusal, the index at which a write was applied, or a value.
type answer struct {
	refused *refusal
	outcome string // of a write that is refused: "refused" or "unknown"
	index   uint64
	value   []byte
	isFound bool
}

// requests are the node's goroutine's, but for newRequest.
type requests struct {
	node   *node
	writes map[uint64]*request // by serial
	reads  []*request          // oldest first
	serial uint64
	// Questions are numbered by nextQuestion; asked is the last one asked.
	nextQuestion, asked uint64
	isAsking            bool // it has no answer yet
	askedTicksAgo       int
}

func newRequests(n *node) *requests {
	return &requests{
		node: n, writes: map[uint64]*request{},
		// Numbers that no earlier life of this node has used: see PROTOCOL.md. Questions are
		// compared by size, so they must not wrap.
		serial: rand.Uint64(), nextQuestion: rand.Uint64() >> 1,
	}
}

func (r *requests) full() bool {
	return uint64(len(r.writes)+len(r.reads)) >= r.node.options.maxPending
}

func (r *requests) nextSerial() uint64 {
	r.serial++
	return r.serial
}

func (r *requests) newRequest() *request {
	deadline := time.Now().Add(r.node.options.timeout())
	return &request{deadline: deadline, done: make(chan answer, 1)}
}

// ---- writes

// awaitWrite keeps a request until the log entry with this serial is applied here. If the entry may
// be proposed again, because a request id keeps it from being applied twice, it is given too.
func (r *requests) awaitWrite(q *request, serial uint64, entry []byte) {
	q.term, q.entry = r.node.term, entry
	r.writes[serial] = q
}

func (r *requests) dropWrite(serial uint64, a answer) {
	r.writes[serial].done <- a
	delete(r.writes, serial)
}

func (r *requests) writeApplied(serial, index uint64) {
	if r.writes[serial] != nil {
		r.dropWrite(serial, answer{index: index})
	}
}

func unknown(format string, args ...any) answer {
	return answer{refused: refuse(503, "outcome unknown: "+format, args...), outcome: "unknown"}
}

// newLeader proposes again what may be: what was passed on to the last leader may be lost.
func (r *requests) newLeader() {
	for _, serial := range slices.Sorted(maps.Keys(r.writes)) {
		q := r.writes[serial]
		if q.entry != nil && r.node.propose(q.entry) == nil {
			q.term = r.node.term
		}
	}
}

// termApplied hears that an entry of this term is applied. What was proposed in earlier terms and
// survived stood before it, so nobody needs to wait for the rest.
func (r *requests) termApplied(term uint64) {
	for serial, q := range r.writes {
		if q.term < term {
			r.dropWrite(serial,
				unknown("the leader changed, the write may be lost with the old one"))
		}
	}
}

// ---- reads

// ask may be in vain, as a question may get lost with a leader: so the next one is asked after a
// while, and its answer serves all that came before.
func (r *requests) ask() {
	r.asked, r.isAsking, r.askedTicksAgo = r.nextQuestion, true, 0
	r.nextQuestion++
	r.node.readIndex(binary.BigEndian.AppendUint64(nil, r.asked))
}

func (r *requests) awaitRead(q *request, key string) {
	q.key, q.question = key, r.nextQuestion
	r.reads = append(r.reads, q)
	if !r.isAsking {
		r.ask()
	}
}

func (r *requests) readConfirmed(context []byte, index uint64) {
	if len(context) != 8 {
		return
	}
	question := binary.BigEndian.Uint64(context)
	// Not asked yet: an answer that an earlier life of this node waited for, with an old index.
	if question > r.asked {
		return
	}
	more := false
	for _, q := range r.reads {
		if !q.isConfirmed && q.question <= question {
			q.isConfirmed, q.readIndex = true, index
		}
		more = more || !q.isConfirmed
	}
	if question == r.asked {
		r.isAsking = false
	}
	if more && !r.isAsking {
		r.ask()
	}
}

// applied hears that everything up to an index is applied.
func (r *requests) applied(index uint64) {
	for len(r.reads) > 0 && r.reads[0].isConfirmed && r.reads[0].readIndex <= index {
		value, isFound := r.node.state.get(r.reads[0].key)
		r.dropRead(answer{value: value, isFound: isFound})
	}
}

// dropRead answers the oldest.
func (r *requests) dropRead(a answer) {
	r.reads[0].done <- a
	r.reads = r.reads[1:]
}

// ---- time

func (r *requests) tick(now time.Time) {
	ms, trouble := r.node.options.timeoutMS, r.node.trouble
	if trouble != "" {
		trouble = ": " + trouble
	}
	for serial, q := range r.writes {
		if !now.Before(q.deadline) {
			r.dropWrite(serial, unknown("not applied within %d ms%s", ms, trouble))
		}
	}
	for len(r.reads) > 0 && !now.Before(r.reads[0].deadline) {
		r.dropRead(answer{refused: refuse(503, "no leader confirmed the read within %d ms", ms)})
	}
	if r.askedTicksAgo++; r.isAsking && r.askedTicksAgo >= askAgainTicks {
		r.isAsking = false
		if slices.ContainsFunc(r.reads, func(q *request) bool { return !q.isConfirmed }) {
			r.ask()
		}
	}
}

// answerAll is for the end of the process.
func (r *requests) answerAll(why string) {
	for serial := range r.writes {
		r.dropWrite(serial, unknown("%s", why))
	}
	for len(r.reads) > 0 {
		r.dropRead(answer{refused: refuse(503, "%s", why)})
	}
}
