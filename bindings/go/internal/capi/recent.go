package capi

import pb "go.etcd.io/raft/v3/raftpb"

// recent holds the entries that were handed out to be persisted, until they are handed out as
// committed. An entry that comes again, in a message or as committed, is the same *pb.Entry then,
// as in upstream, and is copied once.
type recent struct {
	// Consecutive; the first one has index first.
	entries []*pb.Entry
	first   uint64
}

// add takes entries that replace what is there from their first index on.
func (r *recent) add(entries []*pb.Entry) {
	if len(entries) == 0 {
		return
	}
	index := entries[0].GetIndex()
	place := index - r.first
	if len(r.entries) == 0 || index < r.first || place > uint64(len(r.entries)) {
		r.entries = append(r.entries[:0], entries...)
		r.first = index
		return
	}
	clear(r.entries[place:])
	r.entries = append(r.entries[:place], entries...)
}

// list returns the entries of a span, or nil.
func (r *recent) list(s span) []*pb.Entry {
	from, to := s.first-r.first, s.last-r.first
	if s.first < r.first || to >= uint64(len(r.entries)) || r.entries[to].GetTerm() != s.term {
		return nil
	}
	return r.entries[from : to+1]
}

// committed lets go of the entries up to an index.
func (r *recent) committed(index uint64) {
	if len(r.entries) == 0 || index < r.first {
		return
	}
	gone := min(int(index-r.first)+1, len(r.entries))
	kept := copy(r.entries, r.entries[gone:])
	clear(r.entries[kept:])
	r.entries = r.entries[:kept]
	r.first += uint64(gone)
}

// forget lets go of all: a snapshot replaces the log.
func (r *recent) forget() {
	clear(r.entries)
	r.entries = r.entries[:0]
}
