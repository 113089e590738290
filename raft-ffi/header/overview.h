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
 * @CHAPTERS@
 */

#ifndef RAFTCORE_H
#define RAFTCORE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
