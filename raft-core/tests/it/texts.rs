//! What errors and events say: whoever reads a log at night has nothing but these lines.

use std::error::Error as _;

use raftcore::membership::{ChangeError, ConfStateError};
use raftcore::{
    BadConfChange, ConfigError, DecodeError, DropReason, Error, Event, Fault, Index, Level,
    MessageKind, Misuse, Position, Refusal, RefusalKind, ReplaceReason, StorageError, Term,
};

use crate::support::id;

const AT: Position = Position { term: Term(2), index: Index(7) };

/// Each error says what is expected, behind what its family says.
fn check<T: Into<Error>>(family: &str, cases: impl IntoIterator<Item = (T, &'static str)>) {
    for (error, expected) in cases {
        assert_eq!(error.into().to_string(), format!("{family}: {expected}"));
    }
}

#[test]
fn a_refusal_says_what_cannot_be_right_about_a_message() {
    let (heartbeat, storage) = (MessageKind::Heartbeat, MessageKind::StorageAppend);
    let index = Index(7);
    let cases = [
        (Refusal::LocalKind(storage), "MsgStorageAppend never travels between members"),
        (Refusal::NotAMember(id(4)), "a response from 4, which is no member"),
        (Refusal::FromSelf(heartbeat), "MsgHeartbeat claims to come from this node itself"),
        (Refusal::Misaddressed { to: id(4) }, "it is addressed to 4"),
        (Refusal::MissingTerm(heartbeat), "MsgHeartbeat without a term"),
        (
            Refusal::UnexpectedTerm { kind: MessageKind::Propose, term: Term(3) },
            "MsgProp with term 3, but its kind has none",
        ),
        (Refusal::NoEntries, "a proposal without entries"),
        (Refusal::EntryGap { expected: Index(5), got: index }, "entry 7 where 5 should be"),
        (
            Refusal::TermRegression { at: AT, previous: Term(3) },
            "entry 2/7 follows an entry of term 3",
        ),
        (
            Refusal::TermAboveMessage { at: AT, message: Term(1) },
            "entry 2/7 in a message of term 1",
        ),
        (
            Refusal::ConflictWithCommitted { at: index, commit: Index(9) },
            "entry 7 contradicts the log, which is committed up to 9",
        ),
        (
            Refusal::CommitBeyondLog { commit: Index(9), last: index },
            "heartbeat with commit 9 beyond the last index 7: \
             has this member lost its disk? It must then rejoin under a new id",
        ),
        (Refusal::IndexLimit(index), "index 7 is beyond any log"),
        (Refusal::TermLimit(Term(3)), "term 3 is beyond any group"),
        (Refusal::EmptySnapshot, "a snapshot without content"),
        (
            Refusal::SnapshotAboveMessage { at: AT, message: Term(1) },
            "a snapshot at 2/7 in a message of term 1",
        ),
        (Refusal::BadMembership(ConfStateError::NoVoters), "a snapshot with no voters"),
        (
            Refusal::AcknowledgedBeyondLog { index: Index(9), last: index },
            "acknowledges 9, but the last index is 7",
        ),
        (Refusal::BadReadPosition, "heartbeat response with a context that was never sent"),
        (Refusal::BadReadRequest, "read request without exactly one context"),
        (Refusal::TooManyReads { limit: 5 }, "5 reads wait for confirmation already"),
    ];
    // Two more are said by the tests below.
    assert_eq!(cases.len() + 2, RefusalKind::COUNT, "every kind of refusal is here");
    check("message refused", cases);
}

#[test]
fn bytes_that_are_no_message_are_told_apart() {
    check(
        "message refused",
        [
            (DecodeError::Invalid("short".into()), "undecodable bytes: short"),
            (DecodeError::UnknownMessageKind(99), "unknown message kind 99"),
            (DecodeError::UnknownEntryKind(9), "unknown entry kind 9"),
            (DecodeError::UnknownChangeKind(9), "unknown membership change kind 9"),
            (DecodeError::UnknownTransition(9), "unknown membership transition 9"),
            (DecodeError::BadAddress(0), "no member can have the address 0"),
            (DecodeError::MissingField("data"), "the field data is missing"),
        ],
    );
    let undecodable = BadConfChange::Undecodable(DecodeError::UnknownChangeKind(9));
    check(
        "message refused",
        [(
            Refusal::BadConfChange(undecodable),
            "membership change: unknown membership change kind 9",
        )],
    );
}

#[test]
fn a_dropped_proposal_says_what_to_wait_for() {
    check(
        "dropped",
        [
            (DropReason::NoLeader, "no leader is known"),
            (DropReason::Transferring { to: id(2) }, "leadership is being transferred to 2"),
            (
                DropReason::TooMuchUncommitted { waiting: 10, limit: 9 },
                "10 bytes wait to be applied, the limit is 9",
            ),
            (DropReason::NotAMember, "this node is no longer a member"),
            (
                DropReason::ForwardingDisabled { leader: id(2) },
                "forwarding is disabled; the leader is 2",
            ),
            (DropReason::TooManyReads { limit: 5 }, "5 reads wait for confirmation already"),
        ],
    );
}

#[test]
fn misuse_says_what_the_caller_did() {
    let removed = BadConfChange::Inapplicable(ChangeError::RemovedAllVoters);
    check(
        "misuse",
        [
            (Misuse::ReadyOutstanding, "the last Ready was not advanced yet"),
            (Misuse::StaleReady, "this is not the Ready that is outstanding"),
            (
                Misuse::NotPersisted { expected: AT, last: Index(6) },
                "entry 2/7 is not in the storage, which ends at 6",
            ),
            (
                Misuse::SnapshotNotPersisted { expected: AT, first: Index(1) },
                "the snapshot at 2/7 is not in the storage, whose first index is 1",
            ),
            (Misuse::AsyncStorageWrites, "this call does not belong to the way this node persists"),
            (
                Misuse::UnknownStorageResponse,
                "this storage response is not one that the node waits for",
            ),
            (Misuse::AlreadyBootstrapped, "the storage is not empty"),
            (Misuse::NoPeers, "a group needs at least one member"),
            (Misuse::DuplicatePeer(3), "member 3 named twice"),
            (Misuse::UnknownPeer(3), "3 is no voter"),
            (Misuse::BadConfChange(removed), "membership change: removed all voters"),
            (Misuse::TooLarge { bytes: 9 }, "9 bytes do not fit into a message"),
        ],
    );
}

#[test]
fn a_configuration_is_refused_with_the_number_that_is_wrong() {
    let config = [
        (ConfigError::BadId(0), "no member can have the id 0"),
        (ConfigError::ZeroHeartbeat, "heartbeat_interval_ticks must be above zero"),
        (
            ConfigError::ElectionTooShort { election: 1, heartbeat: 2 },
            "election_timeout_ticks (1) must be above heartbeat_interval_ticks (2)",
        ),
        (ConfigError::ZeroInflight, "max_inflight_messages must be above zero"),
        (
            ConfigError::InflightBelowMessage { inflight: 1, message: 2 },
            "max_inflight_bytes (1) must be at least max_message_bytes (2)",
        ),
        (ConfigError::ZeroPendingReads, "max_pending_reads must be above zero"),
        (ConfigError::LeaseWithoutCheckQuorum, "lease-based reads need check_quorum"),
        (
            ConfigError::StoredMembership(ConfStateError::NamedTwice(id(3))),
            "stored membership: member 3 named twice",
        ),
        (
            ConfigError::StoredCommit { commit: Index(9), first: Index(1), last: Index(7) },
            "stored commit index 9 is outside 1..=7",
        ),
        (
            ConfigError::Applied { applied: Index(9), first: Index(1), commit: Index(7) },
            "applied index 9 is outside 1..=7",
        ),
        (ConfigError::StoredLog { at: Index(7) }, "the stored log is inconsistent at index 7"),
    ];
    check("misuse: configuration", config);
}

#[test]
fn a_storage_that_fails_is_quoted() {
    let failed = || StorageError::failed(std::io::Error::other("disk on fire"));
    check(
        "storage",
        [
            (StorageError::Compacted, "the entries were compacted"),
            (StorageError::Unavailable, "the entries are not available"),
            (
                StorageError::SnapshotTemporarilyUnavailable,
                "the snapshot is temporarily unavailable",
            ),
            (StorageError::SnapshotOutOfDate, "the snapshot is not newer than the stored one"),
            (StorageError::Gap { expected: Index(5), got: Index(7) }, "entry 7 where 5 should be"),
            (failed(), "disk on fire"),
            (
                StorageError::Inconsistent { at: Index(7) },
                "its answers contradict each other at index 7",
            ),
        ],
    );
    let faults = [
        (Fault::Storage(failed()), "storage: disk on fire"),
        (Fault::Invariant("one leader"), "broken invariant: one leader"),
        (Fault::Panic("index out of bounds".into()), "panic: index out of bounds"),
    ];
    for (fault, expected) in faults {
        let expected = format!("the node is faulted: {expected}");
        assert_eq!(Error::Faulted(fault).to_string(), expected);
    }
    let error = Error::from(failed());
    let cause = error.source().and_then(|storage| storage.source()).map(ToString::to_string);
    assert_eq!(cause.as_deref(), Some("disk on fire"), "the storage's own error is the source");
    assert!(Error::from(StorageError::Compacted).source().is_some_and(|e| e.source().is_none()));
    assert!(Error::from(Refusal::NoEntries).source().is_none());
}

#[test]
fn storage_errors_are_equal_when_they_say_the_same() {
    let gap = |expected, got| StorageError::Gap { expected: Index(expected), got: Index(got) };
    let failed = |text: &'static str| StorageError::failed(text);
    let kinds = [
        StorageError::Compacted,
        StorageError::Unavailable,
        StorageError::SnapshotTemporarilyUnavailable,
        StorageError::SnapshotOutOfDate,
        gap(5, 7),
        gap(5, 8),
        gap(6, 7),
        StorageError::Inconsistent { at: Index(5) },
        StorageError::Inconsistent { at: Index(6) },
        failed("disk on fire"),
        failed("disk under water"),
    ];
    for (at, one) in kinds.iter().enumerate() {
        for (other_at, other) in kinds.iter().enumerate() {
            assert_eq!(one == other, at == other_at, "{one:?} and {other:?}");
        }
    }
    assert_eq!(failed("disk on fire"), failed("disk on fire"));
}

fn check_events<const N: usize>(cases: [(Event, Level, &str); N]) {
    for (event, level, expected) in cases {
        assert_eq!((event.to_string().as_str(), event.level()), (expected, level));
    }
}

#[test]
fn an_event_of_every_day_is_a_line_for_information() {
    use Level::{Debug, Info};
    let (to, term, last) = (id(2), Term(3), Index(7));
    let vote = |granted, pre_vote| Event::Voted { candidate: to, term, granted, pre_vote };
    let pending = ReplaceReason::Pending { at: last, applied: Index(6) };
    check_events([
        (Event::BecameFollower { term, leader: Some(to) }, Info, "follows 2 in term 3"),
        (Event::BecameFollower { term, leader: None }, Info, "follows in term 3"),
        (Event::BecamePreCandidate { term }, Info, "asks for pre-votes in term 3"),
        (Event::BecameCandidate { term }, Info, "campaigns in term 3"),
        (Event::BecameLeader { term }, Info, "leads in term 3"),
        (vote(true, false), Debug, "gives 2 a vote in term 3"),
        (vote(false, true), Debug, "refuses 2 a pre-vote in term 3"),
        (
            Event::ProposalDropped(DropReason::NoLeader),
            Debug,
            "dropped a proposal: no leader is known",
        ),
        (
            Event::ConfChangeReplaced(pending),
            Info,
            "replaced a membership change: a change may be pending at index 7, applied is 6",
        ),
        (
            Event::ConfChangeReplaced(ReplaceReason::AlreadyJoint),
            Info,
            "replaced a membership change: the joint configuration must be left first",
        ),
        (
            Event::ConfChangeReplaced(ReplaceReason::NotJoint),
            Info,
            "replaced a membership change: the configuration is not joint",
        ),
        (
            Event::MembershipChanged { membership: "voters=(1 2)".into() },
            Info,
            "membership: voters=(1 2)",
        ),
        (Event::SnapshotRestored(AT), Info, "restored the snapshot at 2/7"),
        (Event::SnapshotSent { to, at: AT }, Debug, "sent the snapshot at 2/7 to 2"),
        (Event::TransferStarted { to }, Info, "hands leadership over to 2"),
        (Event::TransferAborted { to }, Info, "gave up handing leadership over to 2"),
    ]);
}

#[test]
fn an_event_that_somebody_should_look_at_is_a_warning_or_an_error() {
    use Level::{Error, Warn};
    let (to, term) = (id(2), Term(3));
    let (commit, last) = (Index(9), Index(7));
    let (kind, refusal) = (MessageKind::Propose, Refusal::NoEntries);
    check_events([
        (Event::CannotCampaign { why: "it is no voter" }, Warn, "cannot campaign: it is no voter"),
        (Event::QuorumLost { term }, Warn, "heard from no quorum and steps down in term 3"),
        (
            Event::MessageRefused { from: to, kind, refusal },
            Warn,
            "refused MsgProp from 2: a proposal without entries",
        ),
        (
            Event::ConfChangeSkipped(BadConfChange::Inapplicable(ChangeError::NotJoint)),
            Error,
            "skipped a committed membership change: can't leave a non-joint config",
        ),
        (
            Event::SnapshotWithoutThisNode(AT),
            Warn,
            "ignored the snapshot at 2/7: this node is no member in it",
        ),
        (
            Event::SnapshotMissing { to },
            Warn,
            "2 needs a snapshot, but the storage has none that names it",
        ),
        (
            Event::SendSkipped { to, error: StorageError::Compacted },
            Error,
            "skipped a message to 2: the entries were compacted",
        ),
        (
            Event::CommitBeyondLog { commit, last },
            Error,
            "the leader has committed 9, but this log ends at 7: lost its disk?",
        ),
    ]);
}
