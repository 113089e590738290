//! Membership changes (paper, section 6; thesis, chapter 4): one at a time, in effect when
//! applied, direct or through a joint configuration. What cannot be applied is in `poison`.

use raftcore::{
    AnyConfChange, Body, ConfChangeOutcome, ConfChangeV2, ConfState, DropReason, EntryKind, Error,
    MemoryStorage, MessageKind, Refusal, ReplaceReason, RoleKind, Transition,
};

use crate::support::{
    Group, Member, accepted, append, append_one, at, change_v2, conf_entry, conf_proposal,
    fingerprint, heartbeat_response, id, install, joint, many, one, proposal, snapshot, texts,
    transfer_order, vote_response, voters, with_learners,
};

use Transition::{Auto, JointExplicit, JointImplicit};

/// A leader that has committed the first entry of its term, with everybody replicating.
fn leader_of(members: &[u64]) -> Member {
    let mut leader = Member::new(1, members);
    leader.lead_all();
    leader
}

fn propose(member: &mut Member, change: &AnyConfChange) -> ConfChangeOutcome {
    member.propose_conf_change(change).unwrap()
}

/// Proposes, gets it acknowledged by everybody, and applies it.
fn change(leader: &mut Member, change: &AnyConfChange) {
    let outcome = propose(leader, change);
    assert!(matches!(outcome, ConfChangeOutcome::Appended(_)), "{outcome:?}");
    acknowledge_all(leader);
}

/// Everybody acknowledges everything, until nothing is left to commit.
fn acknowledge_all(leader: &mut Member) {
    for _ in 0..3 {
        leader.drain();
        let members: Vec<u64> =
            leader.status().membership.members().map(|member| member.get()).collect();
        for member in members.into_iter().filter(|member| *member != 1) {
            if leader.role() == RoleKind::Leader {
                leader.acknowledge(member);
            }
        }
    }
    leader.drain();
}

fn replaced(outcome: ConfChangeOutcome) -> ReplaceReason {
    match outcome {
        ConfChangeOutcome::Replaced { reason, .. } => reason,
        other => panic!("it was to be replaced: {other:?}"),
    }
}

// One change after the other.

#[test]
fn a_change_takes_effect_when_it_is_applied() {
    let mut leader = leader_of(&[1, 2, 3]);
    assert_eq!(propose(&mut leader, &one("v4")), ConfChangeOutcome::Appended(at(1, 2)));
    leader.drain();
    assert_eq!(leader.members(), "voters=(1 2 3)", "appended");
    leader.acknowledge(2);
    assert_eq!((leader.members().as_str(), leader.commit()), ("voters=(1 2 3)", 2), "committed");
    leader.drain();
    assert_eq!(leader.members(), "voters=(1 2 3 4)", "applied");
}

#[test]
fn members_come_go_and_change_their_part() {
    let check = |text: &AnyConfChange, expect: &str| {
        let mut leader = leader_of(&[1, 2, 3]);
        change(&mut leader, text);
        assert_eq!(leader.members(), expect);
    };
    for form in [one, |text: &str| many(Auto, text)] {
        check(&form("v4"), "voters=(1 2 3 4)");
        check(&form("l4"), "voters=(1 2 3) learners=(4)");
        check(&form("l3"), "voters=(1 2) learners=(3)");
        check(&form("r3"), "voters=(1 2)");
        check(&form("u3"), "voters=(1 2 3)");
        check(&form("v3"), "voters=(1 2 3)");
        check(&form("r7"), "voters=(1 2 3)");
    }
}

#[test]
fn each_form_of_change_has_its_own_kind_of_entry() {
    for (change, kind) in
        [(one("v4"), EntryKind::ConfChange), (many(Auto, "v4"), EntryKind::ConfChangeV2)]
    {
        let mut leader = leader_of(&[1, 2, 3]);
        propose(&mut leader, &change);
        let ready = leader.take_ready();
        assert_eq!(ready.entries.last(), Some(&conf_entry(1, 2, &change)));
        assert_eq!(ready.entries.last().unwrap().kind, kind);
        leader.handle(ready);
    }
}

#[test]
fn a_second_change_waits_for_the_first_to_be_applied() {
    let mut leader = leader_of(&[1, 2, 3]);
    propose(&mut leader, &one("v4"));
    let outcome = propose(&mut leader, &one("v5"));
    // The log takes an empty entry in its place (mistake 21).
    let pending = ReplaceReason::Pending { at: at(1, 2).index, applied: at(1, 1).index };
    assert_eq!(replaced(outcome), pending);
    let ready = leader.take_ready();
    let last = ready.entries.last().unwrap();
    assert_eq!((last.kind, last.data.len(), last.index.0), (EntryKind::Normal, 0, 3));
    leader.handle(ready);
    assert_eq!(leader.metrics().conf_changes_replaced, 1);
    acknowledge_all(&mut leader);
    assert_eq!(leader.members(), "voters=(1 2 3 4)");
    change(&mut leader, &one("v5"));
    assert_eq!(leader.members(), "voters=(1 2 3 4 5)");
}

#[test]
fn of_several_changes_in_one_proposal_the_first_is_taken() {
    let mut leader = leader_of(&[1, 2, 3]);
    let all: raftcore::Entries =
        [one("v4"), one("v5")].iter().map(|change| conf_entry(0, 0, change)).collect();
    leader.step(crate::support::message(2, 1, 0, Body::Propose(all))).unwrap();
    let ready = leader.take_ready();
    let kinds: Vec<EntryKind> = ready.entries.iter().map(|entry| entry.kind).collect();
    assert_eq!(kinds, [EntryKind::ConfChange, EntryKind::Normal]);
    leader.handle(ready);
}

#[test]
fn a_new_leader_takes_no_change_before_it_has_applied_what_it_found() {
    let mut leader = Member::with_log(1, &[1, 2, 3], &[1, 1], 0);
    leader.become_leader();
    // Something in the tail may be a change (mistake 23).
    let pending = ReplaceReason::Pending { at: at(1, 2).index, applied: at(0, 0).index };
    assert_eq!(replaced(propose(&mut leader, &one("v4"))), pending);
    acknowledge_all(&mut leader);
    change(&mut leader, &one("v4"));
    assert_eq!(leader.members(), "voters=(1 2 3 4)");
}

#[test]
fn a_change_of_an_earlier_leader_is_still_pending_for_the_next() {
    let mut leader = Member::new(1, &[1, 2, 3]);
    leader.step(append_one(2, 1, (0, 0), conf_entry(1, 1, &one("v4")), 0)).unwrap();
    leader.drain();
    leader.become_leader();
    assert!(matches!(replaced(propose(&mut leader, &one("r3"))), ReplaceReason::Pending { .. }));
    acknowledge_all(&mut leader);
    assert_eq!(leader.members(), "voters=(1 2 3 4)");
}

#[test]
fn a_newcomer_is_sent_what_there_is_without_waiting_for_a_heartbeat() {
    let mut leader = leader_of(&[1, 2, 3]);
    propose(&mut leader, &one("v4"));
    leader.drain();
    leader.acknowledge(2);
    let sent = leader.drain();
    let to_4 = sent.iter().filter(|m| m.to == id(4)).map(crate::support::text);
    let expected =
        vec!["1->4 MsgApp Term:1 Log:1/1 Commit:2 Entries:[1/2 EntryConfChange v4]".to_string()];
    assert_eq!(to_4.collect::<Vec<_>>(), expected);
    assert_eq!(leader.progress_of(4), "StateProbe match=0 next=2 paused");
}

#[test]
fn a_newcomer_counts_as_alive_until_the_next_check() {
    let mut leader = Member::with(1, &[1], |c| c.check_quorum = true);
    leader.become_leader();
    leader.propose_conf_change(&one("v2")).unwrap();
    leader.drain();
    assert_eq!(leader.members(), "voters=(1 2)");
    leader.tick_times(10);
    assert_eq!(leader.role(), RoleKind::Leader);
    leader.tick_times(10);
    assert_eq!(leader.role(), RoleKind::Follower);
}

#[test]
fn removing_a_member_may_commit_what_waited_for_it() {
    let mut leader = leader_of(&[1, 2]);
    propose(&mut leader, &one("r2"));
    leader.drain();
    leader.propose("waits").unwrap();
    leader.drain();
    leader.step(accepted(2, 1, 1, 2)).unwrap();
    // Index 2 is the change; once it is applied, nobody else is needed for index 3.
    leader.drain();
    assert_eq!((leader.members().as_str(), leader.commit()), ("voters=(1)", 3));
    assert_eq!(leader.payloads(), ["waits"]);
}

#[test]
fn a_removed_member_is_no_longer_heard() {
    let mut leader = leader_of(&[1, 2, 3]);
    change(&mut leader, &one("r3"));
    let before = fingerprint(&leader);
    for message in [accepted(3, 1, 1, 2), heartbeat_response(3, 1, 1, b"")] {
        assert_eq!(leader.step(message), Err(Error::Refused(Refusal::NotAMember(id(3)))));
    }
    assert_eq!(fingerprint(&leader), before);
    leader.propose("x").unwrap();
    assert!(leader.drain().iter().all(|m| m.to != id(3)));
}

#[test]
fn a_member_that_is_removed_and_added_again_is_new() {
    for readd in ["r3 v3", "r3 l3"] {
        let mut leader = leader_of(&[1, 2, 3]);
        change(&mut leader, &one("r3"));
        leader.apply_conf_change(&change_v2(Auto, &readd[3..])).unwrap();
        // What the leader knew was about another life (mistake 55).
        let progress = leader.progress_of(3);
        assert!(progress.starts_with("StateProbe match=0 next=2"), "{progress}");
    }
    // The same in one change. Who stays an outgoing voter was never gone.
    let mut leader = leader_of(&[1, 2, 3]);
    change(&mut leader, &one("l4"));
    leader.acknowledge(4);
    assert_eq!(leader.match_of(4), 2);
    leader.apply_conf_change(&change_v2(JointExplicit, "r4 l4")).unwrap();
    assert_eq!(leader.match_of(4), 0);
    let mut leader = leader_of(&[1, 2, 3]);
    leader.apply_conf_change(&change_v2(JointExplicit, "r3 v3")).unwrap();
    assert_eq!(leader.match_of(3), 1);
}

#[test]
fn applying_a_change_twice_is_harmless() {
    for (first, members) in [("v4", "voters=(1 2 3 4)"), ("r3", "voters=(1 2)")] {
        let mut leader = leader_of(&[1, 2, 3]);
        change(&mut leader, &one(first));
        let before = fingerprint(&leader);
        let again = leader.apply_conf_change(&change_v2(Auto, first)).unwrap();
        assert_eq!((again.skipped, leader.members().as_str()), (None, members));
        leader.drain();
        assert_eq!(fingerprint(&leader), before);
    }
}

#[test]
fn not_applying_a_change_is_a_veto() {
    let mut leader = leader_of(&[1, 2, 3]);
    leader.veto = true;
    change(&mut leader, &one("r3"));
    assert_eq!(leader.members(), "voters=(1 2 3)");
    // It is over: the next change may come.
    leader.veto = false;
    change(&mut leader, &one("v4"));
    assert_eq!(leader.members(), "voters=(1 2 3 4)");
}

#[test]
fn a_step_with_id_zero_is_vetoed() {
    let mut leader = leader_of(&[1, 2, 3]);
    change(&mut leader, &many(Auto, "v0"));
    assert_eq!(leader.members(), "voters=(1 2 3)");
    change(&mut leader, &one("r0"));
    assert_eq!(leader.members(), "voters=(1 2 3)");
    assert!(leader.skipped.is_empty());
}

// The leader itself.

#[test]
fn a_leader_that_removes_or_demotes_itself_steps_down() {
    for text in ["r1", "l1"] {
        let mut leader = Member::with(1, &[1, 2, 3], |c| c.step_down_on_removal = true);
        leader.lead_all();
        propose(&mut leader, &one(text));
        leader.drain();
        leader.acknowledge(2);
        leader.drain();
        assert_eq!((leader.role(), leader.leader()), (RoleKind::Follower, None), "{text}");
        leader.tick_times(100);
        assert_eq!(leader.role(), RoleKind::Follower, "and does not campaign");
    }
}

#[test]
fn a_removed_leader_may_lead_on_without_counting_itself() {
    let mut leader = Member::with(1, &[1, 2, 3], |c| c.step_down_on_removal = false);
    leader.lead_all();
    leader.propose_conf_change(&one("r1")).unwrap();
    leader.propose("before").unwrap();
    leader.drain();
    leader.acknowledge(2);
    leader.drain();
    assert_eq!((leader.role(), leader.members().as_str()), (RoleKind::Leader, "voters=(2 3)"));
    let dropped = Err(Error::Dropped(DropReason::NotAMember));
    assert_eq!(leader.propose("x").map(|_| ()), dropped);
    assert_eq!(leader.step(proposal(2, 1, &["x"])), dropped);
    leader.tick_times(1);
    let expected =
        ["1->2 MsgHeartbeat Term:1 Log:0/0 Commit:3", "1->3 MsgHeartbeat Term:1 Log:0/0 Commit:1"];
    let heartbeats: Vec<_> =
        leader.drain().into_iter().filter(|m| m.body.kind() == MessageKind::Heartbeat).collect();
    assert_eq!(texts(&heartbeats), expected);
}

#[test]
fn the_group_goes_on_after_its_leader_was_removed() {
    let mut group = Group::with(3, |c| c.step_down_on_removal = true);
    group.elect(1);
    propose(&mut group[1], &one("r1"));
    group.settle();
    group.run(60);
    let leader = group.leader().unwrap();
    assert_ne!(leader, 1);
    group.propose(leader, "without");
    assert_eq!(group[5 - leader].payloads(), ["without"]);
    assert_eq!(group[5 - leader].members(), "voters=(2 3)");
}

// Joint configurations.

#[test]
fn several_steps_go_through_a_joint_configuration_that_is_left_by_itself() {
    let mut leader = leader_of(&[1, 2, 3]);
    propose(&mut leader, &many(Auto, "v4 r3 l5"));
    leader.drain();
    leader.acknowledge(2);
    leader.drain();
    assert_eq!(leader.members(), "voters=(1 2 4)&&(1 2 3) learners=(5) autoleave");
    // The order to leave is an entry without data, proposed once (mistake 24).
    assert_eq!(leader.last_index(), 3);
    let order = conf_entry(1, 3, &AnyConfChange::Many(ConfChangeV2::leave_joint()));
    assert_eq!((order.kind, order.data.len()), (EntryKind::ConfChangeV2, 0));
    let log = &leader.storage().inner;
    let stored = raftcore::Storage::entries(log, order.index, order.index.next(), u64::MAX);
    assert_eq!(stored.unwrap().first(), Some(&order));
    acknowledge_all(&mut leader);
    assert_eq!(leader.members(), "voters=(1 2 4) learners=(5)");
    assert_eq!(leader.last_index(), 3);
}

#[test]
fn the_transition_says_whether_a_joint_configuration_is_entered_and_left() {
    let check = |transition, text: &str, expect: &str| {
        let mut leader = leader_of(&[1, 2, 3]);
        leader.apply_conf_change(&change_v2(transition, text)).unwrap();
        assert_eq!(leader.members(), expect, "{transition:?} {text}");
    };
    check(Auto, "v4", "voters=(1 2 3 4)");
    check(Auto, "l4 l5", "voters=(1 2 3)&&(1 2 3) learners=(4 5) autoleave");
    check(JointImplicit, "v4", "voters=(1 2 3 4)&&(1 2 3) autoleave");
    check(JointExplicit, "v4", "voters=(1 2 3 4)&&(1 2 3)");
    check(JointExplicit, "l3", "voters=(1 2)&&(1 2 3) learners_next=(3)");
}

#[test]
fn an_explicit_joint_configuration_waits_for_the_order_to_leave() {
    let mut leader = leader_of(&[1, 2, 3]);
    change(&mut leader, &many(JointExplicit, "v4 l3"));
    let members = "voters=(1 2 4)&&(1 2 3) learners_next=(3)";
    assert_eq!((leader.members().as_str(), leader.last_index()), (members, 2));
    // A joint configuration is left before the next change.
    let outcome = propose(&mut leader, &one("v5"));
    assert_eq!(replaced(outcome), ReplaceReason::AlreadyJoint);
    acknowledge_all(&mut leader);
    change(&mut leader, &ConfChangeV2::leave_joint().into());
    assert_eq!(leader.members(), "voters=(1 2 4) learners=(3)");
    let outcome = propose(&mut leader, &ConfChangeV2::leave_joint().into());
    assert_eq!(replaced(outcome), ReplaceReason::NotJoint);
}

#[test]
fn with_validation_off_the_log_takes_any_change() {
    let mut leader = Member::with(1, &[1, 2, 3], |c| c.validate_conf_changes = false);
    leader.lead_all();
    for change in [one("v4"), one("v5"), ConfChangeV2::leave_joint().into()] {
        let outcome = propose(&mut leader, &change);
        assert!(matches!(outcome, ConfChangeOutcome::Appended(_)), "{outcome:?}");
    }
}

#[test]
fn both_halves_have_to_elect() {
    // Who grants besides node 1, and whether it wins.
    let check = |granted: &[u64], refused: &[u64], expect: RoleKind| {
        let mut node = Member::of(1, joint(&[1, 2, 3], &[1, 4, 5]), |_| ());
        node.campaign().unwrap();
        assert_eq!(node.drain().len(), 4, "all of both halves are asked");
        granted.iter().for_each(|from| node.step(vote_response(*from, 1, 1, true)).unwrap());
        refused.iter().for_each(|from| node.step(vote_response(*from, 1, 1, false)).unwrap());
        assert_eq!(node.role(), expect, "{granted:?} against {refused:?}");
    };
    // Mistakes 18 and 19.
    check(&[2, 3], &[], RoleKind::Candidate);
    check(&[4, 5], &[], RoleKind::Candidate);
    check(&[2, 4], &[], RoleKind::Leader);
    check(&[2, 3], &[4], RoleKind::Candidate);
    check(&[2, 3], &[4, 5], RoleKind::Follower);
}

#[test]
fn both_halves_have_to_commit() {
    let check = |acknowledge: &[u64], committed: bool| {
        let mut leader = Member::of(1, joint(&[1, 2, 3], &[1, 4, 5]), |_| ());
        leader.become_leader();
        acknowledge.iter().for_each(|from| leader.acknowledge(*from));
        assert_eq!(leader.commit(), u64::from(committed), "{acknowledge:?}");
    };
    check(&[2, 3], false);
    check(&[4, 5], false);
    check(&[3, 4], true);
}

#[test]
fn a_change_in_flight_is_left_by_the_next_leader() {
    let mut group = Group::new(3);
    group.elect(1);
    propose(&mut group[1], &many(JointImplicit, "l4"));
    // The joint configuration is committed everywhere; the order to leave is lost with node 1.
    group.settle_until(|group| group[2].members().contains("&&"));
    group.wire.clear();
    group.isolate(1);
    group.run(60);
    let leader = group.leader().unwrap();
    assert_ne!(leader, 1);
    assert_eq!(group[leader].members(), "voters=(1 2 3) learners=(4)");
}

#[test]
fn leaving_is_tried_again_after_a_transfer_that_came_to_nothing() {
    let mut leader = leader_of(&[1, 2, 3]);
    propose(&mut leader, &many(JointImplicit, "l3"));
    leader.drain();
    leader.step(transfer_order(2, 1, 1)).unwrap();
    leader.acknowledge(2);
    leader.drain();
    // Nothing is proposed during a transfer, the order to leave included.
    assert!(leader.members().contains("autoleave"));
    assert_eq!((leader.last_index(), leader.commit()), (2, 2));
    leader.tick_times(10);
    leader.propose("x").unwrap();
    acknowledge_all(&mut leader);
    assert_eq!(leader.members(), "voters=(1 2) learners=(3)");
}

#[test]
fn leaving_is_proposed_once_however_much_is_applied_meanwhile() {
    // One entry is applied at a time, and there are more behind the change.
    let mut leader = Member::with(1, &[1, 2, 3], |c| c.max_committed_bytes_per_ready = 1);
    leader.lead_all();
    propose(&mut leader, &many(JointImplicit, "l3"));
    for _ in 0..4 {
        leader.propose("x").unwrap();
    }
    leader.drain();
    leader.acknowledge(2);
    leader.drain();
    // Mistake 24: the change at 2, four others, and one order to leave.
    assert_eq!((leader.commit(), leader.last_index()), (6, 7));
    acknowledge_all(&mut leader);
    assert_eq!((leader.members().as_str(), leader.last_index()), ("voters=(1 2) learners=(3)", 7));
}

#[test]
fn the_status_tells_the_truth_about_leaving() {
    for (transition, expect) in [(JointImplicit, true), (JointExplicit, false)] {
        let mut node = leader_of(&[1, 2, 3]);
        let applied = node.apply_conf_change(&change_v2(transition, "v4")).unwrap();
        assert_eq!(node.status().membership.auto_leave(), expect);
        assert_eq!(applied.conf_state.auto_leave, expect);
        node.apply_conf_change(&ConfChangeV2::leave_joint()).unwrap();
        assert!(!node.status().membership.auto_leave());
    }
}

#[test]
fn a_learner_that_waits_to_be_one_still_votes() {
    let members = ConfState { learners_next: vec![3], ..joint(&[1, 2], &[1, 2, 3]) };
    let mut node = Member::of(3, members, |_| ());
    node.campaign().unwrap();
    assert_eq!(node.role(), RoleKind::Candidate);
}

// Followers and newcomers.

#[test]
fn a_change_proposed_by_a_follower_is_passed_on_and_judged_by_the_leader() {
    let mut group = Group::new(3);
    group.elect(1);
    let outcome = propose(&mut group[2], &one("v4"));
    assert_eq!(outcome, ConfChangeOutcome::Forwarded { leader: id(1) });
    propose(&mut group[3], &one("v5"));
    group.settle();
    assert_eq!(group[3].members(), "voters=(1 2 3 4)", "the second one was replaced");
    // The log does not say who founded the group: a newcomer learns that from a snapshot.
    group[1].compact();
    group.join(Member::on(4, MemoryStorage::new(), |_| ()));
    group.run(3);
    group.assert_agreement();
    assert_eq!(group[4].members(), "voters=(1 2 3 4)", "learned from the snapshot");
}

#[test]
fn a_learner_is_promoted_and_then_elected() {
    let mut group =
        Group::of((1..=3).map(|id| Member::of(id, with_learners(&[1, 2], &[3]), |_| ())));
    group.elect(1);
    propose(&mut group[1], &one("v3"));
    group.settle();
    assert_eq!(group[3].members(), "voters=(1 2 3)");
    group.elect(3);
    group.isolate(1);
    group.propose(3, "x");
    assert_eq!(group[2].payloads(), ["x"]);
}

#[test]
fn a_group_replaces_all_its_members_one_by_one_and_at_once() {
    let mut group = Group::with(3, |c| c.step_down_on_removal = true);
    group.elect(1);
    for newcomer in 4..=6 {
        propose(&mut group[1], &one(&format!("v{newcomer}")));
        group.settle();
        group[1].compact();
        group.join(Member::on(newcomer, MemoryStorage::new(), |_| ()));
        group.run(3);
    }
    propose(&mut group[1], &many(Auto, "r1 r2 r3"));
    group.run(2);
    group.run(60);
    let leader = group.leader().unwrap();
    assert!(leader > 3);
    group.propose(leader, "all new");
    for member in 4..=6 {
        assert_eq!(group[member].members(), "voters=(4 5 6)");
        assert_eq!(group[member].payloads(), ["all new"]);
    }
    assert!(
        group
            .refused
            .iter()
            .all(|(_, error)| { matches!(error, Error::Refused(Refusal::NotAMember(_))) })
    );
}

#[test]
fn a_change_overtaken_by_a_snapshot_does_not_touch_the_snapshots_membership() {
    // What was handed out to be applied is older than what the node was restored from meanwhile.
    let mut node = Member::new(1, &[1, 2, 3]);
    node.step(append_one(2, 1, (0, 0), conf_entry(1, 1, &one("r3")), 1)).unwrap();
    let ready = node.take_ready();
    assert_eq!(ready.committed.len(), 1);
    node.step(install(2, 1, 1, snapshot((1, 9), voters(&[1, 2, 3])))).unwrap();
    node.handle(ready);
    assert_eq!(node.members(), "voters=(1 2 3)");
    node.drain();
    assert_eq!(node.members(), "voters=(1 2 3)");
}

#[test]
fn a_conf_change_proposal_that_came_over_the_wire_is_the_same() {
    let mut leader = leader_of(&[1, 2, 3]);
    leader.step(conf_proposal(2, 1, &one("v4"))).unwrap();
    acknowledge_all(&mut leader);
    assert_eq!(leader.members(), "voters=(1 2 3 4)");
    // A follower that is told of the change by an append applies it too.
    let mut follower = Member::new(2, &[1, 2, 3]);
    follower.step(append_one(1, 2, (0, 0), conf_entry(1, 1, &one("v4")), 1)).unwrap();
    follower.step(append(1, 2, 1, (1, 1), &[(1, 2)], 2)).unwrap();
    follower.drain();
    assert_eq!(follower.members(), "voters=(1 2 3 4)");
}

#[test]
fn configurations_are_equivalent_when_they_name_the_same_in_any_order() {
    let one = ConfState { learners: vec![4, 5], ..joint(&[1, 2], &[2, 3]) };
    let other = ConfState { learners: vec![5, 4], ..joint(&[2, 1], &[3, 2]) };
    assert!(one.is_equivalent(&other));
    for different in [
        ConfState { auto_leave: true, ..one.clone() },
        ConfState { learners: vec![4], ..one.clone() },
        ConfState { learners_next: vec![3], ..one.clone() },
        joint(&[1, 2], &[2, 3]),
        voters(&[1, 2]),
    ] {
        assert!(!one.is_equivalent(&different), "{different:?}");
    }
}
