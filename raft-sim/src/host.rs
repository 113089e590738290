//! One node with its application: what is lost when it crashes, and how it comes back.

use std::collections::VecDeque;

use raftcore::{
    ConfState, Config, Entries, Index, Node, NodeId, Peer, Position, Ready, Snapshot, Status,
    Storage, StorageAppend, StorageApply, Term,
};

use crate::check::Verdict;
use crate::check::{contract, durability};
use crate::client::Machine;
use crate::cluster::World;
use crate::disk::Disk;
use crate::random::Random;
use crate::sabotage::Sabotage;
use crate::swarm::Founding;

/// What the application's loop does next. A crash can come between any two of these.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Stage {
    #[default]
    Idle,
    Send,
    Write,
    Sync,
    SendAfterSync,
    Apply,
    Advance,
}

/// What the append thread does next with the oldest of its work.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum AppendStage {
    #[default]
    Write,
    Sync,
    Reply(usize),
}

/// A place in the group: a node, running or not, and its disk.
pub(crate) struct Host {
    pub(crate) slot: usize,
    pub(crate) id: NodeId,
    pub(crate) config: Config,
    pub(crate) period: u64,
    pub(crate) random: Random,
    /// How often it started.
    pub(crate) life: u32,
    pub(crate) node: Option<Node<Disk>>,
    /// While the node is down. Nothing before it starts for the first time.
    pub(crate) disk: Option<Disk>,
    /// Whether it belongs to the founders.
    pub(crate) founds: bool,
    pub(crate) paused_until: u64,
    /// When it was last asked to come back, having been a member before.
    pub(crate) back_since: u64,
    /// Ticks in this life.
    pub(crate) ticks: u64,
    /// As it was after its last step.
    pub(crate) status: Option<Status>,
    pub(crate) machine: Machine,
    pub(crate) applied: u64,
    pub(crate) conf_state: ConfState,
    pub(crate) last_snapshot: u64,
    /// Whether a membership change was left out because a snapshot that covers it is on its way:
    /// the state is incomplete until that is restored.
    pub(crate) overtaken: bool,
    pub(crate) stage: Stage,
    pub(crate) ready: Option<Ready>,
    /// How many of the entries of this piece of work are applied.
    pub(crate) apply_at: usize,
    pub(crate) loop_queued: bool,
    pub(crate) append_work: VecDeque<StorageAppend>,
    pub(crate) append_stage: AppendStage,
    pub(crate) append_queued: bool,
    pub(crate) apply_work: VecDeque<StorageApply>,
    pub(crate) apply_queued: bool,
    /// Reads that wait until their index is applied.
    pub(crate) waiting_reads: Vec<(u64, usize, u32)>,
}

impl Host {
    pub(crate) fn new(slot: usize, config: Config, period: u64, random: Random) -> Self {
        let id = NodeId::new(slot as u64 + 1).unwrap_or(raftcore_first_id());
        Self {
            slot,
            id,
            config,
            period,
            random,
            life: 0,
            node: None,
            disk: None,
            founds: false,
            paused_until: 0,
            back_since: 0,
            ticks: 0,
            status: None,
            machine: Machine::default(),
            applied: 0,
            conf_state: ConfState::default(),
            last_snapshot: 0,
            overtaken: false,
            stage: Stage::Idle,
            ready: None,
            apply_at: 0,
            loop_queued: false,
            append_work: VecDeque::new(),
            append_stage: AppendStage::Write,
            append_queued: false,
            apply_work: VecDeque::new(),
            apply_queued: false,
            waiting_reads: Vec::new(),
        }
    }

    /// The disk, wherever it is.
    pub(crate) fn disk(&self) -> Option<&Disk> {
        self.node.as_ref().map(Node::storage).or(self.disk.as_ref())
    }

    pub(crate) fn disk_mut(&mut self) -> Option<&mut Disk> {
        match &mut self.node {
            Some(node) => Some(node.storage_mut()),
            None => self.disk.as_mut(),
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.node.is_some()
    }

    pub(crate) fn leads(&self) -> bool {
        self.status.as_ref().is_some_and(|s| s.soft_state.role == raftcore::RoleKind::Leader)
    }

    /// Between which actions of its application it is, for the summary.
    fn interrupted(&self) -> impl Iterator<Item = &'static str> + use<> {
        let in_loop = match self.stage {
            Stage::Idle => None,
            Stage::Send => Some("crash_before_send"),
            Stage::Write => Some("crash_before_write"),
            Stage::Sync => Some("crash_before_sync"),
            Stage::SendAfterSync => Some("crash_before_send_after_sync"),
            Stage::Apply if self.apply_at > 0 => Some("crash_inside_apply"),
            Stage::Apply => Some("crash_before_apply"),
            Stage::Advance => Some("crash_before_advance"),
        };
        let in_thread = match self.append_stage {
            _ if self.append_work.is_empty() => None,
            AppendStage::Write => Some("crash_before_append_thread_writes"),
            AppendStage::Sync => Some("crash_before_append_thread_syncs"),
            AppendStage::Reply(_) => Some("crash_before_append_thread_replies"),
        };
        let applies = (!self.apply_work.is_empty()).then_some("crash_before_apply_thread_replies");
        in_loop.into_iter().chain(in_thread).chain(applies)
    }

    /// Everything that a process has in its memory.
    fn forget(&mut self) {
        self.status = None;
        self.overtaken = false;
        (self.stage, self.ready, self.apply_at) = (Stage::Idle, None, 0);
        self.append_work.clear();
        self.apply_work.clear();
        self.append_stage = AppendStage::Write;
        (self.loop_queued, self.append_queued, self.apply_queued) = (false, false, false);
        self.waiting_reads.clear();
        self.paused_until = 0;
        self.ticks = 0;
        self.life += 1;
    }
}

/// There is always a first id.
fn raftcore_first_id() -> NodeId {
    NodeId::new(1).unwrap_or_else(|| unreachable!("one is an id"))
}

impl World {
    /// The node stops at once, and what its disk did not have is lost.
    pub(crate) fn crash(&mut self, slot: usize) {
        let sabotage = self.plan.sabotage;
        let host = &mut self.hosts[slot];
        let Some(mut node) = host.node.take() else { return };
        let mut disk = std::mem::take(node.storage_mut());
        let verdict = disk.crash(&mut host.random);
        if sabotage == Sabotage::ForgetVote {
            disk.forget_vote();
        }
        for branch in host.interrupted() {
            self.summary.count(branch);
        }
        if let Ok(lost) = verdict
            && lost.batches > 0
        {
            self.summary.count("crash_lost_writes");
        }
        host.disk = Some(disk);
        host.forget();
        self.trace(slot, || "crashes".into());
        self.summary.count("crashes");
    }

    /// The node starts: for the first time, or with what its disk has.
    pub(crate) fn boot(&mut self, slot: usize) {
        if self.hosts[slot].is_up() {
            return;
        }
        let verdict = self.try_boot(slot);
        self.note(verdict);
        self.wake(slot);
    }

    fn try_boot(&mut self, slot: usize) -> Verdict {
        let keeps_state = self.plan.keeps_state;
        let first_disk = self.first_disk(slot);
        let host = &mut self.hosts[slot];
        let mut disk = host.disk.take().unwrap_or(first_disk);
        (disk.full_until, disk.stalled_until) = (0, 0);
        disk.keeps_tails = self.plan.sabotage == Sabotage::KeepTails;
        let (applied, machine, conf_state) = disk.recover(keeps_state);
        host.config.applied = Index(applied);
        host.config.seed = host.random.next();
        let stored = disk.durable_hard_state();
        let (first, entries) = (disk.first_index().unwrap_or_default(), disk.durable_entries());
        let snapshot = disk.durable_snapshot().position;
        if host.random.chance(100) {
            // A disk that cannot be read at start: an error, and another try.
            let broken = disk.clone();
            broken.reads_fail.set(true);
            contract::on_start_unread(host.id, &Node::new(&host.config, broken))?;
        }
        let is_new = host.founds && entries.is_empty() && stored.is_empty() && first.0 == 1;
        self.recorder.on_boot(&host.config, &disk);
        let made = Node::new(&host.config, disk);
        contract::on_start(host.id, &made)?;
        let Ok(mut node) = made else { return Ok(()) };
        let peers = if is_new { self.founders.clone() } else { Vec::new() };
        if is_new && self.plan.founding == Founding::Bootstrap {
            self.recorder.on_bootstrap(slot, &peers);
            contract::on_bootstrap(host.id, &node.bootstrap(&peers))?;
        }
        let status = node.status();
        (host.machine, host.applied, host.conf_state) = (machine, applied, conf_state);
        host.last_snapshot = snapshot.index.0;
        let (loaded, membership) = (node.hard_state(), status.membership.clone());
        host.status = Some(status);
        host.node = Some(node);
        let (id, life, delay) = (host.id, host.life, host.random.below(host.period));
        self.trace(slot, || format!("starts at {applied}, log {first}.."));
        self.push(delay, crate::cluster::Event::Tick { slot, life });
        self.summary.count("starts");
        self.judges.lease.on_restart(slot);
        self.judges.acknowledgements.on_restart(slot);
        self.judges.progress.on_restart(slot);
        self.judges.log.on_restart(slot, first.0, &entries, applied)?;
        if is_new {
            return Ok(());
        }
        durability::on_restart(id, &stored, &loaded)?;
        self.judges.membership.on_state(id, applied, &membership)
    }

    /// What a node finds that never ran: a founder the group's first snapshot, a joiner nothing.
    fn first_disk(&self, slot: usize) -> Disk {
        match self.plan.founding {
            Founding::Snapshot(index) if self.hosts[slot].founds => {
                Disk::with_snapshot(&self.first_snapshot(index))
            }
            _ => Disk::default(),
        }
    }

    pub(crate) fn first_snapshot(&self, index: u64) -> Snapshot {
        Snapshot {
            position: Position { term: Term(1), index: Index(index) },
            conf_state: ConfState::with_voters(self.founders.iter().map(|peer| peer.id.get())),
            data: Machine::default().encode(),
        }
    }
}

/// The founders' list, the same for each of them.
pub(crate) fn founders(count: usize) -> Vec<Peer> {
    let id = |slot: usize| NodeId::new(slot as u64 + 1);
    (0..count).filter_map(id).map(|id| Peer { id, context: bytes::Bytes::new() }).collect()
}

/// Entries that are worth mentioning in a trace.
pub(crate) fn range_of(entries: &Entries) -> String {
    match (entries.first(), entries.last()) {
        (Some(first), Some(last)) => format!("{}..{}", first.position(), last.position()),
        _ => "nothing".into(),
    }
}
