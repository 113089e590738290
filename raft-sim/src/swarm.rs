//! What one seed stands for: the group, its configuration, the weather and the list of faults.
//!
//! Swarm testing: each seed switches a random part of the features on, with random weights, so
//! that no feature hides what another one would show. The list of actions is drawn here, before
//! the run, so that the minimiser can leave some of them out.

use std::fmt;

use raftcore::{Config, ReadOnly};

use crate::network::{SLOTS, Weather};
use crate::random::Random;
use crate::sabotage::Sabotage;

/// Virtual time is counted in units; a node's clock ticks about every so many.
pub(crate) const TICK: u64 = 1000;

/// Whom an action is about; found out when it happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Who {
    Leader,
    /// One of those that run: this number, taken modulo their count.
    Running(u64),
}

/// A fault, or a request of an operator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    Crash { who: Who, down_for: u64 },
    CrashAll { down_for: u64 },
    Pause { who: Who, length: u64 },
    Split { mask: u64 },
    Isolate { who: Who },
    Bridge { mask: u64, bridge: u64 },
    Ring,
    CutOneWay { from: u64, to: u64 },
    Heal,
    Stall { who: Who, length: u64 },
    Full { who: Who, length: u64 },
    FailReads { who: Who, length: u64 },
    SnapshotBusy { who: Who, length: u64 },
    Campaign { who: Who },
    Transfer { who: Who, to: u64 },
    ForgetLeader { who: Who },
    Unreachable { who: Who, member: u64 },
    Compact { who: Who, keep: u64 },
    Burst { who: Who, count: u64, bytes: u64 },
    Reconfigure { who: Who, how: u64 },
}

impl Action {
    /// The name under which it is counted.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Crash { .. } => "crash",
            Self::CrashAll { .. } => "crash_all",
            Self::Pause { .. } => "pause",
            Self::Split { .. } => "split",
            Self::Isolate { .. } => "isolate",
            Self::Bridge { .. } => "bridge",
            Self::Ring => "ring",
            Self::CutOneWay { .. } => "cut_one_way",
            Self::Heal => "heal",
            Self::Stall { .. } => "disk_stalled",
            Self::Full { .. } => "disk_full",
            Self::FailReads { .. } => "read_error",
            Self::SnapshotBusy { .. } => "snapshot_busy",
            Self::Campaign { .. } => "campaign",
            Self::Transfer { .. } => "transfer",
            Self::ForgetLeader { .. } => "forget_leader",
            Self::Unreachable { .. } => "unreachable",
            Self::Compact { .. } => "compact",
            Self::Burst { .. } => "burst",
            Self::Reconfigure { .. } => "reconfigure",
        }
    }
}

/// How the group began.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Founding {
    Bootstrap,
    /// From a snapshot at this index.
    Snapshot(u64),
}

/// Who makes sure that there is one membership change at a time (paper, section 6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Changes {
    /// The core.
    ByCore,
    /// The application, with the core's validation off on some nodes: it proposes a change only
    /// where a leader has applied its whole log.
    ByApplication,
    /// Nobody. Then there can be two leaders in a term, and all that follows from that.
    Unchecked,
}

/// Everything that a run is made of.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) voters: usize,
    pub(crate) founding: Founding,
    pub(crate) configs: Vec<Config>,
    /// Units between two ticks of each node.
    pub(crate) periods: [u64; SLOTS],
    pub(crate) election_ticks: u64,
    /// Whether the application keeps its state beside the log.
    pub(crate) keeps_state: bool,
    pub(crate) weather: Weather,
    /// How often the next action of the application's loop follows at once, and how long it takes
    /// otherwise.
    pub(crate) at_once: u64,
    pub(crate) pause: u64,
    pub(crate) clients: usize,
    pub(crate) think: u64,
    pub(crate) padding: u64,
    pub(crate) stops_removed: bool,
    pub(crate) compacts_every: u64,
    pub(crate) leases: bool,
    pub(crate) changes: Changes,
    /// Whether peers may send anything at all.
    pub(crate) hostile: bool,
    /// Whether the protocol's rules are judged. Not where they cannot hold, since peers lie or
    /// nobody checks membership changes: there only a node's own health is.
    pub(crate) is_judged: bool,
    pub(crate) actions: Vec<(u64, Action)>,
    pub(crate) safety_ends: u64,
    pub(crate) sabotage: Sabotage,
}

/// Which settings of a plan the caller fixes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Overrides {
    /// Lease reads with clocks that differ by at most so many per cent.
    pub leases: Option<u64>,
    /// How long faults last, in election timeouts.
    pub length: Option<u64>,
    /// With these leases: those that upstream has, which are not counted.
    pub unverified: bool,
    /// Membership changes that nobody checks, judged all the same.
    pub unchecked: bool,
    /// A planted mistake.
    pub sabotage: Sabotage,
}

/// As the options of a command line.
impl fmt::Display for Overrides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(percent) = self.leases {
            write!(f, " --lease {percent}")?;
        }
        if self.unverified {
            write!(f, " --unverified")?;
        }
        if let Some(length) = self.length {
            write!(f, " --length {length}")?;
        }
        if self.unchecked {
            write!(f, " --unchecked")?;
        }
        match self.sabotage {
            Sabotage::None => Ok(()),
            sabotage => write!(f, " --sabotage {}", sabotage.name()),
        }
    }
}

impl Plan {
    /// The plan of a seed.
    pub(crate) fn of(seed: u64, overrides: &Overrides) -> Self {
        let r = &mut Random::fork(seed, 1);
        let voters = r.pick(&[1, 2, 3, 3, 3, 3, 4, 5, 5, 7]);
        let election_ticks = r.pick(&[4, 6, 10, 10, 10, 20]);
        let election = election_ticks * TICK;
        let spread = overrides.leases.unwrap_or_else(|| r.pick(&[0, 1, 5, 20, 60]));
        // Within the bound that is declared for them, lease reads have to hold like any others.
        let leases = overrides.leases.is_some() || spread <= 5 && r.chance(150);
        let drawn = r.pick(&[40, 80, 80, 160]);
        let length = overrides.length.unwrap_or(drawn);
        let hostile = !leases && r.chance(40);
        // The extremes are where leases break: a slow leader among quick members.
        let percent = |r: &mut Random| match leases {
            true => 100 + r.pick(&[0, 0, 0, spread]),
            false => 100 + r.below(spread + 1),
        };
        let mut plan = Self {
            seed,
            voters,
            founding: if r.chance(500) { Founding::Bootstrap } else { Founding::Snapshot(10) },
            configs: configs(r, election_ticks, leases),
            periods: std::array::from_fn(|_| TICK * percent(r) / 100),
            election_ticks,
            keeps_state: r.chance(500),
            weather: weather(r, election),
            at_once: r.pick(&[0, 300, 700, 900, 1000, 1000]),
            pause: r.pick(&[10, 100, 500, TICK]),
            clients: r.pick(&[0, 2, 4, 6]),
            think: r.pick(&[200, TICK, 4 * TICK]),
            padding: r.pick(&[0, 0, 20, 200]),
            stops_removed: r.chance(700),
            compacts_every: r.pick(&[0, 1, 5, 20, 100]),
            leases,
            changes: Changes::ByCore,
            hostile,
            is_judged: !hostile,
            actions: Vec::new(),
            safety_ends: length * election,
            sabotage: overrides.sabotage,
        };
        if leases {
            // Clients that read and write all the time are what shows a stale read.
            (plan.clients, plan.think, plan.voters) = (6, 200, plan.voters.clamp(3, 5));
            if overrides.unverified {
                let configs = plan.configs.iter_mut();
                configs.for_each(|config| config.read_only = ReadOnly::LeaseUnverified);
            }
        }
        if overrides.sabotage == Sabotage::HastyVotes {
            plan.configs.iter_mut().for_each(|config| config.votes_wait_for_sync = false);
        }
        plan.vary(&mut Random::fork(seed, 3), overrides);
        plan.actions = actions(r, &plan);
        plan
    }

    /// What was added later: drawn apart, so that the seeds from before are what they were.
    fn vary(&mut self, r: &mut Random, overrides: &Overrides) {
        if self.voters == 7 && !self.leases && r.chance(400) {
            self.voters = 6;
        }
        let per_mille = r.below(1000);
        if overrides.unchecked || per_mille < 20 {
            self.changes = Changes::Unchecked;
            self.is_judged = overrides.unchecked && !self.hostile;
        } else if per_mille < 120 {
            self.changes = Changes::ByApplication;
        }
        let few_reads = r.chance(50);
        let coalesces = switched(r);
        for config in &mut self.configs {
            config.validate_conf_changes = match self.changes {
                Changes::ByCore => true,
                Changes::ByApplication => r.chance(300),
                Changes::Unchecked => false,
            };
            if few_reads {
                config.max_pending_reads = 1;
            }
            config.coalesce_appends = coalesces(r);
        }
    }
}

fn weather(r: &mut Random, election: u64) -> Weather {
    let delay = r.pick(&[10, 50, 200, 800]);
    Weather {
        delay,
        jitter: r.pick(&[0, delay, 4 * delay]),
        drops: r.pick(&[0, 0, 10, 50, 200]),
        duplicates: r.pick(&[0, 0, 10, 100]),
        spikes: r.pick(&[0, 0, 20, 100]),
        very_late: r.pick(&[0, 0, 5, 20]),
        late_by: election * r.pick(&[1, 5, 20]),
        corrupts: r.pick(&[0, 0, 5, 20]),
    }
}

/// On all nodes, on none, or on some only.
fn switched(r: &mut Random) -> impl Fn(&mut Random) -> bool + use<> {
    let per_mille = r.pick(&[0, 1000, 1000, 500]);
    move |r| r.chance(per_mille)
}

fn configs(r: &mut Random, election_ticks: u64, leases: bool) -> Vec<Config> {
    let (check_quorum, pre_vote, is_async) = (switched(r), switched(r), switched(r));
    let heartbeat = r.pick(&[1, 1, 1, 2]).min(election_ticks / 3).max(1) as u32;
    let max_message_bytes = r.pick(&[0, 40, 300, 1 << 20, 1 << 20]);
    // Where messages are small and overtake each other, every rejection and the answer after it
    // sends a whole window again: of 256 that is a storm in which a run never ends.
    let widest = if max_message_bytes < 1 << 20 { 16 } else { 256 };
    let inflight = r.pick(&[1, 2, 8, 256]).min(widest);
    let inflight_bytes = r.pick(&[0, 0, max_message_bytes.max(1), 2 * max_message_bytes + 100]);
    let committed_bytes = r.pick(&[0, 1, 60, 1 << 20]);
    let uncommitted_bytes = r.pick(&[0, 0, 0, 100]);
    let forwards = switched(r);
    let steps_down = r.chance(800);
    let member = |slot: usize| {
        let mut config = Config::new(slot as u64 + 1, r.next());
        config.election_timeout_ticks = election_ticks as u32;
        config.heartbeat_interval_ticks = heartbeat;
        config.async_storage_writes = is_async(r);
        config.max_message_bytes = max_message_bytes;
        config.max_inflight_messages = inflight;
        config.max_inflight_bytes = inflight_bytes;
        config.max_committed_bytes_per_ready = committed_bytes;
        config.max_uncommitted_bytes = uncommitted_bytes;
        config.check_quorum = check_quorum(r) || leases;
        config.pre_vote = pre_vote(r);
        config.forward_proposals = forwards(r);
        config.step_down_on_removal = steps_down;
        if leases {
            config.read_only = ReadOnly::LeaseBased;
        }
        config
    };
    (0..SLOTS).map(member).collect()
}

/// The kinds of action and how they are drawn.
type Draw = fn(&mut Random, u64) -> Action;

fn who(r: &mut Random) -> Who {
    if r.chance(400) { Who::Leader } else { Who::Running(r.next()) }
}

/// From a tenth of an election timeout to three of them.
fn some_time(r: &mut Random, election: u64) -> u64 {
    r.between(election / 10, 3 * election)
}

const NETWORK_AND_NODES: &[Draw] = &[
    |r, e| Action::Crash { who: who(r), down_for: some_time(r, e) },
    |r, e| Action::Crash { who: who(r), down_for: r.below(e / 4) },
    |r, e| Action::CrashAll { down_for: r.below(e) },
    |r, e| Action::Pause { who: who(r), length: some_time(r, e) },
    |r, _| Action::Split { mask: r.next() },
    |r, _| Action::Isolate { who: who(r) },
    |r, _| Action::Bridge { mask: r.next(), bridge: r.next() },
    |_, _| Action::Ring,
    |r, _| Action::CutOneWay { from: r.next(), to: r.next() },
];

const DISKS: &[Draw] = &[
    |r, e| Action::Stall { who: who(r), length: some_time(r, e) },
    |r, e| Action::Full { who: who(r), length: some_time(r, e) },
    |r, e| Action::FailReads { who: who(r), length: some_time(r, e) },
    |r, e| Action::SnapshotBusy { who: who(r), length: some_time(r, e) },
];

const REQUESTS: &[Draw] = &[
    |r, _| Action::Campaign { who: who(r) },
    |r, _| Action::Transfer { who: who(r), to: r.next() },
    |r, _| Action::ForgetLeader { who: who(r) },
    |r, _| Action::Unreachable { who: who(r), member: r.next() },
    |r, _| Action::Compact { who: who(r), keep: r.pick(&[0, 0, 1, 5]) },
    |r, _| Action::Burst { who: who(r), count: r.between(1, 40), bytes: r.pick(&[0, 10, 200]) },
];

/// Draws the list of what happens, in the order of time.
fn actions(r: &mut Random, plan: &Plan) -> Vec<(u64, Action)> {
    let election = plan.election_ticks * TICK;
    let mut menu: Vec<(u64, Draw)> = Vec::new();
    for draw in [NETWORK_AND_NODES, DISKS, REQUESTS].into_iter().flatten() {
        if r.chance(500) {
            menu.push((r.between(1, 10), *draw));
        }
    }
    if plan.leases {
        // A process that stands still is a clock that does.
        let mut probe = r.clone();
        menu.retain(|(_, draw)| !matches!(draw(&mut probe, election), Action::Pause { .. }));
    }
    if r.chance(600) && !plan.leases {
        let weight = r.between(1, 30);
        menu.push((weight, |r, _| Action::Reconfigure { who: who(r), how: r.next() }));
    }
    if plan.leases {
        menu.push((20, |r, _| Action::Isolate {
            who: {
                let _ = r;
                Who::Leader
            },
        }));
    }
    let total: u64 = menu.iter().map(|(weight, _)| weight).sum();
    // A partition would last for ever if nothing healed it.
    let heals = r.between(total / 8 + 1, total / 2 + 2);
    let gap = r.pick(&[election / 4, election / 2, election, 2 * election]);
    let mut actions = Vec::new();
    let mut now = 3 * election;
    while now < plan.safety_ends {
        let mut at = r.below(total + heals);
        let found = menu.iter().find(|(weight, _)| {
            let hit = at < *weight;
            at = at.saturating_sub(*weight);
            hit
        });
        let action = found.map_or(Action::Heal, |(_, draw)| draw(r, election));
        actions.push((now, action));
        now += r.between(1, 2 * gap);
    }
    actions
}
