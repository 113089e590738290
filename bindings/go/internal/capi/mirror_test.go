//go:build cgo

package capi

import (
	"math/rand/v2"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"
)

// model is what a run is held against: the entries that it must find, by index.
type model map[uint64]*pb.Entry

func entries(first, term uint64, count int) []*pb.Entry {
	list := make([]*pb.Entry, count, count+3)
	for i := range list {
		index := first + uint64(i)
		list[i] = &pb.Entry{Index: &index, Term: &term}
	}
	return list
}

func (m model) put(from uint64, list []*pb.Entry) {
	for index := range m {
		if index >= from {
			delete(m, index)
		}
	}
	for _, e := range list {
		m[e.GetIndex()] = e
	}
}

func (m model) drop(to uint64) {
	for index := range m {
		if index <= to {
			delete(m, index)
		}
	}
}

// TestRuns does what is done with a log, at random, and looks for each entry after each step. What
// was handed out must stay what it was.
func TestRuns(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 0))
		log, own, want := run{}, mirror{}, model{}
		var handed, copied [][]*pb.Entry
		next := uint64(1)
		for term := uint64(1); term < 60; term++ {
			switch random.IntN(4) {
			case 0:
				to := next - min(next, random.Uint64N(8))
				log.drop(to)
				own.drop(to)
				want.drop(to)
			default:
				from := max(next-min(next, random.Uint64N(5)), 1) + random.Uint64N(4)
				list := entries(from, term, 1+random.IntN(6))
				log.put(from, list)
				own.append(from, list)
				want.put(from, list)
				next = from + uint64(len(list))
				b := span{from, next - 1, term}
				if out := log.list(b); out != nil {
					handed, copied = append(handed, out), append(copied, append(out[:0:0], out...))
				} else if !log.holes {
					t.Fatalf("seed %d: %v is not found", seed, b)
				}
			}
			want.check(t, seed, next+3, &log, &own)
		}
		for i := range handed {
			for j := range handed[i] {
				if handed[i][j] != copied[i][j] {
					t.Fatalf("seed %d: what was handed out has changed", seed)
				}
			}
		}
	}
}

func (m model) check(t *testing.T, seed, end uint64, log *run, own *mirror) {
	t.Helper()
	for index := range end {
		e := m[index]
		term := e.GetTerm()
		if log.at(index, term) != e || own.at(index, term) != e || log.at(index, term+1) != nil {
			t.Fatalf("seed %d: entry %d is another one", seed, index)
		}
	}
}
