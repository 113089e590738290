/* Waiting for a Ready: with a thread, with a time-out, with a descriptor. */
#include "cluster.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

static long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000L + now.tv_nsec / 1000000L;
}

static void sleep_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&time, NULL);
}

static void the_time_is_over(struct member *one)
{
    const raftcore_ready *ready;
    long start = now_ms();
    OK(raftcore_node_poll_ready(one->node, 0, &ready, &error));
    CHECK(ready == NULL);
    OK(raftcore_node_poll_ready(one->node, 50, &ready, &error));
    CHECK(ready == NULL);
    CHECK(now_ms() - start >= 50);
}

/* Takes and advances until it is woken without a Ready. */
static void *wait_for_all(void *argument)
{
    struct cluster *cluster = argument;
    struct member *one = &cluster->members[0];
    const raftcore_ready *ready;
    for (;;) {
        OK(raftcore_node_poll_ready(one->node, -1, &ready, &error));
        if (ready == NULL) return NULL;
        OK(raftcore_node_persist(one->node, ready, &error));
        apply(one, ready);
        OK(raftcore_node_advance(one->node, ready, &error));
    }
}

static void a_proposal_wakes_the_waiting_thread(struct cluster *cluster)
{
    struct member *one = &cluster->members[0];
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, wait_for_all, cluster), 0);
    sleep_ms(20); /* most likely it waits by now; it is right in either case */
    OK(raftcore_node_propose(one->node, "a", 1, NULL, &error));
    for (int i = 0; i < 5000 && state_of(one).applied < 3; i++) sleep_ms(1);
    CHECK_EQ(state_of(one).applied, 3);
    OK(raftcore_node_wake(one->node, &error));
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK(strcmp(one->text, "a") == 0);
}

static void a_wake_up_is_not_lost(struct member *one)
{
    const raftcore_ready *ready;
    long start = now_ms();
    OK(raftcore_node_wake(one->node, &error));
    OK(raftcore_node_poll_ready(one->node, 10000, &ready, &error));
    CHECK(ready == NULL && now_ms() - start < 5000);
    OK(raftcore_node_poll_ready(one->node, 10, &ready, &error)); /* heard once */
    CHECK(ready == NULL && now_ms() - start >= 10);
}

static void *wait_once(void *argument)
{
    const raftcore_ready *ready;
    OK(raftcore_node_poll_ready(((struct member *)argument)->node, -1, &ready, &error));
    CHECK(ready == NULL);
    return NULL;
}

static void a_wake_up_reaches_all_who_wait(struct member *one)
{
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, wait_once, one), 0);
    sleep_ms(100);
    OK(raftcore_node_wake(one->node, &error));
    /* Who came late needs another one. */
    sleep_ms(100);
    OK(raftcore_node_wake(one->node, &error));
    for (int i = 0; i < 3; i++) {
        OK(raftcore_node_wake(one->node, &error));
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
    const raftcore_ready *ready;
    OK(raftcore_node_poll_ready(one->node, 0, &ready, &error)); /* takes one that is left */
}

static int is_readable(int32_t fd)
{
    struct pollfd watched = {.fd = fd, .events = POLLIN};
    int count = poll(&watched, 1, 0);
    CHECK(count >= 0 && (watched.revents & ~POLLIN) == 0);
    return count;
}

static void the_descriptor_says_what_has_ready_says(struct member *one)
{
    const raftcore_ready *ready;
    int32_t fd = -1, same = -1;
    OK(raftcore_node_ready_fd(one->node, &fd, &error));
    OK(raftcore_node_ready_fd(one->node, &same, &error));
    CHECK(fd >= 0);
    CHECK_EQ(fd, same);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK_EQ(is_readable(fd), 0);
    for (int round = 0; round < 3; round++) {
        OK(raftcore_node_propose(one->node, "b", 1, NULL, &error));
        OK(raftcore_node_propose(one->node, "b", 1, NULL, &error));
        CHECK_EQ(is_readable(fd), 1);
        CHECK_EQ(is_readable(fd), 1); /* level-triggered */
        CHECK_EQ(raftcore_node_has_ready(one->node), 1);
        OK(raftcore_node_ready(one->node, &ready, &error));
        CHECK_EQ(is_readable(fd), 0); /* silent while it is outstanding */
        OK(raftcore_node_propose(one->node, "c", 1, NULL, &error));
        CHECK_EQ(is_readable(fd), 0);
        OK(raftcore_node_persist(one->node, ready, &error));
        apply(one, ready);
        OK(raftcore_node_advance(one->node, ready, &error));
        CHECK_EQ(is_readable(fd), 1); /* what came meanwhile */
        for (;;) {
            OK(raftcore_node_ready(one->node, &ready, &error));
            if (ready == NULL) break;
            OK(raftcore_node_persist(one->node, ready, &error));
            apply(one, ready);
            OK(raftcore_node_advance(one->node, ready, &error));
        }
        CHECK_EQ(is_readable(fd), 0);
    }
    raftcore_node_destroy(one->node);
    one->node = NULL;
    CHECK(fcntl(fd, F_GETFD) == -1); /* closed with the node */
}

/* A descriptor that is made late says what is so already. */
static void a_descriptor_may_come_late(void)
{
    struct cluster cluster;
    int32_t fd = -1;
    cluster_start(&cluster, 1);
    OK(raftcore_node_ready_fd(cluster.members[0].node, &fd, &error));
    CHECK_EQ(is_readable(fd), 1);
    cluster_stop(&cluster);
}

int main(void)
{
    struct cluster cluster;
    cluster_start(&cluster, 1);
    struct member *one = &cluster.members[0];
    elect(&cluster, 1);
    the_time_is_over(one);
    a_proposal_wakes_the_waiting_thread(&cluster);
    a_wake_up_is_not_lost(one);
    a_wake_up_reaches_all_who_wait(one);
    the_descriptor_says_what_has_ready_says(one);
    a_descriptor_may_come_late();
    cluster_stop(&cluster);
    return 0;
}
