package interop

// Linearizable reads, asked at the leader and forwarded both ways.
func reads() []Story {
	lease := func(c *Config) { c.LeaseBasedReads = true }
	verified := func(c *Config) { c.VerifiedLeases = true }
	return []Story{
		{"reads_at_everybody", all, 2, nil, Clean, readsAtEverybody},
		{"reads_by_lease", all, 2, lease, Clean, readsAtEverybody},
		{"reads_by_verified_lease", all, 2, verified, Clean, readsAtEverybody},
		{"reads_by_verified_lease_under_faults", all, 3, verified, Mild, readsUnderFaults},
		{"reads_under_faults", all, 4, nil, Mild, readsUnderFaults},
		{"reads_under_harsh_faults", both, 4, nil, Harsh, readsUnderFaults},
		{"read_before_the_first_commit", all, 2, nil, Clean, readBeforeCommit},
		{"read_at_a_deposed_leader", both, 3, nil, Clean, readAtDeposedLeader},
		{"read_in_a_joint_membership", both, 2, nil, Clean, readWhileJoint},
	}
}

// Many reads at once are confirmed together, each with its own context.
func readsAtEverybody(c *Cluster) {
	c.Found(c.lineup)
	for _, leader := range []uint64{1, 3} {
		c.MakeLeader(leader)
		c.Replicate(leader, 1)
		for _, n := range c.Nodes() {
			before := c.Judge.answered[n.ID]
			for range 5 {
				if err := c.Read(n.ID); err != nil {
					c.Fatalf("a read at node %d: %v", n.ID, err)
				}
			}
			c.ProposeMany(leader, 2)
			c.Until("all reads are answered", 5, func() bool {
				return c.Judge.answered[n.ID] == before+5
			})
		}
	}
	c.Judge.Settle()
}

func readsUnderFaults(c *Cluster) {
	c.Found(c.lineup)
	for range 4 {
		c.Until("somebody leads", 1000, func() bool { return c.Leader() != nil })
		for range 10 {
			if leader := c.Leader(); leader != nil {
				_, _ = c.Propose(leader.ID)
			}
			_ = c.Read(c.other(0))
			c.Phase()
		}
		if leader := c.Leader(); leader != nil && c.rng.IntN(2) == 0 {
			_ = leader.member.Transfer(c.other(leader.ID))
		}
	}
	for _, n := range c.Nodes() {
		c.ReadUntilAnswered(n.ID)
	}
	c.Judge.Settle()
}

// A new leader does not know how far the last one had committed.
func readBeforeCommit(c *Cluster) {
	c.Found(c.lineup)
	for _, leader := range []uint64{1, 3} {
		c.MakeLeader(without([]uint64{1, 3}, leader)[0])
		c.Replicate(1, 2)
		c.Net.Hold = func(p Packet) bool { return p.To == leader && p.Kind == MsgAppResp }
		_ = c.Leader().member.Transfer(leader)
		c.Until("the new leader is known", 10, func() bool { return c.Leads(leader) })
		before := map[uint64]int{}
		for _, n := range c.Nodes() {
			before[n.ID] = c.Judge.answered[n.ID]
			_ = c.Read(n.ID)
		}
		c.Ticks(3)
		for _, n := range c.Nodes() {
			if c.Judge.answered[n.ID] != before[n.ID] {
				c.Fatalf("node %d's read was answered before the leader committed", n.ID)
			}
		}
		c.Net.Release(c.now)
		c.Until("the reads are answered", 10, func() bool {
			for _, n := range c.Nodes() {
				if c.Judge.answered[n.ID] != before[n.ID]+1 {
					return false
				}
			}
			return true
		})
	}
	c.Judge.Settle()
}

// Who was deposed and does not know it confirms nothing.
func readAtDeposedLeader(c *Cluster) {
	c.Found(c.lineup)
	c.MakeLeader(1)
	c.Replicate(1, 1)
	c.Net.Partition([]uint64{1})
	c.Node(1).member.ReportUnreachable(2)
	// The others do not wait for the old leader's lease, but it is its own judge of that.
	c.Node(2).member.ForgetLeader()
	c.Node(3).member.ForgetLeader()
	c.Node(3).member.Campaign()
	c.Until("node 3 leads", 5, func() bool { return c.Node(3).state.Role == Leader })
	c.Replicate(3, 2)
	if c.Node(1).state.Role != Leader {
		c.Fatalf("node 1 knows already")
	}
	before := c.Judge.answered[1]
	for range 3 {
		_ = c.Read(1)
	}
	c.Ticks(2)
	c.Net.Heal(c.now)
	c.Ticks(10)
	if c.Judge.answered[1] != before {
		c.Fatalf("a deposed leader answered %d reads", c.Judge.answered[1]-before)
	}
	c.ReadUntilAnswered(1)
	c.Judge.Settle()
}

// In a joint membership both majorities have to confirm.
func readWhileJoint(c *Cluster) {
	c.Found(c.lineup)
	c.MakeLeader(1)
	c.Join(4, 'o')
	c.Join(5, 'u')
	c.Change(1, ConfChange{
		Transition: JointExplicit, Changes: []Change{{AddVoter, 4}, {AddVoter, 5}},
	}, ConfState{Voters: []uint64{1, 2, 3, 4, 5}, VotersOutgoing: []uint64{1, 2, 3}})
	for _, n := range c.Nodes() {
		c.ReadUntilAnswered(n.ID)
	}
	// One majority alone is not enough.
	before := c.Judge.answered[1]
	c.Net.Partition([]uint64{2, 3})
	_ = c.Read(1)
	c.Ticks(5)
	if c.Judge.answered[1] != before {
		c.Fatalf("a read was answered by one majority of a joint membership")
	}
	c.Net.Heal(c.now)
	c.Until("the read is answered", 20, func() bool { return c.Judge.answered[1] > before })
	c.Change(1, ConfChange{}, ConfState{Voters: []uint64{1, 2, 3, 4, 5}})
	c.Judge.Settle()
}
