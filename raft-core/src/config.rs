//! What a node is told once, when it is made.
//!
//! [`Config`] is what the caller fills in; [`Settings`] is what is left after the checks, so that
//! the rest of the crate never meets an impossible one ("parse, don't validate").

use crate::error::ConfigError;
use crate::ids::{Index, NodeId};
use crate::progress::Limits;

/// How read requests are confirmed (thesis, section 6.4).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
#[repr(i32)]
pub enum ReadOnly {
    /// A round of heartbeats proves that the leader still leads. Safe whatever the clocks do.
    #[default]
    Safe = 0,
    /// No round while the leader holds a lease: a quorum answered heartbeats that it sent less than
    /// an election timeout ago, and whoever answered votes for nobody for that long, restarts
    /// included. Linearizable as long as no two members' ticks differ by more than a tenth in
    /// length; a process that stands still counts as a clock that does. Without a lease, and in a
    /// leadership that was ever handed over, reads take a round. The election timeout must be at
    /// least four ticks for there to be a lease at all.
    LeaseBased = 1,
    /// As upstream has it: no round as long as the node believes that it leads. That can be up to
    /// two election timeouts after its last contact with a quorum, while others may elect a leader
    /// after one: **reads can be stale under any clocks**. For groups shared with upstream's
    /// nodes that are set up so.
    LeaseUnverified = 2,
}

/// The configuration of a node. Start from [`Config::new`] and change what you need.
///
/// ```
/// let mut config = raftcore::Config::new(1, 42);
/// config.election_timeout_ticks = 20;
/// config.heartbeat_interval_ticks = 2;
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Config {
    /// This node's id: not zero, not one of the two highest numbers, never used before.
    pub id: u64,
    /// Seeds the randomized election timeouts. Give each node its own, from the operating
    /// system's randomness; a simulation gives fixed ones and gets the same run again.
    pub seed: u64,
    /// Ticks without a word from a leader after which a follower campaigns; the actual timeout is
    /// drawn from `[n, 2n)`. Ten heartbeat intervals are a good value. Default 10.
    pub election_timeout_ticks: u32,
    /// Ticks between a leader's heartbeats. Default 1.
    pub heartbeat_interval_ticks: u32,
    /// The last index that the application has applied, when it restarts from its own state: the
    /// entries up to there are not handed out again. Zero: from the snapshot on.
    pub applied: Index,
    /// Persist through two storage threads instead of Ready and advance. Default off.
    pub async_storage_writes: bool,
    /// The greatest size in bytes of the entries in one append message; at least one entry always
    /// travels. Zero: one entry a message. Default 1 MiB.
    pub max_message_bytes: u64,
    /// The greatest size in bytes of all committed entries that were handed out and are not yet
    /// acknowledged as applied; at least one entry always is. Zero: as `max_message_bytes`.
    /// Default 0.
    pub max_committed_bytes_per_ready: u64,
    /// The greatest size in bytes of the payloads that a leader holds proposed and not yet
    /// applied; above it proposals are dropped. Zero: no limit. Default 0.
    pub max_uncommitted_bytes: u64,
    /// Append messages in flight to one member before the leader waits. Default 256.
    pub max_inflight_messages: usize,
    /// Payload bytes in flight to one member before the leader waits; at least
    /// `max_message_bytes`. Zero: no limit. Default 0.
    pub max_inflight_bytes: u64,
    /// A leader that does not hear from a quorum within an election timeout steps down, and
    /// members that hear from a leader refuse votes. Default on.
    pub check_quorum: bool,
    /// Ask whether an election could be won before raising the term, so that a member that was
    /// cut off does not disturb the group when it returns. Default on.
    pub pre_vote: bool,
    /// How reads are confirmed. Leases need `check_quorum`, and all members set up alike. Default
    /// safe.
    pub read_only: ReadOnly,
    /// The greatest number of reads that a leader keeps waiting for confirmation, so that no peer
    /// can exhaust its memory. Default 65,536.
    pub max_pending_reads: usize,
    /// Whether a follower passes proposals on to the leader. Default on.
    pub forward_proposals: bool,
    /// Whether a leader replaces a membership change that cannot follow the present one. Off only
    /// for applications that check this themselves. Default on.
    pub validate_conf_changes: bool,
    /// Whether a leader that is removed or demoted steps down when it applies the change. Off, it
    /// leads on until somebody else is elected, and so makes sure that the others learn of the
    /// change: without that, one lost message can leave a group in which nobody can win. Default
    /// off.
    pub step_down_on_removal: bool,
    /// Whether requests for votes wait until the term, the vote and the log that they speak of are
    /// durable. Off, as upstream has it, a candidate that dies before its write can come back in
    /// the same term with a shorter log and count a vote that was given to the longer one. Default
    /// on.
    pub votes_wait_for_sync: bool,
    /// Whether a leader builds its appends when the Ready is taken: one for each member, with
    /// everything that was proposed, acknowledged and committed meanwhile. Likewise heartbeats and
    /// their answers: one is enough, and all reads that were asked for meanwhile share it. Off, as
    /// upstream has it, every proposal, every commit, every read and every heartbeat makes a
    /// message of its own. And whether a member leaves an append unanswered that only told it how
    /// much is committed of what it acknowledged before. Default on.
    pub coalesce_appends: bool,
}

impl Config {
    /// The defaults for a node with this id and seed.
    #[must_use]
    pub const fn new(id: u64, seed: u64) -> Self {
        Self {
            id,
            seed,
            election_timeout_ticks: 10,
            heartbeat_interval_ticks: 1,
            applied: Index::ZERO,
            async_storage_writes: false,
            max_message_bytes: 1 << 20,
            max_committed_bytes_per_ready: 0,
            max_uncommitted_bytes: 0,
            max_inflight_messages: 256,
            max_inflight_bytes: 0,
            check_quorum: true,
            pre_vote: true,
            read_only: ReadOnly::Safe,
            max_pending_reads: 65_536,
            forward_proposals: true,
            validate_conf_changes: true,
            step_down_on_removal: false,
            votes_wait_for_sync: true,
            coalesce_appends: true,
        }
    }

    /// The greatest size of what is handed out to be applied.
    pub(crate) fn max_applying_bytes(&self) -> u64 {
        match self.max_committed_bytes_per_ready {
            // A limit of zero would never let anything be applied: one byte lets one entry pass.
            0 => self.max_message_bytes.max(1),
            bytes => bytes,
        }
    }

    /// Checks everything that can be checked without the storage.
    pub(crate) fn settings(&self) -> Result<Settings, ConfigError> {
        let id = NodeId::new(self.id).ok_or(ConfigError::BadId(self.id))?;
        if self.heartbeat_interval_ticks == 0 {
            return Err(ConfigError::ZeroHeartbeat);
        }
        if self.election_timeout_ticks <= self.heartbeat_interval_ticks {
            return Err(ConfigError::ElectionTooShort {
                election: self.election_timeout_ticks,
                heartbeat: self.heartbeat_interval_ticks,
            });
        }
        if self.max_inflight_messages == 0 {
            return Err(ConfigError::ZeroInflight);
        }
        let max_inflight_bytes = or_unlimited(self.max_inflight_bytes);
        if max_inflight_bytes < self.max_message_bytes {
            return Err(ConfigError::InflightBelowMessage {
                inflight: self.max_inflight_bytes,
                message: self.max_message_bytes,
            });
        }
        if self.max_pending_reads == 0 {
            return Err(ConfigError::ZeroPendingReads);
        }
        if self.read_only != ReadOnly::Safe && !self.check_quorum {
            return Err(ConfigError::LeaseWithoutCheckQuorum);
        }
        Ok(Settings {
            id,
            election_timeout: self.election_timeout_ticks,
            heartbeat_interval: self.heartbeat_interval_ticks,
            async_storage_writes: self.async_storage_writes,
            max_message_bytes: self.max_message_bytes,
            max_uncommitted_bytes: or_unlimited(self.max_uncommitted_bytes),
            inflight: Limits {
                max_inflight_messages: self.max_inflight_messages,
                max_inflight_bytes,
            },
            check_quorum: self.check_quorum,
            pre_vote: self.pre_vote,
            read_only: self.read_only,
            // So many reads would not fit into any memory.
            max_pending_reads: u32::try_from(self.max_pending_reads).unwrap_or(u32::MAX),
            forward_proposals: self.forward_proposals,
            validate_conf_changes: self.validate_conf_changes,
            step_down_on_removal: self.step_down_on_removal,
            votes_wait_for_sync: self.votes_wait_for_sync,
            coalesce_appends: self.coalesce_appends,
        })
    }
}

/// Zero stands for "no limit" in the configuration.
const fn or_unlimited(bytes: u64) -> u64 {
    if bytes == 0 { u64::MAX } else { bytes }
}

/// A configuration that was checked.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) id: NodeId,
    pub(crate) election_timeout: u32,
    pub(crate) heartbeat_interval: u32,
    pub(crate) async_storage_writes: bool,
    pub(crate) max_message_bytes: u64,
    pub(crate) max_uncommitted_bytes: u64,
    pub(crate) inflight: Limits,
    pub(crate) check_quorum: bool,
    pub(crate) pre_vote: bool,
    pub(crate) read_only: ReadOnly,
    pub(crate) max_pending_reads: u32,
    pub(crate) forward_proposals: bool,
    pub(crate) validate_conf_changes: bool,
    pub(crate) step_down_on_removal: bool,
    pub(crate) votes_wait_for_sync: bool,
    pub(crate) coalesce_appends: bool,
}

impl Settings {
    /// Whether what this node promises by answering a heartbeat must hold strictly.
    pub(crate) fn keeps_leases(&self) -> bool {
        self.read_only == ReadOnly::LeaseBased
    }

    /// Whether a leader's own entries are acknowledged by the mere word that they are written, all
    /// at once. Otherwise the node writes itself a message for each proposal, as upstream does.
    pub(crate) fn write_acknowledges(&self) -> bool {
        self.coalesce_appends && !self.async_storage_writes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut Config), expected: Result<(), ConfigError>) {
        let mut config = Config::new(1, 0);
        change(&mut config);
        assert_eq!(config.settings().map(|_| ()), expected);
    }

    #[test]
    fn each_impossible_configuration_is_named() {
        check(|_| (), Ok(()));
        check(|c| c.id = 0, Err(ConfigError::BadId(0)));
        check(|c| c.id = u64::MAX, Err(ConfigError::BadId(u64::MAX)));
        check(|c| c.heartbeat_interval_ticks = 0, Err(ConfigError::ZeroHeartbeat));
        check(
            |c| c.election_timeout_ticks = 1,
            Err(ConfigError::ElectionTooShort { election: 1, heartbeat: 1 }),
        );
        check(|c| c.max_inflight_messages = 0, Err(ConfigError::ZeroInflight));
        check(
            |c| c.max_inflight_bytes = 10,
            Err(ConfigError::InflightBelowMessage { inflight: 10, message: 1 << 20 }),
        );
        check(|c| c.max_pending_reads = 0, Err(ConfigError::ZeroPendingReads));
        check(
            |c| {
                c.read_only = ReadOnly::LeaseBased;
                c.check_quorum = false;
            },
            Err(ConfigError::LeaseWithoutCheckQuorum),
        );
        check(|c| c.max_message_bytes = 0, Ok(()));
    }

    #[test]
    fn size_limits_of_zero_still_let_one_entry_through() {
        let mut config = Config::new(1, 0);
        config.max_message_bytes = 0;
        config.max_committed_bytes_per_ready = 0;
        assert_eq!(config.max_applying_bytes(), 1);
    }
}
