//! Membership changes without a group: from any configuration that is accepted, by any change.

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use raftcore::wire;
use raftcore::{AnyConfChange, ConfState, Entry, EntryKind, Membership, NodeId};

use crate::{Group, conf_change};

/// A configuration in plain form, lawful or not.
#[derive(Arbitrary, Debug)]
struct Plain {
    voters: Vec<u8>,
    learners: Vec<u8>,
    outgoing: Vec<u8>,
    learners_next: Vec<u8>,
    auto_leave: bool,
}

/// How a change is made.
#[derive(Arbitrary, Debug)]
enum Way {
    Apply,
    Simple,
    Enter { auto_leave: bool },
    Leave,
}

/// Plays an input.
pub fn play(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let Ok(plain) = input.arbitrary::<Plain>() else { return };
    let ids = |ids: &[u8]| ids.iter().map(|id| u64::from(*id % 9)).collect::<Vec<_>>();
    let state = ConfState {
        voters: ids(&plain.voters),
        learners: ids(&plain.learners),
        voters_outgoing: ids(&plain.outgoing),
        learners_next: ids(&plain.learners_next),
        auto_leave: plain.auto_leave,
    };
    let mut here = match Membership::from_conf_state(&state) {
        Ok(membership) => {
            assert!(membership.to_conf_state().is_equivalent(&state), "{state:?}");
            membership
        }
        Err(_) => Membership::default(),
    };
    let mut group = Group::elected();
    for _ in 0..40 {
        let Ok((way, transition, steps)) = input.arbitrary::<(Way, u8, Vec<(u8, u8)>)>() else {
            break;
        };
        let change = conf_change(transition, &steps);
        let next = match way {
            Way::Apply => here.apply(&change),
            Way::Simple => here.simple(&change.changes),
            Way::Enter { auto_leave } => here.enter_joint(auto_leave, &change.changes),
            Way::Leave => here.leave_joint(),
        };
        check_travels(&AnyConfChange::Many(change.clone()));
        group.reconfigure(&AnyConfChange::Many(change));
        if let Ok(next) = next {
            check_laws(&here, &next);
            here = next;
        }
    }
    let rest = Bytes::copy_from_slice(input.take_rest());
    for kind in [EntryKind::ConfChange, EntryKind::ConfChangeV2] {
        let entry = Entry { kind, data: rest.clone(), ..Entry::default() };
        if let Ok(Some(change)) = wire::decode_conf_change(&entry) {
            check_travels(&change);
            group.reconfigure(&change);
            let _ = here.apply(&change.into());
        }
    }
    group.settle();
}

/// A change is the same after it was encoded and decoded.
fn check_travels(change: &AnyConfChange) {
    let (kind, data) = wire::encode_conf_change(change);
    let entry = Entry { kind, data, ..Entry::default() };
    assert_eq!(wire::decode_conf_change(&entry), Ok(Some(change.clone())));
}

fn check_laws(here: &Membership, next: &Membership) {
    let (voters, outgoing) = (next.voters(), next.voters_outgoing());
    let (learners, staged) = (next.learners(), next.learners_next());
    for ids in [voters, outgoing, learners, staged] {
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{here} to {next}");
    }
    assert!(!voters.is_empty(), "{here} to {next}");
    let votes = |id: &NodeId| voters.contains(id) || outgoing.contains(id);
    assert!(!learners.iter().any(votes), "{here} to {next}");
    assert!(staged.iter().all(|id| outgoing.contains(id) && !voters.contains(id)), "{next}");
    assert!(next.is_joint() || !next.auto_leave(), "{here} to {next}");
    assert_eq!(Membership::from_conf_state(&next.to_conf_state()).as_ref(), Ok(next));
}
