/* Encoding and decoding of all that is sent or stored, texts of all of it, and initialisers. */
#include "cluster.h"

static void text_is(raftcore_buffer *text, const char *expected)
{
    if (strcmp((const char *)text->data, expected) != 0) {
        fprintf(stderr, "got:\n%s\nexpected:\n%s\n", (const char *)text->data, expected);
        exit(1);
    }
    CHECK_EQ(text->len, strlen(expected));
    raftcore_buffer_free(text);
    raftcore_buffer_free(text); /* it is empty now */
}

static void entries_and_hard_states(void)
{
    raftcore_entry list[2] = {{1, 4, {(const uint8_t *)"x", 1}, RAFTCORE_ENTRY_NORMAL, 0},
                              {1, 5, {NULL, 0}, RAFTCORE_ENTRY_CONF_CHANGE_V2, 0}};
    raftcore_entries entries = RAFTCORE_ENTRIES_INIT, *decoded;
    raftcore_buffer text = RAFTCORE_BUFFER_INIT, encoded[2];
    raftcore_slice slices[2];
    entries.items = list;
    entries.count = 2;
    OK(raftcore_entries_describe(&entries, &text, &error));
    text_is(&text, "1/4 EntryNormal \"x\"\n1/5 EntryConfChangeV2\n");
    for (int i = 0; i < 2; i++) {
        OK(raftcore_entry_encode(&list[i], &encoded[i], &error));
        slices[i] = (raftcore_slice){encoded[i].data, encoded[i].len};
    }
    OK(raftcore_entries_decode(slices, 2, &decoded, &error));
    CHECK_EQ(decoded->count, 2);
    CHECK_EQ(raftcore_entry_at(decoded, 1)->index, 5);
    CHECK(slice_is(raftcore_entry_at(decoded, 0)->data, "x"));
    raftcore_entries_destroy(decoded);
    slices[1].len = 1; /* cut in a field */
    CHECK_STATUS(raftcore_entries_decode(slices, 2, &decoded, &error), RAFTCORE_ERR_REFUSED);
    for (int i = 0; i < 2; i++) raftcore_buffer_free(&encoded[i]);
    list[0].kind = 3;
    CHECK_STATUS(raftcore_entry_encode(&list[0], &text, &error), RAFTCORE_ERR_ENUM);
    CHECK_STATUS(raftcore_entries_describe(&entries, &text, &error), RAFTCORE_ERR_ENUM);

    raftcore_hard_state state = {1, 2, 4}, back = {0, 0, 0};
    OK(raftcore_hard_state_describe(&state, &text, &error));
    text_is(&text, "Term:1 Vote:2 Commit:4");
    OK(raftcore_hard_state_encode(&state, &text, &error));
    OK(raftcore_hard_state_decode(text.data, text.len, &back, &error));
    CHECK(back.term == 1 && back.vote == 2 && back.commit == 4);
    CHECK_STATUS(raftcore_hard_state_decode(text.data, 1, &back, &error), RAFTCORE_ERR_REFUSED);
    raftcore_buffer_free(&text);
    state.vote = UINT64_MAX;
    CHECK_STATUS(raftcore_hard_state_encode(&state, &text, &error), RAFTCORE_ERR_ID);
    CHECK_STATUS(raftcore_hard_state_describe(&state, &text, &error), RAFTCORE_ERR_ID);
}

static void messages(void)
{
    raftcore_entry entry = {3, 8, {(const uint8_t *)"pay", 3}, RAFTCORE_ENTRY_NORMAL, 0};
    raftcore_message message = RAFTCORE_MESSAGE_INIT, *back;
    raftcore_messages list = RAFTCORE_MESSAGES_INIT;
    raftcore_buffer encoded, text;
    raftcore_message_kind kind = -1;
    CHECK_EQ(list.stride, sizeof message);
    message.kind = RAFTCORE_MESSAGE_APPEND;
    message.from = 1;
    message.to = 2;
    message.term = message.log_term = 3;
    message.index = 7;
    message.commit = 6;
    message.entries.items = &entry;
    message.entries.count = 1;
    OK(raftcore_message_encode(&message, &encoded, &error));
    OK(raftcore_message_kind_of(encoded.data, encoded.len, &kind, &error));
    CHECK_EQ(kind, RAFTCORE_MESSAGE_APPEND);
    CHECK(strcmp(raftcore_message_kind_text(kind), "MsgApp") == 0);
    OK(raftcore_message_describe(encoded.data, encoded.len, &text, &error));
    text_is(&text, "1->2 MsgApp Term:3 Log:3/7 Commit:6 Entries:[3/8 EntryNormal \"pay\"]");
    OK(raftcore_message_decode(encoded.data, encoded.len, &back, &error));
    CHECK(back->index == 7 && back->commit == 6 && back->entries.count == 1);
    CHECK(slice_is(raftcore_entry_at(&back->entries, 0)->data, "pay"));
    raftcore_message_destroy(back);
    CHECK_STATUS(raftcore_message_kind_of(encoded.data, 1, &kind, &error), RAFTCORE_ERR_REFUSED);
    CHECK_EQ(kind, RAFTCORE_MESSAGE_APPEND);
    raftcore_buffer_free(&encoded);

    /* A read keeps its context through both. */
    raftcore_message read = RAFTCORE_MESSAGE_INIT;
    read.kind = RAFTCORE_MESSAGE_READ_INDEX;
    read.from = read.to = 1;
    read.context.data = (const uint8_t *)"ctx";
    read.context.len = 3;
    OK(raftcore_message_encode(&read, &encoded, &error));
    OK(raftcore_message_decode(encoded.data, encoded.len, &back, &error));
    CHECK(slice_is(back->context, "ctx") && back->entries.count == 0);
    raftcore_message_destroy(back);
    raftcore_buffer_free(&encoded);
    read.to = 0;
    CHECK_STATUS(raftcore_message_encode(&read, &encoded, &error), RAFTCORE_ERR_REFUSED);
}

static void memberships_and_snapshots(void)
{
    uint64_t voters[] = {1, 2}, learners[] = {3};
    raftcore_conf_state state = RAFTCORE_CONF_STATE_INIT;
    raftcore_snapshot snapshot = RAFTCORE_SNAPSHOT_INIT;
    raftcore_conf_change change = RAFTCORE_CONF_CHANGE_INIT;
    raftcore_conf_change_step step = {4, RAFTCORE_CONF_CHANGE_ADD_VOTER, 0};
    raftcore_buffer text;
    state.voters.items = voters;
    state.voters.count = 2;
    state.learners.items = learners;
    state.learners.count = 1;
    OK(raftcore_conf_state_describe(&state, &text, &error));
    text_is(&text, "Voters:[1 2] VotersOutgoing:[] Learners:[3] LearnersNext:[] AutoLeave:false");
    snapshot.index = 11;
    snapshot.term = 1;
    CHECK_STATUS(raftcore_snapshot_describe(&snapshot, &text, &error), RAFTCORE_ERR_NULL);
    snapshot.conf_state = &state;
    OK(raftcore_snapshot_describe(&snapshot, &text, &error));
    text_is(&text, "Index:11 Term:1 ConfState:Voters:[1 2] VotersOutgoing:[] Learners:[3] "
                   "LearnersNext:[] AutoLeave:false");
    change.steps = &step;
    change.step_count = 1;
    OK(raftcore_conf_change_describe(&change, &text, &error));
    text_is(&text, "transition:ConfChangeTransitionAuto "
                   "changes:{type:ConfChangeAddNode node_id:4}");
    change.transition = 3;
    CHECK_STATUS(raftcore_conf_change_describe(&change, &text, &error), RAFTCORE_ERR_ENUM);
}

static void nodes(void)
{
    struct cluster cluster;
    raftcore_buffer text;
    raftcore_node_state state = RAFTCORE_NODE_STATE_INIT;
    raftcore_metrics metrics = RAFTCORE_METRICS_INIT;
    raftcore_proposed proposed = RAFTCORE_PROPOSED_INIT;
    raftcore_error error = RAFTCORE_ERROR_INIT;
    cluster_start(&cluster, 3);
    elect(&cluster, 1);
    raftcore_node *node = cluster.members[0].node;
    CHECK_EQ(raftcore_node_describe(node, &text, &error), RAFTCORE_OK);
    text_is(&text, "1 StateLeader Term:2 Vote:1 Commit:4 Lead:1 Applied:4 Log:1-4\n"
                   "1: StateReplicate match=4 next=5\n"
                   "2: StateReplicate match=4 next=5\n"
                   "3: StateReplicate match=4 next=5");
    CHECK_EQ(raftcore_node_status(node, &state, &error), RAFTCORE_OK);
    CHECK_EQ(state.has_ready, 0);
    CHECK(strcmp(raftcore_role_text(state.role), "StateLeader") == 0);
    CHECK_EQ(raftcore_node_propose(node, "x", 1, &proposed, &error), RAFTCORE_OK);
    CHECK_EQ(raftcore_node_status(node, &state, &error), RAFTCORE_OK);
    CHECK_EQ(state.has_ready, 1);
    CHECK_EQ(raftcore_node_metrics(node, &metrics, &error), RAFTCORE_OK);
    CHECK_EQ(metrics.proposals, 1);
    CHECK(strcmp(raftcore_progress_state_text(RAFTCORE_PROGRESS_SNAPSHOT), "StateSnapshot") == 0);
    cluster_stop(&cluster);
}

int main(void)
{
    entries_and_hard_states();
    messages();
    memberships_and_snapshots();
    nodes();
    return 0;
}
