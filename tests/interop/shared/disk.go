package interop

// Disk is what survives a crash of a member: encoded by whoever wrote it, read by whoever starts
// from it, of either kind.
type Disk struct {
	HardState []byte
	Snapshot  *Snapshot
	Entries   []Entry
	// Applied is the application's own mark with the membership there, where it keeps one: a member
	// that starts from it is not handed the entries up to there again. Otherwise zero.
	Applied   uint64
	ConfState *ConfState
	Machine   Machine
}

// Save makes a write durable, all of it or, by not being called, nothing.
func (d *Disk) Save(w *Write) {
	if w.Snapshot != nil {
		d.Snapshot, d.Entries = w.Snapshot, nil
		d.Applied, d.ConfState = 0, nil
	}
	if len(w.Entries) > 0 {
		kept := d.Entries
		for len(kept) > 0 && kept[len(kept)-1].Index >= w.Entries[0].Index {
			kept = kept[:len(kept)-1]
		}
		d.Entries = append(kept[:len(kept):len(kept)], w.Entries...)
	}
	if len(w.HardState) > 0 {
		d.HardState = w.HardState
	}
}

// Compact stores a snapshot of the application and drops the entries that it covers but for the
// last few.
func (d *Disk) Compact(s *Snapshot, kept uint64) {
	d.Snapshot = s
	if s.Index >= d.Applied {
		d.Applied, d.ConfState = 0, nil
	}
	for len(d.Entries) > 0 && d.Entries[0].Index+kept <= s.Index {
		d.Entries = d.Entries[1:]
	}
}

// last is the term and index of the last entry, or of the snapshot.
func (d *Disk) last() (term, index uint64) {
	if count := len(d.Entries); count > 0 {
		return d.Entries[count-1].Term, d.Entries[count-1].Index
	}
	if d.Snapshot != nil {
		return d.Snapshot.Term, d.Snapshot.Index
	}
	return 0, 0
}

// Mark keeps the application's state beside the log.
func (d *Disk) Mark(applied uint64, state ConfState, m Machine) {
	d.Applied, d.ConfState, d.Machine = applied, &state, m
}
