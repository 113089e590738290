/* The word that says whether there is a Ready, read without a call. */
#include "cluster.h"

/* The word is what the call says. */
static void says(const int32_t *word, raftcore_node *node, int expected)
{
    CHECK_EQ(*word, expected);
    CHECK_EQ(raftcore_node_has_ready(node), expected);
}

static const raftcore_ready *take(raftcore_node *node)
{
    const raftcore_ready *ready;
    OK(raftcore_node_ready(node, &ready, &error));
    return ready;
}

static void give_back(raftcore_node *node, const raftcore_ready *ready)
{
    OK(raftcore_node_persist(node, ready, &error));
    OK(raftcore_node_advance(node, ready, &error));
}

int main(void)
{
    struct cluster cluster;
    const int32_t *word = NULL, *same = NULL;
    cluster_start(&cluster, 1);
    raftcore_node *node = cluster.members[0].node;
    OK(raftcore_node_ready_word(node, &word, &error));
    OK(raftcore_node_ready_word(node, &same, &error));
    CHECK(word == same);
    says(word, node, 1); /* asked for late, it says what is so already */
    elect(&cluster, 1);
    for (int round = 0; round < 3; round++) {
        says(word, node, 0);
        OK(raftcore_node_propose(node, "a", 1, NULL, &error));
        says(word, node, 1);
        const raftcore_ready *ready = take(node);
        says(word, node, 0); /* silent while it is outstanding */
        OK(raftcore_node_propose(node, "b", 1, NULL, &error));
        says(word, node, 0);
        give_back(node, ready);
        says(word, node, 1); /* what came meanwhile */
        while ((ready = take(node)) != NULL) give_back(node, ready);
    }
    cluster_stop(&cluster);
    return 0;
}
