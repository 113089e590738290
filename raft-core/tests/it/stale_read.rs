//! The schedule by which other cores answer a read with a stale index: a read is retried under the
//! same context, an answer to an old heartbeat arrives late, and the leader was deposed meanwhile.

use raftcore::{Message, MessageKind, ReadState, RoleKind};

use crate::support::{Group, id};

/// Leader 1 asks its round for the read `x`. Returns the two answers, not delivered.
fn asked() -> (Group, Vec<Message>) {
    let mut group = Group::with(3, |c| (c.check_quorum, c.pre_vote) = (false, false));
    group.elect(1);
    group.propose(1, "old");
    group[1].node.read_index("x").unwrap();
    group.collect();
    for heartbeat in std::mem::take(&mut group.wire) {
        group.deliver(heartbeat);
    }
    group.collect();
    let answers: Vec<Message> = group.wire.drain(..).collect();
    assert!(answers.iter().all(|m| m.body.kind() == MessageKind::HeartbeatResponse));
    assert_eq!(answers.len(), 2);
    (group, answers)
}

/// 2 and 3 go on without 1, which does not know it.
fn depose(group: &mut Group) {
    group.isolate(1);
    group.elect(2);
    group.propose(2, "new");
    assert!(group[2].commit() > group[1].commit());
    assert_eq!((group[1].role(), group.refused.len()), (RoleKind::Leader, 0));
}

fn deliver_late(group: &mut Group, late: Message) {
    group[1].node.step(late).unwrap();
    group.settle();
}

fn indexes(reads: &[ReadState]) -> Vec<u64> {
    reads.iter().map(|read| read.index.0).collect()
}

#[test]
fn stale_read_schedule() {
    let (mut group, mut answers) = asked();
    let late = answers.pop().unwrap();
    // One answer and the leader itself are a majority: the read is answered.
    deliver_late(&mut group, answers.pop().unwrap());
    let old = group[1].commit();
    assert_eq!(indexes(&group[1].reads), [old]);
    depose(&mut group);
    // The same read again. The other answer to its first round arrives now: it proves nothing
    // about this moment.
    group[1].node.read_index("x").unwrap();
    group.settle();
    deliver_late(&mut group, late);
    assert_eq!(indexes(&group[1].reads), [old], "the retried read is not answered");
    // Once 1 knows better, the next retry gets what the new leader committed.
    group.heal();
    group.run(3);
    assert_eq!(group[1].leader(), Some(2));
    group[1].node.read_index("x").unwrap();
    group.settle();
    assert_eq!(indexes(&group[1].reads), [old, group[2].commit()]);
}

#[test]
fn a_retry_is_another_read_even_while_the_first_one_waits() {
    let (mut group, answers) = asked();
    let old = group[1].commit();
    depose(&mut group);
    group[1].node.read_index("x").unwrap();
    group.settle();
    assert_eq!(group[1].status().pending_reads, 2);
    // Both answers are about the first: it was asked before anybody else led.
    for late in answers {
        deliver_late(&mut group, late);
        assert_eq!(indexes(&group[1].reads), [old]);
    }
    assert_eq!(group[1].status().pending_reads, 1, "the retry is still not answered");
}

#[test]
fn an_answer_to_the_retrys_own_round_counts() {
    let (mut group, answers) = asked();
    let old = group[1].commit();
    group[1].node.read_index("x").unwrap();
    group.settle();
    for late in answers {
        assert_eq!(late.to, id(1));
        deliver_late(&mut group, late);
    }
    assert_eq!(indexes(&group[1].reads), [old, old]);
}
