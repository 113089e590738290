/* What becomes of a mistake of the library's own: a panic is planted in every export, and in the
 * calls of a node. Nothing ends the program, every call says what the header promises. */
#include "../check.h"

/* In this build of the library alone. */
int32_t raftcore_planted_panic(int32_t place);
enum { AT_THE_DOOR = 1, IN_THE_NODE = 2 };

static int exports;

static void planted_in(const char *what)
{
    exports++;
    if (raftcore_planted_panic(0) == 0) return;
    fprintf(stderr, "no panic in %s: it has no guard\n", what);
    exit(1);
}

#define RETURNS(call) \
    raftcore_planted_panic(AT_THE_DOOR); \
    (void)call; \
    planted_in(#call);

#define FAILS(call) \
    { \
        raftcore_error error = RAFTCORE_ERROR_INIT; \
        raftcore_planted_panic(AT_THE_DOOR); \
        raftcore_status status = call; \
        planted_in(#call); \
        check_status(status, RAFTCORE_ERR_PANIC, &error, #call, __FILE__, __LINE__); \
        CHECK(strstr(error.message, "planted (") && strstr(error.message, "planted.rs:")); \
    }

static void every_export_catches_a_panic(void)
{
#include <every_export.h>
    CHECK(exports >= 90);
    printf("%d exports\n", exports);
}

static int logged;

static void count(void *user_data, raftcore_log_level level, const char *text, size_t len)
{
    (void)user_data;
    logged += level == RAFTCORE_LOG_ERROR && strstr(text, "faulted") != NULL && len > 0;
}

static raftcore_node *member(raftcore_storage *storage)
{
    raftcore_node *node;
    raftcore_config config;
    OK(raftcore_config_init(&config, sizeof config, &error));
    config.id = 1;
    OK(raftcore_node_create(&config, storage, &node, &error));
    OK(raftcore_node_set_log(node, RAFTCORE_LOG_WARN, count, NULL, NULL, &error));
    return node;
}

/* A call of a node that a panic is planted in, at its nth try. */
static raftcore_status call(raftcore_node *node, int which, raftcore_error *error)
{
    const raftcore_ready *ready;
    raftcore_buffer text = RAFTCORE_BUFFER_INIT;
    raftcore_node_state state = RAFTCORE_NODE_STATE_INIT;
    switch (which) {
    case 0: return raftcore_node_tick(node, error);
    case 1: return raftcore_node_step(node, "x", 1, error);
    case 2: return raftcore_node_propose(node, "x", 1, NULL, error);
    case 3: return raftcore_node_campaign(node, error);
    case 4: return raftcore_node_read_index(node, "x", 1, error);
    case 5: return raftcore_node_ready(node, &ready, error);
    case 6: return raftcore_node_next(node, NULL, &ready, error);
    case 7: return raftcore_node_poll_ready(node, 0, &ready, error);
    case 8: return raftcore_node_status(node, &state, error);
    case 9: return raftcore_node_describe(node, &text, error);
    default: return raftcore_node_report_unreachable(node, 2, error);
    }
}

static void a_panic_in_a_node_faults_that_node_and_no_other(void)
{
    const uint64_t voters[] = {1};
    raftcore_conf_state members = RAFTCORE_CONF_STATE_INIT;
    raftcore_storage *storage, *other_storage;
    raftcore_error error = RAFTCORE_ERROR_INIT;
    members.voters.items = voters;
    members.voters.count = 1;
    OK(raftcore_storage_create_memory(&members, &storage, &error));
    OK(raftcore_storage_create_memory(&members, &other_storage, &error));
    raftcore_node *other = member(other_storage);
    for (int which = 0; which <= 10; which++) {
        raftcore_node *node = member(storage);
        logged = 0;
        raftcore_planted_panic(IN_THE_NODE);
        CHECK_EQ(call(node, which, &error), RAFTCORE_ERR_PANIC);
        CHECK(strstr(error.message, "report it: planted"));
        CHECK_EQ(logged, 1);
        /* From now on it says so, whatever it is asked to do; it can still be looked at. */
        CHECK_STATUS(raftcore_node_tick(node, &error), RAFTCORE_ERR_FAULTED);
        CHECK_STATUS(raftcore_node_propose(node, "x", 1, NULL, &error), RAFTCORE_ERR_FAULTED);
        const raftcore_ready *ready;
        CHECK_STATUS(raftcore_node_poll_ready(node, -1, &ready, &error), RAFTCORE_ERR_FAULTED);
        CHECK_EQ(raftcore_node_has_ready(node), 1);
        raftcore_buffer text = RAFTCORE_BUFFER_INIT;
        OK(raftcore_node_describe(node, &text, &error));
        CHECK(strstr((const char *)text.data, "panic") != NULL);
        raftcore_buffer_free(&text);
        CHECK_EQ(logged, 1);
        OK(raftcore_node_tick(other, &error));
        /* What is stored is intact: the next turn makes a node from it. */
        raftcore_node_destroy(node);
    }
    raftcore_node_destroy(other);
    raftcore_storage_destroy(storage);
    raftcore_storage_destroy(other_storage);
}

int main(void)
{
    every_export_catches_a_panic();
    a_panic_in_a_node_faults_that_node_and_no_other();
    return 0;
}
