package main

import (
	"bytes"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/raftcore/raftcore/bindings/go"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// peers carries messages to other nodes, and takes theirs.
type peers struct {
	node      *node
	own       string
	client    *http.Client
	snapshots atomic.Uint64

	mu sync.Mutex
	// By the node that they go to.
	queues map[uint64]*queue
	// Where senders say they are that this node has not heard of yet.
	learned map[uint64]string
	// Why a peer refused the last post.
	refusals map[uint64]string
	// Where members listen to this node.
	speakers map[uint64]*speaker

	// The streams that this node listens to, and what it asks for them with: each has a connection
	// of its own. They are the node's goroutine's.
	listening map[uint64]listener
	listens   *http.Client
	sending   sync.WaitGroup
}

// queue is what waits for one peer, oldest first.
type queue struct {
	frames  [][]byte
	size    int64
	running bool
}

func newPeers(n *node, own string) *peers {
	return &peers{
		node: n, own: own, queues: map[uint64]*queue{}, learned: map[uint64]string{},
		refusals: map[uint64]string{}, speakers: map[uint64]*speaker{},
		listening: map[uint64]listener{},
		client:    &http.Client{Timeout: n.options.timeout + time.Second},
		listens:   &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	}
}

// send queues messages. It is called by the node's goroutine.
func (p *peers) send(messages []*raftpb.Message) {
	for _, m := range messages {
		address := p.node.state.members[m.GetTo()].url
		data, err := proto.Marshal(m)
		if err != nil {
			continue
		}
		frame := append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...)
		p.mu.Lock()
		if address == "" {
			address = p.learned[m.GetTo()]
		}
		switch {
		case address == "":
		case m.GetType() == raftpb.MsgSnap:
			p.sending.Go(func() { p.sendSnapshot(address, m.GetTo(), frame) })
		default:
			p.enqueue(address, m.GetTo(), frame)
		}
		p.mu.Unlock()
	}
}

// enqueue is called with the lock held. When a queue is full, its oldest messages are dropped.
func (p *peers) enqueue(address string, to uint64, frame []byte) {
	q := p.queues[to]
	if q == nil {
		q = &queue{}
		p.queues[to] = q
	}
	q.frames = append(q.frames, frame)
	q.size += int64(len(frame))
	for q.size > p.node.options.peerQueue && len(q.frames) > 1 {
		q.size -= int64(len(q.frames[0]))
		q.frames = q.frames[1:]
	}
	if !q.running {
		q.running = true
		p.sending.Go(func() { p.drainQueue(address, to, q) })
	}
}

// drainQueue delivers what waits, all of it at once, until nothing does.
func (p *peers) drainQueue(address string, to uint64, q *queue) {
	for {
		p.mu.Lock()
		frames := q.frames
		q.frames, q.size = nil, 0
		if len(frames) == 0 {
			q.running = false
			p.mu.Unlock()
			return
		}
		s := p.speakers[to]
		p.mu.Unlock()
		body := bytes.Join(frames, nil)
		var arrived bool
		if s != nil {
			arrived = s.say(body, silentTicks*p.node.options.tick)
		} else {
			arrived = p.post(address, to, body)
		}
		if !arrived {
			p.node.do(func() { p.node.raw.ReportUnreachable(to) })
		}
	}
}

func (p *peers) sendSnapshot(address string, to uint64, frame []byte) {
	p.snapshots.Add(1)
	status := raft.SnapshotFailure
	if p.post(address, to, frame) {
		status = raft.SnapshotFinish
	}
	p.node.do(func() { p.node.raw.ReportSnapshot(to, status) })
}

// introduce adds the headers by which another node knows who asks and whom.
func (p *peers) introduce(r *http.Request, to uint64) {
	o := p.node.options
	r.Header.Set("Raft-Cluster", o.clusterID)
	r.Header.Set("Raft-From", strconv.FormatUint(o.id, 10))
	r.Header.Set("Raft-To", strconv.FormatUint(to, 10))
	r.Header.Set("Raft-Url", p.own)
	if o.secret != "" {
		r.Header.Set("Raft-Secret", o.secret)
	}
}

func (p *peers) post(address string, to uint64, frames []byte) bool {
	r, err := http.NewRequest(http.MethodPost, address+"/raft", bytes.NewReader(frames))
	if err != nil {
		return false
	}
	p.introduce(r, to)
	response, err := p.client.Do(r)
	if err != nil {
		return false
	}
	reason, _ := io.ReadAll(io.LimitReader(response.Body, 4096))
	_ = response.Body.Close()
	p.tell(to, strings.TrimSpace(string(reason)))
	p.heed(response)
	return response.StatusCode == http.StatusNoContent
}

// heed hears from an answer that this node was removed.
func (p *peers) heed(response *http.Response) {
	if response.StatusCode == http.StatusGone &&
		response.Header.Get("Raft-Cluster") == p.node.options.clusterID {
		p.node.do(func() { p.node.removed = true })
	}
}

// tell logs why a peer refused a post, once for each reason.
func (p *peers) tell(to uint64, reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if reason != "" && reason != p.refusals[to] {
		log.Printf("kv-go: node %d refuses: %s", to, reason)
	}
	p.refusals[to] = reason
}

// drain waits a moment for what was sent last: the answer that this node was removed.
func (p *peers) drain() {
	done := make(chan struct{})
	go func() {
		p.sending.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(time.Second):
	}
}

// ServeHTTP takes what a peer posts, and tells it the status of this node.
func (p *peers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o := p.node.options
	w.Header().Set("Raft-Cluster", o.clusterID)
	from, fromErr := strconv.ParseUint(r.Header.Get("Raft-From"), 10, 63)
	to, toErr := strconv.ParseUint(r.Header.Get("Raft-To"), 10, 63)
	address := r.Header.Get("Raft-Url")
	method, isThere := map[string]string{
		"/raft": http.MethodPost, "/stream": http.MethodGet, "/status": http.MethodGet,
	}[r.URL.Path]
	given := r.Header.Get("Raft-Secret")
	switch {
	case o.secret != "" && subtle.ConstantTimeCompare([]byte(given), []byte(o.secret)) == 0:
		fail(w, http.StatusForbidden, "the cluster's secret is missing or wrong")
	case !isThere:
		fail(w, http.StatusNotFound, "no such path")
	case r.Method != method:
		notAllowed(w, method)
	case method == http.MethodPost && r.ContentLength <= 0:
		fail(w, http.StatusLengthRequired, "a body is needed")
	case r.Header.Get("Raft-Cluster") == "":
		fail(w, http.StatusBadRequest, "Raft-Cluster is missing")
	case fromErr != nil || toErr != nil || from == 0 || !isURL(address):
		fail(w, http.StatusBadRequest, "Raft-From, Raft-To or Raft-Url is missing or malformed")
	case r.Header.Get("Raft-Cluster") != o.clusterID:
		fail(w, http.StatusForbidden, "this is cluster '%s'", o.clusterID)
	case to != o.id:
		fail(w, http.StatusMisdirectedRequest, "this is node %d", o.id)
	case from == o.id:
		fail(w, http.StatusForbidden, "the sender has the same id as this node")
	case r.URL.Path == "/status":
		p.serveStatus(w, from, address)
	case r.URL.Path == "/stream":
		p.serveStream(w, r, from, address)
	default:
		if data, ok := body(w, r, o.maxPeerBody); ok {
			p.take(w, from, address, data)
		}
	}
}

// take looks at all frames before it hands over the first message.
func (p *peers) take(w http.ResponseWriter, from uint64, address string, data []byte) {
	var messages []*raftpb.Message
	for frames := (&reader{data: data}); len(frames.data) > 0; {
		frame := frames.take(int(frames.u32()))
		if len(frame) == 0 && !frames.failed {
			continue // It says nothing.
		}
		m, err := decodeMessage(frame)
		if err != nil {
			fail(w, http.StatusBadRequest, "%v", err)
			return
		}
		messages = append(messages, m)
	}
	status, reason := 0, ""
	isRunning := p.node.now(func() { status, reason = p.step(from, address, messages) })
	switch {
	case !isRunning:
		fail(w, http.StatusServiceUnavailable, "the node stops")
	case status == http.StatusNoContent:
		w.WriteHeader(status)
	default:
		fail(w, status, "%s", reason)
	}
}

// decodeMessage decodes a frame. A snapshot that could not be restored must not get any further.
func decodeMessage(frame []byte) (*raftpb.Message, error) {
	m := new(raftpb.Message)
	if err := proto.Unmarshal(frame, m); err != nil || m.Type == nil {
		return nil, errors.New("a frame is malformed")
	}
	if s := m.Snapshot; m.GetType() == raftpb.MsgSnap {
		if _, err := decodeState(s.GetMetadata().GetIndex(), s.GetData()); err != nil {
			return nil, fmt.Errorf("the data of the snapshot does not decode: %w", err)
		}
	}
	return m, nil
}

// admit says what forbids a sender to speak here, or zero.
func (p *peers) admit(from uint64, address string) (int, string) {
	m, known := p.node.state.members[from]
	switch {
	case m.removed:
		return http.StatusGone, "the sender was removed from the cluster"
	case known && m.url != address:
		return http.StatusForbidden, "a member with the same id is at another URL"
	}
	return 0, ""
}

// step admits a sender and hands its messages over, in the node's goroutine.
func (p *peers) step(from uint64, address string, messages []*raftpb.Message) (int, string) {
	if p.node.stuck != nil {
		return http.StatusServiceUnavailable, p.node.storageError.Error()
	}
	status, reason := p.admit(from, address)
	if status != 0 {
		return status, reason
	}
	if _, known := p.node.state.members[from]; !known {
		for _, message := range messages {
			if !mayBeUnknown(message.GetType()) {
				return http.StatusForbidden, "the sender is not a member"
			}
		}
	}
	p.mu.Lock()
	p.learned[from] = address
	p.mu.Unlock()
	status = http.StatusNoContent
	for _, err := range p.node.raw.StepMany(messages) {
		if _, isRefused := err.(*raft.RefusedError); isRefused || err == raft.ErrStepLocalMsg {
			status, reason = http.StatusBadRequest, err.Error()
		}
	}
	return status, reason
}

// mayBeUnknown says whether a node that is no member yet, or no member that this node knows of, may
// send this kind: a leader or a candidate does.
func mayBeUnknown(kind raftpb.MessageType) bool {
	switch kind {
	case raftpb.MsgApp, raftpb.MsgHeartbeat, raftpb.MsgSnap, raftpb.MsgVote, raftpb.MsgPreVote:
		return true
	}
	return false
}
