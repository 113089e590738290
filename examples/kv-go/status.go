// GET /_/status: what this node knows, as JSON. PROTOCOL.md names the parts.

package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/raftcore/raftcore/bindings/go"
)

var roles = map[raft.StateType]string{
	raft.StateFollower: "follower", raft.StateCandidate: "candidate", raft.StateLeader: "leader",
	raft.StatePreCandidate: "pre-candidate",
}

type object = map[string]any

func (n *node) addMembers(status object) {
	members, removed := []object{}, []uint64{}
	for _, id := range n.state.memberIDs() {
		if m := n.state.members[id]; m.isRemoved {
			removed = append(removed, id)
		} else {
			members = append(members, object{"id": id, "url": m.url, "voter": isVoter(n.conf, id)})
		}
	}
	status["members"], status["removed"] = members, removed
}

func (n *node) addProgress(status object, s raft.Status) {
	progress := []object{}
	for _, id := range n.state.memberIDs() {
		if p, ok := s.Progress[id]; ok {
			state := strings.ToLower(strings.TrimPrefix(p.State.String(), "State"))
			progress = append(progress,
				object{"id": id, "state": state, "match": p.Match, "next": p.Next})
		}
	}
	status["progress"] = progress
}

func (n *node) addElections(status object) {
	// A copy: it is written as JSON by another goroutine.
	status["elections"] = append([]election{}, n.elections...)
}

func (n *node) addStorage(status object) {
	status["storage"] = object{
		"ok": n.trouble == "", "errors": n.storageErrors, "error": n.storageError,
	}
}

// status is called by the node's goroutine.
func (n *node) status() object {
	s := n.raw.Status()
	role := roles[s.RaftState]
	if n.state.members[n.options.id].isRemoved {
		role = "removed"
	}
	first, _ := n.memory.FirstIndex()
	last, _ := n.memory.LastIndex()
	status := object{
		"id": n.options.id, "cluster": n.options.clusterID, "client_url": n.options.listen,
		"language": "go", "role": role, "term": s.GetTerm(), "vote": s.GetVote(), "leader": s.Lead,
		"commit": s.GetCommit(), "applied": n.state.index, "first_index": first,
		"last_index": last, "snapshot_index": n.snapshotIndex, "keys": n.state.count(),
		"pending_writes": len(n.requests.writes), "pending_reads": len(n.requests.reads),
		"uptime_ms": time.Since(n.started).Milliseconds(),
		"snapshots": object{
			"made": n.snapshotsMade, "sent": n.peers.snapshotsSent.Load(),
			"installed": n.snapshotsInstalled, "installed_index": n.snapshotInstalledIndex,
		},
	}
	n.addMembers(status)
	n.addProgress(status, s)
	n.addElections(status)
	n.addStorage(status)
	return status
}

func (n *node) replyStatus(w http.ResponseWriter) {
	var status object
	if !n.now(func() { status = n.status() }) {
		n.replyNotNow(w, "", stopping)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(status)
}
