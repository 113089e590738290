package interop

// Leadership handed over both ways.
func transfers() []Story {
	plain := func(c *Config) { c.PreVote, c.CheckQuorum = false, false }
	return []Story{
		{"transfer_around", all, 2, nil, Clean, transferAround},
		{"transfer_around_without_lease", both, 2, plain, Clean, transferAround},
		{"transfer_under_faults", all, 3, nil, Mild, transferUnderFaults},
		{"transfer_asked_at_a_follower", all, 2, nil, Clean, transferAskedAtFollower},
		{"transfer_to_a_lagging_member", both, 3, nil, Clean, transferToLagging},
		{"transfer_to_a_dead_member", both, 2, nil, Clean, transferToDead},
		{"transfer_to_a_learner", both, 1, nil, Clean, transferToLearner},
	}
}

// Everybody hands over to everybody, within the lease and without a vote lost.
func transferAround(c *Cluster) {
	c.Found(c.lineup)
	c.MakeLeader(1)
	for _, from := range c.founders() {
		for _, to := range c.founders() {
			c.MakeLeader(from)
			c.Replicate(from, 1)
			if from == to {
				continue
			}
			term := c.Node(from).state.Term
			_ = c.Node(from).member.Transfer(to)
			c.Until("the target leads at once", 4, func() bool { return c.Leads(to) })
			if got := c.Node(to).state.Term; got != term+1 {
				c.Fatalf("handing over from %d to %d took from term %d to %d", from, to, term, got)
			}
		}
	}
	c.Judge.Settle()
}

func transferUnderFaults(c *Cluster) {
	c.Found(c.lineup)
	for range 6 {
		c.Until("somebody leads", 1000, func() bool { return c.Leader() != nil })
		leader := c.Leader()
		c.ProposeMany(leader.ID, 5)
		to := c.other(leader.ID)
		if leader.Up() {
			_ = leader.member.Transfer(to)
		}
		c.ProposeMany(leader.ID, 5)
		c.Within(20, func() bool { return c.Leads(to) })
	}
	c.Judge.Settle()
}

// A follower, the target itself or a third, passes the order on.
func transferAskedAtFollower(c *Cluster) {
	c.Found(c.lineup)
	for _, to := range []uint64{3, 2} {
		for _, asked := range []uint64{2, 3} {
			c.MakeLeader(1)
			c.Replicate(1, 1)
			_ = c.Node(asked).member.Transfer(to)
			c.Until("the target leads", 6, func() bool { return c.Leads(to) })
		}
	}
	c.Judge.Settle()
}

// The target first gets what it lacks.
func transferToLagging(c *Cluster) {
	c.Found(c.lineup)
	for _, to := range []uint64{3, 2} {
		c.MakeLeader(1)
		c.Replicate(1, 1)
		c.Net.Partition([]uint64{to})
		c.Replicate(1, 5)
		if c.rng.IntN(2) == 0 {
			c.Node(1).compact(0)
		}
		c.Net.Partition()
		_ = c.Node(1).member.Transfer(to)
		if _, err := c.Propose(1); !isDropped(err) {
			c.Fatalf("the leader takes a proposal while it hands over: %v", err)
		}
		c.Until("the lagging target leads", 30, func() bool { return c.Leads(to) })
		c.Replicate(to, 1)
	}
	c.Judge.Settle()
}

// Nobody answers: after an election timeout the leader leads on.
func transferToDead(c *Cluster) {
	c.Found(c.lineup)
	for _, to := range []uint64{3, 2} {
		c.MakeLeader(1)
		c.Replicate(1, 1)
		term := c.Leader().state.Term
		c.Crash(to)
		_ = c.Node(1).member.Transfer(to)
		if _, err := c.Propose(1); !isDropped(err) {
			c.Fatalf("the leader takes a proposal while it hands over: %v", err)
		}
		c.Ticks(ElectionTicks + 1)
		c.Replicate(1, 2)
		if got := c.Leader(); got.ID != 1 || got.state.Term != term {
			c.Fatalf("node %d leads term %d, not node 1 term %d", got.ID, got.state.Term, term)
		}
		c.Restart(to)
	}
	c.Judge.Settle()
}

func transferToLearner(c *Cluster) {
	c.Found(c.lineup)
	c.MakeLeader(1)
	c.Join(4, 'o')
	c.Join(5, 'u')
	c.Change(1, ConfChange{Changes: []Change{{AddLearner, 4}, {AddLearner, 5}}},
		ConfState{Voters: c.founders(), Learners: []uint64{4, 5}})
	for _, to := range []uint64{4, 5} {
		// Asked at a follower it travels; the leader of either kind takes no notice.
		for _, asked := range []uint64{2, 3} {
			_ = c.Node(asked).member.Transfer(to)
			c.Replicate(1, 1)
		}
	}
	if c.Leader().ID != 1 {
		c.Fatalf("node %d leads", c.Leader().ID)
	}
	c.Judge.Settle()
}
