//! An exhaustive search in a small scope: everything that can happen to a few nodes in a few terms
//! with a few entries, in every order, judged after every step. What the random search (`run`)
//! finds with luck in large groups, this one finds for certain in small ones, or it is not there.
//!
//! A state is the nodes with their disks, the messages on their way, what the judges remember, and
//! what is left of the scope. The search goes breadth first, so what it finds is short. The nodes
//! are the real core. A node's own states are far fewer than those of the group, so the core is
//! asked once for each thing that can happen to each of them; the rest is looking that up.
//!
//! What is not visited, and why nothing is lost by it:
//! - A message never disappears. One that is lost is one that stays on its way; one that arrives
//!   stays too, so that it can arrive again (unless the scope says how many do).
//! - A state is left out if a known one *covers* it: nodes and judges are the same, the same
//!   messages and perhaps more are on their way, and as much of the scope is left. Everything that
//!   can happen here can happen there.
//! - A message of an earlier term, or an answer to what a node no longer asks, is taken off its
//!   way once it has been shown to that node and changed nothing (`local::is_over`): terms never
//!   fall, which is checked.
//! - Who campaigns first is called node 1: the others do the same under other names.
//!
//! And what is left to the random search: an application works through its whole loop after each
//! input or dies in it; no clocks, no reads, no membership changes, no snapshots.

mod judge;
mod local;

use std::collections::HashMap;
use std::hash::Hash;
use std::rc::Rc;
use std::time::{Duration, Instant};

use raftcore::{Message, RoleKind, describe, wire};

use self::judge::{Ghost, check_disks};
use self::local::{Act, Input, Local, Look, Messages, is_over};
use crate::check::Violation;
use crate::random::Mixed;
use crate::sabotage::Sabotage;

/// How large the world is that is searched.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    /// How many nodes there are, three at most.
    pub nodes: usize,
    /// The last term in which somebody campaigns.
    pub terms: u64,
    /// How many entries are proposed, besides the empty one with which a leader begins.
    pub proposals: u8,
    /// How often power is lost.
    pub crashes: u8,
    /// How many messages arrive twice; `None`: every message arrives any number of times.
    pub duplicates: Option<u8>,
    /// How often a leader sends heartbeats.
    pub beats: u8,
    /// Whether nodes ask for pre-votes first.
    pub pre_vote: bool,
    /// A planted mistake of the application.
    pub sabotage: Sabotage,
    /// Whether a message that claims what is not on the disk is found at once, and not only the
    /// harm that comes of it.
    pub promises: bool,
    /// Where the search gives up.
    pub max_states: usize,
    /// When it does.
    pub max_time: Duration,
}

impl Default for Scope {
    fn default() -> Self {
        Self {
            nodes: 3,
            terms: 2,
            proposals: 0,
            crashes: 0,
            duplicates: None,
            beats: 0,
            pre_vote: false,
            sabotage: Sabotage::None,
            promises: true,
            max_states: usize::MAX,
            max_time: Duration::MAX,
        }
    }
}

/// What a search found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// States of the group that none of the others covers.
    pub states: usize,
    /// Steps from one of them to another.
    pub steps: u64,
    /// The greatest number of steps to a state by the shortest way.
    pub depth: usize,
    /// States of single nodes.
    pub locals: usize,
    /// How often the core was asked what a node does.
    pub asked: usize,
    /// Whether every state in the scope was visited.
    pub is_exhausted: bool,
    /// The highest index that some node knew to be committed.
    pub committed: u64,
    /// Whether a state has leaders of two terms at once.
    pub two_leaders: bool,
    /// The rule that is broken, and the shortest way to it in words.
    pub violation: Option<(Violation, Vec<String>)>,
}

/// What is left of the scope.
#[derive(Clone, Copy, Debug)]
struct Left {
    proposals: u8,
    crashes: u8,
    duplicates: u8,
    beats: u8,
}

const MAX_NODES: usize = 3;

/// A state of the group: names of what is kept once.
#[derive(Clone, Debug)]
struct State {
    locals: [u32; MAX_NODES],
    ghost: u32,
    left: Left,
    /// The messages on their way, sorted.
    network: Vec<u32>,
}

/// What an act at a node leads to, without the others.
#[derive(Debug)]
struct Step {
    to: u32,
    sent: Vec<u32>,
    looks: Vec<Look>,
    places: u8,
    violation: Option<Violation>,
}

/// One step of the whole group: which node, what, and whether the message stays on its way.
#[derive(Clone, Copy, Debug)]
struct Move {
    slot: u8,
    act: Act,
    stays: bool,
}

/// Things that are kept once and named by a number.
#[derive(Debug)]
struct Names<K, V> {
    numbers: HashMap<K, u32, Mixed>,
    values: Vec<V>,
}

/// What distinguishes states of which the nodes and the judges are the same.
#[derive(Debug)]
struct Known {
    number: u32,
    left: Left,
    network: Box<[u32]>,
    /// A bit for each message, some messages sharing one: most comparisons end here.
    bits: u64,
}

impl Known {
    /// Whether everything can happen from here that can happen from there: as much of the scope is
    /// left, and all of those messages are on their way.
    fn covers(&self, left: &Left, network: &[u32], bits: u64) -> bool {
        let own = &self.left;
        let mut rest = self.network.iter();
        self.bits & bits == bits
            && own.proposals >= left.proposals
            && own.crashes >= left.crashes
            && own.duplicates >= left.duplicates
            && own.beats >= left.beats
            && network.iter().all(|wanted| rest.any(|has| has == wanted))
    }
}

impl<K: Hash + Eq, V> Names<K, V> {
    fn new() -> Self {
        Self { numbers: HashMap::default(), values: Vec::new() }
    }

    fn name(&mut self, key: K, value: impl FnOnce() -> V) -> u32 {
        let next = self.values.len() as u32;
        let number = *self.numbers.entry(key).or_insert(next);
        if number == next {
            self.values.push(value());
        }
        number
    }

    fn get(&self, number: u32) -> &V {
        &self.values[number as usize]
    }
}

impl Messages for Names<Vec<u8>, Message> {
    fn message(&self, number: u32) -> Message {
        self.get(number).clone()
    }
}

/// How a state was reached first.
#[derive(Clone, Copy, Debug)]
struct Reached {
    from: u32,
    by: Move,
}

struct Search {
    scope: Scope,
    began: Instant,
    messages: Names<Vec<u8>, Message>,
    locals: Names<String, Local>,
    ghosts: Names<Rc<Ghost>, Rc<Ghost>>,
    steps: HashMap<(u32, Act), u32, Mixed>,
    made: Vec<Step>,
    seen_by: HashMap<(u32, u32), u32, Mixed>,
    visited: HashMap<([u32; MAX_NODES], u32), Vec<Known>, Mixed>,
    reached: Vec<Reached>,
    found: Found,
}

/// Searches the whole scope, or up to its limits.
#[must_use]
pub fn explore(scope: &Scope) -> Found {
    let mut search = Search {
        scope: Scope { nodes: scope.nodes.clamp(1, MAX_NODES), ..*scope },
        began: Instant::now(),
        messages: Names::new(),
        locals: Names::new(),
        ghosts: Names::new(),
        steps: HashMap::default(),
        made: Vec::new(),
        seen_by: HashMap::default(),
        visited: HashMap::default(),
        reached: Vec::new(),
        found: Found::default(),
    };
    search.run();
    search.found.locals = search.locals.values.len();
    search.found.asked = search.made.len();
    search.found.states = search.visited.values().map(Vec::len).sum();
    search.found
}

impl Search {
    fn run(&mut self) {
        let mut layer = match self.begin() {
            Ok(first) => vec![(first, 0)],
            Err(violation) => {
                self.found.violation = Some((violation, Vec::new()));
                return;
            }
        };
        while !layer.is_empty() {
            let mut next = Vec::new();
            for (state, number) in layer {
                if !self.is_known(&state, number) {
                    continue;
                }
                if let Err((violation, by)) = self.expand(&state, number, &mut next) {
                    let way = self.way(number, by);
                    self.found.violation = Some((violation, way));
                    return;
                }
                let is_late = number % 1024 == 0 && self.began.elapsed() > self.scope.max_time;
                if is_late || self.reached.len() > self.scope.max_states {
                    return;
                }
            }
            self.found.depth += usize::from(!next.is_empty());
            layer = next;
        }
        self.found.is_exhausted = true;
    }

    fn begin(&mut self) -> Result<State, Violation> {
        let scope = self.scope;
        let mut locals = [0; MAX_NODES];
        for (slot, number) in locals.iter_mut().enumerate().take(scope.nodes) {
            let (local, print) = Local::founder(&scope, slot)?;
            *number = self.locals.name(print, || local);
        }
        let ghost = Rc::new(Ghost::new());
        let first = State {
            locals,
            ghost: self.ghosts.name(ghost.clone(), || ghost),
            left: Left {
                proposals: scope.proposals,
                crashes: scope.crashes,
                duplicates: scope.duplicates.unwrap_or(1),
                beats: scope.beats,
            },
            network: Vec::new(),
        };
        self.is_new(&first, 0);
        let input = Input::Campaign;
        let by = Move { slot: 0, act: Act { input, crash_at: None }, stays: false };
        self.reached.push(Reached { from: 0, by });
        Ok(first)
    }

    /// Makes every step that is possible in a state.
    fn expand(
        &mut self,
        state: &State,
        number: u32,
        next: &mut Vec<(State, u32)>,
    ) -> Result<(), (Violation, Move)> {
        self.look_at(state);
        for (slot, input, stays) in self.inputs(state, number == 0) {
            let plain = Move { slot, act: Act { input, crash_at: None }, stays };
            let places = self.go(state, number, plain, next)?;
            if state.left.crashes > 0 && !matches!(input, Input::Crash { .. }) {
                for place in 0..places {
                    let act = Act { input, crash_at: Some(place) };
                    self.go(state, number, Move { act, ..plain }, next)?;
                }
            }
        }
        Ok(())
    }

    /// What can happen, besides crashes inside the loop.
    fn inputs(&self, state: &State, is_first: bool) -> Vec<(u8, Input, bool)> {
        let mut inputs = Vec::new();
        for slot in 0..self.scope.nodes as u8 {
            let local = self.locals.get(state.locals[usize::from(slot)]);
            let leads = local.status.soft_state.role == RoleKind::Leader;
            let mut may = |holds: bool, input| inputs.extend(holds.then_some((slot, input, false)));
            may(!leads && local.status.hard_state.term.0 < self.scope.terms, Input::Campaign);
            if is_first {
                // Whoever campaigns first is called node 1.
                return inputs;
            }
            may(leads && state.left.proposals > 0, Input::Propose);
            may(leads && state.left.beats > 0, Input::Beat);
            may(state.left.crashes > 0, Input::Crash { keeps: false });
            may(state.left.crashes > 0 && local.disk.has_unsynced(), Input::Crash { keeps: true });
        }
        let mut before = None;
        for number in &state.network {
            if before.replace(number) == Some(number) {
                continue;
            }
            let slot = self.messages.get(*number).to.get() as u8 - 1;
            if self.scope.duplicates.is_some() {
                inputs.push((slot, Input::Take(*number), false));
            }
            if state.left.duplicates > 0 {
                inputs.push((slot, Input::Take(*number), true));
            }
        }
        inputs
    }

    /// Makes a step, judges it and visits where it leads. Returns how many places there were to
    /// crash at.
    fn go(
        &mut self,
        state: &State,
        number: u32,
        by: Move,
        next: &mut Vec<(State, u32)>,
    ) -> Result<u8, (Violation, Move)> {
        let at = usize::from(by.slot);
        let name = self.step(state.locals[at], by.act);
        let ghost = self.judge(state, at, name).map_err(|violation| (violation, by))?;
        let step = &self.made[name as usize];
        let places = step.places;
        let mut after = State { ghost, ..state.clone() };
        after.locals[at] = step.to;
        let left = &mut after.left;
        match by.act.input {
            Input::Take(message) if !by.stays => {
                after.network.retain({
                    let mut taken = false;
                    move |other| *other != message || std::mem::replace(&mut taken, true)
                });
            }
            Input::Take(_) => left.duplicates -= u8::from(self.scope.duplicates.is_some()),
            Input::Propose => left.proposals -= 1,
            Input::Beat => left.beats -= 1,
            Input::Campaign | Input::Crash { .. } => {}
        }
        let crashes = by.act.crash_at.is_some() || matches!(by.act.input, Input::Crash { .. });
        left.crashes -= u8::from(crashes);
        after.network.extend_from_slice(&step.sent);
        self.clear(&mut after);
        after.network.sort_unstable();
        if self.scope.duplicates.is_none() {
            after.network.dedup();
        }
        self.found.steps += 1;
        if self.is_new(&after, self.reached.len() as u32) {
            next.push((after, self.reached.len() as u32));
            self.reached.push(Reached { from: number, by });
        }
        Ok(places)
    }

    /// Whether nothing is known that can do all that this state can do. Then it is known from now
    /// on, in the place of those that can do less.
    fn is_new(&mut self, state: &State, number: u32) -> bool {
        let known = self.visited.entry((state.locals, state.ghost)).or_default();
        let bits = state.network.iter().fold(0, |bits, message| bits | 1 << (message % 64));
        if known.iter().any(|other| other.covers(&state.left, &state.network, bits)) {
            return false;
        }
        let network = state.network.clone().into();
        let new = Known { number, left: state.left, network, bits };
        known.retain(|other| !new.covers(&other.left, &other.network, other.bits));
        known.push(new);
        true
    }

    /// Whether it is still known, and not covered by another one that came later.
    fn is_known(&self, state: &State, number: u32) -> bool {
        let known = self.visited.get(&(state.locals, state.ghost));
        known.is_some_and(|known| known.iter().any(|other| other.number == number))
    }

    /// What an act does to a node in this state.
    fn step(&mut self, local: u32, act: Act) -> u32 {
        if let Some(known) = self.steps.get(&(local, act)) {
            return *known;
        }
        let done = self.locals.get(local).act(&self.scope, act, &self.messages);
        let messages = &mut self.messages;
        let name = |message: Message| messages.name(wire::encode(&message).to_vec(), || message);
        let step = Step {
            sent: done.sent.into_iter().map(name).collect(),
            to: self.locals.name(done.print, || done.local),
            looks: done.looks,
            places: done.places,
            violation: done.verdict.err(),
        };
        let number = self.made.len() as u32;
        self.made.push(step);
        self.steps.insert((local, act), number);
        number
    }

    /// Shows a step to the judges. Returns what they remember from then on.
    fn judge(&mut self, state: &State, slot: usize, name: u32) -> Result<u32, Violation> {
        let step = &self.made[name as usize];
        if let Some(violation) = &step.violation {
            return Err(violation.clone());
        }
        let ghost = match self.seen_by.get(&(state.ghost, name)) {
            Some(known) => *known,
            None => {
                let mut ghost = Ghost::clone(self.ghosts.get(state.ghost));
                ghost.see(slot, &step.looks)?;
                let ghost = Rc::new(ghost);
                let number = self.ghosts.name(ghost.clone(), || ghost);
                self.seen_by.insert((state.ghost, name), number);
                number
            }
        };
        let local = |at: usize| state.locals.get(at).map(|number| self.locals.get(*number));
        check_disks(slot, &step.looks, self.ghosts.get(ghost), local)?;
        Ok(ghost)
    }

    /// Takes off the network what can change nothing any more.
    fn clear(&mut self, state: &mut State) {
        let network = std::mem::take(&mut state.network);
        state.network = network
            .into_iter()
            .filter(|number| {
                let message = self.messages.get(*number);
                let at = message.to.get() as usize - 1;
                let Some(local) = state.locals.get(at).copied() else { return false };
                if !is_over(message, &self.locals.get(local).status) {
                    return true;
                }
                let act = Act { input: Input::Take(*number), crash_at: None };
                let step = self.step(local, act);
                let step = &self.made[step as usize];
                step.to != local || !step.sent.is_empty() || step.violation.is_some()
            })
            .collect();
    }

    /// Notes what the scope reaches, so that a search that sees too little is noticed.
    fn look_at(&mut self, state: &State) {
        let status = |slot: usize| &self.locals.get(state.locals[slot]).status;
        let mut leaders = 0;
        for slot in 0..self.scope.nodes {
            let status = status(slot);
            leaders += usize::from(status.soft_state.role == RoleKind::Leader);
            self.found.committed = self.found.committed.max(status.hard_state.commit.0);
        }
        self.found.two_leaders |= leaders > 1;
    }

    /// The way to a state and one step further, in words.
    fn way(&self, to: u32, last: Move) -> Vec<String> {
        let mut way = vec![self.describe(last)];
        let mut at = to;
        while at != 0 {
            let Reached { from, by } = self.reached[at as usize];
            way.push(self.describe(by));
            at = from;
        }
        way.reverse();
        way
    }

    fn describe(&self, by: Move) -> String {
        let node = by.slot + 1;
        let what = match by.act.input {
            Input::Take(number) => {
                let text = describe::message(&self.messages.get(number).into());
                let counted = self.scope.duplicates.is_some();
                let stays = if by.stays && counted { ", which will arrive again" } else { "" };
                format!("takes {text}{stays}")
            }
            Input::Campaign => "campaigns".into(),
            Input::Propose => "proposes".into(),
            Input::Beat => "sends heartbeats".into(),
            Input::Crash { keeps: true } => "crashes, what it wrote survives".into(),
            Input::Crash { keeps: false } => "crashes, what it did not sync is lost".into(),
        };
        let crash = match by.act.crash_at {
            None => "",
            Some(place) if place % 2 == 0 => ", and crashes before it writes",
            Some(_) => ", and crashes after it wrote",
        };
        format!("node {node} {what}{crash}")
    }
}
