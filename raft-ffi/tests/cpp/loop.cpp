// The loop: the order of its steps, what ends it, reads that wait until they can be answered, and
// a group whose new member gets a snapshot.
#include "check.hpp"

#include <map>
#include <thread>

using namespace std::chrono_literals;
using raftcore::result;

/// An application that writes down what it is asked to do, and fails on demand.
struct recorder : raftcore::application {
    std::string steps;
    std::string fails_at;
    std::vector<std::string> answers;
    std::string state;
    std::vector<std::string> outbox;
    std::vector<uint64_t> receivers;
    raftcore::membership members;

    result<> note(const char *what)
    {
        steps += what;
        steps += ' ';
        if (fails_at == what) return raftcore::error(RAFTCORE_ERR_STORAGE, what);
        return {};
    }
    void send(const raftcore::message &m) override
    {
        note("send").ignore();
        outbox.push_back(raftcore::bytes_view(m.encoded).copy());
        receivers.push_back(m.to);
    }
    result<> write(const raftcore::ready &) override { return note("write"); }
    result<> restore(const raftcore::snapshot &from) override
    {
        state = raftcore::text(from.data);
        members = raftcore::membership(*from.conf_state);
        return note("restore");
    }
    result<> apply(const raftcore::entry &entry) override
    {
        state += raftcore::text(entry.data);
        return note("apply");
    }
    result<> changed(const raftcore::membership &now) override
    {
        members = now;
        return note("changed");
    }
    void answer(std::string_view context) override { answers.emplace_back(context); }
};

static void a_leader_of_one_goes_through_all_steps()
{
    recorder app;
    raftcore::node node = raftcore::node::create(raftcore::config(1)).value();
    raftcore::loop loop(node, app);
    OK(node.bootstrap({1}));
    OK(loop.drain());
    CHECK(app.steps == "write changed ");
    OK(node.campaign());
    OK(loop.drain());
    OK(node.propose("hello"));
    OK(loop.drain());
    OK(node.read_index("read"));
    OK(loop.drain());
    CHECK(app.state == "hello" && app.members == raftcore::membership({1}));
    CHECK(!app.answers.empty() && app.answers.back() == "read");
}

static void an_error_of_the_application_ends_the_loop()
{
    for (const char *where : {"write", "changed", "apply"}) {
        recorder app;
        app.fails_at = where;
        raftcore::node node = raftcore::node::create(raftcore::config(1)).value();
        raftcore::loop loop(node, app);
        OK(node.bootstrap({1}));
        result<> done = loop.drain();
        if (done) {
            OK(node.campaign());
            done = loop.drain();
        }
        CHECK(!done && done.error().message() == std::string(where));
    }
}

/// Members whose messages wait in outboxes until they are delivered.
struct group {
    struct member {
        recorder app;
        raftcore::storage log = raftcore::storage::memory().value();
        raftcore::node node;
        raftcore::loop loop;
        explicit member(uint64_t id)
            : node(raftcore::node::create(raftcore::config(id).seed(id), log).value()),
              loop(node, app)
        {
        }
    };
    std::map<uint64_t, std::unique_ptr<member>> members;

    member &add(uint64_t id) { return *(members[id] = std::make_unique<member>(id)); }
    void settle()
    {
        for (int turn = 0; turn < 50; ++turn) {
            for (auto &[id, from] : members) {
                OK(from->loop.drain());
                const auto outbox = std::exchange(from->app.outbox, {});
                const auto receivers = std::exchange(from->app.receivers, {});
                for (size_t i = 0; i < outbox.size(); ++i)
                    if (const auto to = members.find(receivers[i]); to != members.end())
                        to->second->node.step(outbox[i]).ignore();
            }
        }
    }
};

static void a_new_member_is_restored_from_a_snapshot()
{
    group all;
    group::member &leader = all.add(1);
    OK(leader.node.bootstrap({1}));
    all.settle();
    OK(leader.node.campaign());
    all.settle();
    for (const char *word : {"a", "b", "c"}) OK(leader.node.propose(word));
    all.settle();
    // A member is sent a snapshot that names it, so the change comes first.
    OK(leader.node.propose(raftcore::conf_change().add_voter(2)));
    all.settle();
    const uint64_t applied = leader.node.state().value().applied;
    OK(leader.log.create_snapshot(applied, leader.app.members, leader.app.state));
    OK(leader.log.compact(applied));
    group::member &late = all.add(2);
    for (int tick = 0; tick < 3; ++tick) {
        OK(leader.node.tick());
        all.settle();
    }
    CHECK(late.app.steps.find("restore") != std::string::npos);
    CHECK(late.app.state == "abc" && late.app.members == leader.app.members);
    OK(late.node.read_index("at the new one"));
    all.settle();
    CHECK(late.app.answers == std::vector<std::string>{"at the new one"});
}

static void it_runs_until_it_is_stopped()
{
    recorder app;
    raftcore::node node = raftcore::node::create(raftcore::config(1)).value();
    OK(node.bootstrap({1}));
    raftcore::loop loop(node, app);
    std::thread runs([&] { OK(loop.run(1ms)); });
    while (node.state().value().role != RAFTCORE_ROLE_LEADER) std::this_thread::sleep_for(1ms);
    const uint64_t index = node.propose("hello").value().last;
    while (node.state().value().applied < index) std::this_thread::sleep_for(1ms);
    OK(loop.stop());
    runs.join();
    CHECK(app.state == "hello");
}

static void the_default_application_only_sends_restores_and_applies()
{
    struct smallest : raftcore::application {
        void send(const raftcore::message &) override {}
        result<> restore(const raftcore::snapshot &) override { return {}; }
        result<> apply(const raftcore::entry &) override { return {}; }
    } app;
    raftcore::node node = raftcore::node::create(raftcore::config(1)).value();
    raftcore::loop loop(node, app);
    OK(node.bootstrap({1}));
    OK(loop.drain());
    OK(node.campaign());
    OK(loop.drain());
    OK(node.read_index("read"));
    OK(loop.drain());
    CHECK(node.state().value().applied == 2);
}

int main()
{
    a_leader_of_one_goes_through_all_steps();
    an_error_of_the_application_ends_the_loop();
    a_new_member_is_restored_from_a_snapshot();
    it_runs_until_it_is_stopped();
    the_default_application_only_sends_restores_and_applies();
}
