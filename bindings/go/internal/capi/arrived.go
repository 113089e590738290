package capi

import pb "go.etcd.io/raft/v3/raftpb"

// arrived holds what came in from Go and lies in the library's log, until the next Ready: the
// entries of messages and the payloads of proposals. A Ready that hands out the same bytes hands
// out what is here, as upstream does, and not a copy. Whether they are the same is looked at, byte
// by byte: a candidate may be anything.
type arrived struct {
	// Consecutive by index; the first one has index first.
	list  []candidate
	first uint64
	size  int
}

// candidate is an entry, or only its payload.
type candidate struct {
	entry *pb.Entry
	data  []byte
}

// More than this is not kept from being collected while no Ready is taken.
const (
	arrivedMax      = 1 << 14
	arrivedBytesMax = 16 << 20
)

// entries takes the entries of an append, which are consecutive.
func (a *arrived) entries(entries []*pb.Entry) {
	for i, e := range entries {
		a.add(entries[0].GetIndex()+uint64(i), candidate{entry: e, data: e.Data})
	}
}

// payloads takes those of a proposal that became entries from index first on.
func (a *arrived) payloads(first uint64, payloads ...[]byte) {
	for i, data := range payloads {
		a.add(first+uint64(i), candidate{data: data})
	}
}

// add takes what replaces everything from its index on.
func (a *arrived) add(index uint64, c candidate) {
	place := index - a.first
	if len(a.list) == 0 || index < a.first || place > uint64(len(a.list)) ||
		len(a.list) == arrivedMax || a.size > arrivedBytesMax {
		a.forget()
		a.first, place = index, 0
	}
	clear(a.list[place:])
	a.list = append(a.list[:place], c)
	a.size += len(c.data)
}

// forget lets go of all.
func (a *arrived) forget() {
	clear(a.list)
	a.list, a.size = a.list[:0], 0
}

// at returns what is there for an index, or nil.
func (a *arrived) at(index uint64) *candidate {
	if place := index - a.first; place < uint64(len(a.list)) {
		return &a.list[place]
	}
	return nil
}
