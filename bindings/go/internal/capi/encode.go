package capi

import (
	"errors"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// The fields of raftpb.Message and raftpb.Entry, by their numbers on the wire.
const (
	fieldType       = 1
	fieldTo         = 2
	fieldFrom       = 3
	fieldTerm       = 4
	fieldLogTerm    = 5
	fieldIndex      = 6
	fieldEntries    = 7
	fieldCommit     = 8
	fieldSnapshot   = 9
	fieldReject     = 10
	fieldRejectHint = 11
	fieldContext    = 12
	fieldVote       = 13

	entryType  = 1
	entryTerm  = 2
	entryIndex = 3
	entryData  = 4
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
	to := m.GetTo()
	if to == 0 {
		to = self
	}
	b = appendNumber(b, fieldType, uint64(m.GetType()))
	b = appendNumber(b, fieldTo, to)
	b = appendNumber(b, fieldFrom, m.GetFrom())
	b = appendNumber(b, fieldTerm, m.GetTerm())
	b = appendNumber(b, fieldLogTerm, m.GetLogTerm())
	b = appendNumber(b, fieldIndex, m.GetIndex())
	for _, e := range m.Entries {
		if e == nil {
			return b, errNilEntry
		}
		b = protowire.AppendTag(b, fieldEntries, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(entrySize(e)))
		b = appendEntry(b, e)
	}
	b = appendNumber(b, fieldCommit, m.GetCommit())
	if m.Snapshot != nil {
		var err error
		b = protowire.AppendTag(b, fieldSnapshot, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(proto.Size(m.Snapshot)))
		if b, err = (proto.MarshalOptions{UseCachedSize: true}).MarshalAppend(b,
			m.Snapshot); err != nil {
			return b, err
		}
	}
	if m.GetReject() {
		b = appendNumber(b, fieldReject, 1)
	}
	b = appendNumber(b, fieldRejectHint, m.GetRejectHint())
	if len(m.Context) > 0 {
		b = protowire.AppendTag(b, fieldContext, protowire.BytesType)
		b = protowire.AppendBytes(b, m.Context)
	}
	return appendNumber(b, fieldVote, m.GetVote()), nil
}

// appendNumber appends a field, unless it is zero: absent means zero.
func appendNumber(b []byte, field protowire.Number, value uint64) []byte {
	if value == 0 {
		return b
	}
	b = protowire.AppendTag(b, field, protowire.VarintType)
	return protowire.AppendVarint(b, value)
}

func appendEntry(b []byte, e *pb.Entry) []byte {
	b = appendNumber(b, entryType, uint64(e.GetType()))
	b = appendNumber(b, entryTerm, e.GetTerm())
	b = appendNumber(b, entryIndex, e.GetIndex())
	if len(e.Data) > 0 {
		b = protowire.AppendTag(b, entryData, protowire.BytesType)
		b = protowire.AppendBytes(b, e.Data)
	}
	return b
}

func entrySize(e *pb.Entry) int {
	size := numberSize(uint64(e.GetType())) + numberSize(e.GetTerm()) + numberSize(e.GetIndex())
	if len(e.Data) > 0 {
		size += 1 + protowire.SizeBytes(len(e.Data))
	}
	return size
}

func numberSize(value uint64) int {
	if value == 0 {
		return 0
	}
	return 1 + protowire.SizeVarint(value)
}
