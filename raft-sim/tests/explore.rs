//! The exhaustive search: that scopes are searched to their end and nothing is found, and that it
//! finds what is planted.

use raft_sim::{Found, Sabotage, Scope, explore};

fn check(scope: &Scope) -> Found {
    let found = explore(scope);
    if let Some((violation, way)) = &found.violation {
        panic!("{scope:?}: {violation}\n  {}", way.join("\n  "));
    }
    assert!(found.is_exhausted, "{scope:?}: {found:?}");
    found
}

#[test]
fn one_term_with_an_entry_and_a_crash_breaks_no_rule() {
    let scope = Scope { terms: 1, proposals: 1, ..Scope::default() };
    let calm = check(&scope);
    let found = check(&Scope { crashes: 1, ..Scope { proposals: 0, ..scope } });
    // The empty entry and the proposed one; and a crash makes the world larger.
    assert_eq!((calm.committed, found.committed), (2, 1));
    assert!(calm.states > 1_000 && found.states > 1_500, "{calm:?} {found:?}");
}

#[test]
fn a_message_that_arrives_twice_breaks_no_rule() {
    let found = check(&Scope { terms: 1, duplicates: Some(1), ..Scope::default() });
    let without = check(&Scope { terms: 1, duplicates: Some(0), ..Scope::default() });
    assert!(found.states > without.states, "{found:?}");
}

#[test]
fn the_same_scope_gives_the_same_search() {
    let scope = Scope { terms: 1, crashes: 1, beats: 1, ..Scope::default() };
    let (first, second) = (check(&scope), check(&scope));
    assert_eq!((first.states, first.steps), (second.states, second.steps));
}

#[test]
fn a_search_that_is_cut_off_says_so() {
    let found = explore(&Scope { max_states: 1000, ..Scope::default() });
    assert!(!found.is_exhausted && found.violation.is_none());
}

/// A planted mistake is found by this name, and the way to it ends with these words.
fn check_finds(scope: Scope, sabotage: Sabotage, expected: &str, last: &str) {
    let found = explore(&Scope { sabotage, ..scope });
    let (violation, way) = found.violation.expect("the planted mistake is found");
    assert_eq!(violation.check, expected, "{violation}\n  {}", way.join("\n  "));
    let end = way.last().map_or("", String::as_str);
    assert!(end.contains(last), "{}", way.join("\n  "));
}

#[test]
fn promises_that_are_not_kept_are_found_at_once() {
    let scope = Scope { terms: 1, crashes: 1, ..Scope::default() };
    check_finds(scope, Sabotage::SendBeforeSync, "released_vote_request_is_durable", "campaigns");
    check_finds(scope, Sabotage::HastyVotes, "released_vote_request_is_durable", "campaigns");
    check_finds(scope, Sabotage::NeverSync, "released_vote_request_is_durable", "campaigns");
}

#[test]
fn the_harm_that_comes_of_broken_promises_is_found() {
    // Nobody looks at the disks: what is found is what users would have seen.
    let scope = Scope { terms: 1, crashes: 1, promises: false, ..Scope::default() };
    check_finds(scope, Sabotage::ForgetVote, "one_vote_a_term", "MsgVote");
    check_finds(scope, Sabotage::SendBeforeSync, "one_vote_a_term", "MsgVote");
}
