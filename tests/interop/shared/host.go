package interop

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// Host is a running host program: see the README for its frames. Not for concurrent use.
type Host struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	frames  []byte
	pending []func(answer)
	handles uint64
}

// An answer to a command.
type answer struct {
	code     byte
	hasReady bool
	body     []byte
}

// The host answers in order, and its answers must fit into a pipe while nobody reads them.
const maxPending = 256

// The environment variables that name the host programs: of raftcore, and of upstream's version
// before, if that is to take part.
const (
	hostVariable       = "INTEROP_HOST"
	hostBeforeVariable = "INTEROP_HOST_BEFORE"
)

// StartHost starts a host program.
func StartHost(path string) (*Host, error) {
	cmd := exec.Command(path)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &Host{cmd: cmd, in: in, out: bufio.NewReaderSize(out, 1<<16)}, nil
}

// Close ends the host program. How it ends tells nothing: what it had to say it said.
func (h *Host) Close() {
	_ = h.in.Close()
	_ = h.cmd.Wait()
}

// Reset forgets all members, so that a story begins as if the host had just been started.
func (h *Host) Reset(seed uint64) { h.call(opReset, 0, appendU64(nil, seed)) }

// queue sends a command some time before the next call that needs its answer.
func (h *Host) queue(op byte, handle uint64, args []byte, done func(answer)) {
	h.frames = binary.LittleEndian.AppendUint32(h.frames, uint32(9+len(args)))
	h.frames = append(h.frames, op)
	h.frames = binary.LittleEndian.AppendUint64(h.frames, handle)
	h.frames = append(h.frames, args...)
	h.pending = append(h.pending, done)
	if len(h.pending) >= maxPending {
		h.flush()
	}
}

// call sends a command and waits for its answer.
func (h *Host) call(op byte, handle uint64, args []byte) (a answer) {
	h.queue(op, handle, args, func(got answer) { a = got })
	h.flush()
	return a
}

// flush waits for the answers to all commands. A host that dies ends the test: it printed why.
func (h *Host) flush() {
	if len(h.pending) == 0 {
		return
	}
	if _, err := h.in.Write(h.frames); err != nil {
		panic(fmt.Sprintf("the host does not listen: %v", err))
	}
	h.frames = h.frames[:0]
	pending := h.pending
	h.pending = nil
	for _, done := range pending {
		var length [4]byte
		if _, err := io.ReadFull(h.out, length[:]); err != nil {
			panic(fmt.Sprintf("the host does not answer: %v", err))
		}
		body := make([]byte, binary.LittleEndian.Uint32(length[:]))
		if _, err := io.ReadFull(h.out, body); err != nil {
			panic(fmt.Sprintf("the host does not answer: %v", err))
		}
		done(answer{code: body[0], hasReady: body[1] != 0, body: body[2:]})
	}
}

// Reencode decodes bytes with raftcore and encodes them again.
func (h *Host) Reencode(form Form, encoded []byte) ([]byte, error) {
	args := appendBytes([]byte{byte(form)}, encoded)
	a := h.call(opReencode, 0, args)
	if a.code != 0 {
		return nil, fmt.Errorf("%s", a.body)
	}
	r := reader{a.body}
	return r.bytes(), nil
}

// The pieces of which frames are made.

func appendU64(b []byte, n uint64) []byte { return binary.LittleEndian.AppendUint64(b, n) }
func appendU32(b []byte, n int) []byte    { return binary.LittleEndian.AppendUint32(b, uint32(n)) }

func appendBytes(b, data []byte) []byte {
	return append(appendU32(b, len(data)), data...)
}

func appendIDs(b []byte, ids []uint64) []byte {
	b = appendU32(b, len(ids))
	for _, id := range ids {
		b = appendU64(b, id)
	}
	return b
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func appendConfState(b []byte, s ConfState) []byte {
	b = appendIDs(b, s.Voters)
	b = appendIDs(b, s.Learners)
	b = appendIDs(b, s.VotersOutgoing)
	b = appendIDs(b, s.LearnersNext)
	return appendBool(b, s.AutoLeave)
}

// A reader takes an answer apart. An answer that is too short is a bug of the host: it panics.
type reader struct{ b []byte }

func (r *reader) u8() byte {
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *reader) u64() uint64 {
	v := binary.LittleEndian.Uint64(r.b)
	r.b = r.b[8:]
	return v
}

func (r *reader) length() int {
	v := binary.LittleEndian.Uint32(r.b)
	r.b = r.b[4:]
	return int(v)
}

func (r *reader) bytes() []byte {
	n := r.length()
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) ids() []uint64 {
	ids := make([]uint64, 0, 4)
	for range r.length() {
		ids = append(ids, r.u64())
	}
	return ids
}

func (r *reader) confState() (s ConfState) {
	s.Voters, s.Learners = r.ids(), r.ids()
	s.VotersOutgoing, s.LearnersNext = r.ids(), r.ids()
	s.AutoLeave = r.u8() != 0
	return s
}

func (r *reader) entries() []Entry {
	entries := make([]Entry, 0, 4)
	for range r.length() {
		entries = append(entries, Entry{
			Term: r.u64(), Index: r.u64(), Type: int(r.u8()),
			Data: r.bytes(), Encoded: r.bytes(),
		})
	}
	return entries
}

func (r *reader) snapshot() *Snapshot {
	return &Snapshot{
		Term: r.u64(), Index: r.u64(), Data: r.bytes(),
		ConfState: r.confState(), Encoded: r.bytes(),
	}
}

func (r *reader) packets() []Packet {
	packets := make([]Packet, 0, 4)
	for range r.length() {
		p := Packet{From: r.u64(), To: r.u64(), Term: r.u64()}
		p.Kind, p.Bytes = int(r.u8()), r.bytes()
		packets = append(packets, p)
	}
	return packets
}
