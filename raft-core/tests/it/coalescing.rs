//! Appends that are built when the Ready is taken: one for each member, with all that happened.

use raftcore::{Body, Message, RoleKind};

use crate::support::{Call, Member, accepted, append, heartbeat, heartbeat_response, id, texts};

fn leader() -> Member {
    let mut leader = Member::new(1, &[1, 2, 3]);
    leader.lead_all();
    leader
}

fn appends(sent: &[Message]) -> Vec<String> {
    let sent: Vec<Message> =
        sent.iter().filter(|m| matches!(m.body, Body::Append(_))).cloned().collect();
    texts(&sent)
}

#[test]
fn proposals_between_two_readies_make_one_append_for_each_member() {
    let mut leader = leader();
    for payload in ["a", "b", "c"] {
        leader.propose(payload).unwrap();
    }
    assert_eq!(
        appends(&leader.drain()),
        [2, 3].map(|to| format!(
            "1->{to} MsgApp Term:1 Log:1/1 Commit:1 Entries:[\n  1/2 EntryNormal \"a\"\n  \
             1/3 EntryNormal \"b\"\n  1/4 EntryNormal \"c\"\n]"
        ))
    );
    assert_eq!(leader.progress_of(2), "StateReplicate match=1 next=5 inflight=1");
}

#[test]
fn the_commit_index_rides_on_the_next_append() {
    let mut leader = leader();
    leader.propose("a").unwrap();
    leader.drain();
    leader.step(accepted(2, 1, 1, 2)).unwrap();
    leader.step(accepted(3, 1, 1, 2)).unwrap();
    leader.propose("b").unwrap();
    let expected = [2, 3].map(|to| {
        format!("1->{to} MsgApp Term:1 Log:1/2 Commit:2 Entries:[1/3 EntryNormal \"b\"]")
    });
    assert_eq!(appends(&leader.drain()), expected);
    // With nothing to ride on it goes alone.
    leader.step(accepted(2, 1, 1, 3)).unwrap();
    leader.step(accepted(3, 1, 1, 3)).unwrap();
    let expected = [2, 3].map(|to| format!("1->{to} MsgApp Term:1 Log:1/3 Commit:3"));
    assert_eq!(appends(&leader.drain()), expected);
}

#[test]
fn what_does_not_fit_into_one_append_makes_several() {
    // Each entry is 16 bytes on the wire.
    let mut leader = Member::with(1, &[1, 2, 3], |config| config.max_message_bytes = 32);
    leader.lead_all();
    for _ in 0..5 {
        leader.propose("x".repeat(10)).unwrap();
    }
    let to_two: Vec<Message> =
        leader.drain().into_iter().filter(|message| message.to == id(2)).collect();
    assert_eq!(appends(&to_two).len(), 3);
    assert_eq!(leader.progress_of(2), "StateReplicate match=1 next=7 inflight=3");
}

#[test]
fn a_leader_that_is_deposed_first_sends_nothing_more() {
    let mut leader = leader();
    leader.propose("a").unwrap();
    leader.step(heartbeat(2, 1, 2, 0)).unwrap();
    assert_eq!(leader.role(), RoleKind::Follower);
    assert_eq!(appends(&leader.drain()), [""; 0]);
}

#[test]
fn an_append_that_cannot_be_sent_is_no_ready() {
    let mut leader = leader();
    leader.propose("a").unwrap();
    leader.drain();
    leader.acknowledge(2);
    leader.drain();
    leader.compact();
    // Member 3 lacks what was compacted, and the snapshot cannot be read.
    leader.report_unreachable(id(3)).unwrap();
    leader.storage().break_down(Call::Snapshot);
    leader.step(heartbeat_response(3, 1, 1, b"")).unwrap();
    assert!(leader.has_ready(), "as far as can be told without reading");
    assert_eq!(leader.node.ready(), Ok(None));
    assert!(!leader.has_ready());
    leader.storage().mend();
    leader.step(heartbeat_response(3, 1, 1, b"")).unwrap();
    assert!(matches!(leader.drain().as_slice(), [Message { body: Body::Snapshot(_), .. }]));
}

#[test]
fn one_word_to_itself_acknowledges_all_that_was_proposed() {
    let mut alone = Member::new(1, &[1]);
    alone.become_leader();
    alone.drain();
    for payload in ["a", "b", "c"] {
        alone.propose(payload).unwrap();
    }
    let ready = alone.take_ready();
    alone.handle(ready);
    assert_eq!(alone.commit(), alone.last_index());
}

#[test]
fn a_write_acknowledges_nothing_that_came_after_it() {
    let mut alone = Member::new(1, &[1]);
    alone.become_leader();
    alone.drain();
    alone.propose("written").unwrap();
    let ready = alone.take_ready();
    alone.propose("not written").unwrap();
    alone.handle(ready);
    assert_eq!(alone.commit(), alone.last_index() - 1);
}

#[test]
fn a_follower_answers_each_append_with_entries() {
    let mut follower = Member::new(2, &[1, 2, 3]);
    follower.step(append(1, 2, 1, (0, 0), &[(1, 1)], 0)).unwrap();
    follower.step(append(1, 2, 1, (1, 1), &[(1, 2)], 1)).unwrap();
    assert_eq!(
        texts(&follower.drain()),
        ["2->1 MsgAppResp Term:1 Log:0/1", "2->1 MsgAppResp Term:1 Log:0/2"]
    );
}

#[test]
fn a_commit_index_alone_is_not_answered() {
    let check = |coalesces, answers: &[&str]| {
        let mut follower = Member::with(2, &[1, 2, 3], |c| c.coalesce_appends = coalesces);
        follower.step(append(1, 2, 1, (0, 0), &[(1, 1)], 0)).unwrap();
        follower.drain();
        follower.step(append(1, 2, 1, (1, 1), &[], 1)).unwrap();
        assert_eq!(follower.commit(), 1);
        assert_eq!(texts(&follower.drain()), answers);
    };
    check(true, &[]);
    check(false, &["2->1 MsgAppResp Term:1 Log:0/1"]);
}

#[test]
fn a_leader_that_missed_the_acknowledgement_is_answered_when_it_asks_again() {
    let mut follower = Member::new(2, &[1, 2, 3]);
    let mut answer = |message: Message| {
        follower.step(message).unwrap();
        texts(&follower.drain()).join(" ")
    };
    assert_eq!(answer(append(1, 2, 1, (0, 0), &[(1, 1), (1, 2)], 0)), acknowledged(1, 2));
    assert_eq!(answer(append(1, 2, 1, (1, 2), &[], 1)), "");
    assert_eq!(answer(append(1, 2, 1, (1, 2), &[], 1)), acknowledged(1, 2), "nothing is news");
    assert_eq!(answer(append(1, 2, 1, (1, 2), &[], 3)), acknowledged(1, 2), "more is committed");
}

#[test]
fn what_this_leader_was_not_told_is_acknowledged() {
    // Told to an earlier leader.
    let mut follower = Member::new(2, &[1, 2, 3]);
    follower.step(append(1, 2, 1, (0, 0), &[(1, 1), (1, 2)], 1)).unwrap();
    follower.drain();
    follower.step(append(3, 2, 2, (1, 2), &[], 2)).unwrap();
    assert_eq!(texts(&follower.drain()), ["2->3 MsgAppResp Term:2 Log:0/2"]);
    // Told before a restart, perhaps.
    let mut follower = Member::with_log(2, &[1, 2, 3], &[1, 1], 1);
    follower.step(append(1, 2, 1, (1, 2), &[], 2)).unwrap();
    assert_eq!(texts(&follower.drain()), [acknowledged(1, 2)]);
}

fn acknowledged(term: u64, index: u64) -> String {
    format!("2->1 MsgAppResp Term:{term} Log:0/{index}")
}

#[test]
fn heartbeats_between_two_readies_are_sent_and_answered_once() {
    let check = |coalesces: bool, rounds: usize| {
        let with = |number| Member::with(number, &[1, 2, 3], |c| c.coalesce_appends = coalesces);
        let mut leader = with(1);
        leader.lead_all();
        leader.tick_times(2);
        let round = [
            "1->2 MsgHeartbeat Term:1 Log:0/0 Commit:1",
            "1->3 MsgHeartbeat Term:1 Log:0/0 Commit:1",
        ];
        assert_eq!(texts(&leader.drain()), round.repeat(rounds), "{coalesces}");
        assert!(leader.drain().is_empty());

        let mut follower = with(2);
        follower.step(heartbeat(1, 2, 1, 0)).unwrap();
        follower.step(heartbeat(1, 2, 1, 0)).unwrap();
        let answers = vec!["2->1 MsgHeartbeatResp Term:1 Log:0/0"; rounds];
        assert_eq!(texts(&follower.drain()), answers, "{coalesces}");
        assert!(!follower.has_ready());
    };
    check(true, 1);
    check(false, 2);
}

#[test]
fn an_answer_to_a_heartbeat_is_not_given_in_a_later_term() {
    let mut follower = Member::new(2, &[1, 2, 3]);
    follower.step(heartbeat(1, 2, 1, 0)).unwrap();
    follower.step(heartbeat(3, 2, 2, 0)).unwrap();
    assert_eq!(texts(&follower.drain()), ["2->3 MsgHeartbeatResp Term:2 Log:0/0"]);
    // Nor to a leader that was forgotten.
    follower.step(heartbeat(3, 2, 2, 0)).unwrap();
    follower.forget_leader().unwrap();
    assert!(follower.drain().is_empty() && !follower.has_ready());
}
