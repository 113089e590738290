/* What a program can do wrong: each mistake has an answer, and the node goes on. */
#include "cluster.h"

static void a_ready_is_taken_once_and_advanced_once(void)
{
    struct cluster cluster;
    cluster_start(&cluster, 1);
    raftcore_node *node = cluster.members[0].node;
    const raftcore_ready *ready, *first, *none = NULL;
    CHECK_STATUS(raftcore_node_advance(node, NULL, &error), RAFTCORE_ERR_NULL);
    OK(raftcore_node_ready(node, &ready, &error));
    CHECK_STATUS(raftcore_node_ready(node, &none, &error), RAFTCORE_ERR_READY_OUTSTANDING);
    CHECK_STATUS(raftcore_node_poll_ready(node, 0, &none, &error), RAFTCORE_ERR_READY_OUTSTANDING);
    CHECK(none == NULL);

    /* Not in the storage: it stays outstanding, and valid. */
    CHECK_STATUS(raftcore_node_advance(node, ready, &error), RAFTCORE_ERR_NOT_PERSISTED);
    CHECK_EQ(raftcore_entry_at(&ready->entries, 0)->index, 1);
    CHECK_EQ(raftcore_node_has_ready(node), 0);
    raftcore_ready copy = *ready;
    CHECK_STATUS(raftcore_node_persist(node, &copy, &error), RAFTCORE_ERR_STALE_READY);
    OK(raftcore_node_persist(node, ready, &error));
    CHECK_STATUS(raftcore_node_advance(node, &copy, &error), RAFTCORE_ERR_STALE_READY);
    OK(raftcore_node_advance(node, ready, &error));
    CHECK_STATUS(raftcore_node_advance(node, ready, &error), RAFTCORE_ERR_STALE_READY);
    CHECK_STATUS(raftcore_node_persist(node, ready, &error), RAFTCORE_ERR_STALE_READY);

    first = ready;
    OK(raftcore_node_campaign(node, &error));
    OK(raftcore_node_ready(node, &ready, &error));
    CHECK(ready != NULL && ready != first);
    raftcore_buffer text = {NULL, 0, NULL};
    CHECK_STATUS(raftcore_node_describe_ready(node, first, &text, &error),
                 RAFTCORE_ERR_STALE_READY);
    CHECK(text.data == NULL && text.owner == NULL);
    CHECK_STATUS(raftcore_node_advance(node, first, &error), RAFTCORE_ERR_STALE_READY);
    cluster_stop(&cluster); /* with a Ready outstanding */
}

static void impossible_configurations_are_refused(void)
{
    raftcore_node *node = NULL;
    raftcore_error error = {.struct_size = sizeof error};
    raftcore_config config = config_of(0);
    CHECK_EQ(raftcore_node_create(&config, NULL, &node, &error), RAFTCORE_ERR_CONFIG);
    CHECK_EQ(error.detail, RAFTCORE_CONFIG_ID);
    CHECK(strstr(error.message, "id 0") != NULL);
    config = config_of(1);
    config.election_timeout_ticks = 1;
    CHECK_EQ(raftcore_node_create(&config, NULL, &node, &error), RAFTCORE_ERR_CONFIG);
    CHECK_EQ(error.detail, RAFTCORE_CONFIG_ELECTION);
    config = config_of(1);
    config.read_only = RAFTCORE_READ_ONLY_LEASE_BASED;
    config.check_quorum = 0;
    CHECK_EQ(raftcore_node_create(&config, NULL, &node, &error), RAFTCORE_ERR_CONFIG);
    CHECK_EQ(error.detail, RAFTCORE_CONFIG_LEASE);
    config = config_of(1);
    config.applied = 5;
    CHECK_EQ(raftcore_node_create(&config, NULL, &node, &error), RAFTCORE_ERR_CONFIG);
    CHECK_EQ(error.detail, RAFTCORE_CONFIG_APPLIED);
    config = config_of(1);
    config.read_only = 7;
    CHECK_STATUS(raftcore_node_create(&config, NULL, &node, &error), RAFTCORE_ERR_ENUM);
    config = config_of(1);
    config.pre_vote = 2;
    CHECK_STATUS(raftcore_node_create(&config, NULL, &node, &error), RAFTCORE_ERR_ENUM);
    config = config_of(1);
    config.message_forms = 4;
    CHECK_STATUS(raftcore_node_create(&config, NULL, &node, &error), RAFTCORE_ERR_ENUM);
    CHECK(node == NULL);

    uint64_t twice[2] = {1, 1};
    raftcore_conf_state state = {.struct_size = sizeof state, .voters = {twice, 2}};
    raftcore_storage *storage;
    OK(raftcore_storage_create_memory(&state, &storage, &error));
    config = config_of(1);
    CHECK_EQ(raftcore_node_create(&config, storage, &node, &error), RAFTCORE_ERR_CONFIG);
    CHECK_EQ(error.detail, RAFTCORE_CONFIG_STORED_MEMBERSHIP);
    raftcore_storage_destroy(storage);
}

static void a_group_is_bootstrapped_once_and_with_members(void)
{
    raftcore_node *node;
    raftcore_config config = config_of(1);
    raftcore_peer peers[2] = {{.id = 1}, {.id = 1}};
    OK(raftcore_node_create(&config, NULL, &node, &error));
    CHECK_STATUS(raftcore_node_bootstrap(node, NULL, 0, &error), RAFTCORE_ERR_PEERS);
    CHECK_STATUS(raftcore_node_bootstrap(node, NULL, 1, &error), RAFTCORE_ERR_NULL);
    CHECK_STATUS(raftcore_node_bootstrap(node, peers, 2, &error), RAFTCORE_ERR_PEERS);
    peers[1].id = 0;
    CHECK_STATUS(raftcore_node_bootstrap(node, peers, 2, &error), RAFTCORE_ERR_ID);
    peers[1].id = 2;
    OK(raftcore_node_bootstrap(node, peers, 2, &error));
    CHECK_STATUS(raftcore_node_bootstrap(node, peers, 2, &error), RAFTCORE_ERR_BOOTSTRAPPED);
    raftcore_node_destroy(node);
}

static void bytes_from_the_network_harm_nobody(void)
{
    struct cluster cluster;
    cluster_start(&cluster, 3);
    elect(&cluster, 1);
    struct member *leader = &cluster.members[0];
    const raftcore_ready *ready;
    uint8_t bytes[256];
    raftcore_error error = {.struct_size = sizeof error};
    OK(raftcore_node_propose(leader->node, "payload", 7, NULL, &error));
    OK(raftcore_node_ready(leader->node, &ready, &error));
    raftcore_slice whole = raftcore_message_at(&ready->messages, 0)->encoded;
    raftcore_node_state before = state_of(&cluster.members[1]);
    CHECK(whole.len < sizeof bytes);
    for (size_t len = 0; len < whole.len; len++) { /* truncated everywhere */
        memcpy(bytes, whole.data, len);
        raftcore_node_step(cluster.members[1].node, bytes, len, NULL);
    }
    for (size_t at = 0; at < whole.len; at++) { /* every byte wrong once */
        memcpy(bytes, whole.data, whole.len);
        bytes[at] ^= 0xff;
        raftcore_node_step(cluster.members[1].node, bytes, whole.len, NULL);
    }
    CHECK_EQ(raftcore_node_step(leader->node, whole.data, whole.len, &error), RAFTCORE_ERR_REFUSED);
    CHECK_EQ(error.detail, RAFTCORE_REFUSAL_MISADDRESSED);
    CHECK_EQ(raftcore_node_step(leader->node, whole.data, 3, &error), RAFTCORE_ERR_REFUSED);
    CHECK_EQ(error.detail, RAFTCORE_REFUSAL_MALFORMED);
    CHECK_EQ(raftcore_node_step(leader->node, NULL, 0, &error), RAFTCORE_ERR_REFUSED);
    raftcore_node_state after = state_of(&cluster.members[1]);
    CHECK_EQ(after.faulted, 0);
    CHECK_EQ(after.commit, before.commit);
    cluster_stop(&cluster);
}

static void numbers_without_a_meaning_are_errors(void)
{
    struct cluster cluster;
    cluster_start(&cluster, 1);
    raftcore_node *node = cluster.members[0].node;
    CHECK_STATUS(raftcore_node_transfer_leader(node, 0, &error), RAFTCORE_ERR_ID);
    CHECK_STATUS(raftcore_node_report_unreachable(node, UINT64_MAX, &error), RAFTCORE_ERR_ID);
    CHECK_STATUS(raftcore_node_report_snapshot(node, 2, 9, &error), RAFTCORE_ERR_ENUM);
    CHECK_STATUS(raftcore_node_set_log(node, 9, NULL, NULL, NULL, &error), RAFTCORE_ERR_ENUM);
    raftcore_conf_change_step step = {.node = 2, .kind = 9};
    raftcore_conf_change change = {
        .struct_size = sizeof change, .steps = &step, .step_count = 1};
    CHECK_STATUS(raftcore_node_propose_conf_change(node, &change, NULL, &error), RAFTCORE_ERR_ENUM);
    step.kind = RAFTCORE_CONF_CHANGE_ADD_VOTER;
    change.form = 3;
    CHECK_STATUS(raftcore_node_propose_conf_change(node, &change, NULL, &error), RAFTCORE_ERR_ENUM);
    change.form = RAFTCORE_CONF_CHANGE_FORM_V1;
    change.transition = RAFTCORE_TRANSITION_JOINT_EXPLICIT;
    CHECK_STATUS(raftcore_node_propose_conf_change(node, &change, NULL, &error), RAFTCORE_ERR_ENUM);
    change.transition = 3;
    CHECK_STATUS(raftcore_node_propose_conf_change(node, &change, NULL, &error), RAFTCORE_ERR_ENUM);
    raftcore_entry normal = {.index = 9};
    CHECK_STATUS(raftcore_node_apply_conf_change_entry(node, &normal, NULL, &error),
                 RAFTCORE_ERR_ENUM);
    raftcore_error error = {.struct_size = sizeof error};
    CHECK_EQ(raftcore_node_propose(node, "x", 1, NULL, &error), RAFTCORE_ERR_DROPPED);
    CHECK_EQ(error.detail, RAFTCORE_DROP_NO_LEADER);
    cluster_stop(&cluster);
}

/* A field that may get a meaning later is zero today, or the program is told. */
static void what_is_reserved_must_be_zero(void)
{
    raftcore_config config = config_of(1);
    raftcore_conf_state members = {.struct_size = sizeof members, .reserved = 1};
    raftcore_conf_change_step step = {.node = 2, .reserved = 1};
    raftcore_conf_change change = {
        .struct_size = sizeof change, .steps = &step, .step_count = 1};
    raftcore_entry entry = {.term = 1, .index = 1, .reserved = 1};
    raftcore_entries entries = {&entry, 1, sizeof entry};
    raftcore_message message = RAFTCORE_MESSAGE_INIT;
    raftcore_buffer text = RAFTCORE_BUFFER_INIT;
    raftcore_storage *storage = NULL;
    raftcore_node *node = NULL;
    config.reserved = 1;
    CHECK_STATUS(raftcore_node_create(&config, NULL, &node, &error), RAFTCORE_ERR_ENUM);
    CHECK_STATUS(raftcore_storage_create_memory(&members, &storage, &error), RAFTCORE_ERR_ENUM);
    CHECK_STATUS(raftcore_conf_change_encode(&change, &text, NULL, &error), RAFTCORE_ERR_ENUM);
    CHECK_STATUS(raftcore_entry_encode(&entry, &text, &error), RAFTCORE_ERR_ENUM);
    message.kind = RAFTCORE_MESSAGE_APPEND;
    message.from = message.to = message.term = 1;
    message.entries = entries;
    CHECK_STATUS(raftcore_message_encode(&message, &text, &error), RAFTCORE_ERR_ENUM);
    OK(raftcore_storage_create_memory(NULL, &storage, &error));
    CHECK_STATUS(raftcore_storage_append(storage, &entries, &error), RAFTCORE_ERR_ENUM);
    CHECK(node == NULL && text.owner == NULL);
    raftcore_storage_destroy(storage);
}

/* More bytes than there is memory for: an answer, not the end of the process. */
static void what_no_memory_holds_is_refused(void)
{
    const size_t lengths[] = {SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / 4 + 1};
    struct cluster cluster;
    cluster_start(&cluster, 1);
    raftcore_node *node = cluster.members[0].node;
    for (size_t i = 0; i < 3; i++) {
        raftcore_slice many[2] = {{(const uint8_t *)"x", lengths[i]}, {(const uint8_t *)"y", 1}};
        uint64_t packed = lengths[i];
        CHECK_STATUS(raftcore_node_propose(node, "x", lengths[i], NULL, &error),
                     RAFTCORE_ERR_TOO_LARGE);
        CHECK_STATUS(raftcore_node_propose_many(node, many, 2, NULL, &error),
                     RAFTCORE_ERR_TOO_LARGE);
        CHECK_STATUS(raftcore_node_propose_packed(node, "x", lengths[i], &packed, 1, NULL, &error),
                     RAFTCORE_ERR_TOO_LARGE);
        CHECK_STATUS(raftcore_node_step(node, "x", lengths[i], &error), RAFTCORE_ERR_TOO_LARGE);
        CHECK_STATUS(raftcore_node_read_index(node, "x", lengths[i], &error),
                     RAFTCORE_ERR_TOO_LARGE);
    }
    cluster_stop(&cluster);
}

int main(void)
{
    a_ready_is_taken_once_and_advanced_once();
    impossible_configurations_are_refused();
    a_group_is_bootstrapped_once_and_with_members();
    bytes_from_the_network_harm_nobody();
    numbers_without_a_meaning_are_errors();
    what_is_reserved_must_be_zero();
    what_no_memory_holds_is_refused();
    return 0;
}
