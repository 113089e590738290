/* Members of one process: their Readies go into memory by themselves, and from node to node. */
#include "cluster.h"
#include "schedule_storage.h"

#include <stdint.h>

static raftcore_node *nodes[4]; /* one place is empty */

static void start(struct cluster *cluster)
{
    raftcore_peer peers[3] = {{.id = 1}, {.id = 2}, {.id = 3}};
    memset(cluster, 0, sizeof *cluster);
    for (uint64_t id = 1; id <= 3; id++) {
        struct member *new = &cluster->members[cluster->count++];
        raftcore_config config = config_of(id);
        config.message_forms = 0;
        config.auto_persist = 1;
        new->id = id;
        OK(raftcore_storage_create_memory(NULL, &new->storage, &error));
        OK(raftcore_node_create(&config, new->storage, &new->node, &error));
        OK(raftcore_node_bootstrap(new->node, peers, 3, &error));
        nodes[id] = new->node;
    }
}

/* Whether messages go where they belong when their Ready is taken, or by a call of their own. */
static int among;

/* Each call gives back the Ready of the time before. */
static void settle_together(struct cluster *cluster)
{
    const raftcore_ready *ready[3] = {NULL, NULL, NULL};
    for (int busy = 1; busy;) {
        busy = 0;
        for (int i = 0; i < 3; i++) {
            struct member *at = &cluster->members[i];
            if (among)
                OK(raftcore_node_next_among(at->node, ready[i], nodes, 4, &ready[i], &error));
            else
                OK(raftcore_node_next(at->node, ready[i], &ready[i], &error));
            if (ready[i] == NULL) continue;
            CHECK(!among || ready[i]->messages.count + ready[i]->messages_after_sync.count == 0);
            busy = 1;
            for (size_t k = 0; k < ready[i]->messages.count; k++) {
                const raftcore_message *m = raftcore_message_at(&ready[i]->messages, k);
                CHECK(m->to != at->id && m->from != 0 && m->kind != 0);
                CHECK(m->encoded.len == 0 && m->entries.count == 0 && m->context.len == 0);
            }
            OK(raftcore_node_deliver(at->node, ready[i], &ready[i]->messages, nodes, 4, &error));
            OK(raftcore_node_deliver(at->node, ready[i], &ready[i]->messages_after_sync, nodes, 4,
                                     &error));
            apply(at, ready[i]);
        }
    }
}

static uint64_t last_index(raftcore_storage *storage)
{
    uint64_t last;
    OK(raftcore_storage_last_index(storage, &last, &error));
    return last;
}

static void a_group_lives_in_one_process(void)
{
    struct cluster cluster;
    raftcore_proposed proposed = {.struct_size = sizeof proposed};
    start(&cluster);
    settle_together(&cluster);
    OK(raftcore_node_campaign(cluster.members[0].node, &error));
    settle_together(&cluster);
    for (int i = 0; i < 5; i++) {
        OK(raftcore_node_propose(cluster.members[0].node, "ab", 2, &proposed, &error));
        OK(raftcore_node_propose(cluster.members[0].node, "", 0, NULL, &error));
        if (i == 3) /* what is shown once may be compacted before it is shown again */
            OK(raftcore_storage_compact(cluster.members[0].storage,
                                        cluster.members[0].applied, &error));
        settle_together(&cluster);
    }
    for (int i = 0; i < 3; i++) {
        CHECK(strcmp(cluster.members[i].text, "ababababab") == 0);
        CHECK_EQ(last_index(cluster.members[i].storage), proposed.last + 1);
    }
    cluster_stop(&cluster);
}

/* The second member hears the call, and asks back: it may, whoever is delivering. */
static int lines;
static void log_line(void *user_data, raftcore_log_level level, const char *text, size_t len)
{
    raftcore_node_state state = {.struct_size = sizeof state};
    (void)level, (void)text, (void)len;
    OK(raftcore_node_status(user_data, &state, &error));
    lines++;
}

static void whoever_may_call_the_program_is_served_when_no_lock_is_held(void)
{
    struct cluster cluster;
    start(&cluster);
    OK(raftcore_node_set_log(nodes[2], RAFTCORE_LOG_DEBUG, log_line, nodes[1], NULL, &error));
    settle_together(&cluster);
    OK(raftcore_node_campaign(nodes[1], &error));
    settle_together(&cluster);
    CHECK(lines > 0);
    OK(raftcore_node_propose(nodes[1], "x", 1, NULL, &error));
    settle_together(&cluster);
    for (int i = 0; i < 3; i++) CHECK(strcmp(cluster.members[i].text, "x") == 0);
    OK(raftcore_node_set_log(nodes[2], RAFTCORE_LOG_DEBUG, NULL, NULL, NULL, &error));
    cluster_stop(&cluster);
}

static void what_cannot_be_delivered_is_said(void)
{
    struct cluster cluster;
    const raftcore_ready *ready;
    start(&cluster);
    settle_together(&cluster);
    raftcore_node *first = nodes[1];
    OK(raftcore_node_campaign(first, &error));
    OK(raftcore_node_ready(first, &ready, &error));
    const raftcore_messages *votes = &ready->messages; /* before a vote comes a pre-vote */
    raftcore_messages less = *votes, nothing = RAFTCORE_MESSAGES_INIT;
    CHECK_EQ(votes->count, 2);
    less.count = 1;
    CHECK_STATUS(raftcore_node_deliver(first, ready, &less, nodes, 4, &error),
                 RAFTCORE_ERR_STALE_READY);
    CHECK_STATUS(raftcore_node_deliver(nodes[2], ready, votes, nodes, 4, &error),
                 RAFTCORE_ERR_STALE_READY);
    OK(raftcore_node_deliver(first, ready, &nothing, nodes, 4, &error));
    OK(raftcore_node_deliver(first, ready, votes, NULL, 0, &error)); /* they are elsewhere */
    OK(raftcore_node_deliver(first, ready, votes, nodes, 4, &error));
    OK(raftcore_node_advance(first, ready, &error));
    CHECK_STATUS(raftcore_node_deliver(first, ready, &nothing, nodes, 4, &error),
                 RAFTCORE_ERR_STALE_READY);
    settle_together(&cluster);

    /* One that is not taken: the others are all the same. Who is asked here knows no leader. */
    raftcore_config config = config_of(1);
    raftcore_node *stranger, *strange[] = {NULL, nodes[2], NULL};
    OK(raftcore_node_create(&config, NULL, &stranger, &error));
    strange[2] = stranger;
    OK(raftcore_node_propose(nodes[2], "x", 1, NULL, &error));
    OK(raftcore_node_ready(nodes[2], &ready, &error));
    CHECK_STATUS(raftcore_node_deliver(nodes[2], ready, &ready->messages, strange, 3, &error),
                 RAFTCORE_ERR_DROPPED);
    OK(raftcore_node_deliver(nodes[2], ready, &ready->messages, nodes, 4, &error));
    OK(raftcore_node_advance(nodes[2], ready, &error));
    settle_together(&cluster);
    for (int i = 0; i < 3; i++) CHECK(strcmp(cluster.members[i].text, "x") == 0);
    raftcore_node_destroy(stranger);
    cluster_stop(&cluster);
}

/* The program's own storage calls the program, so it is served when no other lock is held. */
static void a_member_with_callbacks_is_served_too(void)
{
    struct cluster cluster;
    start(&cluster);
    int finalized = 0;
    struct faulty *faulty;
    raftcore_storage *storage = faulty_create(&faulty, &finalized);
    raftcore_config config = config_of(3);
    settle_together(&cluster);
    raftcore_node_destroy(nodes[3]);
    config.auto_persist = 1;
    CHECK_STATUS(raftcore_node_create(&config, storage, &nodes[3], &error),
                 RAFTCORE_ERR_NOT_MEMORY);
    config.auto_persist = 0;
    OK(raftcore_node_create(&config, storage, &nodes[3], &error));
    cluster.members[2].node = nodes[3];
    const raftcore_ready *ready;
    OK(raftcore_node_campaign(nodes[1], &error));
    OK(raftcore_node_ready(nodes[1], &ready, &error));
    OK(raftcore_node_deliver(nodes[1], ready, &ready->messages, nodes, 4, &error));
    OK(raftcore_node_advance(nodes[1], ready, &error));
    CHECK_EQ(raftcore_node_has_ready(nodes[3]), 1); /* it was asked for its vote */
    cluster_stop(&cluster);
    raftcore_storage_destroy(storage);
    CHECK_EQ(finalized, 1);
}

/* What is for others is shown, in its order, and only that. */
static void who_is_elsewhere_is_not_served(void)
{
    struct cluster cluster;
    int shown = 0;
    start(&cluster);
    settle_together(&cluster);
    raftcore_node *const here[] = {nodes[2], NULL, nodes[1]};
    const raftcore_ready *ready[4] = {NULL};
    OK(raftcore_node_campaign(nodes[1], &error));
    for (int round = 0; round < 20; round++) {
        if (round == 10) OK(raftcore_node_propose(nodes[2], "x", 1, NULL, &error));
        for (int i = 1; i <= 3; i++) {
            OK(raftcore_node_next_among(nodes[i], ready[i], here, 3, &ready[i], &error));
            if (ready[i] == NULL) continue;
            apply(&cluster.members[i - 1], ready[i]);
            const raftcore_messages *lists[] = {&ready[i]->messages,
                                                &ready[i]->messages_after_sync};
            for (size_t k = 0; k < 2 * lists[0]->count + 2 * lists[1]->count; k++) {
                const raftcore_messages *list = lists[k % 2];
                if (k / 2 >= list->count) continue;
                const raftcore_message *m = raftcore_message_at(list, k / 2);
                CHECK_EQ(m->to, 3);
                OK(raftcore_node_step_from(nodes[3], nodes[i], ready[i], m, &error));
                shown++;
            }
        }
    }
    CHECK(shown > 4);
    for (int i = 0; i < 3; i++) CHECK(strcmp(cluster.members[i].text, "x") == 0);

    /* Not the outstanding one: nothing happens. */
    OK(raftcore_node_propose(nodes[1], "y", 1, NULL, &error));
    OK(raftcore_node_ready(nodes[1], &ready[1], &error));
    CHECK_STATUS(raftcore_node_next_among(nodes[1], ready[1] + 1, nodes, 4, &ready[0], &error),
                 RAFTCORE_ERR_STALE_READY);
    CHECK(ready[0] == NULL);
    CHECK_EQ(raftcore_node_has_ready(nodes[2]), 0);
    cluster_stop(&cluster);
}

/* What claims that something is durable waits until the program says so. */
static void without_auto_persist_only_messages_are_handed_over(void)
{
    struct cluster cluster;
    const raftcore_ready *ready;
    cluster_start(&cluster, 2);
    raftcore_node *const both[] = {cluster.members[0].node, cluster.members[1].node};
    settle(&cluster);
    OK(raftcore_node_campaign(both[0], &error));
    settle(&cluster);
    OK(raftcore_node_propose(both[0], "x", 1, NULL, &error));
    OK(raftcore_node_next_among(both[0], NULL, both, 2, &ready, &error));
    CHECK_EQ(ready->messages.count, 0);
    CHECK_EQ(ready->entries.count, 1);
    OK(raftcore_node_persist(both[0], ready, &error));
    OK(raftcore_node_advance(both[0], ready, &error));
    OK(raftcore_node_next_among(both[1], NULL, both, 2, &ready, &error));
    CHECK_EQ(ready->messages.count, 0);
    CHECK_EQ(ready->messages_after_sync.count, 1);
    CHECK_EQ(raftcore_node_has_ready(both[0]), 0);
    OK(raftcore_node_persist(both[1], ready, &error));
    OK(raftcore_node_deliver(both[1], ready, &ready->messages_after_sync, both, 2, &error));
    OK(raftcore_node_advance(both[1], ready, &error));
    CHECK_EQ(raftcore_node_has_ready(both[0]), 1); /* it is committed */
    settle(&cluster);
    for (int i = 0; i < 2; i++) CHECK(strcmp(cluster.members[i].text, "x") == 0);
    cluster_stop(&cluster);
}

/* A message that is not taken is no failure of who sent it. */
static void what_is_not_taken_is_lost(void)
{
    struct cluster cluster;
    const raftcore_ready *ready;
    raftcore_config config = config_of(1);
    raftcore_node *stranger;
    among = 1;
    start(&cluster);
    settle_together(&cluster);
    OK(raftcore_node_campaign(nodes[1], &error));
    settle_together(&cluster);
    OK(raftcore_node_create(&config, NULL, &stranger, &error)); /* knows no leader */
    OK(raftcore_node_propose(nodes[2], "x", 1, NULL, &error));
    OK(raftcore_node_next_among(nodes[2], NULL, &stranger, 1, &ready, &error));
    CHECK_EQ(ready->messages.count, 0);
    OK(raftcore_node_advance(nodes[2], ready, &error));
    settle_together(&cluster);
    for (int i = 0; i < 3; i++) CHECK(strcmp(cluster.members[i].text, "") == 0);
    raftcore_node_destroy(stranger);
    cluster_stop(&cluster);
}

static void run_out(raftcore_node *node)
{
    const raftcore_ready *ready = NULL;
    do OK(raftcore_node_next(node, ready, &ready, &error));
    while (ready != NULL);
}

/* A program that writes into the storage itself can stand in the way. */
static void what_could_not_be_put_into_memory_is_said_later(void)
{
    raftcore_config config = config_of(1);
    raftcore_storage *storage;
    raftcore_node *node;
    const raftcore_ready *ready;
    raftcore_proposed proposed = {.struct_size = sizeof proposed};
    uint64_t voter = 1;
    raftcore_conf_state state = {.struct_size = sizeof state, .voters = {&voter, 1}};
    config.auto_persist = 1;
    OK(raftcore_storage_create_memory(&state, &storage, &error));
    OK(raftcore_node_create(&config, storage, &node, &error));
    OK(raftcore_node_campaign(node, &error));
    run_out(node);
    OK(raftcore_node_propose(node, "x", 1, NULL, &error));
    run_out(node);
    OK(raftcore_node_propose(node, "y", 1, &proposed, &error));
    raftcore_entries *stored, shorter = RAFTCORE_ENTRIES_INIT;
    OK(raftcore_storage_entries(storage, 1, 3, UINT64_MAX, &stored, &error));
    CHECK_EQ(stored->count, 2);
    shorter.items = stored->items;
    shorter.count = 1;
    OK(raftcore_storage_append(storage, &shorter, &error));
    CHECK_EQ(last_index(storage), 1);
    OK(raftcore_node_ready(node, &ready, &error));
    CHECK_EQ(ready->entries.count, 1);
    CHECK_STATUS(raftcore_node_advance(node, ready, &error), RAFTCORE_ERR_NOT_PERSISTED);
    CHECK_STATUS(raftcore_node_persist(node, ready, &error), RAFTCORE_ERR_GAP);
    OK(raftcore_storage_append(storage, stored, &error));
    OK(raftcore_node_persist(node, ready, &error));
    CHECK(slice_is(raftcore_entry_at(&ready->entries, 0)->data, "y"));
    OK(raftcore_node_next(node, ready, &ready, &error));
    CHECK_EQ(last_index(storage), proposed.last);
    raftcore_entries_destroy(stored);

    /* What a Ready shows stays, whatever the program does with the log. */
    if (ready != NULL) OK(raftcore_node_advance(node, ready, &error));
    run_out(node);
    raftcore_buffer text;
    OK(raftcore_node_propose(node, "z", 1, &proposed, &error));
    OK(raftcore_node_ready(node, &ready, &error));
    OK(raftcore_storage_entries(storage, 1, 2, UINT64_MAX, &stored, &error));
    OK(raftcore_storage_append(storage, stored, &error));
    raftcore_entries_destroy(stored);
    CHECK_EQ(last_index(storage), 1);
    CHECK_EQ(ready->entries.count, 1);
    CHECK(slice_is(raftcore_entry_at(&ready->entries, 0)->data, "z"));
    OK(raftcore_node_describe_ready(node, ready, &text, &error));
    CHECK(strstr((const char *)text.data, "\"z\"") != NULL);
    raftcore_buffer_free(&text);
    raftcore_node_destroy(node);
    raftcore_storage_destroy(storage);
}

static void a_switch_is_one_or_zero(void)
{
    raftcore_config config = config_of(1);
    raftcore_node *node = NULL;
    config.auto_persist = 2;
    CHECK_STATUS(raftcore_node_create(&config, NULL, &node, &error), RAFTCORE_ERR_ENUM);
    config.auto_persist = 0;
    config.reserved = 1;
    CHECK_STATUS(raftcore_node_create(&config, NULL, &node, &error), RAFTCORE_ERR_ENUM);
    CHECK(node == NULL);
}

int main(void)
{
    for (among = 0; among <= 1; among++) {
        a_group_lives_in_one_process();
        whoever_may_call_the_program_is_served_when_no_lock_is_held();
    }
    among = 0;
    what_cannot_be_delivered_is_said();
    a_member_with_callbacks_is_served_too();
    who_is_elsewhere_is_not_served();
    without_auto_persist_only_messages_are_handed_over();
    what_is_not_taken_is_lost();
    what_could_not_be_put_into_memory_is_said_later();
    a_switch_is_one_or_zero();
    return 0;
}
