package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"go.etcd.io/raft/v3/raftpb"
)

// A stream is a GET that is answered without end: what one node has to say to another, as it comes.
// So a batch of messages costs a write, and not a request and its answer. While there is no stream,
// messages are posted.

// In ticks: how long a stream may be silent, though something is said with each tick, and when one
// that broke is asked for again.
const (
	silentTicks = 20
	pauseTicks  = 5
)

// speaker is the end that speaks: the answer to a member that asked for it.
type speaker struct {
	out     http.ResponseWriter
	control *http.ResponseController
	done    chan struct{}
	mu      sync.Mutex
	closed  bool
}

// say writes frames; false when the stream is broken.
func (s *speaker) say(frames []byte, patience time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	err := s.control.SetWriteDeadline(time.Now().Add(patience))
	if err == nil {
		_, err = s.out.Write(frames)
	}
	if err == nil {
		err = s.control.Flush()
	}
	if err != nil {
		s.closed = true
		close(s.done)
	}
	return err == nil
}

// close waits for a write that is under way.
func (s *speaker) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		close(s.done)
	}
}

// serveStream answers a member with all that this node has for it from now on, until the stream
// breaks, or the member asks for another.
func (p *peers) serveStream(w http.ResponseWriter, r *http.Request, from uint64, address string) {
	status, reason := http.StatusServiceUnavailable, "the node stops"
	p.node.now(func() {
		status, reason = p.admit(from, address)
		if _, known := p.node.state.members[from]; status == 0 && !known {
			status, reason = http.StatusForbidden, "the sender is not a member"
		}
	})
	if status != 0 {
		fail(w, status, "%s", reason)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	s := &speaker{out: w, control: http.NewResponseController(w), done: make(chan struct{})}
	if s.control.Flush() != nil {
		return
	}
	p.mu.Lock()
	if old := p.speakers[from]; old != nil {
		go old.close()
	}
	p.speakers[from] = s
	p.mu.Unlock()
	select {
	case <-s.done:
	case <-r.Context().Done():
	case <-p.node.stopped:
	}
	s.close()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.speakers[from] == s {
		delete(p.speakers, from)
	}
}

// follow listens to the members, and no longer to whoever was removed. It is called by the node's
// goroutine.
func (p *peers) follow() {
	for id, m := range p.node.state.members {
		l, isHeard := p.listening[id]
		if isHeard && l.address != m.url {
			l.stop()
			delete(p.listening, id)
			isHeard = false
		}
		if !isHeard && m.url != "" && id != p.node.options.id {
			ctx, stop := context.WithCancel(context.Background())
			p.listening[id] = listener{m.url, stop}
			go p.listen(ctx, id, m.url)
		}
	}
}

// listener is the end that hears: asks a node for a stream, and again when it broke.
type listener struct {
	address string
	stop    context.CancelFunc
}

func (p *peers) listen(ctx context.Context, from uint64, address string) {
	for {
		p.hear(ctx, from, address)
		select {
		case <-ctx.Done():
			return
		case <-p.node.stopped:
			return
		case <-time.After(pauseTicks * p.node.options.tick):
		}
	}
}

// hear hands over what comes on a stream until it breaks, or is silent for too long.
func (p *peers) hear(ctx context.Context, from uint64, address string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	patience := silentTicks * p.node.options.tick
	silence := time.AfterFunc(patience, cancel)
	defer silence.Stop()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/stream", nil)
	if err != nil {
		return
	}
	p.introduce(r, from)
	response, err := p.listens.Do(r)
	if err != nil {
		return
	}
	defer response.Body.Close()
	p.heed(response)
	in := bufio.NewReaderSize(response.Body, 64<<10)
	for response.StatusCode == http.StatusOK && err == nil {
		var messages []*raftpb.Message
		if messages, err = p.readMessages(in); len(messages) > 0 {
			p.node.do(func() { _, _ = p.step(from, address, messages) })
		}
		silence.Reset(patience)
	}
}

// readMessages waits for a frame, and takes those that have come with it.
func (p *peers) readMessages(in *bufio.Reader) ([]*raftpb.Message, error) {
	var messages []*raftpb.Message
	for {
		head, err := in.Peek(4)
		if err != nil {
			return messages, err
		}
		length := int64(binary.BigEndian.Uint32(head))
		if length > p.node.options.maxPeerBody {
			return messages, errors.New("a frame is too long")
		}
		if len(messages) > 0 && int64(in.Buffered()) < 4+length {
			return messages, nil
		}
		frame := make([]byte, 4+length)
		if _, err := io.ReadFull(in, frame); err != nil {
			return messages, err
		}
		if length > 0 {
			m, err := decodeMessage(frame[4:])
			if err != nil {
				return messages, err
			}
			messages = append(messages, m)
		}
		if in.Buffered() < 4 {
			return messages, nil
		}
	}
}

// tick says something on each stream, so that silence means that it is broken.
func (p *peers) tick() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for to := range p.speakers {
		p.enqueue(p.node.state.members[to].url, to, make([]byte, 4))
	}
}
