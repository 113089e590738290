/* A program of somebody else's: a group of one that agrees with itself. */
#include <raftcore.h>
#include <stdio.h>
#include <string.h>

#define DO(call) \
    if ((call) != RAFTCORE_OK) { \
        fprintf(stderr, "%s: %s\n", #call, error.message); \
        return 1; \
    }

int main(void)
{
    raftcore_error error = {.struct_size = sizeof error};
    raftcore_config config;
    raftcore_node *node;
    const raftcore_peer members[] = {{.id = 1}};
    DO(raftcore_config_init(&config, sizeof config, &error));
    config.id = 1;
    DO(raftcore_node_create(&config, NULL, &node, &error));
    DO(raftcore_node_bootstrap(node, members, 1, &error));
    int applied = 0;
    for (int turn = 0; turn < 10 && !applied; turn++) {
        if (turn == 1) DO(raftcore_node_campaign(node, &error));
        if (turn == 4) DO(raftcore_node_propose(node, "hello", 5, NULL, &error));
        const raftcore_ready *ready;
        DO(raftcore_node_ready(node, &ready, &error));
        if (ready == NULL) continue;
        DO(raftcore_node_persist(node, ready, &error));
        for (const raftcore_entry *e = NULL; (e = raftcore_entry_next(&ready->committed, e));) {
            if (e->kind != RAFTCORE_ENTRY_NORMAL)
                DO(raftcore_node_apply_conf_change_entry(node, e, NULL, &error));
            applied |= e->data.len == 5 && memcmp(e->data.data, "hello", 5) == 0;
        }
        DO(raftcore_node_advance(node, ready, &error));
    }
    raftcore_node_destroy(node);
    printf("raftcore %s: %s\n", raftcore_version(), applied ? "applied" : "NOT applied");
    return applied ? 0 : 1;
}
