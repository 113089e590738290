/* Three members of a group, in one process, agree on a log. */
#include <raftcore.h>
#include <stdio.h>

static raftcore_node *nodes[3];

/* The network: a message goes to the member that it is for. */
static void deliver(const raftcore_messages *messages) {
    for (const raftcore_message *m = NULL; (m = raftcore_message_next(messages, m));)
        raftcore_node_step(nodes[m->to - 1], m->encoded.data, m->encoded.len, NULL);
}

/* The loop: do what the node says is to be done, in this order. */
static void drive(int n) {
    const raftcore_ready *ready;
    while (raftcore_node_ready(nodes[n], &ready, NULL) == RAFTCORE_OK && ready != NULL) {
        deliver(&ready->messages);
        raftcore_node_persist(nodes[n], ready, NULL); /* memory stands in for your disk */
        deliver(&ready->messages_after_sync);
        for (const raftcore_entry *e = NULL; (e = raftcore_entry_next(&ready->committed, e));)
            if (e->kind != RAFTCORE_ENTRY_NORMAL)
                raftcore_node_apply_conf_change_entry(nodes[n], e, NULL, NULL);
            else if (e->data.len > 0)
                printf("member %d applies: %.*s\n", n + 1, (int)e->data.len, e->data.data);
        raftcore_node_advance(nodes[n], ready, NULL);
    }
}

int main(void) {
    const raftcore_peer members[] = {{.id = 1}, {.id = 2}, {.id = 3}};
    for (int n = 0; n < 3; n++) {
        raftcore_config config;
        raftcore_config_init(&config, sizeof config, NULL);
        config.id = members[n].id;
        raftcore_node_create(&config, NULL, &nodes[n], NULL);
        raftcore_node_bootstrap(nodes[n], members, 3, NULL);
    }
    for (int turn = 0, n = 0, said = 0; turn < 300; n = ++turn % 3) {
        raftcore_node_tick(nodes[n], NULL); /* time passes, and one of them is elected */
        said = said || raftcore_node_propose(nodes[n], "hello", 5, NULL, NULL) == RAFTCORE_OK;
        drive(n);
    }
    for (int n = 0; n < 3; n++) raftcore_node_destroy(nodes[n]);
}
