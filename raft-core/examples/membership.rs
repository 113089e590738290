//! A group that changes: a learner joins by snapshot, is promoted, and replaces a voter.
//!
//! Run it with `cargo run -p raftcore --example membership`. The group is that of `cluster.rs`,
//! next to this file. The lines that say ANCHOR mark what the guide in `docs` prints.

use cluster::{Cluster, id};
use raftcore::{
    ConfChange, ConfChangeKind, ConfChangeOutcome, ConfChangeSingle, ConfChangeV2, Error, NodeId,
    RoleKind,
};

#[path = "cluster.rs"]
#[allow(dead_code, unreachable_pub, reason = "an example of its own, with its own main")]
mod cluster;

fn main() -> Result<(), Error> {
    let mut cluster = Cluster::found(&[1, 2, 3])?;
    let leader = cluster.elect()?;
    cluster.member(leader).node.propose("colour=green")?;
    cluster.run()?;

    // A learner receives the log and counts in no quorum: the group does not wait for it.
    let newcomer = id(4);
    add(&mut cluster, leader, newcomer, ConfChangeKind::AddLearner)?;
    // ANCHOR: newcomer
    // The change is applied, so this snapshot names the newcomer. A member does not take one that
    // does not name it: make a fresh one whenever the log no longer reaches back to its start.
    cluster.member(leader).compact()?;
    cluster.join(newcomer)?;
    // ANCHOR_END: newcomer
    while !cluster.member(newcomer).store.contains_key("colour") {
        cluster.tick()?;
    }
    println!("{newcomer} learned by a snapshot, colour=green included");

    let retired = cluster.others(leader)[0];
    replace(&mut cluster, leader, retired, newcomer)?;
    let members = cluster.member(leader).conf_state.clone();
    println!("{newcomer} took the place of {retired}: the voters are {:?}", members.voters);
    assert!(members.voters.contains(&4) && !members.voters.contains(&retired.get()));
    assert!(members.voters_outgoing.is_empty() && members.learners.is_empty());

    cluster.stop(retired);
    assert_eq!(cluster.read(newcomer, "colour")?, "green");
    assert_eq!(cluster.member(leader).node.soft_state().role, RoleKind::Leader);
    Ok(())
}

// ANCHOR: one
/// Changes one member and waits until the change is applied.
fn add(
    cluster: &mut Cluster,
    leader: NodeId,
    newcomer: NodeId,
    kind: ConfChangeKind,
) -> Result<(), Error> {
    // The context travels with the change. A service puts the new member's address there.
    let context = "http://localhost:2384".into();
    let change = ConfChange { kind, node: newcomer.get(), context, ..ConfChange::default() };
    let outcome = cluster.member(leader).node.propose_conf_change(&change.into())?;
    // `Replaced` is no error: another change was not applied yet. Try again when it is.
    assert!(matches!(outcome, ConfChangeOutcome::Appended(_)), "{outcome:?}");
    cluster.run()
}
// ANCHOR_END: one

// ANCHOR: joint
/// Changes two voters at once. Until the change is complete, both majorities must agree.
fn replace(
    cluster: &mut Cluster,
    leader: NodeId,
    retired: NodeId,
    newcomer: NodeId,
) -> Result<(), Error> {
    let step = |kind, member: NodeId| ConfChangeSingle { kind, node: member.get() };
    let change = ConfChangeV2 {
        changes: vec![
            step(ConfChangeKind::AddVoter, newcomer),
            step(ConfChangeKind::Remove, retired),
        ],
        ..ConfChangeV2::default()
    };
    cluster.member(leader).node.propose_conf_change(&change.into())?;
    cluster.run()
}
// ANCHOR_END: joint
