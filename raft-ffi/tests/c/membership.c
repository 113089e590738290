/* Members come and go. */
#include "cluster.h"

static raftcore_proposed change_one(struct cluster *cluster, raftcore_conf_change_kind kind,
                                    uint64_t id, const char *context)
{
    raftcore_conf_change_step step = {.node = id, .kind = kind};
    raftcore_conf_change change = {
        .struct_size = sizeof change,
        .steps = &step,
        .step_count = 1,
        .context = {(const uint8_t *)context, strlen(context)}};
    raftcore_proposed proposed = {.struct_size = sizeof proposed};
    OK(raftcore_node_propose_conf_change(member(cluster, 1)->node, &change, &proposed, &error));
    return proposed;
}

static void members_are(const struct member *at, size_t voters, size_t learners, size_t outgoing)
{
    CHECK_EQ(at->conf_state->voters.count, voters);
    CHECK_EQ(at->conf_state->learners.count, learners);
    CHECK_EQ(at->conf_state->voters_outgoing.count, outgoing);
    raftcore_details *details;
    OK(raftcore_node_details(at->node, &details, &error));
    CHECK_EQ(details->membership->voters.count, voters);
    CHECK_EQ(details->membership->learners.count, learners);
    raftcore_details_destroy(details);
}

static void a_learner_joins_and_is_promoted(struct cluster *cluster)
{
    cluster_add(cluster, 4);
    change_one(cluster, RAFTCORE_CONF_CHANGE_ADD_LEARNER, 4, "host:4");
    settle(cluster);
    tick_all(cluster, 2);
    members_are(member(cluster, 4), 3, 1, 0);
    CHECK(strcmp(member(cluster, 4)->text, "a") == 0);
    /* Nobody hands over to a learner. */
    CHECK_STATUS(raftcore_node_transfer_leader(member(cluster, 1)->node, 4, &error),
                 RAFTCORE_ERR_UNKNOWN_PEER);
    change_one(cluster, RAFTCORE_CONF_CHANGE_ADD_VOTER, 4, "");
    settle(cluster);
    members_are(member(cluster, 1), 4, 0, 0);
}

static void one_change_at_a_time(struct cluster *cluster)
{
    raftcore_proposed first = change_one(cluster, RAFTCORE_CONF_CHANGE_REMOVE, 4, "");
    CHECK_EQ(first.outcome, RAFTCORE_OUTCOME_APPENDED);
    raftcore_proposed second = change_one(cluster, RAFTCORE_CONF_CHANGE_REMOVE, 3, "");
    CHECK_EQ(second.outcome, RAFTCORE_OUTCOME_REPLACED);
    CHECK_EQ(second.replace_reason, RAFTCORE_REPLACE_PENDING);
    CHECK_EQ(second.first, first.first + 1);
    settle(cluster);
    members_are(member(cluster, 1), 3, 0, 0);
}

static void a_joint_change_is_left_by_an_empty_one(struct cluster *cluster)
{
    raftcore_conf_change_step steps[2] = {
        {.node = 4, .kind = RAFTCORE_CONF_CHANGE_ADD_VOTER},
        {.node = 3, .kind = RAFTCORE_CONF_CHANGE_ADD_LEARNER}};
    raftcore_conf_change change = {.struct_size = sizeof change,
                                   .transition = RAFTCORE_TRANSITION_JOINT_EXPLICIT,
                                   .steps = steps,
                                   .step_count = 2};
    raftcore_conf_change leave = {.struct_size = sizeof leave};
    raftcore_proposed proposed = {.struct_size = sizeof proposed};
    raftcore_node *leader = member(cluster, 1)->node;
    OK(raftcore_node_propose_conf_change(leader, &leave, &proposed, &error));
    CHECK_EQ(proposed.replace_reason, RAFTCORE_REPLACE_NOT_JOINT);
    settle(cluster);
    OK(raftcore_node_propose_conf_change(leader, &change, &proposed, &error));
    CHECK_EQ(proposed.outcome, RAFTCORE_OUTCOME_APPENDED);
    settle(cluster);
    members_are(member(cluster, 1), 3, 0, 3);
    CHECK_EQ(member(cluster, 1)->conf_state->learners_next.items[0], 3);
    CHECK_EQ(member(cluster, 1)->conf_state->auto_leave, 0);
    OK(raftcore_node_propose_conf_change(leader, &change, &proposed, &error));
    CHECK_EQ(proposed.replace_reason, RAFTCORE_REPLACE_ALREADY_JOINT);
    settle(cluster);
    OK(raftcore_node_propose_conf_change(leader, &leave, &proposed, &error));
    settle(cluster);
    members_are(member(cluster, 1), 3, 1, 0);
}

/* Through a joint configuration although one step would do, and out of it by itself. */
static void an_implicit_joint_change_leaves_by_itself(struct cluster *cluster)
{
    raftcore_conf_change_step step = {.node = 3, .kind = RAFTCORE_CONF_CHANGE_ADD_VOTER};
    raftcore_conf_change change = {.struct_size = sizeof change,
                                   .transition = RAFTCORE_TRANSITION_JOINT_IMPLICIT,
                                   .steps = &step,
                                   .step_count = 1};
    raftcore_proposed proposed = {.struct_size = sizeof proposed};
    OK(raftcore_node_propose_conf_change(member(cluster, 1)->node, &change, &proposed, &error));
    CHECK_EQ(proposed.outcome, RAFTCORE_OUTCOME_APPENDED);
    settle(cluster);
    members_are(member(cluster, 1), 4, 0, 0);
    CHECK_EQ(member(cluster, 1)->applied, proposed.last + 1); /* the order to leave */
}

/* Nothing changes, and every member hears the context. */
static void an_update_carries_a_context(struct cluster *cluster)
{
    raftcore_proposed update = change_one(cluster, RAFTCORE_CONF_CHANGE_UPDATE, 2, "moved");
    raftcore_entries *entries;
    raftcore_conf_change *change;
    settle(cluster);
    members_are(member(cluster, 3), 4, 0, 0);
    OK(raftcore_storage_entries(member(cluster, 3)->storage, update.first, update.first + 1, 0,
                                &entries, &error));
    const raftcore_entry *entry = raftcore_entry_at(entries, 0);
    OK(raftcore_conf_change_decode(entry->kind, entry->data.data, entry->data.len, &change,
                                   &error));
    CHECK_EQ(change->steps[0].kind, RAFTCORE_CONF_CHANGE_UPDATE);
    CHECK_EQ(change->form, RAFTCORE_CONF_CHANGE_FORM_V1);
    CHECK(slice_is(change->context, "moved"));
    raftcore_conf_change_destroy(change);
    raftcore_entries_destroy(entries);
}

static void changes_and_memberships_can_be_stored(void)
{
    raftcore_conf_change_step steps[2] = {
        {.node = 7, .kind = RAFTCORE_CONF_CHANGE_ADD_VOTER},
        {.node = 8, .kind = RAFTCORE_CONF_CHANGE_REMOVE}};
    raftcore_conf_change change = {.struct_size = sizeof change,
                                   .steps = steps,
                                   .step_count = 1,
                                   .context = {(const uint8_t *)"host", 4},
                                   .id = 99};
    raftcore_conf_change *again;
    raftcore_entry_kind kind;
    raftcore_buffer buffer;
    OK(raftcore_conf_change_encode(&change, &buffer, &kind, &error));
    CHECK_EQ(kind, RAFTCORE_ENTRY_CONF_CHANGE);
    OK(raftcore_conf_change_decode(kind, buffer.data, buffer.len, &again, &error));
    CHECK_EQ(again->form, RAFTCORE_CONF_CHANGE_FORM_V1);
    CHECK_EQ(again->id, 99);
    CHECK_EQ(again->step_count, 1);
    CHECK_EQ(again->steps[0].node, 7);
    CHECK(slice_is(again->context, "host"));
    raftcore_conf_change_destroy(again);
    raftcore_buffer_free(&buffer);

    change.step_count = 2;
    OK(raftcore_conf_change_encode(&change, &buffer, &kind, &error));
    CHECK_EQ(kind, RAFTCORE_ENTRY_CONF_CHANGE_V2);
    OK(raftcore_conf_change_decode(kind, buffer.data, buffer.len, &again, &error));
    CHECK_EQ(again->form, RAFTCORE_CONF_CHANGE_FORM_V2);
    CHECK_EQ(again->steps[1].kind, RAFTCORE_CONF_CHANGE_REMOVE);
    raftcore_conf_change_destroy(again);
    CHECK_STATUS(raftcore_conf_change_decode(RAFTCORE_ENTRY_NORMAL, buffer.data, buffer.len, &again,
                                             &error),
                 RAFTCORE_ERR_ENUM);
    CHECK_STATUS(raftcore_conf_change_decode(kind, buffer.data, buffer.len - 1, &again, &error),
                 RAFTCORE_ERR_REFUSED);
    raftcore_buffer_free(&buffer);

    uint64_t ids[2] = {5, 6};
    raftcore_conf_state state = {
        .struct_size = sizeof state, .voters = {ids, 2}, .auto_leave = 1};
    raftcore_conf_state *decoded;
    OK(raftcore_conf_state_encode(&state, &buffer, &error));
    OK(raftcore_conf_state_decode(buffer.data, buffer.len, &decoded, &error));
    CHECK_EQ(decoded->voters.items[1], 6);
    CHECK_EQ(decoded->auto_leave, 1);
    raftcore_conf_state_destroy(decoded);
    CHECK_STATUS(raftcore_conf_state_decode("\xff", 1, &decoded, &error), RAFTCORE_ERR_REFUSED);
    raftcore_buffer_free(&buffer);
}

/* The application vetoes a step by making its node zero, on every member alike. */
static void a_step_can_be_vetoed(void)
{
    struct cluster cluster;
    cluster_start(&cluster, 1);
    elect(&cluster, 1);
    struct member *one = &cluster.members[0];
    raftcore_conf_state *state;
    raftcore_conf_change_step veto = {.node = 0, .kind = RAFTCORE_CONF_CHANGE_ADD_VOTER};
    raftcore_conf_change change = {
        .struct_size = sizeof change, .steps = &veto, .step_count = 1};
    OK(raftcore_node_apply_conf_change(one->node, &change, &state, &error));
    CHECK_EQ(state->voters.count, 1);
    raftcore_conf_state_destroy(state);
    veto.node = 2;
    OK(raftcore_node_apply_conf_change(one->node, &change, NULL, &error));
    OK(raftcore_node_apply_conf_change(one->node, &change, &state, &error)); /* harmless */
    CHECK_EQ(state->voters.count, 2);
    raftcore_conf_state_destroy(state);
    cluster_stop(&cluster);
}

int main(void)
{
    struct cluster cluster;
    cluster_start(&cluster, 3);
    elect(&cluster, 1);
    propose(&cluster, 1, "a");
    a_learner_joins_and_is_promoted(&cluster);
    one_change_at_a_time(&cluster);
    a_joint_change_is_left_by_an_empty_one(&cluster);
    an_implicit_joint_change_leaves_by_itself(&cluster);
    an_update_carries_a_context(&cluster);
    cluster_stop(&cluster);
    changes_and_memberships_can_be_stored();
    a_step_can_be_vetoed();
    return 0;
}
