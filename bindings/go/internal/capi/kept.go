package capi

/*
#include "shim.h"
*/
import "C"

import (
	"errors"
	"slices"

	pb "go.etcd.io/raft/v3/raftpb"
)

var errLost = errors.New("raft: the library shows an entry whose payload is not here")

// kept is for the payloads that stay in Go, on a node whose MemoryStorage is given what its Readies
// have to store: there the library never needs them.
type kept struct {
	// Whether the last proposal was for another leader: it needs its payload.
	elsewhere bool
	// Terms and lengths of entries, on their way in.
	words []uint64
}

func (k *kept) room(count int) []uint64 {
	k.words = slices.Grow(k.words[:0], count)[:count]
	return k.words
}

// canKeep says whether the payloads of a message can stay in Go. If so it writes the terms of its
// entries and then their lengths to words. Any other message goes in encoded.
func (n *Node) canKeep(m *pb.Message) bool {
	count := len(m.Entries)
	if n.slabs.stable == nil || count == 0 || m.GetType() != pb.MsgApp ||
		!n.slabs.log.fits(m.GetIndex()+1) {
		return false
	}
	words, index := n.kept.room(2*count), m.GetIndex()
	for i, e := range m.Entries {
		index++
		if e == nil || e.GetIndex() != index || e.GetType() != pb.EntryNormal ||
			len(e.Data) > C.RAFTCORE_KEPT_MAX {
			return false
		}
		words[i], words[count+i] = e.GetTerm(), uint64(len(e.Data))
	}
	return true
}

// stepKept hands in an append without its payloads.
func (n *Node) stepKept(m *pb.Message) error {
	status := C.rc_step_kept(n.ref, C.uint64_t(n.receiver(m)), C.uint64_t(m.GetFrom()),
		C.uint64_t(m.GetTerm()), C.uint64_t(m.GetLogTerm()), C.uint64_t(m.GetIndex()),
		C.uint64_t(m.GetCommit()), numbers(n.kept.words), C.size_t(len(m.Entries)))
	if status != C.RAFTCORE_OK {
		return failure(status, &n.box.error)
	}
	if n.box.taken != 0 {
		n.slabs.taken(m.Entries)
	}
	return nil
}

// taken notes entries that the library's log ends with now. Which of them it had already stay what
// they are.
func (s *slabs) taken(entries []*pb.Entry) {
	for i, e := range entries {
		index, term := e.GetIndex(), e.GetTerm()
		if s.log.at(index, term) == nil && s.stable.at(index, term) == nil {
			s.log.put(index, entries[i:])
			return
		}
	}
}

// proposeKept proposes payloads that stay in Go, or returns false if they cannot.
func (n *Node) proposeKept(payloads [][]byte) (Proposed, bool, error) {
	if n.slabs.stable == nil || n.kept.elsewhere || len(payloads) == 0 {
		return Proposed{}, false, nil
	}
	lengths := n.kept.room(len(payloads))
	for i, data := range payloads {
		if len(data) > C.RAFTCORE_KEPT_MAX {
			return Proposed{}, false, nil
		}
		lengths[i] = uint64(len(data))
	}
	status := C.rc_propose_kept(n.ref, numbers(lengths), C.size_t(len(lengths)))
	if status == C.RAFTCORE_ERR_DROPPED &&
		n.box.error.detail == C.RAFTCORE_DROP_FORWARDING_DISABLED {
		n.kept.elsewhere = true
		return Proposed{}, false, nil
	}
	proposed, err := n.proposed(status)
	if err == nil {
		n.slabs.proposed(proposed, payloads)
	}
	return proposed, true, err
}

// proposed makes the entries that payloads became.
func (s *slabs) proposed(p Proposed, payloads [][]byte) {
	count := len(payloads)
	pointers := take(&s.pointers, count, pointerChunk)
	entries := take(&s.entries, count, entryChunk)
	numbers := take(&s.numbers, count+1, numberChunk)
	term, indexes := &numbers[0], numbers[1:]
	*term = p.Term
	for i, data := range payloads {
		indexes[i] = p.First + uint64(i)
		e := &entries[i]
		e.Term, e.Index, e.Data = term, &indexes[i], data
		pointers[i] = e
	}
	s.log.put(p.First, pointers)
}
