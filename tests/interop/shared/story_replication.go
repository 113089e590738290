package interop

import "errors"

// Replication and forwarded proposals both ways.
func replication() []Story {
	tiny := func(c *Config) {
		c.MaxMessageBytes, c.MaxCommittedBytes, c.MaxInflightMessages = 0, 40, 2
	}
	window := func(c *Config) {
		c.MaxMessageBytes, c.MaxInflightMessages, c.MaxInflightBytes = 30, 3, 40
	}
	limited := func(c *Config) { c.MaxUncommittedBytes = 20 }
	closed := func(c *Config) { c.NoForwarding = true }
	return []Story{
		{"replication_on_a_clean_network", all, 2, nil, Clean, replicationClean},
		{"replication_under_mild_faults", all, 3, nil, Mild, replicationUnderFaults},
		{"replication_under_harsh_faults", all, 4, nil, Harsh, replicationUnderFaults},
		{"replication_of_one_entry_a_message", both, 3, tiny, Mild, replicationUnderFaults},
		{"replication_in_a_small_window", both, 3, window, Harsh, replicationUnderFaults},
		{"conflicting_tails", all, 4, nil, Mild, conflictingTails},
		{"conflicting_tails_entry_by_entry", all, 4, tiny, Mild, conflictingTails},
		{"uncommitted_size_is_limited", three, 1, limited, Clean, uncommittedLimit},
		{"forwarded_proposals", all, 3, nil, Clean, forwardedProposals},
		{"forwarded_proposals_under_faults", both, 3, nil, Mild, forwardedUnderFaults},
		{"forwarding_disabled", three, 1, closed, Clean, forwardingDisabled},
	}
}

func replicationClean(c *Cluster) {
	c.Found(c.lineup)
	c.MakeLeader(1)
	taken := c.ProposeMany(1, 50)
	c.Judge.Settle()
	c.exactlyOnce(taken, 50)
}

// exactlyOnce checks that so many proposals were taken, and each applied once.
func (c *Cluster) exactlyOnce(taken []string, count int) {
	c.Helper()
	if len(taken) != count {
		c.Fatalf("%d of %d proposals were taken", len(taken), count)
	}
	for _, payload := range taken {
		if _, ok := c.Judge.applied[payload]; !ok {
			c.Fatalf("%s was never applied", payload)
		}
	}
	if got := c.Leader().machine.Count; got != uint64(count) {
		c.Fatalf("%d payloads were applied, %d proposed", got, count)
	}
}

func replicationUnderFaults(c *Cluster) {
	c.Slow = 0.3
	c.Found(c.lineup)
	for round := range 3 {
		c.Until("somebody leads", 1000, func() bool { return c.Leader() != nil })
		c.ProposeMany(c.Leader().ID, 25)
		if round == 1 {
			c.MakeLeader(1)
		}
	}
	c.Judge.Settle()
	if c.Leader().machine.Count < 10 {
		c.Fatalf("only %d payloads were applied", c.Leader().machine.Count)
	}
}

// Tails of several terms, on both sides of partitions that change: whoever leads in the end finds
// where the logs meet and overwrites the rest.
func conflictingTails(c *Cluster) {
	c.Found(c.lineup)
	c.MakeLeader(1)
	c.Replicate(1, 2)
	for range 5 {
		leader := c.Leader()
		if leader == nil {
			c.Within(100, func() bool { return c.Leader() != nil })
			continue
		}
		// The leader's side is a minority: what it takes stays uncommitted.
		side := []uint64{leader.ID}
		if len(c.Nodes()) > 3 {
			side = append(side, c.other(leader.ID))
		}
		c.Net.Partition(side)
		c.ProposeMany(leader.ID, 3+c.rng.IntN(6))
		c.Within(100, func() bool { return c.Leader() != nil && c.Leader().ID != leader.ID })
		if next := c.Leader(); next != nil && next.ID != leader.ID {
			c.ProposeMany(next.ID, 1+c.rng.IntN(6))
		}
		if c.rng.IntN(2) == 0 {
			c.Net.Partition()
			c.Ticks(c.rng.IntN(20))
		}
	}
	c.Judge.Settle()
}

// other is a node that the seed chooses, other than this one.
func (c *Cluster) other(id uint64) uint64 {
	nodes := c.Nodes()
	for {
		if n := nodes[c.rng.IntN(len(nodes))]; n.ID != id {
			return n.ID
		}
	}
}

// The limit admits anything while nothing waits, and then so many payload bytes.
func uncommittedLimit(c *Cluster) {
	c.Found(c.lineup)
	c.MakeLeader(1)
	c.Replicate(1, 8)
	c.Ticks(5)
	c.Net.Partition([]uint64{1})
	taken := 0
	for range 30 {
		_, err := c.Propose(1)
		if err == nil {
			taken++
			continue
		}
		if !isDropped(err) {
			c.Fatalf("a proposal above the limit: %v", err)
		}
	}
	// p9 has two bytes, the others three.
	if taken != 7 {
		c.Fatalf("%d proposals were taken under the limit", taken)
	}
	c.Judge.Settle()
}

func isDropped(err error) bool {
	var o *Objection
	return errors.As(err, &o) && o.Reason == Dropped
}

// On a clean network a follower's proposal is as good as the leader's.
func forwardedProposals(c *Cluster) {
	c.Found(c.lineup)
	c.MakeLeader(1)
	var taken []string
	for range 6 {
		for _, n := range c.Nodes() {
			taken = append(taken, c.ProposeMany(n.ID, 2)...)
		}
	}
	c.Judge.Settle()
	c.exactlyOnce(taken, 12*len(c.Nodes()))
}

func forwardedUnderFaults(c *Cluster) {
	c.Found(c.lineup)
	c.MakeLeader(1)
	for range 4 {
		for _, n := range c.Nodes() {
			c.Replicate(n.ID, 1)
		}
	}
	c.Judge.Settle()
}

func forwardingDisabled(c *Cluster) {
	c.Found(c.lineup)
	c.MakeLeader(1)
	for _, id := range []uint64{2, 3} {
		if _, err := c.Propose(id); !isDropped(err) {
			c.Fatalf("node %d forwards: %v", id, err)
		}
	}
	c.Replicate(1, 2)
	c.Judge.Settle()
}
