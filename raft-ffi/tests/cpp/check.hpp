// What the C++ tests share. A check that fails says where and ends the program.
#pragma once

#include <raftcore.hpp>

#include <cstdio>
#include <cstdlib>

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            std::exit(1); \
        } \
    } while (0)

/// The call succeeded.
#define OK(call) \
    do { \
        if (auto done_ = (call); !done_) { \
            std::fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, \
                         done_.error().message()); \
            std::exit(1); \
        } \
    } while (0)

/// The call failed with this status.
#define FAILS(call, wanted) \
    do { \
        auto done_ = (call); \
        CHECK(!done_.ok()); \
        if (done_.error().status() != (wanted)) { \
            std::fprintf(stderr, "%s:%d: %s: %d: %s\n", __FILE__, __LINE__, #call, \
                         static_cast<int>(done_.error().status()), done_.error().message()); \
            std::exit(1); \
        } \
    } while (0)

/// Handles everything that a node has to do, with nobody to send to. How many entries were applied.
inline size_t settle(raftcore::node &node)
{
    size_t applied = 0;
    while (raftcore::ready ready = node.next_ready().value()) {
        OK(node.persist(ready));
        for (const raftcore::entry &entry : ready.committed()) {
            ++applied;
            if (entry.kind != RAFTCORE_ENTRY_NORMAL) OK(node.apply(entry));
        }
        OK(node.advance(ready));
    }
    return applied;
}

/// The only member of its group, which it leads.
inline raftcore::node leader_of_one()
{
    raftcore::node node = raftcore::node::create(raftcore::config(1).seed(7)).value();
    OK(node.bootstrap({1}));
    settle(node);
    OK(node.campaign());
    settle(node);
    CHECK(node.state().value().role == RAFTCORE_ROLE_LEADER);
    return node;
}
