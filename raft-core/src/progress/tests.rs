//! Every transition of a [`Progress`], and the law that each of its fields obeys.

use super::*;

const LIMITS: Limits = Limits { max_inflight_messages: 2, max_inflight_bytes: 100 };

/// A member that acknowledged up to `matched` and is probed.
fn probing(matched: u64) -> Progress {
    let mut member = Progress::new(Index(1));
    member.on_acknowledged(Index(matched));
    member
}

/// A member that acknowledged up to `matched` and has `sent` more entries in flight.
fn replicating(matched: u64, sent: u64) -> Progress {
    let mut member = probing(matched);
    member.become_replicate();
    member.on_sent_entries(sent, 1, &LIMITS);
    member
}

/// A member that acknowledged up to `matched` and was sent a snapshot.
fn in_snapshot(matched: u64, pending: u64) -> Progress {
    let mut member = probing(matched);
    member.become_snapshot(Index(pending));
    member
}

#[track_caller]
fn check(member: &Progress, expect: &str) {
    assert_eq!(member.describe(false, &LIMITS).to_string(), expect);
}

#[test]
fn it_stays_small() {
    assert!(size_of::<Progress>() <= 80, "{} bytes", size_of::<Progress>());
}

#[test]
fn a_new_member_is_probed_and_was_not_heard_from() {
    check(&Progress::new(Index(7)), "StateProbe match=0 next=7 inactive");
    check(&Progress::new(Index::ZERO), "StateProbe match=0 next=1 inactive");
}

#[test]
fn heard_from_until_the_next_interval() {
    let mut member = Progress::new(Index(1));
    member.mark_active();
    assert!(member.is_recent_active());
    member.mark_inactive();
    assert!(!member.is_recent_active());
}

#[test]
fn a_replicating_member_probes_again_after_what_it_acknowledged() {
    let mut member = replicating(3, 4);
    check(&member, "StateReplicate match=3 next=8 inactive inflight=1");
    member.pause();
    member.on_sent_commit(Index(6));
    member.become_probe();
    check(&member, "StateProbe match=3 next=4 inactive");
    assert_eq!(member.sent_commit(), Index(3));
}

#[test]
fn a_finished_snapshot_is_presumed_to_have_arrived() {
    let mut member = in_snapshot(3, 10);
    check(&member, "StateSnapshot match=3 next=11 paused pendingSnap=10 inactive");
    member.become_probe();
    check(&member, "StateProbe match=3 next=11 inactive");
    assert_eq!(member.sent_commit(), Index(10));
}

#[test]
fn an_acknowledgement_beyond_the_snapshot_moves_the_probe() {
    let mut member = in_snapshot(3, 10);
    assert!(member.on_acknowledged(Index(12)));
    member.become_probe();
    check(&member, "StateProbe match=12 next=13 inactive");
}

#[test]
fn an_aborted_snapshot_is_forgotten() {
    let mut member = in_snapshot(3, 10);
    member.abort_snapshot();
    check(&member, "StateProbe match=3 next=4 inactive");
    assert_eq!(member.sent_commit(), Index(3));
}

#[test]
fn a_snapshot_older_than_the_match_index_does_not_lower_next_below_it() {
    let mut member = in_snapshot(8, 5);
    check(&member, "StateSnapshot match=8 next=9 paused pendingSnap=5 inactive");
    member.become_probe();
    check(&member, "StateProbe match=8 next=9 inactive");
}

#[test]
fn replication_starts_after_the_match_index_with_an_empty_window() {
    let mut member = Progress::new(Index(9));
    member.on_sent_entries(1, 5, &LIMITS);
    assert!(member.is_paused());
    member.become_replicate();
    check(&member, "StateReplicate match=0 next=1 inactive");
    let mut member = replicating(3, 4);
    member.become_replicate();
    check(&member, "StateReplicate match=3 next=4 inactive");
}

#[test]
fn leaving_replication_empties_the_window() {
    let mut member = replicating(3, 4);
    member.become_snapshot(Index(9));
    member.become_replicate();
    check(&member, "StateReplicate match=3 next=4 inactive");
}

#[test]
fn a_probe_with_entries_pauses_and_an_empty_one_does_not() {
    let mut member = probing(3);
    member.on_sent_entries(0, 0, &LIMITS);
    assert!(!member.is_paused());
    member.on_sent_entries(1, 9, &LIMITS);
    check(&member, "StateProbe match=3 next=4 paused inactive");
    // What paused the flow is still unanswered.
    member.on_sent_entries(0, 0, &LIMITS);
    assert!(member.is_paused());
}

#[test]
fn a_stream_pauses_when_its_window_is_full() {
    let mut member = replicating(3, 2);
    assert!(!member.is_paused() && !member.is_window_full(&LIMITS));
    member.on_sent_entries(3, 1, &LIMITS);
    check(&member, "StateReplicate match=3 next=9 paused inactive inflight=2[full]");
    assert!(member.is_window_full(&LIMITS));
}

#[test]
fn a_stream_pauses_when_too_many_bytes_are_in_flight() {
    let mut member = replicating(3, 2);
    member.on_sent_entries(1, 99, &LIMITS);
    assert!(member.is_paused() && member.is_window_full(&LIMITS));
    let mut member = probing(3);
    member.become_replicate();
    member.on_sent_entries(1, 1 << 40, &LIMITS);
    check(&member, "StateReplicate match=3 next=5 paused inactive inflight=1[full]");
}

#[test]
fn an_empty_append_into_a_full_window_is_a_probe() {
    let mut member = replicating(3, 2);
    member.on_sent_entries(1, 1, &LIMITS);
    member.unpause();
    assert!(!member.is_paused());
    member.on_sent_entries(0, 0, &LIMITS);
    check(&member, "StateReplicate match=3 next=7 paused inactive inflight=2[full]");
}

#[test]
fn an_acknowledgement_lets_the_window_slide() {
    let mut member = replicating(3, 2);
    member.on_sent_entries(1, 1, &LIMITS);
    assert!(member.on_acknowledged(Index(5)));
    member.free_inflights_up_to(Index(5));
    check(&member, "StateReplicate match=5 next=7 inactive inflight=1");
}

#[test]
#[cfg_attr(debug_assertions, should_panic = "snapshot is pending")]
fn an_append_while_a_snapshot_is_pending_changes_nothing() {
    let mut member = in_snapshot(3, 10);
    member.on_sent_entries(1, 1, &LIMITS);
    assert_eq!(member, in_snapshot(3, 10));
}

#[test]
fn a_pending_snapshot_pauses_whatever_is_unpaused() {
    let mut member = in_snapshot(3, 10);
    member.unpause();
    assert!(member.is_paused());
    // It has no window to be full.
    assert!(!member.is_window_full(&LIMITS));
    member.free_inflights_up_to(Index(10));
    assert_eq!(member.state(), &State::Snapshot { pending: Index(10) });
}

#[test]
fn the_match_index_only_rises_and_pushes_next_before_it() {
    for (index, is_news, matched, next) in
        [(4, false, 5, 8), (5, false, 5, 8), (6, true, 6, 8), (7, true, 7, 8), (9, true, 9, 10)]
    {
        let mut member = replicating(5, 2);
        member.pause();
        assert_eq!(member.on_acknowledged(Index(index)), is_news, "{index}");
        assert_eq!(member.match_index(), Index(matched), "{index}");
        assert_eq!(member.next_index(), Index(next), "{index}");
        assert_eq!(member.is_paused(), !is_news, "{index}");
    }
}

#[test]
fn a_rejected_stream_starts_over_unless_the_answer_is_old() {
    for (rejected, holds, next) in [(4, false, 10), (5, false, 10), (6, true, 6), (9, true, 6)] {
        let mut member = replicating(5, 4);
        member.on_sent_commit(Index(9));
        assert_eq!(member.on_rejected(Index(rejected), Index(8)), holds, "{rejected}");
        assert_eq!(member.next_index(), Index(next), "{rejected}");
        assert_eq!(member.sent_commit(), Index(if holds { 5 } else { 9 }), "{rejected}");
    }
}

#[test]
fn a_rejected_probe_goes_back_to_the_hint_unless_the_answer_is_old() {
    // From next = 10 and match = 0: what was rejected, the hint, whether it holds, next.
    for (rejected, hint, holds, next) in [
        (5, 5, false, 10),
        (10, 3, false, 10),
        (9, 9, true, 9),
        (9, 100, true, 9),
        (9, 2, true, 3),
        (9, 0, true, 1),
    ] {
        let mut member = Progress::new(Index(10));
        member.on_sent_entries(1, 1, &LIMITS);
        member.on_sent_commit(Index(7));
        assert_eq!(member.on_rejected(Index(rejected), Index(hint)), holds, "{rejected} {hint}");
        assert_eq!(member.next_index(), Index(next), "{rejected} {hint}");
        assert_eq!(member.is_paused(), !holds, "{rejected} {hint}");
        assert_eq!(member.sent_commit(), Index(7.min(next - 1)), "{rejected} {hint}");
    }
}

#[test]
fn a_rejected_probe_never_goes_back_behind_the_match_index() {
    let mut member = in_snapshot(4, 9);
    member.become_probe();
    assert!(member.on_rejected(Index(9), Index(1)));
    check(&member, "StateProbe match=4 next=5 inactive");
    // An empty log has nothing to reject, but if it does, next stays above zero.
    let mut member = Progress::new(Index(1));
    assert!(member.on_rejected(Index::ZERO, Index::ZERO));
    check(&member, "StateProbe match=0 next=1 inactive");
}

#[test]
fn a_commit_index_is_worth_sending_until_it_covers_all_that_was_sent() {
    let mut member = replicating(3, 4);
    member.on_sent_commit(Index(5));
    assert!(!member.can_bump_commit(Index(5)));
    assert!(member.can_bump_commit(Index(6)));
    member.on_sent_commit(Index(7));
    assert!(!member.can_bump_commit(Index(100)));
}

#[test]
fn the_text_form_says_what_is_so_and_nothing_else() {
    let mut member = replicating(3, 4);
    member.mark_active();
    check(&member, "StateReplicate match=3 next=8 inflight=1");
    let text = member.describe(true, &LIMITS).to_string();
    assert_eq!(text, "StateReplicate match=3 next=8 learner inflight=1");
    let mut member = in_snapshot(3, 9);
    member.pause();
    let text = member.describe(true, &LIMITS).to_string();
    assert_eq!(text, "StateSnapshot match=3 next=10 learner paused pendingSnap=9 inactive");
}

#[test]
fn the_laws_hold_on_every_way_through_the_states() {
    for seed in 1..=300u64 {
        let mut noise = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut below = |limit: u64| {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            noise % limit
        };
        let mut member = Progress::new(Index(below(20)));
        for _ in 0..200 {
            let before = member.clone();
            let near = Index(member.match_index().0 + below(8));
            let act = below(11);
            match act {
                0 => member.become_probe(),
                1 => member.become_replicate(),
                2 => member.become_snapshot(near),
                3 => member.abort_snapshot(),
                4 | 5 if !matches!(member.state(), State::Snapshot { .. }) => {
                    let count = if member.is_window_full(&LIMITS) { 0 } else { below(4) };
                    member.on_sent_entries(count, below(60), &LIMITS);
                }
                6 => member.free_inflights_up_to(near),
                // As a leader does: a stream that was rejected is probed.
                7 => {
                    let is_stream = matches!(member.state(), State::Replicate(_));
                    if member.on_rejected(member.next_index().prev(), near) && is_stream {
                        member.become_probe();
                    }
                }
                8 => member.unpause(),
                9 => member.on_sent_commit(near),
                _ => assert_eq!(member.on_acknowledged(near), near > before.match_index()),
            }
            let story = format!("seed {seed}: {before:?}, act {act} near {near}, then {member:?}");
            assert!(member.match_index() < member.next_index(), "{story}");
            assert!(member.match_index() >= before.match_index(), "{story}");
            if matches!(act, 0 | 3) {
                assert!(member.sent_commit() < member.next_index(), "{story}");
            }
            match member.state() {
                State::Probe => {}
                State::Snapshot { .. } => assert!(member.is_paused(), "{story}"),
                State::Replicate(inflights) => {
                    assert!(inflights.len() <= LIMITS.max_inflight_messages, "{story}");
                }
            }
        }
    }
}
