//! Proposals: what a leader admits to its log, what it refuses and why, and what a follower
//! passes on. Applying a membership change is not here but in `reconfiguration`.

use bytes::Bytes;

use crate::core::Core;
use crate::entry::{Entries, Entry, EntryKind};
use crate::error::{BadConfChange, DropReason, Error, Misuse, Refusal, ReplaceReason};
use crate::event::Event;
use crate::ids::{Index, NodeId, Position, Term};
use crate::log::Storage;
use crate::membership::{AnyConfChange, ConfChangeV2};
use crate::message::{Body, Message};
use crate::role::{Leader, Raft, Role};
use crate::wire;

/// What became of a proposal that was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Proposed {
    /// It is in this leader's log, not yet committed. It will be applied unless another leader
    /// overwrites it; the entry that is applied at its index has its term then, and only then.
    Appended {
        /// The leader's term.
        term: Term,
        /// Where the first payload stands.
        first: Index,
        /// Where the last payload stands.
        last: Index,
    },
    /// It was passed on to the leader. Nothing is known about what becomes of it.
    Forwarded {
        /// The leader as far as this node knows.
        leader: NodeId,
    },
}

/// What became of a membership change that was proposed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConfChangeOutcome {
    /// It is in this leader's log, not yet committed.
    Appended(Position),
    /// It cannot follow the present configuration: the log took an empty entry in its place.
    Replaced {
        /// Where the empty entry stands.
        position: Position,
        /// Why.
        reason: ReplaceReason,
    },
    /// It was passed on to the leader.
    Forwarded {
        /// The leader as far as this node knows.
        leader: NodeId,
    },
}

/// Where a leader put a proposal.
pub(crate) struct Admitted {
    pub(crate) first: Index,
    pub(crate) last: Index,
    /// Why the last membership change in it was replaced, if it was.
    pub(crate) replaced: Option<ReplaceReason>,
}

/// The payload of an entry that is proposed.
type Payload = (EntryKind, Bytes);

/// Whether a proposal from a peer holds something that can be appended at all.
pub(crate) fn check_decodable(entries: &Entries) -> Result<(), Refusal> {
    if entries.is_empty() {
        return Err(Refusal::NoEntries);
    }
    for entry in entries.iter().filter(|entry| entry.is_conf_change()) {
        if let Err(error) = wire::decode_conf_change(entry) {
            return Err(Refusal::BadConfChange(BadConfChange::Undecodable(error)));
        }
    }
    Ok(())
}

impl<S: Storage> Raft<S> {
    /// The application proposes.
    pub(crate) fn propose(
        &mut self,
        payloads: impl ExactSizeIterator<Item = Bytes>,
    ) -> Result<Proposed, Error> {
        let dropped = match &mut self.role {
            Role::Leader(leader) => match leader.propose(&mut self.core, payloads) {
                Ok(Admitted { first, last, .. }) => {
                    return Ok(Proposed::Appended { term: self.core.term(), first, last });
                }
                Err(reason) => reason,
            },
            Role::Follower => {
                let entries: Vec<Entry> =
                    payloads.map(|data| Entry { data, ..Entry::default() }).collect();
                match self.core.forward_proposal(self.core.id(), entries.into()) {
                    Ok(leader) => return Ok(Proposed::Forwarded { leader }),
                    Err(reason) => reason,
                }
            }
            _ => DropReason::NoLeader,
        };
        self.core.count_dropped(dropped);
        Err(dropped.into())
    }

    /// The application proposes a membership change.
    pub(crate) fn propose_conf_change(
        &mut self,
        change: &AnyConfChange,
    ) -> Result<ConfChangeOutcome, Error> {
        let (kind, data) = wire::encode_conf_change(change);
        let entries = Entries::from(vec![Entry { kind, data, ..Entry::default() }]);
        // What no node could decode again is refused on the spot.
        if let Err(Refusal::BadConfChange(error)) = check_decodable(&entries) {
            return Err(Misuse::BadConfChange(error).into());
        }
        let admitted = match &mut self.role {
            Role::Leader(leader) => leader.on_proposal(&mut self.core, &entries),
            Role::Follower => match self.core.forward_proposal(self.core.id(), entries) {
                Ok(leader) => return Ok(ConfChangeOutcome::Forwarded { leader }),
                Err(reason) => Err(reason.into()),
            },
            _ => Err(DropReason::NoLeader.into()),
        };
        match admitted {
            Ok(Admitted { last: index, replaced, .. }) => {
                let position = Position { term: self.core.term(), index };
                Ok(match replaced {
                    None => ConfChangeOutcome::Appended(position),
                    Some(reason) => ConfChangeOutcome::Replaced { position, reason },
                })
            }
            // Here it is the caller's change, not a peer's.
            Err(Error::Refused(Refusal::BadConfChange(error))) => {
                Err(Misuse::BadConfChange(error).into())
            }
            Err(Error::Dropped(reason)) => {
                self.core.count_dropped(reason);
                Err(reason.into())
            }
            Err(error) => Err(error),
        }
    }
}

impl<S: Storage> Core<S> {
    /// Passes a proposal on to the leader, in the name of who proposed it first.
    pub(crate) fn forward_proposal(
        &mut self,
        from: NodeId,
        entries: Entries,
    ) -> Result<NodeId, DropReason> {
        let leader = self.leader().ok_or(DropReason::NoLeader)?;
        if !self.settings.forward_proposals {
            return Err(DropReason::ForwardingDisabled { leader });
        }
        let (term, body) = (Term::ZERO, Body::Propose(entries));
        self.send_as(Message { to: leader, from, term, body });
        Ok(leader)
    }

    pub(crate) fn count_dropped(&mut self, reason: DropReason) {
        self.metrics.count_rare(|rare| Some(&mut rare.proposals_dropped));
        self.emit(|| Event::ProposalDropped(reason));
    }
}

impl Leader {
    /// Appends plain payloads and sends them on.
    fn propose<S: Storage>(
        &mut self,
        core: &mut Core<S>,
        payloads: impl ExactSizeIterator<Item = Bytes>,
    ) -> Result<Admitted, DropReason> {
        self.check_open(core)?;
        if core.settings.max_uncommitted_bytes == u64::MAX {
            // No limit to hold against: no need to look at the payloads first.
            return Ok(self.append(core, payloads.map(|data| (EntryKind::Normal, data)), None));
        }
        let payloads: Vec<Payload> = payloads.map(|data| (EntryKind::Normal, data)).collect();
        self.check_uncommitted(core, &payloads)?;
        Ok(self.append(core, payloads.into_iter(), None))
    }

    /// Appends entries of any kind and sends them on, or changes nothing.
    pub(crate) fn on_proposal<S: Storage>(
        &mut self,
        core: &mut Core<S>,
        entries: &Entries,
    ) -> Result<Admitted, Error> {
        self.check_open(core)?;
        let mut payloads = Vec::with_capacity(entries.len());
        let mut pending = self.pending_conf_index;
        let mut replaced = None;
        let mut index = core.log.last_index();
        for entry in entries.iter() {
            index = index.next();
            payloads.push(match self.judge_conf_change(core, entry, pending)? {
                Verdict::NoChange => (entry.kind, entry.data.clone()),
                Verdict::Admitted => {
                    pending = index;
                    (entry.kind, entry.data.clone())
                }
                Verdict::Replaced(reason) => {
                    replaced = Some(reason);
                    (EntryKind::Normal, Bytes::new())
                }
            });
        }
        self.check_uncommitted(core, &payloads)?;
        self.pending_conf_index = pending;
        if let Some(reason) = &replaced {
            core.metrics.count_rare(|rare| Some(&mut rare.conf_changes_replaced));
            core.emit(|| Event::ConfChangeReplaced(reason.clone()));
        }
        Ok(self.append(core, payloads.into_iter(), replaced))
    }

    /// Whether this leader takes proposals at all.
    fn check_open<S: Storage>(&self, core: &Core<S>) -> Result<(), DropReason> {
        if self.progress(core.id()).is_none() {
            return Err(DropReason::NotAMember);
        }
        match self.transferee {
            Some(to) => Err(DropReason::Transferring { to }),
            None => Ok(()),
        }
    }

    /// Whether an entry is a membership change, and whether it may follow the present
    /// configuration: one change at a time, and a joint configuration is left before the next
    /// (paper, section 6; thesis, section 4.1).
    fn judge_conf_change<S: Storage>(
        &self,
        core: &Core<S>,
        entry: &Entry,
        pending: Index,
    ) -> Result<Verdict, Refusal> {
        let change: ConfChangeV2 = match wire::decode_conf_change(entry) {
            Ok(None) => return Ok(Verdict::NoChange),
            Ok(Some(change)) => change.into(),
            Err(error) => return Err(Refusal::BadConfChange(BadConfChange::Undecodable(error))),
        };
        if !core.settings.validate_conf_changes {
            return Ok(Verdict::Admitted);
        }
        let is_joint = core.membership.is_joint();
        let leaves = change.changes.is_empty();
        let applied = core.log.applied();
        if pending > applied {
            Ok(Verdict::Replaced(ReplaceReason::Pending { at: pending, applied }))
        } else if is_joint && !leaves {
            Ok(Verdict::Replaced(ReplaceReason::AlreadyJoint))
        } else if !is_joint && leaves {
            Ok(Verdict::Replaced(ReplaceReason::NotJoint))
        } else {
            // No change is on its way, so it will be applied to the present configuration. What
            // fails then would fail on every node: better here.
            match core.membership.apply(&change) {
                Ok(_) => Ok(Verdict::Admitted),
                Err(error) => Err(Refusal::BadConfChange(BadConfChange::Inapplicable(error))),
            }
        }
    }

    /// Whether so much may be waiting. Anything may if nothing waits yet, and what has no payload
    /// always: a new leader's empty entry and the order to leave a joint configuration.
    fn check_uncommitted<S: Storage>(
        &mut self,
        core: &Core<S>,
        payloads: &[Payload],
    ) -> Result<(), DropReason> {
        let bytes =
            payloads.iter().fold(0u64, |sum, (_, data)| sum.saturating_add(data.len() as u64));
        let (waiting, limit) = (self.uncommitted_bytes, core.settings.max_uncommitted_bytes);
        if waiting > 0 && bytes > 0 && waiting.saturating_add(bytes) > limit {
            return Err(DropReason::TooMuchUncommitted { waiting, limit });
        }
        Ok(())
    }

    fn append<S: Storage>(
        &mut self,
        core: &mut Core<S>,
        payloads: impl Iterator<Item = Payload>,
        replaced: Option<ReplaceReason>,
    ) -> Admitted {
        let term = core.term();
        let before = core.log.last_index();
        let mut last = before;
        let mut bytes = self.uncommitted_bytes;
        for (kind, data) in payloads {
            bytes = bytes.saturating_add(data.len() as u64);
            last = core.log.append_own(term, kind, data);
        }
        self.uncommitted_bytes = bytes;
        core.metrics.proposals = core.metrics.proposals.wrapping_add(last.since(before));
        core.acknowledge_own(last);
        self.broadcast_append(core);
        Admitted { first: before.after(), last, replaced }
    }

    /// Entries with so many payload bytes are applied: there is room for others.
    pub(crate) fn reduce_uncommitted(&mut self, bytes: u64) {
        self.uncommitted_bytes = self.uncommitted_bytes.saturating_sub(bytes);
    }
}

/// What a leader decided about one proposed entry.
enum Verdict {
    NoChange,
    Admitted,
    Replaced(ReplaceReason),
}
