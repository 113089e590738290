package raft

import (
	"errors"
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/raftcore/raftcore/bindings/go/internal/capi"
	pb "go.etcd.io/raft/v3/raftpb"
)

// MemoryStorage is a [Storage] in memory. It lives in the library, so that a node reads it without
// a call into Go. The zero value is an empty storage.
//
// Its methods may be called from any goroutine. The embedded mutex is upstream's; it is free for
// the application's use: neither the methods nor a node lock it.
type MemoryStorage struct {
	sync.Mutex

	once   sync.Once
	memory *capi.Storage
	failed error
	// The node of this storage, while it has a Ready outstanding: what is stored of that is in the
	// library already and need not be copied there. It may wait for the node's next call.
	node atomic.Pointer[capi.Node]
}

var _ Storage = (*MemoryStorage)(nil)

// NewMemoryStorage makes an empty MemoryStorage.
func NewMemoryStorage() *MemoryStorage {
	ms := new(MemoryStorage)
	_, _ = ms.library()
	return ms
}

// library returns the storage in the library, and makes it first if need be.
func (ms *MemoryStorage) library() (*capi.Storage, error) {
	if ms == nil {
		return nil, errors.New("raft: a nil MemoryStorage")
	}
	ms.once.Do(func() { ms.memory, ms.failed = capi.NewMemory() })
	return ms.memory, translate(ms.failed)
}

// settled returns the storage in the library when all that was stored is there.
func (ms *MemoryStorage) settled() (*capi.Storage, error) {
	s, err := ms.library()
	if err != nil {
		return nil, err
	}
	if node := ms.node.Load(); node != nil {
		err = node.Flush()
	}
	if err == capi.ErrClosed {
		err = nil // It flushed when it was closed.
	}
	return s, translate(err)
}

// InitialState implements [Storage].
func (ms *MemoryStorage) InitialState() (*pb.HardState, *pb.ConfState, error) {
	s, err := ms.settled()
	if err != nil {
		return nil, nil, err
	}
	hard, conf, err := s.InitialState()
	return hard, conf, translate(err)
}

// SetHardState saves the hard state.
func (ms *MemoryStorage) SetHardState(st *pb.HardState) error {
	if node := ms.handing(); node != nil && node.StoreHardState(st) {
		return nil
	}
	s, err := ms.settled()
	if err != nil {
		return err
	}
	return translate(s.SetHardState(st))
}

// Entries implements [Storage]. A range that ends beyond the log is ErrUnavailable.
func (ms *MemoryStorage) Entries(lo, hi, maxSize uint64) ([]*pb.Entry, error) {
	s, err := ms.settled()
	if err != nil {
		return nil, err
	}
	entries, err := s.Entries(lo, hi, maxSize)
	return entries, translate(err)
}

// Term implements [Storage].
func (ms *MemoryStorage) Term(i uint64) (uint64, error) {
	s, err := ms.settled()
	if err != nil {
		return 0, err
	}
	term, err := s.Term(i)
	return term, translate(err)
}

// LastIndex implements [Storage].
func (ms *MemoryStorage) LastIndex() (uint64, error) {
	s, err := ms.settled()
	if err != nil {
		return 0, err
	}
	index, err := s.LastIndex()
	return index, translate(err)
}

// FirstIndex implements [Storage].
func (ms *MemoryStorage) FirstIndex() (uint64, error) {
	s, err := ms.settled()
	if err != nil {
		return 0, err
	}
	index, err := s.FirstIndex()
	return index, translate(err)
}

// Snapshot implements [Storage].
func (ms *MemoryStorage) Snapshot() (*pb.Snapshot, error) {
	s, err := ms.settled()
	if err != nil {
		return nil, err
	}
	snap, err := s.Snapshot()
	return snap, translate(err)
}

// ApplySnapshot replaces the log by a snapshot. One without an index only sets the membership, as
// long as the storage is empty.
func (ms *MemoryStorage) ApplySnapshot(snap *pb.Snapshot) error {
	if node := ms.handing(); node != nil && node.StoreSnapshot(snap) {
		return nil
	}
	s, err := ms.settled()
	if err != nil {
		return err
	}
	if !IsEmptySnap(snap) {
		return translate(s.ApplySnapshot(snap))
	}
	if last, err := s.LastIndex(); err != nil || last != 0 {
		return errors.Join(ErrSnapOutOfDate, translate(err))
	}
	if cs := snap.GetMetadata().GetConfState(); cs != nil {
		return translate(s.SetConfState(cs))
	}
	return nil
}

// CreateSnapshot makes a snapshot of the application's state after index i. A nil cs is the
// membership of the last snapshot. An index beyond the log is ErrUnavailable.
func (ms *MemoryStorage) CreateSnapshot(i uint64, cs *pb.ConfState, data []byte) (*pb.Snapshot,
	error) {
	s, err := ms.settled()
	if err != nil {
		return nil, err
	}
	snap, err := s.CreateSnapshot(i, cs, data)
	return snap, translate(err)
}

// Compact throws away the entries up to compactIndex. An index beyond the log is ErrUnavailable.
func (ms *MemoryStorage) Compact(compactIndex uint64) error {
	s, err := ms.settled()
	if err != nil {
		return err
	}
	return translate(s.Compact(compactIndex))
}

// Append appends entries, which must be consecutive. They replace what is there from their first
// index on. What would leave a gap is an error.
func (ms *MemoryStorage) Append(entries []*pb.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	if node := ms.handing(); node != nil && node.StoreEntries(entries) {
		return nil
	}
	s, err := ms.settled()
	if err != nil {
		return err
	}
	return translate(s.Append(entries))
}

// handing is the node with an outstanding Ready, or nil.
func (ms *MemoryStorage) handing() *capi.Node {
	if ms == nil {
		return nil
	}
	return ms.node.Load()
}

// open returns the library's form of a storage. A MemoryStorage is used as it is; any other one,
// also a type that embeds a MemoryStorage, is called back.
func open(storage Storage) (*capi.Storage, *MemoryStorage, error) {
	if ms, ok := storage.(*MemoryStorage); ok {
		s, err := ms.settled()
		return s, ms, err
	}
	s, err := capi.NewCallbacks(storage)
	return s, nil, translate(err)
}

// isNil says whether an interface is nil, or holds a nil pointer.
func isNil(storage Storage) bool {
	if storage == nil {
		return true
	}
	v := reflect.ValueOf(storage)
	return v.Kind() == reflect.Pointer && v.IsNil()
}
