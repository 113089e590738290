//! A node on a storage that lies: wrong ranges, wrong terms, gaps, errors. Whatever it answers, the
//! node must not panic; what it cannot live with is a fault, and a faulted node says so from then
//! on and changes no more.

use std::cell::RefCell;

use arbitrary::{Arbitrary, Unstructured};
use raftcore::wire;
use raftcore::{
    ConfState, Config, Entries, Error, HardState, Index, MemoryStorage, Node, Snapshot, Storage,
    StorageError, Term,
};

use crate::{Forged, oracle};

/// What the storage says instead of the truth.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Lie {
    Truth,
    Compacted,
    Unavailable,
    Failed,
    Busy,
    /// So much more or less: indexes, terms.
    Off(i8),
    /// No entries, or none of the first ones.
    Fewer(u8),
    /// More than were asked for.
    More,
    /// Every second one.
    Gaps,
    /// Entries of another term, or at other indexes.
    Renamed(u8),
}

#[derive(Arbitrary, Debug)]
enum Step {
    /// The next questions are answered so, one each.
    Plan(Vec<Lie>),
    Tick(u8),
    Campaign,
    /// A message of a peer.
    Take(Forged),
    /// All that candidates wait for.
    Votes,
    Propose(u8),
    Read,
    Work,
    /// The truth is compacted.
    Compact(u8),
    Restart,
}

#[derive(Default)]
struct Liar {
    truth: MemoryStorage,
    /// The next lies, the last one first.
    plan: RefCell<Vec<Lie>>,
}

impl Liar {
    fn lie(&self) -> Lie {
        self.plan.borrow_mut().pop().unwrap_or(Lie::Truth)
    }

    fn index(&self, truth: Result<Index, StorageError>) -> Result<Index, StorageError> {
        match self.lie() {
            Lie::Off(by) => Ok(Index(truth?.0.saturating_add_signed(by.into()))),
            lie => refuse(lie).map_or(truth, Err),
        }
    }
}

fn refuse(lie: Lie) -> Option<StorageError> {
    match lie {
        Lie::Compacted => Some(StorageError::Compacted),
        Lie::Unavailable => Some(StorageError::Unavailable),
        Lie::Failed => Some(StorageError::failed("on purpose")),
        Lie::Busy => Some(StorageError::SnapshotTemporarilyUnavailable),
        _ => None,
    }
}

impl Storage for Liar {
    fn initial_state(&self) -> Result<(HardState, ConfState), StorageError> {
        let (mut state, members) = self.truth.initial_state()?;
        match self.lie() {
            Lie::Off(by) => state.commit.0 = state.commit.0.saturating_add_signed(by.into()),
            Lie::Renamed(term) => state.term = Term(term.into()),
            lie => refuse(lie).map_or(Ok(()), Err)?,
        }
        Ok((state, members))
    }

    fn entries(&self, low: Index, high: Index, max_bytes: u64) -> Result<Entries, StorageError> {
        let truth = self.truth.entries(low, high, max_bytes)?;
        let all = || truth.iter().cloned();
        Ok(match self.lie() {
            Lie::Fewer(count) => all().skip(count.into()).collect(),
            Lie::More => all().chain(all()).collect(),
            Lie::Gaps => all().step_by(2).collect(),
            Lie::Off(by) => all()
                .map(|mut entry| {
                    entry.index.0 = entry.index.0.saturating_add_signed(by.into());
                    entry
                })
                .collect(),
            Lie::Renamed(term) => all()
                .map(|mut entry| {
                    entry.term = Term(term.into());
                    entry
                })
                .collect(),
            lie => return refuse(lie).map_or(Ok(truth), Err),
        })
    }

    fn term(&self, index: Index) -> Result<Term, StorageError> {
        let truth = self.truth.term(index);
        match self.lie() {
            Lie::Off(by) => Ok(Term(truth?.0.saturating_add_signed(by.into()))),
            Lie::Renamed(term) => Ok(Term(term.into())),
            lie => refuse(lie).map_or(truth, Err),
        }
    }

    fn first_index(&self) -> Result<Index, StorageError> {
        self.index(self.truth.first_index())
    }

    fn last_index(&self) -> Result<Index, StorageError> {
        self.index(self.truth.last_index())
    }

    fn snapshot(&self) -> Result<Snapshot, StorageError> {
        let mut snapshot = self.truth.snapshot()?;
        match self.lie() {
            Lie::Off(by) => {
                let index = &mut snapshot.position.index;
                index.0 = index.0.saturating_add_signed(by.into());
            }
            Lie::Renamed(term) => snapshot.position.term = Term(term.into()),
            Lie::Fewer(_) => snapshot.conf_state = ConfState::default(),
            lie => refuse(lie).map_or(Ok(()), Err)?,
        }
        Ok(snapshot)
    }
}

fn config(applied: Index) -> Config {
    let mut config = Config::new(1, 1);
    config.election_timeout_ticks = 3;
    (config.pre_vote, config.check_quorum) = (false, false);
    config.applied = applied;
    config
}

/// Plays an input.
pub fn play(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let truth = MemoryStorage::with_conf_state(ConfState::with_voters(1..=3));
    let storage = Liar { truth, ..Liar::default() };
    let mut node = Node::new(&config(Index::ZERO), storage).expect("it has not lied yet");
    for _ in 0..200 {
        let Ok(step) = input.arbitrary::<Step>() else { break };
        let fault = node.fault().cloned();
        match step {
            Step::Restart => match restart(node) {
                Some(next) => node = next,
                None => return,
            },
            step => {
                act(&mut node, &step);
                assert!(fault.is_none() || node.fault() == fault.as_ref(), "a fault is final");
            }
        }
    }
}

fn act(node: &mut Node<Liar>, step: &Step) {
    let outcome = match step {
        Step::Plan(lies) => {
            node.storage().plan.replace(lies.iter().rev().copied().collect());
            Ok(())
        }
        Step::Tick(times) => (0..times % 8).try_for_each(|_| node.tick()),
        Step::Campaign => node.campaign(),
        Step::Take(forged) => node.step_encoded(oracle::encode(&forged.flat(1))),
        Step::Votes => (2..=3).try_for_each(|from| {
            let flat = wire::schema::Message {
                kind: 6,
                to: 1,
                from,
                term: node.status().hard_state.term.0,
                ..Default::default()
            };
            node.step_encoded(oracle::encode(&flat))
        }),
        Step::Propose(bytes) => node.propose(vec![*bytes; 3]).map(drop),
        Step::Read => node.read_index("r"),
        Step::Work => work(node),
        Step::Compact(keep) => {
            let to = Index(node.status().applied.0.saturating_sub((keep % 4).into()));
            let storage = node.storage_mut();
            let _ = storage.truth.create_snapshot(to, None, "");
            let _ = storage.truth.compact(to);
            Ok(())
        }
        Step::Restart => Ok(()),
    };
    if let (Err(Error::Faulted(_)), None) = (&outcome, node.fault()) {
        panic!("a fault that is none: {outcome:?}");
    }
}

fn work(node: &mut Node<Liar>) -> Result<(), Error> {
    let Some(ready) = node.ready()? else { return Ok(()) };
    assert!(!ready.describe().is_empty());
    // What the truth refuses, the node hears of when it advances.
    let _ = node.storage_mut().truth.persist(&ready);
    for entry in ready.committed.iter().filter(|entry| entry.is_conf_change()) {
        let _ = node.apply_conf_change_entry(entry);
    }
    node.advance(ready)
}

/// Starts again on what is stored, the lies that are left included.
fn restart(node: Node<Liar>) -> Option<Node<Liar>> {
    let plan = node.storage().plan.take();
    let truth = node.storage().truth.clone();
    let applied = truth.snapshot().map_or(Index::ZERO, |snapshot| snapshot.index());
    let storage = Liar { truth: truth.clone(), plan: plan.into() };
    Node::new(&config(applied), storage)
        .or_else(|_| Node::new(&config(applied), Liar { truth, ..Liar::default() }))
        .ok()
}
