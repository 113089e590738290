//go:build cgo

package capi

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"slices"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// The fields of raftpb.Message and raftpb.Entry as they begin on the wire: number and wire type.
const (
	keyType       = 1<<3 | varint
	keyTo         = 2<<3 | varint
	keyFrom       = 3<<3 | varint
	keyTerm       = 4<<3 | varint
	keyLogTerm    = 5<<3 | varint
	keyIndex      = 6<<3 | varint
	keyEntries    = 7<<3 | block
	keyCommit     = 8<<3 | varint
	keySnapshot   = 9<<3 | block
	keyReject     = 10<<3 | varint
	keyRejectHint = 11<<3 | varint
	keyContext    = 12<<3 | block
	keyVote       = 13<<3 | varint

	keyEntryType  = 1<<3 | varint
	keyEntryTerm  = 2<<3 | varint
	keyEntryIndex = 3<<3 | varint
	keyEntryData  = 4<<3 | block

	varint = 0
	block  = 2
)

// So many bytes hold what a message has beside its entries, context and snapshot, and what an
// entry has beside its data.
const (
	messageRoom = 160
	entryRoom   = 48
)

var (
	errNilEntry   = errors.New("raft: a nil entry")
	errNilMessage = errors.New("raft: a nil message")
)

// AppendMessage appends the encoding of a message. It is that of proto.Marshal without the fields
// that mean nothing between members, several times as fast because it knows the type. A message to
// nobody is one to self: upstream does not look at the receiver.
func AppendMessage(b []byte, m *pb.Message, self uint64) ([]byte, error) {
	if m == nil {
		return b, errNilMessage
	}
	room := messageRoom + len(m.Context)
	for _, e := range m.Entries {
		if e == nil {
			return b, errNilEntry
		}
		room += entryRoom + len(e.Data)
	}
	b = slices.Grow(b, room)
	to := m.GetTo()
	if to == 0 {
		to = self
	}
	b = appendNumber(b, keyType, uint64(m.GetType()))
	b = appendNumber(b, keyTo, to)
	b = appendNumber(b, keyFrom, m.GetFrom())
	b = appendNumber(b, keyTerm, m.GetTerm())
	b = appendNumber(b, keyLogTerm, m.GetLogTerm())
	b = appendNumber(b, keyIndex, m.GetIndex())
	for _, e := range m.Entries {
		b = appendEntry(b, e)
	}
	b = appendNumber(b, keyCommit, m.GetCommit())
	if m.Snapshot != nil {
		var err error
		b = binary.AppendUvarint(append(b, keySnapshot), uint64(proto.Size(m.Snapshot)))
		if b, err = (proto.MarshalOptions{UseCachedSize: true}).MarshalAppend(b,
			m.Snapshot); err != nil {
			return b, err
		}
	}
	if m.GetReject() {
		b = append(b, keyReject, 1)
	}
	b = appendNumber(b, keyRejectHint, m.GetRejectHint())
	if len(m.Context) > 0 {
		b = binary.AppendUvarint(append(b, keyContext), uint64(len(m.Context)))
		b = append(b, m.Context...)
	}
	return appendNumber(b, keyVote, m.GetVote()), nil
}

// appendNumber appends a field, unless it is zero: absent means zero.
func appendNumber(b []byte, key byte, value uint64) []byte {
	if value == 0 {
		return b
	}
	b = append(b, key)
	for value >= 0x80 {
		b = append(b, byte(value)|0x80)
		value >>= 7
	}
	return append(b, byte(value))
}

func appendEntry(b []byte, e *pb.Entry) []byte {
	kind, term, index := uint64(e.GetType()), e.GetTerm(), e.GetIndex()
	size := numberSize(kind) + numberSize(term) + numberSize(index)
	if length := len(e.Data); length > 0 {
		size += 1 + varintSize(uint64(length)) + length
	}
	b = binary.AppendUvarint(append(b, keyEntries), uint64(size))
	b = appendNumber(b, keyEntryType, kind)
	b = appendNumber(b, keyEntryTerm, term)
	b = appendNumber(b, keyEntryIndex, index)
	if len(e.Data) > 0 {
		b = binary.AppendUvarint(append(b, keyEntryData), uint64(len(e.Data)))
		b = append(b, e.Data...)
	}
	return b
}

func numberSize(value uint64) int {
	if value == 0 {
		return 0
	}
	return 1 + varintSize(value)
}

func varintSize(value uint64) int { return (bits.Len64(value|1) + 6) / 7 }
