#include "shim.h"

#include <stdlib.h>
#include <string.h>

#include "_cgo_export.h"

/* Gives the memory storage what the application has stored of the outstanding Ready. */
static int32_t enter(rc_box *box)
{
    uint32_t parts = box->stored;
    if (parts == 0) return RAFTCORE_OK;
    box->stored = 0;
    return raftcore_node_persist_parts(box->node, box->ready, parts, &box->error);
}

/* On leaving a call: what Go reads of the node without asking again. */
static int32_t leave(rc_box *box, int32_t status)
{
    box->has_ready = raftcore_node_has_ready(box->node);
    return status;
}

rc_box *rc_box_new(void)
{
    rc_box *box = calloc(1, sizeof *box);
    if (box == NULL) return NULL;
    box->state.struct_size = sizeof box->state;
    box->proposed.struct_size = sizeof box->proposed;
    box->error.struct_size = sizeof box->error;
    return box;
}

int32_t rc_create(rc_box *box, raftcore_config *config, raftcore_storage *storage)
{
    int32_t status = raftcore_node_create(config, storage, &box->node, &box->error);
    box->id = config->id;
    return status == RAFTCORE_OK ? leave(box, status) : status;
}

void rc_box_free(rc_box *box)
{
    if (box->node != NULL) (void)enter(box);
    raftcore_node_destroy(box->node);
    free(box->entries);
    free(box);
}

static void log_line(void *user_data, raftcore_log_level level, const char *text, size_t len)
{
    raftcoreGoLog((uint64_t)(uintptr_t)user_data, level, (char *)text, len);
}

static void release(void *user_data)
{
    raftcoreGoRelease((uint64_t)(uintptr_t)user_data);
}

int32_t rc_set_log(rc_box *box, int32_t level, uint64_t handle)
{
    return raftcore_node_set_log(box->node, level, log_line, (void *)(uintptr_t)handle, release,
                                 &box->error);
}

int32_t rc_bootstrap(rc_box *box, const uint64_t *ids, const uint64_t *lengths, size_t count,
                     const uint8_t *contexts)
{
    raftcore_peer *peers = calloc(count + 1, sizeof *peers);
    if (peers == NULL) return RAFTCORE_ERR_OS;
    for (size_t i = 0; i < count; i++) {
        peers[i].id = ids[i];
        peers[i].context.data = contexts;
        peers[i].context.len = lengths[i];
        contexts += lengths[i];
    }
    int32_t status = raftcore_node_bootstrap(box->node, peers, count, &box->error);
    free(peers);
    return leave(box, status);
}

int32_t rc_tick(rc_box *box)
{
    return leave(box, raftcore_node_tick(box->node, &box->error));
}

int32_t rc_tick_quiesced(rc_box *box)
{
    return leave(box, raftcore_node_tick_quiesced(box->node, &box->error));
}

int32_t rc_campaign(rc_box *box)
{
    return leave(box, raftcore_node_campaign(box->node, &box->error));
}

int32_t rc_step(rc_box *box, const uint8_t *data, size_t len)
{
    return leave(box, raftcore_node_step(box->node, data, len, &box->error));
}

/* Makes entries of a packed array. Their data stays where it is. */
static void unpack(raftcore_entry *array, const uint8_t *packed, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        rc_head head;
        memcpy(&head, packed, sizeof head);
        packed += sizeof head;
        array[i].term = head.term;
        array[i].index = head.index;
        array[i].kind = head.kind;
        array[i].reserved = 0;
        array[i].data.data = packed;
        array[i].data.len = head.len;
        packed += head.len;
    }
}

int32_t rc_step_message(rc_box *box, const uint8_t *packed, size_t count, const uint8_t *context,
                        size_t context_len)
{
    if (count > box->capacity) {
        raftcore_entry *larger = realloc(box->entries, count * sizeof *larger);
        if (larger == NULL) return RAFTCORE_ERR_OS;
        box->entries = larger;
        box->capacity = count;
    }
    unpack(box->entries, packed, count);
    raftcore_message *message = &box->message;
    message->context.data = context;
    message->context.len = context_len;
    message->entries.items = box->entries;
    message->entries.count = count;
    message->entries.stride = sizeof *box->entries;
    raftcore_messages one = {.items = message, .count = 1, .stride = sizeof *message};
    return leave(box, raftcore_node_step_messages(box->node, &one, NULL, &box->error));
}

int32_t rc_step_many(rc_box *box, const uint8_t *data, size_t len, const uint64_t *lengths,
                     size_t count, int32_t *statuses)
{
    return leave(box, raftcore_node_step_packed(box->node, data, len, lengths, count, statuses,
                                                &box->error));
}

int32_t rc_propose(rc_box *box, const uint8_t *data, size_t len)
{
    return leave(box, raftcore_node_propose(box->node, data, len, &box->proposed, &box->error));
}

int32_t rc_propose_many(rc_box *box, const uint8_t *data, size_t len, const uint64_t *lengths,
                        size_t count)
{
    return leave(box, raftcore_node_propose_packed(box->node, data, len, lengths, count,
                                                   &box->proposed, &box->error));
}

int32_t rc_propose_conf_change(rc_box *box, int32_t kind, const uint8_t *data, size_t len)
{
    return leave(box, raftcore_node_propose_conf_change_entry(box->node, kind, data, len,
                                                              &box->proposed, &box->error));
}

int32_t rc_apply_conf_change(rc_box *box, int32_t kind, const uint8_t *data, size_t len,
                             raftcore_conf_state **out)
{
    raftcore_conf_change *change = NULL;
    int32_t status = raftcore_conf_change_decode(kind, data, len, &change, &box->error);
    if (status != RAFTCORE_OK) return status;
    status = raftcore_node_apply_conf_change(box->node, change, out, &box->error);
    raftcore_conf_change_destroy(change);
    return leave(box, status);
}

int32_t rc_apply_entry(rc_box *box, uint64_t term, uint64_t index, int32_t kind,
                       const uint8_t *data, size_t len, raftcore_conf_state **out)
{
    raftcore_entry entry = {.term = term, .index = index, .kind = kind,
                            .data = {.data = data, .len = len}};
    return leave(box, raftcore_node_apply_conf_change_entry(box->node, &entry, out, &box->error));
}

int32_t rc_read_index(rc_box *box, const uint8_t *data, size_t len)
{
    return leave(box, raftcore_node_read_index(box->node, data, len, &box->error));
}

int32_t rc_transfer_leader(rc_box *box, uint64_t to)
{
    return leave(box, raftcore_node_transfer_leader(box->node, to, &box->error));
}

int32_t rc_forget_leader(rc_box *box)
{
    return leave(box, raftcore_node_forget_leader(box->node, &box->error));
}

int32_t rc_report_unreachable(rc_box *box, uint64_t peer)
{
    return leave(box, raftcore_node_report_unreachable(box->node, peer, &box->error));
}

int32_t rc_report_snapshot(rc_box *box, uint64_t peer, int32_t status)
{
    return leave(box, raftcore_node_report_snapshot(box->node, peer, status, &box->error));
}

int32_t rc_ready(rc_box *box)
{
    return leave(box, raftcore_node_ready(box->node, &box->ready, &box->error));
}

int32_t rc_persist(rc_box *box)
{
    return enter(box);
}

int32_t rc_state(rc_box *box)
{
    return raftcore_node_status(box->node, &box->state, NULL);
}

int32_t rc_advance(rc_box *box)
{
    int32_t status = enter(box);
    if (status != RAFTCORE_OK) return leave(box, status);
    status = raftcore_node_advance(box->node, box->ready, &box->error);
    if (status == RAFTCORE_OK) box->ready = NULL;
    return leave(box, status);
}

int32_t rc_release(rc_box *box)
{
    int32_t status = raftcore_node_release(box->node, box->ready, &box->error);
    if (status == RAFTCORE_OK) box->ready = NULL;
    return leave(box, status);
}

int32_t rc_storage_response(rc_box *box, uint64_t number)
{
    return leave(box, raftcore_node_storage_response(box->node, number, &box->error));
}

int32_t rc_details(rc_box *box, raftcore_details **out)
{
    return raftcore_node_details(box->node, out, &box->error);
}

/* ---- a storage written in Go ---- */

static raftcore_status initial_state(void *user_data, raftcore_hard_state *hard_state,
                                     raftcore_conf_state *conf_state, raftcore_error *error)
{
    return raftcoreGoInitialState((uint64_t)(uintptr_t)user_data, hard_state, conf_state, error);
}

static raftcore_status entries(void *user_data, uint64_t low, uint64_t high, uint64_t max_bytes,
                               raftcore_entries *out, raftcore_error *error)
{
    return raftcoreGoEntries((uint64_t)(uintptr_t)user_data, low, high, max_bytes, out, error);
}

static raftcore_status term(void *user_data, uint64_t index, uint64_t *out, raftcore_error *error)
{
    return raftcoreGoTerm((uint64_t)(uintptr_t)user_data, index, out, error);
}

static raftcore_status first_index(void *user_data, uint64_t *out, raftcore_error *error)
{
    return raftcoreGoFirstIndex((uint64_t)(uintptr_t)user_data, out, error);
}

static raftcore_status last_index(void *user_data, uint64_t *out, raftcore_error *error)
{
    return raftcoreGoLastIndex((uint64_t)(uintptr_t)user_data, out, error);
}

static raftcore_status snapshot(void *user_data, raftcore_snapshot *out, raftcore_error *error)
{
    return raftcoreGoSnapshot((uint64_t)(uintptr_t)user_data, out, error);
}

int32_t rc_storage_callbacks(uint64_t handle, raftcore_storage **out, raftcore_error *error)
{
    raftcore_storage_callbacks table = {
        .struct_size = sizeof table,
        .user_data = (void *)(uintptr_t)handle,
        .initial_state = initial_state,
        .entries = entries,
        .term = term,
        .first_index = first_index,
        .last_index = last_index,
        .snapshot = snapshot,
        .finalizer = release,
    };
    return raftcore_storage_create_callbacks(&table, out, error);
}

/* ---- the memory storage ---- */

int32_t rc_storage_append(raftcore_storage *storage, const uint8_t *packed, size_t count,
                          raftcore_error *error)
{
    raftcore_entry *array = calloc(count + 1, sizeof *array);
    if (array == NULL) return RAFTCORE_ERR_OS;
    unpack(array, packed, count);
    raftcore_entries entries = {.items = array, .count = count, .stride = sizeof *array};
    int32_t status = raftcore_storage_append(storage, &entries, error);
    free(array);
    return status;
}

static raftcore_conf_state conf_state(const rc_members *members, const uint64_t *ids)
{
    raftcore_conf_state state = {.struct_size = sizeof state, .auto_leave = members->auto_leave};
    raftcore_ids *lists[4] = {&state.voters, &state.learners, &state.voters_outgoing,
                              &state.learners_next};
    for (size_t i = 0; i < 4; i++) {
        lists[i]->items = ids;
        lists[i]->count = members->counts[i];
        ids += members->counts[i];
    }
    return state;
}

int32_t rc_storage_set_conf_state(raftcore_storage *storage, const rc_members *members,
                                  const uint64_t *ids, raftcore_error *error)
{
    raftcore_conf_state state = conf_state(members, ids);
    return raftcore_storage_set_conf_state(storage, &state, error);
}

int32_t rc_storage_apply_snapshot(raftcore_storage *storage, uint64_t index, uint64_t term,
                                  const rc_members *members, const uint64_t *ids,
                                  const uint8_t *data, size_t len, raftcore_error *error)
{
    raftcore_conf_state state = conf_state(members, ids);
    raftcore_snapshot snapshot = {.struct_size = sizeof snapshot, .index = index, .term = term,
                                  .conf_state = &state, .data = {.data = data, .len = len}};
    return raftcore_storage_apply_snapshot(storage, &snapshot, error);
}

int32_t rc_storage_create_snapshot(raftcore_storage *storage, uint64_t index,
                                   const rc_members *members, const uint64_t *ids,
                                   const uint8_t *data, size_t len, raftcore_snapshot **out,
                                   raftcore_error *error)
{
    raftcore_conf_state state = conf_state(members, ids);
    return raftcore_storage_create_snapshot(storage, index, members->is_null ? NULL : &state, data,
                                            len, out, error);
}
