// The applied state: members, remembered request ids, keys; and all of it as a snapshot. Here it
// stands in memory.

package main

import (
	"bytes"
	"maps"
	"slices"
)

// state is what the log replicates, as of an index.
type state struct {
	index   uint64
	members map[uint64]member
	keys    map[string][]byte
	// The request ids that were applied, and the log indexes that applied them, oldest first.
	requests map[string]uint64
	order    []string
}

// member is one that is or was in the cluster. Ids are never used again.
type member struct {
	url       string
	isRemoved bool
}

// An id is remembered for so many indexes.
const requestIDWindow = 65_536

func newState() *state {
	return &state{
		members: map[uint64]member{}, keys: map[string][]byte{}, requests: map[string]uint64{},
	}
}

// ---- reading

func (s *state) memberIDs() []uint64 { return slices.Sorted(maps.Keys(s.members)) }

func (s *state) get(key string) (value []byte, found bool) {
	value, found = s.keys[key]
	return value, found
}

func (s *state) count() int { return len(s.keys) }

// dump is the data of a snapshot: equal states are equal bytes.
func (s *state) dump() []byte {
	s.forget(s.index)
	b := beginSnapshot()
	b = putU32(b, len(s.members))
	for _, id := range s.memberIDs() {
		b = putMember(b, id, s.members[id])
	}
	b = putU32(b, len(s.order))
	for _, id := range s.order {
		b = putRequest(b, s.requests[id], id)
	}
	b = putU64(b, len(s.keys))
	for _, key := range slices.Sorted(maps.Keys(s.keys)) {
		b = putPair(b, key, s.keys[key])
	}
	return endSnapshot(b)
}

// ---- changing

func (s *state) put(key string, value []byte) { s.keys[key] = bytes.Clone(value) }

func (s *state) delete(key string) { delete(s.keys, key) }

func (s *state) remember(id string, index uint64) {
	s.requests[id] = index
	s.order = append(s.order, id)
}

// forget drops the request ids that are too old at an index.
func (s *state) forget(index uint64) {
	gone := 0
	for _, id := range s.order {
		if s.requests[id]+requestIDWindow > index {
			break
		}
		delete(s.requests, id)
		gone++
	}
	s.order = s.order[gone:]
}

// seenBefore says whether a request id was applied within the window before an index, and where;
// else it remembers it, at this index.
func (s *state) seenBefore(id string, index uint64) (at uint64, seen bool) {
	if id == "" {
		return index, false
	}
	s.forget(index)
	if at, seen := s.requests[id]; seen {
		return at, true
	}
	s.remember(id, index)
	return index, false
}

// restore replaces everything by what a snapshot of an index holds, or nothing, if it is not whole.
func (s *state) restore(index uint64, data []byte) error {
	r, err := readSnapshot(data)
	if err != nil {
		return err
	}
	fresh := newState()
	fresh.index = index
	for range r.u32() {
		id, m := r.takeMember()
		if r.failed {
			return errForm
		}
		fresh.members[id] = m
	}
	for range r.u32() {
		at, id := r.takeRequest()
		if r.failed {
			return errForm
		}
		fresh.remember(id, at)
	}
	for range r.u64() {
		key, value := r.takePair()
		if r.failed {
			return errForm
		}
		fresh.put(key, value)
	}
	if r.failed || len(r.data) > 0 {
		return errForm
	}
	*s = *fresh
	return nil
}
