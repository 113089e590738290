/* What a C program must not do with the library, one deed a run: each must be caught. */
#include <raftcore.h>

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static raftcore_node *node;
static long shared;

static void *add(void *argument)
{
    (void)argument;
    for (int i = 0; i < 100000; i++) shared++;
    return NULL;
}

static int begin(void)
{
    raftcore_config config;
    if (raftcore_config_init(&config, sizeof config, NULL) != 0) return 0;
    config.id = 1;
    raftcore_peer founder;
    memset(&founder, 0, sizeof founder);
    founder.id = 1;
    return raftcore_node_create(&config, NULL, &node, NULL) == 0
        && raftcore_node_bootstrap(node, &founder, 1, NULL) == 0;
}

int main(int argc, char **argv)
{
    const char *deed = argc > 1 ? argv[1] : "";
    if (!begin()) return 0;
    if (strcmp(deed, "overflow") == 0) {
        /* The library is told of one byte more than there is. */
        char *payload = calloc(16, 1);
        raftcore_node_propose(node, payload, 17, NULL, NULL);
        free(payload);
    } else if (strcmp(deed, "use-after-free") == 0) {
        /* A Ready is read after its node is gone. */
        const raftcore_ready *ready = NULL;
        if (raftcore_node_ready(node, &ready, NULL) != 0 || ready == NULL) return 0;
        raftcore_node_destroy(node);
        return ready->must_sync == 7;
    } else if (strcmp(deed, "leak") == 0) {
        /* Several, since one may still be found in a register or on the stack. */
        for (int i = 0; i < 10; i++) {
            raftcore_buffer text;
            raftcore_node_describe(node, &text, NULL);
        }
    } else if (strcmp(deed, "undefined") == 0) {
        /* A sum that no int can hold. */
        volatile int sum = INT_MAX;
        sum += argc;
    } else if (strcmp(deed, "race") == 0) {
        pthread_t threads[2];
        for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, add, NULL);
        for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    }
    raftcore_node_destroy(node);
    return 0;
}
