/* Payloads that the program keeps: the library has their lengths, and shows them without bytes. */
#include "check.h"

struct one {
    raftcore_node *node;
    raftcore_storage *storage;
};

static raftcore_config config_of(uint64_t id, uint32_t forms)
{
    raftcore_config config;
    OK(raftcore_config_init(&config, sizeof config, &error));
    config.id = id;
    config.seed = id;
    config.message_forms = forms;
    config.max_uncommitted_bytes = 10000;
    return config;
}

static struct one start(uint64_t id, uint64_t members, uint32_t forms)
{
    struct one one;
    uint64_t ids[] = {1, 2};
    raftcore_conf_state state = RAFTCORE_CONF_STATE_INIT;
    const raftcore_config config = config_of(id, forms);
    state.voters.items = ids;
    state.voters.count = (size_t)members;
    OK(raftcore_storage_create_memory(&state, &one.storage, &error));
    OK(raftcore_node_create(&config, one.storage, &one.node, &error));
    return one;
}

static void stop(struct one one)
{
    raftcore_node_destroy(one.node);
    raftcore_storage_destroy(one.storage);
}

static const raftcore_ready *take(struct one one)
{
    const raftcore_ready *ready;
    OK(raftcore_node_ready(one.node, &ready, &error));
    CHECK(ready != NULL);
    return ready;
}

static void give_back(struct one one, const raftcore_ready *ready)
{
    OK(raftcore_node_persist(one.node, ready, &error));
    OK(raftcore_node_advance(one.node, ready, &error));
}

static void quiet(struct one one)
{
    while (raftcore_node_has_ready(one.node) == 1) give_back(one, take(one));
}

static void is_kept(const raftcore_entries *entries, size_t i, uint64_t index, size_t len)
{
    const raftcore_entry *entry = raftcore_entry_at(entries, i);
    CHECK_EQ(entry->index, index);
    CHECK_EQ(entry->data.len, len);
    CHECK(entry->data.data == NULL);
}

static void a_leader(void)
{
    struct one one = start(1, 1, RAFTCORE_FORM_FIELDS);
    const uint64_t lengths[] = {5, 0, RAFTCORE_KEPT_MAX};
    const uint64_t too_long = RAFTCORE_KEPT_MAX + 1;
    raftcore_proposed proposed = {.struct_size = sizeof proposed};
    raftcore_entries *stored;
    raftcore_buffer buffer;
    CHECK_STATUS(raftcore_node_propose_kept(one.node, lengths, 1, NULL, &error),
                 RAFTCORE_ERR_DROPPED);
    OK(raftcore_node_campaign(one.node, &error));
    quiet(one);
    CHECK_STATUS(raftcore_node_propose_kept(one.node, &too_long, 1, NULL, &error),
                 RAFTCORE_ERR_TOO_LARGE);
    OK(raftcore_node_propose_kept(one.node, lengths, 3, &proposed, &error));
    CHECK_EQ(proposed.first, 2);
    /* The lengths count. */
    CHECK_STATUS(raftcore_node_propose_kept(one.node, lengths, 1, NULL, &error),
                 RAFTCORE_ERR_DROPPED);
    const raftcore_ready *ready = take(one);
    CHECK_EQ(ready->entries.count, 3);
    is_kept(&ready->entries, 0, 2, 5);
    CHECK_EQ(raftcore_entry_at(&ready->entries, 1)->data.len, 0);
    is_kept(&ready->entries, 2, 4, RAFTCORE_KEPT_MAX);
    CHECK_STATUS(raftcore_entry_encode(raftcore_entry_at(&ready->entries, 0), &buffer, &error),
                 RAFTCORE_ERR_NULL);
    give_back(one, ready);
    ready = take(one);
    is_kept(&ready->committed, 0, 2, 5);
    give_back(one, ready);
    OK(raftcore_storage_entries(one.storage, 2, 5, UINT64_MAX, &stored, &error));
    is_kept(stored, 0, 2, 5);
    raftcore_entries_destroy(stored);
    stop(one);
}

static void a_follower(void)
{
    struct one one = start(2, 2, RAFTCORE_FORM_FIELDS);
    const uint64_t terms[] = {1, 1}, lengths[] = {3, 4}, fault[] = {2, 1};
    raftcore_message head = RAFTCORE_MESSAGE_INIT;
    int32_t taken = -1;
    head.kind = RAFTCORE_MESSAGE_APPEND;
    head.to = 2;
    head.from = 1;
    head.term = 2;
    OK(raftcore_node_step_kept(one.node, &head, terms, lengths, 2, &taken, &error));
    CHECK_EQ(taken, 1);
    const raftcore_ready *ready = take(one);
    CHECK_EQ(ready->entries.count, 2);
    is_kept(&ready->entries, 0, 1, 3);
    is_kept(&ready->entries, 1, 2, 4);
    give_back(one, ready);
    /* There is no entry 7 yet. */
    head.index = 7;
    head.log_term = 1;
    OK(raftcore_node_step_kept(one.node, &head, terms, lengths, 2, &taken, &error));
    CHECK_EQ(taken, 0);
    head.index = 2;
    CHECK_STATUS(raftcore_node_step_kept(one.node, &head, fault, lengths, 2, &taken, &error),
                 RAFTCORE_ERR_REFUSED);
    head.from = 0;
    CHECK_STATUS(raftcore_node_step_kept(one.node, &head, terms, lengths, 2, &taken, &error),
                 RAFTCORE_ERR_ID);
    head.kind = RAFTCORE_MESSAGE_HEARTBEAT;
    CHECK_STATUS(raftcore_node_step_kept(one.node, &head, terms, lengths, 2, &taken, &error),
                 RAFTCORE_ERR_ENUM);
    stop(one);
}

/* What is encoded needs its bytes. */
static void a_node_that_encodes(void)
{
    struct one one = start(1, 1, RAFTCORE_FORM_FIELDS | RAFTCORE_FORM_ENCODED);
    const uint64_t length = 3, term = 1;
    raftcore_message head = RAFTCORE_MESSAGE_INIT;
    int32_t taken;
    head.kind = RAFTCORE_MESSAGE_APPEND;
    head.to = 1;
    head.from = 2;
    head.term = 1;
    CHECK_STATUS(raftcore_node_propose_kept(one.node, &length, 1, NULL, &error),
                 RAFTCORE_ERR_MISUSE);
    CHECK_STATUS(raftcore_node_step_kept(one.node, &head, &term, &length, 1, &taken, &error),
                 RAFTCORE_ERR_MISUSE);
    stop(one);
}

static void deliver(struct one from, raftcore_node *const nodes[2])
{
    const raftcore_ready *ready = take(from);
    OK(raftcore_node_deliver(from.node, ready, &ready->messages, nodes, 2, &error));
    OK(raftcore_node_persist(from.node, ready, &error));
    OK(raftcore_node_deliver(from.node, ready, &ready->messages_after_sync, nodes, 2, &error));
    OK(raftcore_node_advance(from.node, ready, &error));
}

/* Nor does it take them from another node of the process, or from a storage. */
static void a_node_that_encodes_among_others(void)
{
    struct one keeps = start(1, 2, RAFTCORE_FORM_FIELDS);
    struct one encodes = start(2, 2, RAFTCORE_FORM_FIELDS | RAFTCORE_FORM_ENCODED);
    raftcore_node *const nodes[] = {keeps.node, encodes.node};
    const raftcore_config config = config_of(1, RAFTCORE_FORM_ENCODED);
    const uint64_t length = 3;
    OK(raftcore_node_campaign(keeps.node, &error));
    while (raftcore_node_has_ready(keeps.node) || raftcore_node_has_ready(encodes.node)) {
        if (raftcore_node_has_ready(keeps.node)) deliver(keeps, nodes);
        if (raftcore_node_has_ready(encodes.node)) deliver(encodes, nodes);
    }
    OK(raftcore_node_propose_kept(keeps.node, &length, 1, NULL, &error));
    const raftcore_ready *ready = take(keeps);
    CHECK_EQ(ready->messages.count, 1);
    CHECK_STATUS(raftcore_node_step_from(encodes.node, keeps.node, ready,
                                         raftcore_message_at(&ready->messages, 0), &error),
                 RAFTCORE_ERR_MISUSE);
    CHECK_STATUS(raftcore_node_deliver(keeps.node, ready, &ready->messages, nodes, 2, &error),
                 RAFTCORE_ERR_MISUSE);
    CHECK_EQ(raftcore_node_has_ready(encodes.node), 0);
    give_back(keeps, ready);
    raftcore_node_destroy(keeps.node);
    CHECK_STATUS(raftcore_node_create(&config, keeps.storage, &keeps.node, &error),
                 RAFTCORE_ERR_MISUSE);
    raftcore_storage_destroy(keeps.storage);
    stop(encodes);
}

int main(void)
{
    a_leader();
    a_follower();
    a_node_that_encodes();
    a_node_that_encodes_among_others();
    return 0;
}
