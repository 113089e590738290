package interop

import "fmt"

// Leader is the node that leads the highest term, if one does.
func (c *Cluster) Leader() *Node {
	var leader *Node
	for _, n := range c.Nodes() {
		if n.state.Role == Leader && (leader == nil || n.state.Term > leader.state.Term) {
			leader = n
		}
	}
	return leader
}

// Leads says whether this node leads and all nodes on its side know.
func (c *Cluster) Leads(id uint64) bool {
	leader := c.Leader()
	if leader == nil || leader.ID != id {
		return false
	}
	for _, n := range c.Nodes() {
		if c.Net.connected(id, n.ID) && n.member.ConfState().member(n.ID) && n.state.Leader != id {
			return false
		}
	}
	return true
}

// MakeLeader brings a node to lead by whatever means, on a network that delivers something. While
// its log is behind, somebody else has to lead first.
func (c *Cluster) MakeLeader(id uint64) {
	c.Helper()
	for range 150 {
		if c.Leads(id) {
			return
		}
		switch leader := c.Leader(); {
		case leader == nil:
			c.mostUpToDate(id).member.Campaign()
		case leader.ID != id:
			_ = leader.member.Transfer(id)
		}
		c.Within(6, func() bool { return c.Leads(id) })
	}
	c.Fatalf("node %d does not come to lead\n%s", id, c.describe())
}

// mostUpToDate is the node that no other has a reason to deny its vote, this one if it can be.
func (c *Cluster) mostUpToDate(id uint64) *Node {
	best := c.Node(id)
	for _, n := range c.Nodes() {
		if term, last := n.Disk.last(); n.member.ConfState().voter(n.ID) {
			if bestTerm, bestLast := best.Disk.last(); term > bestTerm ||
				term == bestTerm && last > bestLast {
				best = n
			}
		}
	}
	return best
}

// Propose proposes a payload of its own at a node, and returns it if it was taken.
func (c *Cluster) Propose(id uint64) (payload string, err error) {
	c.props++
	payload = fmt.Sprintf("p%d", c.props)
	c.Judge.proposed[payload] = true
	return payload, c.Node(id).member.Propose([]byte(payload))
}

// ProposeMany proposes payloads at a node, a phase between them, and returns those that were
// taken.
func (c *Cluster) ProposeMany(id uint64, count int) (taken []string) {
	for range count {
		if !c.Node(id).Up() {
			break
		}
		if payload, err := c.Propose(id); err == nil {
			taken = append(taken, payload)
		}
		c.Phase()
	}
	return taken
}

// Replicate proposes so many payloads at a node, one after the other, each again and again until
// that node has applied it.
func (c *Cluster) Replicate(id uint64, count int) {
	c.Helper()
	for range count {
		c.retry(fmt.Sprintf("node %d has its proposal applied", id), 40, 10, func() func() bool {
			payload, _ := c.Propose(id)
			return func() bool { return c.HasApplied(id, payload) }
		})
	}
}

// HasApplied says whether a node has applied a payload.
func (c *Cluster) HasApplied(id uint64, payload string) bool {
	at, ok := c.Judge.applied[payload]
	return ok && c.Node(id).Applied() >= at
}

// Read asks for a read index at a node.
func (c *Cluster) Read(id uint64) error {
	c.reads++
	context := fmt.Sprintf("read %d", c.reads)
	c.Judge.reads[context] = c.Judge.committed
	return c.Node(id).member.ReadIndex([]byte(context))
}

// ReadUntilAnswered asks at a node, again and again, until an answer comes.
func (c *Cluster) ReadUntilAnswered(id uint64) {
	c.Helper()
	c.retry(fmt.Sprintf("node %d's read is answered", id), 40, 10, func() func() bool {
		before := c.Judge.answered[id]
		_ = c.Read(id)
		return func() bool { return c.Judge.answered[id] > before }
	})
}

// Change proposes a membership change at a node, again and again, until the group has the
// membership that it leads to.
func (c *Cluster) Change(id uint64, change ConfChange, want ConfState) {
	c.Helper()
	c.retry(fmt.Sprintf("%s leads to %s", change, want), 40, 15, func() func() bool {
		if n := c.Node(id); n.Up() {
			_ = n.member.ProposeConfChange(change)
		}
		return func() bool { return c.hasMembership(want) }
	})
}

// hasMembership says whether a leader and all members that it reaches have this membership.
func (c *Cluster) hasMembership(want ConfState) bool {
	leader := c.Leader()
	if leader == nil || leader.member.ConfState().String() != want.String() {
		return false
	}
	for _, n := range c.Nodes() {
		if want.member(n.ID) && c.Net.connected(leader.ID, n.ID) &&
			n.member.ConfState().String() != want.String() {
			return false
		}
	}
	return true
}

// retry tries something so many times, and gives it so many ticks each time.
func (c *Cluster) retry(what string, times, ticks int, try func() func() bool) {
	c.Helper()
	for range times {
		if c.Within(ticks, try()) {
			return
		}
	}
	c.Fatalf("after %d tries it still does not hold that %s\n%s", times, what, c.describe())
}
