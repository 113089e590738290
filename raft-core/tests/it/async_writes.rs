//! Asynchronous storage writes: two threads of the application append and apply, and what they
//! report is taken only for what it proves.

use raftcore::{
    Config, Error, Index, LocalResponse, Misuse, Reply, RoleKind, SnapshotStatus, describe,
};

use crate::oracle;
use crate::support::{
    Group, Member, accepted, append, at, fingerprint, heartbeat, id, install, snapshot,
    stored_terms, text, texts, vote, voters,
};

fn with_threads(config: &mut Config) {
    config.async_storage_writes = true;
}

/// A member whose storage threads work only when they are told to.
fn member(own: u64, members: &[u64]) -> Member {
    let mut member = Member::with(own, members, with_threads);
    member.manual = true;
    member
}

/// A leader of three with everything stored and applied, whose threads then stop.
fn leader() -> Member {
    let mut leader = Member::with(1, &[1, 2, 3], with_threads);
    leader.lead_all();
    leader.manual = true;
    leader
}

/// The work that waits for the append thread, in the text form of the scenarios.
fn append_work(member: &Member) -> Vec<String> {
    member.appends.iter().map(|work| describe::message(&work.to_flat())).collect()
}

#[test]
fn a_slow_disk_may_have_many_writes_before_it() {
    let mut node = member(1, &[1, 2, 3]);
    for index in 1..=100 {
        let prev = (u64::from(index > 1), index - 1);
        node.step(append(2, 1, 1, prev, &[(1, index)], index)).unwrap();
        node.drain();
    }
    assert_eq!(node.appends.len(), 100);
    for _ in 0..100 {
        node.run_append();
        node.drain();
    }
    node.run_storage();
    assert_eq!((stored_terms(&node).len(), node.status().applied), (100, Index(100)));
}

#[test]
fn what_is_being_applied_holds_back_more_than_the_limit() {
    let mut node = Member::with(1, &[1, 2, 3], |config| {
        with_threads(config);
        config.max_committed_bytes_per_ready = 5;
    });
    node.manual = true;
    for index in 1..=2 {
        let last = at((index > 1).into(), index - 1);
        node.step(append(2, 1, 1, (last.term.0, last.index.0), &[(1, index)], index)).unwrap();
        node.drain();
        node.run_append();
        node.drain();
        assert_eq!(node.applies.len(), 1, "an entry has more than 5 bytes");
    }
    node.run_apply();
    node.drain();
    assert_eq!(node.applies.len(), 1, "now there is room for the next one");
}

#[test]
fn an_acknowledgement_says_how_far_it_applied() {
    let mut leader = leader();
    leader.propose("a").unwrap();
    leader.drain();
    let (_, written) = leader.write_append();
    assert!(written.iter().all(|response| response.applied().is_none()));
    for response in written {
        leader.node.storage_response(response).unwrap();
    }
    leader.acknowledge(2);
    leader.drain();
    let applied: Vec<_> = leader.applies.iter().map(|work| work.reply.applied()).collect();
    assert_eq!(applied, [Some(Index(leader.last_index()))]);
}

#[test]
fn an_append_carries_what_may_be_said_when_it_is_durable() {
    let mut follower = member(1, &[1, 2, 3]);
    follower.step(append(2, 1, 1, (0, 0), &[(1, 1)], 0)).unwrap();
    assert!(follower.drain().is_empty(), "nothing may be said yet");
    let expected = "1->AppendThread MsgStorageAppend Term:1 Log:0/0 Entries:[1/1 EntryNormal \
                    \"1/1\"] Responses:[\n  1->2 MsgAppResp Term:1 Log:0/1\n  AppendThread->1 \
                    MsgStorageAppendResp Term:1 Log:1/1\n]";
    assert_eq!(append_work(&follower), [expected]);
    assert!(follower.appends[0].must_sync);
    assert_eq!(texts(&follower.run_append()), ["1->2 MsgAppResp Term:1 Log:0/1"]);
}

#[test]
fn a_vote_waits_for_the_append_thread() {
    let mut node = member(1, &[1, 2, 3]);
    node.step(vote(2, 1, 1, (0, 0))).unwrap();
    assert!(node.drain().is_empty());
    assert_eq!(texts(&node.run_append()), ["1->2 MsgVoteResp Term:1 Log:0/0"]);
    assert_eq!(node.storage().inner.hard_state().vote, Some(id(2)));
}

#[test]
fn a_claim_without_a_write_still_waits_for_the_writes_before_it() {
    let mut follower = member(1, &[1, 2, 3]);
    follower.step(append(2, 1, 1, (0, 0), &[(1, 1)], 0)).unwrap();
    follower.drain();
    // The same again: nothing new to write, but what it claims is still on its way to the disk.
    follower.step(append(2, 1, 1, (0, 0), &[(1, 1)], 0)).unwrap();
    assert!(follower.drain().is_empty());
    assert_eq!(follower.appends.len(), 2);
    assert!(follower.appends[1].entries.is_empty() && !follower.appends[1].must_sync);
}

#[test]
fn entries_are_handed_out_once_however_many_readys_are_taken() {
    let mut follower = member(1, &[1, 2, 3]);
    for index in 0..3 {
        let prev = (index.min(1), index);
        follower.step(append(2, 1, 1, prev, &[(1, index + 1)], 0)).unwrap();
        follower.drain();
    }
    let handed: Vec<u64> =
        follower.appends.iter().flat_map(|w| w.entries.iter().map(|e| e.index.0)).collect();
    assert_eq!(handed, [1, 2, 3]);
}

#[test]
fn a_leader_counts_itself_only_after_its_thread_has_answered() {
    let mut leader = leader();
    leader.propose("x").unwrap();
    assert_eq!(leader.drain().len(), 2, "its appends need not wait");
    leader.step(accepted(2, 1, 1, 2)).unwrap();
    assert_eq!(leader.commit(), 1);
    leader.run_append();
    assert_eq!(leader.commit(), 2);
}

#[test]
fn a_single_voter_does_not_count_itself_sooner_either() {
    let mut node = member(1, &[1]);
    node.campaign().unwrap();
    node.drain();
    assert_eq!(node.role(), RoleKind::Candidate, "its vote is not stored");
    node.run_append();
    assert_eq!(node.role(), RoleKind::Leader);
    node.drain();
    assert_eq!(node.commit(), 0);
    node.run_append();
    assert_eq!(node.commit(), 1);
    node.propose("x").unwrap();
    node.drain();
    assert_eq!(node.commit(), 1);
    while !node.appends.is_empty() {
        node.run_append();
    }
    assert_eq!(node.commit(), 2);
}

#[test]
fn entries_are_applied_only_when_they_are_stored_here() {
    let mut follower = member(1, &[1, 2, 3]);
    follower.step(append(2, 1, 1, (0, 0), &[(1, 1), (1, 2)], 2)).unwrap();
    follower.drain();
    // Committed, since others have them; but the apply thread must not overtake (mistake 42).
    assert_eq!((follower.commit(), follower.applies.len()), (2, 0));
    follower.run_append();
    follower.drain();
    assert_eq!(follower.applies.len(), 1);
    assert_eq!(follower.status().applied.0, 0);
    follower.run_apply();
    assert_eq!((follower.status().applied.0, follower.payloads().len()), (2, 2));
}

#[test]
fn a_second_page_does_not_wait_for_the_first_while_there_is_room() {
    let mut follower = member(1, &[1, 2, 3]);
    for index in 0..3 {
        let prev = (index.min(1), index);
        follower.step(append(2, 1, 1, prev, &[(1, index + 1)], index + 1)).unwrap();
        follower.drain();
        follower.run_append();
        follower.drain();
        while follower.appends.len() > 1 {
            follower.run_append();
        }
    }
    assert!(follower.applies.len() > 1);
    while !follower.applies.is_empty() {
        follower.run_apply();
    }
    let indexes: Vec<u64> = follower.applied.iter().map(|entry| entry.index.0).collect();
    assert_eq!(indexes, (1..=indexes.len() as u64).collect::<Vec<_>>());
}

// The ABA case (mistake 8): entries are overwritten, and then come back as they were.

#[test]
fn a_tail_that_was_overwritten_is_not_acknowledged_by_the_write_before() {
    let mut node = member(2, &[1, 2, 3, 4, 5]);
    // A's entries in term 1, then C's over them in term 2, then A's again in term 3.
    node.step(append(1, 2, 1, (0, 0), &[(1, 1), (1, 2)], 0)).unwrap();
    node.drain();
    node.step(append(3, 2, 2, (0, 0), &[(2, 1), (2, 2)], 0)).unwrap();
    node.drain();
    node.step(append(1, 2, 3, (0, 0), &[(1, 1), (1, 2)], 0)).unwrap();
    node.drain();
    assert_eq!(node.appends.len(), 3);
    // After the first and the second write the disk does not have what the log says.
    for written in [[1, 1], [2, 2]] {
        node.run_append();
        assert_eq!(stored_terms(&node), written);
        assert_eq!(unstable(&node), 2, "nothing of the tail is acknowledged");
    }
    node.run_append();
    assert_eq!((stored_terms(&node), unstable(&node)), (vec![1, 1], 0));
}

#[test]
fn a_write_whose_end_was_overwritten_in_its_own_term_acknowledges_nothing() {
    let mut node = member(1, &[1, 2, 3]);
    node.step(append(2, 1, 1, (0, 0), &[(1, 1), (1, 2)], 0)).unwrap();
    node.drain();
    // The write of the next term's hard state speaks for the tail as it is by then.
    node.step(heartbeat(3, 1, 2, 0)).unwrap();
    node.drain();
    // Only then comes what that term's leader has at the end, and that it is committed.
    node.step(append(3, 1, 2, (1, 1), &[(2, 2)], 2)).unwrap();
    node.drain();
    assert_eq!(node.appends.len(), 3);
    for _ in 0..2 {
        node.run_append();
        node.drain();
        assert_eq!(stored_terms(&node), [1, 1]);
        assert!(node.applies.is_empty(), "2/2 is not stored yet");
    }
    node.run_append();
    node.drain();
    assert_eq!(stored_terms(&node), [1, 2]);
    assert_eq!(node.applies.front().map(|work| work.entries.len()), Some(2));
}

/// How many entries the node does not know to be durable.
fn unstable(member: &Member) -> u64 {
    let log = format!("{:?}", member.node);
    let (_, offset) = log.split_once("offset: Index(").expect("the debug form of the tail");
    let (offset, _) = offset.split_once(')').expect("a number");
    member.node.last_position().index.0 + 1 - offset.parse::<u64>().expect("a number")
}

#[test]
fn a_write_of_an_earlier_term_is_acknowledged_by_the_next_write() {
    let mut node = member(1, &[1, 2, 3]);
    node.step(append(2, 1, 1, (0, 0), &[(1, 1)], 0)).unwrap();
    node.drain();
    // The term changes; of the entries nothing does.
    node.step(heartbeat(3, 1, 2, 0)).unwrap();
    node.drain();
    node.run_append();
    assert_eq!(unstable(&node), 1, "the answer is of an earlier term");
    // The hard state of the new term is written after the entries, so its answer covers them.
    let expected = "1->AppendThread MsgStorageAppend Term:2 Log:0/0 Responses:[\n  \
                    AppendThread->1 MsgStorageAppendResp Term:2 Log:1/1\n]";
    assert_eq!(append_work(&node), [expected]);
    node.run_append();
    assert_eq!(unstable(&node), 0);
}

#[test]
fn a_snapshot_is_acknowledged_whatever_the_term() {
    let mut node = member(1, &[1, 2, 3]);
    node.step(install(2, 1, 1, snapshot((1, 9), voters(&[1, 2, 3])))).unwrap();
    node.drain();
    node.step(heartbeat(3, 1, 2, 0)).unwrap();
    node.drain();
    node.campaign().unwrap();
    assert_eq!(node.role(), RoleKind::Follower, "the snapshot is not stored");
    node.run_append();
    assert_eq!(node.status().applied.0, 9);
    node.campaign().unwrap();
    assert_eq!(node.role(), RoleKind::Candidate);
}

#[test]
fn the_own_acknowledgement_of_an_earlier_term_commits_nothing() {
    let mut leader = leader();
    leader.propose("x").unwrap();
    leader.drain();
    leader.step(heartbeat(2, 1, 2, 0)).unwrap();
    leader.drain();
    leader.campaign().unwrap();
    leader.drain();
    leader.step(crate::support::vote_response(3, 1, 3, true)).unwrap();
    leader.step(crate::support::vote_response(2, 1, 3, true)).unwrap();
    assert_eq!(leader.role(), RoleKind::Leader);
    leader.drain();
    leader.step(accepted(2, 1, 3, 2)).unwrap();
    leader.run_append();
    assert_eq!(leader.commit(), 1);
}

// The door of the storage threads.

#[test]
fn a_response_is_taken_once() {
    let mut node = member(1, &[1]);
    node.campaign().unwrap();
    node.drain();
    let (_, responses) = node.write_append();
    for response in &responses {
        node.storage_response(response.clone()).unwrap();
    }
    let before = fingerprint(&node);
    for response in responses {
        let unknown = Err(Misuse::UnknownStorageResponse.into());
        assert_eq!(node.storage_response(response), unknown);
    }
    assert_eq!(fingerprint(&node), before);
}

#[test]
fn a_response_of_another_node_or_of_an_earlier_life_is_refused() {
    let response_of = |own: u64| -> LocalResponse {
        let mut node = member(own, &[own]);
        node.campaign().unwrap();
        let ready = node.take_ready();
        let replies = ready.append.as_ref().unwrap().replies.clone();
        replies
            .into_iter()
            .find_map(|reply| match reply {
                Reply::Local(response) => Some(response),
                Reply::Peer(_) => None,
            })
            .unwrap()
    };
    let mut node = member(1, &[1]);
    let unknown: Result<(), Error> = Err(Misuse::UnknownStorageResponse.into());
    assert_eq!(node.storage_response(response_of(1)), unknown, "nothing was asked");
    node.campaign().unwrap();
    node.drain();
    let before = fingerprint(&node);
    assert_eq!(node.storage_response(response_of(2)), unknown);
    assert_eq!(fingerprint(&node), before);
}

#[test]
fn the_two_ways_to_persist_do_not_mix() {
    let mismatch: Result<(), Error> = Err(Misuse::AsyncStorageWrites.into());
    let mut threads = member(1, &[1]);
    threads.campaign().unwrap();
    let ready = threads.take_ready();
    let response = ready.append.as_ref().unwrap().replies.clone().into_iter().next();
    let Some(Reply::Local(response)) = response else { panic!("its own vote") };
    let before = fingerprint(&threads);
    assert_eq!(threads.advance(ready), mismatch);
    assert_eq!(fingerprint(&threads), before);

    let mut plain = Member::new(1, &[1]);
    plain.campaign().unwrap();
    let before = fingerprint(&plain);
    assert_eq!(plain.storage_response(response), mismatch);
    assert_eq!(fingerprint(&plain), before);
}

#[test]
fn a_peers_message_cannot_speak_for_a_storage_thread() {
    let mut node = member(1, &[1, 2, 3]);
    node.step(append(2, 1, 1, (0, 0), &[(1, 1)], 1)).unwrap();
    node.drain();
    let before = fingerprint(&node);
    for reply in node.appends[0].replies.clone() {
        let mut flat = reply.to_flat();
        flat.from = 2;
        flat.to = 1;
        let refused = node.step_encoded(oracle::encode(&flat));
        if matches!(reply, Reply::Local(_)) {
            assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
        }
    }
    assert_eq!(fingerprint(&node), before);
}

// Crashes and whole groups.

#[test]
fn a_crash_between_append_and_apply_applies_again_after_the_restart() {
    let mut node = member(1, &[1, 2, 3]);
    node.step(append(2, 1, 1, (0, 0), &[(1, 1), (1, 2)], 2)).unwrap();
    node.drain();
    node.run_append();
    node.drain();
    while !node.appends.is_empty() {
        node.run_append();
    }
    assert!(!node.applies.is_empty());
    node.restart();
    node.drain();
    assert_eq!(node.payloads(), ["1/1", "1/2"]);
}

#[test]
fn a_crash_before_the_append_forgets_what_was_never_claimed() {
    let mut node = member(1, &[1, 2, 3]);
    node.step(append(2, 1, 1, (0, 0), &[(1, 1), (1, 2)], 2)).unwrap();
    assert!(node.drain().is_empty());
    node.restart();
    assert_eq!((node.last_index(), node.commit(), node.term()), (0, 0, 0));
}

#[test]
fn a_group_with_storage_threads_works_like_any_other() {
    let mut group = Group::with(3, with_threads);
    group.elect(1);
    for i in 0..20 {
        group.propose(1 + i % 3, &format!("{i}"));
    }
    group[1].propose_conf_change(&crate::support::one("r3")).unwrap();
    group.settle();
    group.elect(2);
    group.propose(2, "after");
    group.run(1);
    assert_eq!(group[1].payloads(), group[2].payloads());
    assert_eq!((group[1].payloads().len(), group[1].members().as_str()), (21, "voters=(1 2)"));
}

#[test]
fn a_member_with_storage_threads_is_brought_up_by_a_snapshot() {
    let mut group = Group::with(3, with_threads);
    group.elect(1);
    group.isolate(3);
    for i in 0..10 {
        group.propose(1, &format!("{i}"));
    }
    group[1].compact();
    group.heal();
    group.run(3);
    group[1].report_snapshot(id(3), SnapshotStatus::Finished).unwrap();
    group.run(1);
    group.assert_agreement();
    assert_eq!(group[3].restored.len(), 1);
}

#[test]
fn slow_disks_change_when_things_happen_and_not_what() {
    // Node 3's threads work only every tenth time.
    let mut group = Group::with(3, with_threads);
    group[3].manual = true;
    group.elect(1);
    for i in 0..40 {
        group.propose(1, &format!("{i}"));
        if i % 10 == 9 {
            let sent = group[3].run_storage();
            group.wire.extend(sent);
            group.settle();
        }
    }
    for _ in 0..20 {
        let sent = group[3].run_storage();
        group.wire.extend(sent);
        group.run(1);
    }
    group.assert_agreement();
    assert_eq!(group[3].payloads(), group[1].payloads());
    assert!(group.sent.iter().all(|m| !text(m).contains("Thread")), "nothing of it leaves a node");
}

#[test]
fn all_that_is_said_to_the_threads_and_by_them_has_a_text() {
    let mut node = member(1, &[1, 2, 3]);
    node.step(vote(2, 1, 1, (0, 0))).unwrap();
    node.drain();
    node.step(install(2, 1, 1, snapshot((1, 5), voters(&[1, 2, 3])))).unwrap();
    node.drain();
    node.step(append(2, 1, 1, (1, 5), &[(1, 6)], 6)).unwrap();
    node.drain();
    let restored = "Snapshot: Index:5 Term:1 ConfState:Voters:[1 2 3] VotersOutgoing:[] \
                    Learners:[] LearnersNext:[] AutoLeave:false";
    let expected = [
        "1->AppendThread MsgStorageAppend Term:1 Log:0/0 Vote:2 Responses:[\n  \
         1->2 MsgVoteResp Term:1 Log:0/0\n]",
        &format!(
            "1->AppendThread MsgStorageAppend Term:1 Log:0/0 Commit:5 Vote:2\n  {restored} \
             Responses:[\n  1->2 MsgAppResp Term:1 Log:0/5\n  \
             AppendThread->1 MsgStorageAppendResp Term:1 Log:0/0\n    {restored}\n]"
        ),
        "1->AppendThread MsgStorageAppend Term:1 Log:0/0 Commit:6 Vote:2 \
         Entries:[1/6 EntryNormal \"1/6\"] Responses:[\n  1->2 MsgAppResp Term:1 Log:0/6\n  \
         AppendThread->1 MsgStorageAppendResp Term:1 Log:1/6\n]",
    ];
    assert_eq!(append_work(&node), expected);
    for _ in expected {
        node.run_append();
    }
    node.drain();
    let applies = node.applies.iter().map(|work| describe::message(&work.to_flat()));
    let expected = "1->ApplyThread MsgStorageApply Term:0 Log:0/0 Entries:[1/6 EntryNormal \
                    \"1/6\"] Responses:[\n  ApplyThread->1 MsgStorageApplyResp Term:0 Log:0/0 \
                    Entries:[1/6 EntryNormal \"1/6\"]\n]";
    assert_eq!(applies.collect::<Vec<_>>(), [expected]);
}

#[test]
fn a_leaders_own_acknowledgement_goes_by_the_append_thread() {
    let mut leader = leader();
    leader.propose("a").unwrap();
    leader.drain();
    let expected = "1->AppendThread MsgStorageAppend Term:0 Log:0/0 Entries:[1/2 EntryNormal \
                    \"a\"] Responses:[\n  1->1 MsgAppResp Term:1 Log:0/2\n  AppendThread->1 \
                    MsgStorageAppendResp Term:1 Log:1/2\n]";
    assert_eq!(append_work(&leader), [expected]);
}
