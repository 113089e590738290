// Messages to the other nodes without asking each time. GET /stream is answered without end: what
// one node has to say to another, as it comes. So a batch of messages costs a write, and not a
// request and its answer. While there is no stream, messages are posted.

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
)

// In ticks: how long a stream may be silent, though something is said with each tick, and when one
// that broke is asked for again.
const (
	silentTicks = 20
	pauseTicks  = 5
)

// ---- the end that speaks

// speaker is the answer to a member that asked for it.
type speaker struct {
	out     http.ResponseWriter
	control *http.ResponseController
	done    chan struct{}
	mu      sync.Mutex
	closed  bool
}

func newSpeaker(w http.ResponseWriter) *speaker {
	w.Header().Set("Content-Type", "application/octet-stream")
	return &speaker{out: w, control: http.NewResponseController(w), done: make(chan struct{})}
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

// ---- the end that hears

// wholeFrames waits for a frame, and takes those that have come with it.
func wholeFrames(in *bufio.Reader, most uint64) ([]byte, error) {
	head, err := in.Peek(4)
	if err != nil {
		return nil, err
	}
	length := uint64(binary.BigEndian.Uint32(head))
	if length > most {
		return nil, errors.New("a frame is too long")
	}
	end := int(4 + length)
	come, _ := in.Peek(in.Buffered())
	for end+4 <= len(come) {
		next := end + 4 + int(binary.BigEndian.Uint32(come[end:]))
		if next > len(come) {
			break
		}
		end = next
	}
	frames := make([]byte, end)
	_, err = io.ReadFull(in, frames)
	return frames, err
}

// hear hands over what comes on a stream until it breaks, or is silent for too long. If it was
// refused, then a message that is posted will be too, and says why.
func (p *peers) hear(ctx context.Context, from *peer) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	patience := silentTicks * p.node.options.tick()
	silence := time.AfterFunc(patience, cancel)
	defer silence.Stop()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, from.url+"/stream", nil)
	if err != nil {
		return
	}
	p.introduce(r, from.id)
	answer, err := p.listens.Do(r)
	if err != nil {
		return
	}
	defer answer.Body.Close()
	p.heed(answer, from.url)
	if answer.StatusCode != http.StatusOK {
		return
	}
	in := bufio.NewReaderSize(answer.Body, 64<<10)
	for {
		frames, err := wholeFrames(in, p.node.options.maxPeerBody)
		if err != nil || !p.node.onFrames(from.id, frames) {
			return
		}
		silence.Reset(patience)
	}
}

// listen asks a node for a stream, and again when it broke.
func (p *peers) listen(ctx context.Context, from *peer) {
	for {
		p.hear(ctx, from)
		select {
		case <-ctx.Done():
			return
		case <-p.node.stopped:
			return
		case <-time.After(pauseTicks * p.node.options.tick()):
		}
	}
}
