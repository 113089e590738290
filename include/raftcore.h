/*
 * raftcore.h: the Raft consensus core as a C library.
 *
 * Generated from the sources of raft-ffi by `make header`. Do not edit.
 *
 * OVERVIEW
 *
 * raftcore decides; it does no I/O, reads no clock and starts no thread. The application brings
 * its own storage and its own network and drives a node: hand messages in, tick, take a Ready,
 * persist and send and apply what it says, advance.
 *
 *     raftcore_error error = RAFTCORE_ERROR_INIT;
 *     raftcore_config config;
 *     raftcore_config_init(&config, sizeof config, NULL);
 *     config.id = my_id;
 *     raftcore_node *node;
 *     raftcore_node_create(&config, storage, &node, NULL);
 *     for (;;) {
 *         if (a_tick_has_passed()) raftcore_node_tick(node, NULL);
 *         while (receive(&bytes, &len)) raftcore_node_step(node, bytes, len, NULL);
 *         const raftcore_ready *ready;
 *         if (raftcore_node_poll_ready(node, ms_to_next_tick(), &ready, &error) != RAFTCORE_OK)
 *             return fail(&error);
 *         if (ready == NULL) continue;
 *         send_all(&ready->messages);
 *         write_to_disk(ready->snapshot, &ready->entries, ready->hard_state, ready->must_sync);
 *         raftcore_node_persist(node, ready, NULL);
 *         send_all(&ready->messages_after_sync);
 *         if (ready->snapshot != NULL) restore(ready->snapshot);
 *         const raftcore_entry *entry = NULL;
 *         while ((entry = raftcore_entry_next(&ready->committed, entry)) != NULL) {
 *             if (entry->kind == RAFTCORE_ENTRY_NORMAL) apply(entry);
 *             else raftcore_node_apply_conf_change_entry(node, entry, NULL, NULL);
 *         }
 *         answer_reads(&ready->read_states);
 *         raftcore_node_advance(node, ready, NULL);
 *     }
 *
 * THREADING. A node and a storage may be used from any thread; they lock themselves. No call
 * blocks, except raftcore_node_poll_ready. The exception is destroying: no other call on the same
 * object may run or come later. A storage's callback must not call into the node that is calling it
 * (RAFTCORE_ERR_REENTRY); other nodes, and every storage, it may use. A log function may call into
 * its node too.
 *
 * PROCESS. The library installs no signal handler and no atexit function, starts no thread and
 * prints nothing. The exception is a process without memory: the allocation that fails says so on
 * standard error and ends it with abort(). A single length that no memory holds is answered, with
 * RAFTCORE_ERR_TOO_LARGE. Calls are not for signal handlers: let a handler write to a descriptor of
 * your own. After a fork only one side may go on with a node; the other may destroy it, or leave
 * it, and must not watch its descriptor, which both share. Fork while no other thread is inside a
 * call: its lock would stay locked in the child.
 *
 * OWNERSHIP. What a function takes it copies, unless its comment says otherwise. What it hands out
 * is of two kinds. A Ready and everything it points to belongs to the node and is valid until it is
 * given back with success (by raftcore_node_advance, raftcore_node_release, raftcore_node_next or
 * raftcore_node_next_among), or the node is destroyed. Anything else that a function writes a
 * pointer to is the caller's, to be freed with the function its comment names; never with free(). A
 * node or storage that was destroyed must not be used: a debug build of the library answers such a
 * call with RAFTCORE_ERR_MISUSE and a second destroy with abort(); a release build cannot tell.
 *
 * ERRORS. A call returns RAFTCORE_OK or a number below zero (see "Status codes"). Except for the
 * -5xx group, a call that failed left the node as it was (what "Status codes" excepts is Raft's
 * own), and wrote no output but its error argument, unless its comment says so. A message from a
 * peer can never stop a node.
 *
 * ARGUMENTS. A pointer may be NULL only where its comment says so; otherwise the answer is
 * RAFTCORE_ERR_NULL. Two exceptions hold everywhere: error may be NULL, and (NULL, 0) is an empty
 * array. A number that stands for something unknown is RAFTCORE_ERR_ENUM, and so is a field called
 * reserved that is not zero. Functions that only look take a const pointer.
 *
 * ABI. Within a major version programs need not be compiled again. What may change in a minor
 * version: new functions, new numbers, and new fields at the end of a struct. A struct that may
 * grow carries its size: one that the caller fills, or lets the library fill, begins with
 * struct_size, which the caller sets to its sizeof; what an older program does not know takes its
 * default, and what a newer program knows and the library does not must be zero. Arrays carry
 * their stride, the distance from one element to the next: walk through them with the _at and
 * _next functions. A struct whose comment says "never grows" does not. What never changes: the
 * meaning of a number, a field or a function. The soname carries the major version.
 *
 * CHAPTERS. Version; Status codes; Errors; Bytes; Log entries and hard state; Membership;
 * Snapshots; Messages; Configuration; Storage; A storage of the application's own; Node; Proposals,
 * reads and membership changes; Ready: what to persist, send and apply; Messages in; Payloads that
 * the program keeps; Asynchronous storage writes; Waiting for a Ready; Looking at a node; Log;
 * Texts; Initialisers; Walking through arrays.
 */

#ifndef RAFTCORE_H
#define RAFTCORE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------------------------------
 * Version.
 * --------------------------------------------------------------------------------------------- */

/// The version of this header: a change that breaks programs.
#define RAFTCORE_VERSION_MAJOR 0
/// The version of this header: something new.
#define RAFTCORE_VERSION_MINOR 1
/// The version of this header: something mended.
#define RAFTCORE_VERSION_PATCH 0

/// The version of the library that is linked, for example "0.1.0": a constant text.
const char *raftcore_version(void);

/// The version of the library that is linked as a number that grows with it:
/// major * 1000000 + minor * 1000 + patch.
uint32_t raftcore_version_number(void);

/* ------------------------------------------------------------------------------------------------
 * Status codes.
 *
 * Every call that can fail returns a raftcore_status: zero is success, everything below zero is
 * an error. The hundreds tell whose fault it is, and so what to do:
 *
 *   -1xx  a peer's, or the network's: drop the message and go on
 *   -2xx  nobody's: try again later, or at the leader
 *   -3xx  the caller's: a bug in the calling program
 *   -4xx  the storage's: mend it and call again
 *   -5xx  the node has stopped for good: destroy it and restart from what is stored
 *   -6xx  the operating system's
 *
 * Except for -5xx, a call that failed left the node as it was, apart from what a message of a
 * higher term or a leader's heartbeat says by its mere arrival. The numbers are stable for ever.
 * New ones may come: treat an unknown one by its hundred.
 * --------------------------------------------------------------------------------------------- */

/// The result of a call: RAFTCORE_OK or one of the RAFTCORE_ERR_ numbers.
typedef int32_t raftcore_status;

/// Success.
#define RAFTCORE_OK 0

/// A message was not taken. A peer cannot harm the node by it: drop it, go on. The error's detail
/// is one of the RAFTCORE_REFUSAL_ numbers.
#define RAFTCORE_ERR_REFUSED (-100)

/// A proposal, a read or a transfer was not taken; nothing was appended or sent. Try again later or
/// elsewhere. The error's detail is one of the RAFTCORE_DROP_ numbers.
#define RAFTCORE_ERR_DROPPED (-200)

/// A misuse that has no number of its own yet.
#define RAFTCORE_ERR_MISUSE (-300)
/// A pointer is NULL that may not be.
#define RAFTCORE_ERR_NULL (-301)
/// A struct_size or stride is smaller than the first released form of the struct, or no multiple of
/// its alignment; or a struct_size is larger than this library's with something other than zero in
/// the part that it does not know, or above 4096, which is one that was never set.
#define RAFTCORE_ERR_STRUCT_SIZE (-302)
/// A number that stands for a kind, a flag or a choice has no such meaning, or a field that must
/// be zero is not.
#define RAFTCORE_ERR_ENUM (-303)
/// The configuration cannot be used, or does not fit what the storage holds. The error's detail
/// is one of the RAFTCORE_CONFIG_ numbers.
#define RAFTCORE_ERR_CONFIG (-304)
/// A Ready was asked for while the last one is not advanced.
#define RAFTCORE_ERR_READY_OUTSTANDING (-305)
/// The Ready is not the one that is outstanding.
#define RAFTCORE_ERR_STALE_READY (-306)
/// A Ready is to be advanced whose entries or snapshot are not in the storage. It stays
/// outstanding: store them and advance again.
#define RAFTCORE_ERR_NOT_PERSISTED (-307)
/// A callback called back into the node that is calling it.
#define RAFTCORE_ERR_REENTRY (-308)
/// The storage is already in use by a node that is not destroyed yet.
#define RAFTCORE_ERR_STORAGE_IN_USE (-309)
/// The call is for a memory storage, and this is not one.
#define RAFTCORE_ERR_NOT_MEMORY (-310)
/// A group is to be bootstrapped on a storage that is not empty.
#define RAFTCORE_ERR_BOOTSTRAPPED (-311)
/// A group is to be bootstrapped without members, or with a member that stands there twice.
#define RAFTCORE_ERR_PEERS (-312)
/// The node id is not that of a voter: a leader hands over to nobody else.
#define RAFTCORE_ERR_UNKNOWN_PEER (-313)
/// No member can have this id: it is zero or one of the two highest numbers.
#define RAFTCORE_ERR_ID (-314)
/// A membership change that cannot be decoded or applied.
#define RAFTCORE_ERR_CONF_CHANGE (-315)
/// A proposal, a read's context or an array is larger than a message or the memory can hold.
#define RAFTCORE_ERR_TOO_LARGE (-316)
/// The call does not belong to the way in which this node persists.
#define RAFTCORE_ERR_ASYNC_STORAGE_WRITES (-317)
/// A storage response that this node does not wait for.
#define RAFTCORE_ERR_STORAGE_RESPONSE (-318)

/// The storage itself failed. A storage callback that cannot read returns this.
#define RAFTCORE_ERR_STORAGE (-400)
/// The entries asked for are gone: a snapshot has taken their place.
#define RAFTCORE_ERR_COMPACTED (-401)
/// The entries asked for are not there yet.
#define RAFTCORE_ERR_UNAVAILABLE (-402)
/// A snapshot is being made: ask again later.
#define RAFTCORE_ERR_SNAPSHOT_UNAVAILABLE (-403)
/// The snapshot is not newer than the one that is stored.
#define RAFTCORE_ERR_SNAPSHOT_OUT_OF_DATE (-404)
/// Entries would leave a gap in the log.
#define RAFTCORE_ERR_GAP (-405)
/// The storage's answers contradict each other.
#define RAFTCORE_ERR_INCONSISTENT (-406)

/// The node has stopped: its storage lied or failed in the middle of a step, or the library found
/// a mistake of its own. What is stored is intact: destroy the node and make one from it.
#define RAFTCORE_ERR_FAULTED (-500)
/// The library failed inside this call, by a mistake of its own. The node the call was for is
/// faulted: every later call returns RAFTCORE_ERR_FAULTED. Please report the text.
#define RAFTCORE_ERR_PANIC (-501)

/// The operating system refused something. The error's detail is its errno.
#define RAFTCORE_ERR_OS (-600)

/// Detail of RAFTCORE_ERR_REFUSED: a reason that has no number of its own yet.
#define RAFTCORE_REFUSAL_OTHER 0
/// Detail of RAFTCORE_ERR_REFUSED: the bytes are no message.
#define RAFTCORE_REFUSAL_MALFORMED 1
/// Detail of RAFTCORE_ERR_REFUSED: this kind never travels between members.
#define RAFTCORE_REFUSAL_LOCAL_KIND 2
/// Detail of RAFTCORE_ERR_REFUSED: a response from a node that is no member.
#define RAFTCORE_REFUSAL_NOT_A_MEMBER 3
/// Detail of RAFTCORE_ERR_REFUSED: it claims to come from the receiver itself.
#define RAFTCORE_REFUSAL_FROM_SELF 4
/// Detail of RAFTCORE_ERR_REFUSED: it is addressed to another node.
#define RAFTCORE_REFUSAL_MISADDRESSED 5
/// Detail of RAFTCORE_ERR_REFUSED: a kind that needs a term, without one.
#define RAFTCORE_REFUSAL_MISSING_TERM 6
/// Detail of RAFTCORE_ERR_REFUSED: a kind that has no term, with one.
#define RAFTCORE_REFUSAL_UNEXPECTED_TERM 7
/// Detail of RAFTCORE_ERR_REFUSED: a proposal without entries.
#define RAFTCORE_REFUSAL_NO_ENTRIES 8
/// Detail of RAFTCORE_ERR_REFUSED: a membership change that no node could apply.
#define RAFTCORE_REFUSAL_BAD_CONF_CHANGE 9
/// Detail of RAFTCORE_ERR_REFUSED: the entries are not consecutive.
#define RAFTCORE_REFUSAL_ENTRY_GAP 10
/// Detail of RAFTCORE_ERR_REFUSED: the terms of the entries fall.
#define RAFTCORE_REFUSAL_TERM_REGRESSION 11
/// Detail of RAFTCORE_ERR_REFUSED: an entry is newer than its message.
#define RAFTCORE_REFUSAL_TERM_ABOVE_MESSAGE 12
/// Detail of RAFTCORE_ERR_REFUSED: an entry contradicts one that is committed here.
#define RAFTCORE_REFUSAL_CONFLICT_WITH_COMMITTED 13
/// Detail of RAFTCORE_ERR_REFUSED: a heartbeat commits beyond this node's log. The honest cause
/// is that this member lost its disk: it must come back under a new id.
#define RAFTCORE_REFUSAL_COMMIT_BEYOND_LOG 14
/// Detail of RAFTCORE_ERR_REFUSED: an index that no log can have reached.
#define RAFTCORE_REFUSAL_INDEX_LIMIT 15
/// Detail of RAFTCORE_ERR_REFUSED: a term that no group can have reached.
#define RAFTCORE_REFUSAL_TERM_LIMIT 16
/// Detail of RAFTCORE_ERR_REFUSED: a snapshot without content.
#define RAFTCORE_REFUSAL_EMPTY_SNAPSHOT 17
/// Detail of RAFTCORE_ERR_REFUSED: a snapshot of a later term than its message.
#define RAFTCORE_REFUSAL_SNAPSHOT_ABOVE_MESSAGE 18
/// Detail of RAFTCORE_ERR_REFUSED: a snapshot whose membership is impossible.
#define RAFTCORE_REFUSAL_BAD_MEMBERSHIP 19
/// Detail of RAFTCORE_ERR_REFUSED: it acknowledges what this leader never had.
#define RAFTCORE_REFUSAL_ACKNOWLEDGED_BEYOND_LOG 20
/// Detail of RAFTCORE_ERR_REFUSED: the context of a heartbeat response was never sent.
#define RAFTCORE_REFUSAL_BAD_READ_POSITION 21
/// Detail of RAFTCORE_ERR_REFUSED: a read request without exactly one context or a sender.
#define RAFTCORE_REFUSAL_BAD_READ_REQUEST 22
/// Detail of RAFTCORE_ERR_REFUSED: too many reads wait already.
#define RAFTCORE_REFUSAL_TOO_MANY_READS 23

/// Detail of RAFTCORE_ERR_DROPPED: a reason that has no number of its own yet.
#define RAFTCORE_DROP_OTHER 0
/// Detail of RAFTCORE_ERR_DROPPED: this node knows no leader.
#define RAFTCORE_DROP_NO_LEADER 1
/// Detail of RAFTCORE_ERR_DROPPED: the leader is handing over.
#define RAFTCORE_DROP_TRANSFERRING 2
/// Detail of RAFTCORE_ERR_DROPPED: too many bytes are proposed and not applied yet.
#define RAFTCORE_DROP_TOO_MUCH_UNCOMMITTED 3
/// Detail of RAFTCORE_ERR_DROPPED: this node leads but was removed from the group.
#define RAFTCORE_DROP_NOT_A_MEMBER 4
/// Detail of RAFTCORE_ERR_DROPPED: this node does not lead and may not forward.
#define RAFTCORE_DROP_FORWARDING_DISABLED 5
/// Detail of RAFTCORE_ERR_DROPPED: too many reads wait already.
#define RAFTCORE_DROP_TOO_MANY_READS 6

/// Detail of RAFTCORE_ERR_CONFIG: a reason that has no number of its own yet.
#define RAFTCORE_CONFIG_OTHER 0
/// Detail of RAFTCORE_ERR_CONFIG: no member can have this id.
#define RAFTCORE_CONFIG_ID 1
/// Detail of RAFTCORE_ERR_CONFIG: heartbeat_interval_ticks is zero.
#define RAFTCORE_CONFIG_HEARTBEAT 2
/// Detail of RAFTCORE_ERR_CONFIG: election_timeout_ticks is not above heartbeat_interval_ticks.
#define RAFTCORE_CONFIG_ELECTION 3
/// Detail of RAFTCORE_ERR_CONFIG: max_inflight_messages is zero.
#define RAFTCORE_CONFIG_INFLIGHT 4
/// Detail of RAFTCORE_ERR_CONFIG: max_inflight_bytes is below max_message_bytes.
#define RAFTCORE_CONFIG_INFLIGHT_BYTES 5
/// Detail of RAFTCORE_ERR_CONFIG: max_pending_reads is zero.
#define RAFTCORE_CONFIG_PENDING_READS 6
/// Detail of RAFTCORE_ERR_CONFIG: lease-based reads without check_quorum.
#define RAFTCORE_CONFIG_LEASE 7
/// Detail of RAFTCORE_ERR_CONFIG: the stored membership is impossible.
#define RAFTCORE_CONFIG_STORED_MEMBERSHIP 8
/// Detail of RAFTCORE_ERR_CONFIG: the stored commit index is outside the stored log.
#define RAFTCORE_CONFIG_STORED_COMMIT 9
/// Detail of RAFTCORE_ERR_CONFIG: applied is outside what is stored as committed.
#define RAFTCORE_CONFIG_APPLIED 10
/// Detail of RAFTCORE_ERR_CONFIG: the stored log is not one.
#define RAFTCORE_CONFIG_STORED_LOG 11

/* ------------------------------------------------------------------------------------------------
 * Errors.
 *
 * Every call that can fail takes a raftcore_error last, which may be NULL. The text comes back in
 * the same call and in memory of the caller's, because a goroutine or a coroutine may be on
 * another thread by the time it looks, and because a buffer needs no free. A program that stays
 * on one thread can leave it NULL and ask raftcore_last_error afterwards.
 * --------------------------------------------------------------------------------------------- */

/// The length of the text in a raftcore_error in bytes, the NUL at its end included.
#define RAFTCORE_ERROR_MESSAGE_SIZE 256

/// Why a call failed. Memory of the caller's: set struct_size, pass its address, read it when the
/// call returned something other than RAFTCORE_OK. It is written only then.
///
///     raftcore_error error = {.struct_size = sizeof error};
///     if (raftcore_node_tick(node, &error) != RAFTCORE_OK) fputs(error.message, stderr);
typedef struct raftcore_error {
    /// sizeof(raftcore_error), set by the caller.
    size_t struct_size;
    /// What the call returned.
    raftcore_status status;
    /// More about it: a RAFTCORE_REFUSAL_, RAFTCORE_DROP_ or RAFTCORE_CONFIG_ number or an errno,
    /// as the status says; otherwise zero.
    int32_t detail;
    /// A sentence for a log, in UTF-8, cut to fit and ended by NUL. Its wording may change.
    char message[RAFTCORE_ERROR_MESSAGE_SIZE];
} raftcore_error;

/// What a status means, in a few words: a constant text, never NULL, not to be freed. An unknown
/// number gives "unknown status".
const char *raftcore_status_text(raftcore_status status);

/// The text of the last call that failed on this thread, or "" if none did. A convenience: the
/// error argument of each call is the surer way. The text is valid until another call fails on
/// this thread or the thread ends; it is not to be freed.
const char *raftcore_last_error(void);

/* ------------------------------------------------------------------------------------------------
 * Bytes.
 * --------------------------------------------------------------------------------------------- */

/// Bytes that belong to somebody else. The pair (NULL, 0) is an empty slice. Never grows.
typedef struct raftcore_slice {
    /// The first byte; may be NULL when len is 0.
    const uint8_t *data;
    /// How many bytes.
    size_t len;
} raftcore_slice;

/// Numbers that belong to somebody else: ids of members. Never grows.
typedef struct raftcore_ids {
    /// The first; may be NULL when count is 0.
    const uint64_t *items;
    /// How many.
    size_t count;
} raftcore_ids;

/// Bytes that the library made for the caller, who owns them and frees them with
/// raftcore_buffer_free. A zero byte follows them that len does not count, so that text can be
/// read as a C string. Never grows.
typedef struct raftcore_buffer {
    /// The first byte. Not NULL in a buffer that a call filled.
    const uint8_t *data;
    /// How many bytes.
    size_t len;
    /// The library's own.
    void *owner;
} raftcore_buffer;

/// Frees what a call put into a buffer, and empties it. NULL and an empty buffer are allowed.
void raftcore_buffer_free(raftcore_buffer *buffer);

/* ------------------------------------------------------------------------------------------------
 * Log entries and hard state.
 * --------------------------------------------------------------------------------------------- */

/// What the data of an entry is.
typedef int32_t raftcore_entry_kind;
/// The application's own bytes, or nothing at all: a new leader's first entry.
#define RAFTCORE_ENTRY_NORMAL 0
/// A membership change of one member. Hand it to raftcore_node_apply_conf_change_entry.
#define RAFTCORE_ENTRY_CONF_CHANGE 1
/// A membership change in its general form; without data it leaves a joint configuration. Hand it
/// to raftcore_node_apply_conf_change_entry.
#define RAFTCORE_ENTRY_CONF_CHANGE_V2 2

/// One entry of the log. Grows at its end: step through an array with its stride. A field that
/// comes later is read from arrays alone, not where one entry is handed in.
typedef struct raftcore_entry {
    /// The term of the leader that created it.
    uint64_t term;
    /// Its place in the log, from 1.
    uint64_t index;
    /// The payload. NULL with a length that is not zero: the program keeps it, as it said with
    /// raftcore_node_propose_kept or raftcore_node_step_kept.
    raftcore_slice data;
    /// What the payload is: RAFTCORE_ENTRY_.
    raftcore_entry_kind kind;
    /// Zero.
    uint32_t reserved;
} raftcore_entry;

/// Entries in order. raftcore_entry_at finds one. As input: stride is sizeof(raftcore_entry).
typedef struct raftcore_entries {
    /// The first; may be NULL when count is 0.
    const raftcore_entry *items;
    /// How many.
    size_t count;
    /// The distance from one to the next in bytes.
    size_t stride;
} raftcore_entries;

/// What must be on disk before a message that depends on it leaves. Never grows.
typedef struct raftcore_hard_state {
    /// The latest term this node has seen.
    uint64_t term;
    /// The id of the member it voted for in that term; zero: none.
    uint64_t vote;
    /// The highest index known to be committed.
    uint64_t commit;
} raftcore_hard_state;

/// Encodes an entry as raftpb.Entry, for a log on disk. The caller owns the buffer and frees it
/// with raftcore_buffer_free.
raftcore_status raftcore_entry_encode(const raftcore_entry *entry,
                                      raftcore_buffer *out,
                                      raftcore_error *error);

/// Decodes count encoded entries, for a program that reads its log at start and gives it to
/// raftcore_storage_append. The caller owns them and frees them with raftcore_entries_destroy.
/// Fails with RAFTCORE_ERR_REFUSED when one of them is no entry.
raftcore_status raftcore_entries_decode(const raftcore_slice *encoded,
                                        size_t count,
                                        raftcore_entries **out,
                                        raftcore_error *error);

/// Encodes a hard state as raftpb.HardState. The caller owns the buffer and frees it with
/// raftcore_buffer_free.
raftcore_status raftcore_hard_state_encode(const raftcore_hard_state *hard_state,
                                           raftcore_buffer *out,
                                           raftcore_error *error);

/// Decodes a hard state. Fails with RAFTCORE_ERR_REFUSED when the bytes are none.
raftcore_status raftcore_hard_state_decode(const void *data,
                                           size_t len,
                                           raftcore_hard_state *out,
                                           raftcore_error *error);

/// Frees entries that a call returned for the caller to own. NULL is allowed.
void raftcore_entries_destroy(raftcore_entries *entries);

/* ------------------------------------------------------------------------------------------------
 * Membership.
 * --------------------------------------------------------------------------------------------- */

/// The members of a group.
typedef struct raftcore_conf_state {
    /// sizeof(raftcore_conf_state), set by who fills it.
    size_t struct_size;
    /// The voters; of a joint configuration, the incoming ones.
    raftcore_ids voters;
    /// Members that receive the log and do not count in any quorum.
    raftcore_ids learners;
    /// Of a joint configuration, the outgoing voters; otherwise empty.
    raftcore_ids voters_outgoing;
    /// Outgoing voters that become learners when the joint configuration is left.
    raftcore_ids learners_next;
    /// 1: the leader leaves the joint configuration by itself; otherwise 0.
    uint32_t auto_leave;
    /// Zero.
    uint32_t reserved;
} raftcore_conf_state;

/// What to do with one member.
typedef int32_t raftcore_conf_change_kind;
/// Make it a voter; a learner is promoted.
#define RAFTCORE_CONF_CHANGE_ADD_VOTER 0
/// Take it out of the group.
#define RAFTCORE_CONF_CHANGE_REMOVE 1
/// Change nothing: carries a context for the application, for example a new address.
#define RAFTCORE_CONF_CHANGE_UPDATE 2
/// Make it a learner; a voter is demoted.
#define RAFTCORE_CONF_CHANGE_ADD_LEARNER 3

/// How a change of several members is carried out.
typedef int32_t raftcore_transition;
/// One step directly, several through a joint configuration that is left by itself.
#define RAFTCORE_TRANSITION_AUTO 0
/// Through a joint configuration that is left by itself.
#define RAFTCORE_TRANSITION_JOINT_IMPLICIT 1
/// Through a joint configuration that the application leaves, by a change without steps.
#define RAFTCORE_TRANSITION_JOINT_EXPLICIT 2

/// The form in which a membership change is stored in the log.
typedef int32_t raftcore_conf_change_form;
/// The one-member form if there is one step and the transition is AUTO; otherwise the general one.
#define RAFTCORE_CONF_CHANGE_FORM_AUTO 0
/// The one-member form: exactly one step, transition AUTO. Its entry is a
/// RAFTCORE_ENTRY_CONF_CHANGE.
#define RAFTCORE_CONF_CHANGE_FORM_V1 1
/// The general form. Its entry is a RAFTCORE_ENTRY_CONF_CHANGE_V2.
#define RAFTCORE_CONF_CHANGE_FORM_V2 2

/// One step of a membership change. Never grows.
typedef struct raftcore_conf_change_step {
    /// With whom. In a change that is applied, zero is the application's veto: the step is
    /// skipped.
    uint64_t node;
    /// What to do: RAFTCORE_CONF_CHANGE_.
    raftcore_conf_change_kind kind;
    /// Zero.
    uint32_t reserved;
} raftcore_conf_change_step;

/// A membership change. Without steps and with transition AUTO it is the order to leave a joint
/// configuration.
///
///     raftcore_conf_change_step add = {.node = 4, .kind = RAFTCORE_CONF_CHANGE_ADD_VOTER};
///     raftcore_conf_change change = {
///         .struct_size = sizeof change, .steps = &add, .step_count = 1};
typedef struct raftcore_conf_change {
    /// sizeof(raftcore_conf_change), set by who fills it.
    size_t struct_size;
    /// The form in which it is stored: RAFTCORE_CONF_CHANGE_FORM_.
    raftcore_conf_change_form form;
    /// How it is carried out: RAFTCORE_TRANSITION_.
    raftcore_transition transition;
    /// The steps, in order; may be NULL when step_count is 0.
    const raftcore_conf_change_step *steps;
    /// How many.
    size_t step_count;
    /// For the application's own use, for example the new member's address.
    raftcore_slice context;
    /// For the application's own use; travels only in the one-member form.
    uint64_t id;
} raftcore_conf_change;

/// Decodes the membership change of a committed entry: kind is the entry's, data its payload. The
/// caller owns it and frees it with raftcore_conf_change_destroy. Fails with
/// RAFTCORE_ERR_REFUSED when the bytes are none, RAFTCORE_ERR_ENUM when the kind is not one of a
/// membership change.
raftcore_status raftcore_conf_change_decode(raftcore_entry_kind kind,
                                            const void *data,
                                            size_t len,
                                            raftcore_conf_change **out,
                                            raftcore_error *error);

/// Encodes a membership change as the payload of an entry, whose kind is written to entry_kind
/// (may be NULL). The caller owns the buffer and frees it with raftcore_buffer_free.
raftcore_status raftcore_conf_change_encode(const raftcore_conf_change *change,
                                            raftcore_buffer *out,
                                            raftcore_entry_kind *entry_kind,
                                            raftcore_error *error);

/// Frees a membership change that a call returned for the caller to own. NULL is allowed.
void raftcore_conf_change_destroy(raftcore_conf_change *change);

/// Encodes a membership as raftpb.ConfState. The caller owns the buffer and frees it with
/// raftcore_buffer_free.
raftcore_status raftcore_conf_state_encode(const raftcore_conf_state *conf_state,
                                           raftcore_buffer *out,
                                           raftcore_error *error);

/// Decodes a membership. The caller owns it and frees it with raftcore_conf_state_destroy. Fails
/// with RAFTCORE_ERR_REFUSED when the bytes are none.
raftcore_status raftcore_conf_state_decode(const void *data,
                                           size_t len,
                                           raftcore_conf_state **out,
                                           raftcore_error *error);

/// Frees a membership that a call returned for the caller to own. NULL is allowed.
void raftcore_conf_state_destroy(raftcore_conf_state *conf_state);

/* ------------------------------------------------------------------------------------------------
 * Snapshots.
 * --------------------------------------------------------------------------------------------- */

/// The state of an application after a position of the log, in place of the log up to there.
typedef struct raftcore_snapshot {
    /// sizeof(raftcore_snapshot), set by who fills it.
    size_t struct_size;
    /// The index of the last entry that it contains.
    uint64_t index;
    /// The term of that entry.
    uint64_t term;
    /// The membership after that entry. Not NULL.
    const raftcore_conf_state *conf_state;
    /// The application's state: whatever its own code can restore.
    raftcore_slice data;
} raftcore_snapshot;

/// Encodes a snapshot as raftpb.Snapshot. The caller owns the buffer and frees it with
/// raftcore_buffer_free.
raftcore_status raftcore_snapshot_encode(const raftcore_snapshot *snapshot,
                                         raftcore_buffer *out,
                                         raftcore_error *error);

/// Decodes a snapshot. The caller owns it and frees it with raftcore_snapshot_destroy. Fails with
/// RAFTCORE_ERR_REFUSED when the bytes are none.
raftcore_status raftcore_snapshot_decode(const void *data,
                                         size_t len,
                                         raftcore_snapshot **out,
                                         raftcore_error *error);

/// Frees a snapshot that a call returned for the caller to own. NULL is allowed.
void raftcore_snapshot_destroy(raftcore_snapshot *snapshot);

/* ------------------------------------------------------------------------------------------------
 * Messages.
 *
 * A node addresses its messages by member id; how they get there is the application's affair.
 * The network may lose, repeat, delay and reorder them. The usual way is to send the encoded
 * bytes (raftpb.Message, the format of etcd's raft) as they are and to hand what arrives to
 * raftcore_node_step. The fields tell where a message goes and what it is.
 * --------------------------------------------------------------------------------------------- */

/// What a message says. The numbers are those of the wire; kinds that never leave a node have
/// numbers too, of which those of the storage threads' responses are here.
typedef int32_t raftcore_message_kind;
/// Entries to append, passed on to the leader.
#define RAFTCORE_MESSAGE_PROPOSE 2
/// Entries from the leader.
#define RAFTCORE_MESSAGE_APPEND 3
/// The answer to an append or a snapshot.
#define RAFTCORE_MESSAGE_APPEND_RESPONSE 4
/// A request for a vote.
#define RAFTCORE_MESSAGE_VOTE 5
/// The answer to it.
#define RAFTCORE_MESSAGE_VOTE_RESPONSE 6
/// A snapshot for a member that is behind the leader's log. It can be large: send it on a
/// connection of its own, and say how that went with raftcore_node_report_snapshot.
#define RAFTCORE_MESSAGE_SNAPSHOT 7
/// The leader is alive.
#define RAFTCORE_MESSAGE_HEARTBEAT 8
/// The answer to it.
#define RAFTCORE_MESSAGE_HEARTBEAT_RESPONSE 9
/// The sender is to become leader.
#define RAFTCORE_MESSAGE_TRANSFER_LEADER 13
/// The receiver is to campaign at once.
#define RAFTCORE_MESSAGE_TIMEOUT_NOW 14
/// A request for a read index, passed on to the leader.
#define RAFTCORE_MESSAGE_READ_INDEX 15
/// The leader's answer.
#define RAFTCORE_MESSAGE_READ_INDEX_RESPONSE 16
/// The question whether a vote would be given.
#define RAFTCORE_MESSAGE_PRE_VOTE 17
/// The answer to it.
#define RAFTCORE_MESSAGE_PRE_VOTE_RESPONSE 18
/// Only with asynchronous storage writes, and only back into the same node: entries or a snapshot
/// are durable.
#define RAFTCORE_MESSAGE_STORAGE_APPEND_RESPONSE 20
/// Only with asynchronous storage writes, and only back into the same node: entries are applied.
#define RAFTCORE_MESSAGE_STORAGE_APPLY_RESPONSE 22

/// A message from one member to another. A field that its kind does not have is zero or empty.
/// Grows at its end: step through an array with its stride. A field that comes later is read from
/// arrays alone, not where one message is handed in.
typedef struct raftcore_message {
    /// The receiver.
    uint64_t to;
    /// The sender; of a transfer the member that is to lead, of a forwarded proposal or read the
    /// member that asked first.
    uint64_t from;
    /// The sender's term; of a pre-vote the term that the election would have. Zero in proposals
    /// and reads.
    uint64_t term;
    /// The term of the entry at index; of a rejection the follower's term at reject_hint.
    uint64_t log_term;
    /// Of an append the position before its entries, of a vote the candidate's last entry, of a
    /// response what it answers for, of a read's answer the read index.
    uint64_t index;
    /// The sender's commit index, in appends and heartbeats.
    uint64_t commit;
    /// Unused by every kind that exists; kept because the wire has it.
    uint64_t vote;
    /// Of a rejection: the highest index at which the logs could match.
    uint64_t reject_hint;
    /// What it says: RAFTCORE_MESSAGE_.
    raftcore_message_kind kind;
    /// 1 in a response that says no; otherwise 0.
    uint32_t reject;
    /// The whole message, ready to send. Empty without RAFTCORE_FORM_ENCODED.
    raftcore_slice encoded;
    /// Of a heartbeat and a read: what comes back unchanged with the answer. Of a vote: whether
    /// the leader ordered it. Empty without RAFTCORE_FORM_FIELDS.
    raftcore_slice context;
    /// The entries that a proposal or an append carries. Empty without RAFTCORE_FORM_FIELDS.
    raftcore_entries entries;
    /// The snapshot that it carries, or NULL. NULL without RAFTCORE_FORM_FIELDS.
    const raftcore_snapshot *snapshot;
    /// Not zero only with asynchronous storage writes: the message does not leave, but goes back
    /// into this node by raftcore_node_storage_response with this number.
    uint64_t response_number;
} raftcore_message;

/// Messages in the order in which they are to be sent. raftcore_message_at finds one.
typedef struct raftcore_messages {
    /// The first; may be NULL when count is 0.
    const raftcore_message *items;
    /// How many.
    size_t count;
    /// The distance from one to the next in bytes.
    size_t stride;
} raftcore_messages;

/// Writes the kind of an encoded message to kind: for a server that admits some kinds only, or
/// sends some on connections of their own. It looks no further than it must and copies nothing:
/// bytes that raftcore_node_step refuses may have a kind. Fails with RAFTCORE_ERR_REFUSED when
/// they have none.
raftcore_status raftcore_message_kind_of(const void *data,
                                         size_t len,
                                         raftcore_message_kind *kind,
                                         raftcore_error *error);

/// Decodes a message, for a program that wants to see its fields before it steps it. The caller
/// owns it and frees it with raftcore_message_destroy. Fails with RAFTCORE_ERR_REFUSED when the
/// bytes are no message.
raftcore_status raftcore_message_decode(const void *data,
                                        size_t len,
                                        raftcore_message **out,
                                        raftcore_error *error);

/// Encodes a message that stands in a struct, for a program that changed one or made its own.
/// What its encoded says is not looked at. The caller owns the buffer and frees it with
/// raftcore_buffer_free. Fails with RAFTCORE_ERR_REFUSED when no message is like that.
raftcore_status raftcore_message_encode(const raftcore_message *message,
                                        raftcore_buffer *out,
                                        raftcore_error *error);

/// Frees a message that a call returned for the caller to own. NULL is allowed.
void raftcore_message_destroy(raftcore_message *message);

/// Says in one line what an encoded message says, for a log. The wording may change. The caller
/// owns the buffer and frees it with raftcore_buffer_free. Fails with RAFTCORE_ERR_REFUSED when
/// the bytes are no message.
raftcore_status raftcore_message_describe(const void *data,
                                          size_t len,
                                          raftcore_buffer *out,
                                          raftcore_error *error);

/* ------------------------------------------------------------------------------------------------
 * Configuration.
 * --------------------------------------------------------------------------------------------- */

/// How reads are confirmed.
typedef int32_t raftcore_read_only;
/// A round of heartbeats proves that the leader still leads. Safe whatever the clocks do.
#define RAFTCORE_READ_ONLY_SAFE 0
/// No round while the leader holds a lease: a quorum answered heartbeats that it sent less than an
/// election timeout ago, and whoever answered votes for nobody for that long. Linearizable as long
/// as no two members' ticks differ by more than a tenth in length; a process that stands still
/// counts as a clock that does. Without a lease reads take a round. The election timeout must be
/// at least four ticks for there to be a lease at all.
#define RAFTCORE_READ_ONLY_LEASE_BASED 1
/// As etcd's raft has it: no round as long as the node believes that it leads. Reads can be stale
/// under any clocks. For groups shared with etcd's nodes that are set up so.
#define RAFTCORE_READ_ONLY_LEASE_UNVERIFIED 2

/// Bit of message_forms: messages in a Ready come as encoded bytes, ready to send.
#define RAFTCORE_FORM_ENCODED 1
/// Bit of message_forms: messages in a Ready come with their context, entries and snapshot. Their
/// numeric fields are always there.
#define RAFTCORE_FORM_FIELDS 2

/// What a node is told once, when it is made. Let raftcore_config_init fill it, then set id and
/// what you need. Switches are 1 or 0.
typedef struct raftcore_config {
    /// sizeof(raftcore_config), set by raftcore_config_init.
    size_t struct_size;
    /// This node's id: not zero, not one of the two highest numbers, never used before. A node
    /// that lost its disk comes back under a new one. No default.
    uint64_t id;
    /// Seeds the randomized election timeouts. Default: from the operating system's randomness. A
    /// simulation gives a fixed one and gets the same run again.
    uint64_t seed;
    /// The last index that the application has applied, when it restarts from its own state: the
    /// entries up to there are not handed out again. Default 0: from the snapshot on.
    uint64_t applied;
    /// The greatest size in bytes of the entries in one append message; at least one entry always
    /// travels. Zero: one entry a message. Default 1 MiB.
    uint64_t max_message_bytes;
    /// The greatest size in bytes of all committed entries that were handed out and are not yet
    /// acknowledged as applied; at least one entry always is. Default 0: as max_message_bytes.
    uint64_t max_committed_bytes_per_ready;
    /// The greatest size in bytes of the payloads that a leader holds proposed and not yet
    /// applied; above it proposals are dropped. Default 0: no limit.
    uint64_t max_uncommitted_bytes;
    /// Append messages in flight to one member before the leader waits. Default 256.
    uint64_t max_inflight_messages;
    /// Payload bytes in flight to one member before the leader waits; at least max_message_bytes.
    /// Default 0: no limit.
    uint64_t max_inflight_bytes;
    /// The greatest number of reads that a leader keeps waiting for confirmation. Default 65536.
    uint64_t max_pending_reads;
    /// Ticks without a word from a leader after which a follower campaigns; the actual timeout is
    /// drawn from n to 2n - 1. Ten heartbeat intervals are a good value. Default 10.
    uint32_t election_timeout_ticks;
    /// Ticks between a leader's heartbeats. Default 1.
    uint32_t heartbeat_interval_ticks;
    /// How reads are confirmed: RAFTCORE_READ_ONLY_. Leases need check_quorum, and all members set
    /// up alike. Default safe.
    raftcore_read_only read_only;
    /// In which forms messages come in a Ready: RAFTCORE_FORM_ bits. 0: their numeric fields alone,
    /// for members in one process, which raftcore_node_deliver serves. Default both.
    uint32_t message_forms;
    /// A leader that does not hear from a quorum within an election timeout steps down, and
    /// members that hear from a leader refuse votes. Default 1.
    uint32_t check_quorum;
    /// Ask whether an election could be won before raising the term, so that a member that was
    /// cut off does not disturb the group when it returns. Default 1.
    uint32_t pre_vote;
    /// Whether a follower passes proposals on to the leader. Default 1.
    uint32_t forward_proposals;
    /// Whether a leader replaces a membership change that cannot follow the present one. 0 only
    /// for applications that check this themselves. Default 1.
    uint32_t validate_conf_changes;
    /// Whether a leader that is removed or demoted steps down when it applies the change. 0: it
    /// leads on until somebody else is elected, and so makes sure that the others learn of the
    /// change. Default 0.
    uint32_t step_down_on_removal;
    /// Whether requests for votes wait until the term, the vote and the log that they speak of
    /// are durable. 0 is etcd's way, where a candidate that dies before its write can come back
    /// and count a vote that was given to a longer log. Default 1.
    uint32_t votes_wait_for_sync;
    /// Whether the application persists and applies in threads of its own, and passes on the
    /// responses that come with the work, instead of advancing each Ready: see "Asynchronous
    /// storage writes". Default 0.
    uint32_t async_storage_writes;
    /// Whether a leader builds its appends when the Ready is taken: one for each member, with
    /// everything that was proposed, acknowledged and committed meanwhile. Likewise all reads that
    /// were asked for meanwhile share one round of heartbeats. 0 is etcd's way, where every
    /// proposal, every commit and every read makes a message of its own. And whether a member
    /// leaves an append unanswered that only told it how much is committed of what it acknowledged
    /// before. Default 1.
    uint32_t coalesce_appends;
    /// Whether each Ready is put into the memory storage as it is taken, so that
    /// raftcore_node_persist need not be called. The memory storage is then ahead of the disk,
    /// which is harmless: it ends with the process, and nothing is said to be durable before the
    /// Ready is advanced. RAFTCORE_ERR_NOT_MEMORY with another storage. Default 0.
    uint32_t auto_persist;
    /// Zero.
    uint32_t reserved;
} raftcore_config;

/// Fills a configuration with the defaults and a fresh seed. struct_size is
/// sizeof(raftcore_config). Fails with RAFTCORE_ERR_OS when the operating system has no
/// randomness to give.
raftcore_status raftcore_config_init(raftcore_config *config,
                                     size_t struct_size,
                                     raftcore_error *error);

/* ------------------------------------------------------------------------------------------------
 * Storage.
 *
 * A node reads its log from a storage and never writes to it: the application does, as a Ready
 * tells it. The memory storage serves most applications: at start they fill it from their own
 * log, and after that give it every Ready with raftcore_node_persist, when the Ready is on disk.
 *
 * A storage is used by one node at a time. It is counted: node and application may let go of it
 * in either order. Its functions may be called from any thread while a node uses it. Those that
 * change what is stored are for the memory storage: with another they fail with
 * RAFTCORE_ERR_NOT_MEMORY.
 * --------------------------------------------------------------------------------------------- */

/// A stored log.
typedef struct raftcore_storage raftcore_storage;

/// Makes an empty memory storage and writes its address to out. conf_state is NULL for a new
/// member and for a group that is bootstrapped; otherwise the membership that the group has had
/// from the start. The caller owns it and frees it with raftcore_storage_destroy.
raftcore_status raftcore_storage_create_memory(const raftcore_conf_state *conf_state,
                                               raftcore_storage **out,
                                               raftcore_error *error);

/// Lets go of a storage. What a node uses lives on until the node is destroyed. NULL is allowed;
/// the pointer must not be used afterwards.
void raftcore_storage_destroy(raftcore_storage *storage);

/// Lets several nodes use the storage at a time (1) or refuses a second one (0, the default). For
/// programs that make a new node on the storage of one that they have not destroyed and do not
/// use any more, as a garbage-collected language has it. Two nodes that both run would ruin each
/// other's log.
raftcore_status raftcore_storage_set_shared(raftcore_storage *storage,
                                            uint32_t shared,
                                            raftcore_error *error);

/// Appends entries, which must be consecutive. They replace what is there from their first index
/// on. The payloads are copied. RAFTCORE_ERR_GAP when they do not touch the log.
raftcore_status raftcore_storage_append(raftcore_storage *storage,
                                        const raftcore_entries *entries,
                                        raftcore_error *error);

/// Sets the membership that a node begins with: for a program that keeps it beside its own log,
/// together with raftcore_config.applied. Before the node is made: one that runs does not look at
/// it again.
raftcore_status raftcore_storage_set_conf_state(raftcore_storage *storage,
                                                const raftcore_conf_state *conf_state,
                                                raftcore_error *error);

/// Sets the hard state.
raftcore_status raftcore_storage_set_hard_state(raftcore_storage *storage,
                                                const raftcore_hard_state *hard_state,
                                                raftcore_error *error);

/// Replaces the whole log by a snapshot. The data is copied. RAFTCORE_ERR_SNAPSHOT_OUT_OF_DATE
/// when it is not newer than the stored one.
raftcore_status raftcore_storage_apply_snapshot(raftcore_storage *storage,
                                                const raftcore_snapshot *snapshot,
                                                raftcore_error *error);

/// Makes a snapshot of the application's state after index, which must be applied. The log stays:
/// raftcore_storage_compact cuts it. conf_state is the membership after index, as
/// raftcore_node_apply_conf_change_entry returned it last; NULL: as in the last snapshot. The data
/// is copied. RAFTCORE_ERR_SNAPSHOT_OUT_OF_DATE when the stored one is as new,
/// RAFTCORE_ERR_UNAVAILABLE when index is beyond the last. The snapshot is written to out, which
/// may be NULL; the caller then owns it and frees it with raftcore_snapshot_destroy.
raftcore_status raftcore_storage_create_snapshot(raftcore_storage *storage,
                                                 uint64_t index,
                                                 const raftcore_conf_state *conf_state,
                                                 const void *data,
                                                 size_t len,
                                                 raftcore_snapshot **out,
                                                 raftcore_error *error);

/// Throws away the entries up to index, which must be applied and should be contained in a
/// snapshot. Keep some entries that slow members may still need: who needs what is gone gets the
/// snapshot. RAFTCORE_ERR_COMPACTED when that was done already, RAFTCORE_ERR_UNAVAILABLE when
/// index is beyond the last.
raftcore_status raftcore_storage_compact(raftcore_storage *storage,
                                         uint64_t index,
                                         raftcore_error *error);

/// Writes to out the index of the first entry that is there; one more than the snapshot's when
/// there is none.
raftcore_status raftcore_storage_first_index(const raftcore_storage *storage,
                                             uint64_t *out,
                                             raftcore_error *error);

/// Writes to out the index of the last entry; the snapshot's when there is none.
raftcore_status raftcore_storage_last_index(const raftcore_storage *storage,
                                            uint64_t *out,
                                            raftcore_error *error);

/// Writes to out the term of the entry at index, which may be the one right before the first.
raftcore_status raftcore_storage_term(const raftcore_storage *storage,
                                      uint64_t index,
                                      uint64_t *out,
                                      raftcore_error *error);

/// Writes to out the entries from low up to, not including, high, cut off where their encoding
/// exceeds max_bytes, but at least one. The caller owns them and frees them with
/// raftcore_entries_destroy.
raftcore_status raftcore_storage_entries(const raftcore_storage *storage,
                                         uint64_t low,
                                         uint64_t high,
                                         uint64_t max_bytes,
                                         raftcore_entries **out,
                                         raftcore_error *error);

/// Writes the stored hard state to hard_state and the stored membership to conf_state; each may
/// be NULL. The caller owns the membership and frees it with raftcore_conf_state_destroy.
raftcore_status raftcore_storage_initial_state(const raftcore_storage *storage,
                                               raftcore_hard_state *hard_state,
                                               raftcore_conf_state **conf_state,
                                               raftcore_error *error);

/// Writes the latest snapshot to out; one with index 0 when there is none. The caller owns it and
/// frees it with raftcore_snapshot_destroy.
raftcore_status raftcore_storage_snapshot(const raftcore_storage *storage,
                                          raftcore_snapshot **out,
                                          raftcore_error *error);

/* ------------------------------------------------------------------------------------------------
 * A storage of the application's own.
 * --------------------------------------------------------------------------------------------- */

/// Reads the stored hard state and membership; all zero in a new storage.
typedef raftcore_status (*raftcore_initial_state_fn)(void *user_data,
                                                     raftcore_hard_state *hard_state,
                                                     raftcore_conf_state *conf_state,
                                                     raftcore_error *error);

/// Reads the entries from low up to, not including, high, cut off where their encoding exceeds
/// max_bytes, but at least one. RAFTCORE_ERR_COMPACTED when low is below the first index,
/// RAFTCORE_ERR_UNAVAILABLE when high is beyond the last index plus one.
typedef raftcore_status (*raftcore_entries_fn)(void *user_data,
                                               uint64_t low,
                                               uint64_t high,
                                               uint64_t max_bytes,
                                               raftcore_entries *entries,
                                               raftcore_error *error);

/// Reads the term of the entry at index, which lies between the first index minus one and the
/// last index.
typedef raftcore_status (*raftcore_term_fn)(void *user_data,
                                            uint64_t index,
                                            uint64_t *term,
                                            raftcore_error *error);

/// Reads the first or the last index.
typedef raftcore_status (*raftcore_index_fn)(void *user_data,
                                             uint64_t *index,
                                             raftcore_error *error);

/// Reads the latest snapshot. RAFTCORE_ERR_SNAPSHOT_UNAVAILABLE when it is being made: the node
/// asks again later.
typedef raftcore_status (*raftcore_snapshot_fn)(void *user_data,
                                                raftcore_snapshot *snapshot,
                                                raftcore_error *error);

/// Frees what user_data points to.
typedef void (*raftcore_finalizer_fn)(void *user_data);

/// How to read a log that the application keeps. Each function answers from what is durable. They
/// are called one at a time, on the thread of the call that needs the answer. A function returns
/// RAFTCORE_OK, RAFTCORE_ERR_COMPACTED, RAFTCORE_ERR_UNAVAILABLE or
/// RAFTCORE_ERR_SNAPSHOT_UNAVAILABLE; anything else counts as RAFTCORE_ERR_STORAGE, and its number
/// and what the function left in error->message are in the text of the call's error.
///
/// Outputs are never NULL, and come empty: numbers are zero, arrays have no elements. A struct's
/// struct_size says how much of it the library has room for: fill its fields and write nothing
/// behind that. A stride is sizeof the element, set by the function. What an output points to stays
/// the function's own and must stay valid until the next call of a function of the same table: the
/// library copies it before that.
///
/// A callback must not call into the node that is calling it (RAFTCORE_ERR_REENTRY), nor wait for
/// a thread that does. It must not longjmp; a C++ exception that leaves it ends the process.
typedef struct raftcore_storage_callbacks {
    /// sizeof(raftcore_storage_callbacks), set by the caller.
    size_t struct_size;
    /// Passed to every function.
    void *user_data;
    /// The stored hard state and membership.
    raftcore_initial_state_fn initial_state;
    /// Entries.
    raftcore_entries_fn entries;
    /// The term of one entry.
    raftcore_term_fn term;
    /// The index of the first entry that is there; one more than the snapshot's when there is
    /// none.
    raftcore_index_fn first_index;
    /// The index of the last entry; the snapshot's when there is none.
    raftcore_index_fn last_index;
    /// The latest snapshot.
    raftcore_snapshot_fn snapshot;
    /// Called exactly once, when neither the application nor a node uses the storage any more: on
    /// the thread of the raftcore_storage_destroy or raftcore_node_destroy that lets go last. It
    /// may use other nodes and storages. May be NULL; the others may not.
    raftcore_finalizer_fn finalizer;
} raftcore_storage_callbacks;

/// Makes a storage from a table of callbacks and writes its address to out. The table is copied.
/// The caller owns it and frees it with raftcore_storage_destroy. On failure the finalizer is not
/// called.
raftcore_status raftcore_storage_create_callbacks(const raftcore_storage_callbacks *callbacks,
                                                  raftcore_storage **out,
                                                  raftcore_error *error);

/* ------------------------------------------------------------------------------------------------
 * Node.
 *
 * One member of one group. Its functions may be called from any thread; they lock it, and none of
 * them blocks, except raftcore_node_poll_ready. After raftcore_node_destroy the pointer must not
 * be used.
 * --------------------------------------------------------------------------------------------- */

/// A member of a group.
typedef struct raftcore_node raftcore_node;

/// One member of a group to be bootstrapped. Never grows.
typedef struct raftcore_peer {
    /// The member.
    uint64_t id;
    /// Kept in the context of the entry that adds the member, for example its address.
    raftcore_slice context;
} raftcore_peer;

/// Makes a node from what is in the storage and writes its address to out: an empty storage makes
/// a new node, a filled one a node that restarts. storage may be NULL: the node then makes an
/// empty memory storage of its own. The caller owns the node and frees it with
/// raftcore_node_destroy; it keeps the storage alive.
///
/// Fails with RAFTCORE_ERR_CONFIG when the configuration cannot be used or the stored state is
/// impossible, RAFTCORE_ERR_STORAGE_IN_USE when another node uses the storage, or an error of the
/// storage.
raftcore_status raftcore_node_create(const raftcore_config *config,
                                     raftcore_storage *storage,
                                     raftcore_node **out,
                                     raftcore_error *error);

/// Frees a node and everything that was borrowed from it: its Ready, its descriptor. No other call
/// on the node may be running or come later. NULL is allowed.
void raftcore_node_destroy(raftcore_node *node);

/// Starts a new group on an empty storage: appends one entry for each of the count members, as
/// committed in term 1. Every member starts with the same list; one that joins later starts empty
/// and is added by a membership change. Ids and contexts are copied. Fails with
/// RAFTCORE_ERR_BOOTSTRAPPED when the storage is not empty, RAFTCORE_ERR_PEERS when there is no
/// member or one stands there twice.
raftcore_status raftcore_node_bootstrap(raftcore_node *node,
                                        const raftcore_peer *peers,
                                        size_t count,
                                        raftcore_error *error);

/// Lets one tick of time pass. Call it at a regular interval, for example every 100 ms; elections
/// and heartbeats count in ticks.
raftcore_status raftcore_node_tick(raftcore_node *node, raftcore_error *error);

/// Lets one tick of time pass without acting on it: for a group that is known to be idle.
raftcore_status raftcore_node_tick_quiesced(raftcore_node *node, raftcore_error *error);

/// Campaigns at once instead of at the election timeout. A node that leads, or may not campaign,
/// stays as it is.
raftcore_status raftcore_node_campaign(raftcore_node *node, raftcore_error *error);

/// Asks the leader to hand over to the member with the id to. A follower passes the wish on.
/// Nothing is promised: watch the soft state. While it lasts proposals are dropped; it is given
/// up after an election timeout. RAFTCORE_ERR_DROPPED when no leader is known; on a leader
/// RAFTCORE_ERR_UNKNOWN_PEER when to is no voter.
raftcore_status raftcore_node_transfer_leader(raftcore_node *node,
                                              uint64_t to,
                                              raftcore_error *error);

/// Makes a follower forget who leads, so that it votes for another without waiting for the lease:
/// for an application that knows by other means that the leader is gone. Does nothing on others,
/// nor where reads rely on leases.
raftcore_status raftcore_node_forget_leader(raftcore_node *node, raftcore_error *error);

/// Says that the last message to a member could not be sent. A leader then sends it one at a time
/// until it answers. An id that is no member (any more) is ignored.
raftcore_status raftcore_node_report_unreachable(raftcore_node *node,
                                                 uint64_t peer,
                                                 raftcore_error *error);

/// How the sending of a snapshot went.
typedef int32_t raftcore_snapshot_status;
/// It arrived.
#define RAFTCORE_SNAPSHOT_FINISHED 0
/// It did not.
#define RAFTCORE_SNAPSHOT_FAILED 1

/// Says how the sending of a snapshot to a member went: RAFTCORE_SNAPSHOT_FINISHED or _FAILED. A
/// leader sends that member no entries until it is told, or the member answers. An id that is no
/// member (any more) is ignored.
raftcore_status raftcore_node_report_snapshot(raftcore_node *node,
                                              uint64_t peer,
                                              raftcore_snapshot_status status,
                                              raftcore_error *error);

/* ------------------------------------------------------------------------------------------------
 * Proposals, reads and membership changes.
 * --------------------------------------------------------------------------------------------- */

/// What became of a proposal.
typedef int32_t raftcore_outcome;
/// It stands in this leader's log. It is not committed yet, and may still be lost if the leader
/// changes.
#define RAFTCORE_OUTCOME_APPENDED 0
/// It was passed on to the leader, without a promise.
#define RAFTCORE_OUTCOME_FORWARDED 1
/// Only of a membership change: it cannot follow the present configuration, and an empty entry
/// stands in the log in its place.
#define RAFTCORE_OUTCOME_REPLACED 2

/// Why a membership change was replaced by an empty entry.
typedef int32_t raftcore_replace_reason;
/// It was not.
#define RAFTCORE_REPLACE_NONE 0
/// A change may be in the log that is not applied yet.
#define RAFTCORE_REPLACE_PENDING 1
/// The configuration is joint and must be left first.
#define RAFTCORE_REPLACE_ALREADY_JOINT 2
/// The configuration is not joint, so that it cannot be left.
#define RAFTCORE_REPLACE_NOT_JOINT 3
/// A reason that has no number of its own yet.
#define RAFTCORE_REPLACE_OTHER 4

/// What became of a proposal or a membership change. Memory of the caller's, who sets struct_size.
typedef struct raftcore_proposed {
    /// sizeof(raftcore_proposed), set by the caller.
    size_t struct_size;
    /// RAFTCORE_OUTCOME_.
    raftcore_outcome outcome;
    /// Of a membership change that was replaced: RAFTCORE_REPLACE_.
    raftcore_replace_reason replace_reason;
    /// The term of the entries; zero when forwarded. An entry that comes back committed with the
    /// same index and term is the one proposed; with another term, the one proposed was lost.
    uint64_t term;
    /// The index of the first entry; zero when forwarded.
    uint64_t first;
    /// The index of the last entry; zero when forwarded.
    uint64_t last;
    /// To whom it was forwarded; zero otherwise.
    uint64_t leader;
} raftcore_proposed;

/// Proposes a payload for the log. It is copied, once. RAFTCORE_ERR_DROPPED says that it was not
/// taken, and why. What was taken comes back in a Ready's committed entries, or is lost with its
/// leader: proposals are not repeated by the library. out may be NULL.
raftcore_status raftcore_node_propose(raftcore_node *node,
                                      const void *data,
                                      size_t len,
                                      raftcore_proposed *out,
                                      raftcore_error *error);

/// Proposes count payloads in one call; all are taken, in order, or none. out may be NULL. Fails as
/// raftcore_node_propose does, and with RAFTCORE_ERR_REFUSED when count is 0.
raftcore_status raftcore_node_propose_many(raftcore_node *node,
                                           const raftcore_slice *payloads,
                                           size_t count,
                                           raftcore_proposed *out,
                                           raftcore_error *error);

/// As raftcore_node_propose_many, with the payloads one behind the other in len bytes: lengths, an
/// array of count, says how long each is, and their sum must be len.
raftcore_status raftcore_node_propose_packed(raftcore_node *node,
                                             const void *bytes,
                                             size_t len,
                                             const uint64_t *lengths,
                                             size_t count,
                                             raftcore_proposed *out,
                                             raftcore_error *error);

/// Proposes a membership change. One is in the log at a time: a change that cannot follow the
/// present configuration is not an error, but takes an empty entry's place in the log, and out
/// says RAFTCORE_OUTCOME_REPLACED and why. out may be NULL. RAFTCORE_ERR_CONF_CHANGE when no node
/// could ever apply it. Of a change that is forwarded nothing more is heard: when it does not come
/// back among the committed entries in time, look at the membership and propose again.
raftcore_status raftcore_node_propose_conf_change(raftcore_node *node,
                                                  const raftcore_conf_change *change,
                                                  raftcore_proposed *out,
                                                  raftcore_error *error);

/// As raftcore_node_propose_conf_change, with a change that is encoded already: kind is the kind
/// of entry that it is to be, data what raftcore_conf_change_encode wrote. RAFTCORE_ERR_REFUSED
/// when the bytes are no change.
raftcore_status raftcore_node_propose_conf_change_entry(raftcore_node *node,
                                                        raftcore_entry_kind kind,
                                                        const void *data,
                                                        size_t len,
                                                        raftcore_proposed *out,
                                                        raftcore_error *error);

/// Applies the membership change in a committed entry whose kind is not RAFTCORE_ENTRY_NORMAL.
/// Every such entry comes here, in order, at any time before its Ready is advanced; leaving one out
/// is the application's veto, on every member alike. A change that no node can apply is skipped,
/// which the log says. The new membership is written to conf_state, which may be NULL; the caller
/// then owns it and frees it with raftcore_conf_state_destroy. Store it with the application's
/// state: the next snapshot needs it. NULL is written when a snapshot that contains the change was
/// stepped meanwhile: then make no snapshot of your own before that one is restored.
raftcore_status raftcore_node_apply_conf_change_entry(raftcore_node *node,
                                                      const raftcore_entry *entry,
                                                      raftcore_conf_state **conf_state,
                                                      raftcore_error *error);

/// As raftcore_node_apply_conf_change_entry, with a change that the application decoded from the
/// entry, and may have altered: a step whose node it sets to zero is vetoed. Every member must
/// alter it alike. With asynchronous storage writes apply the entry itself where you can: it alone
/// tells whether a snapshot has overtaken the change. The new membership is written to conf_state,
/// which may be NULL; the caller then owns it and frees it with raftcore_conf_state_destroy.
raftcore_status raftcore_node_apply_conf_change(raftcore_node *node,
                                                const raftcore_conf_change *change,
                                                raftcore_conf_state **conf_state,
                                                raftcore_error *error);

/// Asks for an index up to which the application must have applied to answer a read linearizably.
/// The answer comes in a Ready's read_states with the same context, which is copied; or never, if
/// it is lost on the way: ask again after a while. RAFTCORE_ERR_DROPPED says that it was not taken,
/// and why. No context is used twice, not even after a restart: an old answer, with an old index,
/// may be on its way yet.
raftcore_status raftcore_node_read_index(raftcore_node *node,
                                         const void *context,
                                         size_t len,
                                         raftcore_error *error);

/* ------------------------------------------------------------------------------------------------
 * Ready: what to persist, send and apply.
 * --------------------------------------------------------------------------------------------- */

/// What a node is at the moment.
typedef int32_t raftcore_role;
/// Answers others.
#define RAFTCORE_ROLE_FOLLOWER 0
/// Asks for votes.
#define RAFTCORE_ROLE_CANDIDATE 1
/// Replicates its log.
#define RAFTCORE_ROLE_LEADER 2
/// Asks whether an election could be won before it disturbs anyone.
#define RAFTCORE_ROLE_PRE_CANDIDATE 3

/// State that helps an application to route requests. Not persisted. Read it only through the
/// pointer in a Ready: it grows at its end.
typedef struct raftcore_soft_state {
    /// The leader of the current term as far as this node knows; zero: none.
    uint64_t leader;
    /// What this node is: RAFTCORE_ROLE_.
    raftcore_role role;
    /// Zero.
    uint32_t reserved;
} raftcore_soft_state;

/// The answer to raftcore_node_read_index: once everything up to index is applied, the read may
/// be served and is linearizable. Grows at its end: step through an array with its stride.
typedef struct raftcore_read_state {
    /// Apply up to here before you answer.
    uint64_t index;
    /// The context that was given with the request.
    raftcore_slice context;
} raftcore_read_state;

/// Answers to reads. raftcore_read_state_at finds one.
typedef struct raftcore_read_states {
    /// The first; may be NULL when count is 0.
    const raftcore_read_state *items;
    /// How many.
    size_t count;
    /// The distance from one to the next in bytes.
    size_t stride;
} raftcore_read_states;

/// What to do now. In this order, each step only when there is something to do:
///
/// 1. send messages: these may leave before anything is on disk (a leader's appends);
/// 2. write snapshot, then entries and hard_state to stable storage, in one transaction if you
///    can, and sync if must_sync; then give the same to the node's memory storage with
///    raftcore_node_persist;
/// 3. send messages_after_sync: these claim that step 2 is durable;
/// 4. restore the application from snapshot, then apply committed in order: each normal entry to
///    the application, each other one to raftcore_node_apply_conf_change_entry (not calling it is
///    the application's veto, on every node alike);
/// 5. answer the reads in read_states whose index is applied;
/// 6. raftcore_node_advance.
///
/// The Ready and everything it points to belongs to the node and is valid until it is given back,
/// or the node is destroyed. Other calls may be made meanwhile, from this thread or another. It
/// grows at its end: a field that is new in a later version is there when struct_size says so.
typedef struct raftcore_ready {
    /// The size that this struct has in the library.
    size_t struct_size;
    /// Which Ready of its node it is, counted from 1.
    uint64_t number;
    /// The leader or the role changed; otherwise NULL. For information.
    const raftcore_soft_state *soft_state;
    /// To be persisted; NULL when it did not change.
    const raftcore_hard_state *hard_state;
    /// A snapshot to persist and to restore the application from; otherwise NULL. It replaces the
    /// whole log.
    const raftcore_snapshot *snapshot;
    /// Entries to persist. They replace what the storage has from their first index on.
    raftcore_entries entries;
    /// Entries to apply. All of them are committed; none is handed out twice.
    raftcore_entries committed;
    /// Messages that may leave at once.
    raftcore_messages messages;
    /// Messages that may leave only when hard_state, snapshot and entries are durable.
    raftcore_messages messages_after_sync;
    /// Reads that can be answered once their index is applied.
    raftcore_read_states read_states;
    /// 1: step 2 must reach the disk before step 3. 0: a write without a sync is enough, since
    /// what would be lost is learned again.
    uint32_t must_sync;
    /// Zero.
    uint32_t reserved;
    /// Only with asynchronous storage writes: what to pass on when committed is applied.
    raftcore_messages messages_after_apply;
} raftcore_ready;

/// Whether there is a Ready to take, or the node is faulted, so that raftcore_node_ready has
/// something to say: 1 or 0; or an error: a raftcore_status, all of which are below zero, with its
/// text by raftcore_status_text. The number says all that can be wrong here: node is NULL, or the
/// call comes from inside a callback. 0 while one is outstanding, except with asynchronous storage
/// writes. After a 1 raftcore_node_ready may still write NULL, when what there was to send cannot
/// be read. Cheap.
int32_t raftcore_node_has_ready(const raftcore_node *node);

/// Takes the next Ready: writes its address to ready, or NULL when there is nothing to do. One is
/// outstanding at a time: RAFTCORE_ERR_READY_OUTSTANDING until the last one is advanced. Fails with
/// the storage's error when committed entries cannot be read: call again.
///
/// The Ready and everything it points to belongs to the node and is valid until it is given back,
/// or the node is destroyed.
raftcore_status raftcore_node_ready(raftcore_node *node,
                                    const raftcore_ready **ready,
                                    raftcore_error *error);

/// Says that everything in the outstanding Ready is done. Its memory is no longer valid after
/// success. Fails with RAFTCORE_ERR_STALE_READY when this is not the outstanding one, and with
/// RAFTCORE_ERR_NOT_PERSISTED when its entries or snapshot are not in the storage, or with the
/// storage's error when it cannot be read: it then stays outstanding and valid.
raftcore_status raftcore_node_advance(raftcore_node *node,
                                      const raftcore_ready *ready,
                                      raftcore_error *error);

/// Gives back a Ready and takes the next one in one call, for bindings where a call is dear: ready
/// is advanced, or with asynchronous storage writes released; NULL: there is none to give back.
/// Writes the address of the next one to next, or NULL when there is nothing to do. Fails as
/// raftcore_node_advance or raftcore_node_release do, and then ready is still outstanding. When
/// ready is given back but the next one cannot be made, NULL is written and
/// raftcore_node_ready says why.
///
/// The next Ready and everything it points to belongs to the node and is valid until it is given
/// back in turn, or the node is destroyed.
raftcore_status raftcore_node_next(raftcore_node *node,
                                   const raftcore_ready *ready,
                                   const raftcore_ready **next,
                                   raftcore_error *error);

/// As raftcore_node_next, for members in one process: a message of the next Ready whose receiver is
/// among nodes is stepped there before this call returns, and not shown. nodes, an array of count,
/// are those members, in any order; NULL stands for none. messages_after_sync are handed over so
/// only with auto_persist, because then the storage has what they claim. What a member does not
/// take is lost, as on a network.
///
/// The next Ready and everything it points to belongs to the node and is valid until it is given
/// back in turn, or the node is destroyed.
raftcore_status raftcore_node_next_among(raftcore_node *node,
                                         const raftcore_ready *ready,
                                         raftcore_node *const *nodes,
                                         size_t count,
                                         const raftcore_ready **next,
                                         raftcore_error *error);

/// Puts snapshot, entries and hard state of the outstanding Ready into the node's memory storage,
/// without copying a payload. Doing it twice is harmless. Fails with RAFTCORE_ERR_STALE_READY
/// when this is not the outstanding one, RAFTCORE_ERR_NOT_MEMORY when the storage is a table of
/// callbacks.
raftcore_status raftcore_node_persist(raftcore_node *node,
                                      const raftcore_ready *ready,
                                      raftcore_error *error);

/// Bit of parts: the snapshot.
#define RAFTCORE_PERSIST_SNAPSHOT 1
/// Bit of parts: the entries. Those of a Ready with a snapshot follow it.
#define RAFTCORE_PERSIST_ENTRIES 2
/// Bit of parts: the hard state.
#define RAFTCORE_PERSIST_HARD_STATE 4

/// As raftcore_node_persist, for some parts only: the sum of RAFTCORE_PERSIST_ bits. For a program
/// that writes them to disk one after the other.
raftcore_status raftcore_node_persist_parts(raftcore_node *node,
                                            const raftcore_ready *ready,
                                            uint32_t parts,
                                            raftcore_error *error);

/// Says in a few lines what the outstanding Ready contains, for a log. The wording may change.
/// The caller owns the buffer and frees it with raftcore_buffer_free. Fails with
/// RAFTCORE_ERR_STALE_READY when this is not the outstanding one.
raftcore_status raftcore_node_describe_ready(const raftcore_node *node,
                                             const raftcore_ready *ready,
                                             raftcore_buffer *out,
                                             raftcore_error *error);

/* ------------------------------------------------------------------------------------------------
 * Messages in.
 *
 * What came from a peer is handed in as it came, one message or many in one call. A message that
 * is refused is RAFTCORE_ERR_REFUSED and changes nothing: whatever the bytes, they cannot harm
 * the node.
 * --------------------------------------------------------------------------------------------- */

/// Hands in an encoded message that came from a peer. The bytes are copied.
raftcore_status raftcore_node_step(raftcore_node *node,
                                   const void *message,
                                   size_t len,
                                   raftcore_error *error);

/// Hands in count encoded messages in one call. The bytes are copied. Each is tried, whatever
/// became of those before it. Returns RAFTCORE_OK when all were taken, otherwise the status of the
/// first that was not. The status of each is written to statuses, an array of count or NULL, in
/// either case; not when the arguments themselves are wrong (-3xx), and then none was tried.
raftcore_status raftcore_node_step_many(raftcore_node *node,
                                        const raftcore_slice *messages,
                                        size_t count,
                                        raftcore_status *statuses,
                                        raftcore_error *error);

/// As raftcore_node_step_many, with the messages one behind the other in len bytes: lengths, an
/// array of count, says how long each is, and their sum must be len.
raftcore_status raftcore_node_step_packed(raftcore_node *node,
                                          const void *bytes,
                                          size_t len,
                                          const uint64_t *lengths,
                                          size_t count,
                                          raftcore_status *statuses,
                                          raftcore_error *error);

/// Hands in messages as structs: for members in one process, and for a transport that has a format
/// of its own. stride is sizeof(raftcore_message). Everything they point to is copied; encoded is
/// not looked at, response_number must be zero. Otherwise as raftcore_node_step_many.
raftcore_status raftcore_node_step_messages(raftcore_node *node,
                                            const raftcore_messages *messages,
                                            raftcore_status *statuses,
                                            raftcore_error *error);

/// As raftcore_node_step_messages, for one message: without entries, context and snapshot it
/// copies nothing.
raftcore_status raftcore_node_step_message(raftcore_node *node,
                                           const raftcore_message *message,
                                           raftcore_error *error);

/// Hands in a message of an outstanding Ready of the node from: for members in one process, as in
/// a simulation. Nothing is encoded and no payload copied. message points into the Ready; one that
/// goes back to its own node (response_number) is not for this call. Fails with
/// RAFTCORE_ERR_STALE_READY when the Ready is not outstanding or the message none of its own.
raftcore_status raftcore_node_step_from(raftcore_node *node,
                                        const raftcore_node *from,
                                        const raftcore_ready *ready,
                                        const raftcore_message *message,
                                        raftcore_error *error);

/// Hands in messages of an outstanding Ready of the node from, each to the member that it is for,
/// in one call: what raftcore_node_step_from does for one. messages is a whole list of the Ready,
/// messages or messages_after_sync. nodes, an array of count, are the members in this process, in
/// any order; NULL stands for none. What is for others, and what goes back to its own node, is
/// passed over. Each message is tried, whatever became of those before it. Returns RAFTCORE_OK when
/// all were taken, otherwise the status of the first that was not. Fails with
/// RAFTCORE_ERR_STALE_READY when the Ready is not outstanding or the list none of its own.
raftcore_status raftcore_node_deliver(const raftcore_node *from,
                                      const raftcore_ready *ready,
                                      const raftcore_messages *messages,
                                      raftcore_node *const *nodes,
                                      size_t count,
                                      raftcore_error *error);

/* ------------------------------------------------------------------------------------------------
 * Payloads that the program keeps.
 *
 * For a binding whose language has memory of its own and holds each payload there already: only
 * lengths come in, and nothing is copied. The library counts them against its limits as if it had
 * the bytes. Where it shows such an entry, in a Ready or from a storage, data.data is NULL and
 * data.len is not zero; which payload it is, the program knows by index and term. Kept are
 * payloads of entries of kind RAFTCORE_ENTRY_NORMAL that are not empty, on a node without
 * RAFTCORE_FORM_ENCODED in its message_forms, since such an entry cannot be encoded here. A node
 * that has it refuses them with RAFTCORE_ERR_MISUSE, also from another node or a memory storage.
 * --------------------------------------------------------------------------------------------- */

/// The longest payload that a program can keep. Hand in longer ones as they are.
#define RAFTCORE_KEPT_MAX 4194304

/// As raftcore_node_propose_many, with payloads that the program keeps: lengths, an array of
/// count, says how long each is. Only a leader takes them, since they cannot be forwarded:
/// otherwise RAFTCORE_ERR_DROPPED with RAFTCORE_DROP_FORWARDING_DISABLED. out may be NULL.
raftcore_status raftcore_node_propose_kept(raftcore_node *node,
                                           const uint64_t *lengths,
                                           size_t count,
                                           raftcore_proposed *out,
                                           raftcore_error *error);

/// Hands in an append from a peer whose payloads the program keeps. head is the message without
/// its entries, of kind RAFTCORE_MESSAGE_APPEND. terms and lengths, arrays of count, say what the
/// entries are that follow its index. Writes 1 to taken if the log now ends with the last of them,
/// so that all of them are in it, and 0 if not. Otherwise as raftcore_node_step.
raftcore_status raftcore_node_step_kept(raftcore_node *node,
                                        const raftcore_message *head,
                                        const uint64_t *terms,
                                        const uint64_t *lengths,
                                        size_t count,
                                        int32_t *taken,
                                        raftcore_error *error);

/* ------------------------------------------------------------------------------------------------
 * Asynchronous storage writes.
 *
 * For applications that persist in one thread and apply in another while the node goes on, and
 * so set async_storage_writes in the configuration. Each Ready is work for both:
 *
 * - send messages at once;
 * - the append thread makes snapshot, entries and hard_state durable, with a sync if must_sync,
 *   in the order of the Readies, and then passes on messages_after_sync in their order;
 * - the apply thread applies snapshot and committed, in the order of the Readies, and then passes
 *   on messages_after_apply.
 *
 * To pass on is to send a message whose response_number is zero, and to call
 * raftcore_node_storage_response with the number of one that has one. Nothing is advanced: the
 * next Ready can be taken at once, several may be outstanding, and each is given back with
 * raftcore_node_release when nobody needs its memory any more.
 * --------------------------------------------------------------------------------------------- */

/// Tells the node that the work of a storage thread is done: number is the response_number of a
/// message in messages_after_sync or messages_after_apply. Each is told once, those of one thread
/// in their order. Fails with RAFTCORE_ERR_STORAGE_RESPONSE when the node does not wait for it.
raftcore_status raftcore_node_storage_response(raftcore_node *node,
                                               uint64_t number,
                                               raftcore_error *error);

/// Gives back a Ready of a node with asynchronous storage writes. It says nothing about what was
/// done: only its memory is no longer valid after success. Fails with RAFTCORE_ERR_STALE_READY
/// when it is not outstanding, RAFTCORE_ERR_ASYNC_STORAGE_WRITES when the node advances its
/// Readies.
raftcore_status raftcore_node_release(raftcore_node *node,
                                      const raftcore_ready *ready,
                                      raftcore_error *error);

/* ------------------------------------------------------------------------------------------------
 * Waiting for a Ready.
 * --------------------------------------------------------------------------------------------- */

/// Waits for a Ready and takes it. Blocks until there is one, the time is over, raftcore_node_wake
/// is called, or the node is faulted. timeout_ms is in milliseconds: 0 does not wait, a negative
/// one waits without end. Writes NULL to ready when the time is over or the call was woken.
/// While it waits every other call may be made on the node from other threads, except
/// raftcore_node_destroy: wake it and join its thread first. Fails with
/// RAFTCORE_ERR_READY_OUTSTANDING when the last Ready is not advanced.
///
/// The Ready and everything it points to belongs to the node and is valid until it is given back,
/// or the node is destroyed.
raftcore_status raftcore_node_poll_ready(raftcore_node *node,
                                         int32_t timeout_ms,
                                         const raftcore_ready **ready,
                                         raftcore_error *error);

/// Makes every raftcore_node_poll_ready that waits on this node return now; if none waits, the
/// next one returns at once. From any thread.
raftcore_status raftcore_node_wake(raftcore_node *node, raftcore_error *error);

/// Writes to fd a file descriptor that is readable while there is a Ready to take, for epoll,
/// poll, select, libevent, libuv or asyncio. It is level-triggered: readable as long as
/// raftcore_node_has_ready says 1, silent while a Ready is outstanding. It stays readable once the
/// node is faulted: raftcore_node_ready then says why.
///
/// The descriptor is made by the first call and belongs to the node, which closes it in
/// raftcore_node_destroy: take it out of your event loop before. Watch it for reading and do
/// nothing else with it; the library alone drains it. Fails with RAFTCORE_ERR_OS when there is no
/// descriptor left.
raftcore_status raftcore_node_ready_fd(raftcore_node *node, int32_t *fd, raftcore_error *error);

/// Writes to word the address of an int32_t that says what raftcore_node_has_ready would, for a
/// program that asks often, or from a language in which a call is dear. Each call on the node sets
/// it before it returns. Read it with an atomic load if other threads use the node. It belongs to
/// the node, until that is destroyed.
raftcore_status raftcore_node_ready_word(raftcore_node *node,
                                         const int32_t **word,
                                         raftcore_error *error);

/* ------------------------------------------------------------------------------------------------
 * Looking at a node.
 * --------------------------------------------------------------------------------------------- */

/// What a node knows of itself. Memory of the caller's, who sets struct_size.
typedef struct raftcore_node_state {
    /// sizeof(raftcore_node_state), set by the caller.
    size_t struct_size;
    /// Its id.
    uint64_t id;
    /// Its term.
    uint64_t term;
    /// Whom it voted for in that term; zero: none.
    uint64_t vote;
    /// The highest index known to be committed.
    uint64_t commit;
    /// The highest index that the application has applied, as of the last advance.
    uint64_t applied;
    /// The leader of its term as far as it knows; zero: none.
    uint64_t leader;
    /// The index of the first entry that is still in its log.
    uint64_t first_index;
    /// The index of the last entry of its log.
    uint64_t last_index;
    /// Of a leader: to whom it is handing over; zero: to none.
    uint64_t transferring_to;
    /// Of a leader: reads that wait for confirmation.
    uint64_t pending_reads;
    /// Of a leader: payload bytes that are proposed and not yet applied.
    uint64_t uncommitted_bytes;
    /// What it is: RAFTCORE_ROLE_.
    raftcore_role role;
    /// 1 when it is faulted; otherwise 0.
    uint32_t faulted;
    /// What raftcore_node_has_ready would say: 1 or 0.
    uint32_t has_ready;
    /// Zero.
    uint32_t reserved;
} raftcore_node_state;

/// How a leader replicates to a member.
typedef int32_t raftcore_progress_state;
/// It looks for the point where the logs match, one message at a time.
#define RAFTCORE_PROGRESS_PROBE 0
/// It streams.
#define RAFTCORE_PROGRESS_REPLICATE 1
/// It waits for a snapshot to arrive.
#define RAFTCORE_PROGRESS_SNAPSHOT 2

/// How far a leader is with one member. Grows at its end: step through an array with its stride.
typedef struct raftcore_progress {
    /// The member; the leader itself included.
    uint64_t id;
    /// The highest index that the member is known to have.
    uint64_t match_index;
    /// The index of the next entry to send.
    uint64_t next_index;
    /// In the state RAFTCORE_PROGRESS_SNAPSHOT: the snapshot's index; otherwise zero.
    uint64_t pending_snapshot;
    /// Append messages in flight.
    uint64_t inflight_messages;
    /// Payload bytes in flight.
    uint64_t inflight_bytes;
    /// RAFTCORE_PROGRESS_.
    raftcore_progress_state state;
    /// 1 for a learner; otherwise 0.
    uint32_t is_learner;
    /// 1 when it was heard of in the present election timeout; otherwise 0.
    uint32_t recent_active;
    /// 1 when nothing is sent until it answers; otherwise 0.
    uint32_t is_paused;
    /// 1 when appends wait for an answer, in the states PROBE and REPLICATE: what etcd calls
    /// MsgAppFlowPaused.
    uint32_t flow_paused;
    /// Zero.
    uint32_t reserved;
} raftcore_progress;

/// Members in order of their ids. raftcore_progress_at finds one.
typedef struct raftcore_progresses {
    /// The first; may be NULL when count is 0.
    const raftcore_progress *items;
    /// How many.
    size_t count;
    /// The distance from one to the next in bytes.
    size_t stride;
} raftcore_progresses;

/// Everything about a node at one moment.
typedef struct raftcore_details {
    /// The size that this struct has in the library.
    size_t struct_size;
    /// What the node knows of itself.
    const raftcore_node_state *state;
    /// The membership that governs it.
    const raftcore_conf_state *membership;
    /// How far it is with each member; empty unless it leads.
    raftcore_progresses progress;
} raftcore_details;

/// The highest message kind a counter array has room for, plus one.
#define RAFTCORE_METRICS_KINDS 32
/// The highest refusal number a counter array has room for, plus one.
#define RAFTCORE_METRICS_REFUSALS 32

/// What a node has counted since it was made. Memory of the caller's, who sets struct_size.
typedef struct raftcore_metrics {
    /// sizeof(raftcore_metrics), set by the caller.
    size_t struct_size;
    /// Elections started; pre-votes alone do not count.
    uint64_t elections;
    /// Elections won.
    uint64_t leaderships;
    /// Entries appended as a leader because they were proposed.
    uint64_t proposals;
    /// Proposals dropped.
    uint64_t proposals_dropped;
    /// Membership changes replaced by an empty entry.
    uint64_t conf_changes_replaced;
    /// Entries learned to be committed.
    uint64_t committed;
    /// Reads confirmed as a leader.
    uint64_t reads_confirmed;
    /// Snapshots sent.
    uint64_t snapshots_sent;
    /// Snapshots that the log was restored from.
    uint64_t snapshots_restored;
    /// Messages not sent because the storage failed when it was read for them.
    uint64_t sends_skipped;
    /// Messages stepped, refused ones included, by RAFTCORE_MESSAGE_ kind.
    uint64_t received[RAFTCORE_METRICS_KINDS];
    /// Messages handed out, by RAFTCORE_MESSAGE_ kind.
    uint64_t sent[RAFTCORE_METRICS_KINDS];
    /// Messages refused, by RAFTCORE_REFUSAL_ number.
    uint64_t refused[RAFTCORE_METRICS_REFUSALS];
} raftcore_metrics;

/// Writes what the node knows of itself to out, which has its struct_size set. Works on a faulted
/// node too.
raftcore_status raftcore_node_status(const raftcore_node *node,
                                     raftcore_node_state *out,
                                     raftcore_error *error);

/// Writes to out the state, the membership and the progress of every member at one moment. The
/// caller owns it and frees it with raftcore_details_destroy. Works on a faulted node too.
raftcore_status raftcore_node_details(const raftcore_node *node,
                                      raftcore_details **out,
                                      raftcore_error *error);

/// Frees what raftcore_node_details returned. NULL is allowed.
void raftcore_details_destroy(raftcore_details *details);

/// Writes the counters to out, which has its struct_size set. Works on a faulted node too.
raftcore_status raftcore_node_metrics(const raftcore_node *node,
                                      raftcore_metrics *out,
                                      raftcore_error *error);

/* ------------------------------------------------------------------------------------------------
 * Log.
 *
 * The library prints nothing. A node that was given a log function tells it what happens.
 * --------------------------------------------------------------------------------------------- */

/// How important a line of the log is.
typedef int32_t raftcore_log_level;
/// For who looks for a mistake.
#define RAFTCORE_LOG_DEBUG 0
/// Elections, membership changes, snapshots.
#define RAFTCORE_LOG_INFO 1
/// Something is not as it should be; the node goes on.
#define RAFTCORE_LOG_WARN 2
/// The node cannot go on.
#define RAFTCORE_LOG_ERROR 3

/// Takes a line of a node's log: text of len bytes in UTF-8, ended by NUL, valid during the call.
/// It is called on the thread whose call caused the line, before that call returns and after the
/// node is unlocked: it may call into the node, except to destroy it or to set its log. Lines of
/// calls on several threads may come at the same time. It must not longjmp; a C++ exception that
/// leaves it ends the process.
typedef void (*raftcore_log_fn)(void *user_data,
                                raftcore_log_level level,
                                const char *text,
                                size_t len);

/// Sets the function that takes the node's log from the given level up, in place of the one
/// before; NULL: none, and then user_data and finalizer are not used. finalizer (may be NULL) is
/// called once with user_data when the function is replaced or the node destroyed, and no thread
/// is inside the function any more; on failure it is not called.
raftcore_status raftcore_node_set_log(raftcore_node *node,
                                      raftcore_log_level level,
                                      raftcore_log_fn log,
                                      void *user_data,
                                      raftcore_finalizer_fn finalizer,
                                      raftcore_error *error);

/* ------------------------------------------------------------------------------------------------
 * Texts.
 *
 * For logs and for debugging. The texts of kinds and roles are constant: never NULL, not to be
 * freed, "unknown" for a number that has none. The others come in a buffer that the caller owns
 * and frees with raftcore_buffer_free. They are the forms that etcd's raft uses and that the
 * scenarios of this library are written in.
 * --------------------------------------------------------------------------------------------- */

/// The name of a role, for example "StateFollower".
const char *raftcore_role_text(raftcore_role role);

/// The name of a progress state, for example "StateReplicate".
const char *raftcore_progress_state_text(raftcore_progress_state state);

/// The name of a message kind, for example "MsgApp"; also of kinds that never leave a node.
const char *raftcore_message_kind_text(raftcore_message_kind kind);

/// Describes a node on one line, and on a leader each member on one more: what
/// raftcore_node_details says, for example
///
///     1 StateLeader Term:2 Vote:1 Commit:5 Lead:1 Applied:5 Log:1-6
///     2: StateReplicate match=5 next=6
///
/// Works on a faulted node too, and says why it is. The caller owns the buffer and frees it with
/// raftcore_buffer_free.
raftcore_status raftcore_node_describe(const raftcore_node *node,
                                       raftcore_buffer *out,
                                       raftcore_error *error);

/// Describes entries, one a line, for example
///
///     1/4 EntryNormal "x"
///     1/5 EntryConfChangeV2 v3 r1
///
/// The caller owns the buffer and frees it with raftcore_buffer_free.
raftcore_status raftcore_entries_describe(const raftcore_entries *entries,
                                          raftcore_buffer *out,
                                          raftcore_error *error);

/// Describes a hard state, for example "Term:1 Vote:2 Commit:4". The caller owns the buffer and
/// frees it with raftcore_buffer_free.
raftcore_status raftcore_hard_state_describe(const raftcore_hard_state *hard_state,
                                             raftcore_buffer *out,
                                             raftcore_error *error);

/// Describes a membership, for example "Voters:[1 2] VotersOutgoing:[] Learners:[3] LearnersNext:[]
/// AutoLeave:false". The caller owns the buffer and frees it with raftcore_buffer_free.
raftcore_status raftcore_conf_state_describe(const raftcore_conf_state *conf_state,
                                             raftcore_buffer *out,
                                             raftcore_error *error);

/// Describes a snapshot without its data: index, term and membership. The caller owns the buffer
/// and frees it with raftcore_buffer_free.
raftcore_status raftcore_snapshot_describe(const raftcore_snapshot *snapshot,
                                           raftcore_buffer *out,
                                           raftcore_error *error);

/// Describes a membership change, for example "transition:ConfChangeTransitionAuto
/// changes:{type:ConfChangeAddNode node_id:2}". The caller owns the buffer and frees it with
/// raftcore_buffer_free.
raftcore_status raftcore_conf_change_describe(const raftcore_conf_change *change,
                                              raftcore_buffer *out,
                                              raftcore_error *error);

/* ------------------------------------------------------------------------------------------------
 * Initialisers.
 *
 * Values to begin with: everything zero or empty, sizes and strides set.
 *
 *     raftcore_error error = RAFTCORE_ERROR_INIT;
 *     raftcore_conf_change change = RAFTCORE_CONF_CHANGE_INIT;
 * --------------------------------------------------------------------------------------------- */

#define RAFTCORE_SLICE_INIT {NULL, 0}
#define RAFTCORE_IDS_INIT {NULL, 0}
#define RAFTCORE_BUFFER_INIT {NULL, 0, NULL}
#define RAFTCORE_ERROR_INIT {sizeof(raftcore_error), 0, 0, {0}}
#define RAFTCORE_ENTRIES_INIT {NULL, 0, sizeof(raftcore_entry)}
#define RAFTCORE_MESSAGE_INIT \
    {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, RAFTCORE_SLICE_INIT, RAFTCORE_SLICE_INIT, \
     RAFTCORE_ENTRIES_INIT, NULL, 0}
#define RAFTCORE_MESSAGES_INIT {NULL, 0, sizeof(raftcore_message)}
#define RAFTCORE_CONF_STATE_INIT \
    {sizeof(raftcore_conf_state), RAFTCORE_IDS_INIT, RAFTCORE_IDS_INIT, RAFTCORE_IDS_INIT, \
     RAFTCORE_IDS_INIT, 0, 0}
#define RAFTCORE_CONF_CHANGE_INIT \
    {sizeof(raftcore_conf_change), 0, 0, NULL, 0, RAFTCORE_SLICE_INIT, 0}
#define RAFTCORE_SNAPSHOT_INIT {sizeof(raftcore_snapshot), 0, 0, NULL, RAFTCORE_SLICE_INIT}
#define RAFTCORE_STORAGE_CALLBACKS_INIT \
    {sizeof(raftcore_storage_callbacks), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL}
#define RAFTCORE_PROPOSED_INIT {sizeof(raftcore_proposed), 0, 0, 0, 0, 0, 0}
#define RAFTCORE_NODE_STATE_INIT \
    {sizeof(raftcore_node_state), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
#define RAFTCORE_METRICS_INIT \
    {sizeof(raftcore_metrics), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, {0}, {0}, {0}}

/* ------------------------------------------------------------------------------------------------
 * Walking through arrays.
 *
 * _at finds an element: i counts from 0 and is below count. _next finds the one after an element,
 * the first one after NULL, and NULL after the last:
 *
 *     for (const raftcore_message *m = NULL; (m = raftcore_message_next(messages, m));)
 *
 * These functions are part of the program, not of the library.
 * --------------------------------------------------------------------------------------------- */

static inline const void *raftcore_array_at(const void *items, size_t stride, size_t i)
{
    return (const char *)items + i * stride;
}

static inline const void *raftcore_array_next(const void *items, size_t count, size_t stride,
                                              const void *item)
{
    if (count == 0) return NULL;
    if (item == NULL) return items;
    if (item == raftcore_array_at(items, stride, count - 1)) return NULL;
    return raftcore_array_at(item, stride, 1);
}

static inline const raftcore_entry *raftcore_entry_at(const raftcore_entries *array, size_t i)
{
    return (const raftcore_entry *)raftcore_array_at(array->items, array->stride, i);
}

static inline const raftcore_entry *
raftcore_entry_next(const raftcore_entries *array, const raftcore_entry *item)
{
    return (const raftcore_entry *)raftcore_array_next(array->items, array->count,
                                                       array->stride, item);
}

static inline const raftcore_message *raftcore_message_at(const raftcore_messages *array, size_t i)
{
    return (const raftcore_message *)raftcore_array_at(array->items, array->stride, i);
}

static inline const raftcore_message *
raftcore_message_next(const raftcore_messages *array, const raftcore_message *item)
{
    return (const raftcore_message *)raftcore_array_next(array->items, array->count,
                                                         array->stride, item);
}

static inline const raftcore_read_state *
raftcore_read_state_at(const raftcore_read_states *array, size_t i)
{
    return (const raftcore_read_state *)raftcore_array_at(array->items, array->stride, i);
}

static inline const raftcore_read_state *
raftcore_read_state_next(const raftcore_read_states *array, const raftcore_read_state *item)
{
    return (const raftcore_read_state *)raftcore_array_next(array->items, array->count,
                                                            array->stride, item);
}

static inline const raftcore_progress *
raftcore_progress_at(const raftcore_progresses *array, size_t i)
{
    return (const raftcore_progress *)raftcore_array_at(array->items, array->stride, i);
}

static inline const raftcore_progress *
raftcore_progress_next(const raftcore_progresses *array, const raftcore_progress *item)
{
    return (const raftcore_progress *)raftcore_array_next(array->items, array->count,
                                                          array->stride, item);
}

#ifdef __cplusplus
}
#endif

#endif /* RAFTCORE_H */
