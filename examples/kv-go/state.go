package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"maps"
	"slices"
)

// state is what the log replicates: the members, the keys, and which writes were applied.
type state struct {
	index   uint64
	members map[uint64]member
	keys    map[string][]byte
	// The request ids that were applied, and the log indexes that applied them, oldest first.
	requests map[string]uint64
	order    []string
}

// member is one that is or was in the cluster. Ids are never used again.
type member struct {
	url     string
	removed bool
}

// An id is remembered for so many indexes.
const remembered = 65_536

func newState() *state {
	return &state{
		members: map[uint64]member{}, keys: map[string][]byte{}, requests: map[string]uint64{},
	}
}

// write is a log entry of the application's.
type write struct {
	isDelete       bool
	origin, serial uint64
	request, key   string
	value          []byte
}

const (
	formVersion = 1
	opPut       = 1
	opDelete    = 2
)

func (w *write) encode() []byte {
	op := byte(opPut)
	if w.isDelete {
		op = opDelete
	}
	b := []byte{formVersion, op}
	b = binary.BigEndian.AppendUint64(b, w.origin)
	b = binary.BigEndian.AppendUint64(b, w.serial)
	b = append(append(b, byte(len(w.request))), w.request...)
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(w.key))), w.key...)
	return append(b, w.value...)
}

var errForm = errors.New("not in the form of the protocol")

func decodeWrite(data []byte) (*write, error) {
	r := &reader{data: data}
	version, op := r.u8(), r.u8()
	w := &write{isDelete: op == opDelete, origin: r.u64(), serial: r.u64()}
	w.request = string(r.take(int(r.u8())))
	w.key = string(r.take(int(r.u16())))
	w.value = r.data
	if r.failed || version != formVersion || op != opPut && op != opDelete || w.key == "" ||
		w.isDelete && len(w.value) > 0 {
		return nil, errForm
	}
	return w, nil
}

// apply applies a write at an index, and returns the index at which it was applied: an earlier one
// when it is a repetition.
func (s *state) apply(index uint64, w *write) uint64 {
	s.forget(index)
	if first, known := s.requests[w.request]; known && w.request != "" {
		return first
	}
	if w.isDelete {
		delete(s.keys, w.key)
	} else {
		s.keys[w.key] = bytes.Clone(w.value)
	}
	if w.request != "" {
		s.requests[w.request] = index
		s.order = append(s.order, w.request)
	}
	return index
}

// forget drops the request ids that are too old at an index.
func (s *state) forget(index uint64) {
	gone := 0
	for _, id := range s.order {
		if s.requests[id]+remembered > index {
			break
		}
		delete(s.requests, id)
		gone++
	}
	s.order = s.order[gone:]
}

var magic = []byte("RKV1")

// encode is the data of a snapshot: equal states are equal bytes.
func (s *state) encode() []byte {
	s.forget(s.index)
	b := bytes.Clone(magic)
	b = binary.BigEndian.AppendUint32(b, uint32(len(s.members)))
	for _, id := range slices.Sorted(maps.Keys(s.members)) {
		m := s.members[id]
		b = binary.BigEndian.AppendUint64(b, id)
		if m.removed {
			b = append(b, 1)
		} else {
			b = append(b, 0)
		}
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(m.url))), m.url...)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(s.order)))
	for _, id := range s.order {
		b = binary.BigEndian.AppendUint64(b, s.requests[id])
		b = append(append(b, byte(len(id))), id...)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(len(s.keys)))
	for _, key := range slices.Sorted(maps.Keys(s.keys)) {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(key))), key...)
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(s.keys[key]))), s.keys[key]...)
	}
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

func decodeState(index uint64, data []byte) (*state, error) {
	if len(data) < len(magic)+4 || !bytes.HasPrefix(data, magic) {
		return nil, errForm
	}
	body, sum := data[:len(data)-4], binary.BigEndian.Uint32(data[len(data)-4:])
	if crc32.ChecksumIEEE(body) != sum {
		return nil, errors.New("a snapshot whose checksum is wrong")
	}
	s, r := newState(), &reader{data: body[len(magic):]}
	s.index = index
	for range r.u32() {
		id, removed := r.u64(), r.u8()
		s.members[id] = member{url: string(r.take(int(r.u16()))), removed: removed != 0}
		if r.failed {
			return nil, errForm
		}
	}
	for range r.u32() {
		at := r.u64()
		id := string(r.take(int(r.u8())))
		if r.failed {
			return nil, errForm
		}
		s.requests[id] = at
		s.order = append(s.order, id)
	}
	for range r.u64() {
		key := string(r.take(int(r.u16())))
		s.keys[key] = bytes.Clone(r.take(int(r.u32())))
		if r.failed {
			return nil, errForm
		}
	}
	if len(r.data) > 0 {
		return nil, errForm
	}
	return s, nil
}

// change is the context of a membership change.
type change struct {
	origin, serial uint64
	url            string
}

func (c *change) encode() []byte {
	b := binary.BigEndian.AppendUint64([]byte{formVersion}, c.origin)
	return append(binary.BigEndian.AppendUint64(b, c.serial), c.url...)
}

func decodeChange(data []byte) *change {
	r := &reader{data: data}
	version := r.u8()
	c := &change{origin: r.u64(), serial: r.u64()}
	c.url = string(r.data)
	if r.failed || version != formVersion {
		return &change{}
	}
	return c
}

// reader takes bytes apart; what is too short makes it fail.
type reader struct {
	data   []byte
	failed bool
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.data) {
		r.failed = true
		r.data = nil
		return make([]byte, 0)
	}
	out := r.data[:n]
	r.data = r.data[n:]
	return out
}

func (r *reader) number(n int) (value uint64) {
	for _, b := range r.take(n) {
		value = value<<8 | uint64(b)
	}
	return value
}

func (r *reader) u8() uint8   { return uint8(r.number(1)) }
func (r *reader) u16() uint16 { return uint16(r.number(2)) }
func (r *reader) u32() uint32 { return uint32(r.number(4)) }
func (r *reader) u64() uint64 { return r.number(8) }
