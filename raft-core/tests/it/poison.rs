//! Membership entries that would poison every node when they are applied: refused where they are
//! proposed, and skipped alike by everybody if one is in the log anyway.

use bytes::Bytes;
use raftcore::{
    AnyConfChange, BadConfChange, Body, DecodeError, Entries, Entry, EntryKind, Error, Event,
    Misuse, Refusal, RefusalKind, Transition, membership::ChangeError,
};

use crate::support::{
    Group, Member, append_one, change_v2, conf_proposal, fingerprint, many, message, one,
};

use Transition::{Auto, JointExplicit};

/// A leader of this group; with a joint configuration if a change is given to enter it by.
fn leader_of(members: &[u64], enter: &str) -> Member {
    let mut leader = Member::new(1, members);
    leader.lead_all();
    if !enter.is_empty() {
        leader.apply_conf_change(&change_v2(JointExplicit, enter)).unwrap();
        leader.drain();
    }
    leader
}

/// Every change that can be written down and cannot be applied: the group, how it became joint,
/// the change, and what is wrong with it.
fn inapplicable() -> Vec<(&'static [u64], &'static str, AnyConfChange, ChangeError)> {
    vec![
        (&[1], "", one("r1"), ChangeError::RemovedAllVoters),
        (&[1], "", one("l1"), ChangeError::RemovedAllVoters),
        (&[1], "", many(Auto, "r1 v0"), ChangeError::RemovedAllVoters),
        (&[1, 2, 3], "", many(Auto, "r1 r2 r3 v0"), ChangeError::RemovedAllVoters),
        (&[1, 2, 3], "", many(JointExplicit, "l1 l2 l3"), ChangeError::RemovedAllVoters),
        (&[1, 2, 3], "v4", many(JointExplicit, ""), ChangeError::AlreadyJoint),
        (&[1, 2, 3], "v4", many(Transition::JointImplicit, ""), ChangeError::AlreadyJoint),
        (&[1, 2, 3], "", one(&format!("v{}", u64::MAX)), ChangeError::BadId(u64::MAX)),
        (&[1, 2, 3], "", many(Auto, "r18446744073709551614"), ChangeError::BadId(u64::MAX - 1)),
    ]
}

/// Bytes that are no change: the kind of entry, its data, and what is wrong with it.
fn undecodable() -> Vec<(EntryKind, &'static [u8], DecodeError)> {
    vec![
        (EntryKind::ConfChange, &[0x10, 0x04, 0x18, 0x02], DecodeError::UnknownChangeKind(4)),
        (
            EntryKind::ConfChangeV2,
            &[0x12, 0x04, 0x08, 0x09, 0x10, 0x02],
            DecodeError::UnknownChangeKind(9),
        ),
        (EntryKind::ConfChangeV2, &[0x08, 0x03], DecodeError::UnknownTransition(3)),
        (EntryKind::ConfChangeV2, &[0x08, 0x07, 0x12, 0x00], DecodeError::UnknownTransition(7)),
    ]
}

fn raw(kind: EntryKind, data: &'static [u8]) -> Entry {
    Entry { kind, data: Bytes::from_static(data), ..Entry::default() }
}

#[test]
fn a_change_that_cannot_be_applied_is_the_callers_mistake_when_it_is_proposed() {
    for (members, enter, change, error) in inapplicable() {
        let mut leader = leader_of(members, enter);
        let before = fingerprint(&leader);
        let expected = Misuse::BadConfChange(BadConfChange::Inapplicable(error));
        assert_eq!(leader.propose_conf_change(&change), Err(expected.into()), "{change:?}");
        assert_eq!(fingerprint(&leader), before);
    }
}

#[test]
fn a_change_that_cannot_be_applied_is_refused_from_a_peer() {
    for (members, enter, change, error) in inapplicable() {
        // Somebody outside the group may pass a proposal on.
        let mut leader = leader_of(members, enter);
        let before = fingerprint(&leader);
        let expected = Refusal::BadConfChange(BadConfChange::Inapplicable(error));
        assert_eq!(leader.step(conf_proposal(2, 1, &change)), Err(expected.into()), "{change:?}");
        assert_eq!(leader.metrics().refused(RefusalKind::BadConfChange), 1);
        assert_eq!(fingerprint(&leader), before);
    }
}

#[test]
fn bytes_that_are_no_change_are_refused_by_every_role() {
    let mut follower = Member::new(1, &[1, 2, 3]);
    follower.step(crate::support::heartbeat(2, 1, 1, 0)).unwrap();
    follower.drain();
    for mut node in [leader_of(&[1, 2, 3], ""), follower] {
        for (kind, data, error) in undecodable() {
            let before = fingerprint(&node);
            let entries = Entries::from(vec![raw(kind, data)]);
            let expected = Refusal::BadConfChange(BadConfChange::Undecodable(error));
            let result = node.step(message(3, 1, 0, Body::Propose(entries)));
            assert_eq!(result, Err(expected.into()));
            assert_eq!(fingerprint(&node), before);
        }
        let garbage = Entries::from(vec![raw(EntryKind::ConfChange, b"\xff\xff\xff")]);
        let result = node.step(message(3, 1, 0, Body::Propose(garbage)));
        let is_invalid = matches!(
            result,
            Err(Error::Refused(Refusal::BadConfChange(BadConfChange::Undecodable(
                DecodeError::Invalid(_)
            ))))
        );
        assert!(is_invalid, "{result:?}");
        assert_eq!(node.metrics().refused(RefusalKind::BadConfChange), 5);
    }
}

#[test]
fn one_bad_change_refuses_the_whole_proposal() {
    let mut leader = leader_of(&[1], "");
    let before = fingerprint(&leader);
    let (_, _, bad, _) = inapplicable().swap_remove(0);
    let mut entries = Entries::from(vec![Entry { data: "good".into(), ..Entry::default() }]);
    let Body::Propose(rest) = conf_proposal(2, 1, &bad).body else { unreachable!() };
    entries.append(rest);
    assert!(leader.step(message(2, 1, 0, Body::Propose(entries))).is_err());
    assert_eq!(fingerprint(&leader), before);
}

#[test]
fn a_poison_that_is_committed_anyway_is_skipped_and_reported() {
    let with_position = |entry: Entry, index: u64| Entry {
        term: raftcore::Term(1),
        index: raftcore::Index(index),
        ..entry
    };
    let mut poisons: Vec<(Entry, BadConfChange)> = undecodable()
        .into_iter()
        .map(|(kind, data, error)| (raw(kind, data), BadConfChange::Undecodable(error)))
        .collect();
    for (members, enter, change, error) in inapplicable() {
        if members == [1, 2, 3] && enter.is_empty() {
            let Body::Propose(entries) = conf_proposal(2, 1, &change).body else { unreachable!() };
            let entry = entries.first().unwrap().clone();
            poisons.push((entry, BadConfChange::Inapplicable(error)));
        }
    }
    assert_eq!(poisons.len(), 8);
    for (entry, error) in poisons {
        let mut node = Member::new(1, &[1, 2, 3]);
        let (send, receive) = std::sync::mpsc::channel();
        node.set_observer(Some(Box::new(move |event| send.send(event.clone()).unwrap())));
        node.step(append_one(2, 1, (0, 0), with_position(entry, 1), 1)).unwrap();
        node.drain();
        assert_eq!(node.skipped, vec![error.clone()]);
        assert_eq!(node.members(), "voters=(1 2 3)");
        assert_eq!((node.commit(), node.status().applied.0), (1, 1), "and the node goes on");
        assert!(receive.try_iter().any(|event| event == Event::ConfChangeSkipped(error.clone())));
    }
}

#[test]
fn every_node_skips_a_poison_alike() {
    // With validation off a leader takes what nobody can apply.
    let mut group = Group::with(3, |c| c.validate_conf_changes = false);
    group.elect(1);
    group[1].propose_conf_change(&many(JointExplicit, "r1 r2 r3 v0")).unwrap();
    group.settle();
    group.propose(1, "after");
    group.run(1);
    let expected = [BadConfChange::Inapplicable(ChangeError::RemovedAllVoters)];
    for member in group.members.values() {
        assert_eq!(member.skipped, expected);
        assert_eq!(
            (member.payloads(), member.members()),
            (vec!["after".into()], "voters=(1 2 3)".into())
        );
    }
    group.assert_agreement();
}

#[test]
fn a_joint_change_without_changes_is_harmless_where_the_group_is_not_joint() {
    let mut leader = leader_of(&[1, 2, 3], "");
    // It is taken for the order to leave, as upstream takes it, and replaced.
    let outcome = leader.propose_conf_change(&many(JointExplicit, "")).unwrap();
    let reason = raftcore::ReplaceReason::NotJoint;
    let position = crate::support::at(1, 2);
    assert_eq!(outcome, raftcore::ConfChangeOutcome::Replaced { position, reason });
}
