/* The calls that every program makes, as the guide prints them. A group of one, so that each can
 * be seen at work. The lines that say ANCHOR mark what is printed. */
#include <raftcore.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static raftcore_node *node;
static uint64_t applied;
static uint64_t leader;
static int reads_answered;

static void fail(const raftcore_error *error) {
    fprintf(stderr, "%s (%" PRId32 ")\n", error->message, error->status);
    exit(1);
}

/* What your program does with your network, your disk and your state. */
static void send_all(const raftcore_messages *messages) { (void)messages; }
static int save(const raftcore_ready *ready) { return ready->entries.count < SIZE_MAX ? 0 : -1; }
static void restore(const raftcore_snapshot *snapshot) { applied = snapshot->index; }
static void apply(const raftcore_entry *entry) { (void)entry; }
static void apply_members(const raftcore_conf_state *members) { (void)members; }

/* ANCHOR: turn */
static void turn(const raftcore_ready *ready) {
    raftcore_error error = {.struct_size = sizeof error};
    /* 1. Send what may leave before anything is on disk. */
    send_all(&ready->messages);
    /* 2. Write snapshot, entries and hard state to disk, and sync if must_sync says so. Then give
     *    the same to the node's memory storage. Stop if the disk fails. */
    if (save(ready) != 0) exit(1);
    if (raftcore_node_persist(node, ready, &error) != RAFTCORE_OK) fail(&error);
    /* 3. Send what claims that step 2 is durable. */
    send_all(&ready->messages_after_sync);
    /* 4. Restore the application, then apply what is committed. */
    if (ready->snapshot != NULL) restore(ready->snapshot);
    const raftcore_entry *entry = NULL;
    while ((entry = raftcore_entry_next(&ready->committed, entry)) != NULL) {
        if (entry->kind == RAFTCORE_ENTRY_NORMAL) {
            apply(entry);
        } else {
            raftcore_conf_state *members = NULL;
            if (raftcore_node_apply_conf_change_entry(node, entry, &members, &error) != RAFTCORE_OK)
                fail(&error);
            apply_members(members);
            raftcore_conf_state_destroy(members);
        }
        applied = entry->index;
    }
    /* 5. Answer the reads whose index is applied. */
    const raftcore_read_state *read = NULL;
    while ((read = raftcore_read_state_next(&ready->read_states, read)) != NULL) {
        if (read->index <= applied) reads_answered++; /* otherwise keep it until then */
    }
    if (ready->soft_state != NULL) leader = ready->soft_state->leader;
    /* 6. Say that all of it is done. The Ready is no longer valid after this. */
    if (raftcore_node_advance(node, ready, &error) != RAFTCORE_OK) fail(&error);
}
/* ANCHOR_END: turn */

/* ANCHOR: wait */
/* Works until the next tick is due. Other threads may step and propose meanwhile. */
static void work(int32_t ms_to_next_tick) {
    raftcore_error error = {.struct_size = sizeof error};
    const raftcore_ready *ready;
    do {
        if (raftcore_node_poll_ready(node, ms_to_next_tick, &ready, &error) != RAFTCORE_OK)
            fail(&error);
        if (ready != NULL) turn(ready);
    } while (ready != NULL);
}
/* ANCHOR_END: wait */

/* ANCHOR: receive */
/* Takes what came over the network. Whatever the bytes are, they cannot harm the node. */
static void receive(const void *bytes, size_t len) {
    raftcore_error error = {.struct_size = sizeof error};
    switch (raftcore_node_step(node, bytes, len, &error)) {
    case RAFTCORE_OK:
        break;
    case RAFTCORE_ERR_REFUSED: /* a peer's fault or the network's: a line in the log, and on */
        fprintf(stderr, "refused a message: %s\n", error.message);
        break;
    case RAFTCORE_ERR_DROPPED: /* nobody's: a proposal was passed on to us, and we lead no more */
        break;
    default: /* ours, or the storage's */
        fail(&error);
    }
}
/* ANCHOR_END: receive */

/* ANCHOR: member */
/* Adds a learner. The change counts when it is applied, and so on every member alike. */
static void add_learner(uint64_t id, const char *url) {
    raftcore_error error = {.struct_size = sizeof error};
    raftcore_conf_change_step step = {.node = id, .kind = RAFTCORE_CONF_CHANGE_ADD_LEARNER};
    raftcore_conf_change change = {
        .struct_size = sizeof change,
        .steps = &step,
        .step_count = 1,
        .context = {(const uint8_t *)url, strlen(url)},
    };
    raftcore_proposed proposed = {.struct_size = sizeof proposed};
    if (raftcore_node_propose_conf_change(node, &change, &proposed, &error) != RAFTCORE_OK)
        fail(&error);
    if (proposed.outcome == RAFTCORE_OUTCOME_REPLACED)
        fprintf(stderr, "not now: another change is under way\n");
}
/* ANCHOR_END: member */

/* ANCHOR: read */
/* Asks for an index at which a read is linearizable. The answer comes with the same context in a
 * Ready's read_states, or never: ask again after a while, with another context. */
static void ask(uint64_t question) {
    raftcore_error error = {.struct_size = sizeof error};
    raftcore_status status =
        raftcore_node_read_index(node, &question, sizeof question, &error);
    if (status == RAFTCORE_ERR_DROPPED) return; /* no leader yet: ask again later */
    if (status != RAFTCORE_OK) fail(&error);
}
/* ANCHOR_END: read */

/* ANCHOR: start */
static void start(uint64_t id, const raftcore_peer *founders, size_t count) {
    raftcore_error error = {.struct_size = sizeof error};
    raftcore_config config;
    if (raftcore_config_init(&config, sizeof config, &error) != RAFTCORE_OK) fail(&error);
    config.id = id;
    /* With NULL the node makes itself an empty memory storage. A node that restarts gets one that
     * was filled from its disk. */
    if (raftcore_node_create(&config, NULL, &node, &error) != RAFTCORE_OK) fail(&error);
    /* Only a new group is bootstrapped, on each of its founders, with the same list. */
    if (raftcore_node_bootstrap(node, founders, count, &error) != RAFTCORE_OK) fail(&error);
}
/* ANCHOR_END: start */

int main(void) {
    const raftcore_peer founder = {.id = 1};
    start(1, &founder, 1);
    for (int tick = 0; tick < 30 && leader == 0; tick++) {
        raftcore_node_tick(node, NULL);
        work(0);
    }
    ask(1);
    work(0);
    add_learner(2, "http://localhost:2380");
    work(0);
    receive("garbage", 7);
    raftcore_node_destroy(node);
    printf("leader %" PRIu64 ", applied %" PRIu64 ", reads %d\n", leader, applied, reads_answered);
    return leader == 1 && applied == 3 && reads_answered == 1 ? 0 : 1;
}
