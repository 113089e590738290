/* raftcore through its C API in the benchmarks. The members live in one process, so the library
 * hands messages to their receivers at once, which costs what an inbox would, without the copy;
 * encoded ones go through raftcore_node_step. */
#include "bench.h"

#include <raftcore.h>

enum { VOTERS_MAX = 9 };

struct member {
    raftcore_node *node;
    const raftcore_ready *ready;
    raftcore_storage *storage;
    struct applied applied;
    uint64_t reads;
};

struct group {
    struct member members[VOTERS_MAX];
    raftcore_node *nodes[VOTERS_MAX];
};

static unsigned voters = 3;
static int encodes;

static void group_create(struct group *group, uint32_t election, uint32_t heartbeat, int lease) {
    uint64_t ids[VOTERS_MAX];
    for (unsigned i = 0; i < voters; i++) ids[i] = i + 1;
    raftcore_conf_state members = {.struct_size = sizeof members, .voters = {ids, voters}};
    for (unsigned i = 0; i < voters; i++) {
        struct member *m = &group->members[i];
        memset(m, 0, sizeof *m);
        raftcore_config config;
        raftcore_config_init(&config, sizeof config, NULL);
        config.id = i + 1;
        config.seed = i + 1;
        config.election_timeout_ticks = election;
        config.heartbeat_interval_ticks = heartbeat;
        config.max_inflight_messages = bench_number("inflight", 512);
        config.max_message_bytes = bench_number("max_message", 1 << 20);
        config.max_committed_bytes_per_ready = UINT64_MAX;
        config.pre_vote = 0;
        config.check_quorum = lease ? 1 : 0;
        config.read_only = lease ? RAFTCORE_READ_ONLY_LEASE_BASED : RAFTCORE_READ_ONLY_SAFE;
        config.auto_persist = 1;
        config.message_forms = encodes ? RAFTCORE_FORM_ENCODED : 0;
        CHECK(raftcore_storage_create_memory(&members, &m->storage, NULL) == RAFTCORE_OK);
        CHECK(raftcore_node_create(&config, m->storage, &m->node, NULL) == RAFTCORE_OK);
        group->nodes[i] = m->node;
    }
}

static uint64_t messages_sent(const struct group *group) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < voters; i++) {
        raftcore_metrics metrics = RAFTCORE_METRICS_INIT;
        CHECK(raftcore_node_metrics(group->nodes[i], &metrics, NULL) == RAFTCORE_OK);
        for (unsigned kind = 0; kind < RAFTCORE_METRICS_KINDS; kind++) sum += metrics.sent[kind];
    }
    return sum;
}

/* What goes to the others over the wire. */
static void send(struct group *group, const raftcore_messages *messages) {
    for (size_t i = 0; i < messages->count; i++) {
        const raftcore_message *m = raftcore_message_at(messages, i);
        CHECK(raftcore_node_step(group->nodes[m->to - 1], m->encoded.data, m->encoded.len, NULL) ==
              RAFTCORE_OK);
    }
}

/* One call gives back the Ready of the last time, takes the next, and hands over its messages. */
static int handle_ready(struct group *group, struct member *m) {
    CHECK(raftcore_node_next_among(m->node, m->ready, group->nodes, encodes ? 0 : voters,
                                   &m->ready, NULL) == RAFTCORE_OK);
    const raftcore_ready *ready = m->ready;
    if (ready == NULL) return 0;
    if (encodes) {
        send(group, &ready->messages);
        send(group, &ready->messages_after_sync);
    }
    struct applied applied = m->applied; /* of its own: no entry can be the same memory */
    for (size_t i = 0; i < ready->committed.count; i++) {
        const raftcore_entry *e = raftcore_entry_at(&ready->committed, i);
        bench_apply(&applied, e->index, e->data.data, e->data.len);
    }
    m->applied = applied;
    m->reads += ready->read_states.count;
    return 1;
}

static void pump(struct group *group) {
    int progress = 1;
    while (progress) {
        progress = 0;
        for (unsigned i = 0; i < voters; i++) progress |= handle_ready(group, &group->members[i]);
    }
}

static void elect(struct group *group) {
    CHECK(raftcore_node_campaign(group->members[0].node, NULL) == RAFTCORE_OK);
    pump(group);
    CHECK(group->members[0].applied.index == 1);
}

static void tick(struct member *m) {
    CHECK(raftcore_node_tick(m->node, NULL) == RAFTCORE_OK);
    CHECK(raftcore_node_has_ready(m->node) == 0);
}

/* A proposal is copied, so the buffer is filled again for the next. */
static void propose(struct group *group, uint64_t first, uint64_t count, size_t len, int in_one) {
    static raftcore_slice batch[4096];
    static unsigned char *buffer;
    raftcore_node *leader = group->nodes[0];
    if (buffer == NULL) buffer = aligned_alloc(64, 4096 * ((len + 63) / 64 * 64));
    CHECK(count <= 4096 && buffer != NULL);
    for (uint64_t i = 0; i < count; i++) {
        batch[i].data = memset(buffer + i * len, (int)((first + i) & 0xff), len);
        batch[i].len = len;
    }
    if (in_one)
        CHECK(raftcore_node_propose_many(leader, batch, count, NULL, NULL) == RAFTCORE_OK);
    for (uint64_t i = 0; i < count && !in_one; i++)
        CHECK(raftcore_node_propose(leader, batch[i].data, batch[i].len, NULL, NULL) ==
              RAFTCORE_OK);
}

static void run_commit(void) {
    static struct group group;
    uint64_t entries = bench_number("entries", 200000), batch = bench_number("batch", 1);
    uint64_t compact = bench_number("compact", 4096), proposed = 0, compacted = 0;
    size_t len = bench_number("payload", 128);
    int in_one = batch > 1 && !bench_is("mode", "each");
    group_create(&group, 1000, 100, 0);
    elect(&group);
    uint64_t before = messages_sent(&group);
    bench_keep_freed_memory();

    struct meter started = bench_start();
    while (proposed < entries) {
        uint64_t count = batch < entries - proposed ? batch : entries - proposed;
        propose(&group, proposed, count, len, in_one);
        proposed += count;
        pump(&group);
        if (compact > 0 && proposed - compacted >= compact) {
            compacted = proposed;
            for (unsigned i = 0; i < voters; i++)
                raftcore_storage_compact(group.members[i].storage, group.members[i].applied.index,
                                         NULL);
        }
    }
    struct meter taken = bench_stop(&started);
    bench_report("entry", &taken, entries);
    bench_figure("messages_per_entry", (double)(messages_sent(&group) - before) / (double)entries);
    bench_check(&group.members[0].applied, sizeof(struct member), voters, entries);
}

static void run_reads(void) {
    static struct group group;
    uint64_t reads = bench_number("reads", 100000), batch = bench_number("batch", 1), asked = 0;
    group_create(&group, 1000, 100, bench_number("lease", 0) == 1);
    elect(&group);
    for (int i = 0; i < 100; i++) raftcore_node_tick(group.members[0].node, NULL);
    pump(&group);
    struct meter started = bench_start();
    while (asked < reads) {
        for (uint64_t i = 0; i < batch && asked < reads; i++, asked++)
            CHECK(raftcore_node_read_index(group.members[0].node, &asked, sizeof asked, NULL) ==
                  RAFTCORE_OK);
        pump(&group);
        CHECK(group.members[0].reads == asked);
    }
    struct meter taken = bench_stop(&started);
    bench_report("read", &taken, reads);
}

static void run_idle(void) {
    uint64_t count = bench_number("groups", 10000);
    uint64_t before = bench_resident_bytes(), nodes = count * voters;
    struct group *groups = calloc(count, sizeof *groups);
    CHECK(groups != NULL);
    for (uint64_t g = 0; g < count; g++) group_create(&groups[g], 1000000, 10, 0);
    if (!bench_counts())
        bench_figure("rss_bytes_per_new_node",
                     (double)(bench_resident_bytes() - before) / (double)nodes);
    for (uint64_t g = 0; g < count; g++) elect(&groups[g]);
    if (!bench_counts())
        bench_figure("rss_bytes_per_node",
                     (double)(bench_resident_bytes() - before) / (double)nodes);
    struct meter started = bench_start();
    for (int round = 0; round < 20; round++)
        for (uint64_t g = 0; g < count; g++)
            for (unsigned i = 1; i < voters; i++) tick(&groups[g].members[i]);
    struct meter taken = bench_stop(&started);
    bench_report("cold_tick", &taken, 20 * count * (voters - 1));
    started = bench_start();
    for (int i = 0; i < 100000; i++) tick(&groups[0].members[1]);
    taken = bench_stop(&started);
    bench_report("hot_tick", &taken, 100000);
    struct meter rounds = {0, 0, 0, 0};
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 9; i++)
            for (uint64_t g = 0; g < count; g++) tick(&groups[g].members[0]);
        started = bench_start();
        for (uint64_t g = 0; g < count; g++) {
            raftcore_node_tick(groups[g].members[0].node, NULL);
            pump(&groups[g]);
        }
        taken = bench_stop(&started);
        bench_add(&rounds, &taken);
    }
    bench_report("heartbeat_round", &rounds, 5 * count);
    free(groups);
}

int main(int argc, char **argv) {
    bench_args(argc, argv);
    voters = (unsigned)bench_number("voters", 3);
    encodes = bench_number("encoded", 0) == 1;
    CHECK(voters >= 1 && voters <= VOTERS_MAX);
    if (strcmp(argv[1], "commit") == 0)
        run_commit();
    else if (strcmp(argv[1], "reads") == 0)
        run_reads();
    else if (strcmp(argv[1], "idle") == 0)
        run_idle();
    else
        CHECK(!"a workload that it has");
    return 0;
}
