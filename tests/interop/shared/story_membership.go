package interop

// One-step and joint changes, proposed by either kind, to the leader or through a follower.
func membership() []Story {
	return []Story{
		{"learner_joins_and_is_promoted", all, 2, nil, Clean, learnerIsPromoted},
		{"learner_joins_under_faults", both, 3, nil, Mild, learnerIsPromoted},
		{"joint_change_is_left_by_itself", all, 2, nil, Clean, jointAuto},
		{"joint_change_under_faults", both, 4, nil, Mild, jointAuto},
		{"joint_change_under_harsh_faults", three, 4, nil, Harsh, jointAuto},
		{"joint_change_is_left_explicitly", all, 2, nil, Clean, jointExplicit},
		{"joint_change_is_left_under_faults", both, 3, nil, Mild, jointExplicit},
		{"changes_through_followers", all, 2, nil, Clean, changesThroughFollowers},
		{"leader_is_removed", all, 2, nil, Clean, leaderIsRemoved},
		{"leader_is_removed_under_faults", both, 3, nil, Mild, leaderIsRemoved},
		{"leader_leads_on_without_stepping_down", both, 2, leadOn, Clean, leaderIsRemoved},
		{"leader_is_demoted", both, 2, nil, Clean, leaderIsDemoted},
		{"auto_leave_by_the_next_leader", all, 3, nil, Clean, autoLeaveByNextLeader},
		{"refused_changes_are_replaced", both, 1, nil, Clean, refusedChanges},
		{"restart_in_a_joint_membership", both, 3, nil, Clean, restartWhileJoint},
	}
}

func leadOn(c *Config) { c.StepDownOnRemoval = false }

// single is a change of one member in the older form.
func single(operation int, id uint64) ConfChange {
	return ConfChange{V1: true, Changes: []Change{{operation, id}}, Context: []byte("v1")}
}

// founders are the ids of the founding members.
func (c *Cluster) founders() (ids []uint64) {
	for i := range c.lineup {
		ids = append(ids, uint64(i+1))
	}
	return ids
}

func without(ids []uint64, gone uint64) (left []uint64) {
	for _, id := range ids {
		if id != gone {
			left = append(left, id)
		}
	}
	return left
}

func with(ids []uint64, more ...uint64) []uint64 {
	return append(append([]uint64(nil), ids...), more...)
}

// A learner of each kind joins, catches up, is promoted, leads, and leaves again.
func learnerIsPromoted(c *Cluster) {
	c.Found(c.lineup)
	voters := c.founders()
	for i, kind := range []rune{'u', 'o'} {
		c.MakeLeader(1)
		id := uint64(len(c.lineup) + 1 + i)
		c.Join(id, kind)
		c.Change(1, single(AddLearner, id), ConfState{Voters: voters, Learners: []uint64{id}})
		c.Replicate(1, 3)
		promote := ConfChange{Changes: []Change{{AddVoter, id}}, Context: []byte("v2")}
		c.Change(1, promote, ConfState{Voters: with(voters, id)})
		c.MakeLeader(id)
		c.Replicate(id, 2)
		c.MakeLeader(1)
		c.Change(1, single(Remove, id), ConfState{Voters: voters})
		c.Forget(id)
	}
	c.Judge.Settle()
}

// One member comes for another, in one change.
func jointAuto(c *Cluster) {
	c.Found(c.lineup)
	voters := c.founders()
	next := uint64(len(voters) + 1)
	for i, kind := range []rune{'u', 'o'} {
		c.MakeLeader(1)
		c.Join(next, kind)
		gone := voters[len(voters)-1]
		swap := ConfChange{Changes: []Change{{AddVoter, next}, {Remove, gone}}}
		if i == 1 {
			swap = ConfChange{
				Transition: JointImplicit, Changes: []Change{{Remove, gone}, {AddVoter, next}},
			}
		}
		voters = with(without(voters, gone), next)
		c.Change(1, swap, ConfState{Voters: voters})
		c.Forget(gone)
		c.Replicate(next, 1)
		next++
	}
	// A single step through a joint membership.
	c.MakeLeader(1)
	demote := ConfChange{Transition: JointImplicit, Changes: []Change{{AddLearner, 2}}}
	c.Change(1, demote, ConfState{Voters: without(voters, 2), Learners: []uint64{2}})
	c.Judge.Settle()
}

// The application decides when a joint membership is left; meanwhile both majorities rule.
func jointExplicit(c *Cluster) {
	c.Found(c.lineup)
	voters := c.founders()
	next := uint64(len(voters) + 1)
	for _, kind := range []rune{'o', 'u'} {
		c.MakeLeader(1)
		c.Join(next, kind)
		enter := ConfChange{
			Transition: JointExplicit, Context: []byte("enter"),
			Changes: []Change{{AddVoter, next}, {AddLearner, 2}},
		}
		c.Change(1, enter, ConfState{
			Voters: with(without(voters, 2), next), VotersOutgoing: voters,
			LearnersNext: []uint64{2},
		})
		c.Replicate(1, 2)
		// Who is of both halves can lead it out as well.
		c.MakeLeader(3)
		c.Change(3, ConfChange{Context: []byte("leave")}, ConfState{
			Voters: with(without(voters, 2), next), Learners: []uint64{2},
		})
		c.Change(3, ConfChange{
			Transition: JointImplicit, Changes: []Change{{AddVoter, 2}, {Remove, next}},
		}, ConfState{Voters: voters})
		c.Forget(next)
		next++
	}
	c.Judge.Settle()
}

// A follower's change is as good as the leader's.
func changesThroughFollowers(c *Cluster) {
	c.Found(c.lineup)
	c.MakeLeader(1)
	voters := c.founders()
	next := uint64(len(voters) + 1)
	for _, follower := range []uint64{2, 3} {
		for _, kind := range []rune{'o', 'u'} {
			c.Join(next, kind)
			c.Change(follower, single(AddLearner, next),
				ConfState{Voters: voters, Learners: []uint64{next}})
			enter := ConfChange{
				Transition: JointExplicit, Changes: []Change{{AddVoter, next}, {Update, 1}},
			}
			c.Change(follower, enter,
				ConfState{Voters: with(voters, next), VotersOutgoing: voters})
			c.Change(follower, ConfChange{}, ConfState{Voters: with(voters, next)})
			c.Change(follower, single(Remove, next), ConfState{Voters: voters})
			c.Forget(next)
			next++
		}
	}
	c.Judge.Settle()
}

// The leader goes, in one step or through a joint membership; the others go on.
func leaderIsRemoved(c *Cluster) {
	c.Found(c.lineup)
	voters := c.founders()
	c.Join(9, 'u')
	c.MakeLeader(1)
	voters = with(voters, 9)
	c.Change(1, single(AddVoter, 9), ConfState{Voters: voters})
	c.removeLeader(single(Remove, 1), 1, ConfState{Voters: without(voters, 1)})
	voters = without(voters, 1)
	c.Until("somebody else leads", 300, func() bool { return c.Leader() != nil })
	leader := c.Leader().ID
	c.Replicate(leader, 2)
	c.MakeLeader(leader)
	c.Join(8, 'o')
	voters = with(without(voters, leader), 8)
	c.removeLeader(ConfChange{Changes: []Change{{Remove, leader}, {AddVoter, 8}}}, leader,
		ConfState{Voters: voters})
	c.Until("somebody else leads", 300, func() bool { return c.Leader() != nil })
	c.Replicate(c.Leader().ID, 2)
	c.Judge.Settle()
}

// removeLeader has the leader propose its own end, and takes it away when the others know.
func (c *Cluster) removeLeader(change ConfChange, id uint64, want ConfState) {
	c.Helper()
	c.retry("the leader is removed", 30, 15, func() func() bool {
		leader := c.Leader()
		if leader != nil && leader.member.ConfState().String() != want.String() {
			_ = leader.member.ProposeConfChange(change)
		}
		return func() bool {
			known := 0
			for _, n := range c.Nodes() {
				if n.ID != id && n.member.ConfState().String() == want.String() {
					known++
				}
			}
			return known == len(want.Voters)
		}
	})
	c.Forget(id)
}

func leaderIsDemoted(c *Cluster) {
	c.Found(c.lineup)
	c.MakeLeader(1)
	want := ConfState{Voters: []uint64{2, 3}, Learners: []uint64{1}}
	c.retry("the leader is demoted", 30, 15, func() func() bool {
		_ = c.Node(1).member.ProposeConfChange(ConfChange{
			Transition: JointImplicit, Changes: []Change{{AddLearner, 1}},
		})
		return func() bool { return c.Node(3).member.ConfState().String() == want.String() }
	})
	c.Until("somebody else leads", 100, func() bool {
		return c.Leader() != nil && c.Leader().ID != 1
	})
	c.Replicate(c.Leader().ID, 2)
	c.Judge.Settle()
	// It is needed again.
	c.Change(c.Leader().ID, single(AddVoter, 1), ConfState{Voters: []uint64{1, 2, 3}})
	c.MakeLeader(1)
	c.Judge.Settle()
}

// The leader dies when it has entered a joint membership and is about to leave it: the next one,
// of the other kind, does that.
func autoLeaveByNextLeader(c *Cluster) {
	c.Found(c.lineup)
	c.MakeLeader(1)
	next := uint64(len(c.lineup) + 1)
	c.Join(next, c.kindOf(2))
	n := c.Node(1)
	n.crashAt, n.crashIf = crashBeforeAdvance, func(r *Ready) bool {
		for _, e := range r.Committed {
			if e.Type == EntryConfChangeV2 {
				return true
			}
		}
		return false
	}
	_ = n.member.ProposeConfChange(ConfChange{
		Changes: []Change{{AddVoter, next}, {Update, 1}},
	})
	c.Until("the leader dies", 50, func() bool { return !n.Up() })
	want := ConfState{Voters: with(c.founders(), next)}
	c.Until("the next leader leaves the joint membership", 200, func() bool {
		return c.hasMembership(want)
	})
	c.Restart(1)
	c.Judge.Settle()
}

// What cannot follow the present membership becomes an empty entry, with either leader.
func refusedChanges(c *Cluster) {
	c.Found(c.lineup)
	for _, leader := range []uint64{1, 3} {
		c.MakeLeader(leader)
		voters := ConfState{Voters: []uint64{1, 2, 3}}
		c.Replicate(leader, 1)
		m := c.Node(leader).member
		// Leaving what was never entered; and a second change before the first is applied.
		_ = m.ProposeConfChange(ConfChange{})
		c.Ticks(5)
		_ = m.ProposeConfChange(ConfChange{
			Transition: JointExplicit, Changes: []Change{{AddLearner, 2}},
		})
		_ = m.ProposeConfChange(single(Remove, 2))
		joint := ConfState{
			Voters: []uint64{1, 3}, VotersOutgoing: []uint64{1, 2, 3}, LearnersNext: []uint64{2},
		}
		c.Until("the first change is applied", 20, func() bool { return c.hasMembership(joint) })
		// A change of a joint membership, other than the order to leave it.
		_ = m.ProposeConfChange(single(Remove, 2))
		c.Ticks(5)
		if !c.hasMembership(joint) {
			c.Fatalf("a change of a joint membership was taken\n%s", c.describe())
		}
		c.Change(leader, ConfChange{}, ConfState{Voters: []uint64{1, 3}, Learners: []uint64{2}})
		c.Change(leader, single(AddVoter, 2), voters)
	}
	c.Judge.Settle()
}

// Every node restarts in a joint membership, from its log alone or from the application's mark.
func restartWhileJoint(c *Cluster) {
	c.Found(c.lineup)
	c.MakeLeader(1)
	joint := ConfState{
		Voters: []uint64{1, 3}, VotersOutgoing: []uint64{1, 2, 3}, LearnersNext: []uint64{2},
	}
	c.Change(1, ConfChange{
		Transition: JointExplicit, Changes: []Change{{AddLearner, 2}, {Update, 3}},
	}, joint)
	for _, n := range c.Nodes() {
		switch c.rng.IntN(3) {
		case 0:
			n.mark()
		case 1:
			n.compact(0)
		}
	}
	for _, id := range c.founders() {
		c.Restart(id)
	}
	c.Until("the group is joint again", 200, func() bool { return c.hasMembership(joint) })
	c.Change(c.Leader().ID, ConfChange{}, ConfState{Voters: []uint64{1, 3}, Learners: []uint64{2}})
	c.Judge.Settle()
}
