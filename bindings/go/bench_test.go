package raft

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	upstream "go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// The benchmarks run the same programs with both libraries: groups in one process, without a
// network or a disk. An operation is one entry, committed and applied by every member.
//
//	go test -run '^$' -bench . -benchmem

// rawNode is what both libraries' RawNodes have.
type rawNode interface {
	Campaign() error
	Propose([]byte) error
	Step(*pb.Message) error
	HasReady() bool
	Ready() Ready
	Advance(Ready)
	ApplyConfChange(pb.ConfChangeI) *pb.ConfState
	Bootstrap([]Peer) error
}

// library makes nodes.
type library struct {
	name    string
	storage func() memory
	raw     func(id uint64, storage memory) (rawNode, error)
	start   func(storage memory) Node
}

func libraries() []library {
	config := func(id uint64, storage Storage) upstream.Config {
		return upstream.Config{
			ID: id, ElectionTick: 1000, HeartbeatTick: 100, Storage: storage, Logger: discard,
			MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 512,
		}
	}
	ours := func(id uint64, storage Storage) *Config {
		return &Config{
			ID: id, ElectionTick: 1000, HeartbeatTick: 100, Storage: storage, Logger: discard,
			MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 512,
		}
	}
	peers := []Peer{{ID: 1}}
	return []library{
		{
			name:    "raftcore",
			storage: func() memory { return NewMemoryStorage() },
			raw:     func(id uint64, s memory) (rawNode, error) { return NewRawNode(ours(id, s)) },
			start:   func(s memory) Node { return StartNode(ours(1, s), peers) },
		},
		{
			name:    "upstream",
			storage: func() memory { return upstream.NewMemoryStorage() },
			raw: func(id uint64, s memory) (rawNode, error) {
				c := config(id, s)
				return upstream.NewRawNode(&c)
			},
			start: func(s memory) Node {
				c := config(1, s)
				return upstream.StartNode(&c, peers)
			},
		},
	}
}

// crowd is a group driven by hand.
type crowd struct {
	nodes    []rawNode
	storages []memory
	inboxes  [][]any
	applied  []int
	// Whether messages are encoded on the way.
	encode bool
	// Where they are recorded, if anywhere.
	sent *[]*pb.Message
}

func newCrowd(b *testing.B, lib library, size int, encode bool) *crowd {
	c := &crowd{inboxes: make([][]any, size), applied: make([]int, size), encode: encode}
	var peers []Peer
	for id := 1; id <= size; id++ {
		peers = append(peers, Peer{ID: uint64(id)})
	}
	for id := 1; id <= size; id++ {
		storage := lib.storage()
		node, err := lib.raw(uint64(id), storage)
		must(b, err)
		must(b, node.Bootstrap(peers))
		c.nodes, c.storages = append(c.nodes, node), append(c.storages, storage)
	}
	c.pump(b)
	must(b, c.nodes[0].Campaign())
	c.pump(b)
	clear(c.applied)
	return c
}

func (c *crowd) pump(b *testing.B) {
	for progress := true; progress; {
		progress = false
		for i, node := range c.nodes {
			inbox := c.inboxes[i]
			c.inboxes[i] = nil
			for _, message := range inbox {
				c.step(b, node, message)
				progress = true
			}
			for node.HasReady() {
				c.handle(b, i)
				progress = true
			}
		}
	}
}

func (c *crowd) step(b *testing.B, node rawNode, message any) {
	m, isPlain := message.(*pb.Message)
	if !isPlain {
		m = new(pb.Message)
		check(b, proto.Unmarshal(message.([]byte), m))
	}
	check(b, node.Step(m))
}

func (c *crowd) handle(b *testing.B, i int) {
	node := c.nodes[i]
	rd := node.Ready()
	check(b, c.storages[i].Append(rd.Entries))
	if !IsEmptyHardState(rd.HardState) {
		check(b, c.storages[i].SetHardState(rd.HardState))
	}
	for _, m := range rd.Messages {
		if c.sent != nil {
			*c.sent = append(*c.sent, m)
		}
		to := m.GetTo() - 1
		if !c.encode {
			c.inboxes[to] = append(c.inboxes[to], m)
			continue
		}
		encoded, err := proto.Marshal(m)
		check(b, err)
		c.inboxes[to] = append(c.inboxes[to], encoded)
	}
	for _, e := range rd.CommittedEntries {
		if e.GetType() != pb.EntryNormal {
			node.ApplyConfChange(decoded(e))
		} else if len(e.Data) > 0 {
			c.applied[i]++
		}
	}
	node.Advance(rd)
}

func benchmarkRaw(b *testing.B, members int, encode bool) {
	for _, mode := range []string{"each", "batch"} {
		for _, batch := range []int{1, 16, 256} {
			for _, size := range []int{128, 4096} {
				for _, lib := range libraries() {
					name := fmt.Sprintf("%s=%d/bytes=%d/%s", mode, batch, size, lib.name)
					b.Run(name, func(b *testing.B) {
						c := newCrowd(b, lib, members, encode)
						c.commit(b, batch, size, mode == "batch")
					})
				}
			}
		}
	}
}

// commit proposes entries and has everyone apply them, a batch at a time: by as many proposals, or
// by one message that carries all.
func (c *crowd) commit(b *testing.B, batch, size int, together bool) {
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuTime(b)
	for done := 0; done < b.N; {
		count := min(batch, b.N-done)
		message := &pb.Message{Type: pb.MsgProp.Enum()}
		for range count {
			payload := make([]byte, size)
			payload[0] = byte(done)
			if together {
				message.Entries = append(message.Entries, &pb.Entry{Data: payload})
			} else {
				check(b, c.nodes[0].Propose(payload))
			}
			done++
		}
		if together {
			must(b, c.nodes[0].Step(message))
		}
		c.pump(b)
		// Keep the log short: what is measured is not the log's growth.
		if done/100_000 != (done-count)/100_000 {
			c.compact(b)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
	for i, applied := range c.applied {
		if applied != b.N {
			b.Fatalf("member %d applied %d of %d", i+1, applied, b.N)
		}
	}
}

// cpuTime is what all threads of this process have used: it does not count who else is running.
func cpuTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// check is must without the price of Helper.
func check(b *testing.B, err error) {
	if err != nil {
		b.Fatal(err)
	}
}

// compact cuts the logs.
func (c *crowd) compact(b *testing.B) {
	for _, storage := range c.storages {
		last, err := storage.LastIndex()
		must(b, err)
		must(b, storage.Compact(last-1000))
	}
}

func BenchmarkRawNodeAlone(b *testing.B) { benchmarkRaw(b, 1, false) }

// BenchmarkRawNodes is W1 of benches/README.md.
func BenchmarkRawNodes(b *testing.B) { benchmarkRaw(b, 3, false) }

// BenchmarkRawNodesEncoded is W2.
func BenchmarkRawNodesEncoded(b *testing.B) { benchmarkRaw(b, 3, true) }

// BenchmarkEncoding is what BenchmarkRawNodesEncoded does without any library: payloads are made,
// and the messages of a batch go through proto.Marshal and proto.Unmarshal. No library can be
// faster.
func BenchmarkEncoding(b *testing.B) {
	for _, batch := range []int{1, 16, 256} {
		for _, size := range []int{128, 4096} {
			b.Run(fmt.Sprintf("batch=%d/bytes=%d", batch, size), func(b *testing.B) {
				benchmarkEncoding(b, batch, size)
			})
		}
	}
}

func benchmarkEncoding(b *testing.B, batch, size int) {
	messages := recorded(b, batch, size)
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuTime(b)
	for done := 0; done < b.N; done += batch {
		for range batch {
			payload := make([]byte, size)
			payload[0] = byte(done)
			sink = payload
		}
		for _, m := range messages {
			encoded, err := proto.Marshal(m)
			check(b, err)
			check(b, proto.Unmarshal(encoded, new(pb.Message)))
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
}

// sink keeps what is made from being left out.
var sink []byte

// recorded are the messages that a batch takes.
func recorded(b *testing.B, batch, size int) []*pb.Message {
	c := newCrowd(b, libraries()[0], 3, false)
	message := &pb.Message{Type: pb.MsgProp.Enum()}
	for range batch {
		message.Entries = append(message.Entries, &pb.Entry{Data: make([]byte, size)})
	}
	c.sent = &[]*pb.Message{}
	must(b, c.nodes[0].Step(message))
	c.pump(b)
	return *c.sent
}

// BenchmarkNode has clients propose to a running Node of a group of one.
func BenchmarkNode(b *testing.B) {
	for _, clients := range []int{1, 16, 256} {
		for _, size := range []int{128, 4096} {
			for _, lib := range libraries() {
				name := fmt.Sprintf("clients=%d/bytes=%d/%s", clients, size, lib.name)
				b.Run(name, func(b *testing.B) { benchmarkNode(b, lib, clients, size) })
			}
		}
	}
}

func benchmarkNode(b *testing.B, lib library, clients, size int) {
	storage := lib.storage()
	n := lib.start(storage)
	defer n.Stop()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	applied := make(chan int, 1024)
	go serve(ctx, n, storage, applied)
	// It does not campaign before its membership is applied.
	for n.Status().RaftState != StateLeader {
		must(b, n.Campaign(ctx))
		time.Sleep(time.Millisecond)
	}
	must(b, n.Propose(ctx, []byte("first")))
	<-applied
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuTime(b)
	for client := range clients {
		share := b.N / clients
		if client < b.N%clients {
			share++
		}
		go func() {
			for range share {
				_ = n.Propose(ctx, make([]byte, size))
			}
		}()
	}
	for done := 0; done < b.N; {
		done += <-applied
	}
	b.StopTimer()
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
}

// serve is a node's loop without ticks.
func serve(ctx context.Context, n Node, storage memory, applied chan<- int) {
	for {
		select {
		case rd := <-n.Ready():
			_ = storage.Append(rd.Entries)
			if !IsEmptyHardState(rd.HardState) {
				_ = storage.SetHardState(rd.HardState)
			}
			count := 0
			for _, e := range rd.CommittedEntries {
				if e.GetType() != pb.EntryNormal {
					n.ApplyConfChange(decoded(e))
				} else if len(e.Data) > 0 {
					count++
				}
			}
			n.Advance()
			if count > 0 {
				applied <- count
			}
		case <-ctx.Done():
			return
		}
	}
}
