// A map that three members of a group, in one process, keep alike. Each has a thread of its own
// that drives it; a message is a call to the receiver. Everything is written through the leader
// and can be read at any member, linearizably.
#include <raftcore.hpp>

#include <array>
#include <condition_variable>
#include <iostream>
#include <map>
#include <mutex>
#include <thread>

using namespace std::chrono_literals;

// ANCHOR: member
class member : public raftcore::application {
public:
    member(uint64_t id, std::array<std::unique_ptr<member>, 3> &group)
        : node_(raftcore::node::create(raftcore::config(id).election_timeout_ticks(10)).value()),
          loop_(node_, *this), group_(group)
    {
        node_.bootstrap({1, 2, 3}).value();
    }

    void start() { thread_ = std::thread([this] { loop_.run(10ms).value(); }); }
    void stop()
    {
        loop_.stop().value();
        thread_.join();
    }
    uint64_t leader() const { return node_.state().value().leader; }
    // ANCHOR_END: member

    // ANCHOR: put
    /// Whether the write is in the map of this member, and so of the group. Only a leader can say.
    bool put(const std::string &key, const std::string &value)
    {
        std::unique_lock lock(mutex_);
        raftcore::result<raftcore::proposed> taken = node_.propose(key + "=" + value);
        if (!taken || taken->outcome != RAFTCORE_OUTCOME_APPENDED) return false;
        const auto is_applied = [&] { return applied_index_ >= taken->first; };
        if (!changed_.wait_for(lock, 2s, is_applied)) return false;
        // Another term at this place of the log: another leader put something else there.
        return terms_[taken->first] == taken->term;
    }
    // ANCHOR_END: put

    // ANCHOR: get
    /// The value as of some moment after the call, or nothing if no leader confirms it in time.
    std::optional<std::string> get(const std::string &key)
    {
        std::unique_lock lock(mutex_);
        // A member that can be restarted begins at a random number: no name is used twice.
        const std::string read = "read " + std::to_string(++reads_);
        if (!node_.read_index(read)) return std::nullopt;
        if (!changed_.wait_for(lock, 2s, [&] { return confirmed_ == read; })) return std::nullopt;
        return map_[key];
    }
    // ANCHOR_END: get

private:
    // ANCHOR: application
    void send(const raftcore::message &m) override
    {
        // Whatever the receiver thinks of it: a network promises no more.
        group_[m.to - 1]->node_.step(m.encoded).ignore();
    }
    raftcore::result<> apply(const raftcore::entry &entry) override
    {
        std::lock_guard lock(mutex_);
        const std::string_view text = raftcore::text(entry.data);
        if (const size_t mark = text.find('='); mark != text.npos)
            map_[std::string(text.substr(0, mark))] = text.substr(mark + 1);
        terms_[entry.index] = entry.term;
        applied_index_ = entry.index;
        changed_.notify_all();
        return {};
    }
    void answer(std::string_view context) override
    {
        std::lock_guard lock(mutex_);
        confirmed_ = context;
        changed_.notify_all();
    }
    raftcore::result<> restore(const raftcore::snapshot &) override
    {
        // Nobody compacts a log here, so that nobody needs a snapshot.
        return raftcore::error(RAFTCORE_ERR_STORAGE, "a snapshot that nobody made");
    }
    // ANCHOR_END: application

    raftcore::node node_;
    raftcore::loop loop_;
    std::array<std::unique_ptr<member>, 3> &group_;
    std::thread thread_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::map<std::string, std::string> map_;
    std::map<uint64_t, uint64_t> terms_;
    uint64_t applied_index_ = 0;
    uint64_t reads_ = 0;
    std::string confirmed_;
};

int main()
{
    std::array<std::unique_ptr<member>, 3> group;
    for (uint64_t id = 1; id <= 3; ++id) group[id - 1] = std::make_unique<member>(id, group);
    for (auto &one : group) one->start();

    // Until there is a leader, and again if it was not the leader any more.
    const auto eventually = [](auto attempt) {
        auto got = attempt();
        for (int n = 0; n < 500 && !got; ++n, got = attempt()) std::this_thread::sleep_for(10ms);
        return got;
    };
    const auto put = [&](const std::string &key, const std::string &value) {
        return eventually([&] {
            const uint64_t leader = group[0]->leader();
            return leader != 0 && group[leader - 1]->put(key, value);
        });
    };
    bool right = put("colour", "red") && put("shape", "round") && put("colour", "blue");
    for (auto &one : group) {
        const auto colour = eventually([&] { return one->get("colour"); });
        const auto shape = eventually([&] { return one->get("shape"); });
        std::cout << "a thing is " << colour.value_or("?") << " and " << shape.value_or("?") << '\n';
        right = right && colour == "blue" && shape == "round";
    }
    for (auto &one : group) one->stop();
    return right ? 0 : 1;
}
