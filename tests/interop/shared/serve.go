package interop

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// Serve is a host program for members of upstream: it makes another version of upstream, of which
// one program can hold only one, available to the tests.
func Serve(up Upstream, stdin io.Reader, stdout io.Writer) error {
	in, out := bufio.NewReaderSize(stdin, 1<<16), bufio.NewWriterSize(stdout, 1<<16)
	s := server{upstream: up, members: map[uint64]Member{}, readies: map[uint64]map[uint64]*Ready{}}
	for {
		if in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				return err
			}
		}
		var length [4]byte
		if _, err := io.ReadFull(in, length[:]); err == io.EOF {
			return out.Flush()
		} else if err != nil {
			return err
		}
		frame := make([]byte, binary.LittleEndian.Uint32(length[:]))
		if _, err := io.ReadFull(in, frame); err != nil {
			return err
		}
		answer := s.answer(&reader{frame})
		binary.LittleEndian.PutUint32(length[:], uint32(len(answer)))
		if _, err := out.Write(append(length[:], answer...)); err != nil {
			return err
		}
	}
}

type server struct {
	upstream Upstream
	members  map[uint64]Member
	// The Readies of each member that are not done, by their number.
	readies map[uint64]map[uint64]*Ready
}

// answer carries out one command. What the member objects to becomes a code and a reason.
func (s *server) answer(in *reader) []byte {
	op, handle := in.u8(), in.u64()
	switch op {
	case opCreate:
		config, disk, peers := s.createArgs(in)
		s.members[handle] = s.upstream.New(config, disk, peers)
		s.readies[handle] = map[uint64]*Ready{}
	case opReset:
		clear(s.members)
		clear(s.readies)
		seedElectionTimeouts(in.u64())
		return []byte{0, 0}
	case opDrop:
		delete(s.members, handle)
		delete(s.readies, handle)
		return []byte{0, 0}
	}
	m := s.members[handle]
	body := s.run(m, s.readies[handle], op, in)
	answer := appendBool([]byte{0}, m.HasReady())
	if objections := m.Objections(); len(objections) > 0 {
		answer[0] = byte(objections[0].Reason)
		body = []byte(objections[0].Text)
	}
	return append(answer, body...)
}

func (s *server) run(m Member, readies map[uint64]*Ready, op byte, in *reader) []byte {
	switch op {
	case opCreate:
	case opTick:
		m.Tick()
	case opStep:
		m.Step(Packet{Bytes: in.bytes()})
	case opPropose:
		_ = m.Propose(in.bytes())
	case opProposeConfChange:
		change, err := s.upstream.DecodeConfChange(int(in.u8()), in.bytes())
		if err != nil {
			panic(err)
		}
		_ = m.ProposeConfChange(change)
	case opCampaign:
		m.Campaign()
	case opTransfer:
		_ = m.Transfer(in.u64())
	case opReadIndex:
		_ = m.ReadIndex(in.bytes())
	case opReportUnreachable:
		m.ReportUnreachable(in.u64())
	case opReportSnapshot:
		m.ReportSnapshot(in.u64(), in.u8() != 0)
	case opForgetLeader:
		m.ForgetLeader()
	case opSnapshot:
		return appendSnapshot(nil, m.Snapshot(in.u64(), in.bytes(), in.u64()))
	case opStatus:
		return appendState(nil, m.State())
	case opLog:
		return appendEntries(nil, m.Log())
	default:
		return s.runReady(m, readies, op, in)
	}
	return nil
}

func (s *server) runReady(m Member, readies map[uint64]*Ready, op byte, in *reader) []byte {
	switch op {
	case opReady:
		if !m.HasReady() {
			return []byte{0}
		}
		r := m.Ready()
		readies[r.Number] = r
		return appendReady([]byte{1}, r)
	case opAdvance:
		clear(readies)
		m.Advance(nil)
	case opAppendDone:
		m.AppendDone(readies[in.u64()])
	case opApplyDone:
		m.ApplyDone(readies[in.u64()])
	default:
		panic(fmt.Sprintf("there is no command %d", op))
	}
	return appendConfState(nil, m.ConfState())
}

func (s *server) createArgs(in *reader) (c Config, d *Disk, peers []uint64) {
	d = &Disk{}
	c.ID, c.Seed = in.u64(), in.u64()
	_, _ = in.length(), in.length()
	flags := in.length()
	for bit, set := range []*bool{
		&c.PreVote, &c.CheckQuorum, &c.LeaseBasedReads, &c.NoForwarding, nil, &c.StepDownOnRemoval,
		&c.Async, &c.VerifiedLeases,
	} {
		if set != nil {
			*set = flags&(1<<bit) != 0
		}
	}
	c.MaxMessageBytes, c.MaxCommittedBytes, c.MaxUncommittedBytes = in.u64(), in.u64(), in.u64()
	c.MaxInflightMessages, c.MaxInflightBytes = in.length(), in.u64()
	d.Applied = in.u64()
	given := in.u8() != 0
	if conf := in.confState(); given {
		d.ConfState = &conf
	}
	d.HardState = in.bytes()
	if encoded := in.bytes(); len(encoded) > 0 {
		snapshot, err := s.upstream.DecodeSnapshot(encoded)
		if err != nil {
			panic(err)
		}
		d.Snapshot = snapshot
	}
	for range in.length() {
		d.Entries = append(d.Entries, Entry{Encoded: in.bytes()})
	}
	for range in.length() {
		peers = append(peers, in.u64())
		in.bytes()
	}
	return c, d, peers
}

func appendState(b []byte, s State) []byte {
	b = appendU64(appendU64(appendU64(b, s.Term), s.Vote), s.Commit)
	return appendU64(append(b, byte(s.Role)), s.Leader)
}

func appendEntries(b []byte, entries []Entry) []byte {
	b = appendU32(b, len(entries))
	for _, e := range entries {
		b = append(appendU64(appendU64(b, e.Term), e.Index), byte(e.Type))
		b = appendBytes(appendBytes(b, e.Data), e.Encoded)
	}
	return b
}

func appendPackets(b []byte, packets []Packet) []byte {
	b = appendU32(b, len(packets))
	for _, p := range packets {
		b = appendU64(appendU64(appendU64(b, p.From), p.To), p.Term)
		b = appendBytes(append(b, byte(p.Kind)), p.Bytes)
	}
	return b
}

func appendSnapshot(b []byte, s *Snapshot) []byte {
	b = appendBytes(appendU64(appendU64(b, s.Term), s.Index), s.Data)
	return appendBytes(appendConfState(b, s.ConfState), s.Encoded)
}

func appendReady(b []byte, r *Ready) []byte {
	b = appendU64(appendState(b, r.State), r.Number)
	b = appendPackets(appendPackets(b, r.Before), nil)
	b = appendU32(b, len(r.Reads))
	for _, read := range r.Reads {
		b = appendBytes(appendU64(b, read.Index), read.Context)
	}
	b = appendBytes(appendBool(b, r.HasWrite), r.HardState)
	b = appendBool(b, r.Snapshot != nil)
	if r.Snapshot != nil {
		b = appendSnapshot(b, r.Snapshot)
	}
	b = appendPackets(appendEntries(b, r.Entries), r.After)
	return appendEntries(b, r.Committed)
}
