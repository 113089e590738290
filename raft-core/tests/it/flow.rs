//! Flow control: how much a leader sends before it hears back, how much it hands out to be
//! applied, and how much it takes on.

use raftcore::{Body, Config, DropReason, Entries, Entry, Error, Message, Proposed, RoleKind};

use crate::support::{
    Group, Member, accepted, append, entry, heartbeat_response, id, message, rejected, texts,
};

/// A payload of so many bytes.
fn payload(bytes: usize) -> String {
    "x".repeat(bytes)
}

/// The entries of each append in these messages, as (first, last); (0, 0) for an empty one.
fn appended(sent: &[Message], to: u64) -> Vec<(u64, u64)> {
    let to = sent.iter().filter(|message| message.to == id(to));
    to.filter_map(|message| match &message.body {
        Body::Append(append) => {
            let ends = append.entries.first().zip(append.entries.last());
            Some(ends.map_or((0, 0), |(first, last)| (first.index.0, last.index.0)))
        }
        _ => None,
    })
    .collect()
}

/// A leader whose proposals make a message each, so that the window can be filled one by one.
fn leader_with(change: impl FnOnce(&mut Config)) -> Member {
    let mut leader = Member::with(1, &[1, 2, 3], |config| {
        config.coalesce_appends = false;
        change(config);
    });
    leader.lead_all();
    leader
}

/// Whether the status says that the window of a member is full.
fn is_window_full(leader: &Member, to: u64) -> bool {
    let status = leader.status();
    status.progress.iter().any(|peer| peer.id == id(to) && peer.is_window_full())
}

/// How many entries the first append to a member has that lacks five: three that are stored and
/// applied, and two that are neither.
fn joined(limit: u64) -> usize {
    let mut leader = leader_with(|c| c.max_message_bytes = limit);
    let (term, first) = (leader.term(), leader.last_index() + 1);
    for applied in [true, true, true, false, false] {
        leader.propose(payload(100)).unwrap();
        if applied {
            leader.drain();
            leader.acknowledge(2);
            leader.drain();
        }
    }
    leader.step(rejected(3, 1, term, first, (term, first - 1))).unwrap();
    let sent = appended(&leader.drain(), 3);
    let (low, high) = sent.iter().find(|(low, _)| *low == first).expect("it starts over");
    (high - low + 1) as usize
}

#[test]
fn an_append_joins_what_is_stored_and_what_is_not_up_to_its_size() {
    let entry = Entry { data: payload(100).into(), ..entry(1, 2) };
    let size = Entries::from(vec![entry]).encoded_bytes();
    for (limit, expected) in [
        (1, 1),
        (2 * size, 2),
        (3 * size - 1, 2),
        (3 * size, 3),
        (3 * size + 1, 3),
        (4 * size - 1, 3),
        (4 * size, 4),
        (5 * size - 1, 4),
        (5 * size, 5),
        (u64::MAX, 5),
    ] {
        assert_eq!(joined(limit), expected, "{limit} bytes, {size} each");
    }
}

#[test]
fn the_status_tells_a_full_window() {
    let mut leader = leader_with(|c| c.max_inflight_messages = 2);
    for full in [false, true] {
        leader.propose(payload(1)).unwrap();
        leader.drain();
        assert_eq!((is_window_full(&leader, 2), is_window_full(&leader, 1)), (full, false));
    }
    leader.acknowledge(2);
    assert!(!is_window_full(&leader, 2) && is_window_full(&leader, 3));
}

#[test]
fn the_basic_status_is_the_status_without_the_members() {
    let mut leader = leader_with(|_| ());
    leader.propose(payload(5)).unwrap();
    let (whole, basic) = (leader.status(), leader.basic_status());
    let of_now = (basic.id, basic.hard_state, basic.soft_state);
    assert_eq!(of_now, (whole.id, whole.hard_state, whole.soft_state));
    let of_log = (basic.applied, basic.first_index, basic.last_index);
    assert_eq!(of_log, (whole.applied, whole.first_index, whole.last_index));
    let of_leader = (basic.transferring_to, basic.pending_reads, basic.uncommitted_bytes);
    assert_eq!(of_leader, (whole.transferring_to, whole.pending_reads, whole.uncommitted_bytes));
    assert_eq!(basic.uncommitted_bytes, 5);
}

// Probing.

#[test]
fn a_probe_is_one_append_until_it_is_answered() {
    let mut leader = Member::with(1, &[1, 2, 3], |config| config.coalesce_appends = false);
    leader.become_leader();
    for _ in 0..3 {
        leader.propose("x").unwrap();
    }
    assert!(appended(&leader.drain(), 2).is_empty(), "the first probe was sent with the election");
    // Every heartbeat that is answered allows one more.
    for _ in 0..3 {
        leader.step(heartbeat_response(2, 1, 1, b"")).unwrap();
        leader.propose("x").unwrap();
        assert_eq!(appended(&leader.drain(), 2).len(), 1);
    }
    // The answer begins the stream.
    leader.step(accepted(2, 1, 1, 1)).unwrap();
    leader.propose("x").unwrap();
    leader.propose("x").unwrap();
    assert_eq!(appended(&leader.drain(), 2), [(2, 7), (8, 8), (9, 9)]);
}

#[test]
fn an_empty_probe_does_not_pause_the_flow() {
    let mut leader = leader_with(|_| ());
    leader.report_unreachable(id(2)).unwrap();
    leader.step(heartbeat_response(2, 1, 1, b"")).unwrap();
    // It lacks nothing, but the leader wants to know.
    assert_eq!(appended(&leader.drain(), 2), [(0, 0)]);
    assert_eq!(leader.progress_of(2), "StateProbe match=1 next=2");
    leader.propose("x").unwrap();
    assert_eq!(appended(&leader.drain(), 2), [(2, 2)]);
    assert_eq!(leader.progress_of(2), "StateProbe match=1 next=2 paused");
}

#[test]
fn a_member_that_was_not_reached_is_probed() {
    let mut leader = leader_with(|_| ());
    leader.propose("x").unwrap();
    leader.drain();
    leader.report_unreachable(id(2)).unwrap();
    assert_eq!(leader.progress_of(2), "StateProbe match=1 next=2");
    assert_eq!(leader.progress_of(3), "StateReplicate match=1 next=3 inflight=1");
    // Who is probed already goes on being probed, and strangers are nobody.
    leader.report_unreachable(id(2)).unwrap();
    leader.report_unreachable(id(9)).unwrap();
    assert_eq!(leader.progress_of(2), "StateProbe match=1 next=2");
}

#[test]
fn a_report_on_a_follower_does_nothing() {
    let mut follower = Member::new(1, &[1, 2, 3]);
    follower.report_unreachable(id(2)).unwrap();
    assert!(!follower.has_ready());
}

// The window.

#[test]
fn appends_stream_until_the_window_is_full() {
    let mut leader = leader_with(|c| c.max_inflight_messages = 3);
    for _ in 0..6 {
        leader.propose("x").unwrap();
    }
    assert_eq!(appended(&leader.drain(), 2), [(2, 2), (3, 3), (4, 4)]);
    assert_eq!(leader.progress_of(2), "StateReplicate match=1 next=5 paused inflight=3[full]");
    // An acknowledgement of the first two makes room; what waits goes in one message.
    leader.step(accepted(2, 1, 1, 3)).unwrap();
    assert_eq!(appended(&leader.drain(), 2), [(5, 7)]);
    // One that tells nothing new makes no room.
    leader.propose("x").unwrap();
    leader.propose("x").unwrap();
    leader.drain();
    leader.step(accepted(2, 1, 1, 2)).unwrap();
    assert!(leader.drain().is_empty());
}

#[test]
fn out_of_a_full_window_goes_one_empty_append_for_each_heartbeat() {
    let mut leader = leader_with(|c| c.max_inflight_messages = 1);
    leader.propose("x").unwrap();
    leader.propose("x").unwrap();
    assert_eq!(appended(&leader.drain(), 2), [(2, 2)]);
    for _ in 0..3 {
        leader.step(heartbeat_response(2, 1, 1, b"")).unwrap();
        leader.propose("x").unwrap();
        let sent = leader.drain();
        assert_eq!(texts(&sent), ["1->2 MsgApp Term:1 Log:1/2 Commit:1"]);
    }
    // What filled the window was lost: the rejection of the empty append says so.
    leader.step(rejected(2, 1, 1, 2, (1, 1))).unwrap();
    assert_eq!(appended(&leader.drain(), 2), [(2, 6)]);
}

#[test]
fn the_window_counts_bytes_too() {
    let mut leader = leader_with(|c| {
        c.max_inflight_bytes = 100;
        c.max_message_bytes = 100;
    });
    leader.propose(payload(60)).unwrap();
    leader.propose(payload(60)).unwrap();
    leader.propose(payload(60)).unwrap();
    // The one that reaches the limit still goes.
    assert_eq!(appended(&leader.drain(), 2), [(2, 2), (3, 3)]);
    leader.step(accepted(2, 1, 1, 2)).unwrap();
    assert_eq!(appended(&leader.drain(), 2), [(0, 0), (4, 4)][1..]);
}

#[test]
fn the_bytes_in_flight_are_given_back() {
    let mut leader = leader_with(|c| {
        c.max_inflight_bytes = 100;
        c.max_message_bytes = 100;
    });
    // A leak would fill the window for ever (mistake 44).
    for round in 0..200 {
        for bytes in [1, 40, 70] {
            leader.propose(payload(bytes)).unwrap();
        }
        assert!(!appended(&leader.drain(), 2).is_empty(), "round {round}");
        let last = leader.last_index();
        match round % 4 {
            0 => leader.report_unreachable(id(2)).unwrap(),
            1 => leader.step(rejected(2, 1, 1, last, (1, 1))).unwrap(),
            _ => {}
        }
        leader.acknowledge(2);
        leader.acknowledge(3);
        leader.drain();
    }
    let last = leader.last_index();
    let expected = format!("StateReplicate match={last} next={}", last + 1);
    assert_eq!(leader.progress_of(2), expected);
}

#[test]
fn a_member_that_starts_over_has_an_empty_window() {
    let mut leader = leader_with(|c| c.max_inflight_messages = 2);
    leader.propose("x").unwrap();
    leader.propose("x").unwrap();
    leader.drain();
    leader.report_unreachable(id(2)).unwrap();
    leader.step(accepted(2, 1, 1, 1)).unwrap();
    leader.propose("x").unwrap();
    assert_eq!(appended(&leader.drain(), 2), [(2, 3), (4, 4)]);
}

// Sizes.

#[test]
fn an_append_is_at_most_as_large_as_allowed() {
    // Each entry is 16 bytes on the wire: 10 of payload, the rest for its fields.
    let check = |limit: u64, expect: &[(u64, u64)]| {
        let mut leader = Member::with(1, &[1, 2, 3], |c| c.max_message_bytes = limit);
        leader.become_leader();
        for _ in 0..6 {
            leader.propose(payload(10)).unwrap();
        }
        leader.drain();
        leader.step(accepted(2, 1, 1, 1)).unwrap();
        assert_eq!(appended(&leader.drain(), 2), expect, "limit {limit}");
    };
    let one = 16;
    check(3 * one, &[(2, 4), (5, 7)]);
    check(3 * one - 1, &[(2, 3), (4, 5), (6, 7)]);
    check(u64::MAX, &[(2, 7)]);
    // An entry above the limit travels alone; a limit of zero lets one travel at a time.
    let alone = [(2, 2), (3, 3), (4, 4), (5, 5), (6, 6), (7, 7)];
    check(one - 1, &alone);
    check(0, &alone);
}

#[test]
fn committed_entries_come_in_pages_without_a_gap() {
    for limit in [0, 1, 16, 33, 50, 1000] {
        let mut storage = Member::storage_with(&[1, 2, 3], &[1; 30], 30);
        storage.compact(raftcore::Index(3)).unwrap();
        let mut node = Member::on(1, storage, |c| {
            c.max_committed_bytes_per_ready = limit;
            c.max_message_bytes = 0;
        });
        let mut pages = 0;
        while node.has_ready() {
            let ready = node.take_ready();
            assert!(ready.committed.len() == 1 || ready.committed.encoded_bytes() <= limit);
            node.handle(ready);
            pages += 1;
        }
        // All of them, each once, in order (mistake 43).
        let indexes: Vec<u64> = node.applied.iter().map(|entry| entry.index.0).collect();
        assert_eq!(indexes, (4..=30).collect::<Vec<_>>(), "limit {limit}");
        assert!(limit == 1000 || pages > 1);
    }
}

#[test]
fn pages_that_reach_over_the_stored_log_into_the_tail_have_no_gap() {
    for limit in 1..80 {
        let mut node = Member::with_log_and(1, &[1, 2, 3], &[1; 5], 0, |c| {
            c.max_committed_bytes_per_ready = limit;
        });
        let new = [(1, 6), (1, 7), (1, 8), (1, 9)];
        node.step(append(2, 1, 1, (1, 5), &new, 9)).unwrap();
        node.drain();
        let indexes: Vec<u64> = node.applied.iter().map(|entry| entry.index.0).collect();
        assert_eq!(indexes, (1..=9).collect::<Vec<_>>(), "limit {limit}");
    }
}

#[test]
fn a_page_does_not_skip_a_large_entry_for_a_small_one_behind_it() {
    // Five stored entries of 9 bytes, and four of 4 bytes that are not stored yet.
    let small = |index| Entry {
        term: raftcore::Term(1),
        index: raftcore::Index(index),
        ..Entry::default()
    };
    for limit in 1..80 {
        let mut node = Member::with_log_and(1, &[1, 2, 3], &[1; 5], 0, |c| {
            c.max_committed_bytes_per_ready = limit;
        });
        let new = raftcore::Append {
            prev: crate::support::at(1, 5),
            entries: (6..=9).map(small).collect(),
            commit: raftcore::Index(9),
        };
        node.step(message(2, 1, 1, Body::Append(new))).unwrap();
        node.drain();
        let indexes: Vec<u64> = node.applied.iter().map(|entry| entry.index.0).collect();
        assert_eq!(indexes, (1..=9).collect::<Vec<_>>(), "limit {limit}");
    }
}

#[test]
fn the_commit_size_limit_holds_over_all_that_is_not_acknowledged() {
    let mut node = Member::with_log_and(1, &[1, 2, 3], &[1; 9], 0, |c| {
        c.async_storage_writes = true;
        c.max_committed_bytes_per_ready = 30;
    });
    node.manual = true;
    node.step(append(2, 1, 1, (1, 9), &[], 9)).unwrap();
    // Each entry has 9 bytes: three fit, and the next page waits until they are applied.
    node.drain();
    assert_eq!(node.applies.len(), 1);
    assert_eq!(node.applies[0].entries.len(), 3);
    while !node.appends.is_empty() {
        node.run_append();
    }
    node.drain();
    assert_eq!(node.applies.len(), 1, "still the same page");
    node.run_apply();
    node.drain();
    assert_eq!(node.applies[0].entries.first().unwrap().index.0, 4);
}

// What a leader takes on.

#[test]
fn proposals_are_limited_by_their_payloads_until_they_are_applied() {
    let mut leader = leader_with(|c| c.max_uncommitted_bytes = 100);
    leader.propose(payload(60)).unwrap();
    leader.propose(payload(40)).unwrap();
    let waiting = leader.status().uncommitted_bytes;
    let refused = leader.propose("x");
    let reason = DropReason::TooMuchUncommitted { waiting: 100, limit: 100 };
    assert_eq!((waiting, refused), (100, Err(Error::Dropped(reason))));
    // What has no payload always passes.
    assert!(matches!(leader.propose(""), Ok(Proposed::Appended { .. })));
    leader.drain();
    leader.acknowledge(2);
    leader.drain();
    assert_eq!(leader.status().uncommitted_bytes, 0);
    leader.propose(payload(100)).unwrap();
}

#[test]
fn one_proposal_of_any_size_is_taken_when_nothing_waits() {
    let mut leader = leader_with(|c| c.max_uncommitted_bytes = 100);
    leader.propose(payload(5000)).unwrap();
    assert!(leader.propose("x").is_err());
    assert!(leader.propose("").is_ok(), "what has no payload passes however much waits");
    leader.drain();
    leader.acknowledge(2);
    leader.drain();
    leader.propose("x").unwrap();
}

#[test]
fn the_count_of_uncommitted_bytes_ends_with_the_leadership() {
    let mut leader = leader_with(|c| c.max_uncommitted_bytes = 100);
    leader.propose(payload(100)).unwrap();
    leader.drain();
    leader.step(message(2, 1, 2, Body::TimeoutNow)).unwrap();
    leader.drain();
    leader.lead_all();
    // Mistake 54: the count would be left from the earlier term, or fall below zero.
    assert_eq!(leader.status().uncommitted_bytes, 0);
    leader.propose(payload(100)).unwrap();
    assert_eq!(leader.status().uncommitted_bytes, 100);
    leader.drain();
    leader.acknowledge(2);
    leader.drain();
    assert_eq!(leader.status().uncommitted_bytes, 0);
}

#[test]
fn what_another_leader_overwrote_counts_for_nothing_later() {
    let mut leader = leader_with(|c| c.max_uncommitted_bytes = 100);
    leader.propose(payload(100)).unwrap();
    leader.drain();
    let (term, last) = (leader.term(), leader.last_index());
    // Its entry is gone for good: nothing that is applied will ever take it off the count.
    leader.step(append(2, 1, term + 1, (term, last - 1), &[(term + 1, last)], last)).unwrap();
    leader.drain();
    leader.lead_all();
    assert_eq!(leader.status().uncommitted_bytes, 0);
    leader.propose(payload(100)).unwrap();
}

#[test]
fn proposals_of_a_group_without_a_quorum_do_not_grow_without_bound() {
    let mut group = Group::with(3, |c| c.max_uncommitted_bytes = 1000);
    group.elect(1);
    group.isolate(1);
    let taken = (0..100).filter(|_| group[1].propose(payload(50)).is_ok()).count();
    assert_eq!((taken, group[1].last_index()), (20, 21));
    group.heal();
    group.run(2);
    group.assert_agreement();
    assert_eq!((group[1].role(), group[1].status().uncommitted_bytes), (RoleKind::Leader, 0));
}

// The commit index on its way.

#[test]
fn a_commit_index_that_was_sent_is_not_sent_again() {
    let mut leader = leader_with(|_| ());
    leader.propose("a").unwrap();
    leader.propose("b").unwrap();
    leader.drain();
    leader.step(accepted(2, 1, 1, 2)).unwrap();
    leader.drain();
    leader.step(accepted(2, 1, 1, 3)).unwrap();
    let sent = leader.drain();
    assert_eq!(appended(&sent, 3), [(0, 0)], "news of the commit index goes to all");
    // Node 3 was told of 3 already, with an append that reaches there.
    leader.step(accepted(3, 1, 1, 2)).unwrap();
    leader.step(accepted(3, 1, 1, 3)).unwrap();
    assert!(leader.drain().is_empty());
}

#[test]
fn a_member_that_could_not_hear_of_the_commit_index_is_told_when_it_answers() {
    let mut leader = leader_with(|c| c.max_inflight_messages = 1);
    leader.propose("a").unwrap();
    leader.drain();
    leader.step(accepted(2, 1, 1, 2)).unwrap();
    // Its window was full when the entry was committed.
    assert!(appended(&leader.drain(), 3).is_empty());
    leader.step(accepted(3, 1, 1, 2)).unwrap();
    assert_eq!(texts(&leader.drain()), ["1->3 MsgApp Term:1 Log:1/2 Commit:2"]);
}

#[test]
fn a_heartbeat_lowers_what_was_told() {
    let mut leader = leader_with(|_| ());
    leader.propose("a").unwrap();
    leader.drain();
    leader.step(accepted(2, 1, 1, 2)).unwrap();
    leader.drain();
    // Node 3 was told of 2. The heartbeat says 1, since no more is known to match: whatever told
    // it may be lost, so its answer is answered with the commit index again.
    leader.tick_times(1);
    leader.drain();
    leader.step(accepted(3, 1, 1, 2)).unwrap();
    assert_eq!(texts(&leader.drain()), ["1->3 MsgApp Term:1 Log:1/2 Commit:2"]);
}

/// A leader of five whose windows have room for one message, and which sends when it is asked.
fn leader_of_five() -> Member {
    let mut leader = Member::with(1, &[1, 2, 3, 4, 5], |c| c.max_inflight_messages = 1);
    leader.lead_all();
    leader
}

#[test]
fn into_a_full_window_goes_no_entry_however_new() {
    let mut leader = leader_of_five();
    leader.propose("a").unwrap();
    assert_eq!(appended(&leader.drain(), 2), [(2, 2)]);
    // With the answer to a heartbeat comes a proposal, for which the next Ready is made.
    leader.step(heartbeat_response(2, 1, 1, b"")).unwrap();
    leader.propose("b").unwrap();
    assert_eq!(appended(&leader.drain(), 2), [(0, 0)]);
    // Then an answer alone, while the entry waits.
    leader.step(heartbeat_response(2, 1, 1, b"")).unwrap();
    assert_eq!(appended(&leader.drain(), 2), [(0, 0)]);
}

#[test]
fn a_window_that_opens_lets_all_through_that_waited() {
    let mut leader = leader_of_five();
    for payload in ["a", "b", "c"] {
        leader.propose(payload).unwrap();
        leader.drain();
    }
    // One answer of five commits nothing: there is only what waited to be sent.
    leader.step(accepted(2, 1, 1, 2)).unwrap();
    assert_eq!(appended(&leader.drain(), 2), [(3, 4)]);
}

#[test]
fn an_answer_after_which_nothing_is_to_be_said_makes_no_ready() {
    let mut leader = leader_of_five();
    leader.step(heartbeat_response(2, 1, 1, b"")).unwrap();
    assert!(!leader.has_ready(), "it lacks nothing");
    leader.propose("a").unwrap();
    leader.drain();
    leader.step(accepted(2, 1, 1, 2)).unwrap();
    assert!(!leader.has_ready(), "it has all, and that commits nothing");
}

#[test]
fn members_that_lack_the_same_get_what_their_windows_have_room_for() {
    let mut leader = Member::with(1, &[1, 2, 3], |c| c.max_inflight_messages = 1);
    leader.lead_all();
    for payload in ["a", "b"] {
        leader.propose(payload).unwrap();
        leader.drain();
    }
    leader.step(heartbeat_response(2, 1, 1, b"")).unwrap();
    leader.step(accepted(3, 1, 1, 2)).unwrap();
    let sent = leader.drain();
    assert_eq!((appended(&sent, 2), appended(&sent, 3)), (vec![(0, 0)], vec![(3, 3)]));
}

#[test]
fn a_leader_sends_itself_nothing_when_a_part_of_its_log_is_durable() {
    let mut leader = leader_with(|_| ());
    leader.propose("a").unwrap();
    let ready = leader.take_ready();
    leader.propose("b").unwrap();
    leader.handle(ready);
    assert_eq!((leader.match_of(1), leader.last_index()), (2, 3));
    assert_eq!(appended(&leader.drain(), 1), []);
}

#[test]
fn a_member_that_had_what_was_owed_is_sent_nothing() {
    let mut leader = leader_of_five();
    leader.propose("a").unwrap();
    leader.propose("b").unwrap();
    leader.drain();
    // What it was sent is presumed lost, and was late: it is owed the second, and then has it.
    leader.report_unreachable(id(2)).unwrap();
    leader.step(accepted(2, 1, 1, 2)).unwrap();
    leader.step(accepted(2, 1, 1, 3)).unwrap();
    assert_eq!(leader.node.ready(), Ok(None));
    assert!(!leader.has_ready());
}
