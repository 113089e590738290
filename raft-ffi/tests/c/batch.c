/* Many things in one call: messages as structs and packed, payloads packed, changes encoded. */
#include "cluster.h"

/* The Ready that is worked on. */
static const raftcore_ready *driven;

/* Everything that goes over this network goes as structs, or from Ready to node, or
 * as packed bytes. */
static void deliver_structs(struct cluster *cluster, const raftcore_messages *messages)
{
    for (size_t i = 0; i < messages->count; i++) {
        const raftcore_message *message = raftcore_message_at(messages, i);
        raftcore_messages one = {message, 1, messages->stride};
        OK(raftcore_node_step_messages(member(cluster, message->to)->node, &one, NULL, &error));
    }
}

/* One after the other, each alone. */
static void deliver_single(struct cluster *cluster, const raftcore_messages *messages)
{
    for (size_t i = 0; i < messages->count; i++) {
        const raftcore_message *message = raftcore_message_at(messages, i);
        OK(raftcore_node_step_message(member(cluster, message->to)->node, message, &error));
    }
}

static void deliver_from(struct cluster *cluster, const raftcore_messages *messages)
{
    for (size_t i = 0; i < messages->count; i++) {
        const raftcore_message *message = raftcore_message_at(messages, i);
        raftcore_node *from = member(cluster, message->from)->node;
        OK(raftcore_node_step_from(member(cluster, message->to)->node, from, driven, message,
                                   &error));
    }
}

static void deliver_packed(struct cluster *cluster, const raftcore_messages *messages)
{
    static uint8_t bytes[1 << 16];
    for (uint64_t to = 1; to <= 3; to++) {
        uint64_t lengths[64];
        size_t count = 0, len = 0;
        for (size_t i = 0; i < messages->count; i++) {
            const raftcore_message *message = raftcore_message_at(messages, i);
            if (message->to != to) continue;
            memcpy(bytes + len, message->encoded.data, message->encoded.len);
            len += message->encoded.len;
            lengths[count++] = message->encoded.len;
        }
        raftcore_status statuses[64];
        OK(raftcore_node_step_packed(member(cluster, to)->node, bytes, len, lengths, count,
                                     statuses, &error));
        for (size_t i = 0; i < count; i++) CHECK_EQ(statuses[i], RAFTCORE_OK);
    }
}

static void settle_by(struct cluster *cluster,
                      void (*by)(struct cluster *, const raftcore_messages *))
{
    for (int busy = 1; busy;) {
        busy = 0;
        for (int i = 0; i < cluster->count; i++) {
            struct member *at = &cluster->members[i];
            const raftcore_ready *ready, *next;
            OK(raftcore_node_next(at->node, NULL, &ready, &error));
            while (ready != NULL) {
                busy = 1;
                driven = ready;
                by(cluster, &ready->messages);
                OK(raftcore_node_persist_parts(at->node, ready, RAFTCORE_PERSIST_HARD_STATE,
                                               &error));
                OK(raftcore_node_persist_parts(
                    at->node, ready, RAFTCORE_PERSIST_SNAPSHOT | RAFTCORE_PERSIST_ENTRIES,
                    &error));
                by(cluster, &ready->messages_after_sync);
                apply(at, ready);
                OK(raftcore_node_next(at->node, ready, &next, &error));
                ready = next;
            }
        }
    }
}

static void a_group_lives_on_structs_and_on_packed_bytes(void)
{
    void (*ways[])(struct cluster *, const raftcore_messages *) = {
        deliver_structs, deliver_single, deliver_from, deliver_packed};
    for (int way = 0; way < 4; way++) {
        struct cluster cluster;
        cluster_start(&cluster, 3);
        settle_by(&cluster, ways[way]);
        OK(raftcore_node_campaign(cluster.members[0].node, &error));
        settle_by(&cluster, ways[way]);
        uint64_t lengths[] = {3, 0, 2};
        raftcore_proposed proposed = {.struct_size = sizeof proposed};
        OK(raftcore_node_propose_packed(cluster.members[0].node, "onetw", 5, lengths, 3, &proposed,
                                        &error));
        CHECK_EQ(proposed.last - proposed.first, 2);
        /* A read goes through a follower, with its context. */
        OK(raftcore_node_read_index(cluster.members[1].node, "ctx", 3, &error));
        settle_by(&cluster, ways[way]);
        for (int i = 0; i < 3; i++) CHECK(strcmp(cluster.members[i].text, "onetw") == 0);
        CHECK(cluster.members[1].read.index >= proposed.first - 1);
        cluster_stop(&cluster);
    }
}

static void what_is_wrong_with_a_batch_is_said(void)
{
    struct cluster cluster;
    cluster_start(&cluster, 1);
    elect(&cluster, 1);
    raftcore_node *node = cluster.members[0].node;
    raftcore_storage *storage = cluster.members[0].storage;
    uint64_t lengths[] = {2, 2};
    CHECK_STATUS(raftcore_node_propose_packed(node, "abc", 3, lengths, 2, NULL, &error),
                 RAFTCORE_ERR_MISUSE);
    CHECK_STATUS(raftcore_node_propose_packed(node, "abc", 3, NULL, 2, NULL, &error),
                 RAFTCORE_ERR_NULL);
    CHECK_STATUS(raftcore_node_step_packed(node, NULL, 4, lengths, 2, NULL, &error),
                 RAFTCORE_ERR_NULL);
    CHECK_STATUS(raftcore_node_propose_packed(node, NULL, 0, NULL, 0, NULL, &error),
                 RAFTCORE_ERR_REFUSED); /* a proposal of nothing */
    OK(raftcore_node_step_packed(node, NULL, 0, NULL, 0, NULL, &error));

    raftcore_message message;
    memset(&message, 0, sizeof message);
    raftcore_messages one = {&message, 1, sizeof message};
    raftcore_status status = 1;
    message.kind = 999;
    message.to = message.from = 1;
    CHECK_STATUS(raftcore_node_step_messages(node, &one, &status, &error), RAFTCORE_ERR_REFUSED);
    CHECK_EQ(status, RAFTCORE_ERR_REFUSED);
    CHECK_STATUS(raftcore_node_step_message(node, &message, &error), RAFTCORE_ERR_REFUSED);
    message.kind = RAFTCORE_MESSAGE_STORAGE_APPEND_RESPONSE;
    CHECK_STATUS(raftcore_node_step_messages(node, &one, NULL, &error), RAFTCORE_ERR_REFUSED);
    /* One that points nowhere takes a shorter way in, to the same answers. */
    message.kind = RAFTCORE_MESSAGE_APPEND_RESPONSE;
    CHECK_STATUS(raftcore_node_step_message(node, &message, &error), RAFTCORE_ERR_REFUSED);
    message.to = 0;
    CHECK_STATUS(raftcore_node_step_message(node, &message, &error), RAFTCORE_ERR_REFUSED);
    message.to = 1;
    message.reject = 2;
    CHECK_STATUS(raftcore_node_step_message(node, &message, &error), RAFTCORE_ERR_ENUM);
    message.reject = 1;
    message.response_number = 1;
    CHECK_STATUS(raftcore_node_step_message(node, &message, &error), RAFTCORE_ERR_ENUM);
    message.response_number = 0;
    message.kind = RAFTCORE_MESSAGE_HEARTBEAT;
    message.reject = 2;
    CHECK_STATUS(raftcore_node_step_messages(node, &one, NULL, &error), RAFTCORE_ERR_ENUM);
    message.reject = 0;
    message.response_number = 1;
    CHECK_STATUS(raftcore_node_step_messages(node, &one, NULL, &error), RAFTCORE_ERR_ENUM);
    message.response_number = 0;
    message.entries = (raftcore_entries){NULL, 1, sizeof(raftcore_entry)};
    CHECK_STATUS(raftcore_node_step_messages(node, &one, NULL, &error), RAFTCORE_ERR_NULL);
    message.entries.items = (const raftcore_entry *)&lengths;
    message.entries.stride = 4;
    CHECK_STATUS(raftcore_node_step_messages(node, &one, NULL, &error), RAFTCORE_ERR_STRUCT_SIZE);
    one.stride = sizeof message - 8;
    CHECK_STATUS(raftcore_node_step_messages(node, &one, NULL, &error), RAFTCORE_ERR_STRUCT_SIZE);

    /* A message of a Ready is one that it has. */
    struct cluster other;
    const raftcore_ready *theirs;
    cluster_start(&other, 2);
    settle(&other);
    OK(raftcore_node_campaign(other.members[0].node, &error));
    OK(raftcore_node_ready(other.members[0].node, &theirs, &error));
    CHECK(theirs->messages.count > 0);
    const raftcore_message *asks = raftcore_message_at(&theirs->messages, 0);
    CHECK_STATUS(raftcore_node_step_from(node, other.members[0].node, theirs, &message, &error),
                 RAFTCORE_ERR_STALE_READY);
    CHECK_STATUS(raftcore_node_step_from(node, other.members[0].node, NULL, asks, &error),
                 RAFTCORE_ERR_NULL);
    CHECK_STATUS(raftcore_node_step_from(node, node, theirs, asks, &error),
                 RAFTCORE_ERR_STALE_READY);
    OK(raftcore_node_step_from(other.members[1].node, other.members[0].node, theirs, asks,
                               &error));
    cluster_stop(&other);

    /* Parts. */
    raftcore_proposed proposed = {.struct_size = sizeof proposed};
    const raftcore_ready *ready;
    OK(raftcore_node_propose(node, "x", 1, &proposed, &error));
    OK(raftcore_node_ready(node, &ready, &error));
    CHECK_STATUS(raftcore_node_persist_parts(node, ready, 8, &error), RAFTCORE_ERR_ENUM);
    OK(raftcore_node_persist_parts(node, ready, 0, &error));
    CHECK_STATUS(raftcore_node_next(node, ready, &ready, &error), RAFTCORE_ERR_NOT_PERSISTED);
    OK(raftcore_node_persist_parts(node, ready, RAFTCORE_PERSIST_ENTRIES, &error));
    OK(raftcore_node_next(node, ready, &ready, &error));
    CHECK(ready != NULL && ready->committed.count == 1); /* of one member, at once */

    /* A membership change that is encoded already. */
    raftcore_conf_change_step add = {.node = 2, .kind = RAFTCORE_CONF_CHANGE_ADD_LEARNER};
    raftcore_conf_change change = {
        .struct_size = sizeof change, .steps = &add, .step_count = 1};
    raftcore_buffer encoded;
    raftcore_entry_kind kind;
    OK(raftcore_conf_change_encode(&change, &encoded, &kind, &error));
    CHECK_STATUS(raftcore_node_propose_conf_change_entry(node, RAFTCORE_ENTRY_NORMAL, encoded.data,
                                                         encoded.len, NULL, &error),
                 RAFTCORE_ERR_ENUM);
    CHECK_STATUS(raftcore_node_propose_conf_change_entry(node, kind, "\xff", 1, NULL, &error),
                 RAFTCORE_ERR_REFUSED);
    OK(raftcore_node_propose_conf_change_entry(node, kind, encoded.data, encoded.len, &proposed,
                                               &error));
    CHECK_EQ(proposed.outcome, RAFTCORE_OUTCOME_APPENDED);
    raftcore_buffer_free(&encoded);

    /* One node a storage, unless the program says otherwise. */
    raftcore_config config = config_of(1);
    raftcore_node *second = NULL;
    CHECK_STATUS(raftcore_node_create(&config, storage, &second, &error),
                 RAFTCORE_ERR_STORAGE_IN_USE);
    CHECK_STATUS(raftcore_storage_set_shared(storage, 2, &error), RAFTCORE_ERR_ENUM);
    OK(raftcore_storage_set_shared(storage, 1, &error));
    OK(raftcore_node_create(&config, storage, &second, &error));
    raftcore_node_destroy(second);
    cluster_stop(&cluster);
}

int main(void)
{
    a_group_lives_on_structs_and_on_packed_bytes();
    what_is_wrong_with_a_batch_is_said();
    return 0;
}
