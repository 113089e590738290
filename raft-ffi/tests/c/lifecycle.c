/* A node from its making to its end, and again from what it stored. */
#include "cluster.h"

static void the_header_and_the_library_are_of_one_version(void)
{
    char text[32];
    snprintf(text, sizeof text, "%d.%d.%d", RAFTCORE_VERSION_MAJOR, RAFTCORE_VERSION_MINOR,
             RAFTCORE_VERSION_PATCH);
    CHECK(strcmp(raftcore_version(), text) == 0);
    CHECK_EQ(raftcore_version_number(), RAFTCORE_VERSION_MAJOR * 1000000 +
                                            RAFTCORE_VERSION_MINOR * 1000 + RAFTCORE_VERSION_PATCH);
    CHECK(strcmp(raftcore_status_text(RAFTCORE_OK), "success") == 0);
    CHECK(strcmp(raftcore_status_text(-12345), "unknown status") == 0);
}

static void the_defaults_are_those_of_the_header(void)
{
    raftcore_config config, other;
    OK(raftcore_config_init(&config, sizeof config, &error));
    OK(raftcore_config_init(&other, sizeof other, &error));
    CHECK(config.seed != other.seed);
    CHECK_EQ(config.struct_size, sizeof config);
    CHECK_EQ(config.id, 0);
    CHECK_EQ(config.election_timeout_ticks, 10);
    CHECK_EQ(config.heartbeat_interval_ticks, 1);
    CHECK_EQ(config.max_message_bytes, 1 << 20);
    CHECK_EQ(config.max_inflight_messages, 256);
    CHECK_EQ(config.max_pending_reads, 65536);
    CHECK_EQ(config.message_forms, RAFTCORE_FORM_ENCODED | RAFTCORE_FORM_FIELDS);
    CHECK(config.check_quorum && config.pre_vote && config.forward_proposals);
    CHECK(config.validate_conf_changes && config.votes_wait_for_sync);
}

static void a_group_of_one_commits_and_restarts(void)
{
    struct cluster cluster;
    cluster_start(&cluster, 1);
    struct member *one = &cluster.members[0];
    elect(&cluster, 1);
    raftcore_proposed proposed = {.struct_size = sizeof proposed};
    OK(raftcore_node_propose(one->node, "abc", 3, &proposed, &error));
    CHECK_EQ(proposed.outcome, RAFTCORE_OUTCOME_APPENDED);
    CHECK_EQ(proposed.first, 3); /* after the bootstrap's entry and the new leader's */
    CHECK_EQ(proposed.last, 3);
    CHECK_EQ(proposed.term, 2);
    settle(&cluster);
    CHECK(strcmp(one->text, "abc") == 0);
    raftcore_node_state state = state_of(one);
    CHECK_EQ(state.id, 1);
    CHECK_EQ(state.term, 2);
    CHECK_EQ(state.vote, 1);
    CHECK_EQ(state.leader, 1);
    CHECK_EQ(state.commit, 3);
    CHECK_EQ(state.applied, 3);
    CHECK_EQ(state.first_index, 1);
    CHECK_EQ(state.last_index, 3);
    CHECK_EQ(state.faulted, 0);

    /* The storage outlives the node; the next one hands the same entries out again. */
    raftcore_node_destroy(one->node);
    raftcore_config config = config_of(1);
    OK(raftcore_node_create(&config, one->storage, &one->node, &error));
    one->text[0] = '\0';
    one->applied = 0;
    settle(&cluster);
    CHECK(strcmp(one->text, "abc") == 0);

    /* With applied set it does not. */
    raftcore_node_destroy(one->node);
    config.applied = 3;
    OK(raftcore_storage_set_conf_state(one->storage, one->conf_state, &error));
    OK(raftcore_node_create(&config, one->storage, &one->node, &error));
    elect(&cluster, 1);
    propose(&cluster, 1, "d");
    CHECK(strcmp(one->text, "abcd") == 0);
    CHECK_EQ(state_of(one).term, 3);
    cluster_stop(&cluster);
}

static void a_node_counts_what_it_does(void)
{
    struct cluster cluster;
    cluster_start(&cluster, 3);
    elect(&cluster, 1);
    propose(&cluster, 1, "x");
    CHECK_EQ(raftcore_node_step(cluster.members[0].node, "garbage", 7, NULL), RAFTCORE_ERR_REFUSED);
    raftcore_metrics metrics = {.struct_size = sizeof metrics};
    OK(raftcore_node_metrics(cluster.members[0].node, &metrics, &error));
    CHECK_EQ(metrics.elections, 1);
    CHECK_EQ(metrics.leaderships, 1);
    CHECK_EQ(metrics.proposals, 1);
    CHECK_EQ(metrics.committed, 5);
    CHECK_EQ(metrics.sent[RAFTCORE_MESSAGE_VOTE], 2);
    CHECK_EQ(metrics.received[RAFTCORE_MESSAGE_VOTE_RESPONSE], 2);
    CHECK_EQ(metrics.refused[RAFTCORE_REFUSAL_MALFORMED], 1);
    cluster_stop(&cluster);
}

static void idle_time_passes_without_an_election(void)
{
    struct cluster cluster;
    cluster_start(&cluster, 1);
    settle(&cluster);
    for (int i = 0; i < 100; i++) OK(raftcore_node_tick_quiesced(cluster.members[0].node, &error));
    CHECK_EQ(state_of(&cluster.members[0]).role, RAFTCORE_ROLE_FOLLOWER);
    tick_all(&cluster, 1);
    CHECK_EQ(state_of(&cluster.members[0]).role, RAFTCORE_ROLE_LEADER);
    cluster_stop(&cluster);
}

int main(void)
{
    the_header_and_the_library_are_of_one_version();
    the_defaults_are_those_of_the_header();
    a_group_of_one_commits_and_restarts();
    a_node_counts_what_it_does();
    idle_time_passes_without_an_election();
    raftcore_node_destroy(NULL);
    return 0;
}
