/* The C raft of canonical and cowsql (Debian's libraft-dev) in the benchmarks.
 *
 * It has no Ready: it calls an io table, and is told when that is done. Here sends and appends are
 * done at once and told from the pump. Its own log cache is the memory storage, so append stores
 * nothing. Messages own their entries, so send copies them into one batch. Followers hear of a
 * commit with the next append, half the messages of the others: flush=1 makes the leader send a
 * heartbeat after each batch, so that every batch is applied everywhere, as with the others. */
#include "bench.h"

#include <raft.h>

enum { VOTERS_MAX = 9, HEARTBEAT_MS = 100, ELECTION_MS = 1000 };

/* A request whose callback is to be called; it is kept in the request. */
struct done {
    enum { SENT, APPENDED, PUT } what;
    void *req;
};

struct member {
    struct raft raft;
    struct raft_io io;
    struct raft_fsm fsm;
    raft_io_tick_cb tick;
    raft_io_recv_cb recv;
    raft_time now;
    struct group *group;
    struct applied applied;
    char address[16];
};

struct group {
    struct member members[VOTERS_MAX];
};

/* One queue of messages and one of calls back for each member; all groups share them. */
struct queue {
    char *items;
    size_t size, head, count, capacity;
};

static struct queue inboxes[VOTERS_MAX], calls[VOTERS_MAX];
static unsigned voters = 3;
static uint64_t messages_sent;
static unsigned election_ms = ELECTION_MS, heartbeat_ms = HEARTBEAT_MS;

static void *queue_push(struct queue *q) {
    if (q->count == q->capacity) {
        size_t capacity = q->capacity == 0 ? 64 : 2 * q->capacity;
        char *items = malloc(capacity * q->size);
        CHECK(items != NULL);
        for (size_t i = 0; i < q->count; i++)
            memcpy(items + i * q->size, q->items + (q->head + i) % q->capacity * q->size, q->size);
        free(q->items);
        q->items = items;
        q->capacity = capacity;
        q->head = 0;
    }
    return q->items + (q->head + q->count++) % q->capacity * q->size;
}

static int queue_pop(struct queue *q, void *out) {
    if (q->count == 0) return 0;
    memcpy(out, q->items + q->head * q->size, q->size);
    q->head = (q->head + 1) % q->capacity;
    q->count--;
    return 1;
}

static struct member *of(struct raft_io *io) {
    return io->impl;
}

static unsigned place_of(const struct member *m) {
    return (unsigned)(m - m->group->members);
}

static void call_later(struct member *m, int what, void *req) {
    struct done *done = queue_push(&calls[place_of(m)]);
    done->what = what;
    done->req = req;
}

static void call(const struct done *done) {
    struct raft_io_send *send = done->req;
    struct raft_io_append *append = done->req;
    struct raft_io_snapshot_put *put = done->req;
    switch (done->what) {
        case SENT: send->cb(send, 0); break;
        case APPENDED: append->cb(append, 0); break;
        case PUT: put->cb(put, 0); break;
    }
}

static int io_init(struct raft_io *io, raft_id id, const char *address) {
    (void)io, (void)id, (void)address;
    return 0;
}

static void io_close(struct raft_io *io, raft_io_close_cb cb) {
    cb(io);
}

static int io_load(struct raft_io *io, raft_term *term, raft_id *voted_for,
                   struct raft_snapshot **snapshot, raft_index *start_index,
                   struct raft_entry *entries[], size_t *n_entries) {
    (void)io;
    *term = 1;
    *voted_for = 0;
    *snapshot = NULL;
    *start_index = 1;
    /* The configuration is the first entry. */
    struct raft_configuration conf;
    raft_configuration_init(&conf);
    for (unsigned i = 0; i < voters; i++) {
        char address[16];
        snprintf(address, sizeof address, "%u", i + 1);
        CHECK(raft_configuration_add(&conf, i + 1, address, RAFT_VOTER) == 0);
    }
    struct raft_entry *entry = raft_malloc(sizeof *entry);
    CHECK(entry != NULL);
    entry->term = 1;
    entry->type = RAFT_CHANGE;
    CHECK(raft_configuration_encode(&conf, &entry->buf) == 0);
    entry->batch = entry->buf.base;
    raft_configuration_close(&conf);
    *entries = entry;
    *n_entries = 1;
    return 0;
}

static int io_start(struct raft_io *io, unsigned ms, raft_io_tick_cb tick, raft_io_recv_cb recv) {
    (void)ms;
    of(io)->tick = tick;
    of(io)->recv = recv;
    return 0;
}

static int io_configuration(struct raft_io *io, const struct raft_configuration *conf) {
    (void)io, (void)conf;
    return 0;
}

static int io_set_term(struct raft_io *io, raft_term term) {
    (void)io, (void)term;
    return 0;
}

static int io_set_vote(struct raft_io *io, raft_id id) {
    (void)io, (void)id;
    return 0;
}

/* The receiver owns the entries of an append, in one batch. */
static void copy_entries(struct raft_append_entries *args) {
    if (args->n_entries == 0) return;
    size_t size = 0;
    for (unsigned i = 0; i < args->n_entries; i++) size += args->entries[i].buf.len;
    struct raft_entry *entries = raft_malloc(args->n_entries * sizeof *entries);
    char *batch = raft_malloc(size);
    CHECK(entries != NULL && batch != NULL);
    for (unsigned i = 0, at = 0; i < args->n_entries; i++) {
        size_t len = args->entries[i].buf.len;
        entries[i] = args->entries[i];
        entries[i].buf.base = memcpy(batch + at, args->entries[i].buf.base, len);
        entries[i].batch = batch;
        at += (unsigned)len;
    }
    args->entries = entries;
}

static int io_send(struct raft_io *io, struct raft_io_send *req, const struct raft_message *message,
                   raft_io_send_cb cb) {
    struct member *m = of(io);
    CHECK(message->type != RAFT_IO_INSTALL_SNAPSHOT);
    struct raft_message *sent = queue_push(&inboxes[message->server_id - 1]);
    *sent = *message;
    sent->server_id = place_of(m) + 1;
    sent->server_address = m->address;
    if (sent->type == RAFT_IO_APPEND_ENTRIES) copy_entries(&sent->append_entries);
    messages_sent++;
    req->cb = cb;
    call_later(m, SENT, req);
    return 0;
}

static int io_append(struct raft_io *io, struct raft_io_append *req,
                     const struct raft_entry entries[], unsigned n, raft_io_append_cb cb) {
    (void)entries, (void)n;
    req->cb = cb;
    call_later(of(io), APPENDED, req);
    return 0;
}

static int io_truncate(struct raft_io *io, raft_index index) {
    (void)io, (void)index;
    return 0;
}

static int io_snapshot_put(struct raft_io *io, unsigned trailing, struct raft_io_snapshot_put *req,
                           const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb cb) {
    (void)trailing, (void)snapshot;
    req->cb = cb;
    call_later(of(io), PUT, req);
    return 0;
}

static int io_snapshot_get(struct raft_io *io, struct raft_io_snapshot_get *req,
                           raft_io_snapshot_get_cb cb) {
    (void)io, (void)req, (void)cb;
    CHECK(!"nobody needs a snapshot here");
    return RAFT_IOERR;
}

static raft_time io_time(struct raft_io *io) {
    return of(io)->now;
}

static int io_random(struct raft_io *io, int min, int max) {
    (void)io, (void)max;
    return min;
}

/* It does not say the index: here the number of the command stands for it. */
static int fsm_apply(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result) {
    struct member *m = fsm->data;
    bench_apply(&m->applied, m->applied.index + 1, buf->base, buf->len);
    *result = NULL;
    return 0;
}

static int fsm_snapshot(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *n_bufs) {
    (void)fsm;
    *bufs = raft_malloc(sizeof **bufs);
    CHECK(*bufs != NULL);
    (*bufs)->base = raft_malloc(8);
    (*bufs)->len = 8;
    *n_bufs = 1;
    return 0;
}

static int fsm_restore(struct raft_fsm *fsm, struct raft_buffer *buf) {
    (void)fsm, (void)buf;
    return RAFT_INVALID;
}

static void member_start(struct group *group, unsigned place) {
    struct member *m = &group->members[place];
    memset(m, 0, sizeof *m);
    m->group = group;
    snprintf(m->address, sizeof m->address, "%u", place + 1);
    m->io = (struct raft_io){.version = 1,
                             .impl = m,
                             .init = io_init,
                             .close = io_close,
                             .load = io_load,
                             .start = io_start,
                             .bootstrap = io_configuration,
                             .recover = io_configuration,
                             .set_term = io_set_term,
                             .set_vote = io_set_vote,
                             .send = io_send,
                             .append = io_append,
                             .truncate = io_truncate,
                             .snapshot_put = io_snapshot_put,
                             .snapshot_get = io_snapshot_get,
                             .time = io_time,
                             .random = io_random};
    m->fsm = (struct raft_fsm){.version = 1,
                               .data = m,
                               .apply = fsm_apply,
                               .snapshot = fsm_snapshot,
                               .restore = fsm_restore};
    CHECK(raft_init(&m->raft, &m->io, &m->fsm, place + 1, m->address) == 0);
    raft_set_election_timeout(&m->raft, election_ms);
    raft_set_heartbeat_timeout(&m->raft, heartbeat_ms);
    uint64_t compact = bench_number("compact", 4096);
    raft_set_snapshot_threshold(&m->raft, compact == 0 ? 1u << 30 : (unsigned)compact);
    raft_set_snapshot_trailing(&m->raft, 4); /* a follower hears of a commit late */
    raft_set_pre_vote(&m->raft, false);
    CHECK(raft_start(&m->raft) == 0);
}

static void tick(struct member *m, raft_time ms) {
    m->now += ms;
    m->tick(&m->io);
}

static void pump(struct group *group) {
    int progress = 1;
    while (progress) {
        progress = 0;
        for (unsigned i = 0; i < voters; i++) {
            struct member *m = &group->members[i];
            struct raft_message message;
            struct done done;
            while (queue_pop(&inboxes[i], &message)) {
                m->recv(&m->io, &message);
                progress = 1;
            }
            while (queue_pop(&calls[i], &done)) {
                call(&done);
                progress = 1;
            }
        }
    }
}

static void group_start(struct group *group) {
    for (unsigned i = 0; i < voters; i++) member_start(group, i);
}

static void elect(struct group *group) {
    if (raft_state(&group->members[0].raft) != RAFT_LEADER)
        tick(&group->members[0], election_ms + 1);
    pump(group);
    CHECK(raft_state(&group->members[0].raft) == RAFT_LEADER);
}

/* A heartbeat now, so that the followers hear what is committed. */
static void flush(struct group *group) {
    tick(&group->members[0], heartbeat_ms);
    pump(group);
}

static void applied(struct raft_apply *req, int status, void *result) {
    (void)req, (void)result;
    CHECK(status == 0);
}

static void run_commit(void) {
    static struct group group;
    static struct raft_apply requests[4096];
    static struct raft_buffer buffers[4096];
    uint64_t entries = bench_number("entries", 200000), batch = bench_number("batch", 1);
    size_t len = bench_number("payload", 128);
    int each = batch == 1 || bench_is("mode", "each");
    int flushes = bench_number("flush", 0) == 1;
    CHECK(batch <= 4096);
    group_start(&group);
    elect(&group);
    uint64_t before = messages_sent;
    bench_keep_freed_memory();

    struct meter started = bench_start();
    for (uint64_t proposed = 0; proposed < entries;) {
        unsigned count = (unsigned)(batch < entries - proposed ? batch : entries - proposed);
        for (unsigned i = 0; i < count; i++, proposed++) {
            buffers[i].base = raft_malloc(len);
            buffers[i].len = len;
            CHECK(buffers[i].base != NULL);
            memset(buffers[i].base, (int)(proposed & 0xff), len);
            if (each)
                CHECK(raft_apply(&group.members[0].raft, &requests[i], &buffers[i], 1, applied) ==
                      0);
        }
        if (!each)
            CHECK(raft_apply(&group.members[0].raft, requests, buffers, count, applied) == 0);
        pump(&group);
        if (flushes) flush(&group);
    }
    if (!flushes) flush(&group);
    struct meter taken = bench_stop(&started);
    bench_report("entry", &taken, entries);
    bench_figure("messages_per_entry", (double)(messages_sent - before) / (double)entries);
    bench_check(&group.members[0].applied, sizeof(struct member), voters, entries);
}

static void run_idle(void) {
    election_ms = 1000000;
    heartbeat_ms = 10;
    uint64_t count = bench_number("groups", 10000), nodes = count * voters;
    uint64_t before = bench_resident_bytes();
    struct group *groups = calloc(count, sizeof *groups);
    CHECK(groups != NULL);
    for (uint64_t g = 0; g < count; g++) group_start(&groups[g]);
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
            for (unsigned i = 1; i < voters; i++) tick(&groups[g].members[i], 1);
    struct meter taken = bench_stop(&started);
    bench_report("cold_tick", &taken, 20 * count * (voters - 1));
    started = bench_start();
    for (int i = 0; i < 100000; i++) tick(&groups[0].members[1], 1);
    taken = bench_stop(&started);
    bench_report("hot_tick", &taken, 100000);
    struct meter rounds = {0, 0, 0, 0};
    for (int round = 0; round < 5; round++) {
        started = bench_start();
        for (uint64_t g = 0; g < count; g++) flush(&groups[g]);
        taken = bench_stop(&started);
        bench_add(&rounds, &taken);
    }
    bench_report("heartbeat_round", &rounds, 5 * count);
}

int main(int argc, char **argv) {
    bench_args(argc, argv);
    voters = (unsigned)bench_number("voters", 3);
    CHECK(voters >= 1 && voters <= VOTERS_MAX);
    for (unsigned i = 0; i < voters; i++) {
        inboxes[i].size = sizeof(struct raft_message);
        calls[i].size = sizeof(struct done);
    }
    if (strcmp(argv[1], "commit") == 0)
        run_commit();
    else if (strcmp(argv[1], "idle") == 0)
        run_idle();
    else
        CHECK(!"a workload that it has");
    return 0;
}
