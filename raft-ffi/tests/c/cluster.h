/* A group in one process: members exchange encoded messages, and apply to a text each. */
#ifndef CLUSTER_H
#define CLUSTER_H

#include "check.h"

enum { MEMBERS_MAX = 5, APPLIED_MAX = 4096 };

struct member {
    uint64_t id;
    raftcore_node *node;
    raftcore_storage *storage;
    raftcore_conf_state *conf_state; /* as of the last applied change, or NULL */
    uint64_t applied;                /* index */
    uint64_t snapshots;              /* restored */
    char text[APPLIED_MAX];          /* what was applied, one after the other */
    raftcore_read_state read;        /* the last answer; its context is not kept */
    int is_cut_off;
};

struct cluster {
    struct member members[MEMBERS_MAX];
    int count;
};

static inline struct member *member(struct cluster *cluster, uint64_t id)
{
    for (int i = 0; i < cluster->count; i++)
        if (cluster->members[i].id == id) return &cluster->members[i];
    return NULL;
}

/* The seed is the id, so that each run is the same. */
static inline raftcore_config config_of(uint64_t id)
{
    raftcore_config config;
    CHECK_EQ(raftcore_config_init(&config, sizeof config, NULL), RAFTCORE_OK);
    config.id = id;
    config.seed = id;
    return config;
}

/* A member that is not bootstrapped: it joins later. */
static inline struct member *cluster_add(struct cluster *cluster, uint64_t id)
{
    struct member *new = &cluster->members[cluster->count++];
    memset(new, 0, sizeof *new);
    new->id = id;
    raftcore_config config = config_of(id);
    OK(raftcore_storage_create_memory(NULL, &new->storage, &error));
    OK(raftcore_node_create(&config, new->storage, &new->node, &error));
    return new;
}

static inline void cluster_start(struct cluster *cluster, int count)
{
    raftcore_peer peers[MEMBERS_MAX];
    memset(peers, 0, sizeof peers);
    cluster->count = 0;
    for (int i = 0; i < count; i++) peers[i].id = (uint64_t)i + 1;
    for (int i = 0; i < count; i++) {
        struct member *new = cluster_add(cluster, peers[i].id);
        OK(raftcore_node_bootstrap(new->node, peers, (size_t)count, &error));
    }
}

static inline void cluster_stop(struct cluster *cluster)
{
    for (int i = 0; i < cluster->count; i++) {
        raftcore_conf_state_destroy(cluster->members[i].conf_state);
        raftcore_node_destroy(cluster->members[i].node);
        raftcore_storage_destroy(cluster->members[i].storage);
    }
}

static inline void deliver(struct cluster *cluster, struct member *from,
                           const raftcore_messages *messages)
{
    for (size_t i = 0; i < messages->count; i++) {
        const raftcore_message *message = raftcore_message_at(messages, i);
        struct member *to = member(cluster, message->to);
        int lost = to == NULL || from->is_cut_off || to->is_cut_off;
        if (!lost) {
            raftcore_status status = raftcore_node_step(to->node, message->encoded.data,
                                                        message->encoded.len, NULL);
            CHECK(status == RAFTCORE_OK || status == RAFTCORE_ERR_DROPPED ||
                  status == RAFTCORE_ERR_REFUSED);
        }
        if (message->kind == RAFTCORE_MESSAGE_SNAPSHOT) {
            raftcore_message *decoded;
            OK(raftcore_message_decode(message->encoded.data, message->encoded.len, &decoded,
                                       &error));
            CHECK_EQ(decoded->snapshot->index, message->snapshot->index);
            CHECK_EQ(decoded->snapshot->conf_state->voters.count,
                     message->snapshot->conf_state->voters.count);
            raftcore_message_destroy(decoded);
            OK(raftcore_node_report_snapshot(from->node, message->to,
                                             lost ? RAFTCORE_SNAPSHOT_FAILED
                                                  : RAFTCORE_SNAPSHOT_FINISHED,
                                             &error));
        }
    }
}

static inline void apply(struct member *at, const raftcore_ready *ready)
{
    if (ready->snapshot != NULL) {
        CHECK(ready->snapshot->data.len < APPLIED_MAX);
        memcpy(at->text, ready->snapshot->data.data, ready->snapshot->data.len);
        at->text[ready->snapshot->data.len] = '\0';
        at->applied = ready->snapshot->index;
        at->snapshots++;
    }
    for (size_t i = 0; i < ready->committed.count; i++) {
        const raftcore_entry *entry = raftcore_entry_at(&ready->committed, i);
        CHECK_EQ(entry->index, at->applied + 1);
        at->applied = entry->index;
        if (entry->kind == RAFTCORE_ENTRY_NORMAL) {
            CHECK(strlen(at->text) + entry->data.len < APPLIED_MAX);
            if (entry->data.len > 0)
                strncat(at->text, (const char *)entry->data.data, entry->data.len);
        } else {
            raftcore_conf_state_destroy(at->conf_state);
            OK(raftcore_node_apply_conf_change_entry(at->node, entry, &at->conf_state, &error));
        }
    }
    for (size_t i = 0; i < ready->read_states.count; i++)
        at->read = *raftcore_read_state_at(&ready->read_states, i);
}

/* One Ready of one member; 0 if there is none. */
static inline int drive(struct cluster *cluster, struct member *at)
{
    const raftcore_ready *ready;
    OK(raftcore_node_ready(at->node, &ready, &error));
    if (ready == NULL) return 0;
    deliver(cluster, at, &ready->messages);
    OK(raftcore_node_persist(at->node, ready, &error));
    deliver(cluster, at, &ready->messages_after_sync);
    apply(at, ready);
    OK(raftcore_node_advance(at->node, ready, &error));
    return 1;
}

/* Until nobody has anything to do. */
static inline void settle(struct cluster *cluster)
{
    for (int busy = 1; busy;) {
        busy = 0;
        for (int i = 0; i < cluster->count; i++) busy |= drive(cluster, &cluster->members[i]);
    }
}

static inline void tick_all(struct cluster *cluster, int ticks)
{
    for (; ticks > 0; ticks--) {
        for (int i = 0; i < cluster->count; i++)
            OK(raftcore_node_tick(cluster->members[i].node, &error));
        settle(cluster);
    }
}

static inline raftcore_node_state state_of(const struct member *at)
{
    raftcore_node_state state = {.struct_size = sizeof state};
    OK(raftcore_node_status(at->node, &state, &error));
    return state;
}

/* Makes this member the leader. */
static inline void elect(struct cluster *cluster, uint64_t id)
{
    settle(cluster);
    OK(raftcore_node_campaign(member(cluster, id)->node, &error));
    settle(cluster);
    CHECK_EQ(state_of(member(cluster, id)).role, RAFTCORE_ROLE_LEADER);
}

static inline void propose(struct cluster *cluster, uint64_t id, const char *text)
{
    OK(raftcore_node_propose(member(cluster, id)->node, text, strlen(text), NULL, &error));
    settle(cluster);
}

#endif
