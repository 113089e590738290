// What is on the disk: the log, Raft's hard state, and the applied state. Here in etcd's own
// formats: a write-ahead log, and snapshots beside it. The applied state is what the last snapshot
// and the log behind it make.

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/raftcore/raftcore/bindings/go"
	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	"go.etcd.io/etcd/server/v3/etcdserver/api/snap"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
)

// store is the log and the snapshots of a node.
type store struct {
	wal   *wal.WAL
	snaps *snap.Snapshotter
	logs  string
	// A write failed: what is at the log's end is not known before it is opened again.
	isBroken bool
}

// stored is what stands on the disk when it is opened; nothing, if it is new.
type stored struct {
	snapshot *raftpb.Snapshot
	hard     *raftpb.HardState
	entries  []*raftpb.Entry
}

func (s *stored) isNew() bool {
	return s.snapshot == nil && len(s.entries) == 0 && raft.IsEmptyHardState(s.hard)
}

// identity is whose directory it is: the metadata of the log.
type identity struct {
	ID      uint64 `json:"id"`
	Cluster string `json:"cluster"`
}

// refusedData says why this node may not use its data directory.
type refusedData string

func (e refusedData) Error() string { return string(e) }

var silent = zap.NewNop()

func belongsTo(metadata []byte, o *options) error {
	var whose identity
	switch {
	case json.Unmarshal(metadata, &whose) != nil:
		return errors.New("the log does not say whose it is")
	case whose.ID != o.id:
		return refusedData(fmt.Sprintf("the data directory belongs to node %d, this is node %d",
			whose.ID, o.id))
	case whose.Cluster != o.clusterID:
		return refusedData(fmt.Sprintf("the data directory belongs to cluster '%s', this is"+
			" cluster '%s'", whose.Cluster, o.clusterID))
	}
	return nil
}

// openStore opens a store or makes it, and reads what stands there.
func openStore(o *options) (*store, *stored, error) {
	logs, snaps := filepath.Join(o.data, "wal"), filepath.Join(o.data, "snap")
	if err := os.MkdirAll(snaps, 0o700); err != nil {
		return nil, nil, err
	}
	s := &store{snaps: snap.New(silent, snaps), logs: logs}
	self, err := json.Marshal(identity{o.id, o.clusterID})
	if err != nil {
		return nil, nil, err
	}
	if !wal.Exist(logs) {
		s.wal, err = wal.Create(silent, logs, self)
		return s, new(stored), err
	}
	snapshot, from, err := s.readSnapshot()
	if err != nil {
		return nil, nil, err
	}
	metadata, hard, entries, err := s.readLog(from)
	if err == nil {
		err = belongsTo(metadata, o)
	}
	return s, &stored{snapshot, hard, entries}, err
}

// close closes the log. If that fails, it is still open, and locked.
func (s *store) close() error {
	if s.wal == nil {
		return nil
	}
	if err := s.wal.Close(); err != nil {
		return err
	}
	s.wal = nil
	return nil
}

// ---- reading

// readSnapshot finds the snapshot to start from, or nil, and where in the log that is.
func (s *store) readSnapshot() (*raftpb.Snapshot, *walpb.Snapshot, error) {
	start := &walpb.Snapshot{Index: new(uint64), Term: new(uint64)}
	known, err := wal.ValidSnapshotEntries(silent, s.logs)
	if err != nil {
		return nil, nil, err
	}
	snapshot, err := s.snaps.LoadNewestAvailable(known)
	if errors.Is(err, snap.ErrNoSnapshot) {
		return nil, start, nil
	}
	if err != nil {
		return nil, nil, err
	}
	start.Index, start.Term = snapshot.Metadata.Index, snapshot.Metadata.Term
	return snapshot, start, nil
}

// readLog reads the log, and cuts off a last record that was not written to its end.
func (s *store) readLog(from *walpb.Snapshot) (
	metadata []byte, hard *raftpb.HardState, entries []*raftpb.Entry, err error,
) {
	for isRepaired := false; ; isRepaired = true {
		if s.wal, err = wal.Open(silent, s.logs, from); errors.Is(err, fileutil.ErrLocked) {
			err = refusedData("the data directory is in use by another process")
		}
		if err != nil {
			return nil, nil, nil, err
		}
		metadata, hard, entries, err = s.wal.ReadAll()
		if err == nil || isRepaired || !errors.Is(err, io.ErrUnexpectedEOF) {
			return metadata, hard, entries, err
		}
		if err := s.repair(); err != nil {
			return nil, nil, nil, err
		}
	}
}

// ---- changing

// save writes what a Ready wants written, and syncs it.
func (s *store) save(rd *raft.Ready) error {
	err := s.write(rd)
	s.isBroken = s.isBroken || err != nil
	return err
}

func (s *store) write(rd *raft.Ready) error {
	if !raft.IsEmptySnap(rd.Snapshot) {
		if err := s.saveSnapshot(rd.Snapshot); err != nil {
			return err
		}
	}
	hard := rd.HardState
	if hard == nil {
		hard = &raftpb.HardState{}
	}
	if err := s.wal.Save(hard, rd.Entries); err != nil {
		return err
	}
	if !raft.IsEmptySnap(rd.Snapshot) {
		return s.wal.Sync()
	}
	return nil
}

// saveSnapshot writes the snapshot before the log's record of it, which is what makes it count.
func (s *store) saveSnapshot(snapshot *raftpb.Snapshot) error {
	meta := snapshot.GetMetadata()
	if err := s.snaps.SaveSnap(snapshot); err != nil {
		return err
	}
	record := &walpb.Snapshot{Index: meta.Index, Term: meta.Term, ConfState: meta.ConfState}
	if err := s.wal.SaveSnapshot(record); err != nil {
		s.isBroken = true
		return err
	}
	return s.wal.ReleaseLockTo(meta.GetIndex())
}

// mayPass says whether a disk could not be written only because there is no room. What else goes
// wrong leaves nobody knowing what is on the disk: then the node stops.
func mayPass(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EFBIG) ||
		errors.Is(err, syscall.EDQUOT)
}
