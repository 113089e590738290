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

// find returns the entry with this index and term, or nil.
func (r *recent) find(index, term uint64) *pb.Entry {
	place := index - r.first
	if place >= uint64(len(r.entries)) {
		return nil
	}
	if e := r.entries[place]; e.GetTerm() == term {
		return e
	}
	return nil
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
