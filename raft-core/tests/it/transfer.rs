//! Handing leadership over (thesis, section 3.10).

use raftcore::{Body, Config, DropReason, Error, MessageKind, Misuse, RoleKind, Transition};

use crate::support::{
    Group, Member, accepted, append, change_v2, fingerprint, heartbeat, id, message, texts,
    timeout_now, transfer_order, vote, with_learners,
};

fn leader_of_three() -> Member {
    let mut leader = Member::new(1, &[1, 2, 3]);
    leader.lead_all();
    leader
}

fn with_leases(config: &mut Config) {
    config.check_quorum = true;
    config.pre_vote = true;
}

#[test]
fn a_target_with_the_whole_log_is_told_at_once() {
    let mut leader = leader_of_three();
    leader.transfer_leader(id(2)).unwrap();
    assert_eq!(texts(&leader.drain()), ["1->2 MsgTimeoutNow Term:1 Log:0/0"]);
    assert_eq!(leader.status().transferring_to, Some(id(2)));
    assert_eq!(leader.role(), RoleKind::Leader, "until somebody else is elected");
}

#[test]
fn a_target_that_lags_is_brought_up_first() {
    let mut leader = Member::new(1, &[1, 2, 3]);
    leader.lead_all();
    leader.propose("x").unwrap();
    leader.drain();
    leader.report_unreachable(id(2)).unwrap();
    leader.transfer_leader(id(2)).unwrap();
    // Mistake 47: an order now would elect somebody who lacks an entry, or nobody.
    let expected = r#"1->2 MsgApp Term:1 Log:1/1 Commit:1 Entries:[1/2 EntryNormal "x"]"#;
    assert_eq!(texts(&leader.drain()), [expected]);
    leader.step(accepted(2, 1, 1, 1)).unwrap();
    let sent = leader.drain();
    assert!(sent.iter().all(|m| m.body.kind() != MessageKind::TimeoutNow), "{:?}", texts(&sent));
    leader.step(accepted(2, 1, 1, 2)).unwrap();
    assert!(texts(&leader.drain()).contains(&"1->2 MsgTimeoutNow Term:1 Log:0/0".to_string()));
}

#[test]
fn the_order_makes_the_target_campaign_without_asking_first() {
    let mut target = Member::with(2, &[1, 2, 3], with_leases);
    target.step(heartbeat(1, 2, 1, 0)).unwrap();
    target.drain();
    target.step(timeout_now(1, 2, 1)).unwrap();
    assert_eq!((target.role(), target.term()), (RoleKind::Candidate, 2));
    let sent = target.drain();
    let transfers = |m: &&raftcore::Message| matches!(&m.body, Body::Vote(v) if v.transfer);
    assert_eq!(sent.iter().filter(transfers).count(), 2, "{:?}", texts(&sent));
}

#[test]
fn leadership_passes_in_a_group_with_leases() {
    let mut group = Group::with(3, with_leases);
    group.elect(1);
    group[1].transfer_leader(id(2)).unwrap();
    group.settle();
    assert_eq!((group.leader(), group[1].role()), (Some(2), RoleKind::Follower));
    group.propose(2, "x");
    group[2].transfer_leader(id(1)).unwrap();
    group.settle();
    assert_eq!(group.leader(), Some(1), "and back");
    group.assert_agreement();
}

#[test]
fn a_follower_passes_the_order_on_in_the_targets_name() {
    let mut follower = Member::new(3, &[1, 2, 3]);
    follower.step(heartbeat(1, 3, 1, 0)).unwrap();
    follower.drain();
    follower.transfer_leader(id(2)).unwrap();
    assert_eq!(texts(&follower.drain()), ["2->1 MsgTransferLeader Term:1 Log:0/0"]);
    follower.step(transfer_order(3, 3, 1)).unwrap();
    assert_eq!(texts(&follower.drain()), ["3->1 MsgTransferLeader Term:1 Log:0/0"]);

    let mut group = Group::new(3);
    group.elect(1);
    group[3].transfer_leader(id(2)).unwrap();
    group.settle();
    assert_eq!(group.leader(), Some(2));
}

#[test]
fn without_a_leader_there_is_nothing_to_hand_over() {
    let mut node = Member::new(1, &[1, 2, 3]);
    assert_eq!(node.transfer_leader(id(2)), Err(Error::Dropped(DropReason::NoLeader)));
    let before = fingerprint(&node);
    node.campaign().unwrap();
    node.drain();
    assert_eq!(node.transfer_leader(id(2)), Err(Error::Dropped(DropReason::NoLeader)));
    // From a peer it is passed over in silence.
    let mut node = Member::new(1, &[1, 2, 3]);
    node.step(transfer_order(2, 1, 1)).unwrap();
    assert!(node.drain().is_empty());
    assert_ne!(fingerprint(&node), before, "but for the term");
}

#[test]
fn proposals_are_refused_while_leadership_is_handed_over() {
    let mut leader = leader_of_three();
    leader.transfer_leader(id(2)).unwrap();
    leader.drain();
    let before = fingerprint(&leader);
    let dropped = Error::Dropped(DropReason::Transferring { to: id(2) });
    // Mistake 46.
    assert_eq!(leader.propose("x"), Err(dropped.clone()));
    let change = crate::support::one("v4");
    assert_eq!(leader.propose_conf_change(&change), Err(dropped.clone()));
    assert_eq!(leader.step(crate::support::proposal(3, 1, &["x"])), Err(dropped));
    assert_eq!(fingerprint(&leader), before);
    assert_eq!(leader.metrics().proposals_dropped, 3);
}

#[test]
fn a_transfer_that_takes_too_long_is_given_up() {
    for check_quorum in [false, true] {
        let mut leader = Member::with(1, &[1, 2, 3], |c| c.check_quorum = check_quorum);
        leader.lead_all();
        // The time begins with the order.
        leader.tick_times(7);
        leader.transfer_leader(id(2)).unwrap();
        leader.tick_times(9);
        assert_eq!(leader.status().transferring_to, Some(id(2)));
        leader.acknowledge(3);
        leader.tick_times(1);
        assert_eq!(leader.status().transferring_to, None);
        assert_eq!(leader.role(), RoleKind::Leader);
        leader.propose("x").unwrap();
    }
}

#[test]
fn a_dead_target_costs_one_timeout_and_no_leader() {
    let mut group = Group::with(3, with_leases);
    group.elect(1);
    group.isolate(2);
    let term = group[1].term();
    group[1].transfer_leader(id(2)).unwrap();
    group.run(11);
    group.propose(1, "x");
    assert_eq!((group.leader(), group[1].term()), (Some(1), term));
}

#[test]
fn an_order_that_did_not_leave_in_time_does_not_leave() {
    let mut leader = leader_of_three();
    leader.transfer_leader(id(2)).unwrap();
    // Nobody takes a Ready until the transfer is given up.
    leader.tick_times(10);
    assert_eq!(leader.status().transferring_to, None);
    leader.propose("x").unwrap();
    let kinds: Vec<_> = leader.drain().iter().map(|message| message.body.kind()).collect();
    assert!(kinds.contains(&MessageKind::Append) && !kinds.contains(&MessageKind::TimeoutNow));
}

#[test]
fn a_joint_configuration_is_left_after_a_transfer_that_came_to_nothing() {
    let mut leader = leader_of_three();
    let joint = crate::support::many(Transition::JointImplicit, "v4");
    leader.propose_conf_change(&joint).unwrap();
    leader.drain();
    leader.transfer_leader(id(2)).unwrap();
    leader.acknowledge(3);
    leader.drain();
    assert!(leader.members().ends_with("autoleave"), "{}", leader.members());
    let last = leader.last_index();
    leader.tick_times(10);
    leader.drain();
    assert_eq!(leader.status().transferring_to, None);
    assert_eq!(leader.last_index(), last + 1, "the order to leave");
}

#[test]
fn the_same_target_again_changes_nothing_and_another_one_takes_over() {
    let mut leader = leader_of_three();
    leader.transfer_leader(id(2)).unwrap();
    leader.drain();
    leader.tick_times(5);
    leader.drain();
    let before = fingerprint(&leader);
    leader.transfer_leader(id(2)).unwrap();
    assert_eq!(fingerprint(&leader), before);
    leader.tick_times(5);
    assert_eq!(leader.status().transferring_to, None, "the first order's time is over");

    leader.transfer_leader(id(2)).unwrap();
    leader.drain();
    leader.transfer_leader(id(3)).unwrap();
    assert_eq!(texts(&leader.drain()), ["1->3 MsgTimeoutNow Term:1 Log:0/0"]);
    assert_eq!(leader.status().transferring_to, Some(id(3)));
}

#[test]
fn a_transfer_to_oneself_ends_the_one_under_way() {
    let mut leader = leader_of_three();
    leader.transfer_leader(id(1)).unwrap();
    assert!(leader.drain().is_empty());
    leader.transfer_leader(id(2)).unwrap();
    leader.drain();
    leader.transfer_leader(id(1)).unwrap();
    assert_eq!(leader.status().transferring_to, None);
    leader.propose("x").unwrap();
}

#[test]
fn learners_and_strangers_get_no_leadership() {
    let mut leader = Member::of(1, with_learners(&[1, 2], &[3]), |_| ());
    leader.lead_all();
    let before = fingerprint(&leader);
    for nobody in [3, 9] {
        let misuse = Misuse::UnknownPeer(nobody);
        assert_eq!(leader.transfer_leader(id(nobody)), Err(misuse.into()));
        leader.step(transfer_order(nobody, 1, 1)).unwrap();
    }
    assert_eq!(fingerprint(&leader), before);
}

#[test]
fn a_higher_term_ends_the_transfer_with_the_leadership() {
    let mut leader = leader_of_three();
    leader.transfer_leader(id(2)).unwrap();
    leader.step(vote(3, 1, 2, (1, 1))).unwrap();
    assert_eq!((leader.role(), leader.status().transferring_to), (RoleKind::Follower, None));
}

#[test]
fn a_target_that_is_removed_or_demoted_gets_no_leadership() {
    for text in ["r2", "l2"] {
        let mut leader = leader_of_three();
        leader.transfer_leader(id(2)).unwrap();
        leader.apply_conf_change(&change_v2(Transition::Auto, text)).unwrap();
        assert_eq!(leader.status().transferring_to, None, "{text}");
        leader.propose("x").unwrap();
    }
    // Who is only staged to leave still votes.
    let mut leader = leader_of_three();
    leader.transfer_leader(id(2)).unwrap();
    leader.apply_conf_change(&change_v2(Transition::JointExplicit, "r2")).unwrap();
    assert_eq!(leader.status().transferring_to, Some(id(2)));
}

#[test]
fn the_order_is_ignored_by_candidates_and_leaders() {
    let mut candidate = Member::new(1, &[1, 2, 3]);
    candidate.campaign().unwrap();
    candidate.drain();
    for node in [&mut candidate, &mut leader_of_three()] {
        let before = fingerprint(node);
        node.step(timeout_now(2, 1, 1)).unwrap();
        assert_eq!(fingerprint(node), before);
    }
}

#[test]
fn a_target_behind_the_log_is_brought_up_by_a_snapshot() {
    let mut group = Group::new(3);
    group.elect(1);
    group.isolate(3);
    for _ in 0..10 {
        group.propose(1, "x");
    }
    group[1].compact();
    group.heal();
    group[1].transfer_leader(id(3)).unwrap();
    group.run(2);
    assert_eq!((group.leader(), group[3].restored.len()), (Some(3), 1));
    group.assert_agreement();
}

#[test]
fn a_vote_that_reaches_the_old_leader_ends_its_term_at_once() {
    let mut leader = Member::with(1, &[1, 2, 3], with_leases);
    leader.lead_all();
    leader.transfer_leader(id(2)).unwrap();
    leader.drain();
    leader.step(crate::support::transfer_vote(2, 1, 2, (1, 1))).unwrap();
    assert_eq!(texts(&leader.drain()), ["1->2 MsgVoteResp Term:2 Log:0/0"]);
    leader.step(append(2, 1, 2, (1, 1), &[(2, 2)], 1)).unwrap();
    assert_eq!(leader.leader(), Some(2));
}

#[test]
fn a_transfer_order_of_a_higher_term_deposes_and_goes_no_further() {
    let mut leader = leader_of_three();
    leader.step(message(2, 1, 5, Body::TransferLeader)).unwrap();
    assert_eq!((leader.role(), leader.term(), leader.leader()), (RoleKind::Follower, 5, None));
    assert!(leader.drain().iter().all(|m| m.body.kind() != MessageKind::TransferLeader));
}
