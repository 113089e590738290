/* Three members whose logs are the program's own, on disks that fail in every way. Readies are
 * advanced, or storage threads answer. */
#include "check.h"

enum { MEMBERS = 3, LOG_MAX = 64 };
enum { INITIAL_STATE = 1, ENTRIES = 2, TERM = 4, FIRST = 8, LAST = 16, SNAPSHOT = 32 };

struct member {
    raftcore_node *node;
    raftcore_storage *storage;
    const raftcore_ready *unfinished; /* its advance failed */
    raftcore_hard_state hard_state;
    raftcore_entry log[LOG_MAX]; /* entry i has index i */
    char bytes[LOG_MAX];         /* its payload: one byte or none */
    uint64_t before, last;       /* the log goes from the one after `before` to `last` */
    raftcore_conf_state conf_state;
    char text[LOG_MAX]; /* what was applied */
    uint64_t read;
    int fails; /* which functions */
    int is_busy, is_cut_off, finalized;
};
static struct member members[MEMBERS];
static uint64_t voters[MEMBERS] = {1, 2, 3};
static int is_async;

static raftcore_status answer(const struct member *at, int function, raftcore_error *error)
{
    CHECK_EQ(error->struct_size, sizeof *error);
    if (!(at->fails & function)) return RAFTCORE_OK;
    snprintf(error->message, sizeof error->message, "function %d of the disk", function);
    return RAFTCORE_ERR_GAP; /* not one for a callback: counts as RAFTCORE_ERR_STORAGE */
}

static raftcore_status initial_state(void *it, raftcore_hard_state *hard_state,
                                     raftcore_conf_state *conf_state, raftcore_error *error)
{
    struct member *at = it;
    CHECK(hard_state->term == 0 && conf_state->voters.count == 0); /* outputs come empty */
    CHECK_EQ(conf_state->struct_size, sizeof *conf_state);
    *hard_state = at->hard_state;
    conf_state->voters = at->conf_state.voters;
    return answer(at, INITIAL_STATE, error);
}

static raftcore_status entries(void *it, uint64_t low, uint64_t high, uint64_t max_bytes,
                               raftcore_entries *out, raftcore_error *error)
{
    struct member *at = it;
    (void)max_bytes;
    CHECK(out->items == NULL && out->count == 0);
    if (low <= at->before) return RAFTCORE_ERR_COMPACTED;
    if (high > at->last + 1) return RAFTCORE_ERR_UNAVAILABLE;
    out->items = &at->log[low];
    out->count = high - low;
    out->stride = sizeof at->log[0];
    return answer(at, ENTRIES, error);
}

static raftcore_status term(void *it, uint64_t index, uint64_t *out, raftcore_error *error)
{
    struct member *at = it;
    if (index < at->before) return RAFTCORE_ERR_COMPACTED;
    if (index > at->last) return RAFTCORE_ERR_UNAVAILABLE;
    *out = at->log[index].term;
    return answer(at, TERM, error);
}

static raftcore_status first_index(void *it, uint64_t *out, raftcore_error *error)
{
    *out = ((struct member *)it)->before + 1;
    return answer(it, FIRST, error);
}

static raftcore_status last_index(void *it, uint64_t *out, raftcore_error *error)
{
    *out = ((struct member *)it)->last;
    return answer(it, LAST, error);
}

static raftcore_status snapshot(void *it, raftcore_snapshot *out, raftcore_error *error)
{
    struct member *at = it;
    CHECK(out->struct_size == sizeof *out && out->index == 0 && out->conf_state == NULL);
    if (at->is_busy) return RAFTCORE_ERR_SNAPSHOT_UNAVAILABLE;
    out->index = at->before;
    out->term = at->log[at->before].term;
    out->conf_state = &at->conf_state;
    out->data.data = (const uint8_t *)at->text;
    out->data.len = strlen(at->text);
    return answer(at, SNAPSHOT, error);
}

static void finalize(void *it) { ((struct member *)it)->finalized++; }

static void start(uint64_t id, raftcore_read_only read_only)
{
    struct member *at = &members[id - 1];
    raftcore_storage_callbacks table = {sizeof table, at,         initial_state, entries, term,
                                        first_index,  last_index, snapshot,      finalize};
    raftcore_config config;
    OK(raftcore_config_init(&config, sizeof config, &error));
    config.id = config.seed = id;
    config.read_only = read_only;
    config.async_storage_writes = (uint32_t)is_async;
    memset(at, 0, sizeof *at);
    at->conf_state.struct_size = sizeof at->conf_state;
    at->conf_state.voters.items = voters;
    at->conf_state.voters.count = MEMBERS;
    OK(raftcore_storage_create_callbacks(&table, &at->storage, &error));
    OK(raftcore_node_create(&config, at->storage, &at->node, &error));
}

static void write_to_disk(struct member *at, const raftcore_ready *ready)
{
    if (ready->snapshot != NULL) {
        at->before = at->last = ready->snapshot->index;
        at->log[at->last].term = ready->snapshot->term;
        memcpy(at->text, ready->snapshot->data.data, ready->snapshot->data.len);
    }
    for (const raftcore_entry *e = NULL; (e = raftcore_entry_next(&ready->entries, e));) {
        CHECK(e->index < LOG_MAX && e->data.len <= 1);
        at->log[e->index] = *e;
        at->log[e->index].data.data = (const uint8_t *)&at->bytes[e->index];
        if (e->data.len > 0) at->bytes[e->index] = (char)e->data.data[0];
        at->last = e->index;
    }
    if (ready->hard_state != NULL) at->hard_state = *ready->hard_state;
}

static void pass_on(struct member *from, const raftcore_messages *messages)
{
    for (const raftcore_message *m = NULL; (m = raftcore_message_next(messages, m));) {
        if (m->response_number != 0) {
            OK(raftcore_node_storage_response(from->node, m->response_number, &error));
        } else if (!from->is_cut_off && !members[m->to - 1].is_cut_off) {
            OK(raftcore_node_step(members[m->to - 1].node, m->encoded.data, m->encoded.len,
                                  &error));
            if (m->kind == RAFTCORE_MESSAGE_SNAPSHOT)
                OK(raftcore_node_report_snapshot(from->node, m->to, RAFTCORE_SNAPSHOT_FINISHED,
                                                 &error));
        }
    }
}

/* 1 when there was something to do, and it is done. */
static int drive(struct member *at)
{
    const raftcore_ready *ready = at->unfinished;
    if (ready == NULL) {
        raftcore_status status = raftcore_node_ready(at->node, &ready, NULL);
        CHECK(status == RAFTCORE_OK || (at->fails && status == RAFTCORE_ERR_STORAGE));
        if (status != RAFTCORE_OK || ready == NULL) return 0;
        pass_on(at, &ready->messages);
        write_to_disk(at, ready);
        pass_on(at, &ready->messages_after_sync);
        for (const raftcore_entry *e = NULL; (e = raftcore_entry_next(&ready->committed, e));)
            if (e->data.len > 0) strncat(at->text, (const char *)e->data.data, e->data.len);
        for (const raftcore_read_state *r = NULL;
             (r = raftcore_read_state_next(&ready->read_states, r));)
            at->read = r->index;
        pass_on(at, &ready->messages_after_apply);
    }
    raftcore_status status = is_async ? raftcore_node_release(at->node, ready, NULL)
                                      : raftcore_node_advance(at->node, ready, NULL);
    CHECK(status == RAFTCORE_OK || (at->fails && status == RAFTCORE_ERR_STORAGE));
    at->unfinished = status == RAFTCORE_OK ? NULL : ready;
    return status == RAFTCORE_OK;
}

static void settle(int ticks)
{
    for (int tick = 0; tick <= ticks; tick++) {
        for (int busy = 1; busy;) {
            busy = 0;
            for (int i = 0; i < MEMBERS; i++) busy |= drive(&members[i]);
        }
        for (int i = 0; tick < ticks && i < MEMBERS; i++)
            OK(raftcore_node_tick(members[i].node, &error));
    }
}

static void all_have(const char *text)
{
    for (int i = 0; i < MEMBERS; i++)
        if (strcmp(members[i].text, text) != 0) {
            fprintf(stderr, "member %d has %s, not %s\n", i + 1, members[i].text, text);
            exit(1);
        }
}

static void a_group_lives_on_logs_of_its_own(raftcore_read_only read_only)
{
    struct member *leader = &members[0], *follower = &members[1], *behind = &members[2];
    raftcore_node_state state = RAFTCORE_NODE_STATE_INIT;
    for (uint64_t id = 1; id <= MEMBERS; id++) start(id, read_only);
    OK(raftcore_node_campaign(leader->node, &error));
    settle(1);

    /* A function of the disk fails, and is mended: nothing is lost, and the node goes on. */
    for (leader->fails = ENTRIES; leader->fails <= SNAPSHOT; leader->fails *= 2) {
        int fails = leader->fails;
        OK(raftcore_node_propose(leader->node, "x", 1, NULL, &error));
        settle(0);
        leader->fails = 0;
        settle(2);
        leader->fails = fails;
    }
    leader->fails = 0;
    all_have("xxxxx");

    /* Reads, of the leader and through it. */
    OK(raftcore_node_read_index(leader->node, "one", 3, &error));
    OK(raftcore_node_read_index(follower->node, "two", 3, &error));
    settle(1);
    CHECK_EQ(leader->read, leader->last);
    CHECK_EQ(follower->read, leader->last);

    /* Who relies on a lease does not forget whose it is. */
    OK(raftcore_node_forget_leader(follower->node, &error));
    OK(raftcore_node_status(follower->node, &state, &error));
    CHECK_EQ(state.leader, read_only == RAFTCORE_READ_ONLY_SAFE ? 0 : 1);
    settle(1);

    /* A member that is behind the log gets the snapshot, when it is made. */
    behind->is_cut_off = 1;
    OK(raftcore_node_propose(leader->node, "y", 1, NULL, &error));
    settle(1);
    leader->before = leader->last;
    leader->is_busy = 1;
    behind->is_cut_off = 0;
    settle(5);
    CHECK(strcmp(behind->text, "xxxxx") == 0);
    raftcore_snapshot *unmade = NULL;
    CHECK_STATUS(raftcore_storage_snapshot(leader->storage, &unmade, &error),
                 RAFTCORE_ERR_SNAPSHOT_UNAVAILABLE);
    CHECK(unmade == NULL);
    leader->is_busy = 0;
    settle(5);
    all_have("xxxxxy");
    CHECK_EQ(behind->before, leader->before);

    /* An answer that cannot be: an error of the storage's. */
    leader->log[leader->last + 1] = (raftcore_entry){.term = 1, .reserved = 1};
    leader->last++;
    raftcore_entries *none = NULL;
    CHECK_STATUS(raftcore_storage_entries(leader->storage, leader->last, leader->last + 1, 1, &none,
                                          &error),
                 RAFTCORE_ERR_STORAGE);
    CHECK(none == NULL && strstr(raftcore_last_error(), "reserved") != NULL);
    leader->last--;

    raftcore_config config;
    OK(raftcore_config_init(&config, sizeof config, &error));
    config.id = 1;
    raftcore_node_destroy(leader->node);
    leader->fails = INITIAL_STATE;
    CHECK_STATUS(raftcore_node_create(&config, leader->storage, &leader->node, &error),
                 RAFTCORE_ERR_STORAGE);
    CHECK(strstr(raftcore_last_error(), "function 1 of the disk") != NULL);
    leader->node = NULL;
    for (int i = 0; i < MEMBERS; i++) {
        raftcore_node_destroy(members[i].node);
        CHECK_EQ(members[i].finalized, 0);
        raftcore_storage_destroy(members[i].storage);
        CHECK_EQ(members[i].finalized, 1);
    }
}

int main(void)
{
    for (is_async = 0; is_async < 2; is_async++) {
        a_group_lives_on_logs_of_its_own(RAFTCORE_READ_ONLY_SAFE);
        a_group_lives_on_logs_of_its_own(RAFTCORE_READ_ONLY_LEASE_BASED);
        a_group_lives_on_logs_of_its_own(RAFTCORE_READ_ONLY_LEASE_UNVERIFIED);
    }
    return 0;
}
