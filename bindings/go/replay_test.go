package raft

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/raftcore/raftcore/bindings/go/internal/capi"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// TestRecordedSchedules replays what went into nodes of the simulator, and compares the hash of all
// that comes out. The form of the files is in raft-sim/SCHEDULES.md.
func TestRecordedSchedules(t *testing.T) {
	files, err := filepath.Glob("../../raft-sim/tests/schedules/*.txt")
	must(t, err)
	if len(files) < 10 {
		t.Fatalf("only %d schedules", len(files))
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			must(t, err)
			needs := strings.Split(string(text), "\n")[1]
			replay(t, string(text), true)
			if needs == "needs nothing" || needs == "needs async-storage-writes" {
				replay(t, string(text), false)
			}
		})
	}
}

// replay plays a schedule, with storages that are called back or with the library's own.
func replay(t *testing.T, text string, calledBack bool) {
	t.Helper()
	p := &player{replicas: map[string]*replica{}, hash: fnv.New64a(), calledBack: calledBack}
	for number, line := range strings.Split(strings.TrimSpace(text), "\n") {
		words := strings.Fields(line)
		if number < 2 || strings.HasPrefix(line, "#") {
			continue
		}
		if words[0] == "hash" {
			if got := fmt.Sprintf("%016x", p.hash.Sum64()); got != words[1] {
				t.Errorf("hash %s, not %s; called back: %t", got, words[1], calledBack)
			}
			return
		}
		if err := p.line(words); err != nil {
			t.Fatalf("line %d: %s: %v", number+1, line[:min(len(line), 200)], err)
		}
	}
	t.Error("the schedule has no hash")
}

// replica is a node of a schedule.
type replica struct {
	config  capi.Config
	memory  *MemoryStorage
	faults  *faultyStorage
	node    *capi.Node
	ready   capi.Ready
	writes  []*pb.Message
	replies []uint64
	applies []*pb.Message
}

// faultyStorage fails when it is told to.
type faultyStorage struct {
	*MemoryStorage
	conf                    *pb.ConfState
	readsFail, snapshotBusy bool
}

var errBroken = errors.New("an I/O error")

func (s *faultyStorage) check() error {
	if s.readsFail {
		return errBroken
	}
	return nil
}

func (s *faultyStorage) InitialState() (*pb.HardState, *pb.ConfState, error) {
	hard, conf, err := s.MemoryStorage.InitialState()
	if s.conf != nil {
		conf = s.conf
	}
	return hard, conf, errors.Join(s.check(), err)
}

func (s *faultyStorage) Entries(lo, hi, maxSize uint64) ([]*pb.Entry, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	return s.MemoryStorage.Entries(lo, hi, maxSize)
}

func (s *faultyStorage) Term(i uint64) (uint64, error) {
	if err := s.check(); err != nil {
		return 0, err
	}
	return s.MemoryStorage.Term(i)
}

func (s *faultyStorage) FirstIndex() (uint64, error) {
	if err := s.check(); err != nil {
		return 0, err
	}
	return s.MemoryStorage.FirstIndex()
}

func (s *faultyStorage) LastIndex() (uint64, error) {
	if err := s.check(); err != nil {
		return 0, err
	}
	return s.MemoryStorage.LastIndex()
}

func (s *faultyStorage) Snapshot() (*pb.Snapshot, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	if s.snapshotBusy {
		return nil, ErrSnapshotTemporarilyUnavailable
	}
	return s.MemoryStorage.Snapshot()
}

// player carries out lines.
type player struct {
	replicas   map[string]*replica
	hash       hash.Hash64
	calledBack bool
}

func (p *player) line(words []string) error {
	if words[0] == "node" {
		return p.newNode(words[1:])
	}
	r, args := p.replicas[words[1]], words[2:]
	switch words[0] {
	case "store":
		return r.store(args)
	case "create":
		return r.create(p.calledBack)
	case "persist":
		return r.persist()
	case "compact":
		return r.compact(args)
	case "reads-fail":
		r.faults.readsFail = args[0] == "1"
		return nil
	case "snapshot-busy":
		r.faults.snapshotBusy = args[0] == "1"
		return nil
	case "ready":
		return p.ready(r)
	}
	err := r.call(words[0], args)
	if err == errUnknownLine {
		return err
	}
	p.outcome(err)
	return nil
}

func (p *player) newNode(fields []string) error {
	r := &replica{memory: NewMemoryStorage()}
	r.faults = &faultyStorage{MemoryStorage: r.memory}
	id := ""
	for _, field := range fields {
		name, value, _ := strings.Cut(field, "=")
		number, err := strconv.ParseUint(value, 10, 64)
		if err != nil {
			return err
		}
		if name == "id" {
			id = value
		}
		if !setField(&r.config, name, number) {
			return fmt.Errorf("unknown field %s", name)
		}
	}
	p.replicas[id] = r
	return nil
}

func setField(c *capi.Config, name string, number uint64) bool {
	numbers := map[string]*uint64{
		"id": &c.ID, "seed": &c.Seed, "applied": &c.Applied,
		"max_message_bytes":             &c.MaxMessageBytes,
		"max_committed_bytes_per_ready": &c.MaxCommittedBytes,
		"max_uncommitted_bytes":         &c.MaxUncommittedBytes,
		"max_inflight_messages":         &c.MaxInflightMessages,
		"max_inflight_bytes":            &c.MaxInflightBytes,
		"max_pending_reads":             &c.MaxPendingReads,
	}
	switches := map[string]*bool{
		"async_storage_writes": &c.AsyncWrites, "check_quorum": &c.CheckQuorum,
		"pre_vote": &c.PreVote, "forward_proposals": &c.ForwardProposals,
		"validate_conf_changes": &c.ValidateConfChanges,
		"step_down_on_removal":  &c.StepDownOnRemoval,
		"votes_wait_for_sync":   &c.VotesWaitForSync,
		"coalesce_appends":      &c.CoalesceAppends,
	}
	switch {
	case numbers[name] != nil:
		*numbers[name] = number
	case switches[name] != nil:
		*switches[name] = number == 1
	case name == "election_timeout_ticks":
		c.ElectionTicks = uint32(number)
	case name == "heartbeat_interval_ticks":
		c.HeartbeatTicks = uint32(number)
	case name == "read_only":
		c.ReadOnly = int32(number)
	default:
		return false
	}
	return true
}

func decode(word string, into proto.Message) error {
	data, err := blob(word)
	if err != nil {
		return err
	}
	return proto.Unmarshal(data, into)
}

func blob(word string) ([]byte, error) {
	if word == "-" {
		return nil, nil
	}
	return hex.DecodeString(word)
}

func (r *replica) store(args []string) error {
	switch args[0] {
	case "hard":
		var numbers [3]uint64
		for i := range numbers {
			numbers[i], _ = strconv.ParseUint(args[1+i], 10, 64)
		}
		return r.memory.SetHardState(capi.HardState(numbers[0], numbers[1], numbers[2]))
	case "restore", "snapshot":
		var s pb.Snapshot
		if err := decode(args[1], &s); err != nil {
			return err
		}
		if args[0] == "restore" {
			return r.memory.ApplySnapshot(&s)
		}
		_, err := r.memory.CreateSnapshot(s.Metadata.GetIndex(), s.Metadata.GetConfState(), s.Data)
		return err
	case "entry":
		var e pb.Entry
		if err := decode(args[1], &e); err != nil {
			return err
		}
		return r.memory.Append([]*pb.Entry{&e})
	case "conf-state":
		r.faults.conf = &pb.ConfState{}
		return decode(args[1], r.faults.conf)
	}
	return errUnknownLine
}

func (r *replica) create(calledBack bool) error {
	var storage Storage = r.memory
	if calledBack {
		storage = r.faults
	}
	opened, _, err := open(storage)
	if err != nil {
		return err
	}
	r.node, err = capi.NewNode(r.config, opened, nil, 0)
	return err
}

// persist writes the outstanding Ready, or the first of the writes that wait.
func (r *replica) persist() error {
	snap, entries, hard := r.ready.Snapshot, r.ready.Entries, r.ready.HardState
	if r.config.AsyncWrites {
		m := r.writes[0]
		r.writes = r.writes[1:]
		snap, entries, hard = m.Snapshot, m.Entries, nil
		if m.Term != nil {
			hard = &pb.HardState{Term: m.Term, Vote: m.Vote, Commit: m.Commit}
		}
	}
	if stored, _ := r.memory.Snapshot(); snap != nil &&
		snap.Metadata.GetIndex() > stored.Metadata.GetIndex() {
		if err := r.memory.ApplySnapshot(snap); err != nil {
			return err
		}
	}
	if err := r.memory.Append(entries); err != nil || hard == nil {
		return err
	}
	return r.memory.SetHardState(hard)
}

func (r *replica) compact(args []string) error {
	index, _ := strconv.ParseUint(args[0], 10, 64)
	to, _ := strconv.ParseUint(args[1], 10, 64)
	var conf pb.ConfState
	if err := decode(args[2], &conf); err != nil {
		return err
	}
	data, err := blob(args[3])
	if err != nil {
		return err
	}
	if _, err := r.memory.CreateSnapshot(index, &conf, data); err != nil {
		return err
	}
	if err := r.memory.Compact(to); err != nil && !errors.Is(err, ErrCompacted) {
		return err
	}
	return nil
}

var errUnknownLine = errors.New("an unknown line")

func (r *replica) call(name string, args []string) error {
	number, data := uint64(0), []byte(nil)
	if len(args) > 0 {
		number, _ = strconv.ParseUint(args[0], 10, 64)
		data, _ = blob(args[len(args)-1])
	}
	switch name {
	case "bootstrap":
		return r.bootstrap(strings.Split(args[0], ","))
	case "tick":
		return r.node.Tick()
	case "campaign":
		return r.node.Campaign()
	case "forget-leader":
		return r.node.ForgetLeader()
	case "step":
		return r.node.StepEncoded(data)
	case "propose":
		_, err := r.node.Propose(data)
		return err
	case "propose-conf-change":
		_, err := r.node.ProposeConfChange(pb.EntryType(number), data)
		return err
	case "read-index":
		return r.node.ReadIndex(data)
	case "transfer-leader":
		return r.node.TransferLeader(number)
	case "report-unreachable":
		return r.node.ReportUnreachable(number)
	case "report-snapshot":
		status := int32(capi.SnapshotFailed)
		if args[1] == "1" {
			status = capi.SnapshotFinished
		}
		return r.node.ReportSnapshot(number, status)
	case "apply-conf-change":
		return r.applyConfChange(number)
	case "advance":
		return r.node.Advance()
	case "append-response":
		number, r.replies = r.replies[0], r.replies[1:]
		return r.node.Respond(number)
	case "apply-response":
		work := r.applies[0]
		r.applies = r.applies[1:]
		return r.node.Respond(r.ready.Responses[work.Responses[0]])
	}
	return errUnknownLine
}

func (r *replica) bootstrap(peers []string) error {
	ids := make([]uint64, len(peers))
	for i, peer := range peers {
		ids[i], _ = strconv.ParseUint(peer, 10, 64)
	}
	return r.node.Bootstrap(ids, make([][]byte, len(ids)))
}

func (r *replica) applyConfChange(index uint64) error {
	entries := r.ready.CommittedEntries
	if r.config.AsyncWrites {
		entries = r.applies[0].Entries
	}
	i := slices.IndexFunc(entries, func(e *pb.Entry) bool { return e.GetIndex() == index })
	if i < 0 {
		return errUnknownLine
	}
	_, err := r.node.ApplyEntry(entries[i])
	return err
}

func (p *player) ready(r *replica) error {
	var rd capi.Ready
	isThere, err := r.node.Ready(&rd)
	p.outcome(err)
	if err != nil || !isThere {
		return nil
	}
	if r.config.AsyncWrites {
		for m, number := range r.ready.Responses {
			if rd.Responses == nil {
				rd.Responses = map[*pb.Message]uint64{}
			}
			rd.Responses[m] = number
		}
	} else if !p.calledBack {
		r.memory.node.Store(r.node)
	}
	r.ready = rd
	p.hashReady(&rd, r)
	return nil
}

// outcome hashes how a call ended.
func (p *player) outcome(err error) {
	var e *capi.Error
	code := byte(0)
	if errors.As(err, &e) {
		code = byte(-e.Status / 100)
	} else if err != nil {
		code = 255
	}
	p.hash.Write([]byte{code})
}

func (p *player) number(n uint64) { _ = binary.Write(p.hash, binary.LittleEndian, n) }

func (p *player) flag(on bool) {
	if on {
		p.hash.Write([]byte{1})
	} else {
		p.hash.Write([]byte{0})
	}
}

func (p *player) bytes(b []byte) {
	p.number(uint64(len(b)))
	p.hash.Write(b)
}

func (p *player) hashReady(rd *capi.Ready, r *replica) {
	if p.flag(rd.SoftState != nil); rd.SoftState != nil {
		p.number(rd.SoftState.Lead)
		p.hash.Write([]byte{byte(rd.RaftState)})
	}
	if p.flag(rd.HardState != nil); rd.HardState != nil {
		p.number(rd.HardState.GetTerm())
		p.number(rd.HardState.GetVote())
		p.number(rd.HardState.GetCommit())
	}
	p.flag(rd.MustSync)
	if p.flag(rd.Snapshot != nil); rd.Snapshot != nil {
		p.bytes(encodeSnapshot(rd.Snapshot))
	}
	for _, entries := range [][]*pb.Entry{rd.Entries, rd.CommittedEntries} {
		p.number(uint64(len(entries)))
		for _, e := range entries {
			encoded, _ := proto.Marshal(e)
			p.bytes(encoded)
		}
	}
	p.messages(rd.Messages[:rd.Leave])
	if r.config.AsyncWrites {
		p.messages(nil)
	} else {
		p.messages(rd.Messages[rd.Leave:])
	}
	p.number(uint64(len(rd.ReadStates)))
	for _, state := range rd.ReadStates {
		p.number(state.Index)
		p.bytes(state.RequestCtx)
	}
	if r.config.AsyncWrites {
		p.hashWork(rd, r)
	}
}

// hashWork hashes the work for the storage threads, and keeps it.
func (p *player) hashWork(rd *capi.Ready, r *replica) {
	var write, apply *pb.Message
	for _, m := range rd.Messages[rd.Leave:] {
		if m.GetTo() == LocalAppendThread {
			write = m
		} else {
			apply = m
		}
	}
	if p.flag(write != nil); write != nil {
		p.number(uint64(len(write.Responses)))
		for _, response := range write.Responses {
			number := rd.Responses[response]
			if p.flag(number != 0); number != 0 {
				r.replies = append(r.replies, number)
			} else {
				p.message(response)
			}
		}
		r.writes = append(r.writes, write)
	}
	if p.flag(apply != nil); apply != nil {
		r.applies = append(r.applies, apply)
	}
}

func (p *player) messages(messages []*pb.Message) {
	p.number(uint64(len(messages)))
	for _, m := range messages {
		p.message(m)
	}
}

func (p *player) message(m *pb.Message) {
	if m.Snapshot != nil {
		m = proto.Clone(m).(*pb.Message)
		dropZeros(m.Snapshot)
	}
	encoded, _ := proto.Marshal(m)
	p.bytes(encoded)
}

func encodeSnapshot(s *pb.Snapshot) []byte {
	s = proto.Clone(s).(*pb.Snapshot)
	dropZeros(s)
	encoded, _ := proto.Marshal(s)
	return encoded
}

// dropZeros leaves out what is zero, as the library does: absent means zero.
func dropZeros(s *pb.Snapshot) {
	if !s.Metadata.ConfState.GetAutoLeave() {
		s.Metadata.ConfState.AutoLeave = nil
	}
	if s.Metadata.GetIndex() == 0 {
		s.Metadata.Index = nil
	}
	if s.Metadata.GetTerm() == 0 {
		s.Metadata.Term = nil
	}
}
