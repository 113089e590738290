package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/raftcore/raftcore/bindings/go"
	"go.etcd.io/raft/v3/raftpb"
)

// clients serves the API for clients.
func (n *node) clients() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.EscapedPath()
		key, isLong := strings.CutPrefix(path, "/_/kv/")
		switch {
		case path == "/_/":
			servePage(w, r)
		case path == "/_/status":
			n.serveStatus(w, r)
		case path == "/_/leader":
			n.serveLeader(w, r)
		case isLong:
			n.serveKey(w, r, key, true)
		case strings.HasPrefix(path, "/_/"):
			fail(w, http.StatusNotFound, "no such path")
		case r.Method == http.MethodPost || r.Method == http.MethodDelete:
			n.serveMember(w, r, path[1:])
		default:
			n.serveKey(w, r, path[1:], false)
		}
	})
}

func fail(w http.ResponseWriter, status int, format string, args ...any) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	fmt.Fprintf(w, format+"\n", args...)
}

func notAllowed(w http.ResponseWriter, methods string) {
	w.Header().Set("Allow", methods)
	fail(w, http.StatusMethodNotAllowed, "this path takes %s", methods)
}

func (n *node) serveKey(w http.ResponseWriter, r *http.Request, escaped string, isLong bool) {
	key, err := url.PathUnescape(escaped)
	switch {
	case err != nil || key == "":
		fail(w, http.StatusBadRequest, "there is no such key")
		return
	case len(key) > n.options.maxKey:
		fail(w, http.StatusRequestEntityTooLarge, "the key is longer than %d", n.options.maxKey)
		return
	}
	switch {
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		n.serveGet(w, r, key)
	case r.Method == http.MethodPut:
		n.servePut(w, r, key)
	case r.Method == http.MethodDelete && isLong:
		n.serveWrite(w, r, &write{isDelete: true, key: key})
	case isLong:
		notAllowed(w, "GET, PUT, DELETE")
	default:
		notAllowed(w, "GET, PUT, POST, DELETE")
	}
}

func (n *node) servePut(w http.ResponseWriter, r *http.Request, key string) {
	if value, ok := body(w, r, int64(n.options.maxValue)); ok {
		n.serveWrite(w, r, &write{key: key, value: value})
	}
}

// What is refused is read to its end if it is not too long: then the client hears why.
const patience = 64 << 20

// body reads a body up to a limit.
func body(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, bool) {
	isChunked := slices.Contains(r.TransferEncoding, "chunked")
	if !isChunked && r.Header.Get("Content-Length") == "" {
		fail(w, http.StatusLengthRequired, "a body is needed")
		return nil, false
	}
	data, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	switch {
	case err != nil:
		fail(w, http.StatusBadRequest, "the body cannot be read")
	case int64(len(data)) > limit:
		_, _ = io.CopyN(io.Discard, r.Body, patience)
		fail(w, http.StatusRequestEntityTooLarge, "the value is longer than %d", limit)
	}
	return data, err == nil && int64(len(data)) <= limit
}

func (n *node) serveGet(w http.ResponseWriter, r *http.Request, key string) {
	query := r.URL.Query()
	isStale := query.Get("stale") == "1"
	if len(query) > 1 || len(query) == 1 && !isStale {
		fail(w, http.StatusBadRequest, "the query is not understood")
		return
	}
	var a answer
	if !isStale {
		a = n.ask(func(request *request) {
			request.key = key
			n.awaitRead(request)
		})
	} else if !n.now(func() { a = n.read(key) }) {
		a = answer{status: 503, reason: "the node stops"}
	}
	if a.status != http.StatusOK {
		n.reply(w, a)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(a.value)
}

// now runs a function in the node's goroutine, and waits for it.
func (n *node) now(f func()) bool {
	done := make(chan struct{})
	if !n.do(func() { f(); close(done) }) {
		return false
	}
	select {
	case <-done:
		return true
	case <-n.stopped:
		return false
	}
}

// ask starts a request in the node's goroutine, and waits for its answer.
func (n *node) ask(start func(*request)) answer {
	r := &request{deadline: time.Now().Add(n.options.timeout), done: make(chan answer, 1)}
	stopping := answer{status: 503, reason: "outcome unknown: the node stops", outcome: "unknown"}
	asked := n.do(func() {
		switch {
		case n.stuck != nil:
			r.done <- answer{status: 503, reason: n.storageError.Error(), outcome: "refused"}
		case len(n.waiting)+len(n.reads) >= n.options.maxPending:
			r.done <- answer{status: 503, reason: "too many requests", outcome: "refused"}
		case n.raw.BasicStatus().GetCommit() > n.state.index+n.options.maxGap:
			r.done <- answer{status: 503, outcome: "refused",
				reason: "too many entries are committed and not applied yet"}
		default:
			start(r)
		}
	})
	if !asked {
		return stopping
	}
	select {
	case a := <-r.done:
		return a
	case <-n.stopped:
		return stopping
	}
}

func (n *node) serveWrite(w http.ResponseWriter, r *http.Request, entry *write) {
	if len(r.URL.Query()) > 0 {
		fail(w, http.StatusBadRequest, "the query is not understood")
		return
	}
	entry.request = r.Header.Get("Request-Id")
	if _, isThere := r.Header["Request-Id"]; isThere && !isVisible(entry.request, 64) {
		fail(w, http.StatusBadRequest, "Request-Id is not 1 to 64 visible ASCII characters")
		return
	}
	n.reply(w, n.ask(func(request *request) {
		n.wait(request)
		entry.origin, entry.serial = n.options.id, request.serial
		request.data, request.repeatable = entry.encode(), entry.request != ""
		n.proposeOne(request)
	}))
}

func (n *node) reply(w http.ResponseWriter, a answer) {
	if a.status == http.StatusNoContent {
		w.Header().Set("Raft-Index", strconv.FormatUint(a.index, 10))
		w.WriteHeader(a.status)
		return
	}
	if a.status == http.StatusServiceUnavailable {
		var leader uint64
		if n.now(func() { leader = n.leader }) && leader != raft.None {
			w.Header().Set("Raft-Leader", strconv.FormatUint(leader, 10))
		}
		if a.outcome != "" {
			w.Header().Set("Raft-Outcome", a.outcome)
		}
	}
	fail(w, a.status, "%s", a.reason)
}

// serveMember adds or removes a member.
func (n *node) serveMember(w http.ResponseWriter, r *http.Request, text string) {
	id, err := strconv.ParseUint(text, 10, 63)
	if err != nil || id == 0 || len(r.URL.Query()) > 0 {
		fail(w, http.StatusBadRequest, "the path is not a node's id")
		return
	}
	cc := &raftpb.ConfChange{Type: raftpb.ConfChangeRemoveNode.Enum(), NodeId: &id}
	address := ""
	if r.Method == http.MethodPost {
		data, ok := body(w, r, 1024)
		if !ok {
			return
		}
		if address = strings.TrimSpace(string(data)); !isURL(address) {
			fail(w, http.StatusBadRequest, "the body is not http://host:port")
			return
		}
		cc.Type = raftpb.ConfChangeAddNode.Enum()
	}
	n.reply(w, n.ask(func(request *request) {
		if a := n.checkChange(id, address); a.status != 0 {
			request.done <- a
			return
		}
		n.wait(request)
		cc.Context = (&change{n.options.id, request.serial, address}).encode()
		request.change = cc
		n.proposeOne(request)
	}))
}

// serveLeader asks the leader to hand over to the member whose id is the body.
func (n *node) serveLeader(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPut {
		notAllowed(w, "PUT")
		return
	}
	data, ok := body(w, r, 1024)
	if !ok {
		return
	}
	id, err := strconv.ParseUint(strings.TrimSpace(string(data)), 10, 63)
	if err != nil || id == 0 {
		fail(w, http.StatusBadRequest, "the body is not a member's id")
		return
	}
	a := answer{status: http.StatusServiceUnavailable, reason: "the node stops"}
	n.now(func() {
		m, known := n.state.members[id]
		switch {
		case !known || m.removed:
			a = answer{status: http.StatusNotFound, reason: "no such member"}
		case n.leader == raft.None:
			a.reason = "no leader is known"
		default:
			n.raw.TransferLeader(id)
			a = answer{status: http.StatusOK}
		}
	})
	if a.status == http.StatusOK {
		w.WriteHeader(http.StatusNoContent)
	} else {
		n.reply(w, a)
	}
}

// checkChange says what forbids a change; an empty address removes.
func (n *node) checkChange(id uint64, address string) answer {
	m, known := n.state.members[id]
	if address == "" {
		switch {
		case !known || m.removed:
			return answer{status: http.StatusNotFound, reason: "no such member"}
		case len(n.conf.GetVoters()) == 1 && isVoter(n.conf, id):
			return answer{status: http.StatusConflict, reason: "the last voter stays"}
		}
		return answer{}
	}
	switch {
	case m.removed:
		return answer{status: http.StatusConflict,
			reason: "the id was removed; ids are never reused"}
	case known:
		return answer{status: http.StatusConflict, reason: "the id is in use"}
	}
	for _, other := range n.state.members {
		if other.url == address {
			return answer{status: http.StatusConflict, reason: "the URL is in use"}
		}
	}
	return answer{}
}

var roles = map[raft.StateType]string{
	raft.StateFollower: "follower", raft.StateCandidate: "candidate", raft.StateLeader: "leader",
	raft.StatePreCandidate: "pre-candidate",
}

func (n *node) status() map[string]any {
	s := n.raw.Status()
	role := roles[s.RaftState]
	if n.state.members[n.options.id].removed {
		role = "removed"
	}
	first, _ := n.memory.FirstIndex()
	last, _ := n.memory.LastIndex()
	members, removed := []any{}, []uint64{}
	for _, id := range n.memberIDs() {
		if m := n.state.members[id]; m.removed {
			removed = append(removed, id)
		} else {
			members = append(members, map[string]any{
				"id": id, "url": m.url, "voter": isVoter(n.conf, id),
			})
		}
	}
	progress := []any{}
	for _, id := range n.memberIDs() {
		if p, ok := s.Progress[id]; ok {
			state := strings.ToLower(strings.TrimPrefix(p.State.String(), "State"))
			progress = append(progress, map[string]any{
				"id": id, "state": state, "match": p.Match, "next": p.Next,
			})
		}
	}
	return map[string]any{
		"id": n.options.id, "cluster": n.options.clusterID, "language": "go", "role": role,
		"term": s.GetTerm(), "vote": s.GetVote(), "leader": s.Lead, "commit": s.GetCommit(),
		"applied": n.state.index, "first_index": first, "last_index": last,
		"snapshot_index": n.snapshotIndex, "keys": len(n.state.keys),
		"pending_writes": len(n.waiting), "pending_reads": len(n.reads),
		"uptime_ms": time.Since(n.started).Milliseconds(),
		"snapshots": map[string]any{
			"made": n.made, "sent": n.peers.snapshots.Load(), "installed": n.installed,
			"installed_index": n.installedAt,
		},
		"members": members, "removed": removed, "progress": progress,
		"client_url": n.options.listen, "elections": n.elections,
		"storage": n.storageStatus(),
	}
}

func (n *node) storageStatus() map[string]any {
	status := map[string]any{"ok": n.storageError == nil, "errors": n.storageErrors, "error": nil}
	if n.storageError != nil {
		status["error"] = n.storageError.Error()
	}
	return status
}

func (n *node) memberIDs() []uint64 {
	var ids []uint64
	for id := range n.state.members {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
