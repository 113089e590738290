package interop

import "fmt"

// Elections both ways: whoever campaigns needs votes of the other kind.
func elections() (stories []Story) {
	for _, preVote := range []bool{false, true} {
		for _, checkQuorum := range []bool{false, true} {
			switches := func(c *Config) { c.PreVote, c.CheckQuorum = preVote, checkQuorum }
			suffix := fmt.Sprintf("_prevote_%v_checkquorum_%v", preVote, checkQuorum)
			tell := func(name string, where []Lineup, faults Faults, story func(*Cluster)) {
				stories = append(stories, Story{name + suffix, where, 2, switches, faults, story})
			}
			tell("election_won", all, Clean, electionWon)
			tell("election_under_faults", both, Harsh, electionsUnderFaults)
			tell("stale_log_is_denied", both, Clean, staleLogIsDenied)
			tell("absent_member_returns", both, Clean, absentMemberReturns)
		}
	}
	lease := func(c *Config) { c.PreVote = false }
	switchedOn := func(c *Config) { c.CheckQuorum = false }
	return append(stories,
		Story{"leader_without_quorum_steps_down", all, 2, nil, Clean, leaderWithoutQuorum},
		Story{"lease_denies_votes", both, 2, lease, Clean, leaseDeniesVotes},
		Story{"forgotten_leader_frees_votes", both, 2, nil, Clean, forgottenLeader},
		Story{"prevote_is_switched_on_later", both, 2, switchedOn, Clean, preVoteSwitchedOn},
		Story{"group_given_from_the_start", three, 2, nil, Mild, groupGiven},
	)
}

// Every node wins an election in its turn, by the votes of a majority.
func electionWon(c *Cluster) {
	c.Found(c.lineup)
	for _, n := range c.Nodes() {
		if old := c.Leader(); old != nil {
			c.Crash(old.ID)
			// The lease of the old leader runs out; perhaps somebody else gets ahead.
			c.Within(30, c.nobodyFollows)
			c.Restart(old.ID)
		}
		c.MakeLeader(n.ID)
		votes := 0
		for _, voter := range c.Nodes() {
			if voter.member.State().Vote == n.ID {
				votes++
			}
		}
		if votes <= len(c.lineup)/2 {
			c.Fatalf("node %d leads by %d votes", n.ID, votes)
		}
		c.Replicate(n.ID, 1)
	}
	c.Judge.Settle()
}

// nobodyFollows says whether no node knows a leader.
func (c *Cluster) nobodyFollows() bool {
	for _, n := range c.Nodes() {
		if n.state.Leader != 0 {
			return false
		}
	}
	return true
}

func electionsUnderFaults(c *Cluster) {
	c.Found(c.lineup)
	for range 4 {
		c.Until("somebody leads", 1000, func() bool { return c.Leader() != nil })
		leader := c.Leader().ID
		c.ProposeMany(leader, 5)
		c.Crash(leader)
		c.Ticks(3 * ElectionTicks)
		c.Restart(leader)
	}
	c.Judge.Settle()
}

// A candidate that lacks a committed entry wins with nobody's help.
func staleLogIsDenied(c *Cluster) {
	c.Found(c.lineup)
	c.MakeLeader(1)
	stale := c.Node(3)
	c.Replicate(1, 1)
	c.Net.Hold = func(p Packet) bool { return p.To == stale.ID && p.Kind == MsgApp }
	c.Replicate(1, 3)
	before := len(c.Judge.leaders)
	if !c.defaults.CheckQuorum {
		stale.member.Campaign()
	} else {
		// Its request is heard only when the leader is not.
		c.Crash(1)
		c.Ticks(2 * ElectionTicks)
		stale.member.Campaign()
		c.Ticks(5)
		c.Restart(1)
	}
	c.Ticks(40)
	if c.Judge.led(stale.ID, before) {
		c.Fatalf("node %d won with a stale log", stale.ID)
	}
	c.Judge.Settle()
}

// Who was cut off comes back: with pre-vote it does not disturb, without it the group still finds
// together.
func absentMemberReturns(c *Cluster) {
	c.Found(c.lineup)
	c.MakeLeader(1)
	absent := c.Node(3)
	term := absent.member.State().Term
	c.Net.Partition([]uint64{absent.ID})
	c.Replicate(1, 2)
	c.Ticks(6 * ElectionTicks)
	raised := absent.member.State().Term
	if c.defaults.PreVote == (raised > term) {
		c.Fatalf("alone, node %d went from term %d to %d", absent.ID, term, raised)
	}
	c.Net.Heal(c.now)
	if c.defaults.PreVote {
		// It asks before it hears of the leader.
		absent.member.Campaign()
	}
	c.Ticks(4 * ElectionTicks)
	if c.defaults.PreVote && c.Node(1).member.State().Term != term {
		c.Fatalf("the leader's term %d was disturbed: now %d", term, c.Node(1).member.State().Term)
	}
	c.Judge.Settle()
	if got := c.Leader().state.Term; got < raised {
		c.Fatalf("the group is at term %d, node %d was at %d", got, absent.ID, raised)
	}
}

func leaderWithoutQuorum(c *Cluster) {
	c.Found(c.lineup)
	c.MakeLeader(1)
	c.Net.Partition([]uint64{1})
	c.Until("the leader steps down", 3*ElectionTicks, func() bool {
		return c.Node(1).state.Role != Leader
	})
	c.Until("somebody else leads", 200, func() bool {
		leader := c.Leader()
		return leader != nil && leader.ID != 1
	})
	c.Replicate(c.Leader().ID, 2)
	c.Judge.Settle()
}

// While a leader lives, nobody answers a candidate, except that the leader's next message tells
// it apart from the group.
func leaseDeniesVotes(c *Cluster) {
	c.Found(c.lineup)
	c.MakeLeader(1)
	c.Ticks(2)
	answers := 0
	c.Net.Spy = func(p Packet) {
		if p.Kind == MsgVoteResp {
			answers++
		}
	}
	c.Net.Hold = func(p Packet) bool { return p.To == 1 && p.Kind == MsgAppResp }
	c.Node(3).member.Campaign()
	c.Ticks(2)
	if answers > 0 {
		c.Fatalf("%d votes were answered within the lease", answers)
	}
	if c.Node(2).member.State().Term == c.Node(3).member.State().Term {
		c.Fatalf("a candidate raised the term within the lease")
	}
	c.Judge.Settle()
}

// A member comes from the time before pre-vote, with a higher term and a shorter log: who could
// win learns its term from its answer, or the group would wait for ever.
func preVoteSwitchedOn(c *Cluster) {
	c.Found(c.lineup)
	for i, high := range []uint64{3, 2} {
		long := []uint64{2, 3}[i]
		c.MakeLeader(1)
		c.Replicate(1, 1)
		c.Node(high).config.PreVote = false
		c.Restart(high)
		c.Net.Partition([]uint64{high})
		c.Replicate(1, 2)
		c.Ticks(8 * ElectionTicks)
		c.Until("the other is up to date", 10, func() bool {
			return c.Node(long).Applied() == c.Node(1).Applied()
		})
		c.Crash(1)
		c.Node(high).config.PreVote = true
		c.Restart(high)
		c.Net.Partition()
		c.Until("the one that can win does", 200, func() bool { return c.Leads(long) })
		c.Restart(1)
	}
	c.Judge.Settle()
}

// Followers that are told that their leader is dead vote at once.
func forgottenLeader(c *Cluster) {
	c.Found(c.lineup)
	c.MakeLeader(1)
	c.Replicate(1, 2)
	c.Until("node 3 is up to date", 10, func() bool {
		return c.Node(3).Applied() == c.Node(1).Applied()
	})
	c.Crash(1)
	for _, n := range c.Nodes() {
		n.member.ForgetLeader()
	}
	c.Node(3).member.Campaign()
	c.Until("node 3 leads at once", 4, func() bool {
		return c.Leader() != nil && c.Leader().ID == 3
	})
	c.Judge.Settle()
}

// A group whose membership is stored, not written as entries.
func groupGiven(c *Cluster) {
	c.FoundGiven(c.lineup)
	c.Until("somebody leads", 400, func() bool { return c.Leader() != nil })
	c.Replicate(1, 5)
	c.Judge.Settle()
}
