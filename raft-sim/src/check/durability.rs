//! What a message claims about its sender's disk is on that disk when the message leaves; what is
//! committed is on the disks of a quorum (paper, figure 2, "updated on stable storage before
//! responding to RPCs").

use raftcore::{Body, Entry, HardState, Membership, Message, NodeId};

use super::election::has_majorities;
use super::{Verdict, ensure};
use crate::disk::{Disk, Durable};

/// A node lets a message go.
pub(crate) fn on_release(message: &Message, disk: &Disk) -> Verdict {
    let durable = disk.durable_hard_state();
    let (id, term) = (message.from, message.term);
    match &message.body {
        Body::VoteResponse(response) if !response.rejected => {
            let kept =
                durable.term > term || (durable.term == term && durable.vote == Some(message.to));
            ensure(kept, "released_vote_is_durable", || {
                format!(
                    "node {id} sent {} its vote of term {term}, but has {durable:?}",
                    message.to
                )
            })
        }
        Body::AppendResponse(response) if response.rejection.is_none() => {
            on_acknowledged(id, term.0, response.index.0, &durable, disk)
        }
        _ => Ok(()),
    }
}

/// A candidate asks for votes: its term and its own vote are on its disk. Otherwise it could ask
/// again after a crash, in the same term and with a shorter log, and count the votes that the
/// longer one was given.
pub(crate) fn on_vote_request(message: &Message, disk: &Disk) -> Verdict {
    let Body::Vote(_) = &message.body else { return Ok(()) };
    let durable = disk.durable_hard_state();
    let promised = durable.term > message.term
        || durable.term == message.term && durable.vote == Some(message.from);
    ensure(promised, "released_vote_request_is_durable", || {
        let (id, term) = (message.from, message.term);
        format!("node {id} asks for votes in term {term}, has {durable:?}")
    })
}

/// A node acknowledges that it has the leader's log up to an index.
pub(crate) fn on_acknowledged(
    id: NodeId,
    term: u64,
    index: u64,
    durable: &HardState,
    disk: &Disk,
) -> Verdict {
    // What a later leader overwrote is no longer there and was never committed.
    if durable.term.0 > term || index == 0 {
        return Ok(());
    }
    ensure(durable.term.0 == term, "released_acknowledgement_is_durable", || {
        format!("node {id} answered in term {term}, but has {durable:?}")
    })?;
    let last = disk.durable_last();
    ensure(last >= index, "released_acknowledgement_is_durable", || {
        format!("node {id} acknowledged {index}, but has stored up to {last}")
    })
}

/// A leader of this term raised its commit index.
pub(crate) fn on_commit<'a>(
    id: NodeId,
    term: u64,
    commit: u64,
    membership: &Membership,
    disk_of: impl Fn(NodeId) -> Option<&'a Disk>,
) -> Verdict {
    let has_it = |member: &NodeId| match disk_of(*member).map(|disk| disk.durable_term(commit)) {
        Some(Durable::Entry(stored)) => stored == term,
        Some(Durable::Compacted) => true,
        _ => false,
    };
    ensure(has_majorities(membership, has_it), "committed_is_durable_on_a_quorum", || {
        let stored: Vec<_> = membership
            .voters_of_both()
            .map(|member| (member.get(), disk_of(member).map(|disk| disk.durable_term(commit))))
            .collect();
        format!("node {id} of term {term} committed {commit} in {membership}: {stored:?}")
    })
}

/// A node applies an entry, and has this at its index.
pub(crate) fn on_apply(id: NodeId, entry: &Entry, has: Durable) -> Verdict {
    let is_there = has == Durable::Compacted || has == Durable::Entry(entry.term.0);
    ensure(is_there, "applied_is_durable", || {
        format!("node {id} applies {}, has {has:?}", entry.position())
    })
}

/// A node starts: what it begins with is what the disk has.
pub(crate) fn on_restart(id: NodeId, stored: &HardState, loaded: &HardState) -> Verdict {
    ensure(
        stored.term == loaded.term && stored.vote == loaded.vote,
        "restart_keeps_promises",
        || format!("node {id} stored {stored:?} and began with {loaded:?}"),
    )
}

/// The disk is written: what it promised stays.
pub(crate) fn on_write(id: NodeId, before: &HardState, after: &HardState) -> Verdict {
    let free = after.term > before.term || before.vote.is_none() || after.vote == before.vote;
    ensure(after.term >= before.term && free, "stored_term_and_vote_are_kept", || {
        format!("node {id} stored {after:?} over {before:?}")
    })
}

#[cfg(test)]
mod tests {
    use super::super::assert_objects;
    use super::*;
    use crate::disk::Batch;
    use raftcore::{
        AppendResponse, ConfState, Entries, Index, Position, Storage, Term, VoteRequest,
        VoteResponse,
    };

    fn id(n: u64) -> NodeId {
        NodeId::new(n).unwrap()
    }

    fn disk(term: u64, vote: u64, last: u64, is_synced: bool) -> Disk {
        let mut disk = Disk::default();
        let entries: Entries = (1..=last)
            .map(|i| Entry { term: Term(term), index: Index(i), ..Entry::default() })
            .collect();
        let hard_state =
            HardState { term: Term(term), vote: NodeId::new(vote), commit: Index::ZERO };
        disk.write(Batch { hard_state: Some(hard_state), entries, ..Batch::default() }).unwrap();
        if is_synced {
            disk.sync().unwrap();
        }
        assert_eq!(disk.last_index(), Ok(Index(last)));
        disk
    }

    fn vote(term: u64) -> Message {
        let body = Body::VoteResponse(VoteResponse { rejected: false });
        Message { to: id(2), from: id(1), term: Term(term), body }
    }

    fn acknowledgement(index: u64) -> Message {
        let body = Body::AppendResponse(AppendResponse { index: Index(index), rejection: None });
        Message { to: id(2), from: id(1), term: Term(4), body }
    }

    #[test]
    fn a_vote_before_its_sync_is_seen() {
        on_release(&vote(4), &disk(4, 2, 0, true)).unwrap();
        on_release(&vote(4), &disk(5, 0, 0, true)).unwrap();
        assert_objects(on_release(&vote(4), &disk(4, 2, 0, false)), "released_vote_is_durable");
        assert_objects(on_release(&vote(4), &disk(4, 3, 0, true)), "released_vote_is_durable");
    }

    #[test]
    fn a_request_for_a_vote_before_its_sync_is_seen() {
        let request = |index| {
            let last = Position { term: Term(2), index: Index(index) };
            let body = Body::Vote(VoteRequest { last, transfer: false });
            Message { to: id(2), from: id(1), term: Term(4), body }
        };
        on_vote_request(&request(3), &disk(4, 1, 3, true)).unwrap();
        let name = "released_vote_request_is_durable";
        assert_objects(on_vote_request(&request(3), &disk(4, 1, 3, false)), name);
        assert_objects(on_vote_request(&request(3), &disk(3, 0, 3, true)), name);
    }

    #[test]
    fn an_acknowledgement_before_its_sync_is_seen() {
        on_release(&acknowledgement(3), &disk(4, 0, 3, true)).unwrap();
        let name = "released_acknowledgement_is_durable";
        assert_objects(on_release(&acknowledgement(3), &disk(4, 0, 3, false)), name);
        assert_objects(on_release(&acknowledgement(4), &disk(4, 0, 3, true)), name);
    }

    #[test]
    fn a_commit_without_a_quorum_of_disks_is_seen() {
        let members = Membership::from_conf_state(&ConfState::with_voters([1, 2, 3]));
        let members = members.unwrap();
        let check = |disks: [Disk; 3]| {
            on_commit(id(1), 4, 3, &members, |id| disks.get(id.get() as usize - 1))
        };
        check([disk(4, 0, 3, true), disk(4, 0, 3, true), disk(4, 0, 3, false)]).unwrap();
        let name = "committed_is_durable_on_a_quorum";
        let unsynced = [disk(4, 0, 3, true), disk(4, 0, 3, false), disk(4, 0, 2, true)];
        assert_objects(check(unsynced), name);
        // By counting alone: an earlier term's entry is everywhere (paper, figure 8).
        assert_objects(check(std::array::from_fn(|_| disk(2, 0, 3, true))), name);
    }

    #[test]
    fn what_is_applied_before_its_sync_is_seen() {
        let entry = Entry { term: Term(4), index: Index(3), ..Entry::default() };
        on_apply(id(1), &entry, Durable::Entry(4)).unwrap();
        on_apply(id(1), &entry, Durable::Compacted).unwrap();
        for has in [Durable::Nothing, Durable::Entry(2)] {
            assert_objects(on_apply(id(1), &entry, has), "applied_is_durable");
        }
    }

    #[test]
    fn forgotten_promises_are_seen() {
        let stored = HardState { term: Term(3), vote: Some(id(1)), commit: Index::ZERO };
        let forgot = HardState { vote: None, ..stored };
        assert_objects(on_restart(id(1), &stored, &forgot), "restart_keeps_promises");
        let other = HardState { vote: Some(id(2)), ..stored };
        assert_objects(on_write(id(1), &stored, &other), "stored_term_and_vote_are_kept");
        on_write(id(1), &stored, &HardState { term: Term(4), ..other }).unwrap();
    }
}
