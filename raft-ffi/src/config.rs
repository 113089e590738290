//! Configuration.

#![allow(non_camel_case_types, reason = "the names are those of the C header")]

use raftcore::{Config, Index, ReadOnly};

use crate::error::{Failure, raftcore_error};
use crate::readiness;
use crate::sized::{self, switch};
use crate::status::raftcore_status;

/// How reads are confirmed.
pub type raftcore_read_only = i32;
/// A round of heartbeats proves that the leader still leads. Safe whatever the clocks do.
pub const RAFTCORE_READ_ONLY_SAFE: raftcore_read_only = 0;
/// No round while the leader holds a lease: a quorum answered heartbeats that it sent less than an
/// election timeout ago, and whoever answered votes for nobody for that long. Linearizable as long
/// as no two members' ticks differ by more than a tenth in length; a process that stands still
/// counts as a clock that does. Without a lease reads take a round. The election timeout must be
/// at least four ticks for there to be a lease at all.
pub const RAFTCORE_READ_ONLY_LEASE_BASED: raftcore_read_only = 1;
/// As etcd's raft has it: no round as long as the node believes that it leads. Reads can be stale
/// under any clocks. For groups shared with etcd's nodes that are set up so.
pub const RAFTCORE_READ_ONLY_LEASE_UNVERIFIED: raftcore_read_only = 2;

/// Bit of message_forms: messages in a Ready come as encoded bytes, ready to send.
pub const RAFTCORE_FORM_ENCODED: u32 = 1;
/// Bit of message_forms: messages in a Ready come with their context, entries and snapshot. Their
/// numeric fields are always there.
pub const RAFTCORE_FORM_FIELDS: u32 = 2;

/// What a node is told once, when it is made. Let raftcore_config_init fill it, then set id and
/// what you need. Switches are 1 or 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct raftcore_config {
    /// sizeof(raftcore_config), set by raftcore_config_init.
    pub struct_size: usize,
    /// This node's id: not zero, not one of the two highest numbers, never used before. A node
    /// that lost its disk comes back under a new one. No default.
    pub id: u64,
    /// Seeds the randomized election timeouts. Default: from the operating system's randomness. A
    /// simulation gives a fixed one and gets the same run again.
    pub seed: u64,
    /// The last index that the application has applied, when it restarts from its own state: the
    /// entries up to there are not handed out again. Default 0: from the snapshot on.
    pub applied: u64,
    /// The greatest size in bytes of the entries in one append message; at least one entry always
    /// travels. Zero: one entry a message. Default 1 MiB.
    pub max_message_bytes: u64,
    /// The greatest size in bytes of all committed entries that were handed out and are not yet
    /// acknowledged as applied; at least one entry always is. Default 0: as max_message_bytes.
    pub max_committed_bytes_per_ready: u64,
    /// The greatest size in bytes of the payloads that a leader holds proposed and not yet
    /// applied; above it proposals are dropped. Default 0: no limit.
    pub max_uncommitted_bytes: u64,
    /// Append messages in flight to one member before the leader waits. Default 256.
    pub max_inflight_messages: u64,
    /// Payload bytes in flight to one member before the leader waits; at least max_message_bytes.
    /// Default 0: no limit.
    pub max_inflight_bytes: u64,
    /// The greatest number of reads that a leader keeps waiting for confirmation. Default 65536.
    pub max_pending_reads: u64,
    /// Ticks without a word from a leader after which a follower campaigns; the actual timeout is
    /// drawn from n to 2n - 1. Ten heartbeat intervals are a good value. Default 10.
    pub election_timeout_ticks: u32,
    /// Ticks between a leader's heartbeats. Default 1.
    pub heartbeat_interval_ticks: u32,
    /// How reads are confirmed: RAFTCORE_READ_ONLY_. Leases need check_quorum, and all members set
    /// up alike. Default safe.
    pub read_only: raftcore_read_only,
    /// In which forms messages come in a Ready: RAFTCORE_FORM_ bits. 0: their numeric fields alone,
    /// for members in one process, which raftcore_node_deliver serves. Default both.
    pub message_forms: u32,
    /// A leader that does not hear from a quorum within an election timeout steps down, and
    /// members that hear from a leader refuse votes. Default 1.
    pub check_quorum: u32,
    /// Ask whether an election could be won before raising the term, so that a member that was
    /// cut off does not disturb the group when it returns. Default 1.
    pub pre_vote: u32,
    /// Whether a follower passes proposals on to the leader. Default 1.
    pub forward_proposals: u32,
    /// Whether a leader replaces a membership change that cannot follow the present one. 0 only
    /// for applications that check this themselves. Default 1.
    pub validate_conf_changes: u32,
    /// Whether a leader that is removed or demoted steps down when it applies the change. 0: it
    /// leads on until somebody else is elected, and so makes sure that the others learn of the
    /// change. Default 0.
    pub step_down_on_removal: u32,
    /// Whether requests for votes wait until the term, the vote and the log that they speak of
    /// are durable. 0 is etcd's way, where a candidate that dies before its write can come back
    /// and count a vote that was given to a longer log. Default 1.
    pub votes_wait_for_sync: u32,
    /// Whether the application persists and applies in threads of its own, and passes on the
    /// responses that come with the work, instead of advancing each Ready: see "Asynchronous
    /// storage writes". Default 0.
    pub async_storage_writes: u32,
    /// Whether a leader builds its appends when the Ready is taken: one for each member, with
    /// everything that was proposed, acknowledged and committed meanwhile. Likewise all reads that
    /// were asked for meanwhile share one round of heartbeats. 0 is etcd's way, where every
    /// proposal, every commit and every read makes a message of its own. And whether a member
    /// leaves an append unanswered that only told it how much is committed of what it acknowledged
    /// before. Default 1.
    pub coalesce_appends: u32,
    /// Whether each Ready is put into the memory storage as it is taken, so that
    /// raftcore_node_persist need not be called. The memory storage is then ahead of the disk,
    /// which is harmless: it ends with the process, and nothing is said to be durable before the
    /// Ready is advanced. RAFTCORE_ERR_NOT_MEMORY with another storage. Default 0.
    pub auto_persist: u32,
    /// Zero.
    pub reserved: u32,
}

/// Fills a configuration with the defaults and a fresh seed. struct_size is
/// sizeof(raftcore_config). Fails with RAFTCORE_ERR_OS when the operating system has no
/// randomness to give.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_config_init(
    config: *mut raftcore_config,
    struct_size: usize,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        if config.is_null() {
            return Err(Failure::null("config"));
        }
        // SAFETY: not NULL, and the caller says that it has struct_size bytes, which are at least
        // those of the field if the size is right; if it is not, `out` refuses it.
        let out = unsafe {
            if struct_size >= size_of::<usize>() {
                config.cast::<usize>().write(struct_size);
                sized::out(config, "config")
            } else {
                Err(sized::wrong_size::<raftcore_config>("config", struct_size))
            }
        }?;
        out.write(raftcore_config { seed: readiness::random()?, ..raftcore_config::defaults() });
        Ok(())
    })
}

sized!(raftcore_config since async_storage_writes);

impl raftcore_config {
    /// The core's defaults, without an id and with the seed zero.
    fn defaults() -> Self {
        let core = Config::new(0, 0);
        Self {
            struct_size: size_of::<Self>(),
            id: core.id,
            seed: core.seed,
            applied: core.applied.0,
            max_message_bytes: core.max_message_bytes,
            max_committed_bytes_per_ready: core.max_committed_bytes_per_ready,
            max_uncommitted_bytes: core.max_uncommitted_bytes,
            max_inflight_messages: core.max_inflight_messages as u64,
            max_inflight_bytes: core.max_inflight_bytes,
            max_pending_reads: core.max_pending_reads as u64,
            election_timeout_ticks: core.election_timeout_ticks,
            heartbeat_interval_ticks: core.heartbeat_interval_ticks,
            read_only: core.read_only as i32,
            message_forms: RAFTCORE_FORM_ENCODED | RAFTCORE_FORM_FIELDS,
            check_quorum: core.check_quorum.into(),
            pre_vote: core.pre_vote.into(),
            forward_proposals: core.forward_proposals.into(),
            validate_conf_changes: core.validate_conf_changes.into(),
            step_down_on_removal: core.step_down_on_removal.into(),
            votes_wait_for_sync: core.votes_wait_for_sync.into(),
            async_storage_writes: core.async_storage_writes.into(),
            coalesce_appends: core.coalesce_appends.into(),
            auto_persist: 0,
            reserved: 0,
        }
    }

    /// What the core is told, as far as numbers have a meaning; the rest it checks itself.
    fn to_core(self) -> Result<Config, Failure> {
        let forms = RAFTCORE_FORM_ENCODED | RAFTCORE_FORM_FIELDS;
        if self.message_forms & !forms != 0 {
            return Err(Failure::number("message_forms", self.message_forms));
        }
        let mut core = Config::new(self.id, self.seed);
        core.applied = Index(self.applied);
        core.max_message_bytes = self.max_message_bytes;
        core.max_committed_bytes_per_ready = self.max_committed_bytes_per_ready;
        core.max_uncommitted_bytes = self.max_uncommitted_bytes;
        core.max_inflight_messages = count(self.max_inflight_messages);
        core.max_inflight_bytes = self.max_inflight_bytes;
        core.max_pending_reads = count(self.max_pending_reads);
        core.election_timeout_ticks = self.election_timeout_ticks;
        core.heartbeat_interval_ticks = self.heartbeat_interval_ticks;
        core.read_only = match self.read_only {
            RAFTCORE_READ_ONLY_SAFE => ReadOnly::Safe,
            RAFTCORE_READ_ONLY_LEASE_BASED => ReadOnly::LeaseBased,
            RAFTCORE_READ_ONLY_LEASE_UNVERIFIED => ReadOnly::LeaseUnverified,
            other => return Err(Failure::number("read_only", other)),
        };
        core.check_quorum = switch(self.check_quorum, "check_quorum")?;
        core.pre_vote = switch(self.pre_vote, "pre_vote")?;
        core.forward_proposals = switch(self.forward_proposals, "forward_proposals")?;
        core.validate_conf_changes = switch(self.validate_conf_changes, "validate_conf_changes")?;
        core.step_down_on_removal = switch(self.step_down_on_removal, "step_down_on_removal")?;
        core.votes_wait_for_sync = switch(self.votes_wait_for_sync, "votes_wait_for_sync")?;
        core.async_storage_writes = switch(self.async_storage_writes, "async_storage_writes")?;
        core.coalesce_appends = switch(self.coalesce_appends, "coalesce_appends")?;
        Ok(core)
    }
}

/// What the C side of a node is told.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    /// Which `RAFTCORE_FORM_` messages come in.
    pub(crate) forms: u32,
    /// Whether storage threads persist, so that several Readies may be outstanding.
    pub(crate) is_async: bool,
    /// Whether a Ready is put into the memory storage as it is taken.
    pub(crate) auto_persist: bool,
}

/// The configuration of a program's, for the core and for the C side.
///
/// # Safety
/// `ptr` is NULL or points to a configuration whose struct_size is right.
pub(crate) unsafe fn copy(ptr: *const raftcore_config) -> Result<(Config, Manner), Failure> {
    // SAFETY: as promised by the caller.
    let config = unsafe { sized::read(ptr, "config", raftcore_config::defaults()) }?;
    let manner = Manner {
        forms: config.message_forms,
        is_async: switch(config.async_storage_writes, "async_storage_writes")?,
        auto_persist: switch(config.auto_persist, "auto_persist")?,
    };
    sized::reserved(config.reserved)?;
    Ok((config.to_core()?, manner))
}

/// A count that no memory could reach is no limit.
fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
