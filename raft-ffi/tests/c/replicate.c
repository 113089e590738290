/* Three members replicate through encoded bytes. */
#include "cluster.h"

static void all_apply_the_same(struct cluster *cluster)
{
    elect(cluster, 1);
    propose(cluster, 1, "a");
    raftcore_slice payloads[3] = {
        {(const uint8_t *)"b", 1}, {NULL, 0}, {(const uint8_t *)"cd", 2}};
    raftcore_proposed proposed = {.struct_size = sizeof proposed};
    OK(raftcore_node_propose_many(cluster->members[0].node, payloads, 3, &proposed, &error));
    CHECK_EQ(proposed.last - proposed.first, 2);
    /* A follower passes a proposal on. */
    OK(raftcore_node_propose(cluster->members[1].node, "e", 1, &proposed, &error));
    CHECK_EQ(proposed.outcome, RAFTCORE_OUTCOME_FORWARDED);
    CHECK_EQ(proposed.leader, 1);
    CHECK_EQ(proposed.last, 0);
    settle(cluster);
    for (int i = 0; i < 3; i++) CHECK(strcmp(cluster->members[i].text, "abcde") == 0);
}

static void a_ready_describes_itself(struct cluster *cluster)
{
    struct member *leader = member(cluster, 1);
    const raftcore_ready *ready;
    raftcore_buffer text;
    OK(raftcore_node_propose(leader->node, "f", 1, NULL, &error));
    CHECK_EQ(raftcore_node_has_ready(leader->node), 1);
    OK(raftcore_node_ready(leader->node, &ready, &error));
    CHECK_EQ(raftcore_node_has_ready(leader->node), 0);
    CHECK(ready->struct_size >= sizeof *ready); /* more than an older program knows */
    CHECK_EQ(ready->entries.count, 1);
    CHECK_EQ(ready->entries.stride, sizeof(raftcore_entry));
    CHECK(slice_is(raftcore_entry_at(&ready->entries, 0)->data, "f"));
    CHECK(ready->hard_state == NULL && ready->soft_state == NULL && ready->snapshot == NULL);
    CHECK_EQ(ready->must_sync, 1);
    OK(raftcore_node_describe_ready(leader->node, ready, &text, &error));
    CHECK(strstr((const char *)text.data, "MustSync=true") != NULL);
    raftcore_buffer_free(&text);

    /* An append of the leader's may leave before the sync; it has fields and encoded bytes. */
    CHECK_EQ(ready->messages.count, 2);
    CHECK_EQ(ready->messages_after_sync.count, 0);
    const raftcore_message *message = raftcore_message_at(&ready->messages, 1);
    CHECK_EQ(message->kind, RAFTCORE_MESSAGE_APPEND);
    CHECK_EQ(message->from, 1);
    CHECK_EQ(message->to, 3);
    CHECK_EQ(message->term, 2);
    CHECK_EQ(message->log_term, 2);
    CHECK_EQ(message->index, raftcore_entry_at(&ready->entries, 0)->index - 1);
    CHECK_EQ(message->entries.count, 1);
    CHECK(slice_is(raftcore_entry_at(&message->entries, 0)->data, "f"));
    OK(raftcore_message_describe(message->encoded.data, message->encoded.len, &text, &error));
    CHECK(strstr((const char *)text.data, "1->3 MsgApp Term:2") != NULL);
    raftcore_buffer_free(&text);
    raftcore_message *decoded;
    raftcore_message_kind kind;
    OK(raftcore_message_decode(message->encoded.data, message->encoded.len, &decoded, &error));
    OK(raftcore_message_kind_of(message->encoded.data, message->encoded.len, &kind, &error));
    CHECK_EQ(kind, RAFTCORE_MESSAGE_APPEND);
    CHECK_EQ(decoded->to, message->to);
    CHECK_EQ(decoded->commit, message->commit);
    CHECK_EQ(decoded->encoded.len, message->encoded.len);
    CHECK(slice_is(raftcore_entry_at(&decoded->entries, 0)->data, "f"));
    CHECK(decoded->snapshot == NULL);
    raftcore_message_destroy(decoded);
    deliver(cluster, leader, &ready->messages);
    OK(raftcore_node_persist(leader->node, ready, &error));
    OK(raftcore_node_persist(leader->node, ready, &error)); /* twice is harmless */
    apply(leader, ready);
    OK(raftcore_node_advance(leader->node, ready, &error));
    settle(cluster);
}

static void many_messages_in_one_call(struct cluster *cluster)
{
    struct member *leader = member(cluster, 1), *follower = member(cluster, 2);
    const raftcore_ready *ready;
    raftcore_slice slices[3];
    raftcore_status statuses[3];
    OK(raftcore_node_propose(leader->node, "g", 1, NULL, &error));
    OK(raftcore_node_ready(leader->node, &ready, &error));
    slices[0] = raftcore_message_at(&ready->messages, 0)->encoded; /* for member 2 */
    slices[1].data = (const uint8_t *)"no message";
    slices[1].len = 10;
    slices[2] = raftcore_message_at(&ready->messages, 1)->encoded; /* for member 3 */
    CHECK_STATUS(raftcore_node_step_many(follower->node, slices, 3, statuses, &error),
                 RAFTCORE_ERR_REFUSED);
    CHECK_EQ(statuses[0], RAFTCORE_OK);
    CHECK_EQ(statuses[1], RAFTCORE_ERR_REFUSED);
    CHECK_EQ(statuses[2], RAFTCORE_ERR_REFUSED);
    OK(raftcore_node_step_many(follower->node, slices, 1, NULL, &error));
    OK(raftcore_node_step_many(follower->node, NULL, 0, NULL, &error));
    deliver(cluster, leader, &ready->messages);
    OK(raftcore_node_persist(leader->node, ready, &error));
    apply(leader, ready);
    OK(raftcore_node_advance(leader->node, ready, &error));
    settle(cluster);
    for (int i = 0; i < 3; i++) CHECK(strcmp(cluster->members[i].text, "abcdefg") == 0);
}

static void a_read_is_answered_with_its_context(struct cluster *cluster)
{
    for (uint64_t id = 1; id <= 2; id++) { /* at the leader and at a follower */
        struct member *reader = member(cluster, id);
        memset(&reader->read, 0, sizeof reader->read);
        OK(raftcore_node_read_index(reader->node, "token", 5, &error));
        settle(cluster);
        CHECK_EQ(reader->read.context.len, 5);
        CHECK_EQ(reader->read.index, reader->applied);
    }
}

static void leadership_is_handed_over(struct cluster *cluster)
{
    OK(raftcore_node_transfer_leader(member(cluster, 1)->node, 3, &error));
    CHECK_EQ(state_of(member(cluster, 1)).transferring_to, 3);
    CHECK_STATUS(raftcore_node_propose(member(cluster, 1)->node, "x", 1, NULL, &error),
                 RAFTCORE_ERR_DROPPED);
    settle(cluster);
    CHECK_EQ(state_of(member(cluster, 3)).role, RAFTCORE_ROLE_LEADER);
    CHECK_EQ(state_of(member(cluster, 1)).leader, 3);
    OK(raftcore_node_forget_leader(member(cluster, 1)->node, &error));
    CHECK_EQ(state_of(member(cluster, 1)).leader, 0);
    tick_all(cluster, 1);
    CHECK_EQ(state_of(member(cluster, 1)).leader, 3);
}

static void a_leader_that_is_cut_off_is_replaced(struct cluster *cluster)
{
    member(cluster, 3)->is_cut_off = 1;
    for (int i = 0; i < 60 && state_of(member(cluster, 1)).leader != 1 &&
                    state_of(member(cluster, 1)).leader != 2; i++)
        tick_all(cluster, 1);
    uint64_t leader = state_of(member(cluster, 1)).leader;
    CHECK(leader == 1 || leader == 2);
    OK(raftcore_node_report_unreachable(member(cluster, leader)->node, 3, &error));
    propose(cluster, leader, "h");
    member(cluster, 3)->is_cut_off = 0;
    tick_all(cluster, 3);
    CHECK(strcmp(member(cluster, 3)->text, "abcdefgh") == 0);
}

int main(void)
{
    struct cluster cluster;
    cluster_start(&cluster, 3);
    all_apply_the_same(&cluster);
    a_ready_describes_itself(&cluster);
    many_messages_in_one_call(&cluster);
    a_read_is_answered_with_its_context(&cluster);
    leadership_is_handed_over(&cluster);
    a_leader_that_is_cut_off_is_replaced(&cluster);
    cluster_stop(&cluster);
    return 0;
}
