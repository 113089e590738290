// A program of somebody else's, in C++: a group of one that agrees with itself.
#include <raftcore.hpp>

#include <iostream>

namespace {

/// Takes the next Ready, if there is one, and says whether "hello" was applied.
bool turn(raftcore::node &node)
{
    bool applied = false;
    const raftcore::ready ready = node.next_ready().value();
    if (!ready) return applied;
    node.persist(ready).value();
    for (const raftcore::entry &entry : ready.committed()) {
        if (entry.kind != RAFTCORE_ENTRY_NORMAL) node.apply(entry).value();
        applied |= raftcore::text(entry.data) == "hello";
    }
    node.advance(ready).value();
    return applied;
}

} // namespace

int main()
{
    try {
        raftcore::node node = raftcore::node::create(raftcore::config(1)).value();
        node.bootstrap({1}).value();
        turn(node);
        node.campaign().value();
        for (int i = 0; i < 3; i++) turn(node);
        node.propose("hello").value();
        bool applied = false;
        for (int i = 0; i < 6 && !applied; i++) applied = turn(node);
        std::cout << "raftcore " << raftcore::version() << ": " << (applied ? "" : "NOT ")
                  << "applied\n";
        return applied ? 0 : 1;
    } catch (const raftcore::exception &problem) {
        std::cerr << problem.what() << '\n';
        return 1;
    }
}
