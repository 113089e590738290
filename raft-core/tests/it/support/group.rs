//! Members on a network that delivers in order, or not at all.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::{Index, IndexMut};

use raftcore::{Config, Error, Message, MessageKind, RoleKind};

use super::{Member, stored_terms, text};

/// A group of members and the messages between them.
pub(crate) struct Group {
    pub(crate) members: BTreeMap<u64, Member>,
    /// Messages on their way.
    pub(crate) wire: VecDeque<Message>,
    /// Every message that was sent, for stories about what is said.
    pub(crate) sent: Vec<Message>,
    cuts: BTreeSet<(u64, u64)>,
    muted: Vec<MessageKind>,
    /// Messages that were refused: an honest group has none.
    pub(crate) refused: Vec<(u64, Error)>,
}

impl Group {
    /// The voters `1..=n`.
    pub(crate) fn new(n: u64) -> Self {
        Self::with(n, |_| ())
    }

    /// As [`new`](Self::new), with changes to every configuration.
    pub(crate) fn with(n: u64, change: impl Fn(&mut Config)) -> Self {
        let ids: Vec<u64> = (1..=n).collect();
        Self::of(ids.iter().map(|id| Member::with(*id, &ids, &change)))
    }

    pub(crate) fn of(members: impl IntoIterator<Item = Member>) -> Self {
        Self {
            members: members.into_iter().map(|m| (m.node.id().get(), m)).collect(),
            wire: VecDeque::new(),
            sent: Vec::new(),
            cuts: BTreeSet::new(),
            muted: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// Somebody comes to the network: a member or one who waits to become one.
    pub(crate) fn join(&mut self, member: Member) {
        self.members.insert(member.node.id().get(), member);
    }

    /// Makes this one campaign and win.
    pub(crate) fn elect(&mut self, id: u64) {
        self[id].node.campaign().unwrap();
        self.settle();
        assert_eq!(self[id].role(), RoleKind::Leader, "{id} was to win");
    }

    /// Delivers until nobody has anything to say.
    pub(crate) fn settle(&mut self) {
        for _ in 0..100_000 {
            self.collect();
            let Some(message) = self.wire.pop_front() else { return };
            self.deliver(message);
        }
        panic!("the group never comes to rest: {:?}", self.wire.front().map(text));
    }

    /// Delivers one message after the other until this is so.
    pub(crate) fn settle_until(&mut self, goal: impl Fn(&Self) -> bool) {
        while !goal(self) {
            self.collect();
            let message = self.wire.pop_front().expect("the goal is reached before all is quiet");
            self.deliver(message);
        }
    }

    /// Everybody does what their Ready says; the messages wait on the wire.
    pub(crate) fn collect(&mut self) {
        for member in self.members.values_mut() {
            let sent = member.drain();
            self.sent.extend(sent.iter().cloned());
            self.wire.extend(sent);
        }
    }

    /// Delivers one message, if the network does.
    pub(crate) fn deliver(&mut self, message: Message) {
        let pair = (message.from.get(), message.to.get());
        let muted = self.muted.contains(&message.body.kind());
        if self.cuts.contains(&pair) || muted {
            return;
        }
        let Some(member) = self.members.get_mut(&pair.1) else { return };
        match member.node.step(message) {
            Ok(()) | Err(Error::Dropped(_)) => {}
            Err(error) => self.refused.push((pair.1, error)),
        }
    }

    /// So many rounds of a tick for everybody, each until the group is at rest.
    pub(crate) fn run(&mut self, rounds: u32) {
        for _ in 0..rounds {
            for member in self.members.values_mut() {
                member.node.tick().unwrap();
            }
            self.settle();
        }
    }

    /// Lets time pass until somebody leads: elections can be split for a while.
    pub(crate) fn run_to_leader(&mut self) {
        for _ in 0..100 {
            self.run(10);
            if self.leader().is_some() {
                return;
            }
        }
        panic!("nobody is elected in a hundred election timeouts");
    }

    /// As [`run`](Self::run), but time passes for one alone.
    pub(crate) fn tick(&mut self, id: u64, rounds: u32) {
        for _ in 0..rounds {
            self[id].node.tick().unwrap();
            self.settle();
        }
    }

    pub(crate) fn propose(&mut self, id: u64, data: &str) {
        self[id].node.propose(data.to_string()).unwrap();
        self.settle();
    }

    /// Nothing passes between these two.
    pub(crate) fn cut(&mut self, a: u64, b: u64) {
        self.cuts.extend([(a, b), (b, a)]);
    }

    /// Nothing passes between this one and anybody.
    pub(crate) fn isolate(&mut self, id: u64) {
        let others: Vec<u64> = self.members.keys().copied().filter(|other| *other != id).collect();
        others.into_iter().for_each(|other| self.cut(id, other));
    }

    /// Whether nothing passes from one to the other.
    pub(crate) fn is_cut(&self, from: u64, to: u64) -> bool {
        self.cuts.contains(&(from, to))
    }

    /// Everything passes again.
    pub(crate) fn heal(&mut self) {
        self.cuts.clear();
        self.muted.clear();
    }

    /// Messages of this kind are lost.
    pub(crate) fn mute(&mut self, kind: MessageKind) {
        self.muted.push(kind);
    }

    pub(crate) fn leader(&self) -> Option<u64> {
        let leads = |m: &&Member| m.role() == RoleKind::Leader;
        self.members.values().filter(leads).max_by_key(|m| m.term()).map(|m| m.node.id().get())
    }

    /// All have the same log, committed to its end, and have applied the same.
    #[track_caller]
    pub(crate) fn assert_agreement(&self) {
        assert!(self.refused.is_empty(), "{:?}", self.refused);
        let mut members = self.members.values();
        let first = members.next().unwrap();
        for other in members {
            let same = "all members agree";
            assert_eq!(other.last_index(), first.last_index(), "{same}");
            assert_eq!(other.commit(), first.commit(), "{same}");
            let (a, b) = (stored_terms(first), stored_terms(other));
            let common = a.len().min(b.len());
            assert_eq!(a[a.len() - common..], b[b.len() - common..], "{same}");
        }
        assert_eq!(first.commit(), first.last_index(), "everything is committed");
    }
}

impl Index<u64> for Group {
    type Output = Member;

    fn index(&self, id: u64) -> &Member {
        &self.members[&id]
    }
}

impl IndexMut<u64> for Group {
    fn index_mut(&mut self, id: u64) -> &mut Member {
        self.members.get_mut(&id).expect("a member of the group")
    }
}
