//! Reads that a round of heartbeats confirms (thesis, section 6.4, steps 2 and 3): a read is
//! released only when a majority of each half has answered, in the leader's own term, a heartbeat
//! that the leader sent after the request for the read came.
//!
//! What a heartbeat carries is opaque here: a token that comes back in the answers. A token stands
//! for the moment at which its leader sent it first.

use std::collections::BTreeMap;

use raftcore::{Context, Membership, NodeId};

use super::election::has_majorities;
use super::{Verdict, ensure};
use crate::network::SLOTS;

/// A read that came to a leader.
#[derive(Clone, Debug)]
struct Asked {
    from: NodeId,
    context: Context,
    at: u64,
    is_confirmed: bool,
}

/// What one node saw of reads in the term that it led last.
#[derive(Clone, Debug, Default)]
struct Leadership {
    term: u64,
    /// In the order in which they came.
    asked: Vec<Asked>,
    /// When each token was seen first in what the leader sent.
    sent: BTreeMap<Context, u64>,
    last_sent: Context,
    /// For each member, when the newest of the tokens was sent that it answered.
    answered: [Option<u64>; SLOTS],
    /// Answers of other leaders to reads of this node, which it has not handed out yet.
    told: Vec<Context>,
}

/// The judge of acknowledgements.
#[derive(Debug, Default)]
pub(crate) struct Acknowledgements {
    leaderships: [Leadership; SLOTS],
    /// How many reads it found confirmed by a round.
    pub(crate) confirmed: u64,
}

impl Acknowledgements {
    pub(crate) fn on_restart(&mut self, slot: usize) {
        self.leaderships[slot] = Leadership::default();
    }

    /// The leadership of this term; what is known of an earlier one is forgotten.
    fn of(&mut self, slot: usize, term: u64) -> &mut Leadership {
        let leadership = &mut self.leaderships[slot];
        if leadership.term != term {
            let own = slot as u64 + 1;
            let mut told = std::mem::take(&mut leadership.told);
            // What it released as the leader of an earlier term may still wait to be handed out.
            let released = leadership.asked.drain(..);
            let released = released.filter(|read| read.is_confirmed && read.from.get() == own);
            told.extend(released.map(|read| read.context));
            *leadership = Leadership { term, told, ..Leadership::default() };
        }
        leadership
    }

    /// Whether this node knows of a read that it may have to confirm.
    pub(crate) fn is_waiting(&self, slot: usize) -> bool {
        !self.leaderships[slot].asked.is_empty()
    }

    /// A request for a read came to a leader.
    pub(crate) fn on_asked(
        &mut self,
        slot: usize,
        term: u64,
        (from, context): (NodeId, Context),
        now: u64,
    ) {
        let asked = Asked { from, context, at: now, is_confirmed: false };
        self.of(slot, term).asked.push(asked);
    }

    /// Another leader answered a read of this node.
    pub(crate) fn on_told(&mut self, slot: usize, context: Context) {
        self.leaderships[slot].told.push(context);
    }

    /// A leader hands out a heartbeat with this token.
    pub(crate) fn on_sent(&mut self, slot: usize, term: u64, token: &[u8], now: u64) {
        let leadership = self.of(slot, term);
        if *leadership.last_sent != *token {
            leadership.last_sent = token.into();
            leadership.sent.entry(token.into()).or_insert(now);
        }
    }

    /// A member answered a heartbeat of this term, with this token. One that this leader never
    /// sent counts for nothing.
    pub(crate) fn on_answered(&mut self, slot: usize, term: u64, from: NodeId, token: &[u8]) {
        let leadership = self.of(slot, term);
        let sent = leadership.sent.get(token).copied();
        if let Some(place) = leadership.answered.get_mut(from.get() as usize - 1) {
            *place = sent.max(*place);
        }
    }

    /// Looks which reads are confirmed now: after an answer, and after the members changed.
    pub(crate) fn look(&mut self, slot: usize, membership: &Membership) {
        let Leadership { asked, answered, .. } = &mut self.leaderships[slot];
        for read in asked.iter_mut().filter(|read| !read.is_confirmed) {
            let has_answered = |id: &NodeId| {
                id.get() == slot as u64 + 1
                    || answered[id.get() as usize - 1].is_some_and(|sent| sent >= read.at)
            };
            read.is_confirmed = has_majorities(membership, has_answered);
            self.confirmed += u64::from(read.is_confirmed);
        }
    }

    /// The term that this node led last.
    pub(crate) const fn term(&self, slot: usize) -> u64 {
        self.leaderships[slot].term
    }

    /// A leader hands out the answer to a read that this node asked it.
    pub(crate) fn on_released(&mut self, slot: usize, from: NodeId, context: &[u8]) -> Verdict {
        let Leadership { asked, told, term, answered, .. } = &mut self.leaderships[slot];
        if from.get() == slot as u64 + 1
            && let Some(at) = told.iter().position(|other| **other == *context)
        {
            told.remove(at);
            return Ok(());
        }
        // A read that was asked again is there again: the first of them is answered first.
        let at = asked.iter().position(|read| read.from == from && *read.context == *context);
        let read = at.map(|at| asked.remove(at));
        let is_confirmed = read.as_ref().is_some_and(|read| read.is_confirmed);
        ensure(is_confirmed, "read_confirmed_by_a_round_that_began_after_it", || {
            format!("leader {} of {term} answers {read:?} of {from}: {answered:?}", slot + 1)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::assert_objects;
    use super::*;
    use raftcore::ConfState;

    const RULE: &str = "read_confirmed_by_a_round_that_began_after_it";
    const TERM: u64 = 4;
    const TOKEN: &[u8] = b"token";
    const CONTEXT: &[u8] = b"read";

    fn id(n: u64) -> NodeId {
        NodeId::new(n).unwrap()
    }

    fn members(voters: &[u64], outgoing: &[u64]) -> Membership {
        let (voters, voters_outgoing) = (voters.to_vec(), outgoing.to_vec());
        let state = ConfState { voters, voters_outgoing, learners: vec![7], ..Default::default() };
        Membership::from_conf_state(&state).unwrap()
    }

    /// Node 1 leads and is asked at 10.
    fn asked() -> Acknowledgements {
        let mut judge = Acknowledgements::default();
        judge.on_asked(0, TERM, (id(1), CONTEXT.into()), 10);
        judge
    }

    fn release(judge: &mut Acknowledgements, members: &Membership) -> Verdict {
        judge.look(0, members);
        judge.on_released(0, id(1), CONTEXT)
    }

    #[test]
    fn an_answer_to_a_later_heartbeat_confirms() {
        let three = members(&[1, 2, 3], &[]);
        let mut judge = asked();
        judge.on_sent(0, TERM, TOKEN, 11);
        judge.on_answered(0, TERM, id(2), TOKEN);
        release(&mut judge, &three).unwrap();
        assert_objects(judge.on_released(0, id(1), CONTEXT), RULE);
        release(&mut asked(), &members(&[1], &[])).unwrap();
    }

    #[test]
    fn a_heartbeat_that_was_sent_before_the_request_confirms_nothing() {
        let mut judge = Acknowledgements::default();
        judge.on_sent(0, TERM, TOKEN, 9);
        judge.on_asked(0, TERM, (id(1), CONTEXT.into()), 10);
        judge.on_sent(0, TERM, TOKEN, 11);
        judge.on_answered(0, TERM, id(2), TOKEN);
        assert_objects(release(&mut judge, &members(&[1, 2, 3], &[])), RULE);
    }

    #[test]
    fn another_terms_and_anothers_token_confirm_nothing() {
        let three = members(&[1, 2, 3], &[]);
        let mut judge = Acknowledgements::default();
        judge.on_sent(0, TERM - 1, TOKEN, 9);
        judge.on_asked(0, TERM, (id(1), CONTEXT.into()), 10);
        judge.on_answered(0, TERM, id(2), TOKEN);
        assert_objects(release(&mut judge, &three), RULE);
        let mut judge = asked();
        judge.on_sent(0, TERM, TOKEN, 11);
        judge.on_answered(0, TERM, id(2), b"other");
        assert_objects(release(&mut judge, &three), RULE);
    }

    #[test]
    fn learners_and_one_half_confirm_nothing() {
        let check = |voters: &[u64], outgoing: &[u64]| {
            let mut judge = asked();
            judge.on_sent(0, TERM, TOKEN, 11);
            judge.on_answered(0, TERM, id(2), TOKEN);
            judge.on_answered(0, TERM, id(7), TOKEN);
            release(&mut judge, &members(voters, outgoing))
        };
        check(&[1, 2, 3], &[]).unwrap();
        assert_objects(check(&[1, 3, 4], &[]), RULE);
        assert_objects(check(&[1, 2, 3], &[3, 4, 5]), RULE);
    }

    #[test]
    fn what_another_leader_answered_needs_no_round_here() {
        let mut judge = Acknowledgements::default();
        judge.on_told(0, CONTEXT.into());
        judge.on_released(0, id(1), CONTEXT).unwrap();
        assert_objects(judge.on_released(0, id(1), CONTEXT), RULE);
    }
}
