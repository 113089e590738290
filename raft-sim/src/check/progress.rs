//! What a leader believes of its members is so, and it sends no more than it may (paper, figure 2,
//! matchIndex and nextIndex; thesis, section 10.2.1).

use raftcore::progress::State;
use raftcore::{Config, Index, NodeId, PeerStatus};

use super::{Verdict, ensure};
use crate::disk::{Disk, Durable};
use crate::network::SLOTS;

/// The match indexes of each leader at its last step.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    leaders: [(u64, [u64; SLOTS]); SLOTS],
}

/// What is looked at on a leader.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeaderFlow<'a> {
    pub(crate) term: u64,
    pub(crate) peers: &'a [PeerStatus],
    pub(crate) config: &'a Config,
    /// Whether members may have been forgotten and begun anew in this step.
    pub(crate) reconfigured: bool,
}

impl Flow {
    pub(crate) fn on_restart(&mut self, slot: usize) {
        self.leaders[slot] = Default::default();
    }

    /// Looks at a leader after a step. `term_at` is the term of the leader's own entry at an
    /// index, as far as it is known.
    pub(crate) fn on_leading<'a>(
        &mut self,
        slot: usize,
        look: LeaderFlow<'_>,
        disk_of: impl Fn(NodeId) -> Option<&'a Disk>,
        term_at: impl Fn(u64) -> Option<u64>,
    ) -> Verdict {
        let (term, known) = &mut self.leaders[slot];
        if *term != look.term {
            (*term, *known) = (look.term, [0; SLOTS]);
        }
        for peer in look.peers {
            let matched = peer.progress.match_index().0;
            check_window(slot, peer, look.config)?;
            let before = &mut known[peer.id.get() as usize - 1];
            if matched == *before {
                continue;
            }
            ensure(matched > *before || look.reconfigured, "match_is_monotone", || {
                format!("leader {} of {}: {matched} after {before}", slot + 1, peer.id)
            })?;
            *before = matched;
            let own_term = term_at(matched);
            if peer.id.get() == slot as u64 + 1 && own_term.is_none_or(|own| own < look.term) {
                // A new leader takes its own log for stored. It can count itself only for what it
                // stores later, so no harm comes of it.
                continue;
            }
            if let Some(disk) = disk_of(peer.id) {
                check_match(slot, look.term, peer.id, matched, disk, own_term)?;
            }
        }
        Ok(())
    }
}

/// What the leader believes to match is on that member's disk.
pub(crate) fn check_match(
    slot: usize,
    term: u64,
    member: NodeId,
    matched: u64,
    disk: &Disk,
    own: Option<u64>,
) -> Verdict {
    // A member that follows a later leader may have given up since what it acknowledged.
    if matched == 0 || disk.durable_hard_state().term.0 > term {
        return Ok(());
    }
    let stored = disk.durable_term(matched);
    let agrees = match stored {
        Durable::Entry(stored) => own.is_none_or(|own| own == stored),
        Durable::Compacted => true,
        Durable::Nothing => false,
    };
    ensure(agrees, "match_is_durable", || {
        let id = slot + 1;
        format!("leader {id} of term {term}: {member} matches {matched}, it has {stored:?}")
    })
}

fn check_indexes(slot: usize, member: NodeId, matched: Index, next: Index) -> Verdict {
    ensure(matched < next, "match_is_below_next", || {
        format!("leader {} of {member}: match {matched}, next {next}", slot + 1)
    })
}

fn check_window(slot: usize, peer: &PeerStatus, config: &Config) -> Verdict {
    let progress = &peer.progress;
    check_indexes(slot, peer.id, progress.match_index(), progress.next_index())?;
    let State::Replicate(window) = progress.state() else { return Ok(()) };
    // One append may reach beyond the limit; and one entry always travels, whatever its size.
    let bytes = config.max_inflight_bytes;
    let fits = window.len() <= config.max_inflight_messages
        && (bytes == 0 || window.payload_bytes() < bytes.saturating_add(bytes_of_one(config)));
    ensure(fits, "in_flight_within_limits", || {
        format!("leader {} to {}: {window:?}", slot + 1, peer.id)
    })
}

/// The most that one append carries here: the limit, or one entry of the greatest size.
fn bytes_of_one(config: &Config) -> u64 {
    config.max_message_bytes.max(crate::workload::MAX_PAYLOAD_BYTES)
}

#[cfg(test)]
mod tests {
    use super::super::assert_objects;
    use super::*;
    use crate::disk::Batch;
    use raftcore::progress::{Limits, Progress};
    use raftcore::{ConfState, Entries, Entry, HardState, MemoryStorage, Node, Term};

    fn id(n: u64) -> NodeId {
        NodeId::new(n).unwrap()
    }

    fn disk(term: u64, last: u64) -> Disk {
        let mut disk = Disk::default();
        let entries: Entries = (1..=last)
            .map(|i| Entry { term: Term(term), index: Index(i), ..Entry::default() })
            .collect();
        let hard_state = HardState { term: Term(term), ..HardState::default() };
        disk.write(Batch { hard_state: Some(hard_state), entries, ..Batch::default() }).unwrap();
        disk.sync().unwrap();
        disk
    }

    /// What a leader alone in its group knows of itself.
    fn peer() -> PeerStatus {
        let storage = MemoryStorage::with_conf_state(ConfState::with_voters([1]));
        let mut node = Node::new(&Config::new(1, 1), storage).unwrap();
        node.campaign().unwrap();
        while let Some(ready) = node.ready().unwrap() {
            node.storage_mut().persist(&ready).unwrap();
            node.advance(ready).unwrap();
        }
        node.status().progress[0].clone()
    }

    /// Knows the log to match up to `matched`, and waits for so many appends of ten bytes.
    fn flow(matched: u64, appends: usize) -> Progress {
        let mut progress = Progress::new(Index(matched + 1));
        progress.on_acknowledged(Index(matched));
        progress.become_replicate();
        let limits = Limits { max_inflight_messages: appends.max(1), max_inflight_bytes: 1000 };
        (0..appends).for_each(|_| progress.on_sent_entries(1, 10, &limits));
        progress
    }

    #[test]
    fn a_match_that_is_not_below_next_is_seen() {
        check_indexes(0, id(2), Index(3), Index(4)).unwrap();
        assert_objects(check_indexes(0, id(2), Index(3), Index(3)), "match_is_below_next");
    }

    #[test]
    fn a_window_that_is_too_full_is_seen() {
        let mut config = Config::new(1, 1);
        (config.max_inflight_messages, config.max_message_bytes) = (2, 0);
        config.max_inflight_bytes = 10;
        let mut peer = peer();
        peer.progress = flow(3, 2);
        check_window(0, &peer, &config).unwrap();
        peer.progress = flow(3, 3);
        assert_objects(check_window(0, &peer, &config), "in_flight_within_limits");
        (config.max_inflight_messages, config.max_inflight_bytes) = (100, 10);
        peer.progress = flow(3, 40);
        assert_objects(check_window(0, &peer, &config), "in_flight_within_limits");
    }

    #[test]
    fn a_match_that_falls_is_seen() {
        let (config, mut peers) = (Config::new(1, 1), [peer()]);
        let mut judge = Flow::default();
        let mut check = |matched, term, reconfigured| {
            peers[0].progress = flow(matched, 0);
            let look = LeaderFlow { term, peers: &peers, config: &config, reconfigured };
            judge.on_leading(0, look, |_| None, |_| None)
        };
        check(5, 4, false).unwrap();
        assert_objects(check(3, 4, false), "match_is_monotone");
        check(3, 4, true).unwrap();
        check(1, 5, false).unwrap();
    }

    #[test]
    fn a_match_that_is_not_on_disk_is_seen() {
        let check = |matched, own| check_match(0, 4, id(2), matched, &disk(4, 3), own);
        check(3, Some(4)).unwrap();
        assert_objects(check(4, Some(4)), "match_is_durable");
        assert_objects(check(3, Some(2)), "match_is_durable");
        check_match(0, 3, id(2), 9, &disk(4, 3), None).unwrap();
    }
}
