/* Programs that were built with an older or a newer header. */
#include "cluster.h"

#include <stddef.h>

/* A struct of today with fields that come later. */
struct newer_config {
    raftcore_config known;
    uint64_t unknown[2];
};
struct newer_state {
    raftcore_node_state known;
    uint64_t unknown[2];
};

static void a_newer_program_may_not_ask_for_what_is_unknown(void)
{
    struct newer_config config;
    raftcore_node *node;
    memset(&config, 0xff, sizeof config);
    OK(raftcore_config_init(&config.known, sizeof config, &error));
    CHECK_EQ(config.known.struct_size, sizeof config);
    CHECK_EQ(config.unknown[0], 0);
    CHECK_EQ(config.unknown[1], 0);
    config.known.id = 1;
    OK(raftcore_node_create(&config.known, NULL, &node, &error));

    struct newer_state state;
    memset(&state, 0xff, sizeof state);
    state.known.struct_size = sizeof state;
    OK(raftcore_node_status(node, &state.known, &error));
    CHECK_EQ(state.known.id, 1);
    CHECK_EQ(state.known.struct_size, sizeof state);
    CHECK_EQ(state.unknown[0], 0); /* what the library does not know is zero */
    raftcore_node_destroy(node);

    config.unknown[1] = 1;
    node = NULL;
    CHECK_STATUS(raftcore_node_create(&config.known, NULL, &node, &error),
                 RAFTCORE_ERR_STRUCT_SIZE);
    CHECK(node == NULL);
}

/* The structs as they were in the first release: what came later keeps its default, and nothing is
 * written behind the end that the program knows. */
static void an_older_program_gets_what_it_knows(void)
{
    raftcore_config config;
    raftcore_node_state state;
    raftcore_node *node;
    size_t first = offsetof(raftcore_config, async_storage_writes);
    memset(&config, 0xff, sizeof config);
    OK(raftcore_config_init(&config, first, &error));
    CHECK_EQ(config.struct_size, first);
    CHECK_EQ(config.async_storage_writes, UINT32_MAX);
    config.id = 1;
    OK(raftcore_node_create(&config, NULL, &node, &error));
    memset(&state, 0xff, sizeof state);
    state.struct_size = offsetof(raftcore_node_state, has_ready);
    OK(raftcore_node_status(node, &state, &error));
    CHECK_EQ(state.id, 1);
    CHECK_EQ(state.has_ready, UINT32_MAX);
    raftcore_node_destroy(node);
}

static void a_size_that_was_never_set_is_an_error(void)
{
    struct cluster cluster;
    cluster_start(&cluster, 1);
    raftcore_node *node = cluster.members[0].node;
    raftcore_node_state state = {.id = 77};
    raftcore_metrics metrics = {.struct_size = SIZE_MAX};
    raftcore_config config = config_of(2);
    raftcore_node *other = NULL;
    CHECK_STATUS(raftcore_node_status(node, &state, &error), RAFTCORE_ERR_STRUCT_SIZE);
    CHECK_EQ(state.id, 77);
    CHECK_STATUS(raftcore_node_metrics(node, &metrics, &error), RAFTCORE_ERR_STRUCT_SIZE);
    CHECK_STATUS(raftcore_config_init(&config, 4, &error), RAFTCORE_ERR_STRUCT_SIZE);
    size_t first = offsetof(raftcore_config, async_storage_writes);
    CHECK_STATUS(raftcore_config_init(&config, first - 8, &error), RAFTCORE_ERR_STRUCT_SIZE);
    CHECK_STATUS(raftcore_config_init(&config, first + 4, &error), RAFTCORE_ERR_STRUCT_SIZE);
    config.struct_size = 0;
    CHECK_STATUS(raftcore_node_create(&config, NULL, &other, &error), RAFTCORE_ERR_STRUCT_SIZE);

    /* An error argument without its size fails the call before it does anything. */
    raftcore_error unset = {.status = 5};
    CHECK_EQ(raftcore_node_campaign(node, &unset), RAFTCORE_ERR_STRUCT_SIZE);
    CHECK_EQ(unset.status, 5);
    CHECK(strstr(raftcore_last_error(), "sizeof(raftcore_error)") != NULL);
    CHECK_EQ(state_of(&cluster.members[0]).role, RAFTCORE_ROLE_FOLLOWER);
    cluster_stop(&cluster);
}

/* An error of a newer program's is told what is known, and the rest is zero. */
static void an_error_grows_like_everything_else(void)
{
    struct {
        raftcore_error known;
        uint64_t unknown[2];
    } newer;
    memset(&newer, 0xff, sizeof newer);
    newer.known.struct_size = sizeof newer;
    CHECK_EQ(raftcore_node_tick(NULL, &newer.known), RAFTCORE_ERR_NULL);
    CHECK_EQ(newer.known.struct_size, sizeof newer);
    CHECK_EQ(newer.known.status, RAFTCORE_ERR_NULL);
    CHECK_EQ(newer.known.detail, 0);
    CHECK(strcmp(newer.known.message, "node is NULL") == 0);
    CHECK_EQ(newer.unknown[0], 0);
    CHECK_EQ(newer.unknown[1], 0);
    newer.known.struct_size = SIZE_MAX; /* never set */
    newer.known.status = 5;
    CHECK_EQ(raftcore_node_tick(NULL, &newer.known), RAFTCORE_ERR_STRUCT_SIZE);
    CHECK_EQ(newer.known.status, 5);
}

/* An array of a newer program's: the stride says where the next element is. */
static void a_longer_element_is_stepped_over(void)
{
    struct {
        raftcore_entry known;
        uint64_t unknown;
    } list[2];
    raftcore_entries entries = {&list[0].known, 2, sizeof list[0]};
    raftcore_storage *storage;
    uint64_t last;
    memset(list, 0, sizeof list);
    for (uint64_t i = 0; i < 2; i++) {
        list[i].known.term = 1;
        list[i].known.index = i + 1;
        list[i].unknown = 7; /* not looked at: the library cannot know what it would mean */
    }
    OK(raftcore_storage_create_memory(NULL, &storage, &error));
    OK(raftcore_storage_append(storage, &entries, &error));
    OK(raftcore_storage_last_index(storage, &last, &error));
    CHECK_EQ(last, 2);
    raftcore_storage_destroy(storage);
    CHECK(raftcore_entry_at(&entries, 1) == &list[1].known);
    CHECK(raftcore_entry_next(&entries, NULL) == &list[0].known);
    CHECK(raftcore_entry_next(&entries, &list[0].known) == &list[1].known);
    CHECK(raftcore_entry_next(&entries, &list[1].known) == NULL);
    entries.count = 0;
    CHECK(raftcore_entry_next(&entries, NULL) == NULL);
}

/* An array of an older program's, whose elements end before what came later. */
static void a_shorter_element_is_understood(void)
{
    enum { OLDER = offsetof(raftcore_message, response_number) };
    struct cluster cluster;
    cluster_start(&cluster, 2);
    settle(&cluster);
    uint64_t room[2 * OLDER / sizeof(uint64_t)]; /* and nothing behind it */
    for (int i = 0; i < 2; i++) {
        raftcore_message heartbeat = RAFTCORE_MESSAGE_INIT;
        heartbeat.kind = RAFTCORE_MESSAGE_HEARTBEAT;
        heartbeat.from = 2;
        heartbeat.to = 1;
        heartbeat.term = 5 + (uint64_t)i;
        memcpy((char *)room + i * OLDER, &heartbeat, OLDER);
    }
    raftcore_messages messages = {(const raftcore_message *)room, 2, OLDER};
    OK(raftcore_node_step_messages(cluster.members[0].node, &messages, NULL, &error));
    CHECK_EQ(state_of(&cluster.members[0]).term, 6);
    messages.stride -= 8;
    CHECK_STATUS(raftcore_node_step_messages(cluster.members[0].node, &messages, NULL, &error),
                 RAFTCORE_ERR_STRUCT_SIZE);
    cluster_stop(&cluster);
}

int main(void)
{
    a_newer_program_may_not_ask_for_what_is_unknown();
    an_older_program_gets_what_it_knows();
    a_size_that_was_never_set_is_an_error();
    an_error_grows_like_everything_else();
    a_longer_element_is_stepped_over();
    a_shorter_element_is_understood();
    return 0;
}
