// Messages to the other nodes. A member that listens gets them on a stream. To the others they are
// posted: one request at a time, with all that came meanwhile, so that a slow peer gets larger
// batches, and nothing here needs tuning. A snapshot goes by itself: nothing waits behind it.

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

const (
	messagePatienceTicks = 2 * electionTicks
	snapshotPatience     = time.Minute
	strangersMax         = 64
	retireTicks          = 2 * electionTicks
)

// peer is another node, and what waits for it.
type peer struct {
	id      uint64
	url     string
	queue   [][]byte // frames, oldest first
	size    uint64
	isBusy  bool     // its queue is being delivered
	speaker *speaker // where it listens to this node; nil: it does not
	// Ends listening to it; nil: it is no member.
	stopListening context.CancelFunc
	isReachable   bool
	retireIn      int // ticks until a removed member is forgotten; 0: it is not removed
}

type peers struct {
	node          *node
	posts         *http.Client
	listens       *http.Client // each stream has a connection of its own
	snapshotsSent atomic.Uint64

	mu   sync.Mutex
	list map[uint64]*peer
	// How many were ever learned from what they said: bounded, since anyone can say it.
	strangers int
}

func newPeers(n *node) *peers {
	return &peers{
		node: n, list: map[uint64]*peer{}, posts: &http.Client{},
		listens: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	}
}

// ---- requests

// reportLost drops what waited behind a message that was lost: it is stale by the time the peer is
// back, and Raft will say what it needs then.
func (p *peers) reportLost(to *peer) {
	p.mu.Lock()
	to.queue, to.size = nil, 0
	p.mu.Unlock()
	p.node.do(func() { p.node.reportUnreachable(to.id) })
}

// noteReachable is called with the lock held, with why a peer cannot be reached, or nothing.
func (p *peers) noteReachable(to *peer, why string) {
	if to.isReachable == (why == "") {
		return
	}
	to.isReachable = why == ""
	if to.isReachable {
		why = "answers"
	}
	log.Printf("peer %d at %s: %s", to.id, to.url, why)
}

// heed hears from an answer that this node was removed.
func (p *peers) heed(answer *http.Response, url string) {
	if answer.StatusCode == http.StatusGone &&
		answer.Header.Get("Raft-Cluster") == p.node.options.clusterID {
		p.node.do(func() { p.node.leave(url) })
	}
}

// introduce adds the headers by which another node knows who asks and whom.
func (p *peers) introduce(r *http.Request, to uint64) {
	o := p.node.options
	r.Header.Set("Raft-Cluster", o.clusterID)
	r.Header.Set("Raft-From", strconv.FormatUint(o.id, 10))
	r.Header.Set("Raft-To", strconv.FormatUint(to, 10))
	r.Header.Set("Raft-Url", p.node.ownURL)
	if o.secret != "" {
		r.Header.Set("Raft-Secret", o.secret)
	}
}

// post says whether frames arrived.
func (p *peers) post(to *peer, frames []byte, patience time.Duration) bool {
	why := "cannot be reached"
	answer, err := p.ask(to, http.MethodPost, "/raft", frames, patience)
	if err == nil {
		why = ""
		if answer.StatusCode != http.StatusNoContent {
			why = fmt.Sprintf("answers %d: %s", answer.StatusCode, firstLine(answer.Body))
		}
		_ = answer.Body.Close()
		p.heed(answer, to.url)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.noteReachable(to, why)
	return why == ""
}

// ask sends a request to a peer.
func (p *peers) ask(to *peer, method, path string, body []byte, patience time.Duration) (
	*http.Response, error,
) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	r, err := http.NewRequestWithContext(ctx, method, to.url+path, bytes.NewReader(body))
	if err != nil {
		cancel()
		return nil, err
	}
	p.introduce(r, to.id)
	answer, err := p.posts.Do(r)
	if err != nil {
		cancel()
		return nil, err
	}
	answer.Body = canceller{answer.Body, cancel}
	return answer, nil
}

// canceller ends a request with its answer.
type canceller struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (c canceller) Close() error {
	defer c.cancel()
	return c.ReadCloser.Close()
}

func firstLine(body io.Reader) string {
	text, _ := io.ReadAll(io.LimitReader(body, 512))
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSpace(line)
}

// flush delivers what waits for a peer, all of it at once, until nothing does.
func (p *peers) flush(to *peer) {
	for {
		p.mu.Lock()
		frames, s := to.queue, to.speaker
		to.queue, to.size = nil, 0
		to.isBusy = len(frames) > 0
		p.mu.Unlock()
		if len(frames) == 0 {
			return
		}
		var hasArrived bool
		if body := bytes.Join(frames, nil); s != nil {
			hasArrived = s.say(body, silentTicks*p.node.options.tick())
		} else {
			hasArrived = p.post(to, body, messagePatienceTicks*p.node.options.tick())
		}
		if !hasArrived {
			p.reportLost(to)
		}
	}
}

func (p *peers) sendSnapshot(to *peer, frame []byte) {
	hasArrived := p.post(to, frame, snapshotPatience)
	if hasArrived {
		p.snapshotsSent.Add(1)
	}
	p.node.do(func() { p.node.reportSnapshot(to.id, hasArrived) })
}

// ---- the table of peers

// forget is called with the lock held.
func (p *peers) forget(old *peer) {
	if old.stopListening != nil {
		old.stopListening()
	}
	if old.speaker != nil {
		go old.speaker.close()
	}
	old.queue, old.size = nil, 0
	delete(p.list, old.id)
}

// add is called with the lock held.
func (p *peers) add(id uint64, url string) *peer {
	p.list[id] = &peer{id: id, url: url, isReachable: true}
	return p.list[id]
}

// learn hears of a sender that is not a member yet, as far as this node knows.
func (p *peers) learn(id uint64, url string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.list[id] != nil || p.strangers == strangersMax {
		return
	}
	p.add(id, url)
	p.strangers++
	log.Printf("heard of node %d at %s", id, url)
}

// follow makes the peers those of the membership: listens to new ones, lets go of removed ones.
func (p *peers) follow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, m := range p.node.state.members {
		to := p.list[id]
		if id == p.node.options.id {
			continue
		}
		if m.isRemoved {
			// It still has to hear that it was removed: when it asks.
			if to != nil && to.retireIn == 0 {
				to.retireIn = retireTicks
				if to.stopListening != nil {
					to.stopListening()
				}
			}
			continue
		}
		if to != nil && to.url != m.url && m.url != "" {
			p.forget(to)
			to = nil
		}
		if to == nil && m.url != "" {
			to = p.add(id, m.url)
		}
		if to != nil && to.stopListening == nil {
			ctx, stop := context.WithCancel(context.Background())
			to.stopListening = stop
			go p.listen(ctx, to)
		}
	}
}

// tick says something on each stream: an empty frame says nothing, but silence would say that the
// stream is broken.
func (p *peers) tick() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, to := range p.list {
		if to.speaker != nil {
			p.enqueue(to, make([]byte, 4))
		}
		if to.retireIn > 0 {
			if to.retireIn--; to.retireIn == 0 {
				p.forget(to)
			}
		}
	}
}

// stream has a peer hear all that is for it from now on. Who asks again does not hear the last one.
func (p *peers) stream(to uint64, s *speaker) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	peer := p.list[to]
	if peer == nil {
		return false
	}
	if peer.speaker != nil {
		go peer.speaker.close()
	}
	peer.speaker = s
	return true
}

func (p *peers) onSpeakerBroken(to uint64, s *speaker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if peer := p.list[to]; peer != nil && peer.speaker == s {
		peer.speaker = nil
	}
}

// enqueue is called with the lock held. It says whether there was room: when a queue is full, its
// oldest messages are dropped.
func (p *peers) enqueue(to *peer, frame []byte) bool {
	hasRoom := true
	to.queue = append(to.queue, frame)
	to.size += uint64(len(frame))
	for to.size > p.node.options.peerQueue && len(to.queue) > 1 {
		to.size -= uint64(len(to.queue[0]))
		to.queue = to.queue[1:]
		hasRoom = false
	}
	if !to.isBusy {
		to.isBusy = true
		go p.flush(to)
	}
	return hasRoom
}

// send queues a message. It is called by the node's goroutine.
func (p *peers) send(m *raftpb.Message) {
	isSnapshot := m.GetType() == raftpb.MsgSnap
	data, err := proto.Marshal(m)
	p.mu.Lock()
	to := p.list[m.GetTo()]
	isLost := to == nil || err != nil
	if !isLost {
		frame := append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...)
		if isSnapshot {
			go p.sendSnapshot(to, frame)
		} else if !p.enqueue(to, frame) {
			p.noteReachable(to, "takes messages too slowly; the oldest are dropped")
			isLost = true
		}
	}
	p.mu.Unlock()
	if isLost {
		p.node.reportUnreachable(m.GetTo())
		if isSnapshot {
			p.node.reportSnapshot(m.GetTo(), false)
		}
	}
}
