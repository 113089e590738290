/* What the library does to its process: nothing. No signal handler, no thread, no line printed;
 * and what holds when the process forks. In a debug build, what was destroyed is told. */
#include "cluster.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int open_files(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++) count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* As many as the kernel counts: /proc/self/task has two links of its own. */
static long threads(void)
{
    struct stat tasks;
    return stat("/proc/self/task", &tasks) == 0 ? (long)tasks.st_nlink - 2 : 1;
}

/* A life with everything that could tempt a library to speak. */
static void live(void)
{
    struct cluster cluster;
    int32_t fd;
    cluster_start(&cluster, 3);
    OK(raftcore_node_ready_fd(cluster.members[0].node, &fd, &error));
    elect(&cluster, 1);
    propose(&cluster, 1, "x");
    CHECK_EQ(raftcore_node_step(cluster.members[0].node, "garbage", 7, NULL), RAFTCORE_ERR_REFUSED);
    CHECK_EQ(raftcore_node_advance(cluster.members[0].node, NULL, NULL), RAFTCORE_ERR_NULL);
    cluster_stop(&cluster);
}

static void nothing_of_the_process_changes(void)
{
    struct sigaction before[32], after;
    int files = open_files();
    for (int number = 1; number < 32; number++) sigaction(number, NULL, &before[number]);
    live();
    for (int number = 1; number < 32; number++) {
        sigaction(number, NULL, &after);
        CHECK(after.sa_handler == before[number].sa_handler);
    }
    CHECK_EQ(threads(), 1);
    CHECK_EQ(open_files(), files);
}

static int exit_code_of(void (*act)(void))
{
    int status;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        act();
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void live_with_closed_mouth(void)
{
    FILE *heard = tmpfile();
    struct stat size;
    if (heard == NULL || dup2(fileno(heard), 1) < 0 || dup2(fileno(heard), 2) < 0) _exit(2);
    live();
    if (fstat(fileno(heard), &size) != 0 || size.st_size != 0) _exit(3);
}

/* One side of a fork may go on with a node; the other lets it be. */
static struct cluster forked;

static void go_on(void)
{
    elect(&forked, 1);
    propose(&forked, 1, "in the child");
    CHECK(strcmp(forked.members[2].text, "in the child") == 0);
    cluster_stop(&forked);
}

static void one_side_of_a_fork_goes_on(void)
{
    cluster_start(&forked, 3);
    settle(&forked);
    CHECK_EQ(exit_code_of(go_on), 0);
    cluster_stop(&forked); /* letting go is no use */
}

#ifdef RAFTCORE_DEBUG_BUILD
static void destroy_twice(void)
{
    raftcore_storage *storage;
    OK(raftcore_storage_create_memory(NULL, &storage, &error));
    raftcore_storage_destroy(storage);
    raftcore_storage_destroy(storage);
}

static void destroy_a_node_twice(void)
{
    struct cluster cluster;
    cluster_start(&cluster, 1);
    raftcore_node_destroy(cluster.members[0].node);
    raftcore_node_destroy(cluster.members[0].node);
}

static void what_was_destroyed_is_told(void)
{
    struct cluster cluster;
    raftcore_node_state state = RAFTCORE_NODE_STATE_INIT;
    uint64_t last;
    cluster_start(&cluster, 1);
    cluster_stop(&cluster);
    CHECK_STATUS(raftcore_node_tick(cluster.members[0].node, &error), RAFTCORE_ERR_MISUSE);
    CHECK_STATUS(raftcore_node_status(cluster.members[0].node, &state, &error),
                 RAFTCORE_ERR_MISUSE);
    CHECK_STATUS(raftcore_storage_last_index(cluster.members[0].storage, &last, &error),
                 RAFTCORE_ERR_MISUSE);
    CHECK_EQ(exit_code_of(destroy_twice), 128 + SIGABRT);
    CHECK_EQ(exit_code_of(destroy_a_node_twice), 128 + SIGABRT);
}
#else
static void what_was_destroyed_is_told(void) {} /* a release build cannot tell */
#endif

int main(void)
{
    nothing_of_the_process_changes();
    CHECK_EQ(exit_code_of(live_with_closed_mouth), 0);
    one_side_of_a_fork_goes_on();
    what_was_destroyed_is_told();
    return 0;
}
