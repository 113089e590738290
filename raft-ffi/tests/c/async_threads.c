/* Asynchronous storage writes with real threads: one takes Readies, one appends, one applies, and
 * two propose meanwhile. */
#include "cluster.h"

#include <pthread.h>
#include <time.h>

enum { PROPOSERS = 2, PROPOSALS = 200, WORK_MAX = 4096 };

/* A Ready that two threads work on; the second to finish gives it back. */
struct work {
    const raftcore_ready *ready;
    int holders;
};

struct queue {
    struct work *work[WORK_MAX];
    int first, last, closed;
};

static raftcore_node *node;
static struct queue appends, applies;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static uint64_t applied_index;
static int applied_payloads;

static void push(struct queue *queue, struct work *work)
{
    CHECK(queue->last < WORK_MAX);
    queue->work[queue->last++] = work;
}

/* The next one, or NULL when there will be none. */
static struct work *pop(struct queue *queue)
{
    struct work *work = NULL;
    pthread_mutex_lock(&lock);
    while (queue->first == queue->last && !queue->closed) pthread_cond_wait(&changed, &lock);
    if (queue->first < queue->last) work = queue->work[queue->first++];
    pthread_mutex_unlock(&lock);
    return work;
}

static void done(struct work *work)
{
    pthread_mutex_lock(&lock);
    int is_last = --work->holders == 0;
    pthread_mutex_unlock(&lock);
    if (!is_last) return;
    OK(raftcore_node_release(node, work->ready, &error));
    free(work);
}

static void respond(const raftcore_messages *messages)
{
    const raftcore_message *message = NULL;
    while ((message = raftcore_message_next(messages, message)) != NULL) {
        CHECK(message->response_number != 0); /* of one member: nothing is for others */
        OK(raftcore_node_storage_response(node, message->response_number, &error));
    }
}

static void *append_thread(void *unused)
{
    struct work *work;
    while ((work = pop(&appends)) != NULL) {
        OK(raftcore_node_persist(node, work->ready, &error));
        respond(&work->ready->messages_after_sync);
        done(work);
    }
    return unused;
}

static void *apply_thread(void *unused)
{
    struct work *work;
    while ((work = pop(&applies)) != NULL) {
        const raftcore_entry *entry = NULL;
        while ((entry = raftcore_entry_next(&work->ready->committed, entry)) != NULL) {
            CHECK_EQ(entry->index, applied_index + 1);
            applied_index = entry->index;
            if (entry->kind != RAFTCORE_ENTRY_NORMAL)
                OK(raftcore_node_apply_conf_change_entry(node, entry, NULL, &error));
            else if (entry->data.len > 0)
                applied_payloads++;
        }
        respond(&work->ready->messages_after_apply);
        done(work);
    }
    return unused;
}

/* Takes Readies until it is woken. */
static void *take_thread(void *unused)
{
    const raftcore_ready *ready;
    for (;;) {
        OK(raftcore_node_poll_ready(node, -1, &ready, &error));
        pthread_mutex_lock(&lock);
        if (ready == NULL) {
            appends.closed = applies.closed = 1;
        } else {
            struct work *work = calloc(1, sizeof *work);
            CHECK(work != NULL);
            work->ready = ready;
            work->holders = 2;
            push(&appends, work);
            push(&applies, work);
        }
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
        if (ready == NULL) return unused;
    }
}

static void *propose_thread(void *unused)
{
    for (int i = 0; i < PROPOSALS; i++) {
        while (raftcore_node_propose(node, "payload", 7, NULL, NULL) != RAFTCORE_OK)
            OK(raftcore_node_tick(node, &error)); /* not the leader yet */
    }
    return unused;
}

static uint64_t committed(void)
{
    raftcore_node_state state = RAFTCORE_NODE_STATE_INIT;
    OK(raftcore_node_status(node, &state, &error));
    return state.applied == state.last_index ? state.applied : 0;
}

int main(void)
{
    raftcore_config config = config_of(1);
    raftcore_peer peer = {1, {NULL, 0}};
    pthread_t workers[3], proposers[PROPOSERS];
    config.async_storage_writes = 1;
    OK(raftcore_node_create(&config, NULL, &node, &error));
    OK(raftcore_node_bootstrap(node, &peer, 1, &error));
    void *(*work[])(void *) = {append_thread, apply_thread, take_thread};
    for (int i = 0; i < 3; i++) CHECK(pthread_create(&workers[i], NULL, work[i], NULL) == 0);
    for (int i = 0; i < PROPOSERS; i++)
        CHECK(pthread_create(&proposers[i], NULL, propose_thread, NULL) == 0);
    for (int i = 0; i < PROPOSERS; i++) pthread_join(proposers[i], NULL);
    while (committed() < PROPOSERS * PROPOSALS) { /* the threads go on by themselves */
        struct timespec moment = {0, 1000000};
        nanosleep(&moment, NULL);
    }
    OK(raftcore_node_wake(node, &error));
    for (int i = 0; i < 3; i++) pthread_join(workers[i], NULL);
    CHECK_EQ(applied_payloads, PROPOSERS * PROPOSALS);
    raftcore_node_destroy(node);
    return 0;
}
