// The bytes of log entries, changes of members and snapshots, as in PROTOCOL.md. Decoders believe
// nothing: any bytes give a value or an error.

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
)

const (
	formVersion  = 1
	requestIDMax = 64
	urlMax       = 512
)

var errForm = errors.New("not in the form of the protocol")

// What a write does.
const (
	opPut    = 1
	opDelete = 2
)

// write is a log entry: one write to the store.
type write struct {
	operation      byte
	origin, serial uint64
	request        string // empty when the client gave none
	key            string
	value          []byte
}

func (w *write) encode() []byte {
	b := make([]byte, 0, 21+len(w.request)+len(w.key)+len(w.value))
	b = append(b, formVersion, w.operation)
	b = binary.BigEndian.AppendUint64(b, w.origin)
	b = binary.BigEndian.AppendUint64(b, w.serial)
	b = append(append(b, byte(len(w.request))), w.request...)
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(w.key))), w.key...)
	return append(b, w.value...)
}

func decodeWrite(data []byte) (*write, error) {
	r := &reader{data: data}
	version := r.u8()
	w := &write{operation: r.u8(), origin: r.u64(), serial: r.u64()}
	w.request = string(r.take(int(r.u8())))
	w.key = string(r.take(int(r.u16())))
	w.value = r.data
	if r.failed || version != formVersion || w.operation != opPut && w.operation != opDelete ||
		w.key == "" || w.operation == opDelete && len(w.value) > 0 {
		return nil, errForm
	}
	return w, nil
}

// change is the context of a membership change.
type change struct {
	origin, serial uint64 // 0: a bootstrap entry
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

// ---- snapshots

var magic = []byte("RKV1")

func beginSnapshot() []byte { return bytes.Clone(magic) }

func putU32(b []byte, count int) []byte { return binary.BigEndian.AppendUint32(b, uint32(count)) }

func putU64(b []byte, count int) []byte { return binary.BigEndian.AppendUint64(b, uint64(count)) }

func putMember(b []byte, id uint64, m member) []byte {
	b = binary.BigEndian.AppendUint64(b, id)
	if m.isRemoved {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	return append(binary.BigEndian.AppendUint16(b, uint16(len(m.url))), m.url...)
}

func putRequest(b []byte, index uint64, id string) []byte {
	b = binary.BigEndian.AppendUint64(b, index)
	return append(append(b, byte(len(id))), id...)
}

func putPair(b []byte, key string, value []byte) []byte {
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(key))), key...)
	return append(binary.BigEndian.AppendUint32(b, uint32(len(value))), value...)
}

func endSnapshot(b []byte) []byte {
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

// readSnapshot returns a reader at the first count.
func readSnapshot(data []byte) (*reader, error) {
	if len(data) < len(magic)+4 || !bytes.HasPrefix(data, magic) {
		return nil, errForm
	}
	body, sum := data[:len(data)-4], binary.BigEndian.Uint32(data[len(data)-4:])
	if crc32.ChecksumIEEE(body) != sum {
		return nil, errors.New("a snapshot whose checksum is wrong")
	}
	return &reader{data: body[len(magic):]}, nil
}

func (r *reader) takeMember() (uint64, member) {
	id, isRemoved := r.u64(), r.u8() != 0
	return id, member{url: string(r.take(int(r.u16()))), isRemoved: isRemoved}
}

func (r *reader) takeRequest() (index uint64, id string) {
	index = r.u64()
	return index, string(r.take(int(r.u8())))
}

func (r *reader) takePair() (key string, value []byte) {
	key = string(r.take(int(r.u16())))
	return key, r.take(int(r.u32()))
}

// ---- bytes

// reader takes bytes apart; what is too short makes it fail.
type reader struct {
	data   []byte
	failed bool
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.data) {
		r.failed = true
		r.data = nil
		return nil
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
