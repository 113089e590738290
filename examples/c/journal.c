/* A replicated sum that survives: three members, each with a journal on disk, in one process. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* fileno, fsync */
#endif
#include <raftcore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ANCHOR: member */
struct member {
    uint64_t id;
    raftcore_node *node; /* NULL while it is down */
    FILE *journal;       /* what it has promised to keep */
    long sum;            /* the application: adds up what is applied */
    uint64_t applied;    /* up to this index */
    uint64_t read_at;    /* the answer to a read; 0: none yet */
};

static struct member members[3];
/* ANCHOR_END: member */

/* ANCHOR: check */
/* Errors come with a sentence. What to do about them is told by their hundred. */
static void check(raftcore_status status, const raftcore_error *error) {
    if (status == RAFTCORE_OK) return;
    fprintf(stderr, "%s (%d)\n", error->message, status);
    exit(1);
}
/* ANCHOR_END: check */

/* ANCHOR: journal */
/* A record: its kind, its length, its bytes. */
static void put(FILE *journal, char kind, const void *bytes, size_t len) {
    fputc(kind, journal);
    fwrite(&len, sizeof len, 1, journal);
    if (len > 0) fwrite(bytes, len, 1, journal);
}

/* All that a Ready asks to keep, and a mark behind it: half of it is worth nothing. */
static void keep(struct member *at, const raftcore_ready *ready) {
    raftcore_error error = RAFTCORE_ERROR_INIT;
    raftcore_buffer bytes;
    if (ready->entries.count == 0 && ready->hard_state == NULL) return;
    for (const raftcore_entry *e = NULL; (e = raftcore_entry_next(&ready->entries, e));) {
        check(raftcore_entry_encode(e, &bytes, &error), &error);
        put(at->journal, 'e', bytes.data, bytes.len);
        raftcore_buffer_free(&bytes);
    }
    if (ready->hard_state != NULL) {
        check(raftcore_hard_state_encode(ready->hard_state, &bytes, &error), &error);
        put(at->journal, 'h', bytes.data, bytes.len);
        raftcore_buffer_free(&bytes);
    }
    put(at->journal, '.', NULL, 0);
    if (fflush(at->journal) != 0) abort(); /* a disk that fails: stop before you promise */
    if (ready->must_sync && fsync(fileno(at->journal)) != 0) abort();
}
/* ANCHOR_END: journal */

/* ANCHOR: replay */
/* Gives one record to the memory storage that the node reads from. */
static void restore(raftcore_storage *storage, char kind, const void *bytes, size_t len) {
    raftcore_error error = RAFTCORE_ERROR_INIT;
    if (kind == 'e') {
        raftcore_slice encoded = {bytes, len};
        raftcore_entries *entries;
        check(raftcore_entries_decode(&encoded, 1, &entries, &error), &error);
        check(raftcore_storage_append(storage, entries, &error), &error);
        raftcore_entries_destroy(entries);
    } else if (kind == 'h') {
        raftcore_hard_state state;
        check(raftcore_hard_state_decode(bytes, len, &state, &error), &error);
        check(raftcore_storage_set_hard_state(storage, &state, &error), &error);
    }
}

/* Reads up to an offset, or only looks for the last mark. Returns the offset behind it. */
static long replay(FILE *journal, raftcore_storage *storage, long end) {
    long marked = 0;
    char kind, bytes[4096];
    size_t len;
    rewind(journal);
    while ((storage == NULL || ftell(journal) < end) && fread(&kind, 1, 1, journal) == 1 &&
           fread(&len, sizeof len, 1, journal) == 1 && len <= sizeof bytes &&
           (len == 0 || fread(bytes, len, 1, journal) == 1)) {
        if (storage != NULL) restore(storage, kind, bytes, len);
        if (kind == '.') marked = ftell(journal);
    }
    fseek(journal, marked, SEEK_SET); /* what comes next overwrites a torn end */
    return marked;
}
/* ANCHOR_END: replay */

/* ANCHOR: start */
/* The same for the first start and for every later one. */
static void start(struct member *at) {
    static const raftcore_peer group[] = {{1, {NULL, 0}}, {2, {NULL, 0}}, {3, {NULL, 0}}};
    raftcore_error error = RAFTCORE_ERROR_INIT;
    raftcore_storage *storage;
    raftcore_config config;
    long kept = replay(at->journal, NULL, 0);

    check(raftcore_storage_create_memory(NULL, &storage, &error), &error);
    replay(at->journal, storage, kept);
    check(raftcore_config_init(&config, sizeof config, &error), &error);
    config.id = at->id;
    check(raftcore_node_create(&config, storage, &at->node, &error), &error);
    raftcore_storage_destroy(storage); /* the node keeps it alive */
    if (kept == 0) check(raftcore_node_bootstrap(at->node, group, 3, &error), &error);
    at->sum = 0; /* it has no snapshot, so everything is applied again */
    at->applied = 0;
}
/* ANCHOR_END: start */

/* ANCHOR: deliver */
/* The network. It may lose, repeat and reorder; here it only loses what is for the dead. */
static void deliver(const raftcore_messages *messages) {
    for (const raftcore_message *m = NULL; (m = raftcore_message_next(messages, m));) {
        raftcore_node *to = members[m->to - 1].node;
        if (to != NULL) raftcore_node_step(to, m->encoded.data, m->encoded.len, NULL);
    }
}
/* ANCHOR_END: deliver */

/* ANCHOR: apply */
static void apply(struct member *at, const raftcore_entry *entry) {
    char text[32] = "";
    if (entry->kind != RAFTCORE_ENTRY_NORMAL) {
        raftcore_node_apply_conf_change_entry(at->node, entry, NULL, NULL);
    } else if (entry->data.len > 0 && entry->data.len < sizeof text) {
        memcpy(text, entry->data.data, entry->data.len);
        at->sum += atol(text);
    }
    at->applied = entry->index;
}
/* ANCHOR_END: apply */

/* ANCHOR: loop */
/* Does what a node says is to be done, in this order. */
static void drive(struct member *at) {
    raftcore_error error = RAFTCORE_ERROR_INIT;
    const raftcore_ready *ready;
    for (;;) {
        check(raftcore_node_ready(at->node, &ready, &error), &error);
        if (ready == NULL) return;
        deliver(&ready->messages);                                       /* 1 */
        keep(at, ready);                                                 /* 2 */
        check(raftcore_node_persist(at->node, ready, &error), &error);
        deliver(&ready->messages_after_sync);                            /* 3 */
        for (const raftcore_entry *e = NULL; (e = raftcore_entry_next(&ready->committed, e));)
            apply(at, e);                                                /* 4 */
        if (ready->read_states.count > 0)                                /* 5 */
            at->read_at = raftcore_read_state_at(&ready->read_states, 0)->index;
        check(raftcore_node_advance(at->node, ready, &error), &error);   /* 6 */
    }
}

/* One tick of time for everyone who lives. */
static void turn(void) {
    for (int n = 0; n < 3; n++)
        if (members[n].node != NULL) raftcore_node_tick(members[n].node, NULL);
    for (int round = 0; round < 10; round++)
        for (int n = 0; n < 3; n++)
            if (members[n].node != NULL) drive(&members[n]);
}
/* ANCHOR_END: loop */

/* ANCHOR: use */
static struct member *leader(void) {
    for (int turns = 0; turns < 1000; turns++) {
        for (int n = 0; n < 3; n++) {
            raftcore_node_state state = RAFTCORE_NODE_STATE_INIT;
            if (members[n].node == NULL) continue;
            raftcore_node_status(members[n].node, &state, NULL);
            if (state.role == RAFTCORE_ROLE_LEADER) return &members[n];
        }
        turn();
    }
    abort();
}

static void add(const char *number) {
    raftcore_error error = RAFTCORE_ERROR_INIT;
    for (;;) {
        raftcore_node *node = leader()->node;
        raftcore_status status = raftcore_node_propose(node, number, strlen(number), NULL, &error);
        turn();
        if (status != RAFTCORE_ERR_DROPPED) { /* dropped: nobody's fault, try again */
            check(status, &error);
            return;
        }
    }
}

/* A read that sees all that was acknowledged before it began. */
static long sum(void) {
    struct member *at = leader();
    at->read_at = 0;
    raftcore_node_read_index(at->node, "sum?", 4, NULL);
    while (at->read_at == 0 || at->applied < at->read_at) turn();
    return at->sum;
}
/* ANCHOR_END: use */

/* ANCHOR: main */
int main(void) {
    for (int n = 0; n < 3; n++) {
        members[n].id = (uint64_t)n + 1;
        members[n].journal = tmpfile();
        if (members[n].journal == NULL) return 1;
        start(&members[n]);
    }
    add("5");
    add("7");

    struct member *down = leader();
    raftcore_node_destroy(down->node); /* the leader dies, and all it had in memory with it */
    down->node = NULL;
    add("30");
    start(down); /* it reads its journal, and is told what it missed */
    for (int turns = 0; turns < 50; turns++) turn();

    printf("the sum is %ld, and the one that was down has %ld\n", sum(), down->sum);
    for (int n = 0; n < 3; n++) {
        raftcore_node_destroy(members[n].node);
        fclose(members[n].journal);
    }
    return down->sum == 42 ? 0 : 1;
}
/* ANCHOR_END: main */
