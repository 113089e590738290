package interop

// Members replaced one by one by members of the other kind, on the same disk and under the same
// id: an upgrade of a running cluster, and the way back.
func upgrades() []Story {
	same := []Lineup{"uuu", "ooo", "uuuuu", "uou", "vvv", "vvuoo"}
	lease := func(c *Config) { c.LeaseBasedReads = true }
	return []Story{
		{"rolling_upgrade_and_back", same, 4, nil, Clean, rollingUpgrade},
		{"rolling_upgrade_under_faults", same, 4, nil, Mild, rollingUpgrade},
		{"rolling_upgrade_with_leases", same[:2], 2, lease, Clean, rollingUpgrade},
		{"upgrade_of_all_at_once", same, 3, nil, Clean, upgradeAtOnce},
		{"upgrade_in_a_joint_membership", same[:2], 3, nil, Clean, upgradeWhileJoint},
	}
}

// swap replaces a node by one of the other kind, which finds the log alone, a snapshot with some
// of the log, or the application's mark beside it.
func (c *Cluster) swap(id uint64) {
	n := c.Node(id)
	if n.Up() {
		switch c.rng.IntN(4) {
		case 0:
			n.mark()
		case 1:
			n.compact(uint64(c.rng.IntN(4)))
		}
	}
	switch _, three := c.kinds['v']; {
	case c.kindOf(id) == 'o' && three:
		c.Replace(id, 'v')
	case c.kindOf(id) == 'u':
		c.Replace(id, 'o')
	default:
		c.Replace(id, 'u')
	}
}

func rollingUpgrade(c *Cluster) {
	c.Found(c.lineup)
	c.MakeLeader(1)
	for range 2 {
		for _, n := range c.Nodes() {
			c.Replicate(n.ID, 2)
			if c.rng.IntN(2) == 0 {
				c.MakeLeader(n.ID)
			}
			c.ProposeMany(n.ID, 3)
			c.swap(n.ID)
			c.Until("somebody leads", 400, func() bool { return c.Leader() != nil })
			c.ReadUntilAnswered(n.ID)
		}
	}
	for _, n := range c.Nodes() {
		c.MakeLeader(n.ID)
		c.Replicate(n.ID, 1)
	}
	c.Judge.Settle()
}

func upgradeAtOnce(c *Cluster) {
	c.Found(c.lineup)
	for range 3 {
		c.Until("somebody leads", 400, func() bool { return c.Leader() != nil })
		c.ProposeMany(c.Leader().ID, 10)
		for _, id := range c.founders() {
			c.swap(id)
		}
	}
	c.Judge.Settle()
}

func upgradeWhileJoint(c *Cluster) {
	c.Found(c.lineup)
	c.MakeLeader(1)
	joint := ConfState{
		Voters: []uint64{1, 3}, VotersOutgoing: []uint64{1, 2, 3}, LearnersNext: []uint64{2},
	}
	c.Change(1, ConfChange{
		Transition: JointExplicit, Changes: []Change{{AddLearner, 2}, {Update, 3}},
	}, joint)
	for _, id := range c.founders() {
		c.Replicate(id, 1)
		c.swap(id)
		c.Until("the group is joint still", 200, func() bool { return c.hasMembership(joint) })
	}
	c.Change(c.Leader().ID, ConfChange{}, ConfState{Voters: []uint64{1, 3}, Learners: []uint64{2}})
	c.Judge.Settle()
}
