//go:build cgo

package capi

import (
	"slices"
	"sync"

	pb "go.etcd.io/raft/v3/raftpb"
)

// The payloads of entries stay in Go: the library knows how long they are. A node finds the entry
// that the library means by its index and term, which name the same entry everywhere (the Log
// Matching Property): first among those that are still to be applied, then among those that its
// memory storage holds.

// run is entries of a log, consecutive by index, from first on. A nil is one that is not known
// here: the library has it whole.
//
// Parts of it are handed out, so what is written once is never written again: only behind the end
// is there room.
type run struct {
	entries []*pb.Entry
	first   uint64
	// Whether there may be a nil.
	holes bool
}

const (
	// So many unknown entries may lie before one that is put behind the end.
	gapMax = 1 << 16
	// Room for so many is made at once.
	runChunk = 16
)

// end is the index behind the last entry.
func (r *run) end() uint64 { return r.first + uint64(len(r.entries)) }

// fits says whether an entry can be put there.
func (r *run) fits(index uint64) bool {
	return len(r.entries) == 0 || index <= r.end() || index-r.end() <= gapMax
}

// at returns the entry there, or nil.
func (r *run) at(index, term uint64) *pb.Entry {
	if place := index - r.first; place < uint64(len(r.entries)) {
		if e := r.entries[place]; e != nil && e.GetTerm() == term {
			return e
		}
	}
	return nil
}

// cut lets go of the entries from an index on.
func (r *run) cut(index uint64) {
	switch {
	case len(r.entries) == 0:
	case index <= r.first:
		*r = run{}
	case index < r.end():
		kept := index - r.first
		r.entries = r.entries[:kept:kept]
	}
}

// put puts entries there, which replace everything from there on. They may be kept as they are.
func (r *run) put(index uint64, entries []*pb.Entry) {
	r.cut(index)
	if len(r.entries) == 0 {
		*r = run{slices.Clip(entries), index, false}
		return
	}
	r.append(index, entries)
}

// append is put without keeping the list.
func (r *run) append(index uint64, entries []*pb.Entry) {
	r.cut(index)
	if len(r.entries) == 0 {
		r.first, r.holes = index, false
	}
	gap := int(index - r.end())
	r.holes = r.holes || gap > 0
	if more := gap + len(entries); more > cap(r.entries)-len(r.entries) {
		r.entries = slices.Grow(r.entries, max(more, len(r.entries), runChunk))
	}
	for range gap {
		r.entries = append(r.entries, nil)
	}
	r.entries = append(r.entries, entries...)
}

// list returns the entries of a span, or nil if it does not know them all. Two lists of one log
// that end alike are alike.
func (r *run) list(s span) []*pb.Entry {
	from, to := s.first-r.first, s.last-r.first
	if r.holes || s.first < r.first || r.at(s.last, s.term) == nil {
		return nil
	}
	return r.entries[from : to+1 : to+1]
}

// drop lets go of the entries up to an index.
func (r *run) drop(index uint64) {
	switch {
	case len(r.entries) == 0 || index < r.first:
	case index >= r.end()-1:
		*r = run{}
	default:
		r.entries = r.entries[index-r.first+1:]
		r.first = index + 1
	}
}

// mirror is the end of the log that a memory storage holds, as far as its payloads are here. It
// hands out copies.
type mirror struct {
	mu sync.Mutex
	run
}

// drop lets go of the entries up to an index. They can be collected at once.
func (m *mirror) drop(index uint64) {
	if len(m.entries) == 0 || index < m.first {
		return
	}
	gone := min(index-m.first+1, uint64(len(m.entries)))
	kept := copy(m.entries, m.entries[gone:])
	clear(m.entries[kept:])
	m.entries, m.first = m.entries[:kept], m.first+gone
	m.holes = m.holes && kept > 0
}

// at is run's, of a mirror that may be nil.
func (m *mirror) at(index, term uint64) *pb.Entry {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.run.at(index, term)
}

// change changes it, if it is there.
func (m *mirror) change(act func(m *mirror)) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	act(m)
}
