// Every call of a node, what it says when it is misused, and what a Ready shows.
#include "check.hpp"

#include <poll.h>
#include <stdexcept>
#include <thread>

using namespace std::chrono_literals;
using raftcore::membership;
using raftcore::node;

static void a_leader_of_one_takes_everything()
{
    node leader = leader_of_one();
    const raftcore::proposed one = leader.propose("one").value();
    CHECK(one.outcome == RAFTCORE_OUTCOME_APPENDED && one.first == one.last && one.term == 2);
    const std::vector<std::string> payloads = {"two", "three"};
    CHECK(leader.propose_many(payloads).value().last == one.last + 2);
    CHECK(leader.propose_packed("fourfive", {4, 4}).value().last == one.last + 4);
    FAILS(leader.propose_packed("fourfive", {4}), RAFTCORE_ERR_MISUSE);
    FAILS(leader.propose_kept({4}), RAFTCORE_ERR_MISUSE); /* it encodes */
    CHECK(leader.has_ready());

    raftcore::ready ready = leader.next_ready().value();
    CHECK(ready && ready.number() > 0 && ready.must_sync() && ready.snapshot() == nullptr);
    CHECK(ready.entries().size() == 5 && raftcore::text(ready.entries()[2].data) == "three");
    CHECK(ready.messages().empty() && ready.messages_after_sync().empty());
    CHECK(ready.messages_after_apply().empty());
    CHECK(!leader.describe(ready).value().text().empty());
    FAILS(leader.next_ready(), RAFTCORE_ERR_READY_OUTSTANDING);
    FAILS(leader.advance(ready), RAFTCORE_ERR_NOT_PERSISTED);
    OK(leader.persist(ready, RAFTCORE_PERSIST_ENTRIES | RAFTCORE_PERSIST_HARD_STATE));
    OK(leader.advance(ready));
    CHECK(settle(leader) == 5);

    OK(leader.read_index("my read"));
    ready = leader.next_ready().value();
    CHECK(ready.read_states().size() == 1);
    CHECK(raftcore::text(ready.read_states()[0].context) == "my read");
    CHECK(!leader.next(ready).value());
    FAILS(leader.advance(ready), RAFTCORE_ERR_STALE_READY);
    FAILS(leader.release(ready), RAFTCORE_ERR_STALE_READY);
    CHECK(!leader.has_ready() && !leader.next_ready().value());
}

static void the_membership_changes()
{
    node leader = leader_of_one();
    const auto change = raftcore::conf_change().add_learner(2).context("host:2");
    OK(leader.propose(change));
    // A second change has to wait, and is told so.
    const raftcore::proposed second = leader.propose(raftcore::conf_change().remove(2)).value();
    CHECK(second.outcome == RAFTCORE_OUTCOME_REPLACED);
    CHECK(second.replace_reason == RAFTCORE_REPLACE_PENDING);
    std::optional<membership> now;
    while (raftcore::ready ready = leader.next_ready().value()) {
        OK(leader.persist(ready));
        for (const raftcore::entry &entry : ready.committed())
            if (entry.kind != RAFTCORE_ENTRY_NORMAL) {
                auto decoded = raftcore::conf_change::decode(entry.kind, entry.data).value();
                CHECK(decoded.context() == "host:2");
                now = leader.apply(entry).value();
            }
        OK(leader.advance(ready));
    }
    CHECK(now && now->learners == std::vector<uint64_t>{2});

    raftcore_entry_kind kind = 0;
    const auto bytes = raftcore::conf_change().update(2).encode(&kind).value();
    OK(leader.propose_conf_change_entry(kind, bytes));
    raftcore::ready ready = leader.next_ready().value();
    OK(leader.persist(ready));
    ready = leader.next(ready).value();
    CHECK(ready && ready.committed().size() == 1);
    auto altered = raftcore::conf_change::decode(kind, ready.committed()[0].data).value();
    altered.steps()[0].node = 0; // the application's veto
    CHECK(leader.apply(altered).value() == now);
    OK(leader.advance(ready));
    FAILS(leader.propose(raftcore::conf_change().add_voter(UINT64_MAX)), RAFTCORE_ERR_CONF_CHANGE);
}

static void it_can_be_looked_at()
{
    node leader = leader_of_one();
    CHECK(leader.state().value().leader == 1 && leader.state().value().id == 1);
    const raftcore::owned_details details = leader.details().value();
    CHECK(membership(*details->membership) == membership({1}));
    const raftcore::view<raftcore::progress> progress = details->progress;
    CHECK(progress.size() == 1 && progress[0].id == 1);
    CHECK(leader.describe().value().text().find("1 StateLeader") == 0);
    CHECK(leader.counters().value().leaderships == 1);
}

static void two_nodes_speak_in_every_form()
{
    node first = node::create(raftcore::config(1)).value();
    node second = node::create(raftcore::config(2)).value();
    OK(first.bootstrap({{1, "host:1"}, {2, "host:2"}}));
    OK(second.bootstrap({{1, "host:1"}, {2, "host:2"}}));
    settle(first);
    settle(second);
    OK(first.campaign());
    std::vector<raftcore::status> statuses;
    for (int form = 0; form < 40; ++form) {
        node &from = form % 2 == 0 ? first : second;
        node &to = form % 2 == 0 ? second : first;
        while (raftcore::ready ready = from.next_ready().value()) {
            OK(from.persist(ready));
            for (const auto &messages : {ready.messages(), ready.messages_after_sync()}) {
                if (messages.empty()) continue;
                std::vector<raftcore_slice> list;
                std::string packed;
                std::vector<uint64_t> lengths;
                for (const raftcore::message &m : messages) {
                    list.push_back(m.encoded);
                    packed += raftcore::text(m.encoded);
                    lengths.push_back(m.encoded.len);
                }
                if (form == 4)
                    for (const raftcore::message &m : messages) OK(to.step_from(from, ready, m));
                if (form == 6)
                    for (const raftcore::message &m : messages) OK(to.step_message(m));
                if (form == 5) OK(from.deliver(ready, messages, {to.raw(), from.raw()}));
                if (form % 3 == 0) OK(to.step_many(list, &statuses));
                if (form % 3 == 1) OK(to.step_packed(packed, lengths, &statuses));
                if (form % 3 == 2) OK(to.step_messages(messages, &statuses));
                CHECK(statuses == std::vector<raftcore::status>(list.size(), RAFTCORE_OK));
            }
            for (const raftcore::entry &entry : ready.committed())
                if (entry.kind != RAFTCORE_ENTRY_NORMAL) OK(from.apply(entry));
            OK(from.advance(ready));
        }
    }
    CHECK(first.state().value().role == RAFTCORE_ROLE_LEADER);
    CHECK(second.state().value().leader == 1);
    const raftcore::proposed sent = second.propose("forwarded").value();
    CHECK(sent.outcome == RAFTCORE_OUTCOME_FORWARDED && sent.leader == 1);
    FAILS(first.step_many(std::vector<std::string>{"\xff"}, &statuses), RAFTCORE_ERR_REFUSED);
    CHECK(statuses == std::vector<raftcore::status>{RAFTCORE_ERR_REFUSED});
    FAILS(first.step("\xff"), RAFTCORE_ERR_REFUSED);
    FAILS(first.step_packed("abc", {9}), RAFTCORE_ERR_MISUSE);
    FAILS(first.step_kept(raftcore_message{}, {1}, {1}), RAFTCORE_ERR_ENUM);
    OK(first.report_unreachable(2));
    OK(first.report_snapshot(2, RAFTCORE_SNAPSHOT_FINISHED));
    OK(first.transfer_leader(2));
    FAILS(first.propose("now"), RAFTCORE_ERR_DROPPED);
    OK(second.forget_leader());
    OK(first.tick());
    OK(first.tick_quiesced());
}

static void two_nodes_of_one_process_take_turns()
{
    std::vector<node> nodes;
    std::vector<raftcore_node *> members;
    for (uint64_t id = 1; id <= 2; ++id) {
        nodes.push_back(node::create(raftcore::config(id).auto_persist(true)).value());
        members.push_back(nodes.back().raw());
        OK(nodes.back().bootstrap({{1, "host:1"}, {2, "host:2"}}));
    }
    raftcore::ready readies[2];
    const auto settle_both = [&] {
        for (bool busy = true; busy;) {
            busy = false;
            for (size_t i = 0; i < 2; ++i) {
                readies[i] = nodes[i].next(readies[i], members).value();
                if (!readies[i]) continue;
                busy = true;
                CHECK(readies[i].messages().empty() && readies[i].messages_after_sync().empty());
                for (const raftcore::entry &entry : readies[i].committed())
                    if (entry.kind != RAFTCORE_ENTRY_NORMAL) OK(nodes[i].apply(entry));
            }
        }
    };
    settle_both();
    OK(nodes[0].campaign());
    settle_both();
    CHECK(nodes[1].state().value().leader == 1);
}

static void misuse_is_answered_with_what_was_wrong()
{
    FAILS(node::create(raftcore::config(0)), RAFTCORE_ERR_CONFIG);
    node fresh = node::create(raftcore::config(1)).value();
    FAILS(fresh.bootstrap({}), RAFTCORE_ERR_PEERS);
    OK(fresh.bootstrap({1}));
    FAILS(fresh.bootstrap({1}), RAFTCORE_ERR_BOOTSTRAPPED);
    const auto dropped = fresh.propose("x");
    CHECK(!dropped && dropped.error().is_dropped());
    CHECK(dropped.error().detail() == RAFTCORE_DROP_NO_LEADER);
    const auto read = fresh.read_index("x");
    CHECK(!read && read.error().is_dropped());
    FAILS(fresh.report_snapshot(2, 77), RAFTCORE_ERR_ENUM);
    FAILS(fresh.storage_response(1), RAFTCORE_ERR_STORAGE_RESPONSE);
}

static void storage_threads_answer_by_number()
{
    node fast = node::create(raftcore::config(1).async_storage_writes(true)).value();
    OK(fast.bootstrap({1}));
    bool applied = false;
    FAILS(fast.storage_response(99), RAFTCORE_ERR_STORAGE_RESPONSE);
    for (int turn = 0; turn < 20 && !applied; ++turn) {
        if (turn == 4) OK(fast.campaign());
        if (turn == 10) OK(fast.propose("hello"));
        const raftcore::ready ready = fast.next_ready().value();
        if (!ready) continue;
        OK(fast.persist(ready));
        for (const raftcore::entry &entry : ready.committed()) {
            applied |= raftcore::text(entry.data) == "hello";
            if (entry.kind != RAFTCORE_ENTRY_NORMAL) OK(fast.apply(entry));
        }
        for (const auto &messages : {ready.messages_after_sync(), ready.messages_after_apply()})
            for (const raftcore::message &m : messages)
                OK(fast.storage_response(m.response_number));
        OK(fast.release(ready));
    }
    CHECK(applied);
}

static void waiting_ends_when_there_is_something()
{
    node leader = leader_of_one();
    CHECK(!leader.poll_ready(0ms).value() && !leader.poll_ready(1ms).value());
    pollfd watched{leader.ready_fd().value(), POLLIN, 0};
    const int32_t *word = leader.ready_word().value();
    CHECK(poll(&watched, 1, 0) == 0 && *word == 0);
    std::thread other([&] { OK(leader.propose("from another thread")); });
    const raftcore::ready ready = leader.poll_ready(-1ms).value();
    other.join();
    CHECK(ready && ready.entries().size() == 1);
    OK(leader.persist(ready));
    OK(leader.advance(ready));
    CHECK(poll(&watched, 1, 0) == 1 && *word == 1);
    settle(leader);
    OK(leader.wake());
    CHECK(!leader.poll_ready(std::chrono::hours(24 * 365)).value());
    // A time that C has no number for: negative all the same.
    other = std::thread([&] {
        std::this_thread::sleep_for(20ms);
        OK(leader.propose("in a while"));
    });
    CHECK(leader.poll_ready(std::chrono::milliseconds::min()).value());
    other.join();
}

static void a_log_is_any_function()
{
    auto lines = std::make_shared<std::vector<std::string>>();
    node quiet = node::create(raftcore::config(1)).value();
    OK(quiet.bootstrap({1}));
    const auto keep = [lines](raftcore_log_level level, std::string_view text) {
        CHECK(level >= RAFTCORE_LOG_INFO);
        lines->emplace_back(text);
#ifndef RAFTCORE_NO_EXCEPTIONS
        throw std::runtime_error("no way out");
#endif
    };
    OK(quiet.set_log(RAFTCORE_LOG_INFO, keep));
    settle(quiet);
    OK(quiet.campaign());
    CHECK(!lines->empty() && lines.use_count() == 3);
    FAILS(quiet.set_log(99, [lines](raftcore_log_level, std::string_view) {}), RAFTCORE_ERR_ENUM);
    CHECK(lines.use_count() == 3);
    OK(quiet.set_log(RAFTCORE_LOG_INFO, {}));
    CHECK(lines.use_count() == 2);
}

static void a_node_can_be_moved()
{
    node first = leader_of_one();
    node second = std::move(first);
    OK(second.tick());
    FAILS(first.tick(), RAFTCORE_ERR_NULL);
    first = std::move(second);
    OK(first.tick());
}

int main()
{
    a_leader_of_one_takes_everything();
    the_membership_changes();
    it_can_be_looked_at();
    two_nodes_speak_in_every_form();
    two_nodes_of_one_process_take_turns();
    misuse_is_answered_with_what_was_wrong();
    storage_threads_answer_by_number();
    waiting_ends_when_there_is_something();
    a_log_is_any_function();
    a_node_can_be_moved();
}
