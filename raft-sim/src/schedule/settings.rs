//! A node's configuration as a line: the names of [`Config`], each with a number.

use std::fmt::Write as _;

use raftcore::{Config, Index, ReadOnly};

/// All settings; what has no name here has its default in every schedule.
const NAMES: [&str; 18] = [
    "election_timeout_ticks",
    "heartbeat_interval_ticks",
    "applied",
    "async_storage_writes",
    "max_message_bytes",
    "max_committed_bytes_per_ready",
    "max_uncommitted_bytes",
    "max_inflight_messages",
    "max_inflight_bytes",
    "check_quorum",
    "pre_vote",
    "read_only",
    "max_pending_reads",
    "forward_proposals",
    "validate_conf_changes",
    "step_down_on_removal",
    "votes_wait_for_sync",
    "coalesce_appends",
];

pub(super) fn show(config: &Config) -> String {
    let mut out = format!("id={} seed={}", config.id, config.seed);
    for name in NAMES {
        let _ = write!(out, " {name}={}", get(config, name));
    }
    out
}

fn get(config: &Config, name: &str) -> u64 {
    match name {
        "election_timeout_ticks" => config.election_timeout_ticks.into(),
        "heartbeat_interval_ticks" => config.heartbeat_interval_ticks.into(),
        "applied" => config.applied.0,
        "async_storage_writes" => config.async_storage_writes.into(),
        "max_message_bytes" => config.max_message_bytes,
        "max_committed_bytes_per_ready" => config.max_committed_bytes_per_ready,
        "max_uncommitted_bytes" => config.max_uncommitted_bytes,
        "max_inflight_messages" => config.max_inflight_messages as u64,
        "max_inflight_bytes" => config.max_inflight_bytes,
        "check_quorum" => config.check_quorum.into(),
        "pre_vote" => config.pre_vote.into(),
        "read_only" => config.read_only as u64,
        "max_pending_reads" => config.max_pending_reads as u64,
        "forward_proposals" => config.forward_proposals.into(),
        "validate_conf_changes" => config.validate_conf_changes.into(),
        "step_down_on_removal" => config.step_down_on_removal.into(),
        "votes_wait_for_sync" => config.votes_wait_for_sync.into(),
        _ => config.coalesce_appends.into(),
    }
}

/// Reads the words of a line. Nothing, if a word has no name that is known here: a schedule must
/// not be replayed with less than it says.
pub(super) fn parse(words: &[&str]) -> Option<Config> {
    let mut config = Config::new(0, 0);
    for word in words {
        let (name, value) = word.split_once('=')?;
        set(&mut config, name, value.parse().ok()?)?;
    }
    Some(config)
}

fn set(config: &mut Config, name: &str, value: u64) -> Option<()> {
    let flag = value == 1;
    match name {
        "id" => config.id = value,
        "seed" => config.seed = value,
        "election_timeout_ticks" => config.election_timeout_ticks = value.try_into().ok()?,
        "heartbeat_interval_ticks" => config.heartbeat_interval_ticks = value.try_into().ok()?,
        "applied" => config.applied = Index(value),
        "async_storage_writes" => config.async_storage_writes = flag,
        "max_message_bytes" => config.max_message_bytes = value,
        "max_committed_bytes_per_ready" => config.max_committed_bytes_per_ready = value,
        "max_uncommitted_bytes" => config.max_uncommitted_bytes = value,
        "max_inflight_messages" => config.max_inflight_messages = value.try_into().ok()?,
        "max_inflight_bytes" => config.max_inflight_bytes = value,
        "check_quorum" => config.check_quorum = flag,
        "pre_vote" => config.pre_vote = flag,
        "read_only" => {
            config.read_only = match value {
                0 => ReadOnly::Safe,
                1 => ReadOnly::LeaseBased,
                2 => ReadOnly::LeaseUnverified,
                _ => return None,
            };
        }
        "max_pending_reads" => config.max_pending_reads = value.try_into().ok()?,
        "forward_proposals" => config.forward_proposals = flag,
        "validate_conf_changes" => config.validate_conf_changes = flag,
        "step_down_on_removal" => config.step_down_on_removal = flag,
        "votes_wait_for_sync" => config.votes_wait_for_sync = flag,
        "coalesce_appends" => config.coalesce_appends = flag,
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_comes_back_as_it_was() {
        let mut config = Config::new(3, u64::MAX);
        for (number, name) in (1..).zip(NAMES) {
            // Another value than the default, of whatever kind it is.
            let value = if get(&config, name) == 0 { 1 } else { number % 2 };
            set(&mut config, name, value).unwrap();
        }
        let line = show(&config);
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(parse(&words), Some(config));
        assert_eq!(parse(&["id=1", "colour=2"]), None);
    }
}
