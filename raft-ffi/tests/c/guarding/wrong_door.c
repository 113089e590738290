/* Only with the guarding allocator: memory that comes back through the wrong door ends the
 * process, and nothing stays behind that was given back. */
#include "../cluster.h"

#include <sys/wait.h>
#include <unistd.h>

size_t raftcore_guarding_live(void);

static void must_die(void (*act)(void))
{
    int status;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        if (freopen("/dev/null", "w", stderr) == NULL) _exit(2);
        act();
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));
}

static raftcore_buffer text(void)
{
    raftcore_hard_state state = {1, 2, 3};
    raftcore_buffer buffer;
    OK(raftcore_hard_state_describe(&state, &buffer, &error));
    return buffer;
}

static void the_library_s_memory_to_c(void) { free((void *)text().data); }

static void c_s_memory_to_the_library(void)
{
    raftcore_buffer buffer = text();
    buffer.owner = calloc(1, 64);
    raftcore_buffer_free(&buffer);
}

static void twice(void)
{
    raftcore_buffer buffer = text(), copy = buffer;
    raftcore_buffer_free(&buffer);
    raftcore_buffer_free(&copy);
}

static void through_the_door_of_another_type(void)
{
    raftcore_conf_state state = RAFTCORE_CONF_STATE_INIT, *copy;
    raftcore_buffer buffer;
    OK(raftcore_conf_state_encode(&state, &buffer, &error));
    OK(raftcore_conf_state_decode(buffer.data, buffer.len, &copy, &error));
    raftcore_entries_destroy((raftcore_entries *)copy);
}

/* The rest of what a first use leaves behind is the runtime's own. */
static void a_life(void)
{
    struct cluster cluster;
    cluster_start(&cluster, 3);
    elect(&cluster, 1);
    propose(&cluster, 1, "x");
    CHECK(raftcore_guarding_live() > 50);
    cluster_stop(&cluster);
    raftcore_buffer buffer = text();
    raftcore_buffer_free(&buffer);
}

int main(void)
{
    must_die(the_library_s_memory_to_c);
    must_die(c_s_memory_to_the_library);
    must_die(twice);
    must_die(through_the_door_of_another_type);
    a_life();
    size_t before = raftcore_guarding_live();
    for (int i = 0; i < 3; i++) a_life();
    CHECK_EQ(raftcore_guarding_live(), before);
    return 0;
}
