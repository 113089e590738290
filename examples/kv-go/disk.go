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
	silent := zap.NewNop()
	d := &disk{snaps: snap.New(silent, snaps)}
	self, err := json.Marshal(identity{o.id, o.clusterID})
	if err != nil {
		return nil, nil, false, err
	}
	if !wal.Exist(logs) {
		d.wal, err = wal.Create(silent, logs, self)
		return d, nil, false, err
	}
	snapshot, err := d.newestSnapshot(silent, logs)
	if err != nil {
		return nil, nil, false, err
	}
	from := &walpb.Snapshot{Index: new(uint64), Term: new(uint64)}
	if snapshot != nil {
		from.Index, from.Term = snapshot.Metadata.Index, snapshot.Metadata.Term
		if err := ms.ApplySnapshot(snapshot); err != nil {
			return nil, nil, false, err
		}
	}
	metadata, hard, entries, err := d.readLog(silent, logs, from)
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

func (d *disk) newestSnapshot(lg *zap.Logger, logs string) (*raftpb.Snapshot, error) {
	known, err := wal.ValidSnapshotEntries(lg, logs)
	if err != nil {
		return nil, err
	}
	snapshot, err := d.snaps.LoadNewestAvailable(known)
	if errors.Is(err, snap.ErrNoSnapshot) {
		return nil, nil
	}
	return snapshot, err
}

// readLog reads the log, and cuts off a last record that was not written to its end.
func (d *disk) readLog(lg *zap.Logger, logs string, from *walpb.Snapshot) (
	metadata []byte, hard *raftpb.HardState, entries []*raftpb.Entry, err error,
) {
	for repaired := false; ; repaired = true {
		if d.wal, err = wal.Open(lg, logs, from); errors.Is(err, fileutil.ErrLocked) {
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
		if !wal.Repair(lg, logs) {
			return nil, nil, nil, errors.New("the log cannot be repaired")
		}
	}
}

// save writes what a Ready wants written, and syncs it.
func (d *disk) save(rd *raft.Ready) error {
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
		return err
	}
	return d.wal.ReleaseLockTo(meta.GetIndex())
}
