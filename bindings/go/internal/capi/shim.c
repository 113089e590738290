#include "shim.h"

#include <stdlib.h>
#include <string.h>

#include "_cgo_export.h"

struct node {
    rc_box box;
    raftcore_node *core;
    /* Where the library says whether there is a Ready. */
    const int32_t *word;
};

static struct node *of(rc_node ref)
{
    return (struct node *)ref;
}

uintptr_t rc_thread(void)
{
    static _Thread_local char mark;
    return (uintptr_t)&mark;
}

rc_box *rc_box_of(rc_node ref)
{
    return &of(ref)->box;
}

/* Gives the memory storage what the application has stored of the outstanding Ready. */
static int32_t enter(struct node *node)
{
    uint32_t parts = node->box.stored;
    if (parts == 0) return RAFTCORE_OK;
    node->box.stored = 0;
    return raftcore_node_persist_parts(node->core, node->box.ready, parts, &node->box.error);
}

/* Every call ends here. Go reads what it notes at any time. */
static int32_t leave(struct node *node, int32_t status)
{
    __atomic_store_n(&node->box.has_ready, __atomic_load_n(node->word, __ATOMIC_ACQUIRE),
                     __ATOMIC_RELEASE);
    return status;
}

rc_node rc_node_new(void)
{
    struct node *node = calloc(1, sizeof *node);
    if (node == NULL) return 0;
    node->box.state.struct_size = sizeof node->box.state;
    node->box.proposed.struct_size = sizeof node->box.proposed;
    node->box.error.struct_size = sizeof node->box.error;
    return (rc_node)node;
}

int32_t rc_create(rc_node ref, raftcore_config *config, raftcore_storage *storage)
{
    struct node *node = of(ref);
    int32_t status = raftcore_node_create(config, storage, &node->core, &node->box.error);
    node->box.id = config->id;
    if (status != RAFTCORE_OK) return status;
    status = raftcore_node_ready_word(node->core, &node->word, &node->box.error);
    return status == RAFTCORE_OK ? leave(node, status) : status;
}

void rc_node_close(rc_node ref)
{
    struct node *node = of(ref);
    if (node->core == NULL) return;
    (void)enter(node);
    raftcore_node_destroy(node->core);
    node->core = NULL;
    __atomic_store_n(&node->box.has_ready, 0, __ATOMIC_RELEASE);
}

void rc_node_free(rc_node ref)
{
    rc_node_close(ref);
    free(of(ref));
}

static void log_line(void *user_data, raftcore_log_level level, const char *text, size_t len)
{
    raftcoreGoLog((uint64_t)(uintptr_t)user_data, level, (char *)text, len);
}

static void release(void *user_data)
{
    raftcoreGoRelease((uint64_t)(uintptr_t)user_data);
}

int32_t rc_set_log(rc_node ref, int32_t level, uint64_t handle)
{
    struct node *node = of(ref);
    return raftcore_node_set_log(node->core, level, log_line, (void *)(uintptr_t)handle, release,
                                 &node->box.error);
}

int32_t rc_bootstrap(rc_node ref, const uint64_t *ids, const uint64_t *lengths, size_t count,
                     const uint8_t *contexts)
{
    struct node *node = of(ref);
    raftcore_peer *peers = calloc(count + 1, sizeof *peers);
    if (peers == NULL) return RAFTCORE_ERR_OS;
    for (size_t i = 0; i < count; i++) {
        peers[i].id = ids[i];
        peers[i].context.data = contexts;
        peers[i].context.len = lengths[i];
        contexts += lengths[i];
    }
    int32_t status = raftcore_node_bootstrap(node->core, peers, count, &node->box.error);
    free(peers);
    return leave(node, status);
}

int32_t rc_tick(rc_node ref)
{
    struct node *node = of(ref);
    return leave(node, raftcore_node_tick(node->core, &node->box.error));
}

int32_t rc_tick_quiesced(rc_node ref)
{
    struct node *node = of(ref);
    return leave(node, raftcore_node_tick_quiesced(node->core, &node->box.error));
}

int32_t rc_campaign(rc_node ref)
{
    struct node *node = of(ref);
    return leave(node, raftcore_node_campaign(node->core, &node->box.error));
}

int32_t rc_step(rc_node ref, const uint8_t *data, size_t len)
{
    struct node *node = of(ref);
    return leave(node, raftcore_node_step(node->core, data, len, &node->box.error));
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

static raftcore_message head_of(int32_t kind, uint64_t to, uint64_t from, uint64_t term,
                                uint64_t log_term, uint64_t index, uint64_t commit)
{
    raftcore_message head = RAFTCORE_MESSAGE_INIT;
    head.kind = kind;
    head.to = to;
    head.from = from;
    head.term = term;
    head.log_term = log_term;
    head.index = index;
    head.commit = commit;
    return head;
}

int32_t rc_step_kept(rc_node ref, uint64_t to, uint64_t from, uint64_t term, uint64_t log_term,
                     uint64_t index, uint64_t commit, const uint64_t *words, size_t count)
{
    struct node *node = of(ref);
    raftcore_message head =
        head_of(RAFTCORE_MESSAGE_APPEND, to, from, term, log_term, index, commit);
    return leave(node, raftcore_node_step_kept(node->core, &head, words, words + count, count,
                                   &node->box.taken, &node->box.error));
}

int32_t rc_step_plain(rc_node ref, int32_t kind, uint32_t reject, uint64_t to, uint64_t from,
                      uint64_t term, uint64_t log_term, uint64_t index, uint64_t commit,
                      uint64_t reject_hint)
{
    struct node *node = of(ref);
    raftcore_message message = head_of(kind, to, from, term, log_term, index, commit);
    message.reject = reject;
    message.reject_hint = reject_hint;
    return leave(node, raftcore_node_step_message(node->core, &message, &node->box.error));
}

int32_t rc_step_many(rc_node ref, const uint8_t *data, size_t len, const uint64_t *lengths,
                     size_t count, int32_t *statuses)
{
    struct node *node = of(ref);
    return leave(node, raftcore_node_step_packed(node->core, data, len, lengths, count, statuses,
                                     &node->box.error));
}

int32_t rc_propose(rc_node ref, const uint8_t *data, size_t len)
{
    struct node *node = of(ref);
    return leave(node, raftcore_node_propose(node->core, data, len, &node->box.proposed,
                                             &node->box.error));
}

int32_t rc_propose_kept(rc_node ref, const uint64_t *lengths, size_t count)
{
    struct node *node = of(ref);
    return leave(node, raftcore_node_propose_kept(node->core, lengths, count, &node->box.proposed,
                                      &node->box.error));
}

int32_t rc_propose_many(rc_node ref, const uint8_t *data, size_t len, const uint64_t *lengths,
                        size_t count)
{
    struct node *node = of(ref);
    return leave(node, raftcore_node_propose_packed(node->core, data, len, lengths, count,
                                                    &node->box.proposed, &node->box.error));
}

int32_t rc_propose_conf_change(rc_node ref, int32_t kind, const uint8_t *data, size_t len)
{
    struct node *node = of(ref);
    int32_t status = raftcore_node_propose_conf_change_entry(
        node->core, kind, data, len, &node->box.proposed, &node->box.error);
    return leave(node, status);
}

int32_t rc_apply_conf_change(rc_node ref, int32_t kind, const uint8_t *data, size_t len,
                             raftcore_conf_state **out)
{
    struct node *node = of(ref);
    raftcore_conf_change *change = NULL;
    int32_t status = raftcore_conf_change_decode(kind, data, len, &change, &node->box.error);
    if (status != RAFTCORE_OK) return status;
    status = raftcore_node_apply_conf_change(node->core, change, out, &node->box.error);
    raftcore_conf_change_destroy(change);
    return leave(node, status);
}

int32_t rc_apply_entry(rc_node ref, uint64_t term, uint64_t index, int32_t kind,
                       const uint8_t *data, size_t len, raftcore_conf_state **out)
{
    struct node *node = of(ref);
    raftcore_entry entry = {.term = term, .index = index, .kind = kind,
                            .data = {.data = data, .len = len}};
    return leave(node, raftcore_node_apply_conf_change_entry(node->core, &entry, out,
                                                             &node->box.error));
}

int32_t rc_read_index(rc_node ref, const uint8_t *data, size_t len)
{
    struct node *node = of(ref);
    return leave(node, raftcore_node_read_index(node->core, data, len, &node->box.error));
}

int32_t rc_transfer_leader(rc_node ref, uint64_t to)
{
    struct node *node = of(ref);
    return leave(node, raftcore_node_transfer_leader(node->core, to, &node->box.error));
}

int32_t rc_forget_leader(rc_node ref)
{
    struct node *node = of(ref);
    return leave(node, raftcore_node_forget_leader(node->core, &node->box.error));
}

int32_t rc_report_unreachable(rc_node ref, uint64_t peer)
{
    struct node *node = of(ref);
    return leave(node, raftcore_node_report_unreachable(node->core, peer, &node->box.error));
}

int32_t rc_report_snapshot(rc_node ref, uint64_t peer, int32_t status)
{
    struct node *node = of(ref);
    return leave(node, raftcore_node_report_snapshot(node->core, peer, status, &node->box.error));
}

int32_t rc_ready(rc_node ref)
{
    struct node *node = of(ref);
    return leave(node, raftcore_node_ready(node->core, &node->box.ready, &node->box.error));
}

int32_t rc_persist(rc_node ref)
{
    struct node *node = of(ref);
    return leave(node, enter(node));
}

int32_t rc_state(rc_node ref)
{
    struct node *node = of(ref);
    return leave(node, raftcore_node_status(node->core, &node->box.state, NULL));
}

int32_t rc_advance(rc_node ref)
{
    struct node *node = of(ref);
    int32_t status = enter(node);
    if (status != RAFTCORE_OK) return leave(node, status);
    status = raftcore_node_advance(node->core, node->box.ready, &node->box.error);
    if (status == RAFTCORE_OK) node->box.ready = NULL;
    return leave(node, status);
}

int32_t rc_release(rc_node ref)
{
    struct node *node = of(ref);
    int32_t status = raftcore_node_release(node->core, node->box.ready, &node->box.error);
    if (status == RAFTCORE_OK) node->box.ready = NULL;
    return leave(node, status);
}

int32_t rc_storage_response(rc_node ref, uint64_t number)
{
    struct node *node = of(ref);
    return leave(node, raftcore_node_storage_response(node->core, number, &node->box.error));
}

int32_t rc_details(rc_node ref, raftcore_details **out)
{
    struct node *node = of(ref);
    return leave(node, raftcore_node_details(node->core, out, &node->box.error));
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
