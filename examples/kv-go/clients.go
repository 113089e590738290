// The clients' API. PROTOCOL.md has the table; here is a door for each line of it.

package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/raftcore/raftcore/bindings/go"
)

// ---- answers

func replyText(w http.ResponseWriter, status int, format string, args ...any) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintf(w, format+"\n", args...)
}

// replyNotNow is a 503, with the leader if known, and, for what would have changed something, the
// outcome.
func (n *node) replyNotNow(w http.ResponseWriter, outcome, why string) {
	leader := raft.None
	n.now(func() { leader = n.leader })
	w.Header().Set("Retry-After", "1")
	if leader != raft.None {
		w.Header().Set("Raft-Leader", strconv.FormatUint(leader, 10))
	}
	if outcome != "" {
		w.Header().Set("Raft-Outcome", outcome)
	}
	replyText(w, 503, "%s", why)
}

func (n *node) replyRefusal(w http.ResponseWriter, r *refusal, outcome string) {
	if r.status == 503 {
		n.replyNotNow(w, outcome, r.why)
	} else {
		replyText(w, r.status, "%s", r.why)
	}
}

func replyMethod(w http.ResponseWriter, allowed, why string) {
	w.Header().Set("Allow", allowed)
	replyText(w, 405, "%s", why)
}

func replyValue(w http.ResponseWriter, value []byte, isFound bool) {
	if !isFound {
		replyText(w, 404, "no such key")
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(value)
}

// replyApplied answers a write or a change.
func (n *node) replyApplied(w http.ResponseWriter, a answer) {
	if a.refused != nil {
		n.replyRefusal(w, a.refused, a.outcome)
		return
	}
	w.Header().Set("Raft-Index", strconv.FormatUint(a.index, 10))
	w.WriteHeader(204)
}

// ---- what is asked

func hasBody(r *http.Request) bool {
	return r.Header.Get("Content-Length") != "" || len(r.TransferEncoding) > 0
}

// What is refused is read to its end if it is not too long: then the client hears why.
const patienceBytes = 64 << 20

// readBody says whether it got all of a body: it was not broken off, nor longer than the limit.
func readBody(r *http.Request, limit uint64) (body []byte, isWhole bool) {
	body, err := io.ReadAll(io.LimitReader(r.Body, int64(limit)+1))
	if uint64(len(body)) > limit {
		_, _ = io.CopyN(io.Discard, r.Body, patienceBytes)
		return nil, false
	}
	return body, err == nil
}

func (n *node) refusedByDisk() *refusal {
	if n.trouble != "" {
		return refuse(503, "%s", n.trouble)
	}
	return nil
}

// refusedForNow says what stands in the way of changing anything now.
func (n *node) refusedForNow() *refusal {
	switch {
	case n.trouble != "":
		return n.refusedByDisk()
	case n.requests.full():
		return refuse(503, "too many requests are waiting")
	case n.raw.BasicStatus().GetCommit() > n.state.index+n.options.maxGap:
		return refuse(503, "too many entries are committed and not applied yet")
	}
	return nil
}

// ask has the node's goroutine start what is asked, if nothing stands in the way, and waits for
// the answer.
func (n *node) ask(start func(q *request) *refusal) answer {
	q := n.requests.newRequest()
	n.do(func() {
		refused := n.refusedForNow()
		if refused == nil {
			refused = start(q)
		}
		if refused != nil {
			q.done <- answer{refused: refused, outcome: "refused"}
		}
	})
	select {
	case a := <-q.done:
		return a
	case <-n.stopped:
	}
	select {
	case a := <-q.done: // who waited was answered before the node stopped
		return a
	default:
		return answer{refused: refuse(503, stopping), outcome: "refused"}
	}
}

// ---- keys

func (n *node) onWrite(w http.ResponseWriter, r *http.Request, operation byte, key string) {
	entry := &write{operation: operation, origin: n.options.id, key: key}
	if operation == opPut {
		if !hasBody(r) {
			replyText(w, 411,
				"a value is needed in the body; an empty one is sent with Content-Length: 0")
			return
		}
		var isWhole bool
		if entry.value, isWhole = readBody(r, n.options.maxValue); !isWhole {
			replyText(w, 413, "the value is longer than %d bytes", n.options.maxValue)
			return
		}
	}
	entry.request = r.Header.Get("Request-Id")
	_, isRepeatable := r.Header["Request-Id"]
	if isRepeatable && !isVisible(entry.request, requestIDMax) {
		replyText(w, 400, "Request-Id is not 1 to %d visible ASCII characters", requestIDMax)
		return
	}
	n.replyApplied(w, n.ask(func(q *request) *refusal {
		entry.serial = n.requests.nextSerial()
		data := entry.encode()
		if refused := n.propose(data); refused != nil {
			return refused
		}
		if !isRepeatable {
			data = nil
		}
		n.requests.awaitWrite(q, entry.serial, data)
		return nil
	}))
}

func (n *node) onRead(w http.ResponseWriter, r *http.Request, key string) {
	stale, isStale := r.URL.Query()["stale"]
	if isStale && (len(stale) != 1 || stale[0] != "1") {
		replyText(w, 400, "stale can only be 1")
		return
	}
	var a answer
	if isStale {
		if !n.now(func() { a.value, a.isFound = n.state.get(key) }) {
			a.refused = refuse(503, stopping)
		}
	} else {
		a = n.ask(func(q *request) *refusal {
			n.requests.awaitRead(q, key)
			return nil
		})
	}
	if a.refused != nil {
		n.replyRefusal(w, a.refused, "")
		return
	}
	replyValue(w, a.value, a.isFound)
}

// onKey: in the short form DELETE speaks of members, so that only the long form deletes a key.
func (n *node) onKey(w http.ResponseWriter, r *http.Request, key string, isLong bool) {
	isRead := r.Method == http.MethodGet || r.Method == http.MethodHead
	for parameter := range r.URL.Query() {
		if parameter != "stale" || !isRead {
			replyText(w, 400, "unknown parameter '%.64s'; in a key, ? is written %%3F", parameter)
			return
		}
	}
	allowed := "GET, HEAD, PUT, POST, DELETE"
	if isLong {
		allowed = "GET, HEAD, PUT, DELETE"
	}
	switch {
	case key == "":
		replyText(w, 400, "a key is needed in the path")
	case uint64(len(key)) > n.options.maxKey:
		replyText(w, 413, "the key is longer than %d bytes", n.options.maxKey)
	case r.Method == http.MethodPut:
		n.onWrite(w, r, opPut, key)
	case isRead:
		n.onRead(w, r, key)
	case r.Method == http.MethodDelete && isLong:
		n.onWrite(w, r, opDelete, key)
	default:
		replyMethod(w, allowed, "that method means nothing for a key")
	}
}

// ---- members

// bodyText is the body, without the white space that comes with files and here-documents.
func bodyText(r *http.Request) string {
	text, _ := readBody(r, 2*urlMax)
	return strings.TrimRight(string(text), " \t\r\n")
}

// onMember adds or removes a member.
func (n *node) onMember(w http.ResponseWriter, r *http.Request, path string) {
	id, err := strconv.ParseUint(path, 10, 63)
	adds, address := r.Method == http.MethodPost, ""
	if adds {
		address = bodyText(r)
	}
	switch isID := err == nil && id > 0; {
	case !isID && adds:
		replyText(w, 400, "POST /<node id> adds a member by its id, a number from 1 up; a key is"+
			" written by PUT /<key>")
	case !isID:
		replyText(w, 400, "DELETE /<node id> removes a member by its id, a number from 1 up; a"+
			" key is deleted by DELETE /_/kv/<key>")
	case adds && !hasBody(r):
		replyText(w, 411, "the new member's peer URL is needed in the body")
	case adds && !isURL(address):
		replyText(w, 400, "the body is not a peer URL of the form http://host:port")
	default:
		n.replyApplied(w, n.ask(func(q *request) *refusal {
			serial := n.requests.nextSerial()
			if refused := n.proposeChange(id, address, serial); refused != nil {
				return refused
			}
			n.requests.awaitWrite(q, serial, nil)
			return nil
		}))
	}
}

// onLeader asks the leader to hand over to the member whose id is the body.
func (n *node) onLeader(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPut {
		replyMethod(w, "PUT", "leadership is handed over by PUT")
		return
	}
	id, err := strconv.ParseUint(bodyText(r), 10, 64)
	switch {
	case !hasBody(r):
		replyText(w, 411, "the id of the member that is to lead is needed in the body")
		return
	case err != nil || id == 0:
		replyText(w, 400, "the body is not a member's id")
		return
	}
	refused := refuse(503, stopping)
	n.now(func() {
		if refused = n.refusedForNow(); refused == nil {
			refused = n.transfer(id)
		}
	})
	if refused != nil {
		n.replyRefusal(w, refused, "")
		return
	}
	w.WriteHeader(204)
}

// ---- the door

func (n *node) route(w http.ResponseWriter, r *http.Request, path string) {
	key, isLong := strings.CutPrefix(path, "_/kv/")
	isRead := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case isLong:
		n.onKey(w, r, key, true)
	case path == "_/status" && isRead:
		n.replyStatusOf(w, r)
	case path == "_/status":
		replyMethod(w, "GET, HEAD", "the status can only be read")
	case path == "_/leader":
		n.onLeader(w, r)
	case path == "_/" && isRead:
		replyPage(w)
	case path == "_/":
		replyMethod(w, "GET, HEAD", "the page can only be read")
	case strings.HasPrefix(path, "_/"):
		replyText(w, 404, "nothing is there; a key that begins with _/ is at /_/kv/_/...")
	case r.Method == http.MethodPost || r.Method == http.MethodDelete:
		n.onMember(w, r, path)
	default:
		n.onKey(w, r, path, false)
	}
}

func (n *node) onClientRequest(w http.ResponseWriter, r *http.Request) {
	escaped, hasSlash := strings.CutPrefix(r.URL.EscapedPath(), "/")
	if !hasSlash {
		replyText(w, 400, "the path must begin with a slash")
		return
	}
	if _, err := url.ParseQuery(r.URL.RawQuery); err != nil {
		replyText(w, 400, "the query cannot be understood")
		return
	}
	path, err := url.PathUnescape(escaped)
	if err != nil {
		replyText(w, 400, "the path cannot be decoded")
		return
	}
	n.route(w, r, path)
}
