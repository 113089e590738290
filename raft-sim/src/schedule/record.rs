//! Writes a schedule while a run goes on.

use std::collections::BTreeSet;

use bytes::Bytes;
use raftcore::{
    ConfState, Config, Error, Index, NodeId, Peer, Position, Ready, Snapshot, Storage, wire,
};

use super::hash::OutputHash;
use super::{HEADER, hex, settings};
use crate::disk::Disk;
use crate::input::Input;

/// Writes a schedule while a run goes on.
#[derive(Debug)]
pub(crate) struct Recorder {
    text: Option<String>,
    /// What a replayer has to be able to do, beyond what every schedule asks of it.
    needs: BTreeSet<&'static str>,
    hash: OutputHash,
}

impl Recorder {
    pub(crate) fn new(records: bool) -> Self {
        Self { text: records.then(String::new), needs: BTreeSet::new(), hash: OutputHash::new() }
    }

    fn line(&mut self, line: impl FnOnce() -> String) {
        if let Some(text) = &mut self.text {
            text.push_str(&line());
            text.push('\n');
        }
    }

    /// A node starts, with this on its disk.
    pub(crate) fn on_boot(&mut self, config: &Config, disk: &Disk) {
        if self.text.is_none() {
            return;
        }
        let id = config.id;
        if config.async_storage_writes {
            self.needs.insert("async-storage-writes");
        }
        self.line(|| format!("node {}", settings::show(config)));
        let state = disk.durable_hard_state();
        let vote = NodeId::or_zero(state.vote);
        self.line(|| format!("store {id} hard {} {vote} {}", state.term, state.commit));
        let snapshot = disk.durable_snapshot();
        let index = disk.first_index().unwrap_or_default().prev();
        let position = Position { term: disk.term(index).unwrap_or_default(), index };
        // The log may reach further back than the snapshot: then only the position before it is
        // known, and the snapshot is made again once the entries are there.
        let is_whole = snapshot.index() == index;
        let base = Snapshot { position, ..Snapshot::default() };
        if index > Index::ZERO {
            let restored = if is_whole { &snapshot } else { &base };
            self.line(|| format!("store {id} restore {}", hex(&wire::encode_snapshot(restored))));
        }
        for entry in disk.durable_entries().iter() {
            self.line(|| format!("store {id} entry {}", hex(&wire::encode_entry(entry))));
        }
        if !is_whole {
            self.line(|| format!("store {id} snapshot {}", hex(&wire::encode_snapshot(&snapshot))));
        }
        if let Some(state) = disk.own_conf_state() {
            self.needs.insert("conf-state");
            self.line(|| format!("store {id} conf-state {}", hex(&wire::encode_conf_state(state))));
        }
        self.line(|| format!("create {id}"));
    }

    pub(crate) fn on_bootstrap(&mut self, slot: usize, peers: &[Peer]) {
        let list: Vec<_> = peers.iter().map(|peer| peer.id.get().to_string()).collect();
        self.line(|| format!("bootstrap {} {}", slot + 1, list.join(",")));
        self.hash.result(None);
    }

    /// A call was made, and ended like this.
    pub(crate) fn on_call(&mut self, slot: usize, input: &Input<'_>, error: Option<&Error>) {
        // That a node hands the same Ready out again is no line: the replayer still has it.
        if self.text.is_none() || matches!(input, Input::ReadyAgain) {
            return;
        }
        self.line(|| show(slot as u64 + 1, input));
        self.hash.result(error);
    }

    pub(crate) fn on_ready(&mut self, ready: &Ready, is_async: bool) {
        if self.text.is_some() {
            self.hash.ready(ready, is_async);
        }
    }

    /// From now on reading this node's storage fails, or does no more.
    pub(crate) fn on_reads_fail(&mut self, slot: usize, fail: bool) {
        self.needs.insert("reads-fail");
        self.line(|| format!("reads-fail {} {}", slot + 1, u8::from(fail)));
    }

    /// From now on this node's storage is making a snapshot, or does no more.
    pub(crate) fn on_snapshot_busy(&mut self, slot: usize, busy: bool) {
        self.needs.insert("snapshot-busy");
        self.line(|| format!("snapshot-busy {} {}", slot + 1, u8::from(busy)));
    }

    pub(crate) fn on_persist(&mut self, slot: usize) {
        self.line(|| format!("persist {}", slot + 1));
    }

    pub(crate) fn on_compact(
        &mut self,
        slot: usize,
        index: u64,
        conf_state: &ConfState,
        data: &Bytes,
        compact_to: u64,
    ) {
        let state = wire::encode_conf_state(conf_state);
        let (id, state, data) = (slot + 1, hex(&state), hex(data));
        self.line(|| format!("compact {id} {index} {compact_to} {state} {data}"));
    }

    /// The whole schedule.
    pub(crate) fn finish(&mut self, command: &str) -> Option<String> {
        let text = self.text.take()?;
        let needs: String = self.needs.iter().map(|need| format!(" {need}")).collect();
        let needs = if needs.is_empty() { " nothing" } else { &needs };
        let hash = self.hash.0;
        Some(format!("{HEADER}\nneeds{needs}\n# {command}\n{text}hash {hash:016x}\n"))
    }
}

/// One input as a line.
fn show(id: u64, input: &Input<'_>) -> String {
    match input {
        Input::Tick => format!("tick {id}"),
        Input::Step(message) => format!("step {id} {}", hex(&wire::encode(message))),
        Input::Bytes(bytes) => format!("step {id} {}", hex(bytes)),
        Input::Propose(data) => format!("propose {id} {}", hex(data)),
        Input::ProposeConfChange(change) => {
            let (kind, data) = wire::encode_conf_change(change);
            format!("propose-conf-change {id} {} {}", kind as i32, hex(&data))
        }
        Input::ReadIndex(context) => format!("read-index {id} {}", hex(context)),
        Input::Transfer(to) => format!("transfer-leader {id} {}", to.get()),
        Input::ForgetLeader => format!("forget-leader {id}"),
        Input::Unreachable(member) => format!("report-unreachable {id} {}", member.get()),
        Input::SnapshotStatus(to, arrived) => {
            format!("report-snapshot {id} {} {}", to.get(), u8::from(*arrived))
        }
        Input::Campaign => format!("campaign {id}"),
        Input::Ready | Input::ReadyAgain => format!("ready {id}"),
        Input::ApplyConfChange(entry) => format!("apply-conf-change {id} {}", entry.index),
        Input::Advance => format!("advance {id}"),
        Input::Appended => format!("append-response {id}"),
        Input::Applied => format!("apply-response {id}"),
    }
}
