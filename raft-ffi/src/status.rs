//! Status codes.
//!
//! Every call that can fail returns a raftcore_status: zero is success, everything below zero is
//! an error. The hundreds tell whose fault it is, and so what to do:
//!
//!   -1xx  a peer's, or the network's: drop the message and go on
//!   -2xx  nobody's: try again later, or at the leader
//!   -3xx  the caller's: a bug in the calling program
//!   -4xx  the storage's: mend it and call again
//!   -5xx  the node has stopped for good: destroy it and restart from what is stored
//!   -6xx  the operating system's
//!
//! Except for -5xx, a call that failed left the node as it was, apart from what a message of a
//! higher term or a leader's heartbeat says by its mere arrival. The numbers are stable for ever.
//! New ones may come: treat an unknown one by its hundred.

#![allow(non_camel_case_types, reason = "the names are those of the C header")]

use std::ffi::CStr;

use raftcore::{ConfigError, DropReason, Error, Misuse, StorageError};

/// The result of a call: RAFTCORE_OK or one of the RAFTCORE_ERR_ numbers.
pub type raftcore_status = i32;

/// Success.
pub const RAFTCORE_OK: raftcore_status = 0;

/// A message was not taken. A peer cannot harm the node by it: drop it, go on. The error's detail
/// is one of the RAFTCORE_REFUSAL_ numbers.
pub const RAFTCORE_ERR_REFUSED: raftcore_status = -100;

/// A proposal, a read or a transfer was not taken; nothing was appended or sent. Try again later or
/// elsewhere. The error's detail is one of the RAFTCORE_DROP_ numbers.
pub const RAFTCORE_ERR_DROPPED: raftcore_status = -200;

/// A misuse that has no number of its own yet.
pub const RAFTCORE_ERR_MISUSE: raftcore_status = -300;
/// A pointer is NULL that may not be.
pub const RAFTCORE_ERR_NULL: raftcore_status = -301;
/// A struct_size or stride is smaller than the first released form of the struct, or no multiple of
/// its alignment; or a struct_size is larger than this library's with something other than zero in
/// the part that it does not know, or above 4096, which is one that was never set.
pub const RAFTCORE_ERR_STRUCT_SIZE: raftcore_status = -302;
/// A number that stands for a kind, a flag or a choice has no such meaning, or a field that must
/// be zero is not.
pub const RAFTCORE_ERR_ENUM: raftcore_status = -303;
/// The configuration cannot be used, or does not fit what the storage holds. The error's detail
/// is one of the RAFTCORE_CONFIG_ numbers.
pub const RAFTCORE_ERR_CONFIG: raftcore_status = -304;
/// A Ready was asked for while the last one is not advanced.
pub const RAFTCORE_ERR_READY_OUTSTANDING: raftcore_status = -305;
/// The Ready is not the one that is outstanding.
pub const RAFTCORE_ERR_STALE_READY: raftcore_status = -306;
/// A Ready is to be advanced whose entries or snapshot are not in the storage. It stays
/// outstanding: store them and advance again.
pub const RAFTCORE_ERR_NOT_PERSISTED: raftcore_status = -307;
/// A callback called back into the node that is calling it.
pub const RAFTCORE_ERR_REENTRY: raftcore_status = -308;
/// The storage is already in use by a node that is not destroyed yet.
pub const RAFTCORE_ERR_STORAGE_IN_USE: raftcore_status = -309;
/// The call is for a memory storage, and this is not one.
pub const RAFTCORE_ERR_NOT_MEMORY: raftcore_status = -310;
/// A group is to be bootstrapped on a storage that is not empty.
pub const RAFTCORE_ERR_BOOTSTRAPPED: raftcore_status = -311;
/// A group is to be bootstrapped without members, or with a member that stands there twice.
pub const RAFTCORE_ERR_PEERS: raftcore_status = -312;
/// The node id is not that of a voter: a leader hands over to nobody else.
pub const RAFTCORE_ERR_UNKNOWN_PEER: raftcore_status = -313;
/// No member can have this id: it is zero or one of the two highest numbers.
pub const RAFTCORE_ERR_ID: raftcore_status = -314;
/// A membership change that cannot be decoded or applied.
pub const RAFTCORE_ERR_CONF_CHANGE: raftcore_status = -315;
/// A proposal, a read's context or an array is larger than a message or the memory can hold.
pub const RAFTCORE_ERR_TOO_LARGE: raftcore_status = -316;
/// The call does not belong to the way in which this node persists.
pub const RAFTCORE_ERR_ASYNC_STORAGE_WRITES: raftcore_status = -317;
/// A storage response that this node does not wait for.
pub const RAFTCORE_ERR_STORAGE_RESPONSE: raftcore_status = -318;

/// The storage itself failed. A storage callback that cannot read returns this.
pub const RAFTCORE_ERR_STORAGE: raftcore_status = -400;
/// The entries asked for are gone: a snapshot has taken their place.
pub const RAFTCORE_ERR_COMPACTED: raftcore_status = -401;
/// The entries asked for are not there yet.
pub const RAFTCORE_ERR_UNAVAILABLE: raftcore_status = -402;
/// A snapshot is being made: ask again later.
pub const RAFTCORE_ERR_SNAPSHOT_UNAVAILABLE: raftcore_status = -403;
/// The snapshot is not newer than the one that is stored.
pub const RAFTCORE_ERR_SNAPSHOT_OUT_OF_DATE: raftcore_status = -404;
/// Entries would leave a gap in the log.
pub const RAFTCORE_ERR_GAP: raftcore_status = -405;
/// The storage's answers contradict each other.
pub const RAFTCORE_ERR_INCONSISTENT: raftcore_status = -406;

/// The node has stopped: its storage lied or failed in the middle of a step, or the library found
/// a mistake of its own. What is stored is intact: destroy the node and make one from it.
pub const RAFTCORE_ERR_FAULTED: raftcore_status = -500;
/// The library failed inside this call, by a mistake of its own. The node the call was for is
/// faulted: every later call returns RAFTCORE_ERR_FAULTED. Please report the text.
pub const RAFTCORE_ERR_PANIC: raftcore_status = -501;

/// The operating system refused something. The error's detail is its errno.
pub const RAFTCORE_ERR_OS: raftcore_status = -600;

/// Detail of RAFTCORE_ERR_REFUSED: a reason that has no number of its own yet.
pub const RAFTCORE_REFUSAL_OTHER: i32 = 0;
/// Detail of RAFTCORE_ERR_REFUSED: the bytes are no message.
pub const RAFTCORE_REFUSAL_MALFORMED: i32 = 1;
/// Detail of RAFTCORE_ERR_REFUSED: this kind never travels between members.
pub const RAFTCORE_REFUSAL_LOCAL_KIND: i32 = 2;
/// Detail of RAFTCORE_ERR_REFUSED: a response from a node that is no member.
pub const RAFTCORE_REFUSAL_NOT_A_MEMBER: i32 = 3;
/// Detail of RAFTCORE_ERR_REFUSED: it claims to come from the receiver itself.
pub const RAFTCORE_REFUSAL_FROM_SELF: i32 = 4;
/// Detail of RAFTCORE_ERR_REFUSED: it is addressed to another node.
pub const RAFTCORE_REFUSAL_MISADDRESSED: i32 = 5;
/// Detail of RAFTCORE_ERR_REFUSED: a kind that needs a term, without one.
pub const RAFTCORE_REFUSAL_MISSING_TERM: i32 = 6;
/// Detail of RAFTCORE_ERR_REFUSED: a kind that has no term, with one.
pub const RAFTCORE_REFUSAL_UNEXPECTED_TERM: i32 = 7;
/// Detail of RAFTCORE_ERR_REFUSED: a proposal without entries.
pub const RAFTCORE_REFUSAL_NO_ENTRIES: i32 = 8;
/// Detail of RAFTCORE_ERR_REFUSED: a membership change that no node could apply.
pub const RAFTCORE_REFUSAL_BAD_CONF_CHANGE: i32 = 9;
/// Detail of RAFTCORE_ERR_REFUSED: the entries are not consecutive.
pub const RAFTCORE_REFUSAL_ENTRY_GAP: i32 = 10;
/// Detail of RAFTCORE_ERR_REFUSED: the terms of the entries fall.
pub const RAFTCORE_REFUSAL_TERM_REGRESSION: i32 = 11;
/// Detail of RAFTCORE_ERR_REFUSED: an entry is newer than its message.
pub const RAFTCORE_REFUSAL_TERM_ABOVE_MESSAGE: i32 = 12;
/// Detail of RAFTCORE_ERR_REFUSED: an entry contradicts one that is committed here.
pub const RAFTCORE_REFUSAL_CONFLICT_WITH_COMMITTED: i32 = 13;
/// Detail of RAFTCORE_ERR_REFUSED: a heartbeat commits beyond this node's log. The honest cause
/// is that this member lost its disk: it must come back under a new id.
pub const RAFTCORE_REFUSAL_COMMIT_BEYOND_LOG: i32 = 14;
/// Detail of RAFTCORE_ERR_REFUSED: an index that no log can have reached.
pub const RAFTCORE_REFUSAL_INDEX_LIMIT: i32 = 15;
/// Detail of RAFTCORE_ERR_REFUSED: a term that no group can have reached.
pub const RAFTCORE_REFUSAL_TERM_LIMIT: i32 = 16;
/// Detail of RAFTCORE_ERR_REFUSED: a snapshot without content.
pub const RAFTCORE_REFUSAL_EMPTY_SNAPSHOT: i32 = 17;
/// Detail of RAFTCORE_ERR_REFUSED: a snapshot of a later term than its message.
pub const RAFTCORE_REFUSAL_SNAPSHOT_ABOVE_MESSAGE: i32 = 18;
/// Detail of RAFTCORE_ERR_REFUSED: a snapshot whose membership is impossible.
pub const RAFTCORE_REFUSAL_BAD_MEMBERSHIP: i32 = 19;
/// Detail of RAFTCORE_ERR_REFUSED: it acknowledges what this leader never had.
pub const RAFTCORE_REFUSAL_ACKNOWLEDGED_BEYOND_LOG: i32 = 20;
/// Detail of RAFTCORE_ERR_REFUSED: the context of a heartbeat response was never sent.
pub const RAFTCORE_REFUSAL_BAD_READ_POSITION: i32 = 21;
/// Detail of RAFTCORE_ERR_REFUSED: a read request without exactly one context or a sender.
pub const RAFTCORE_REFUSAL_BAD_READ_REQUEST: i32 = 22;
/// Detail of RAFTCORE_ERR_REFUSED: too many reads wait already.
pub const RAFTCORE_REFUSAL_TOO_MANY_READS: i32 = 23;

/// Detail of RAFTCORE_ERR_DROPPED: a reason that has no number of its own yet.
pub const RAFTCORE_DROP_OTHER: i32 = 0;
/// Detail of RAFTCORE_ERR_DROPPED: this node knows no leader.
pub const RAFTCORE_DROP_NO_LEADER: i32 = 1;
/// Detail of RAFTCORE_ERR_DROPPED: the leader is handing over.
pub const RAFTCORE_DROP_TRANSFERRING: i32 = 2;
/// Detail of RAFTCORE_ERR_DROPPED: too many bytes are proposed and not applied yet.
pub const RAFTCORE_DROP_TOO_MUCH_UNCOMMITTED: i32 = 3;
/// Detail of RAFTCORE_ERR_DROPPED: this node leads but was removed from the group.
pub const RAFTCORE_DROP_NOT_A_MEMBER: i32 = 4;
/// Detail of RAFTCORE_ERR_DROPPED: this node does not lead and may not forward.
pub const RAFTCORE_DROP_FORWARDING_DISABLED: i32 = 5;
/// Detail of RAFTCORE_ERR_DROPPED: too many reads wait already.
pub const RAFTCORE_DROP_TOO_MANY_READS: i32 = 6;

/// Detail of RAFTCORE_ERR_CONFIG: a reason that has no number of its own yet.
pub const RAFTCORE_CONFIG_OTHER: i32 = 0;
/// Detail of RAFTCORE_ERR_CONFIG: no member can have this id.
pub const RAFTCORE_CONFIG_ID: i32 = 1;
/// Detail of RAFTCORE_ERR_CONFIG: heartbeat_interval_ticks is zero.
pub const RAFTCORE_CONFIG_HEARTBEAT: i32 = 2;
/// Detail of RAFTCORE_ERR_CONFIG: election_timeout_ticks is not above heartbeat_interval_ticks.
pub const RAFTCORE_CONFIG_ELECTION: i32 = 3;
/// Detail of RAFTCORE_ERR_CONFIG: max_inflight_messages is zero.
pub const RAFTCORE_CONFIG_INFLIGHT: i32 = 4;
/// Detail of RAFTCORE_ERR_CONFIG: max_inflight_bytes is below max_message_bytes.
pub const RAFTCORE_CONFIG_INFLIGHT_BYTES: i32 = 5;
/// Detail of RAFTCORE_ERR_CONFIG: max_pending_reads is zero.
pub const RAFTCORE_CONFIG_PENDING_READS: i32 = 6;
/// Detail of RAFTCORE_ERR_CONFIG: lease-based reads without check_quorum.
pub const RAFTCORE_CONFIG_LEASE: i32 = 7;
/// Detail of RAFTCORE_ERR_CONFIG: the stored membership is impossible.
pub const RAFTCORE_CONFIG_STORED_MEMBERSHIP: i32 = 8;
/// Detail of RAFTCORE_ERR_CONFIG: the stored commit index is outside the stored log.
pub const RAFTCORE_CONFIG_STORED_COMMIT: i32 = 9;
/// Detail of RAFTCORE_ERR_CONFIG: applied is outside what is stored as committed.
pub const RAFTCORE_CONFIG_APPLIED: i32 = 10;
/// Detail of RAFTCORE_ERR_CONFIG: the stored log is not one.
pub const RAFTCORE_CONFIG_STORED_LOG: i32 = 11;

/// The text of `raftcore_status_text`.
pub(crate) const fn text(status: raftcore_status) -> Option<&'static CStr> {
    Some(match status {
        RAFTCORE_OK => c"success",
        RAFTCORE_ERR_REFUSED => c"message refused",
        RAFTCORE_ERR_DROPPED => c"dropped",
        RAFTCORE_ERR_MISUSE => c"misuse",
        RAFTCORE_ERR_NULL => c"a pointer is NULL",
        RAFTCORE_ERR_STRUCT_SIZE => c"wrong struct_size or stride",
        RAFTCORE_ERR_ENUM => c"a number without a meaning",
        RAFTCORE_ERR_CONFIG => c"unusable configuration or stored state",
        RAFTCORE_ERR_READY_OUTSTANDING => c"the last Ready was not advanced",
        RAFTCORE_ERR_STALE_READY => c"not the Ready that is outstanding",
        RAFTCORE_ERR_NOT_PERSISTED => c"the Ready is not in the storage",
        RAFTCORE_ERR_REENTRY => c"call from a callback of the same node",
        RAFTCORE_ERR_STORAGE_IN_USE => c"the storage is used by another node",
        RAFTCORE_ERR_NOT_MEMORY => c"not a memory storage",
        RAFTCORE_ERR_BOOTSTRAPPED => c"the storage is not empty",
        RAFTCORE_ERR_PEERS => c"no members, or one twice",
        RAFTCORE_ERR_UNKNOWN_PEER => c"not a voter",
        RAFTCORE_ERR_ID => c"no member can have this id",
        RAFTCORE_ERR_CONF_CHANGE => c"impossible membership change",
        RAFTCORE_ERR_TOO_LARGE => c"too large",
        RAFTCORE_ERR_ASYNC_STORAGE_WRITES => c"not the way in which this node persists",
        RAFTCORE_ERR_STORAGE_RESPONSE => c"unknown storage response",
        RAFTCORE_ERR_STORAGE => c"the storage failed",
        RAFTCORE_ERR_COMPACTED => c"entries were compacted",
        RAFTCORE_ERR_UNAVAILABLE => c"entries are not available",
        RAFTCORE_ERR_SNAPSHOT_UNAVAILABLE => c"snapshot temporarily unavailable",
        RAFTCORE_ERR_SNAPSHOT_OUT_OF_DATE => c"snapshot out of date",
        RAFTCORE_ERR_GAP => c"gap in the log",
        RAFTCORE_ERR_INCONSISTENT => c"the storage contradicts itself",
        RAFTCORE_ERR_FAULTED => c"the node is faulted",
        RAFTCORE_ERR_PANIC => c"a bug in the library",
        RAFTCORE_ERR_OS => c"the operating system refused",
        _ => return None,
    })
}

/// The status and the detail of an error of the core.
pub(crate) fn of(error: &Error) -> (raftcore_status, i32) {
    match error {
        // Zero stands for what has no number: the core's count from zero too.
        Error::Refused(refusal) => (RAFTCORE_ERR_REFUSED, refusal.kind() as i32 + 1),
        Error::Dropped(reason) => (RAFTCORE_ERR_DROPPED, of_drop(reason)),
        Error::Misuse(Misuse::Config(error)) => (RAFTCORE_ERR_CONFIG, of_config(error)),
        Error::Misuse(misuse) => (of_misuse(misuse), 0),
        Error::Storage(error) => (of_storage(error), 0),
        Error::Faulted(_) => (RAFTCORE_ERR_FAULTED, 0),
        _ => (RAFTCORE_ERR_MISUSE, 0),
    }
}

const fn of_drop(reason: &DropReason) -> i32 {
    match reason {
        DropReason::NoLeader => RAFTCORE_DROP_NO_LEADER,
        DropReason::Transferring { .. } => RAFTCORE_DROP_TRANSFERRING,
        DropReason::TooMuchUncommitted { .. } => RAFTCORE_DROP_TOO_MUCH_UNCOMMITTED,
        DropReason::NotAMember => RAFTCORE_DROP_NOT_A_MEMBER,
        DropReason::ForwardingDisabled { .. } => RAFTCORE_DROP_FORWARDING_DISABLED,
        DropReason::TooManyReads { .. } => RAFTCORE_DROP_TOO_MANY_READS,
        _ => RAFTCORE_DROP_OTHER,
    }
}

const fn of_config(error: &ConfigError) -> i32 {
    match error {
        ConfigError::BadId(_) => RAFTCORE_CONFIG_ID,
        ConfigError::ZeroHeartbeat => RAFTCORE_CONFIG_HEARTBEAT,
        ConfigError::ElectionTooShort { .. } => RAFTCORE_CONFIG_ELECTION,
        ConfigError::ZeroInflight => RAFTCORE_CONFIG_INFLIGHT,
        ConfigError::InflightBelowMessage { .. } => RAFTCORE_CONFIG_INFLIGHT_BYTES,
        ConfigError::ZeroPendingReads => RAFTCORE_CONFIG_PENDING_READS,
        ConfigError::LeaseWithoutCheckQuorum => RAFTCORE_CONFIG_LEASE,
        ConfigError::StoredMembership(_) => RAFTCORE_CONFIG_STORED_MEMBERSHIP,
        ConfigError::StoredCommit { .. } => RAFTCORE_CONFIG_STORED_COMMIT,
        ConfigError::Applied { .. } => RAFTCORE_CONFIG_APPLIED,
        ConfigError::StoredLog { .. } => RAFTCORE_CONFIG_STORED_LOG,
        _ => RAFTCORE_CONFIG_OTHER,
    }
}

const fn of_misuse(misuse: &Misuse) -> raftcore_status {
    match misuse {
        Misuse::ReadyOutstanding => RAFTCORE_ERR_READY_OUTSTANDING,
        Misuse::StaleReady => RAFTCORE_ERR_STALE_READY,
        Misuse::NotPersisted { .. } | Misuse::SnapshotNotPersisted { .. } => {
            RAFTCORE_ERR_NOT_PERSISTED
        }
        Misuse::AsyncStorageWrites => RAFTCORE_ERR_ASYNC_STORAGE_WRITES,
        Misuse::UnknownStorageResponse => RAFTCORE_ERR_STORAGE_RESPONSE,
        Misuse::AlreadyBootstrapped => RAFTCORE_ERR_BOOTSTRAPPED,
        Misuse::NoPeers | Misuse::DuplicatePeer(_) => RAFTCORE_ERR_PEERS,
        Misuse::UnknownPeer(_) => RAFTCORE_ERR_UNKNOWN_PEER,
        Misuse::BadConfChange(_) => RAFTCORE_ERR_CONF_CHANGE,
        Misuse::TooLarge { .. } => RAFTCORE_ERR_TOO_LARGE,
        _ => RAFTCORE_ERR_MISUSE,
    }
}

const fn of_storage(error: &StorageError) -> raftcore_status {
    match error {
        StorageError::Compacted => RAFTCORE_ERR_COMPACTED,
        StorageError::Unavailable => RAFTCORE_ERR_UNAVAILABLE,
        StorageError::SnapshotTemporarilyUnavailable => RAFTCORE_ERR_SNAPSHOT_UNAVAILABLE,
        StorageError::SnapshotOutOfDate => RAFTCORE_ERR_SNAPSHOT_OUT_OF_DATE,
        StorageError::Gap { .. } => RAFTCORE_ERR_GAP,
        StorageError::Inconsistent { .. } => RAFTCORE_ERR_INCONSISTENT,
        _ => RAFTCORE_ERR_STORAGE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_numbers_are_the_cores_plus_one() {
        let source = include_str!("status.rs");
        for kind in raftcore::RefusalKind::ALL {
            // LocalKind -> LOCAL_KIND
            let mut name = String::new();
            for c in format!("{kind:?}").chars() {
                if c.is_uppercase() && !name.is_empty() {
                    name.push('_');
                }
                name.extend(c.to_uppercase());
            }
            let line = format!("RAFTCORE_REFUSAL_{name}: i32 = {};", kind as i32 + 1);
            assert!(source.contains(&line), "{line}");
        }
    }

    #[test]
    fn every_status_has_a_text_of_its_own() {
        let mut texts = std::collections::BTreeSet::new();
        for line in include_str!("status.rs").lines() {
            let Some(rest) = line.strip_prefix("pub const RAFTCORE_ERR_") else { continue };
            let number = rest.split("= ").nth(1).unwrap().trim_end_matches(';');
            let text = text(number.parse().unwrap());
            assert!(texts.insert(text.unwrap_or_else(|| panic!("{line} has no text"))), "{line}");
        }
        assert!(texts.len() > 25);
    }
}
