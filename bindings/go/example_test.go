package raft_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"time"

	"github.com/raftcore/raftcore/bindings/go"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// server is what an application has around a node.
type server struct {
	node    raft.Node
	storage *raft.MemoryStorage
	ticker  *time.Ticker
	applied chan string
}

// ANCHOR: loop
func (s *server) run(ctx context.Context) {
	for {
		select {
		case <-s.ticker.C:
			s.node.Tick()
		case rd := <-s.node.Ready():
			s.save(rd.HardState, rd.Entries, rd.Snapshot)
			s.send(rd.Messages)
			for _, entry := range rd.CommittedEntries {
				s.process(entry)
				if entry.GetType() == raftpb.EntryConfChange {
					var cc raftpb.ConfChange
					if proto.Unmarshal(entry.GetData(), &cc) == nil {
						s.node.ApplyConfChange(&cc)
					}
				}
			}
			s.node.Advance()
		case <-ctx.Done():
			return
		}
	}
}

// ANCHOR_END: loop

// ANCHOR: save
// save writes to the application's own log first, and syncs it, and then to the MemoryStorage, from
// which the node reads.
func (s *server) save(state *raftpb.HardState, entries []*raftpb.Entry, snapshot *raftpb.Snapshot) {
	if !raft.IsEmptySnap(snapshot) {
		_ = s.storage.ApplySnapshot(snapshot)
	}
	_ = s.storage.Append(entries)
	if !raft.IsEmptyHardState(state) {
		_ = s.storage.SetHardState(state)
	}
}

// ANCHOR_END: save

func (s *server) send([]*raftpb.Message) {}

func (s *server) process(entry *raftpb.Entry) {
	if entry.GetType() == raftpb.EntryNormal && len(entry.GetData()) > 0 {
		s.applied <- string(entry.GetData())
	}
}

func Example() {
	// ANCHOR: start
	storage := raft.NewMemoryStorage()
	node := raft.StartNode(&raft.Config{
		ID:              1,
		ElectionTick:    10,
		HeartbeatTick:   1,
		Storage:         storage,
		MaxSizePerMsg:   4096,
		MaxInflightMsgs: 256,
		Logger:          &raft.DefaultLogger{Logger: log.New(io.Discard, "", 0)},
	}, []raft.Peer{{ID: 1}})
	// ANCHOR_END: start
	defer node.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	s := &server{node, storage, time.NewTicker(time.Millisecond), make(chan string)}
	go s.run(ctx)

	// ANCHOR: propose
	// Waits until there is a leader.
	if err := node.Propose(ctx, []byte("hello")); err != nil {
		log.Fatal(err)
	}
	// ANCHOR_END: propose
	fmt.Println(<-s.applied)
	// Output: hello
}

// ANCHOR: diagnostics
func ExampleDiagnostics() {
	node := raft.StartNode(&raft.Config{ID: 1}, []raft.Peer{{ID: 1}})
	if err := node.(raft.Diagnostics).Err(); err != nil {
		fmt.Println("the node did not start:", err)
	}
	// Output: the node did not start: heartbeat tick must be greater than 0
}

// ANCHOR_END: diagnostics
