package interop

// Nodes that die at any step of a Ready and come back with what they had written, by advance or
// by storage threads of their own.
func restarts() []Story {
	plain := func(c *Config) { c.PreVote, c.CheckQuorum = false, false }
	plainAsync := func(c *Config) { c.PreVote, c.CheckQuorum, c.Async = false, false, true }
	async := func(c *Config) { c.Async = true }
	asyncTiny := func(c *Config) {
		c.Async, c.MaxMessageBytes, c.MaxCommittedBytes, c.MaxInflightMessages = true, 0, 40, 4
	}
	return []Story{
		{"everybody_restarts_in_turn", all, 3, nil, Clean, restartInTurn},
		{"crashes_under_load", all, 4, nil, Mild, crashesUnderLoad},
		{"crashes_under_harsh_faults", both, 6, nil, Harsh, crashesUnderLoad},
		{"all_restart_at_once", all, 3, nil, Mild, restartAtOnce},
		{"candidate_dies_before_its_write", both, 1, plain, Clean, candidateDies},
		// Upstream's own candidate, with asynchronous storage writes, fails here.
		{"candidate_dies_async", []Lineup{"uoo", "uuo"}, 1, plainAsync, Clean, candidateDies},
		{"async_writes", all, 3, async, Clean, asyncWrites},
		{"async_writes_under_faults", all, 4, async, Harsh, replicationUnderFaults},
		{"async_writes_in_pages", both, 4, asyncTiny, Mild, replicationUnderFaults},
		{"async_writes_conflicting_tails", all, 4, async, Mild, conflictingTails},
		{"async_writes_snapshots", both, 3, async, Mild, laggingFollower},
		{"async_writes_joint_change", both, 3, async, Mild, jointAuto},
		{"async_writes_crashes", all, 4, async, Mild, crashesUnderLoad},
	}
}

func restartInTurn(c *Cluster) {
	c.Found(c.lineup)
	c.MakeLeader(1)
	for _, n := range c.Nodes() {
		c.Replicate(n.ID, 2)
		switch c.rng.IntN(4) {
		case 0:
			n.mark()
		case 1:
			n.compact(uint64(c.rng.IntN(3)))
		case 2:
			n.compact(2)
			c.Replicate(n.ID, 1)
			n.mark()
		}
		c.Restart(n.ID)
		c.Until("somebody leads", 200, func() bool { return c.Leader() != nil })
	}
	c.Judge.Settle()
}

func crashesUnderLoad(c *Cluster) {
	c.Slow = 0.2
	c.Found(c.lineup)
	for range 8 {
		c.Within(60, func() bool { return c.Leader() != nil })
		victim := c.other(0)
		if leader := c.Leader(); leader != nil {
			if c.rng.IntN(2) == 0 {
				victim = leader.ID
			}
			c.ProposeMany(leader.ID, 4)
		}
		if n := c.Node(victim); n.Up() {
			c.CrashSoon(victim)
			if leader := c.Leader(); leader != nil {
				c.ProposeMany(leader.ID, 4)
			}
			if n.Up() && c.rng.IntN(3) == 0 {
				n.compact(uint64(c.rng.IntN(4)))
			}
			c.Within(10, func() bool { return !n.Up() })
		}
		c.Ticks(c.rng.IntN(20))
		c.Restart(victim)
	}
	c.Judge.Settle()
}

func restartAtOnce(c *Cluster) {
	c.Found(c.lineup)
	for range 3 {
		c.Until("somebody leads", 400, func() bool { return c.Leader() != nil })
		c.ProposeMany(c.Leader().ID, 8)
		for _, n := range c.Nodes() {
			switch c.rng.IntN(3) {
			case 0:
				n.mark()
			case 1:
				n.compact(1)
			}
			c.Crash(n.ID)
		}
		for _, id := range c.founders() {
			c.Restart(id)
		}
	}
	c.Judge.Settle()
}

// The append threads of both kinds are slow, and nothing is said before they are done.
func asyncWrites(c *Cluster) {
	c.Found(c.lineup)
	for _, leader := range []uint64{1, 3} {
		c.MakeLeader(leader)
		c.ProposeMany(leader, 20)
		for _, n := range c.Nodes() {
			c.ReadUntilAnswered(n.ID)
		}
	}
	c.Judge.Settle()
}

// A member takes entries and campaigns in one moment, and dies before it has written them. If its
// request for votes had left already, a vote for the log that it no longer has would be counted
// when it campaigns again in the same term, and a committed entry would be lost.
func candidateDies(c *Cluster) {
	c.Found(c.lineup)
	c.MakeLeader(1)
	c.Replicate(1, 1)
	c.Ticks(2)
	candidate := c.Node(3)
	c.Net.Hold = func(p Packet) bool { return p.To == 3 && p.Kind == MsgApp }
	c.Replicate(1, 1)
	// One more entry, which only the candidate will see.
	c.Net.Cut(1, 2)
	_, _ = c.Propose(1)
	c.Ticks(1)
	for _, f := range c.Net.held {
		candidate.member.Step(f.packet)
	}
	c.Net.held = nil
	c.Crash(1)
	candidate.member.Campaign()
	candidate.crashAt = crashBeforeWrite
	c.Net.Hold = func(p Packet) bool { return p.To == 3 && p.Kind == MsgVoteResp }
	c.Until("the candidate dies", 2, func() bool { return !candidate.Up() })
	c.Ticks(1)
	c.Restart(3)
	c.Phase()
	candidate.member.Campaign()
	c.Phase()
	c.Net.Release(c.now)
	c.Ticks(5)
	c.Restart(1)
	c.Judge.Settle()
}
