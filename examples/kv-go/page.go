// GET /_/: the page, and the status of other members for it. The browser asks this node for them,
// and this node asks them.

package main

import (
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/raftcore/raftcore/examples/page"
)

// A member that does not answer in this time is shown as one that does not.
const (
	statusPatience = time.Second
	statusBytes    = 1 << 20
)

func replyPage(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(page.HTML)
}

// relayStatus asks a member for its status, and passes it on.
func (n *node) relayStatus(w http.ResponseWriter, of *peer) {
	code := "nothing"
	answer, err := n.peers.ask(of, http.MethodGet, "/status", nil, statusPatience)
	if err == nil {
		defer answer.Body.Close()
		code = strconv.Itoa(answer.StatusCode)
	}
	if code != "200" {
		n.replyNotNow(w, "", "node "+strconv.FormatUint(of.id, 10)+" answers "+code)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.Copy(w, io.LimitReader(answer.Body, statusBytes))
}

// replyStatusOf answers with the status of the member that the query names, or of this node.
func (n *node) replyStatusOf(w http.ResponseWriter, r *http.Request) {
	id := n.options.id
	if of := r.URL.Query(); of.Has("of") {
		var err error
		if id, err = strconv.ParseUint(of.Get("of"), 10, 64); err != nil {
			replyText(w, 400, "of is not a node's id")
			return
		}
	}
	var m member
	n.now(func() { m = n.state.members[id] })
	switch {
	case id == n.options.id:
		n.replyStatus(w)
	case m.url != "":
		n.relayStatus(w, &peer{id: id, url: m.url})
	default:
		replyText(w, 404, "no member has the id %d", id)
	}
}
