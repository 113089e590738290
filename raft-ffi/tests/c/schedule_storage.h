/* A storage by callbacks that keeps its log in a memory storage of the library's: what a callback
 * may call. Reading can be made to fail. */
#ifndef SCHEDULE_STORAGE_H
#define SCHEDULE_STORAGE_H

#include "check.h"

struct faulty {
    raftcore_storage *log;
    int reads_fail, snapshot_busy;
    int *finalized;
    /* What the last callback returned: its own until the next one. */
    raftcore_entries *entries;
    raftcore_conf_state *conf_state;
    raftcore_snapshot *snapshot;
};

static inline void faulty_forget(struct faulty *at)
{
    raftcore_entries_destroy(at->entries);
    raftcore_conf_state_destroy(at->conf_state);
    raftcore_snapshot_destroy(at->snapshot);
    at->entries = NULL;
    at->conf_state = NULL;
    at->snapshot = NULL;
}

static inline raftcore_status faulty_enter(struct faulty *at, raftcore_error *error)
{
    faulty_forget(at);
    if (!at->reads_fail) return RAFTCORE_OK;
    strcpy(error->message, "as told");
    return RAFTCORE_ERR_STORAGE;
}

static raftcore_status faulty_initial_state(void *user_data, raftcore_hard_state *hard_state,
                                            raftcore_conf_state *conf_state, raftcore_error *error)
{
    struct faulty *at = user_data;
    raftcore_status status = faulty_enter(at, error);
    if (status == RAFTCORE_OK)
        status = raftcore_storage_initial_state(at->log, hard_state, &at->conf_state, error);
    if (status == RAFTCORE_OK) *conf_state = *at->conf_state;
    return status;
}

static raftcore_status faulty_entries(void *user_data, uint64_t low, uint64_t high,
                                      uint64_t max_bytes, raftcore_entries *entries,
                                      raftcore_error *error)
{
    struct faulty *at = user_data;
    raftcore_status status = faulty_enter(at, error);
    if (status == RAFTCORE_OK)
        status = raftcore_storage_entries(at->log, low, high, max_bytes, &at->entries, error);
    if (status == RAFTCORE_OK) *entries = *at->entries;
    return status;
}

static raftcore_status faulty_term(void *user_data, uint64_t index, uint64_t *term,
                                   raftcore_error *error)
{
    raftcore_status status = faulty_enter(user_data, error);
    struct faulty *at = user_data;
    return status != RAFTCORE_OK ? status : raftcore_storage_term(at->log, index, term, error);
}

static raftcore_status faulty_first_index(void *user_data, uint64_t *index, raftcore_error *error)
{
    raftcore_status status = faulty_enter(user_data, error);
    struct faulty *at = user_data;
    return status != RAFTCORE_OK ? status : raftcore_storage_first_index(at->log, index, error);
}

static raftcore_status faulty_last_index(void *user_data, uint64_t *index, raftcore_error *error)
{
    raftcore_status status = faulty_enter(user_data, error);
    struct faulty *at = user_data;
    return status != RAFTCORE_OK ? status : raftcore_storage_last_index(at->log, index, error);
}

static raftcore_status faulty_snapshot(void *user_data, raftcore_snapshot *snapshot,
                                       raftcore_error *error)
{
    struct faulty *at = user_data;
    raftcore_status status = faulty_enter(at, error);
    if (status == RAFTCORE_OK && at->snapshot_busy) status = RAFTCORE_ERR_SNAPSHOT_UNAVAILABLE;
    if (status == RAFTCORE_OK)
        status = raftcore_storage_snapshot(at->log, &at->snapshot, error);
    if (status == RAFTCORE_OK) *snapshot = *at->snapshot;
    return status;
}

static void faulty_finalize(void *user_data)
{
    struct faulty *at = user_data;
    faulty_forget(at);
    raftcore_storage_destroy(at->log);
    ++*at->finalized;
    free(at);
}

/* Reads through it; writes go to its log, which lives as long. */
static inline raftcore_storage *faulty_create(struct faulty **out, int *finalized)
{
    struct faulty *at = calloc(1, sizeof *at);
    raftcore_storage *storage;
    CHECK(at != NULL);
    at->finalized = finalized;
    OK(raftcore_storage_create_memory(NULL, &at->log, &error));
    raftcore_storage_callbacks table = {
        .struct_size = sizeof table,
        .user_data = at,
        .initial_state = faulty_initial_state,
        .entries = faulty_entries,
        .term = faulty_term,
        .first_index = faulty_first_index,
        .last_index = faulty_last_index,
        .snapshot = faulty_snapshot,
        .finalizer = faulty_finalize,
    };
    OK(raftcore_storage_create_callbacks(&table, &storage, &error));
    *out = at;
    return storage;
}

#endif
