// Is everything on the disk what was written there? etcd's log has a checksum over each record and
// those before it, and refuses one that is wrong in the middle. What it leaves to its user is the
// end: the last record may be torn, by a power loss or by a write that failed halfway.

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/raftcore/raftcore/bindings/go"
	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
)

// repair cuts off a last record that was not written to its end.
func (s *store) repair() error {
	if err := s.close(); err != nil {
		return err
	}
	if !wal.Repair(silent, s.logs) {
		return errors.New("the log cannot be repaired")
	}
	return nil
}

// reopen opens the log again after a write to it failed halfway: what is behind the last whole
// record goes, and everything that the storage holds must be there. While the disk is full it
// fails.
func (s *store) reopen(ms *raft.MemoryStorage) error {
	// The log writes what it still has in its buffer, and that somewhere behind the failure.
	if err := s.close(); err != nil {
		return err
	}
	if err := cutTail(s.logs); err != nil {
		return err
	}
	_, from, err := s.readSnapshot()
	if err != nil {
		return err
	}
	_, hard, entries, err := s.readLog(from)
	if err != nil {
		return err
	}
	known, _, err := ms.InitialState()
	if err != nil {
		return err
	}
	end := from.GetIndex()
	if len(entries) > 0 {
		end = entries[len(entries)-1].GetIndex()
	}
	last, err := ms.LastIndex()
	if err != nil || end < last || hard.GetTerm() < known.GetTerm() {
		return errors.Join(err, errors.New("the log has lost what was in it"))
	}
	s.isBroken = false
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
