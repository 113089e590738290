// Messages from the other nodes and what they ask for: POST /raft, GET /stream, GET /status.
// Whatever comes here was sent by a stranger until it is shown not to be: the headers are checked
// first, then the frames, and the library checks the messages themselves.

package main

import (
	"crypto/subtle"
	"net/http"
	"strconv"

	"github.com/raftcore/raftcore/bindings/go"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

type sender struct {
	id       uint64
	url      string
	isMember bool
}

func headerID(r *http.Request, name string) uint64 {
	id, err := strconv.ParseUint(r.Header.Get(name), 10, 63)
	if err != nil {
		return 0
	}
	return id
}

// bearsSecret takes a time that does not tell how much of a secret was right.
func bearsSecret(secret string, r *http.Request) bool {
	return secret == "" ||
		subtle.ConstantTimeCompare([]byte(r.Header.Get("Raft-Secret")), []byte(secret)) == 1
}

// admitMember is called by the node's goroutine.
func (n *node) admitMember(s *sender) *refusal {
	m, known := n.state.members[s.id]
	s.isMember = known && !m.isRemoved
	switch {
	case m.isRemoved:
		return refuse(410, "node %d was removed from the cluster", s.id)
	case m.url != "" && m.url != s.url:
		return refuse(403, "node %d is at %s: is another one running with the same id?", s.id,
			m.url)
	}
	return nil
}

// admit finds who speaks, and whether it may.
func (n *node) admit(r *http.Request) (s sender, refused *refusal) {
	o, cluster, to := n.options, r.Header.Get("Raft-Cluster"), headerID(r, "Raft-To")
	s.id, s.url = headerID(r, "Raft-From"), r.Header.Get("Raft-Url")
	switch {
	case cluster == "":
		return s, refuse(400, "the header Raft-Cluster is missing")
	case cluster != o.clusterID:
		return s, refuse(403, "this is cluster '%s', not '%.64s'", o.clusterID, cluster)
	case s.id == 0 || to == 0:
		return s, refuse(400, "the headers Raft-From and Raft-To must be node ids")
	case !isURL(s.url):
		return s, refuse(400, "the header Raft-Url must be the sender's URL")
	case to != o.id:
		return s, refuse(421, "this is node %d, not %d", o.id, to)
	case s.id == o.id:
		return s, refuse(403, "node %d is this one: two are running with the same id", s.id)
	}
	if !n.now(func() { refused = n.admitMember(&s) }) {
		return s, refuse(503, stopping)
	}
	return s, refused
}

// A node that was away does not know the newest members, and one of those may lead by now.
func speaksAsLeaderOrCandidate(kind raftpb.MessageType) bool {
	switch kind {
	case raftpb.MsgApp, raftpb.MsgHeartbeat, raftpb.MsgSnap, raftpb.MsgVote, raftpb.MsgPreVote:
		return true
	}
	return false
}

// A node sends those of some kinds to itself alone.
func comesFromNode(kind raftpb.MessageType) bool {
	_, exists := raftpb.MessageType_name[int32(kind)]
	return exists && !raft.IsLocalMsg(kind)
}

// A snapshot that could not be restored must not get as far as a Ready.
func snapshotIsWhole(m *raftpb.Message) bool {
	return newState().restore(0, m.GetSnapshot().GetData()) == nil
}

func admitMessage(s sender, frame []byte, number int) (*raftpb.Message, *refusal) {
	m := new(raftpb.Message)
	if err := proto.Unmarshal(frame, m); err != nil || m.Type == nil ||
		!comesFromNode(m.GetType()) {
		return nil, refuse(400, "frame %d is no message", number)
	}
	if !s.isMember && !speaksAsLeaderOrCandidate(m.GetType()) {
		return nil, refuse(403, "node %d is not a member", s.id)
	}
	if m.GetType() == raftpb.MsgSnap && !snapshotIsWhole(m) {
		return nil, refuse(400, "the data of the snapshot does not decode")
	}
	return m, nil
}

// collect takes frames apart and looks at every message before the first is handed over.
func collect(s sender, body []byte) (messages []*raftpb.Message, refused *refusal) {
	frames := &reader{data: body}
	for number := 1; len(frames.data) > 0; number++ {
		frame := frames.take(int(frames.u32()))
		if frames.failed {
			return nil, refuse(400, "the body ends within frame %d", number)
		}
		if len(frame) == 0 {
			continue // It says nothing.
		}
		m, refused := admitMessage(s, frame, number)
		if refused != nil {
			return nil, refused
		}
		messages = append(messages, m)
	}
	return messages, nil
}

// handOver is called by the node's goroutine.
func (n *node) handOver(s sender, messages []*raftpb.Message) (refused *refusal) {
	if !s.isMember {
		n.peers.learn(s.id, s.url)
	}
	for _, err := range n.raw.StepMany(messages) {
		// A proposal that nobody leads is just lost.
		if _, isRefused := err.(*raft.RefusedError); isRefused {
			refused = refuse(400, "a message is refused: %v", err)
		}
	}
	return refused
}

func (n *node) onMessages(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength == 0 {
		replyText(w, 411, "messages are needed in the body")
		return
	}
	s, refused := n.admit(r)
	if refused != nil {
		n.replyRefusal(w, refused, "")
		return
	}
	body, isWhole := readBody(r, n.options.maxPeerBody)
	if !isWhole {
		replyText(w, 413, "the body is longer than %d bytes", n.options.maxPeerBody)
		return
	}
	messages, refused := collect(s, body)
	if refused == nil && !n.now(func() {
		if refused = n.refusedByDisk(); refused == nil {
			refused = n.handOver(s, messages)
		}
	}) {
		refused = refuse(503, stopping)
	}
	if refused != nil {
		n.replyRefusal(w, refused, "")
		return
	}
	w.WriteHeader(204)
}

// onFrames takes whole frames that came on a stream. False: they are malformed, or the sender may
// not speak. Nobody is answered: what cannot be taken now is lost, and Raft repeats it.
func (n *node) onFrames(from uint64, frames []byte) bool {
	s := sender{id: from, isMember: true}
	messages, refused := collect(s, frames)
	if refused != nil || len(messages) == 0 {
		return refused == nil
	}
	return n.do(func() {
		m, known := n.state.members[from]
		if known && !m.isRemoved && n.trouble == "" {
			_ = n.handOver(s, messages)
		}
	})
}

func (n *node) onStream(w http.ResponseWriter, r *http.Request) {
	s, refused := n.admit(r)
	speaker := newSpeaker(w)
	if refused == nil && (!s.isMember || !n.peers.stream(s.id, speaker)) {
		refused = refuse(403, "node %d is not a member", s.id)
	}
	if refused != nil {
		n.replyRefusal(w, refused, "")
		return
	}
	defer n.peers.onSpeakerBroken(s.id, speaker)
	defer speaker.close()
	speaker.say(nil, silentTicks*n.options.tick())
	select {
	case <-speaker.done:
	case <-r.Context().Done():
	case <-n.stopped:
	}
}

func (n *node) onStatus(w http.ResponseWriter, r *http.Request) {
	if _, refused := n.admit(r); refused != nil {
		n.replyRefusal(w, refused, "")
		return
	}
	n.replyStatus(w)
}

func (n *node) onPeerRequest(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Raft-Cluster", n.options.clusterID)
	door, exists := map[string]struct {
		method string
		open   http.HandlerFunc
	}{
		"/raft":   {http.MethodPost, n.onMessages},
		"/stream": {http.MethodGet, n.onStream},
		"/status": {http.MethodGet, n.onStatus},
	}[r.URL.Path]
	switch {
	case !bearsSecret(n.options.secret, r):
		replyText(w, 403, "the cluster's secret is missing or wrong")
	case !exists:
		replyText(w, 404,
			"only /raft, /stream and /status are here; clients are served at another address")
	case r.Method != door.method:
		replyMethod(w, door.method, r.URL.Path+" is asked for by "+door.method)
	default:
		door.open(w, r)
	}
}
