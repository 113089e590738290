package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/raftcore/raftcore/bindings/go"
	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
)

// isFull says whether a disk could not be written only because there is no room. That passes. What
// else goes wrong leaves nobody knowing what is on the disk: then the node stops.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EFBIG) ||
		errors.Is(err, syscall.EDQUOT)
}

// reopen opens the log again after a write to it failed halfway: what is behind the last whole
// record goes, and everything that the storage holds must be there. While the disk is full it
// fails.
func (d *disk) reopen(ms *raft.MemoryStorage) error {
	// The log writes what it still has in its buffer, and that somewhere behind the failure.
	if err := d.close(); err != nil {
		return err
	}
	if err := cutTail(d.logs); err != nil {
		return err
	}
	_, from, err := d.newestSnapshot()
	if err != nil {
		return err
	}
	_, hard, entries, err := d.readLog(from)
	if err != nil {
		return err
	}
	known, _, err := ms.InitialState()
	if err != nil {
		return err
	}
	stored := from.GetIndex()
	if len(entries) > 0 {
		stored = entries[len(entries)-1].GetIndex()
	}
	last, err := ms.LastIndex()
	if err != nil || stored < last || hard.GetTerm() < known.GetTerm() {
		return errors.Join(err, errors.New("the log has lost what was in it"))
	}
	d.broken = false
	return nil
}

// close closes the log. If that fails, it is still open, and locked.
func (d *disk) close() error {
	if d.wal == nil {
		return nil
	}
	if err := d.wal.Close(); err != nil {
		return err
	}
	d.wal = nil
	return nil
}

// cutTail cuts the newest file of a log behind its last whole record.
func cutTail(logs string) error {
	files, err := filepath.Glob(filepath.Join(logs, "*.wal"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no log in %s: %w", logs, err)
	}
	file, err := os.OpenFile(slices.Max(files), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	decoder := wal.NewDecoder(fileutil.NewFileReader(file))
	record := new(walpb.Record)
	for {
		end := decoder.LastOffset()
		err := decoder.Decode(record)
		switch {
		case err == nil && record.GetType() == wal.CrcType:
			decoder.UpdateCRC(record.GetCrc())
		case err == nil:
		case errors.Is(err, io.EOF):
			return nil
		default:
			return errors.Join(file.Truncate(end), file.Sync())
		}
	}
}
