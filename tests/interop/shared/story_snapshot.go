package interop

// Snapshots both ways: a member that lags behind the leader's log, of the other kind or of the
// same, is restored from the leader's snapshot.
func snapshots() []Story {
	return []Story{
		{"lagging_follower_gets_a_snapshot", all, 3, nil, Clean, laggingFollower},
		{"lagging_follower_under_faults", all, 4, nil, Harsh, laggingFollower},
		{"snapshot_whose_fate_is_not_reported", both, 3, nil, Clean, snapshotNotReported},
		{"lagging_follower_needs_no_snapshot", all, 3, nil, Clean, noSnapshotNeeded},
		{"new_member_gets_a_snapshot", both, 3, nil, Mild, newMemberBySnapshot},
		{"snapshot_in_a_joint_membership", both, 3, nil, Clean, snapshotWhileJoint},
		{"snapshot_that_the_log_has_already", both, 2, nil, Clean, snapshotAlreadyThere},
		{"everybody_compacts", all, 4, nil, Mild, everybodyCompacts},
	}
}

func laggingFollower(c *Cluster) {
	c.Found(c.lineup)
	c.MakeLeader(1)
	c.Replicate(1, 2)
	for _, lagging := range c.Nodes()[1:] {
		c.Net.Partition([]uint64{lagging.ID})
		c.Replicate(1, 6)
		compacted := false
		for _, n := range c.Nodes() {
			if n != lagging && n.compact(uint64(c.rng.IntN(3))) {
				compacted = true
			}
		}
		before := lagging.Disk.Snapshot
		c.Net.Partition()
		c.Until("the lagging node catches up", 400, func() bool {
			leader := c.Leader()
			return leader != nil && lagging.Applied() >= leader.state.Commit
		})
		if compacted && lagging.Disk.Snapshot == before {
			c.Fatalf("node %d caught up without a snapshot", lagging.ID)
		}
		c.MakeLeader(1)
	}
	// Who was restored can lead.
	c.MakeLeader(3)
	c.Replicate(3, 2)
	c.Judge.Settle()
}

// The member's own answer tells the leader enough.
func snapshotNotReported(c *Cluster) {
	c.silent = true
	laggingFollower(c)
}

// Who is behind, but not behind the log, is found by its hints and gets what it lacks.
func noSnapshotNeeded(c *Cluster) {
	c.Found(c.lineup)
	c.MakeLeader(1)
	c.Replicate(1, 3)
	for _, lagging := range c.Nodes()[1:] {
		c.Until("all are up to date", 20, c.Judge.agree)
		c.Node(1).compact(0)
		c.Net.Partition([]uint64{lagging.ID})
		c.Replicate(1, 8)
		c.Net.Partition()
		c.Until("the lagging node catches up", 100, func() bool {
			return lagging.Applied() == c.Node(1).Applied()
		})
		if lagging.Disk.Snapshot != nil {
			c.Fatalf("node %d was sent a snapshot", lagging.ID)
		}
		c.MakeLeader(1)
	}
	c.Judge.Settle()
}

func newMemberBySnapshot(c *Cluster) {
	c.Found(c.lineup)
	c.MakeLeader(1)
	c.Replicate(1, 10)
	c.Node(1).compact(0)
	for i, kind := range []rune{'o', 'u'} {
		id := uint64(4 + i)
		c.MakeLeader(1)
		c.Join(id, kind)
		want := c.Node(1).member.ConfState()
		want.Voters = append(sorted(want.Voters), id)
		leader := c.Node(1)
		c.retry("the leader knows the new member", 40, 10, func() func() bool {
			_ = leader.member.ProposeConfChange(single(AddVoter, id))
			return func() bool { return leader.member.ConfState().voter(id) }
		})
		// A snapshot that does not name it would not be taken.
		leader.compact(0)
		c.Until("the new member is restored", 200, func() bool { return c.hasMembership(want) })
		if c.Node(id).Disk.Snapshot == nil {
			c.Fatalf("node %d joined without a snapshot", id)
		}
		c.Replicate(id, 1)
	}
	c.Judge.Settle()
}

// The snapshot of a group in transition brings the whole transition with it.
func snapshotWhileJoint(c *Cluster) {
	c.Found(c.lineup)
	c.MakeLeader(1)
	for _, absent := range []uint64{3, 2} {
		c.MakeLeader(1)
		c.Net.Partition([]uint64{absent})
		voters := []uint64{1, 2, 3}
		joint := ConfState{
			Voters: without(voters, absent), VotersOutgoing: voters, LearnersNext: []uint64{absent},
		}
		c.Change(1, ConfChange{
			Transition: JointExplicit, Changes: []Change{{AddLearner, absent}, {Update, 1}},
		}, joint)
		c.Replicate(1, 3)
		c.Node(1).compact(0)
		c.Net.Partition()
		c.Until("the absent node is restored", 100, func() bool {
			return c.Node(absent).member.ConfState().String() == joint.String() &&
				c.Node(absent).Applied() == c.Node(1).state.Commit
		})
		c.Change(1, ConfChange{},
			ConfState{Voters: without(voters, absent), Learners: []uint64{absent}})
		c.Change(1, single(AddVoter, absent), ConfState{Voters: voters})
	}
	c.Judge.Settle()
}

// The leader believes a member to be behind its log, but only the answers were lost: the snapshot
// moves the commit index at most, and replication goes on.
func snapshotAlreadyThere(c *Cluster) {
	c.Found(c.lineup)
	c.MakeLeader(1)
	c.Replicate(1, 2)
	c.Ticks(2)
	sent := 0
	c.Net.Spy = func(p Packet) {
		if p.Kind == MsgSnap {
			sent++
		}
	}
	c.Net.Cut(3, 1)
	c.Replicate(1, 5)
	c.Node(1).compact(0)
	c.Node(1).member.ReportUnreachable(3)
	c.Ticks(1)
	c.Net.Heal(c.now)
	c.Until("a snapshot is sent", 20, func() bool { return sent > 0 })
	c.Replicate(1, 3)
	c.Until("node 3 follows", 20, func() bool { return c.Node(3).Applied() == c.Node(1).Applied() })
	if c.Node(3).Disk.Snapshot != nil {
		c.Fatalf("node 3 replaced a log by a snapshot that it had already")
	}
	c.Judge.Settle()
}

func everybodyCompacts(c *Cluster) {
	c.Found(c.lineup)
	for range 6 {
		c.Until("somebody leads", 1000, func() bool { return c.Leader() != nil })
		victim := c.other(0)
		c.Net.Partition([]uint64{victim})
		c.ProposeMany(c.Leader().ID, 10)
		c.Ticks(c.rng.IntN(15))
		for _, n := range c.Nodes() {
			n.compact(uint64(c.rng.IntN(5)))
		}
		c.Net.Partition()
		c.Ticks(c.rng.IntN(20))
		if c.rng.IntN(3) == 0 {
			c.Restart(victim)
		}
	}
	c.Judge.Settle()
}
