package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/raftcore/raftcore/bindings/go"
	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	"go.etcd.io/etcd/server/v3/etcdserver/api/snap"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
)

// disk is the log and the snapshots of a node, in etcd's own formats.
type disk struct {
	wal   *wal.WAL
	snaps *snap.Snapshotter
	logs  string
	// A write failed: what is at the log's end is not known before it is opened again.
	broken bool
}

// identity is whose disk it is: the metadata of the log.
type identity struct {
	ID      uint64 `json:"id"`
	Cluster string `json:"cluster"`
}

var errRefusedData = errors.New("this data directory is refused")

// openDisk opens a disk, or makes it, and fills the storage with what is on it. It returns the
// snapshot to start from, and whether there was anything.
func openDisk(o *options, ms *raft.MemoryStorage) (*disk, *raftpb.Snapshot, bool, error) {
	logs, snaps := filepath.Join(o.data, "wal"), filepath.Join(o.data, "snap")
	if err := os.MkdirAll(snaps, 0o700); err != nil {
		return nil, nil, false, err
	}
	d := &disk{snaps: snap.New(silent, snaps), logs: logs}
	self, err := json.Marshal(identity{o.id, o.clusterID})
	if err != nil {
		return nil, nil, false, err
	}
	if !wal.Exist(logs) {
		d.wal, err = wal.Create(silent, logs, self)
		return d, nil, false, err
	}
	snapshot, from, err := d.newestSnapshot()
	if err != nil {
		return nil, nil, false, err
	}
	if snapshot != nil {
		if err := ms.ApplySnapshot(snapshot); err != nil {
			return nil, nil, false, err
		}
	}
	metadata, hard, entries, err := d.readLog(from)
	if err != nil {
		return nil, nil, false, err
	}
	var whose identity
	switch {
	case json.Unmarshal(metadata, &whose) != nil:
		return nil, nil, false, errors.New("the log does not say whose it is")
	case whose.Cluster != o.clusterID:
		return nil, nil, false, fmt.Errorf("%w: it belongs to cluster '%s'", errRefusedData,
			whose.Cluster)
	case whose.ID != o.id:
		return nil, nil, false, fmt.Errorf("%w: it belongs to node %d", errRefusedData, whose.ID)
	}
	if hard != nil {
		err = ms.SetHardState(hard)
	}
	isUsed := snapshot != nil || len(entries) > 0 || !raft.IsEmptyHardState(hard)
	return d, snapshot, isUsed, errors.Join(err, ms.Append(entries))
}

var silent = zap.NewNop()

// newestSnapshot finds the snapshot to start from, or nil, and where in the log that is.
func (d *disk) newestSnapshot() (*raftpb.Snapshot, *walpb.Snapshot, error) {
	start := &walpb.Snapshot{Index: new(uint64), Term: new(uint64)}
	known, err := wal.ValidSnapshotEntries(silent, d.logs)
	if err != nil {
		return nil, nil, err
	}
	snapshot, err := d.snaps.LoadNewestAvailable(known)
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
func (d *disk) readLog(from *walpb.Snapshot) (
	metadata []byte, hard *raftpb.HardState, entries []*raftpb.Entry, err error,
) {
	for repaired := false; ; repaired = true {
		if d.wal, err = wal.Open(silent, d.logs, from); errors.Is(err, fileutil.ErrLocked) {
			err = fmt.Errorf("%w: it is in use by another process", errRefusedData)
		}
		if err != nil {
			return nil, nil, nil, err
		}
		metadata, hard, entries, err = d.wal.ReadAll()
		if err == nil || repaired || !errors.Is(err, io.ErrUnexpectedEOF) {
			return metadata, hard, entries, err
		}
		if err := d.wal.Close(); err != nil {
			return nil, nil, nil, err
		}
		if !wal.Repair(silent, d.logs) {
			return nil, nil, nil, errors.New("the log cannot be repaired")
		}
	}
}

// save writes what a Ready wants written, and syncs it.
func (d *disk) save(rd *raft.Ready) error {
	err := d.write(rd)
	d.broken = d.broken || err != nil
	return err
}

func (d *disk) write(rd *raft.Ready) error {
	if !raft.IsEmptySnap(rd.Snapshot) {
		if err := d.saveSnapshot(rd.Snapshot); err != nil {
			return err
		}
	}
	hard := rd.HardState
	if hard == nil {
		hard = &raftpb.HardState{}
	}
	if err := d.wal.Save(hard, rd.Entries); err != nil {
		return err
	}
	if !raft.IsEmptySnap(rd.Snapshot) {
		return d.wal.Sync()
	}
	return nil
}

// saveSnapshot writes the snapshot before the log's record of it, which is what makes it count.
func (d *disk) saveSnapshot(s *raftpb.Snapshot) error {
	meta := s.GetMetadata()
	if err := d.snaps.SaveSnap(s); err != nil {
		return err
	}
	record := &walpb.Snapshot{Index: meta.Index, Term: meta.Term, ConfState: meta.ConfState}
	if err := d.wal.SaveSnapshot(record); err != nil {
		d.broken = true
		return err
	}
	return d.wal.ReleaseLockTo(meta.GetIndex())
}
