package interop

// Everything at once, in an order that the seed chooses.
func chaos() []Story {
	async := func(c *Config) { c.Async = true }
	plain := func(c *Config) { c.PreVote, c.CheckQuorum = false, false }
	tiny := func(c *Config) {
		c.MaxMessageBytes, c.MaxCommittedBytes, c.MaxInflightMessages = 60, 100, 3
	}
	return []Story{
		{"chaos", all, 8, nil, Mild, chaotic},
		{"chaos_harsh", all, 6, nil, Harsh, chaotic},
		{"chaos_async", all, 6, async, Mild, chaotic},
		{"chaos_without_prevote_and_lease", all, 6, plain, Mild, chaotic},
		{"chaos_in_small_messages", all, 6, tiny, Mild, chaotic},
		{"the_same_seed_tells_the_same_story", three, 1, nil, Harsh, toldTwice},
	}
}

func chaotic(c *Cluster) {
	c.Slow = 0.2
	c.Found(c.lineup)
	c.Join(uint64(len(c.lineup)+1), 'o')
	c.Join(uint64(len(c.lineup)+2), 'u')
	for range 60 {
		c.anything()
		c.Ticks(c.rng.IntN(6))
	}
	c.Net.Heal(c.now)
	for _, n := range c.nodes {
		n.crashAt = 0
		if !n.Up() {
			c.Restart(n.ID)
		}
	}
	// Whoever was left in a joint membership is led out of it, perhaps with the help of members
	// that have only just joined: they take no snapshot that does not name them, so there have to
	// be newer ones.
	c.retry("all nodes agree and the membership is not joint", 80, 15, func() func() bool {
		for _, n := range c.Nodes() {
			n.compact(1)
		}
		if leader := c.Leader(); leader != nil && leader.joint() {
			_ = leader.member.ProposeConfChange(ConfChange{})
		}
		return func() bool { return c.Judge.agree() && !c.Leader().joint() }
	})
	c.Judge.Settle()
}

func (n *Node) joint() bool { return len(n.member.ConfState().VotersOutgoing) > 0 }

// anything does one thing.
func (c *Cluster) anything() {
	up := c.Nodes()
	if len(up) == 0 {
		c.Restart(1)
		return
	}
	n := up[c.rng.IntN(len(up))]
	leader := c.Leader()
	switch c.rng.IntN(16) {
	case 0, 1, 2, 3:
		if leader != nil {
			c.ProposeMany(leader.ID, 1+c.rng.IntN(5))
		}
	case 4:
		c.ProposeMany(n.ID, 2)
	case 5:
		_ = c.Read(n.ID)
	case 6:
		if leader != nil {
			_ = leader.member.Transfer(n.ID)
		}
	case 7:
		_ = n.member.Transfer(up[c.rng.IntN(len(up))].ID)
	case 8:
		c.Net.Partition([]uint64{n.ID})
	case 9:
		if len(up) > 3 {
			c.Net.Partition([]uint64{n.ID, c.other(n.ID)})
		}
	case 10:
		c.Net.Partition()
	case 11:
		c.CrashSoon(n.ID)
	case 12:
		c.restartSome()
	case 13:
		n.compact(uint64(c.rng.IntN(4)))
	case 14:
		c.anyChange(n)
	case 15:
		n.member.ForgetLeader()
	}
}

func (c *Cluster) restartSome() {
	for _, n := range c.nodes {
		if !n.Up() && c.rng.IntN(4) > 0 {
			c.Restart(n.ID)
		}
	}
}

// anyChange proposes a change that leaves the founding majority in the group, so that it lives on.
func (c *Cluster) anyChange(n *Node) {
	if leader := c.Leader(); leader != nil && c.rng.IntN(3) > 0 {
		n = leader
	}
	if n.joint() && c.rng.IntN(2) == 0 {
		_ = n.member.ProposeConfChange(ConfChange{})
		return
	}
	count := uint64(len(c.lineup))
	change := ConfChange{Transition: c.rng.IntN(3), Context: []byte{byte(c.rng.IntN(256))}}
	for _, id := range []uint64{count, count + 1, count + 2} {
		if c.rng.IntN(2) == 0 {
			operation := []int{AddVoter, AddVoter, AddLearner, Remove}[c.rng.IntN(4)]
			change.Changes = append(change.Changes, Change{operation, id})
		}
	}
	if len(change.Changes) == 0 {
		change.Changes = []Change{{Update, 1}}
	}
	if len(change.Changes) == 1 {
		change.V1 = c.rng.IntN(2) == 0
		change.Transition = change.Transition * c.rng.IntN(2)
	}
	if change.V1 {
		change.Transition = Auto
	}
	_ = n.member.ProposeConfChange(change)
}

// Without this no seed would reproduce anything.
func toldTwice(c *Cluster) {
	var ours Kind // in this process, or nil
	if c.host == nil {
		ours = c.kinds['o']
	}
	var traces [2]string
	for i := range traces {
		story := Story{Faults: Harsh, Tell: chaotic}
		traces[i] = tell(c.T, c.upstream, ours, story, c.lineup, 7)
	}
	if traces[0] != traces[1] || traces[0] == "" {
		c.Fatalf("one seed, two stories:\n%s\nand\n%s", traces[0], traces[1])
	}
}
