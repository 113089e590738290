package raft

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"
)

// What a payload is made of does not travel through the library: it is the very same that comes out
// everywhere, from the storage too.
func TestPayloadsStayWhatTheyAre(t *testing.T) {
	g := newGroup(t, 3, nil)
	must(t, g.members[1].Campaign())
	g.settle()
	for _, size := range []int{1, 128, 4 << 20, 4<<20 + 1} {
		data := bytes.Repeat([]byte{'x'}, size)
		must(t, g.members[1].Propose(data))
		must(t, g.members[1].ProposeMany([][]byte{data, nil, data}))
		g.settle()
		for id, m := range g.members {
			last, err := m.storage.LastIndex()
			must(t, err)
			entries, err := m.storage.Entries(last-3, last+1, 1<<62)
			must(t, err)
			for i, e := range entries {
				if want := [][]byte{data, data, nil, data}[i]; !bytes.Equal(e.Data, want) {
					t.Fatalf("%d bytes, node %d, entry %d is another one", size, id, i)
				}
				if size < 1<<20 && len(e.Data) > 0 && &e.Data[0] != &data[0] {
					t.Fatalf("%d bytes, node %d, entry %d is a copy", size, id, i)
				}
			}
		}
	}
}

// A node that comes back to the storage of the last one finds everything in it.
func TestPayloadsOutliveTheirNode(t *testing.T) {
	storage := NewMemoryStorage()
	must(t, storage.ApplySnapshot(membership(1)))
	var want []string
	for round := range 3 {
		node, err := NewRawNode(testConfig(1, storage))
		must(t, err)
		m := &member{RawNode: node, storage: storage}
		g := &group{t: t, members: map[uint64]*member{1: m}, inboxes: map[uint64][]*pb.Message{}}
		must(t, node.Campaign())
		g.settle()
		text := fmt.Sprint("round ", round)
		must(t, node.Propose([]byte(text)))
		want = append(want, text)
		g.settle()
		if !slices.Equal(m.applied, want) {
			t.Fatalf("applied %q, not %q", m.applied, want)
		}
		if round == 1 {
			node.Close()
		}
	}
}

// appended is an append from node 2 of entries from an index on, all of one term.
func appended(term, prevTerm, prev uint64, texts ...string) *pb.Message {
	to, from, commit, kind := uint64(1), uint64(2), uint64(0), pb.MsgApp
	m := &pb.Message{Type: &kind, To: &to, From: &from, Term: &term, LogTerm: &prevTerm,
		Index: &prev, Commit: &commit}
	for i, text := range texts {
		m.Entries = append(m.Entries, entry(prev+1+uint64(i), term, text))
	}
	return m
}

// texts are the payloads in a storage.
func texts(t *testing.T, storage *MemoryStorage) []string {
	first, err := storage.FirstIndex()
	must(t, err)
	last, err := storage.LastIndex()
	must(t, err)
	if first > last {
		return nil
	}
	entries, err := storage.Entries(first, last+1, 1<<62)
	must(t, err)
	var all []string
	for _, e := range entries {
		all = append(all, string(e.Data))
	}
	return all
}

func TestEntriesThatAreOverwritten(t *testing.T) {
	g := newGroup(t, 2, nil)
	node, storage := g.members[1], g.members[1].storage
	persist := func(want ...string) {
		t.Helper()
		for node.HasReady() {
			g.handle(node)
		}
		if got := texts(t, storage); !slices.Equal(got, want) {
			t.Fatalf("stored %q, not %q", got, want)
		}
		must(t, node.Err())
	}
	must(t, node.Step(appended(1, 0, 0, "a", "b", "c")))
	must(t, node.Step(appended(1, 1, 1, "b", "c", "d"))) // what overlaps is there already
	must(t, node.Step(appended(1, 1, 9, "lost")))        // does not follow
	persist("a", "b", "c", "d")
	must(t, node.Step(appended(2, 1, 2, "C"))) // of a new leader
	persist("a", "b", "C")
	must(t, node.Step(appended(1, 1, 2, "old"))) // of the old one
	must(t, node.Step(appended(2, 2, 3, "D", "E")))
	must(t, node.Step(appended(3, 2, 4, "F")))
	persist("a", "b", "C", "D", "F")
	change := appended(4, 1, 2, "", "H")
	change.Entries[0].Type = pb.EntryConfChangeV2.Enum() // one that goes in as bytes
	must(t, node.Step(change))
	must(t, node.Step(appended(4, 4, 4, "I")))
	persist("a", "b", "", "H", "I")
}

// An application may store a copy of the list, or copies of the entries.
func TestEntriesThatAreStoredAsCopies(t *testing.T) {
	g := newGroup(t, 1, nil)
	node := g.members[1]
	must(t, node.Campaign())
	for i := range 5 {
		for node.HasReady() {
			rd := node.Ready()
			must(t, node.storage.Append(slices.Clone(rd.Entries)))
			if rd.HardState != nil {
				must(t, node.storage.SetHardState(rd.HardState))
			}
			node.Advance(rd)
			must(t, node.Err())
		}
		must(t, node.Propose([]byte{'a' + byte(i)}))
	}
	if got := texts(t, node.storage); !slices.Equal(got, []string{"", "a", "b", "c", "d"}) {
		t.Fatalf("stored %q", got)
	}
}

// A log may be compacted at any time, from any goroutine: also between the moment at which a
// message is made and the Ready that shows it.
func TestCompactionMeanwhile(t *testing.T) {
	g := newGroup(t, 3, func(c *Config) { c.MaxSizePerMsg = 1; c.MaxInflightMsgs = 2 })
	leader := g.members[1]
	must(t, leader.Campaign())
	g.settle()
	var compacting sync.WaitGroup
	for i := range 200 {
		must(t, leader.Propose(fmt.Append(nil, i)))
		if i%3 == 0 {
			g.handle(leader)
		}
		compacting.Go(func() {
			for _, m := range g.members {
				// Either may find that another was faster.
				applied := m.BasicStatus().Applied
				conf := membership(1, 2, 3).Metadata.ConfState
				_, _ = m.storage.CreateSnapshot(applied, conf, nil)
				_ = m.storage.Compact(applied)
			}
		})
		g.settle()
	}
	compacting.Wait()
	for range 50 { // what was not sent is asked for again
		leader.Tick()
		g.settle()
	}
	for id, m := range g.members {
		must(t, m.Err())
		if applied := m.BasicStatus().Applied; applied != 201 {
			t.Errorf("node %d has applied %d", id, applied)
		}
	}
}
