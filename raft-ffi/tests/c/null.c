/* NULL where it is not allowed, in every place of every function. */
#include "cluster.h"

#define IS_NULL(call) CHECK_STATUS(call, RAFTCORE_ERR_NULL)

static void node_functions(raftcore_node *node)
{
    raftcore_config config = config_of(1);
    const raftcore_ready *ready;
    raftcore_node *other = NULL;
    raftcore_buffer buffer;
    raftcore_conf_change change = {.struct_size = sizeof change};
    raftcore_entry entry = {.kind = RAFTCORE_ENTRY_CONF_CHANGE};
    const int32_t *word;
    int32_t fd;
    IS_NULL(raftcore_config_init(NULL, sizeof config, &error));
    IS_NULL(raftcore_node_create(NULL, NULL, &other, &error));
    IS_NULL(raftcore_node_create(&config, NULL, NULL, &error));
    IS_NULL(raftcore_node_bootstrap(NULL, NULL, 0, &error));
    IS_NULL(raftcore_node_tick(NULL, &error));
    IS_NULL(raftcore_node_tick_quiesced(NULL, &error));
    IS_NULL(raftcore_node_step(NULL, "", 0, &error));
    IS_NULL(raftcore_node_step(node, NULL, 1, &error));
    IS_NULL(raftcore_node_step_many(NULL, NULL, 0, NULL, &error));
    IS_NULL(raftcore_node_step_many(node, NULL, 1, NULL, &error));
    IS_NULL(raftcore_node_campaign(NULL, &error));
    IS_NULL(raftcore_node_transfer_leader(NULL, 1, &error));
    IS_NULL(raftcore_node_forget_leader(NULL, &error));
    IS_NULL(raftcore_node_report_unreachable(NULL, 1, &error));
    IS_NULL(raftcore_node_report_snapshot(NULL, 1, RAFTCORE_SNAPSHOT_FAILED, &error));
    IS_NULL(raftcore_node_propose(NULL, "", 0, NULL, &error));
    IS_NULL(raftcore_node_propose(node, NULL, 1, NULL, &error));
    IS_NULL(raftcore_node_propose_many(NULL, NULL, 0, NULL, &error));
    IS_NULL(raftcore_node_propose_many(node, NULL, 1, NULL, &error));
    IS_NULL(raftcore_node_propose_conf_change(NULL, &change, NULL, &error));
    IS_NULL(raftcore_node_propose_conf_change(node, NULL, NULL, &error));
    IS_NULL(raftcore_node_apply_conf_change(NULL, &change, NULL, &error));
    IS_NULL(raftcore_node_apply_conf_change(node, NULL, NULL, &error));
    IS_NULL(raftcore_node_apply_conf_change_entry(NULL, &entry, NULL, &error));
    IS_NULL(raftcore_node_apply_conf_change_entry(node, NULL, NULL, &error));
    IS_NULL(raftcore_node_read_index(NULL, "", 0, &error));
    IS_NULL(raftcore_node_read_index(node, NULL, 1, &error));
    CHECK_EQ(raftcore_node_has_ready(NULL), RAFTCORE_ERR_NULL);
    IS_NULL(raftcore_node_ready(NULL, &ready, &error));
    IS_NULL(raftcore_node_ready(node, NULL, &error));
    IS_NULL(raftcore_node_advance(NULL, NULL, &error));
    IS_NULL(raftcore_node_persist(NULL, NULL, &error));
    IS_NULL(raftcore_node_describe_ready(NULL, NULL, &buffer, &error));
    IS_NULL(raftcore_node_describe_ready(node, NULL, NULL, &error));
    IS_NULL(raftcore_node_poll_ready(NULL, 0, &ready, &error));
    IS_NULL(raftcore_node_poll_ready(node, 0, NULL, &error));
    IS_NULL(raftcore_node_wake(NULL, &error));
    IS_NULL(raftcore_node_ready_fd(NULL, &fd, &error));
    IS_NULL(raftcore_node_ready_fd(node, NULL, &error));
    IS_NULL(raftcore_node_ready_word(NULL, &word, &error));
    IS_NULL(raftcore_node_ready_word(node, NULL, &error));
    IS_NULL(raftcore_node_status(NULL, NULL, &error));
    IS_NULL(raftcore_node_status(node, NULL, &error));
    IS_NULL(raftcore_node_details(NULL, NULL, &error));
    IS_NULL(raftcore_node_details(node, NULL, &error));
    IS_NULL(raftcore_node_metrics(NULL, NULL, &error));
    IS_NULL(raftcore_node_metrics(node, NULL, &error));
    IS_NULL(raftcore_node_set_log(NULL, RAFTCORE_LOG_INFO, NULL, NULL, NULL, &error));
    CHECK(other == NULL);
}

/* What is newer than the first release. */
static void newer_node_functions(raftcore_node *node)
{
    const raftcore_ready *ready;
    raftcore_messages messages = RAFTCORE_MESSAGES_INIT;
    raftcore_message message = RAFTCORE_MESSAGE_INIT;
    raftcore_buffer buffer;
    uint64_t one = 1;
    int32_t taken;
    IS_NULL(raftcore_node_step_packed(NULL, NULL, 0, NULL, 0, NULL, &error));
    IS_NULL(raftcore_node_step_packed(node, NULL, 1, &one, 1, NULL, &error));
    IS_NULL(raftcore_node_step_packed(node, "", 1, NULL, 1, NULL, &error));
    IS_NULL(raftcore_node_step_messages(NULL, &messages, NULL, &error));
    IS_NULL(raftcore_node_step_messages(node, NULL, NULL, &error));
    OK(raftcore_node_step_messages(node, &messages, NULL, &error));
    messages.count = 1;
    IS_NULL(raftcore_node_step_messages(node, &messages, NULL, &error));
    IS_NULL(raftcore_node_step_message(NULL, &message, &error));
    IS_NULL(raftcore_node_step_message(node, NULL, &error));
    IS_NULL(raftcore_node_step_from(NULL, node, NULL, &message, &error));
    IS_NULL(raftcore_node_step_from(node, NULL, NULL, &message, &error));
    IS_NULL(raftcore_node_step_from(node, node, NULL, &message, &error));
    IS_NULL(raftcore_node_deliver(NULL, NULL, &messages, NULL, 0, &error));
    IS_NULL(raftcore_node_deliver(node, NULL, &messages, NULL, 0, &error));
    IS_NULL(raftcore_node_deliver(node, NULL, NULL, NULL, 0, &error));
    IS_NULL(raftcore_node_deliver(node, NULL, &messages, NULL, 1, &error));
    IS_NULL(raftcore_node_propose_packed(NULL, NULL, 0, NULL, 0, NULL, &error));
    IS_NULL(raftcore_node_propose_packed(node, NULL, 1, &one, 1, NULL, &error));
    IS_NULL(raftcore_node_propose_packed(node, "", 1, NULL, 1, NULL, &error));
    IS_NULL(raftcore_node_propose_kept(NULL, NULL, 0, NULL, &error));
    IS_NULL(raftcore_node_propose_kept(node, NULL, 1, NULL, &error));
    IS_NULL(raftcore_node_propose_conf_change_entry(NULL, 1, "", 0, NULL, &error));
    IS_NULL(raftcore_node_propose_conf_change_entry(node, 1, NULL, 1, NULL, &error));
    message.kind = RAFTCORE_MESSAGE_APPEND;
    message.to = message.from = 1;
    IS_NULL(raftcore_node_step_kept(NULL, &message, NULL, NULL, 0, &taken, &error));
    IS_NULL(raftcore_node_step_kept(node, NULL, NULL, NULL, 0, &taken, &error));
    IS_NULL(raftcore_node_step_kept(node, &message, NULL, &one, 1, &taken, &error));
    IS_NULL(raftcore_node_step_kept(node, &message, &one, NULL, 1, &taken, &error));
    IS_NULL(raftcore_node_step_kept(node, &message, NULL, NULL, 0, NULL, &error));
    IS_NULL(raftcore_node_next(NULL, NULL, &ready, &error));
    IS_NULL(raftcore_node_next(node, NULL, NULL, &error));
    IS_NULL(raftcore_node_next_among(NULL, NULL, NULL, 0, &ready, &error));
    IS_NULL(raftcore_node_next_among(node, NULL, NULL, 1, &ready, &error));
    IS_NULL(raftcore_node_next_among(node, NULL, NULL, 0, NULL, &error));
    IS_NULL(raftcore_node_persist_parts(NULL, NULL, 0, &error));
    IS_NULL(raftcore_node_persist_parts(node, NULL, 0, &error));
    IS_NULL(raftcore_node_release(NULL, NULL, &error));
    IS_NULL(raftcore_node_release(node, NULL, &error));
    IS_NULL(raftcore_node_storage_response(NULL, 1, &error));
    IS_NULL(raftcore_node_describe(NULL, &buffer, &error));
    IS_NULL(raftcore_node_describe(node, NULL, &error));
}

static void newer_codecs(void)
{
    raftcore_buffer buffer;
    raftcore_entry entry = {1, 1, {NULL, 0}, RAFTCORE_ENTRY_NORMAL, 0};
    raftcore_entries entries = RAFTCORE_ENTRIES_INIT;
    raftcore_hard_state state = {1, 1, 1};
    raftcore_message message = RAFTCORE_MESSAGE_INIT;
    raftcore_conf_state conf_state = RAFTCORE_CONF_STATE_INIT;
    raftcore_conf_change change = RAFTCORE_CONF_CHANGE_INIT;
    raftcore_snapshot snapshot = RAFTCORE_SNAPSHOT_INIT;
    IS_NULL(raftcore_storage_set_shared(NULL, 1, &error));
    IS_NULL(raftcore_entry_encode(NULL, &buffer, &error));
    IS_NULL(raftcore_entry_encode(&entry, NULL, &error));
    entry.data.len = 1;
    IS_NULL(raftcore_entry_encode(&entry, &buffer, &error));
    IS_NULL(raftcore_entries_decode(NULL, 0, NULL, &error));
    IS_NULL(raftcore_entries_describe(NULL, &buffer, &error));
    IS_NULL(raftcore_entries_describe(&entries, NULL, &error));
    IS_NULL(raftcore_hard_state_encode(NULL, &buffer, &error));
    IS_NULL(raftcore_hard_state_encode(&state, NULL, &error));
    IS_NULL(raftcore_hard_state_decode("", 0, NULL, &error));
    IS_NULL(raftcore_hard_state_decode(NULL, 1, &state, &error));
    IS_NULL(raftcore_hard_state_describe(NULL, &buffer, &error));
    IS_NULL(raftcore_hard_state_describe(&state, NULL, &error));
    IS_NULL(raftcore_message_encode(NULL, &buffer, &error));
    IS_NULL(raftcore_message_encode(&message, NULL, &error));
    IS_NULL(raftcore_conf_state_describe(NULL, &buffer, &error));
    IS_NULL(raftcore_conf_state_describe(&conf_state, NULL, &error));
    IS_NULL(raftcore_conf_change_describe(NULL, &buffer, &error));
    IS_NULL(raftcore_conf_change_describe(&change, NULL, &error));
    snapshot.conf_state = &conf_state;
    IS_NULL(raftcore_snapshot_describe(NULL, &buffer, &error));
    IS_NULL(raftcore_snapshot_describe(&snapshot, NULL, &error));
}

static void storage_functions(raftcore_storage *storage)
{
    raftcore_entries entries = {NULL, 0, 0};
    raftcore_entries missing = {NULL, 1, sizeof(raftcore_entry)};
    raftcore_snapshot snapshot = {.struct_size = sizeof snapshot};
    raftcore_hard_state hard_state = {0, 0, 0};
    raftcore_storage_callbacks callbacks = {.struct_size = sizeof callbacks};
    raftcore_storage *other = NULL;
    uint64_t index;
    IS_NULL(raftcore_storage_create_memory(NULL, NULL, &error));
    IS_NULL(raftcore_storage_create_callbacks(NULL, &other, &error));
    IS_NULL(raftcore_storage_create_callbacks(&callbacks, &other, &error));
    IS_NULL(raftcore_storage_create_callbacks(&callbacks, NULL, &error));
    IS_NULL(raftcore_storage_append(NULL, &entries, &error));
    IS_NULL(raftcore_storage_append(storage, NULL, &error));
    IS_NULL(raftcore_storage_append(storage, &missing, &error));
    OK(raftcore_storage_append(storage, &entries, &error));
    IS_NULL(raftcore_storage_set_conf_state(storage, NULL, &error));
    IS_NULL(raftcore_storage_set_hard_state(NULL, &hard_state, &error));
    IS_NULL(raftcore_storage_set_hard_state(storage, NULL, &error));
    IS_NULL(raftcore_storage_apply_snapshot(NULL, &snapshot, &error));
    IS_NULL(raftcore_storage_apply_snapshot(storage, NULL, &error));
    IS_NULL(raftcore_storage_apply_snapshot(storage, &snapshot, &error)); /* its conf_state */
    IS_NULL(raftcore_storage_create_snapshot(NULL, 1, NULL, "", 0, NULL, &error));
    IS_NULL(raftcore_storage_create_snapshot(storage, 1, NULL, NULL, 1, NULL, &error));
    IS_NULL(raftcore_storage_compact(NULL, 1, &error));
    IS_NULL(raftcore_storage_first_index(NULL, &index, &error));
    IS_NULL(raftcore_storage_first_index(storage, NULL, &error));
    IS_NULL(raftcore_storage_last_index(storage, NULL, &error));
    IS_NULL(raftcore_storage_term(storage, 0, NULL, &error));
    IS_NULL(raftcore_storage_entries(storage, 1, 1, 1, NULL, &error));
    IS_NULL(raftcore_storage_snapshot(storage, NULL, &error));
    IS_NULL(raftcore_storage_initial_state(NULL, NULL, NULL, &error));
    OK(raftcore_storage_initial_state(storage, NULL, NULL, &error));
    CHECK(other == NULL);
}

static void codecs(void)
{
    raftcore_buffer buffer;
    IS_NULL(raftcore_snapshot_encode(NULL, &buffer, &error));
    IS_NULL(raftcore_snapshot_decode("", 0, NULL, &error));
    IS_NULL(raftcore_conf_state_encode(NULL, &buffer, &error));
    IS_NULL(raftcore_conf_state_decode("", 0, NULL, &error));
    IS_NULL(raftcore_conf_change_encode(NULL, &buffer, NULL, &error));
    IS_NULL(raftcore_conf_change_decode(RAFTCORE_ENTRY_CONF_CHANGE, "", 0, NULL, &error));
    IS_NULL(raftcore_message_describe("", 0, NULL, &error));
    IS_NULL(raftcore_message_decode("", 0, NULL, &error));
    IS_NULL(raftcore_message_kind_of("", 0, NULL, &error));
}

/* And where it is allowed. */
static void nothing_to_free(void)
{
    raftcore_buffer empty = {NULL, 0, NULL};
    raftcore_buffer_free(NULL);
    raftcore_buffer_free(&empty);
    raftcore_node_destroy(NULL);
    raftcore_storage_destroy(NULL);
    raftcore_entries_destroy(NULL);
    raftcore_snapshot_destroy(NULL);
    raftcore_conf_state_destroy(NULL);
    raftcore_conf_change_destroy(NULL);
    raftcore_details_destroy(NULL);
    raftcore_message_destroy(NULL);
    CHECK_EQ(raftcore_node_tick(NULL, NULL), RAFTCORE_ERR_NULL);
    CHECK(strcmp(raftcore_last_error(), "node is NULL") == 0);
}

int main(void)
{
    struct cluster cluster;
    CHECK(strcmp(raftcore_last_error(), "") == 0);
    cluster_start(&cluster, 1);
    node_functions(cluster.members[0].node);
    newer_node_functions(cluster.members[0].node);
    newer_codecs();
    storage_functions(cluster.members[0].storage);
    codecs();
    nothing_to_free();
    cluster_stop(&cluster);
    return 0;
}
