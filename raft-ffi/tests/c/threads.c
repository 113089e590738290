/* One node, used from many threads at once. */
#include "cluster.h"

#include <pthread.h>

enum { PROPOSERS = 4, PROPOSALS = 200 };

static struct cluster cluster;

static void *drive_until_woken(void *argument)
{
    struct member *one = argument;
    const raftcore_ready *ready;
    for (;;) {
        OK(raftcore_node_poll_ready(one->node, -1, &ready, &error));
        if (ready == NULL) return NULL;
        OK(raftcore_node_persist(one->node, ready, &error));
        for (size_t i = 0; i < ready->committed.count; i++) {
            const raftcore_entry *entry = raftcore_entry_at(&ready->committed, i);
            CHECK_EQ(entry->index, one->applied + 1);
            one->applied = entry->index;
            if (entry->data.len > 0) CHECK(slice_is(entry->data, "payload"));
        }
        OK(raftcore_node_advance(one->node, ready, &error));
    }
}

static void *propose_many_times(void *argument)
{
    struct member *one = argument;
    for (int i = 0; i < PROPOSALS; i++) {
        OK(raftcore_node_propose(one->node, "payload", 7, NULL, &error));
        /* Each thread has errors of its own. */
        CHECK_EQ(raftcore_node_transfer_leader(one->node, 0, NULL), RAFTCORE_ERR_ID);
        CHECK(strstr(raftcore_last_error(), "id 0") != NULL);
    }
    return NULL;
}

static void *look(void *argument)
{
    struct member *one = argument;
    uint64_t commit = 0;
    for (int i = 0; i < PROPOSALS; i++) {
        raftcore_details *details;
        uint64_t last = 0;
        OK(raftcore_node_details(one->node, &details, &error));
        CHECK(details->state->commit >= commit);
        commit = details->state->commit;
        raftcore_details_destroy(details);
        OK(raftcore_storage_last_index(one->storage, &last, &error));
        OK(raftcore_node_tick(one->node, &error));
        CHECK(raftcore_node_has_ready(one->node) >= 0);
    }
    return NULL;
}

int main(void)
{
    pthread_t driver, looker, proposers[PROPOSERS];
    cluster_start(&cluster, 1);
    struct member *one = &cluster.members[0];
    elect(&cluster, 1);
    uint64_t before = one->applied;
    CHECK_EQ(pthread_create(&driver, NULL, drive_until_woken, one), 0);
    CHECK_EQ(pthread_create(&looker, NULL, look, one), 0);
    for (int i = 0; i < PROPOSERS; i++)
        CHECK_EQ(pthread_create(&proposers[i], NULL, propose_many_times, one), 0);
    for (int i = 0; i < PROPOSERS; i++) CHECK_EQ(pthread_join(proposers[i], NULL), 0);
    CHECK_EQ(pthread_join(looker, NULL), 0);
    OK(raftcore_node_wake(one->node, &error)); /* after the last Ready, or before it */
    CHECK_EQ(pthread_join(driver, NULL), 0);
    while (one->applied < before + PROPOSERS * PROPOSALS && drive(&cluster, one)) {}
    CHECK_EQ(one->applied, before + PROPOSERS * PROPOSALS);
    cluster_stop(&cluster);
    return 0;
}
