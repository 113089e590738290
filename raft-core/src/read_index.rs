//! Linearizable reads without writing to the log (thesis, section 6.4).
//!
//! A read is safe at the commit index of the moment it was asked, once the leader knows that it
//! still led after that moment. It waits in a queue; every heartbeat carries the position of the
//! queue's end, and a member that echoes it confirms all reads up to there. A member's echo of an
//! older position confirms only what was asked before that heartbeat was sent, so that a retried
//! request or a late response can confirm nothing too early.

use std::collections::VecDeque;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::config::ReadOnly;
use crate::core::Core;
use crate::error::{DropReason, Error, Refusal};
use crate::ids::{Index, NodeId};
use crate::log::Storage;
use crate::message::{Body, Message};
use crate::role::{Leader, Raft, Role};
use crate::state::ReadState;

/// A read that waits.
#[derive(Debug)]
struct WaitingRead {
    /// Who asked.
    from: NodeId,
    context: Bytes,
    /// The commit index when it was asked.
    index: Index,
}

/// The reads that wait for a leader's confirmation.
#[derive(Debug, Default)]
pub(crate) struct ReadQueue {
    /// In the order in which they came; the first has position `confirmed + 1`.
    waiting: VecDeque<WaitingRead>,
    /// How many reads were confirmed in this leadership.
    confirmed: u64,
    /// The highest position that each member has echoed.
    echoed: SmallVec<[(NodeId, u64); 4]>,
    /// Reads that came before this leader committed anything in its term.
    postponed: Vec<(NodeId, Bytes)>,
}

impl ReadQueue {
    /// How many reads wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len().saturating_add(self.postponed.len())
    }

    /// What heartbeats carry: the position of the last read, or nothing if none waits.
    pub(crate) fn heartbeat_context(&self) -> Bytes {
        if self.waiting.is_empty() {
            Bytes::new()
        } else {
            Bytes::copy_from_slice(&self.end().to_le_bytes())
        }
    }

    /// Whether this leader can have sent this context.
    pub(crate) fn check_context(&self, context: &[u8]) -> Result<(), Refusal> {
        if context.is_empty() {
            return Ok(());
        }
        match position_of(context) {
            Some(position) if (1..=self.end()).contains(&position) => Ok(()),
            _ => Err(Refusal::BadReadPosition),
        }
    }

    /// The position of the last read that ever came.
    fn end(&self) -> u64 {
        self.confirmed.saturating_add(self.waiting.len() as u64)
    }

    fn note_echo(&mut self, member: NodeId, position: u64) {
        match self.echoed.iter_mut().find(|(id, _)| *id == member) {
            Some((_, highest)) => *highest = position.max(*highest),
            None => self.echoed.push((member, position)),
        }
    }

    fn echo_of(&self, member: NodeId) -> Option<u64> {
        self.echoed.iter().find(|(id, _)| *id == member).map(|(_, position)| *position)
    }
}

fn position_of(context: &[u8]) -> Option<u64> {
    context.try_into().ok().map(u64::from_le_bytes)
}

impl<S: Storage> Raft<S> {
    /// The application wants to read.
    pub(crate) fn read_index(&mut self, context: Bytes) -> Result<(), Error> {
        let own = self.core.id();
        match (&mut self.role, self.core.leader) {
            (Role::Leader(leader), _) => leader.on_read_index(&mut self.core, own, context),
            (Role::Follower, Some(_)) => {
                self.core.forward_read(own, context);
                Ok(())
            }
            _ => Err(DropReason::NoLeader.into()),
        }
    }
}

impl<S: Storage> Core<S> {
    /// Passes a read on to the leader, in the name of who asked first.
    pub(crate) fn forward_read(&mut self, from: NodeId, context: Bytes) {
        if let Some(leader) = self.leader {
            let (term, body) = (crate::Term::ZERO, Body::ReadIndex { context });
            self.send_as(Message { to: leader, from, term, body });
        }
    }

    /// The leader answered a read of this node.
    pub(crate) fn on_read_response(&mut self, index: Index, context: Bytes) {
        self.read_states.push(ReadState { index, context });
    }

    /// Gives the answer to whoever asked.
    fn answer_read(&mut self, from: NodeId, index: Index, context: Bytes) {
        self.metrics.reads_confirmed = self.metrics.reads_confirmed.saturating_add(1);
        if from == self.id() {
            self.on_read_response(index, context);
        } else {
            self.send(from, Body::ReadIndexResponse { index, context });
        }
    }

    /// Until a leader has committed an entry of its own term, its commit index may be behind what
    /// an earlier leader answered for (thesis, section 6.4, step 1).
    fn has_committed_in_term(&self) -> bool {
        self.log.term(self.log.committed()) == Some(self.term)
    }
}

impl Leader {
    /// Takes a read: answers it, queues it, or postpones it.
    pub(crate) fn on_read_index<S: Storage>(
        &mut self,
        core: &mut Core<S>,
        from: NodeId,
        context: Bytes,
    ) -> Result<(), Error> {
        let limit = core.settings.max_pending_reads;
        if self.reads.len() >= limit {
            return Err(if from == core.id() {
                DropReason::TooManyReads { limit }.into()
            } else {
                Refusal::TooManyReads { limit }.into()
            });
        }
        if core.has_committed_in_term() {
            self.serve_read(core, from, context);
        } else {
            self.reads.postponed.push((from, context));
        }
        Ok(())
    }

    fn serve_read<S: Storage>(&mut self, core: &mut Core<S>, from: NodeId, context: Bytes) {
        let index = core.log.committed();
        if core.membership.is_singleton() || core.settings.read_only == ReadOnly::LeaseBased {
            core.answer_read(from, index, context);
            return;
        }
        self.reads.waiting.push_back(WaitingRead { from, context, index });
        let end = self.reads.end();
        self.reads.note_echo(core.id(), end);
        self.broadcast_heartbeat(core);
    }

    /// A member echoed the context of a heartbeat of this term.
    pub(crate) fn on_read_acknowledged<S: Storage>(
        &mut self,
        core: &mut Core<S>,
        from: NodeId,
        context: &[u8],
    ) {
        if let (ReadOnly::Safe, Some(position)) = (core.settings.read_only, position_of(context)) {
            self.reads.note_echo(from, position);
            self.confirm_reads(core);
        }
    }

    /// Answers the reads whose position a quorum has echoed.
    pub(crate) fn confirm_reads<S: Storage>(&mut self, core: &mut Core<S>) {
        let reads = &mut self.reads;
        let echoed = core.membership.committed_index(|id| reads.echo_of(id).map(Index)).0;
        while reads.confirmed < echoed {
            let Some(read) = reads.waiting.pop_front() else { return };
            reads.confirmed = reads.confirmed.saturating_add(1);
            core.answer_read(read.from, read.index, read.context);
        }
    }

    /// The leader has committed in its term: what was postponed can be served.
    pub(crate) fn release_postponed_reads<S: Storage>(&mut self, core: &mut Core<S>) {
        for (from, context) in std::mem::take(&mut self.reads.postponed) {
            self.serve_read(core, from, context);
        }
    }
}
