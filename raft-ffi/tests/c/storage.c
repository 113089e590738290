/* The memory storage: the log, its snapshot, and members that are caught up by it. */
#include "cluster.h"

static raftcore_entry entry_of(uint64_t term, uint64_t index, const char *text)
{
    raftcore_entry entry = {
        .term = term, .index = index, .data = {(const uint8_t *)text, strlen(text)}};
    return entry;
}

static void bounds_are(raftcore_storage *storage, uint64_t first, uint64_t last)
{
    uint64_t index = 99;
    OK(raftcore_storage_first_index(storage, &index, &error));
    CHECK_EQ(index, first);
    OK(raftcore_storage_last_index(storage, &index, &error));
    CHECK_EQ(index, last);
}

static void a_log_is_filled_replaced_and_cut(void)
{
    raftcore_storage *storage;
    raftcore_entry list[3] = {entry_of(1, 1, "a"), entry_of(1, 2, "b"), entry_of(2, 3, "c")};
    raftcore_entries entries = {list, 3, sizeof list[0]}, *read;
    uint64_t term;
    OK(raftcore_storage_create_memory(NULL, &storage, &error));
    bounds_are(storage, 1, 0);
    OK(raftcore_storage_append(storage, &entries, &error));
    bounds_are(storage, 1, 3);

    list[0] = entry_of(3, 3, "d"); /* replaces from its index on */
    entries.count = 1;
    OK(raftcore_storage_append(storage, &entries, &error));
    bounds_are(storage, 1, 3);
    list[0].index = 5;
    CHECK_STATUS(raftcore_storage_append(storage, &entries, &error), RAFTCORE_ERR_GAP);
    list[0].kind = 7;
    CHECK_STATUS(raftcore_storage_append(storage, &entries, &error), RAFTCORE_ERR_ENUM);
    entries.stride = 8;
    CHECK_STATUS(raftcore_storage_append(storage, &entries, &error), RAFTCORE_ERR_STRUCT_SIZE);

    OK(raftcore_storage_entries(storage, 2, 4, UINT64_MAX, &read, &error));
    CHECK_EQ(read->count, 2);
    CHECK(slice_is(raftcore_entry_at(read, 0)->data, "b"));
    CHECK(slice_is(raftcore_entry_at(read, 1)->data, "d"));
    raftcore_entries_destroy(read);
    OK(raftcore_storage_entries(storage, 1, 4, 1, &read, &error));
    CHECK_EQ(read->count, 1); /* at least one */
    raftcore_entries_destroy(read);
    CHECK_STATUS(raftcore_storage_entries(storage, 1, 5, 1, &read, &error),
                 RAFTCORE_ERR_UNAVAILABLE);
    OK(raftcore_storage_term(storage, 3, &term, &error));
    CHECK_EQ(term, 3);

    OK(raftcore_storage_compact(storage, 2, &error));
    bounds_are(storage, 3, 3);
    OK(raftcore_storage_term(storage, 2, &term, &error));
    CHECK_EQ(term, 1);
    CHECK_STATUS(raftcore_storage_term(storage, 1, &term, &error), RAFTCORE_ERR_COMPACTED);
    CHECK_STATUS(raftcore_storage_compact(storage, 2, &error), RAFTCORE_ERR_COMPACTED);
    CHECK_STATUS(raftcore_storage_compact(storage, 9, &error), RAFTCORE_ERR_UNAVAILABLE);
    raftcore_storage_destroy(storage);
}

static void hard_state_and_snapshot_are_kept(void)
{
    raftcore_storage *storage;
    raftcore_hard_state hard_state = {.term = 4, .vote = 2, .commit = 0}, read;
    uint64_t voters[3] = {1, 2, 3}, learners[1] = {4};
    raftcore_conf_state members = {
        .struct_size = sizeof members, .voters = {voters, 3}, .learners = {learners, 1}};
    raftcore_conf_state *stored;
    raftcore_snapshot snapshot = {.struct_size = sizeof snapshot,
                                  .index = 10,
                                  .term = 3,
                                  .conf_state = &members,
                                  .data = {(const uint8_t *)"all", 3}};
    raftcore_snapshot *copy;
    OK(raftcore_storage_create_memory(NULL, &storage, &error));
    OK(raftcore_storage_snapshot(storage, &copy, &error));
    CHECK_EQ(copy->index, 0);
    raftcore_snapshot_destroy(copy);
    OK(raftcore_storage_set_hard_state(storage, &hard_state, &error));
    OK(raftcore_storage_apply_snapshot(storage, &snapshot, &error));
    CHECK_STATUS(raftcore_storage_apply_snapshot(storage, &snapshot, &error),
                 RAFTCORE_ERR_SNAPSHOT_OUT_OF_DATE);
    bounds_are(storage, 11, 10);
    OK(raftcore_storage_initial_state(storage, &read, &stored, &error));
    CHECK_EQ(read.term, 4);
    CHECK_EQ(read.vote, 2);
    CHECK_EQ(stored->struct_size, sizeof *stored);
    CHECK_EQ(stored->voters.count, 3);
    CHECK_EQ(stored->learners.items[0], 4);
    raftcore_conf_state_destroy(stored);
    OK(raftcore_storage_snapshot(storage, &copy, &error));
    CHECK_EQ(copy->index, 10);
    CHECK(slice_is(copy->data, "all"));
    raftcore_snapshot_destroy(copy);
    hard_state.vote = UINT64_MAX;
    CHECK_STATUS(raftcore_storage_set_hard_state(storage, &hard_state, &error), RAFTCORE_ERR_ID);
    raftcore_storage_destroy(storage);
}

/* Makes a snapshot of what a member has applied, and throws the log away. */
static void compact(struct member *at)
{
    OK(raftcore_storage_create_snapshot(at->storage, at->applied, at->conf_state, at->text,
                                        strlen(at->text), NULL, &error));
    OK(raftcore_storage_compact(at->storage, at->applied, &error));
}

static void a_member_that_is_behind_the_log_gets_the_snapshot(void)
{
    struct cluster cluster;
    cluster_start(&cluster, 3);
    elect(&cluster, 1);
    struct member *leader = member(&cluster, 1), *behind = member(&cluster, 3);
    propose(&cluster, 1, "a");
    behind->is_cut_off = 1;
    propose(&cluster, 1, "b");
    propose(&cluster, 1, "c");
    compact(leader);
    propose(&cluster, 1, "d");
    CHECK(strcmp(behind->text, "a") == 0);
    behind->is_cut_off = 0;
    tick_all(&cluster, 5);
    CHECK(strcmp(behind->text, "abcd") == 0);
    CHECK_EQ(behind->snapshots, 1);
    bounds_are(behind->storage, leader->applied, leader->applied); /* only "d" is in its log */

    /* It restarts from the snapshot. */
    raftcore_config config = config_of(3);
    raftcore_snapshot *snapshot;
    raftcore_node_destroy(behind->node);
    OK(raftcore_storage_snapshot(behind->storage, &snapshot, &error));
    CHECK(slice_is(snapshot->data, "abc"));
    strcpy(behind->text, "abc");
    behind->applied = snapshot->index;
    raftcore_snapshot_destroy(snapshot);
    OK(raftcore_node_create(&config, behind->storage, &behind->node, &error));
    settle(&cluster);
    propose(&cluster, 1, "e");
    tick_all(&cluster, 2);
    CHECK(strcmp(behind->text, "abcde") == 0);
    cluster_stop(&cluster);
}

int main(void)
{
    a_log_is_filled_replaced_and_cut();
    hard_state_and_snapshot_are_kept();
    a_member_that_is_behind_the_log_gets_the_snapshot();
    return 0;
}
