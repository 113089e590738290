/*
 * The C side of the Go binding.
 *
 * A box is the memory in which a node and its Go wrapper meet: what a call gives back lies there,
 * in C's memory, and Go reads it without another call. So no pointer into Go's memory is kept or
 * stored by C, and a call allocates nothing. Only the bytes of a call are Go's, for as long as the
 * call lasts.
 */
#ifndef RAFTCORE_GO_SHIM_H
#define RAFTCORE_GO_SHIM_H

#include <raftcore.h>

typedef struct rc_box {
    /* The Ready that is outstanding, or NULL. */
    const raftcore_ready *ready;
    uint64_t id;
    /* The RAFTCORE_PERSIST_ parts of it that the application has stored, and that wait to be given
       to the memory storage with the next call. */
    uint32_t stored;
    /* Whether the node had a Ready when its last call returned. */
    int32_t has_ready;
    /* Whether the log ends with what rc_step_kept handed in. */
    int32_t taken;
    /* What rc_state wrote. */
    raftcore_node_state state;
    /* What became of the last proposal. */
    raftcore_proposed proposed;
    /* Why the last call failed, if it did. */
    raftcore_error error;
} rc_box;

/* The address of a box and its node. Go has it as a number: cgo looks for pointers of Go's behind
   whatever it can see to be a pointer, at each call. */
typedef uintptr_t rc_node;

/* A head in a packed array of entries; len bytes of data follow it, and then the next head. */
typedef struct rc_head {
    uint64_t term;
    uint64_t index;
    uint64_t len;
    int32_t kind;
    int32_t reserved;
} rc_head;

/* A number for this thread that no other living thread has. */
uintptr_t rc_thread(void);

/* Calls on a node. What they return is the library's status. */
rc_node rc_node_new(void);
rc_box *rc_box_of(rc_node ref);
int32_t rc_create(rc_node ref, raftcore_config *config, raftcore_storage *storage);
/* Frees the node. The box stays, and says that there is no Ready. */
void rc_node_close(rc_node ref);
/* Frees both. */
void rc_node_free(rc_node ref);
int32_t rc_set_log(rc_node ref, int32_t level, uint64_t handle);
int32_t rc_bootstrap(rc_node ref, const uint64_t *ids, const uint64_t *lengths, size_t count,
                     const uint8_t *contexts);
int32_t rc_tick(rc_node ref);
int32_t rc_tick_quiesced(rc_node ref);
int32_t rc_campaign(rc_node ref);
int32_t rc_step(rc_node ref, const uint8_t *data, size_t len);
/* A message without entries, context and snapshot. */
int32_t rc_step_plain(rc_node ref, int32_t kind, uint32_t reject, uint64_t to, uint64_t from,
                      uint64_t term, uint64_t log_term, uint64_t index, uint64_t commit,
                      uint64_t reject_hint);
/* An append: the terms of its entries, and then the lengths of their payloads. */
int32_t rc_step_kept(rc_node ref, uint64_t to, uint64_t from, uint64_t term, uint64_t log_term,
                     uint64_t index, uint64_t commit, const uint64_t *words, size_t count);
int32_t rc_step_many(rc_node ref, const uint8_t *data, size_t len, const uint64_t *lengths,
                     size_t count, int32_t *statuses);
int32_t rc_propose(rc_node ref, const uint8_t *data, size_t len);
int32_t rc_propose_kept(rc_node ref, const uint64_t *lengths, size_t count);
int32_t rc_propose_many(rc_node ref, const uint8_t *data, size_t len, const uint64_t *lengths,
                        size_t count);
int32_t rc_propose_conf_change(rc_node ref, int32_t kind, const uint8_t *data, size_t len);
int32_t rc_apply_conf_change(rc_node ref, int32_t kind, const uint8_t *data, size_t len,
                             raftcore_conf_state **out);
int32_t rc_apply_entry(rc_node ref, uint64_t term, uint64_t index, int32_t kind,
                       const uint8_t *data, size_t len, raftcore_conf_state **out);
int32_t rc_read_index(rc_node ref, const uint8_t *data, size_t len);
int32_t rc_transfer_leader(rc_node ref, uint64_t to);
int32_t rc_forget_leader(rc_node ref);
int32_t rc_report_unreachable(rc_node ref, uint64_t peer);
int32_t rc_report_snapshot(rc_node ref, uint64_t peer, int32_t status);
int32_t rc_ready(rc_node ref);
int32_t rc_persist(rc_node ref);
int32_t rc_state(rc_node ref);
int32_t rc_advance(rc_node ref);
int32_t rc_release(rc_node ref);
int32_t rc_storage_response(rc_node ref, uint64_t number);
int32_t rc_details(rc_node ref, raftcore_details **out);

/* A storage whose callbacks are the //export functions of callbacks.go. */
int32_t rc_storage_callbacks(uint64_t handle, raftcore_storage **out, raftcore_error *error);

int32_t rc_storage_append(raftcore_storage *storage, const uint8_t *packed, size_t count,
                          raftcore_error *error);

/* A ConfState, a snapshot, as the caller of the library has to lay them out: one call each. */
typedef struct rc_members {
    uint64_t counts[4];
    uint32_t auto_leave;
    uint32_t is_null;
} rc_members;

int32_t rc_storage_set_conf_state(raftcore_storage *storage, const rc_members *members,
                                  const uint64_t *ids, raftcore_error *error);
int32_t rc_storage_apply_snapshot(raftcore_storage *storage, uint64_t index, uint64_t term,
                                  const rc_members *members, const uint64_t *ids,
                                  const uint8_t *data, size_t len, raftcore_error *error);
int32_t rc_storage_create_snapshot(raftcore_storage *storage, uint64_t index,
                                   const rc_members *members, const uint64_t *ids,
                                   const uint8_t *data, size_t len, raftcore_snapshot **out,
                                   raftcore_error *error);

#endif
