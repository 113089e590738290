//! `add-nodes`, and what makes and ends single nodes: `crash`, `restart`.

use raftcore::{Config, Index, Position, ReadOnly, Snapshot, Term};

use super::directive::{Failure, Outcome, flag, parsed};
use super::env::Env;
use super::error::told_by_storage;
use super::node::{Disk, TestNode};
use super::parser::Directive;

/// The configuration in which a node of ours decides as one of the library that the given
/// scenarios come from: no limits, nothing switched on that it does not have by default.
fn plain_config() -> Config {
    let mut config = Config::new(0, 0);
    config.election_timeout_ticks = 3;
    config.heartbeat_interval_ticks = 1;
    config.max_message_bytes = u64::MAX;
    config.max_inflight_messages = i32::MAX as usize;
    config.check_quorum = false;
    config.pre_vote = false;
    config.step_down_on_removal = false;
    config.votes_wait_for_sync = false;
    config.coalesce_appends = false;
    config
}

impl Env {
    /// `add-nodes N option=value…`
    pub(crate) fn add_nodes(&mut self, directive: &Directive) -> Outcome {
        let count: usize = directive.number(0)?;
        let mut config = plain_config();
        let mut snapshot = Snapshot::default();
        for (key, value) in directive.options() {
            set_option(&mut config, &mut snapshot, key, value)?;
        }
        let starts_empty =
            snapshot == Snapshot::default() && directive.options().all(|(key, _)| key != "index");
        if !starts_empty {
            if snapshot.index() <= Index(1) {
                return Err(Failure::told("index must be specified as > 1 due to bootstrap"));
            }
            snapshot.position.term = Term(1);
        }
        for _ in 0..count {
            let id = self.nodes.len() as u64 + 1;
            // Every node draws its own election timeouts.
            let mut config = config.clone();
            (config.id, config.seed) = (id, id);
            let disk = Disk::new(snapshot.clone()).map_err(|error| told_by_storage(&error))?;
            self.nodes.push(TestNode::start(id, config, disk)?);
        }
        Ok(())
    }

    /// `crash ID`: the node is gone, and with it all that was on its way inside it. Its disk and
    /// its state machine stay, and what others sent to it waits.
    pub(crate) fn crash(&mut self, directive: &Directive) -> Outcome {
        let id = directive.number(0)?;
        self.node(id)?.crash();
        self.queue.retain(|parcel| parcel.flat.to != id || !parcel.is_local());
        Ok(())
    }

    /// `restart ID [applied=I]`: crashes the node unless it is down, and starts it again from its
    /// disk. With `applied`, the state machine had not yet stored what comes after that index.
    pub(crate) fn restart(&mut self, directive: &Directive) -> Outcome {
        self.crash(directive)?;
        let applied = match directive.options().next() {
            Some(("applied", index)) => Some(Index(parsed(index)?)),
            Some((key, _)) => return Err(Failure::broken(format!("what is {key}=?"))),
            None => None,
        };
        let node = self.node(directive.number(0)?)?;
        let mut config = node.config.clone();
        config.applied = node.disk.prepare_restart(applied)?;
        *node = TestNode::start(node.id, config, node.disk.clone())?;
        Ok(())
    }
}

fn set_option(
    config: &mut Config,
    snapshot: &mut Snapshot,
    key: &str,
    value: &str,
) -> Result<(), Failure> {
    match key {
        "voters" => snapshot.conf_state.voters.push(parsed(value)?),
        "learners" => snapshot.conf_state.learners.push(parsed(value)?),
        "index" => {
            let index = Index(parsed(value)?);
            snapshot.position = Position { term: Term::ZERO, index };
            config.applied = index;
        }
        "content" => snapshot.data = value.to_owned().into(),
        "inflight" => config.max_inflight_messages = parsed(value)?,
        "async-storage-writes" => config.async_storage_writes = flag(value)?,
        "prevote" => config.pre_vote = flag(value)?,
        "checkquorum" => config.check_quorum = flag(value)?,
        "max-committed-size-per-ready" => config.max_committed_bytes_per_ready = parsed(value)?,
        "disable-conf-change-validation" => config.validate_conf_changes = !flag(value)?,
        "step-down-on-removal" => config.step_down_on_removal = flag(value)?,
        "read-only" => {
            config.read_only = match value {
                "safe" => ReadOnly::Safe,
                "lease-based" => ReadOnly::LeaseUnverified,
                _ => return Err(Failure::told(format!("invalid read-only option \"{value}\""))),
            };
        }
        // These three are our own.
        "inflight-bytes" => config.max_inflight_bytes = parsed(value)?,
        "max-size-per-msg" => config.max_message_bytes = parsed(value)?,
        "max-uncommitted-size" => config.max_uncommitted_bytes = parsed(value)?,
        // The format's own runner passes over options that it does not know.
        _ => {}
    }
    Ok(())
}
