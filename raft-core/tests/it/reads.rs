//! Reads without writing to the log (thesis, section 6.4): confirmed by a round of heartbeats, or
//! by the lease.

use raftcore::{
    Body, ConfChangeV2, Context, DropReason, Error, Index, Message, MessageKind, ReadOnly,
    ReadState, Refusal, RefusalKind, RoleKind, Transition,
};

use crate::support::{
    Group, Member, accepted, append, change_v2, echo, fingerprint, heartbeat, heartbeat_response,
    id, joint, message, read_request, texts, with_learners,
};

fn leader_of(members: &[u64]) -> Member {
    let mut leader = Member::new(1, members);
    leader.lead_all();
    leader
}

fn read_state(index: u64, context: &'static str) -> ReadState {
    ReadState { index: Index(index), context: context.into() }
}

/// The positions in the contexts of the heartbeats to one member.
fn positions(sent: &[Message], to: u64) -> Vec<Option<u64>> {
    let to = sent.iter().filter(|m| m.to == id(to));
    to.filter_map(|m| match &m.body {
        Body::Heartbeat(heartbeat) => {
            Some(heartbeat.context[..].try_into().ok().map(u64::from_le_bytes))
        }
        _ => None,
    })
    .collect()
}

// A round of heartbeats.

#[test]
fn a_read_is_confirmed_when_a_quorum_echoes_its_position() {
    let mut leader = leader_of(&[1, 2, 3]);
    leader.read_index("a").unwrap();
    let sent = leader.drain();
    assert_eq!((positions(&sent, 2), positions(&sent, 3)), (vec![Some(1)], vec![Some(1)]));
    assert!(leader.reads.is_empty());
    leader.step(echo(2, 1, 1, 1)).unwrap();
    leader.drain();
    assert_eq!(leader.reads, [read_state(1, "a")]);
    assert_eq!(leader.metrics().reads_confirmed, 1);
    leader.step(echo(3, 1, 1, 1)).unwrap();
    leader.drain();
    assert_eq!(leader.reads.len(), 1, "once");
}

#[test]
fn a_read_gets_the_commit_index_of_the_moment_it_was_asked() {
    let mut leader = leader_of(&[1, 2, 3]);
    leader.read_index("a").unwrap();
    leader.propose("x").unwrap();
    leader.drain();
    leader.acknowledge(2);
    leader.step(echo(2, 1, 1, 1)).unwrap();
    leader.drain();
    assert_eq!((leader.commit(), &leader.reads[..]), (2, &[read_state(1, "a")][..]));
}

#[test]
fn one_echo_confirms_all_reads_up_to_its_position_and_none_after() {
    let mut leader = leader_of(&[1, 2, 3]);
    for (context, position) in [("a", 1), ("b", 2), ("c", 3)] {
        leader.read_index(context).unwrap();
        assert_eq!(positions(&leader.drain(), 2), [Some(position)]);
    }
    leader.step(echo(2, 1, 1, 2)).unwrap();
    leader.drain();
    assert_eq!(leader.reads, [read_state(1, "a"), read_state(1, "b")]);
    assert_eq!(leader.status().pending_reads, 1);
    // An echo of an older position comes late and confirms nothing.
    leader.step(echo(3, 1, 1, 1)).unwrap();
    leader.step(echo(3, 1, 1, 2)).unwrap();
    leader.drain();
    assert_eq!(leader.reads.len(), 2);
    leader.step(echo(3, 1, 1, 3)).unwrap();
    leader.drain();
    assert_eq!(leader.reads.len(), 3);
}

#[test]
fn reads_between_two_readies_share_a_round() {
    let mut leader = leader_of(&[1, 2, 3]);
    for context in ["a", "b", "c"] {
        leader.read_index(context).unwrap();
    }
    assert_eq!(positions(&leader.drain(), 2), [Some(3)]);
    // A heartbeat that was due anyway asks for what has come: no second one is needed.
    leader.read_index("d").unwrap();
    leader.tick_times(1);
    assert_eq!(positions(&leader.drain(), 2), [Some(4)]);
    leader.step(echo(2, 1, 1, 4)).unwrap();
    leader.drain();
    assert_eq!(leader.reads, ["a", "b", "c", "d"].map(|context| read_state(1, context)));
}

#[test]
fn without_coalescing_each_read_has_its_round() {
    let mut leader = Member::with(1, &[1, 2, 3], |config| config.coalesce_appends = false);
    leader.lead_all();
    leader.read_index("a").unwrap();
    leader.read_index("b").unwrap();
    assert_eq!(positions(&leader.drain(), 2), [Some(1), Some(2)]);
}

#[test]
fn a_heartbeat_carries_the_position_while_somebody_waits() {
    let mut leader = leader_of(&[1, 2, 3]);
    leader.tick_times(1);
    assert_eq!(positions(&leader.drain(), 2), [None]);
    leader.read_index("a").unwrap();
    leader.drain();
    // The first round was lost; the next heartbeat asks again.
    leader.tick_times(1);
    assert_eq!(positions(&leader.drain(), 2), [Some(1)]);
    leader.step(echo(2, 1, 1, 1)).unwrap();
    leader.tick_times(1);
    assert_eq!(positions(&leader.drain(), 2), [None]);
}

#[test]
fn reads_with_the_same_context_are_different_reads() {
    let mut leader = leader_of(&[1, 2, 3]);
    leader.read_index("same").unwrap();
    leader.propose("x").unwrap();
    leader.drain();
    leader.acknowledge(2);
    leader.drain();
    leader.read_index("same").unwrap();
    leader.drain();
    // The echo of the first read's heartbeat says nothing about the second (mistake 33).
    leader.step(echo(2, 1, 1, 1)).unwrap();
    leader.drain();
    assert_eq!(leader.reads, [read_state(1, "same")]);
    leader.step(echo(2, 1, 1, 2)).unwrap();
    leader.drain();
    assert_eq!(leader.reads, [read_state(1, "same"), read_state(2, "same")]);
}

#[test]
fn a_majority_of_five_is_two_echoes() {
    let mut leader = leader_of(&[1, 2, 3, 4, 5]);
    leader.read_index("a").unwrap();
    leader.step(echo(2, 1, 1, 1)).unwrap();
    leader.step(echo(2, 1, 1, 1)).unwrap();
    leader.step(heartbeat_response(3, 1, 1, b"")).unwrap();
    leader.drain();
    assert!(leader.reads.is_empty());
    leader.step(echo(5, 1, 1, 1)).unwrap();
    leader.drain();
    assert_eq!(leader.reads.len(), 1);
}

#[test]
fn a_learners_echo_confirms_nothing() {
    let mut leader = Member::of(1, with_learners(&[1, 2], &[3, 4]), |_| ());
    leader.lead_all();
    leader.read_index("a").unwrap();
    assert_eq!(positions(&leader.drain(), 3), [Some(1)], "it is asked like everybody");
    leader.step(echo(3, 1, 1, 1)).unwrap();
    leader.step(echo(4, 1, 1, 1)).unwrap();
    leader.drain();
    assert!(leader.reads.is_empty());
    leader.step(echo(2, 1, 1, 1)).unwrap();
    leader.drain();
    assert_eq!(leader.reads.len(), 1);
}

#[test]
fn both_halves_of_a_joint_configuration_have_to_echo() {
    let check = |echoes: &[u64], confirmed: usize| {
        let mut leader = Member::of(1, joint(&[1, 2, 3], &[1, 4, 5]), |_| ());
        leader.lead_all();
        leader.read_index("a").unwrap();
        echoes.iter().for_each(|from| leader.step(echo(*from, 1, 1, 1)).unwrap());
        leader.drain();
        assert_eq!(leader.reads.len(), confirmed, "{echoes:?}");
    };
    check(&[2, 3], 0);
    check(&[4, 5], 0);
    check(&[2, 4], 1);
}

#[test]
fn a_read_waits_for_the_leaders_first_commit() {
    let mut leader = Member::with_log(1, &[1, 2, 3], &[1, 1], 1);
    leader.become_leader();
    leader.read_index("a").unwrap();
    leader.step(read_request(3, 1, "b")).unwrap();
    // What an earlier leader has answered for may be beyond the commit index (mistake 32).
    assert!(positions(&leader.drain(), 2).is_empty());
    assert_eq!(leader.status().pending_reads, 2);
    leader.step(heartbeat_response(2, 1, 2, b"")).unwrap();
    leader.acknowledge(2);
    let sent = leader.drain();
    assert_eq!(positions(&sent, 2), [Some(2)]);
    leader.step(echo(2, 1, 2, 2)).unwrap();
    let sent = leader.drain();
    assert_eq!(leader.reads, [read_state(3, "a")]);
    assert!(
        texts(&sent).iter().any(|text| text.starts_with("1->3 MsgReadIndexResp Term:2 Log:0/3"))
    );
}

#[test]
fn echoes_of_an_earlier_leadership_confirm_nothing() {
    let mut leader = leader_of(&[1, 2, 3]);
    leader.read_index("a").unwrap();
    leader.step(heartbeat(2, 1, 2, 0)).unwrap();
    leader.drain();
    leader.become_leader();
    leader.acknowledge(2);
    leader.drain();
    assert_eq!((leader.term(), leader.status().pending_reads), (3, 0), "its asker asks again");
    leader.read_index("b").unwrap();
    // Sent in term 1, for another read at the same position (mistake 34).
    leader.step(echo(2, 1, 1, 1)).unwrap();
    leader.step(echo(3, 1, 1, 1)).unwrap();
    leader.drain();
    assert!(leader.reads.is_empty());
    leader.step(echo(3, 1, 3, 1)).unwrap();
    leader.drain();
    assert_eq!(leader.reads, [read_state(leader.commit(), "b")]);
}

#[test]
fn a_group_of_one_needs_nobody() {
    let mut node = Member::new(1, &[1]);
    node.become_leader();
    node.read_index("a").unwrap();
    node.drain();
    assert_eq!(node.reads, [read_state(1, "a")]);
}

#[test]
fn a_group_that_becomes_one_answers_what_waits() {
    let mut leader = leader_of(&[1, 2]);
    leader.read_index("a").unwrap();
    leader.step(read_request(2, 1, "b")).unwrap();
    leader.drain();
    leader.apply_conf_change(&change_v2(Transition::Auto, "r2")).unwrap();
    leader.drain();
    assert_eq!(leader.reads, [read_state(1, "a")]);
    assert_eq!(leader.status().pending_reads, 0);
}

#[test]
fn a_membership_change_decides_who_confirms() {
    let mut leader = leader_of(&[1, 2, 3]);
    leader.read_index("a").unwrap();
    leader.apply_conf_change(&change_v2(Transition::JointExplicit, "v4 v5 r2 r3")).unwrap();
    leader.step(echo(2, 1, 1, 1)).unwrap();
    leader.drain();
    assert!(leader.reads.is_empty(), "1, 4 and 5 have a say too");
    leader.apply_conf_change(&ConfChangeV2::leave_joint()).unwrap();
    leader.step(echo(4, 1, 1, 1)).unwrap();
    leader.drain();
    assert_eq!(leader.reads.len(), 1);
}

// Through a follower.

#[test]
fn a_follower_passes_a_read_on_and_gets_the_answer() {
    let mut group = Group::new(3);
    group.elect(1);
    group[3].read_index("a").unwrap();
    group.settle();
    assert_eq!(group[3].reads, [read_state(1, "a")]);
    let asked = group.sent.iter().find(|m| m.body.kind() == MessageKind::ReadIndex);
    let answer = group.sent.iter().find(|m| m.body.kind() == MessageKind::ReadIndexResponse);
    let entry = r#" Entries:[0/0 EntryNormal "a"]"#;
    assert_eq!(
        texts(&[asked.unwrap().clone()]),
        [format!("3->1 MsgReadIndex Term:0 Log:0/0{entry}")]
    );
    let answer = texts(&[answer.unwrap().clone()]);
    assert_eq!(answer, [format!("1->3 MsgReadIndexResp Term:1 Log:0/1{entry}")]);
}

#[test]
fn a_read_that_comes_to_the_wrong_member_is_passed_on_in_the_askers_name() {
    let mut follower = Member::new(1, &[1, 2, 3]);
    follower.step(heartbeat(2, 1, 1, 0)).unwrap();
    follower.drain();
    follower.step(read_request(3, 1, "a")).unwrap();
    let expected = r#"3->2 MsgReadIndex Term:0 Log:0/0 Entries:[0/0 EntryNormal "a"]"#;
    assert_eq!(texts(&follower.drain()), [expected]);
}

#[test]
fn a_read_that_bounced_back_is_answered_at_home() {
    let mut leader = leader_of(&[1, 2, 3]);
    leader.step(read_request(1, 1, "a")).unwrap();
    leader.step(echo(2, 1, 1, 1)).unwrap();
    leader.drain();
    assert_eq!(leader.reads, [read_state(1, "a")]);
}

#[test]
fn without_a_leader_a_read_is_dropped() {
    let no_leader = Err(Error::Dropped(DropReason::NoLeader));
    let mut node = Member::new(1, &[1, 2, 3]);
    assert_eq!(node.read_index("a"), no_leader);
    node.step(read_request(2, 1, "a")).unwrap();
    node.campaign().unwrap();
    node.drain();
    assert_eq!(node.read_index("a"), no_leader);
    node.step(read_request(2, 1, "a")).unwrap();
    assert!(node.drain().is_empty());
}

#[test]
fn a_read_of_a_cut_off_leader_is_never_confirmed() {
    let mut group = Group::new(3);
    group.elect(1);
    group.isolate(1);
    group.elect(2);
    group.propose(2, "newer");
    group[1].read_index("stale").unwrap();
    group.run(20);
    group.heal();
    group.run(20);
    assert!(group[1].reads.is_empty());
}

// Without a round: as upstream has it. The lease that is counted is in `lease`.

#[test]
fn an_unverified_lease_answers_at_once_but_not_before_the_first_commit() {
    let mut leader = Member::with(1, &[1, 2, 3], |c| {
        c.check_quorum = true;
        c.read_only = ReadOnly::LeaseUnverified;
    });
    leader.become_leader();
    leader.read_index("early").unwrap();
    leader.drain();
    assert!(leader.reads.is_empty());
    leader.acknowledge(2);
    leader.drain();
    leader.read_index("a").unwrap();
    leader.step(read_request(3, 1, "b")).unwrap();
    let sent = leader.drain();
    assert_eq!(leader.reads, [read_state(1, "early"), read_state(1, "a")]);
    let expected = r#"1->3 MsgReadIndexResp Term:1 Log:0/1 Entries:[0/0 EntryNormal "b"]"#;
    assert_eq!(texts(&sent), [expected]);
}

#[test]
fn a_leader_that_stepped_down_answers_no_read() {
    for read_only in [ReadOnly::LeaseBased, ReadOnly::LeaseUnverified] {
        let mut leader = Member::with(1, &[1, 2, 3], |c| {
            c.check_quorum = true;
            c.read_only = read_only;
        });
        leader.lead_all();
        leader.tick_times(20);
        assert_eq!(leader.role(), RoleKind::Follower);
        assert_eq!(leader.read_index("a"), Err(Error::Dropped(DropReason::NoLeader)));
    }
}

// Limits.

#[test]
fn reads_that_wait_are_bounded() {
    let mut leader = Member::with(1, &[1, 2, 3], |c| c.max_pending_reads = 2);
    leader.lead_all();
    leader.read_index("a").unwrap();
    leader.step(read_request(2, 1, "b")).unwrap();
    leader.drain();
    let before = fingerprint(&leader);
    let limit = 2;
    let dropped = Error::Dropped(DropReason::TooManyReads { limit });
    assert_eq!(leader.read_index("c"), Err(dropped));
    let refused = Refusal::TooManyReads { limit };
    assert_eq!(leader.step(read_request(3, 1, "c")), Err(refused.into()));
    assert_eq!(leader.metrics().refused(RefusalKind::TooManyReads), 1);
    assert_eq!(fingerprint(&leader), before);
    leader.step(echo(3, 1, 1, 2)).unwrap();
    leader.drain();
    leader.read_index("c").unwrap();
    leader.step(echo(3, 1, 1, 3)).unwrap();
    leader.drain();
    assert_eq!(leader.reads, [read_state(1, "a"), read_state(1, "c")]);
}

#[test]
fn postponed_reads_are_bounded_too() {
    let mut leader = Member::with(1, &[1, 2, 3], |c| c.max_pending_reads = 1);
    leader.become_leader();
    leader.step(read_request(2, 1, "a")).unwrap();
    let refused = Refusal::TooManyReads { limit: 1 };
    assert_eq!(leader.step(read_request(2, 1, "b")), Err(refused.into()));
}

// The follower's part.

#[test]
fn any_context_of_a_heartbeat_is_echoed_as_it_is() {
    // Leaders of older versions put the application's own bytes there.
    for context in [&b""[..], b"x", b"12345678", &[0; 100]] {
        let mut follower = Member::new(1, &[1, 2, 3]);
        let context = Context::from(context);
        let body = raftcore::Heartbeat { commit: Index(0), context: context.clone() };
        follower.step(message(2, 1, 1, Body::Heartbeat(body))).unwrap();
        let expected = message(1, 2, 1, Body::HeartbeatResponse { context });
        assert_eq!(follower.drain(), [expected]);
    }
}

#[test]
fn an_answer_is_handed_to_the_application_as_it_is() {
    let mut follower = Member::new(1, &[1, 2, 3]);
    follower.step(append(2, 1, 1, (0, 0), &[(1, 1)], 1)).unwrap();
    let body = Body::ReadIndexResponse { index: Index(7), context: b"a".into() };
    follower.step(message(2, 1, 1, body)).unwrap();
    follower.drain();
    assert_eq!(follower.reads, [read_state(7, "a")]);
    assert_eq!(follower.step(accepted(2, 1, 1, 1)), Ok(()));
}
