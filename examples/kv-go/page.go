package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/raftcore/raftcore/examples/page"
)

// election is a leader that this node heard of.
type election struct {
	Term   uint64 `json:"term"`
	Leader uint64 `json:"leader"`
	AtMS   int64  `json:"at_ms"`
}

const electionsKept = 16

func (n *node) noteElection(term uint64) {
	if last := len(n.elections) - 1; last >= 0 && n.elections[last].Term == term {
		return
	}
	n.elections = append(n.elections, election{term, n.leader, time.Now().UnixMilli()})
	n.elections = n.elections[max(0, len(n.elections)-electionsKept):]
}

func servePage(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		notAllowed(w, "GET, HEAD")
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(page.HTML)
}

// serveStatus serves the status of this node, or of the member that the query names: the page asks
// one node for all of them.
func (n *node) serveStatus(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		notAllowed(w, "GET, HEAD")
		return
	}
	if of := r.URL.Query().Get("of"); of != "" {
		id, err := strconv.ParseUint(of, 10, 63)
		if err != nil {
			fail(w, http.StatusBadRequest, "of is not a node's id")
			return
		}
		if id != n.options.id {
			n.relayStatus(w, id)
			return
		}
	}
	n.serveOwnStatus(w)
}

func (n *node) serveOwnStatus(w http.ResponseWriter) {
	var status map[string]any
	if !n.now(func() { status = n.status() }) {
		fail(w, http.StatusServiceUnavailable, "the node stops")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(status)
}

// relayStatus asks a member for its status, and passes it on.
func (n *node) relayStatus(w http.ResponseWriter, id uint64) {
	var m member
	n.now(func() { m = n.state.members[id] })
	if m.url == "" {
		fail(w, http.StatusNotFound, "no member has the id %d", id)
		return
	}
	body, err := n.peers.askStatus(m.url, id)
	if err != nil {
		fail(w, http.StatusServiceUnavailable, "node %d answers nothing: %v", id, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}

// serveStatus answers a member that asks.
func (p *peers) serveStatus(w http.ResponseWriter, from uint64, address string) {
	status, reason := 0, ""
	p.node.now(func() { status, reason = p.admit(from, address) })
	if status != 0 {
		fail(w, status, "%s", reason)
		return
	}
	p.node.serveOwnStatus(w)
}

// A member that does not answer in this time is shown as one that does not.
const statusPatience = time.Second

func (p *peers) askStatus(address string, id uint64) ([]byte, error) {
	r, err := http.NewRequest(http.MethodGet, address+"/status", nil)
	if err != nil {
		return nil, err
	}
	p.introduce(r, id)
	client := http.Client{Transport: p.client.Transport, Timeout: statusPatience}
	response, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %s", response.Status)
	}
	return io.ReadAll(io.LimitReader(response.Body, 1<<20))
}
