/// The loop around a node: ticks, and what a Ready says in the order in which it must be done. Part
/// of raftcore.hpp.
#ifndef RAFTCORE_LOOP_HPP
#define RAFTCORE_LOOP_HPP

#include <raftcore/node.hpp>

#include <algorithm>
#include <atomic>

namespace raftcore {

/// What the loop asks of a program. An error that a function returns ends the loop: the node is
/// then in the middle of a Ready, to be destroyed and made again from what is stored.
class application {
public:
    virtual ~application() = default;
    /// Sends a message to its receiver. The network may lose it; it must not block.
    virtual void send(const message &what) = 0;
    /// Writes snapshot, entries and hard state to the disk, and syncs if must_sync. The node's
    /// memory storage is given them afterwards.
    virtual result<> write(const ready &) { return {}; }
    /// Replaces the state by a snapshot's.
    virtual result<> restore(const snapshot &from) = 0;
    /// Applies a committed entry. Those without data are a new leader's first.
    virtual result<> apply(const entry &committed) = 0;
    /// The membership changed: it belongs into the next snapshot.
    virtual result<> changed(const membership &) { return {}; }
    /// Answers a read: everything that it must see is applied.
    virtual void answer(std::string_view /* context of the read */) {}
};

/// Drives a node for an application.
class loop {
public:
    loop(node &the_node, application &the_application)
        : node_(the_node), application_(the_application)
    {
    }

    /// Does what a Ready says, and advances it.
    result<> handle(const ready &what)
    {
        for (const message &one : what.messages()) application_.send(one);
        if (result<> done = persist(what); !done) return done;
        for (const message &one : what.messages_after_sync()) application_.send(one);
        if (what.snapshot() != nullptr) {
            if (result<> done = application_.restore(*what.snapshot()); !done) return done;
        }
        for (const entry &one : what.committed()) {
            if (result<> done = apply(one); !done) return done;
        }
        for (const read_state &one : what.read_states())
            reads_.emplace_back(one.index, text(one.context));
        if (result<> done = node_.advance(what); !done) return done;
        return answer_reads();
    }

    /// Handles what there is, without waiting.
    result<> drain()
    {
        for (;;) {
            result<ready> next = node_.next_ready();
            if (!next) return next.error();
            if (!*next) return {};
            if (result<> done = handle(*next); !done) return done;
        }
    }

    /// Ticks the node at this interval and handles its Readys as they come, until stop() or an
    /// error. A process that stood still does not make up for the ticks that it missed.
    result<> run(std::chrono::milliseconds tick)
    {
        using clock = std::chrono::steady_clock;
        auto due = clock::now() + tick;
        while (!stopped_.load()) {
            if (clock::now() >= due) {
                if (result<> done = node_.tick(); !done) return done;
                due = std::max(due + tick, clock::now());
            }
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(due - clock::now());
            result<ready> next = node_.poll_ready(std::max(left, std::chrono::milliseconds(0)));
            if (!next) return next.error();
            if (!*next) continue;
            if (result<> done = handle(*next); !done) return done;
        }
        return {};
    }

    /// Ends run() soon, for good; from any thread.
    result<> stop()
    {
        stopped_.store(true);
        return node_.wake();
    }

private:
    /// To disk, then to the memory storage if the node has one.
    result<> persist(const ready &what)
    {
        if (result<> done = application_.write(what); !done) return done;
        result<> kept = node_.persist(what);
        if (!kept && kept.error().status() == RAFTCORE_ERR_NOT_MEMORY) return {};
        return kept;
    }

    result<> apply(const entry &one)
    {
        if (one.kind == RAFTCORE_ENTRY_NORMAL) return application_.apply(one);
        result<std::optional<membership>> now = node_.apply(one);
        if (!now) return now.error();
        if (!*now) return {};
        return application_.changed(**now);
    }

    /// Those whose index is applied by now.
    result<> answer_reads()
    {
        if (reads_.empty()) return {};
        result<node_state> now = node_.state();
        if (!now) return now.error();
        const auto waits = [&](const auto &read) { return read.first > now->applied; };
        const auto due = std::stable_partition(reads_.begin(), reads_.end(), waits);
        for (auto it = due; it != reads_.end(); ++it) application_.answer(it->second);
        reads_.erase(due, reads_.end());
        return {};
    }

    node &node_;
    application &application_;
    std::atomic<bool> stopped_{false};
    std::vector<std::pair<uint64_t, std::string>> reads_;
};

} // namespace raftcore

#endif
