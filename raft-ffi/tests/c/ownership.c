/* Who keeps what alive, and for how long. */
#include "cluster.h"

static void node_and_storage_end_in_either_order(void)
{
    raftcore_config config = config_of(1);
    raftcore_peer peer = {.id = 1};
    raftcore_storage *storage;
    raftcore_node *node, *second = NULL;
    uint64_t last;
    OK(raftcore_storage_create_memory(NULL, &storage, &error));
    OK(raftcore_node_create(&config, storage, &node, &error));
    CHECK_STATUS(raftcore_node_create(&config, storage, &second, &error),
                 RAFTCORE_ERR_STORAGE_IN_USE);
    CHECK(second == NULL);
    OK(raftcore_node_bootstrap(node, &peer, 1, &error));
    raftcore_node_destroy(node); /* first the node; the storage can be used again */
    OK(raftcore_storage_last_index(storage, &last, &error));
    CHECK_EQ(last, 0);
    OK(raftcore_node_create(&config, storage, &node, &error));
    raftcore_storage_destroy(storage); /* first the storage */
    OK(raftcore_node_bootstrap(node, &peer, 1, &error));
    const raftcore_ready *ready;
    OK(raftcore_node_ready(node, &ready, &error));
    OK(raftcore_node_persist(node, ready, &error));
    OK(raftcore_node_advance(node, ready, &error));
    raftcore_node_destroy(node);
    /* One that could not be made lets go of the storage. */
    OK(raftcore_storage_create_memory(NULL, &storage, &error));
    config.applied = 7;
    CHECK_STATUS(raftcore_node_create(&config, storage, &node, &error), RAFTCORE_ERR_CONFIG);
    config.applied = 0;
    OK(raftcore_node_create(&config, storage, &node, &error));
    raftcore_node_destroy(node);
    raftcore_storage_destroy(storage);
}

static void what_goes_in_is_copied(void)
{
    struct cluster cluster;
    cluster_start(&cluster, 1);
    elect(&cluster, 1);
    char payload[] = "before", context[] = "token";
    OK(raftcore_node_propose(cluster.members[0].node, payload, 6, NULL, &error));
    OK(raftcore_node_read_index(cluster.members[0].node, context, 5, &error));
    memset(payload, 'x', sizeof payload);
    memset(context, 'x', sizeof context);
    const raftcore_ready *ready;
    OK(raftcore_node_ready(cluster.members[0].node, &ready, &error));
    CHECK(slice_is(raftcore_entry_at(&ready->entries, 0)->data, "before"));
    CHECK_EQ(ready->read_states.count, 1);
    CHECK(slice_is(raftcore_read_state_at(&ready->read_states, 0)->context, "token"));
    cluster_stop(&cluster);
}

/* A Ready stays as it is until it is advanced, whatever happens meanwhile. */
static void a_ready_outlives_other_calls(void)
{
    struct cluster cluster;
    cluster_start(&cluster, 1);
    elect(&cluster, 1);
    struct member *one = &cluster.members[0];
    const raftcore_ready *ready;
    OK(raftcore_node_propose(one->node, "kept", 4, NULL, &error));
    OK(raftcore_node_ready(one->node, &ready, &error));
    for (int i = 0; i < 100; i++) {
        OK(raftcore_node_propose(one->node, "more and more", 13, NULL, &error));
        OK(raftcore_node_tick(one->node, &error));
    }
    OK(raftcore_node_persist(one->node, ready, &error));
    OK(raftcore_storage_compact(one->storage, 2, &error));
    CHECK(slice_is(raftcore_entry_at(&ready->entries, 0)->data, "kept"));
    apply(one, ready);
    OK(raftcore_node_advance(one->node, ready, &error));
    settle(&cluster);
    CHECK(strncmp(one->text, "keptmore and more", 17) == 0);
    cluster_stop(&cluster);
}

static void what_comes_out_is_the_callers(void)
{
    struct cluster cluster;
    cluster_start(&cluster, 3);
    elect(&cluster, 1);
    struct member *one = &cluster.members[0];
    raftcore_details *details;
    raftcore_entries *entries;
    raftcore_snapshot *snapshot, *again;
    raftcore_buffer buffer;
    propose(&cluster, 1, "text");
    OK(raftcore_node_details(one->node, &details, &error));
    OK(raftcore_storage_entries(one->storage, 1, 6, UINT64_MAX, &entries, &error));
    OK(raftcore_storage_create_snapshot(one->storage, 5, one->conf_state, "state", 5, &snapshot,
                                        &error));
    OK(raftcore_snapshot_encode(snapshot, &buffer, &error));
    cluster_stop(&cluster);

    CHECK_EQ(details->state->role, RAFTCORE_ROLE_LEADER);
    CHECK_EQ(details->membership->voters.count, 3);
    CHECK_EQ(details->progress.count, 3);
    const raftcore_progress *third = raftcore_progress_at(&details->progress, 2);
    CHECK_EQ(third->id, 3);
    CHECK_EQ(third->match_index, 5);
    CHECK_EQ(third->next_index, 6);
    CHECK_EQ(third->state, RAFTCORE_PROGRESS_REPLICATE);
    CHECK(third->recent_active && !third->is_paused && !third->is_learner);
    raftcore_details_destroy(details);

    CHECK_EQ(entries->count, 5);
    CHECK(slice_is(raftcore_entry_at(entries, 4)->data, "text"));
    raftcore_entries_destroy(entries);

    OK(raftcore_snapshot_decode(buffer.data, buffer.len, &again, &error));
    CHECK_EQ(again->index, snapshot->index);
    CHECK_EQ(again->term, snapshot->term);
    CHECK_EQ(again->conf_state->voters.items[2], 3);
    CHECK(slice_is(again->data, "state"));
    CHECK_STATUS(raftcore_snapshot_decode("\xff", 1, &again, &error), RAFTCORE_ERR_REFUSED);
    CHECK(slice_is(again->data, "state")); /* an output is written only on success */
    raftcore_snapshot_destroy(again);
    raftcore_snapshot_destroy(snapshot);
    raftcore_buffer_free(&buffer);
    CHECK(buffer.data == NULL && buffer.len == 0);
    raftcore_buffer_free(&buffer);
}

static int finalized, lines;

static void finalize(void *user_data) { *(int *)user_data += 1; }

static void count_line(void *user_data, raftcore_log_level level, const char *text, size_t len)
{
    raftcore_node *node = *(raftcore_node **)user_data;
    raftcore_node_state state = {.struct_size = sizeof state};
    CHECK(level >= RAFTCORE_LOG_INFO && strlen(text) == len && len > 0);
    OK(raftcore_node_status(node, &state, &error)); /* the node is not locked */
    lines++;
}

static void free_box(void *user_data)
{
    free(user_data);
    finalized++;
}

static void a_log_is_told_what_happens_and_finalized_once(void)
{
    struct cluster cluster;
    cluster_start(&cluster, 1);
    raftcore_node *node = cluster.members[0].node;
    raftcore_node **box = malloc(sizeof *box);
    int replaced = 0;
    *box = node;
    CHECK_STATUS(raftcore_node_set_log(node, 99, count_line, &replaced, finalize, &error),
                 RAFTCORE_ERR_ENUM);
    CHECK_EQ(replaced, 0);
    OK(raftcore_node_set_log(node, RAFTCORE_LOG_ERROR, count_line, &replaced, finalize, &error));
    OK(raftcore_node_set_log(node, RAFTCORE_LOG_INFO, count_line, box, free_box, &error));
    CHECK_EQ(replaced, 1);
    elect(&cluster, 1);
    CHECK(lines >= 2); /* it campaigns, it leads */
    cluster_stop(&cluster);
    CHECK_EQ(finalized, 1);
}

int main(void)
{
    node_and_storage_end_in_either_order();
    what_goes_in_is_copied();
    a_ready_outlives_other_calls();
    what_comes_out_is_the_callers();
    a_log_is_told_what_happens_and_finalized_once();
    return 0;
}
