/* A log of the application's own, behind a table of callbacks. */
#include "cluster.h"

enum { LOG_MAX = 64, PAYLOAD_MAX = 32 };

/* The application's log, as it might be on disk. */
struct disk {
    raftcore_hard_state hard_state;
    raftcore_entry entries[LOG_MAX]; /* entry i has index i + 1 */
    uint8_t payloads[LOG_MAX][PAYLOAD_MAX];
    uint64_t last;
    uint64_t voters[1];
    raftcore_node *calls_back; /* a mistake: a callback that calls its own node */
    int fails, finalized;
};

static raftcore_status initial_state(void *user_data, raftcore_hard_state *hard_state,
                                     raftcore_conf_state *conf_state, raftcore_error *error)
{
    struct disk *disk = user_data;
    (void)error;
    CHECK_EQ(conf_state->struct_size, sizeof *conf_state);
    *hard_state = disk->hard_state;
    conf_state->voters.items = disk->voters;
    conf_state->voters.count = 1;
    return RAFTCORE_OK;
}

static raftcore_status entries(void *user_data, uint64_t low, uint64_t high, uint64_t max_bytes,
                               raftcore_entries *out, raftcore_error *error)
{
    struct disk *disk = user_data;
    (void)max_bytes;
    if (disk->calls_back != NULL)
        CHECK_EQ(raftcore_node_tick(disk->calls_back, NULL), RAFTCORE_ERR_REENTRY);
    if (disk->fails) {
        snprintf(error->message, sizeof error->message, "sector %d is gone", 7);
        return -9999; /* not a number of ours: counts as RAFTCORE_ERR_STORAGE */
    }
    if (high > disk->last + 1) return RAFTCORE_ERR_UNAVAILABLE;
    out->items = &disk->entries[low - 1];
    out->count = high - low;
    out->stride = sizeof disk->entries[0];
    return RAFTCORE_OK;
}

static raftcore_status term(void *user_data, uint64_t index, uint64_t *out, raftcore_error *error)
{
    struct disk *disk = user_data;
    (void)error;
    if (index > disk->last) return RAFTCORE_ERR_UNAVAILABLE;
    *out = index == 0 ? 0 : disk->entries[index - 1].term;
    return RAFTCORE_OK;
}

static raftcore_status first_index(void *user_data, uint64_t *out, raftcore_error *error)
{
    (void)user_data;
    (void)error;
    *out = 1;
    return RAFTCORE_OK;
}

static raftcore_status last_index(void *user_data, uint64_t *out, raftcore_error *error)
{
    (void)error;
    *out = ((struct disk *)user_data)->last;
    return RAFTCORE_OK;
}

static raftcore_status snapshot(void *user_data, raftcore_snapshot *out, raftcore_error *error)
{
    (void)user_data;
    (void)out;
    (void)error;
    return RAFTCORE_ERR_SNAPSHOT_UNAVAILABLE;
}

static void finalize(void *user_data) { ((struct disk *)user_data)->finalized++; }

static void write_to(struct disk *disk, const raftcore_ready *ready)
{
    for (size_t i = 0; i < ready->entries.count; i++) {
        const raftcore_entry *from = raftcore_entry_at(&ready->entries, i);
        raftcore_entry *to = &disk->entries[from->index - 1];
        CHECK(from->index <= LOG_MAX && from->data.len <= PAYLOAD_MAX);
        *to = *from;
        to->data.data = disk->payloads[from->index - 1];
        if (from->data.len > 0)
            memcpy(disk->payloads[from->index - 1], from->data.data, from->data.len);
        disk->last = from->index;
    }
    if (ready->hard_state != NULL) disk->hard_state = *ready->hard_state;
}

static raftcore_storage *storage_of(struct disk *disk)
{
    raftcore_storage_callbacks table = {.struct_size = sizeof table,
                                        .user_data = disk,
                                        .initial_state = initial_state,
                                        .entries = entries,
                                        .term = term,
                                        .first_index = first_index,
                                        .last_index = last_index,
                                        .snapshot = snapshot,
                                        .finalizer = finalize};
    raftcore_storage *storage;
    OK(raftcore_storage_create_callbacks(&table, &storage, &error));
    return storage;
}

/* Writes and applies until there is nothing left; returns what was applied. */
static uint64_t run(struct disk *disk, raftcore_node *node)
{
    const raftcore_ready *ready;
    uint64_t applied = 0;
    for (;;) {
        OK(raftcore_node_ready(node, &ready, &error));
        if (ready == NULL) return applied;
        CHECK_STATUS(raftcore_node_persist(node, ready, &error), RAFTCORE_ERR_NOT_MEMORY);
        write_to(disk, ready);
        applied += ready->committed.count;
        OK(raftcore_node_advance(node, ready, &error));
    }
}

int main(void)
{
    struct disk disk;
    memset(&disk, 0, sizeof disk);
    disk.voters[0] = 1;
    raftcore_config config = config_of(1);
    raftcore_storage *storage = storage_of(&disk);
    raftcore_node *node;
    uint64_t last;
    OK(raftcore_node_create(&config, storage, &node, &error));
    OK(raftcore_node_campaign(node, &error));
    run(&disk, node);
    OK(raftcore_node_propose(node, "one", 3, NULL, &error));
    OK(raftcore_node_propose(node, "two", 3, NULL, &error));
    run(&disk, node);
    CHECK_EQ(disk.last, 3);
    CHECK(slice_is(disk.entries[2].data, "two"));
    OK(raftcore_storage_last_index(storage, &last, &error));
    CHECK_EQ(last, 3);
    CHECK_STATUS(raftcore_storage_compact(storage, 1, &error), RAFTCORE_ERR_NOT_MEMORY);
    raftcore_node_destroy(node);

    /* It restarts from the disk: what is committed is read back, by a callback that errs first. */
    const raftcore_ready *ready;
    OK(raftcore_node_create(&config, storage, &node, &error));
    disk.calls_back = node;
    disk.fails = 1;
    raftcore_error error = {.struct_size = sizeof error};
    CHECK_EQ(raftcore_node_ready(node, &ready, &error), RAFTCORE_ERR_STORAGE);
    CHECK(strstr(error.message, "sector 7 is gone") != NULL);
    CHECK(strstr(error.message, "-9999") != NULL);
    disk.fails = 0;
    CHECK_EQ(run(&disk, node), 3);
    raftcore_storage_destroy(storage);
    CHECK_EQ(disk.finalized, 0); /* the node still uses it */
    raftcore_node_destroy(node);
    CHECK_EQ(disk.finalized, 1);

    storage = storage_of(&disk);
    raftcore_storage_destroy(storage);
    CHECK_EQ(disk.finalized, 2);
    return 0;
}
