/* Asynchronous storage writes: two storage threads that work when the test lets them. */
#include "cluster.h"

enum { WORK_MAX = 64 };

struct worker {
    const raftcore_ready *queue[WORK_MAX]; /* in order */
    int first, last;
};

struct async_member {
    struct member base;
    struct worker append, apply;
    int holders[WORK_MAX]; /* by the Ready's number: who still needs it */
};

static struct async_member group[3];

static struct async_member *at(uint64_t id)
{
    CHECK(id >= 1 && id <= 3);
    return &group[id - 1];
}

static void start(void)
{
    memset(group, 0, sizeof group);
    raftcore_peer peers[3] = {{1, {NULL, 0}}, {2, {NULL, 0}}, {3, {NULL, 0}}};
    for (uint64_t id = 1; id <= 3; id++) {
        struct member *new = &at(id)->base;
        raftcore_config config = config_of(id);
        config.async_storage_writes = 1;
        new->id = id;
        OK(raftcore_storage_create_memory(NULL, &new->storage, &error));
        OK(raftcore_node_create(&config, new->storage, &new->node, &error));
        OK(raftcore_node_bootstrap(new->node, peers, 3, &error));
    }
}

static void stop(void)
{
    for (uint64_t id = 1; id <= 3; id++) {
        raftcore_conf_state_destroy(at(id)->base.conf_state);
        raftcore_node_destroy(at(id)->base.node);
        raftcore_storage_destroy(at(id)->base.storage);
    }
}

static void pass_on(struct async_member *from, const raftcore_messages *messages)
{
    for (size_t i = 0; i < messages->count; i++) {
        const raftcore_message *message = raftcore_message_at(messages, i);
        if (message->response_number != 0) {
            OK(raftcore_node_storage_response(from->base.node, message->response_number, &error));
            CHECK_STATUS(raftcore_node_storage_response(from->base.node, message->response_number,
                                                        &error),
                         RAFTCORE_ERR_STORAGE_RESPONSE);
        } else {
            raftcore_messages one = {message, 1, messages->stride};
            raftcore_status status;
            OK(raftcore_node_step_messages(at(message->to)->base.node, &one, &status, &error));
            CHECK_EQ(status, RAFTCORE_OK);
        }
    }
}

static void let_go(struct async_member *member, const raftcore_ready *ready)
{
    if (--member->holders[ready->number] == 0) {
        OK(raftcore_node_release(member->base.node, ready, &error));
        CHECK_STATUS(raftcore_node_release(member->base.node, ready, &error),
                     RAFTCORE_ERR_STALE_READY);
    }
}

/* Takes all there is to take; none of it is done yet. */
static int take(struct async_member *member)
{
    int taken = 0;
    const raftcore_ready *ready;
    for (;; taken++) {
        OK(raftcore_node_ready(member->base.node, &ready, &error));
        if (ready == NULL) return taken;
        CHECK(ready->number < WORK_MAX);
        pass_on(member, &ready->messages);
        member->holders[ready->number] = 2;
        member->append.queue[member->append.last++] = ready;
        member->apply.queue[member->apply.last++] = ready;
    }
}

static int run_append(struct async_member *member)
{
    struct worker *worker = &member->append;
    if (worker->first == worker->last) return 0;
    const raftcore_ready *ready = worker->queue[worker->first++];
    OK(raftcore_node_persist(member->base.node, ready, &error));
    pass_on(member, &ready->messages_after_sync);
    let_go(member, ready);
    return 1;
}

static int run_apply(struct async_member *member)
{
    struct worker *worker = &member->apply;
    if (worker->first == worker->last) return 0;
    const raftcore_ready *ready = worker->queue[worker->first++];
    apply(&member->base, ready);
    pass_on(member, &ready->messages_after_apply);
    let_go(member, ready);
    return 1;
}

static void settle_async(void)
{
    for (int busy = 1; busy;) {
        busy = 0;
        for (uint64_t id = 1; id <= 3; id++) busy |= take(at(id));
        for (uint64_t id = 1; id <= 3; id++) busy |= run_append(at(id)) | run_apply(at(id));
    }
}

static void put(uint64_t id, const char *text)
{
    OK(raftcore_node_propose(at(id)->base.node, text, strlen(text), NULL, &error));
}

int main(void)
{
    start();
    settle_async();
    OK(raftcore_node_campaign(at(1)->base.node, &error));
    settle_async();
    CHECK_EQ(state_of(&at(1)->base).role, RAFTCORE_ROLE_LEADER);

    /* Several Readies are outstanding while nothing is stored: nothing may be committed. */
    uint64_t commit = state_of(&at(1)->base).commit;
    put(1, "a");
    CHECK_EQ(take(at(1)), 1);
    put(1, "b");
    CHECK_EQ(take(at(1)), 1);
    struct worker *append = &at(1)->append;
    CHECK_EQ(append->last - append->first, 2);
    const raftcore_ready *first = append->queue[append->first];
    const raftcore_ready *second = append->queue[append->first + 1];
    CHECK(slice_is(raftcore_entry_at(&first->entries, 0)->data, "a"));
    CHECK(slice_is(raftcore_entry_at(&second->entries, 0)->data, "b"));
    const raftcore_message *done = raftcore_message_at(&first->messages_after_sync,
                                                       first->messages_after_sync.count - 1);
    CHECK_EQ(done->kind, RAFTCORE_MESSAGE_STORAGE_APPEND_RESPONSE);
    CHECK_EQ(done->index, raftcore_entry_at(&first->entries, 0)->index);
    CHECK(done->response_number != 0);
    CHECK_EQ(state_of(&at(1)->base).commit, commit);

    /* This way of persisting knows no advance. */
    CHECK_STATUS(raftcore_node_advance(at(1)->base.node, first, &error),
                 RAFTCORE_ERR_ASYNC_STORAGE_WRITES);
    raftcore_buffer text;
    OK(raftcore_node_describe_ready(at(1)->base.node, second, &text, &error));
    CHECK(strstr((const char *)text.data, "MsgStorageAppendResp") != NULL);
    raftcore_buffer_free(&text);

    settle_async();
    for (uint64_t id = 1; id <= 3; id++) CHECK(strcmp(at(id)->base.text, "ab") == 0);
    CHECK_EQ(state_of(&at(1)->base).commit, commit + 2);

    /* raftcore_node_next gives one back and takes another. */
    const raftcore_ready *ready, *next;
    put(1, "c");
    OK(raftcore_node_next(at(1)->base.node, NULL, &ready, &error));
    CHECK(ready != NULL && ready->entries.count == 1);
    OK(raftcore_node_persist(at(1)->base.node, ready, &error));
    OK(raftcore_node_next(at(1)->base.node, ready, &next, &error));
    CHECK(next == NULL);
    CHECK_STATUS(raftcore_node_next(at(1)->base.node, ready, &next, &error),
                 RAFTCORE_ERR_STALE_READY);
    stop();

    /* And a node that advances knows no storage threads. */
    struct cluster cluster;
    cluster_start(&cluster, 1);
    OK(raftcore_node_ready(cluster.members[0].node, &ready, &error));
    CHECK(ready->messages_after_apply.count == 0);
    CHECK_STATUS(raftcore_node_release(cluster.members[0].node, ready, &error),
                 RAFTCORE_ERR_ASYNC_STORAGE_WRITES);
    CHECK_STATUS(raftcore_node_storage_response(cluster.members[0].node, 1, &error),
                 RAFTCORE_ERR_STORAGE_RESPONSE);
    cluster_stop(&cluster);
    return 0;
}
