/* Every reason for which a message is refused, a proposal dropped or a configuration impossible,
 * and the statuses that no other test meets. That no number is left out, tests/abi.rs sees to. */
#include "cluster.h"

#include <errno.h>
#include <sys/resource.h>

static struct cluster cluster;
static uint64_t term, last; /* of the group, once it has a leader */

/* The first member is easily too busy; the third forwards nothing. */
static void start(void)
{
    raftcore_peer peers[3];
    memset(peers, 0, sizeof peers);
    cluster.count = 0;
    for (uint64_t id = 1; id <= 3; id++) peers[id - 1].id = id;
    for (uint64_t id = 1; id <= 3; id++) {
        struct member *new = &cluster.members[cluster.count++];
        memset(new, 0, sizeof *new);
        new->id = id;
        raftcore_config config = config_of(id);
        config.max_pending_reads = 1;
        config.max_uncommitted_bytes = 64;
        config.forward_proposals = id != 3;
        OK(raftcore_storage_create_memory(NULL, &new->storage, &error));
        OK(raftcore_node_create(&config, new->storage, &new->node, &error));
        OK(raftcore_node_bootstrap(new->node, peers, 3, &error));
    }
    elect(&cluster, 1);
    term = state_of(member(&cluster, 1)).term;
    last = state_of(member(&cluster, 1)).last_index;
    CHECK_EQ(state_of(member(&cluster, 2)).commit, last);
}

static void check_detail(raftcore_status got, raftcore_status status, int32_t detail,
                         const raftcore_error *error, int line)
{
    if (got == status && error->status == status && error->detail == detail &&
        strcmp(error->message, raftcore_last_error()) == 0)
        return;
    fprintf(stderr, "%s:%d: got %d, detail %d (%s), expected %d, detail %d\n", __FILE__, line, got,
            error->detail, error->message, status, detail);
    exit(1);
}

#define FAILS(call, expected, reason) \
    do { \
        raftcore_error error = RAFTCORE_ERROR_INIT; \
        raftcore_status got = (call); \
        check_detail(got, (expected), (reason), &error, __LINE__); \
    } while (0)

static raftcore_message message(raftcore_message_kind kind, uint64_t from, uint64_t to)
{
    raftcore_message message = RAFTCORE_MESSAGE_INIT;
    message.kind = kind;
    message.from = from;
    message.to = to;
    message.term = term;
    return message;
}

/* The receiver looks the same before and after. */
static raftcore_status step(raftcore_message message, raftcore_error *error)
{
    struct member *at = member(&cluster, message.to);
    raftcore_node *node = at == NULL ? member(&cluster, 2)->node : at->node;
    raftcore_messages one = RAFTCORE_MESSAGES_INIT;
    raftcore_buffer before, after;
    one.items = &message;
    one.count = 1;
    CHECK_EQ(raftcore_node_describe(node, &before, NULL), RAFTCORE_OK);
    raftcore_status status = raftcore_node_step_messages(node, &one, NULL, error);
    CHECK_EQ(raftcore_node_describe(node, &after, NULL), RAFTCORE_OK);
    CHECK(strcmp((const char *)before.data, (const char *)after.data) == 0);
    raftcore_buffer_free(&before);
    raftcore_buffer_free(&after);
    return status;
}

#define REFUSED(what, reason) FAILS(step((what), &error), RAFTCORE_ERR_REFUSED, (reason))

static void messages_are_refused(void)
{
    raftcore_message m = message(0, 1, 2);
    REFUSED(m, RAFTCORE_REFUSAL_LOCAL_KIND);
    REFUSED(message(99, 1, 2), RAFTCORE_REFUSAL_MALFORMED);
    REFUSED(message(RAFTCORE_MESSAGE_HEARTBEAT, 1, 7), RAFTCORE_REFUSAL_MISADDRESSED);
    REFUSED(message(RAFTCORE_MESSAGE_HEARTBEAT, 2, 2), RAFTCORE_REFUSAL_FROM_SELF);
    REFUSED(message(RAFTCORE_MESSAGE_APPEND_RESPONSE, 9, 1), RAFTCORE_REFUSAL_NOT_A_MEMBER);
    m = message(RAFTCORE_MESSAGE_HEARTBEAT, 1, 2);
    m.term = 0;
    REFUSED(m, RAFTCORE_REFUSAL_MISSING_TERM);
    m.term = UINT64_MAX;
    REFUSED(m, RAFTCORE_REFUSAL_TERM_LIMIT);
    m.term = term;
    m.commit = last + 1;
    REFUSED(m, RAFTCORE_REFUSAL_COMMIT_BEYOND_LOG);
    m = message(RAFTCORE_MESSAGE_APPEND_RESPONSE, 2, 1);
    m.index = last + 100;
    REFUSED(m, RAFTCORE_REFUSAL_ACKNOWLEDGED_BEYOND_LOG);
}

static void proposals_and_reads_of_others_are_refused(void)
{
    raftcore_message m = message(RAFTCORE_MESSAGE_PROPOSE, 2, 1);
    REFUSED(m, RAFTCORE_REFUSAL_UNEXPECTED_TERM);
    m.term = 0;
    REFUSED(m, RAFTCORE_REFUSAL_NO_ENTRIES);
    raftcore_entry change = {.kind = RAFTCORE_ENTRY_CONF_CHANGE_V2,
                             .data = {(const uint8_t *)"\xff", 1}};
    m.entries.items = &change;
    m.entries.count = 1;
    REFUSED(m, RAFTCORE_REFUSAL_BAD_CONF_CHANGE);
    m = message(RAFTCORE_MESSAGE_HEARTBEAT_RESPONSE, 2, 1);
    m.context.data = (const uint8_t *)"never sent";
    m.context.len = 10;
    REFUSED(m, RAFTCORE_REFUSAL_BAD_READ_POSITION);
    /* A read without its context: kind 15, to 1, from 2. */
    FAILS(raftcore_node_step(member(&cluster, 1)->node, "\x08\x0f\x10\x01\x18\x02", 6, &error),
          RAFTCORE_ERR_REFUSED, RAFTCORE_REFUSAL_BAD_READ_REQUEST);
}

static void appends_are_refused(void)
{
    raftcore_message m = message(RAFTCORE_MESSAGE_APPEND, 1, 2);
    raftcore_entry entry = {.index = last + 2, .term = term};
    m.index = last;
    m.log_term = term;
    m.entries.items = &entry;
    m.entries.count = 1;
    REFUSED(m, RAFTCORE_REFUSAL_ENTRY_GAP);
    entry.index = last + 1;
    entry.term = term - 1;
    REFUSED(m, RAFTCORE_REFUSAL_TERM_REGRESSION);
    entry.term = term + 1;
    REFUSED(m, RAFTCORE_REFUSAL_TERM_ABOVE_MESSAGE);
    /* The leader's own first entry is committed; this one claims its place. */
    entry.index = last;
    entry.term = m.log_term = term - 1;
    m.index = last - 1;
    REFUSED(m, RAFTCORE_REFUSAL_CONFLICT_WITH_COMMITTED);
    m.entries.count = 0;
    m.index = UINT64_MAX;
    REFUSED(m, RAFTCORE_REFUSAL_INDEX_LIMIT);
}

static void snapshots_are_refused(void)
{
    raftcore_message m = message(RAFTCORE_MESSAGE_SNAPSHOT, 1, 2);
    raftcore_snapshot snapshot = RAFTCORE_SNAPSHOT_INIT;
    raftcore_conf_state members = RAFTCORE_CONF_STATE_INIT;
    snapshot.conf_state = &members;
    m.snapshot = &snapshot;
    REFUSED(m, RAFTCORE_REFUSAL_EMPTY_SNAPSHOT);
    snapshot.index = last + 10;
    snapshot.term = term + 1;
    REFUSED(m, RAFTCORE_REFUSAL_SNAPSHOT_ABOVE_MESSAGE);
    snapshot.term = term;
    REFUSED(m, RAFTCORE_REFUSAL_BAD_MEMBERSHIP);
}

static raftcore_status propose_bytes(uint64_t id, size_t len, raftcore_error *error)
{
    static const char zeros[64];
    return raftcore_node_propose(member(&cluster, id)->node, zeros, len, NULL, error);
}

#define DROPPED(call, reason) FAILS(call, RAFTCORE_ERR_DROPPED, (reason))

static void a_busy_leader_drops(void)
{
    raftcore_node *leader = member(&cluster, 1)->node;
    DROPPED(propose_bytes(3, 1, &error), RAFTCORE_DROP_FORWARDING_DISABLED);
    OK(propose_bytes(1, 60, &error));
    DROPPED(propose_bytes(1, 60, &error), RAFTCORE_DROP_TOO_MUCH_UNCOMMITTED);
    settle(&cluster);
    OK(raftcore_node_read_index(leader, "a", 1, &error));
    DROPPED(raftcore_node_read_index(leader, "b", 1, &error), RAFTCORE_DROP_TOO_MANY_READS);
    raftcore_message m = message(RAFTCORE_MESSAGE_READ_INDEX, 2, 1);
    m.term = 0;
    m.context.data = (const uint8_t *)"c";
    m.context.len = 1;
    REFUSED(m, RAFTCORE_REFUSAL_TOO_MANY_READS);
    settle(&cluster);
    raftcore_conf_change_step nobody = {.kind = RAFTCORE_CONF_CHANGE_ADD_VOTER, .node = UINT64_MAX};
    raftcore_conf_change change = RAFTCORE_CONF_CHANGE_INIT;
    change.steps = &nobody;
    change.step_count = 1;
    FAILS(raftcore_node_propose_conf_change(leader, &change, NULL, &error),
          RAFTCORE_ERR_CONF_CHANGE, 0);
    member(&cluster, 2)->is_cut_off = 1;
    OK(raftcore_node_transfer_leader(leader, 2, &error));
    DROPPED(propose_bytes(1, 1, &error), RAFTCORE_DROP_TRANSFERRING);
    FAILS(raftcore_node_transfer_leader(leader, 9, &error), RAFTCORE_ERR_UNKNOWN_PEER, 0);
    FAILS(raftcore_node_propose(leader, "x", SIZE_MAX, NULL, &error), RAFTCORE_ERR_TOO_LARGE, 0);
    /* The transfer is given up after an election timeout. */
    member(&cluster, 2)->is_cut_off = 0;
    tick_all(&cluster, 30);
}

static void a_leader_that_was_removed_drops(void)
{
    uint64_t id = state_of(member(&cluster, 3)).leader;
    raftcore_conf_change_step step = {.kind = RAFTCORE_CONF_CHANGE_REMOVE, .node = id};
    raftcore_conf_change change = RAFTCORE_CONF_CHANGE_INIT;
    change.steps = &step;
    change.step_count = 1;
    OK(raftcore_node_propose_conf_change(member(&cluster, id)->node, &change, NULL, &error));
    settle(&cluster);
    CHECK_EQ(state_of(member(&cluster, id)).role, RAFTCORE_ROLE_LEADER);
    DROPPED(propose_bytes(id, 1, &error), RAFTCORE_DROP_NOT_A_MEMBER);
}

static void the_system_has_no_descriptor_left(void)
{
    struct rlimit limit;
    int fd = -1;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    struct rlimit none = {.rlim_cur = 0, .rlim_max = limit.rlim_max};
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    FAILS(raftcore_node_ready_fd(member(&cluster, 1)->node, &fd, &error), RAFTCORE_ERR_OS, EMFILE);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    CHECK_EQ(fd, -1);
    OK(raftcore_node_ready_fd(member(&cluster, 1)->node, &fd, &error));
}

#define IMPOSSIBLE(storage, reason) \
    FAILS(raftcore_node_create(&config, (storage), &node, &error), RAFTCORE_ERR_CONFIG, (reason)); \
    config = config_of(1)

static void configurations_are_impossible(void)
{
    raftcore_node *node = NULL;
    raftcore_storage *storage;
    const uint64_t voters[] = {1};
    raftcore_conf_state members = RAFTCORE_CONF_STATE_INIT;
    raftcore_config config = config_of(1);
    config.heartbeat_interval_ticks = 0;
    IMPOSSIBLE(NULL, RAFTCORE_CONFIG_HEARTBEAT);
    config.max_inflight_messages = 0;
    IMPOSSIBLE(NULL, RAFTCORE_CONFIG_INFLIGHT);
    config.max_inflight_bytes = 1;
    IMPOSSIBLE(NULL, RAFTCORE_CONFIG_INFLIGHT_BYTES);
    config.max_pending_reads = 0;
    IMPOSSIBLE(NULL, RAFTCORE_CONFIG_PENDING_READS);
    members.voters.items = voters;
    members.voters.count = 1;
    OK(raftcore_storage_create_memory(&members, &storage, &error));
    raftcore_hard_state beyond = {.term = 1, .commit = 7};
    OK(raftcore_storage_set_hard_state(storage, &beyond, &error));
    IMPOSSIBLE(storage, RAFTCORE_CONFIG_STORED_COMMIT);
    CHECK(node == NULL);
    raftcore_storage_destroy(storage);
}

/* A log whose answers contradict each other: it is said to end before it begins, or an entry that
 * is asked for is another one. */
struct liar {
    uint64_t first, last;
    raftcore_entry entry;
    uint64_t voters[1];
};

static raftcore_status initial_state(void *liar, raftcore_hard_state *hard_state,
                                     raftcore_conf_state *conf_state, raftcore_error *error)
{
    (void)error;
    hard_state->term = 1;
    hard_state->commit = ((struct liar *)liar)->last;
    conf_state->voters.items = ((struct liar *)liar)->voters;
    conf_state->voters.count = 1;
    return RAFTCORE_OK;
}

static raftcore_status entries(void *liar, uint64_t low, uint64_t high, uint64_t max_bytes,
                               raftcore_entries *out, raftcore_error *error)
{
    (void)low;
    (void)high;
    (void)max_bytes;
    (void)error;
    out->items = &((struct liar *)liar)->entry;
    out->count = 1;
    out->stride = sizeof(raftcore_entry);
    return RAFTCORE_OK;
}

static raftcore_status term_of(void *liar, uint64_t index, uint64_t *out, raftcore_error *error)
{
    (void)liar;
    (void)error;
    *out = index == 0 ? 0 : 1;
    return RAFTCORE_OK;
}

static raftcore_status first_index(void *liar, uint64_t *out, raftcore_error *error)
{
    (void)error;
    *out = ((struct liar *)liar)->first;
    return RAFTCORE_OK;
}

static raftcore_status last_index(void *liar, uint64_t *out, raftcore_error *error)
{
    (void)error;
    *out = ((struct liar *)liar)->last;
    return RAFTCORE_OK;
}

static raftcore_status snapshot(void *liar, raftcore_snapshot *out, raftcore_error *error)
{
    (void)liar;
    (void)out;
    (void)error;
    return RAFTCORE_ERR_SNAPSHOT_UNAVAILABLE;
}

static void a_storage_contradicts_itself(void)
{
    struct liar liar = {.first = 5, .last = 1, .entry = {.index = 9, .term = 1}, .voters = {1}};
    raftcore_storage_callbacks table = RAFTCORE_STORAGE_CALLBACKS_INIT;
    raftcore_storage *storage;
    raftcore_node *node = NULL;
    const raftcore_ready *ready;
    raftcore_config config = config_of(1);
    table.user_data = &liar;
    table.initial_state = initial_state;
    table.entries = entries;
    table.term = term_of;
    table.first_index = first_index;
    table.last_index = last_index;
    table.snapshot = snapshot;
    OK(raftcore_storage_create_callbacks(&table, &storage, &error));
    IMPOSSIBLE(storage, RAFTCORE_CONFIG_STORED_LOG);
    liar.first = 1;
    OK(raftcore_node_create(&config, storage, &node, &error));
    FAILS(raftcore_node_ready(node, &ready, &error), RAFTCORE_ERR_INCONSISTENT, 0);
    raftcore_node_destroy(node);
    raftcore_storage_destroy(storage);
}

int main(void)
{
    start();
    the_system_has_no_descriptor_left();
    messages_are_refused();
    proposals_and_reads_of_others_are_refused();
    appends_are_refused();
    snapshots_are_refused();
    a_busy_leader_drops();
    a_leader_that_was_removed_drops();
    cluster_stop(&cluster);
    configurations_are_impossible();
    a_storage_contradicts_itself();
    return 0;
}
