package raft

import (
	"io"
	"log"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

var discard = &DefaultLogger{Logger: log.New(io.Discard, "", 0)}

// decoded is the membership change in an entry.
func decoded(e *pb.Entry) pb.ConfChangeI {
	if e.GetType() == pb.EntryConfChange {
		var cc pb.ConfChange
		_ = proto.Unmarshal(e.Data, &cc)
		return &cc
	}
	var cc pb.ConfChangeV2
	_ = proto.Unmarshal(e.Data, &cc)
	return &cc
}
