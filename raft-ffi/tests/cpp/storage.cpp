// Storages: the memory storage in full, and logs of the program's own, which may throw.
#include "check.hpp"

#include <stdexcept>

using raftcore::membership;
using raftcore::result;
using raftcore::storage;

static std::vector<raftcore::entry> three_entries()
{
    std::vector<raftcore::entry> list;
    for (uint64_t index = 1; index <= 3; ++index)
        list.push_back({1, index, raftcore::bytes_view("data"), RAFTCORE_ENTRY_NORMAL, 0});
    return list;
}

static void a_memory_storage_does_everything()
{
    storage log = storage::memory(membership({1, 2})).value();
    OK(log.append(three_entries()));
    OK(log.set_hard_state({1, 2, 3}));
    CHECK(log.first_index().value() == 1 && log.last_index().value() == 3);
    CHECK(log.term(2).value() == 1);
    const raftcore::stored_state state = log.initial_state().value();
    CHECK(state.hard_state.commit == 3 && state.members == membership({1, 2}));
    const raftcore::owned_entries entries = log.entries(1, 3).value();
    const raftcore::view<raftcore::entry> view = *entries;
    CHECK(view.size() == 2 && raftcore::text(view[1].data) == "data");

    CHECK(log.latest_snapshot().value()->index == 0);
    CHECK(log.create_snapshot(1, "first").value()->index == 1);
    const raftcore::owned_snapshot made = log.create_snapshot(2, membership({1}), "state").value();
    CHECK(made->index == 2 && membership(*made->conf_state) == membership({1}));
    OK(log.compact(2));
    CHECK(log.first_index().value() == 3);
    CHECK(raftcore::text(log.latest_snapshot().value()->data) == "state");

    storage other = storage::memory().value();
    OK(other.set_membership(membership({7})));
    CHECK(other.initial_state().value().members == membership({7}));
    OK(other.apply_snapshot(*made));
    CHECK(other.last_index().value() == 2);
}

static void a_memory_storage_says_what_is_wrong()
{
    storage log = storage::memory().value();
    OK(log.append(three_entries()));
    FAILS(log.term(9), RAFTCORE_ERR_UNAVAILABLE);
    FAILS(log.entries(1, 9), RAFTCORE_ERR_UNAVAILABLE);
    FAILS(log.compact(9), RAFTCORE_ERR_UNAVAILABLE);
    OK(log.compact(2));
    FAILS(log.compact(1), RAFTCORE_ERR_COMPACTED);
    FAILS(log.entries(1, 2), RAFTCORE_ERR_COMPACTED);
    FAILS(log.create_snapshot(9, "x"), RAFTCORE_ERR_UNAVAILABLE);
    std::vector<raftcore::entry> far = three_entries();
    far.erase(far.begin(), far.end() - 1);
    far[0].index = 9;
    FAILS(log.append(far), RAFTCORE_ERR_GAP);
    const raftcore::owned_snapshot third = log.create_snapshot(3, "x").value();
    FAILS(log.apply_snapshot(*third), RAFTCORE_ERR_SNAPSHOT_OUT_OF_DATE);
    // A membership that cannot be is found when a node is made on it.
    membership twice({1});
    twice.learners = {1};
    storage odd = storage::memory(twice).value();
    FAILS(raftcore::node::create(raftcore::config(1), odd), RAFTCORE_ERR_CONFIG);
}

/// A log in a vector, which fails on demand.
struct vector_log : raftcore::stored_log {
    std::vector<raftcore::stored_entry> log;
    raftcore::stored_state state;
    raftcore::stored_snapshot snapshot;
    /// What each function does first.
    std::function<result<>(const char *)> trouble = [](const char *) { return result<>(); };
    int *ended;

    explicit vector_log(int *counter) : ended(counter) { state.members = membership({1}); }
    ~vector_log() override { ++*ended; }

    result<raftcore::stored_state> initial_state() override
    {
        if (auto bad = trouble("initial_state"); !bad) return bad.error();
        return state;
    }
    result<std::vector<raftcore::stored_entry>> entries(uint64_t low, uint64_t high,
                                                        uint64_t) override
    {
        if (auto bad = trouble("entries"); !bad) return bad.error();
        using difference = std::ptrdiff_t;
        return std::vector<raftcore::stored_entry>(
            log.begin() + static_cast<difference>(low - 1),
            log.begin() + static_cast<difference>(high - 1));
    }
    result<uint64_t> term(uint64_t index) override
    {
        if (auto bad = trouble("term"); !bad) return bad.error();
        return index == 0 ? 0 : log[index - 1].term;
    }
    result<uint64_t> first_index() override
    {
        if (auto bad = trouble("first_index"); !bad) return bad.error();
        return 1;
    }
    result<uint64_t> last_index() override
    {
        if (auto bad = trouble("last_index"); !bad) return bad.error();
        return static_cast<uint64_t>(log.size());
    }
    result<raftcore::stored_snapshot> latest_snapshot() override
    {
        if (auto bad = trouble("latest_snapshot"); !bad) return bad.error();
        return snapshot;
    }

    void keep(const raftcore::ready &ready)
    {
        for (const raftcore::entry &e : ready.entries()) {
            log.resize(e.index - 1);
            log.push_back({e.term, e.index, raftcore::bytes_view(e.data).copy(), e.kind});
        }
        if (ready.hard_state() != nullptr) state.hard_state = *ready.hard_state();
    }
};

static void a_log_of_ones_own_serves_a_node()
{
    int ended = 0;
    {
        auto log = std::make_shared<vector_log>(&ended);
        std::optional<storage> handle = storage::own(log).value();
        raftcore::node node = raftcore::node::create(raftcore::config(1), *handle).value();
        OK(node.campaign());
        bool applied = false;
        for (int turn = 0; turn < 10 && !applied; ++turn) {
            if (turn == 5) OK(node.propose("hello"));
            while (raftcore::ready ready = node.next_ready().value()) {
                log->keep(ready);
                FAILS(node.persist(ready), RAFTCORE_ERR_NOT_MEMORY);
                for (const raftcore::entry &e : ready.committed())
                    applied |= raftcore::text(e.data) == "hello";
                OK(node.advance(ready));
            }
        }
        CHECK(applied && log->log.size() == 2);
        const raftcore::owned_entries entries = handle->entries(1, 3).value();
        CHECK(raftcore::text(raftcore::view<raftcore::entry>(*entries)[1].data) == "hello");
        CHECK(handle->last_index().value() == 2 && handle->term(2).value() == 1);
        FAILS(handle->append(three_entries()), RAFTCORE_ERR_NOT_MEMORY);
        log->snapshot = {2, 1, membership({1, 2}), "state"};
        const raftcore::owned_snapshot snapshot = handle->latest_snapshot().value();
        CHECK(snapshot->index == 2 && membership(*snapshot->conf_state) == membership({1, 2}));
        CHECK(raftcore::text(snapshot->data) == "state");
        CHECK(handle->initial_state().value().members == membership({1}));
        // Whoever comes last lets go of it.
        handle.reset();
        log.reset();
        CHECK(ended == 0);
        OK(node.tick());
    }
    CHECK(ended == 1);
}

static void check_each(const std::function<result<>(const char *)> &trouble,
                       raftcore::status wanted, std::string_view text)
{
    int ended = 0;
    auto log = std::make_shared<vector_log>(&ended);
    log->log = {{1, 1, "x", RAFTCORE_ENTRY_NORMAL}};
    storage handle = storage::own(log).value();
    log->trouble = trouble;
    const auto is_said = [&](const raftcore::error &why) {
        CHECK(why.status() == wanted && why.is_storage());
        CHECK(std::string_view(why.message()).find(text) != std::string_view::npos);
    };
    is_said(handle.initial_state().error());
    is_said(handle.entries(1, 2).error());
    is_said(handle.term(1).error());
    is_said(handle.first_index().error());
    is_said(handle.last_index().error());
    is_said(handle.latest_snapshot().error());
    is_said(raftcore::node::create(raftcore::config(1), handle).error());
}

static void an_error_of_the_log_comes_out_of_the_call()
{
    const raftcore::error torn(RAFTCORE_ERR_STORAGE, "the disk is torn");
    check_each([&](const char *) { return result<>(torn); }, RAFTCORE_ERR_STORAGE,
               "the disk is torn");
}

#ifndef RAFTCORE_NO_EXCEPTIONS
static void an_exception_of_the_log_becomes_its_error()
{
    check_each([](const char *where) -> result<> { throw std::runtime_error(where); },
               RAFTCORE_ERR_STORAGE, "");
    check_each([](const char *) -> result<> { throw std::runtime_error("the cable is out"); },
               RAFTCORE_ERR_STORAGE, "the cable is out");
    check_each([](const char *) -> result<> { throw 5; }, RAFTCORE_ERR_STORAGE,
               "no std::exception");
    check_each(
        [](const char *) -> result<> {
            result<>(raftcore::error(RAFTCORE_ERR_COMPACTED, "too old")).value();
            return {};
        },
        RAFTCORE_ERR_COMPACTED, "");
}
#endif

static void no_log_at_all_is_refused() { FAILS(storage::own(nullptr), RAFTCORE_ERR_NULL); }

static void a_storage_serves_one_node_at_a_time()
{
    storage log = storage::memory(membership({1})).value();
    {
        raftcore::node node = raftcore::node::create(raftcore::config(1), log).value();
        FAILS(raftcore::node::create(raftcore::config(1), log), RAFTCORE_ERR_STORAGE_IN_USE);
    }
    raftcore::node node = raftcore::node::create(raftcore::config(1), log).value();
    OK(log.set_shared(true));
    OK(raftcore::node::create(raftcore::config(1), log));
    OK(log.set_shared(false));
}

int main()
{
    a_memory_storage_does_everything();
    a_memory_storage_says_what_is_wrong();
    a_log_of_ones_own_serves_a_node();
    an_error_of_the_log_comes_out_of_the_call();
#ifndef RAFTCORE_NO_EXCEPTIONS
    an_exception_of_the_log_becomes_its_error();
#endif
    no_log_at_all_is_refused();
    a_storage_serves_one_node_at_a_time();
}
