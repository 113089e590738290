/// A node, and the Ready that it hands out. Part of raftcore.hpp.
#ifndef RAFTCORE_NODE_HPP
#define RAFTCORE_NODE_HPP

#include <raftcore/storage.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>

namespace raftcore {

/// What is to be done now, in the order of raftcore_ready in raftcore.h; false when there is
/// nothing. It is a view: valid until its advance.
class ready {
public:
    explicit ready(const raftcore_ready *raw = nullptr) noexcept : raw_(raw) {}
    explicit operator bool() const noexcept { return raw_ != nullptr; }
    const raftcore_ready *raw() const noexcept { return raw_; }

    uint64_t number() const noexcept { return raw_->number; }
    /// The leader or the role changed; otherwise null.
    const raftcore_soft_state *soft_state() const noexcept { return raw_->soft_state; }
    /// To be persisted; null when it did not change.
    const raftcore_hard_state *hard_state() const noexcept { return raw_->hard_state; }
    /// To be persisted, and the application restored from it; otherwise null.
    const raftcore_snapshot *snapshot() const noexcept { return raw_->snapshot; }
    /// To be persisted.
    view<entry> entries() const noexcept { return raw_->entries; }
    /// To be applied.
    view<entry> committed() const noexcept { return raw_->committed; }
    /// To be sent at once.
    view<message> messages() const noexcept { return raw_->messages; }
    /// To be sent when what is to be persisted is durable.
    view<message> messages_after_sync() const noexcept { return raw_->messages_after_sync; }
    /// With asynchronous storage writes: to be passed on when `committed` is applied.
    view<message> messages_after_apply() const noexcept
    {
        // An older library's Ready is shorter.
        constexpr size_t end = offsetof(raftcore_ready, messages_after_apply) +
                               sizeof(raftcore_messages);
        return raw_->struct_size < end ? view<message>() : raw_->messages_after_apply;
    }
    view<read_state> read_states() const noexcept { return raw_->read_states; }
    bool must_sync() const noexcept { return raw_->must_sync != 0; }

private:
    const raftcore_ready *raw_;
};

/// A member of a group to be bootstrapped: `node.bootstrap({1, 2, 3})`.
struct peer {
    peer(uint64_t the_id, std::string the_context = {})
        : id(the_id), context(std::move(the_context))
    {
    }
    uint64_t id;
    std::string context;
};

/// A member of a group. Its functions may be called from any thread.
class node {
public:
    using pointer = raftcore_node *;
    explicit node(raftcore_node *raw) noexcept : raw_(raw) {}
    raftcore_node *raw() const noexcept { return raw_.get(); }

    /// From what is in the storage: an empty one makes a new node, a filled one a restarted node.
    static result<node> create(const config &from, const storage &log)
    {
        return create_on(from, log.raw());
    }
    /// With an empty memory storage of its own.
    static result<node> create(const config &from) { return create_on(from, nullptr); }

    result<> bootstrap(const std::vector<peer> &peers)
    {
        std::vector<raftcore_peer> list;
        for (const peer &one : peers) list.push_back({one.id, bytes_view(one.context)});
        return act<raftcore_node_bootstrap>(list.data(), list.size());
    }

    // Time and messages.

    result<> tick() { return act<raftcore_node_tick>(); }
    result<> tick_quiesced() { return act<raftcore_node_tick_quiesced>(); }
    /// Takes an encoded message of a peer's; refused ones change nothing.
    result<> step(bytes_view encoded)
    {
        return act<raftcore_node_step>(encoded.data(), encoded.size());
    }
    /// Takes many: anything whose elements are bytes. What became of each goes to `statuses`.
    template <class C>
    result<> step_many(const C &messages, std::vector<raftcore_status> *statuses = nullptr)
    {
        const std::vector<raftcore_slice> list = raftcore::slices(messages);
        return act<raftcore_node_step_many>(list.data(), list.size(),
                                            room(statuses, list.size()));
    }
    /// Takes many that stand one behind the other.
    result<> step_packed(bytes_view bytes, const std::vector<uint64_t> &lengths,
                         std::vector<raftcore_status> *statuses = nullptr)
    {
        return act<raftcore_node_step_packed>(bytes.data(), bytes.size(), lengths.data(),
                                              lengths.size(), room(statuses, lengths.size()));
    }
    /// Takes messages as structs.
    result<> step_messages(view<message> messages,
                           std::vector<raftcore_status> *statuses = nullptr)
    {
        const raftcore_messages list{messages.data(), messages.size(), messages.stride()};
        return act<raftcore_node_step_messages>(&list, room(statuses, list.count));
    }
    /// Takes a message as a struct.
    result<> step_message(const message &what) { return act<raftcore_node_step_message>(&what); }
    /// Takes a message of another node's outstanding Ready, without encoding it.
    result<> step_from(const node &from, const ready &which, const message &what)
    {
        return act<raftcore_node_step_from>(from.raw(), which.raw(), &what);
    }
    /// Takes an append whose payloads the program keeps; 1 if the log ends with its last entry now.
    result<int32_t> step_kept(const message &head, const std::vector<uint64_t> &terms,
                              const std::vector<uint64_t> &lengths)
    {
        return detail::get<raftcore_node_step_kept>(int32_t(), raw(), &head, terms.data(),
                                                    lengths.data(),
                                                    std::min(terms.size(), lengths.size()));
    }
    /// Hands messages of this node's outstanding Ready to members in this process.
    result<> deliver(const ready &which, view<message> messages,
                     const std::vector<raftcore_node *> &members)
    {
        const raftcore_messages list{messages.data(), messages.size(), messages.stride()};
        return act<raftcore_node_deliver>(which.raw(), &list, members.data(), members.size());
    }
    result<> campaign() { return act<raftcore_node_campaign>(); }
    result<> transfer_leader(uint64_t to) { return act<raftcore_node_transfer_leader>(to); }
    result<> forget_leader() { return act<raftcore_node_forget_leader>(); }
    result<> report_unreachable(uint64_t to) { return act<raftcore_node_report_unreachable>(to); }
    result<> report_snapshot(uint64_t to, raftcore_snapshot_status how)
    {
        return act<raftcore_node_report_snapshot>(to, how);
    }

    // Proposals, reads and membership.

    result<proposed> propose(bytes_view payload)
    {
        return detail::get<raftcore_node_propose>(sized<proposed>(), raw(), payload.data(),
                                                  payload.size());
    }
    /// Proposes many, all or none: anything whose elements are bytes.
    template <class C> result<proposed> propose_many(const C &payloads)
    {
        const std::vector<raftcore_slice> list = raftcore::slices(payloads);
        return detail::get<raftcore_node_propose_many>(sized<proposed>(), raw(), list.data(),
                                                       list.size());
    }
    /// Proposes many, all or none, that stand one behind the other.
    result<proposed> propose_packed(bytes_view bytes, const std::vector<uint64_t> &lengths)
    {
        return detail::get<raftcore_node_propose_packed>(
            sized<proposed>(), raw(), bytes.data(), bytes.size(), lengths.data(), lengths.size());
    }
    /// Proposes payloads that the program keeps: only their lengths.
    result<proposed> propose_kept(const std::vector<uint64_t> &lengths)
    {
        return detail::get<raftcore_node_propose_kept>(sized<proposed>(), raw(), lengths.data(),
                                                       lengths.size());
    }
    result<proposed> propose(const conf_change &change)
    {
        const raftcore_conf_change it = change.raw();
        return detail::get<raftcore_node_propose_conf_change>(sized<proposed>(), raw(), &it);
    }
    /// Proposes a membership change that is encoded already.
    result<proposed> propose_conf_change_entry(raftcore_entry_kind kind, bytes_view data)
    {
        return detail::get<raftcore_node_propose_conf_change_entry>(
            sized<proposed>(), raw(), kind, data.data(), data.size());
    }
    /// Applies the change in a committed entry that is not normal. The new membership, or nothing
    /// when a snapshot that contains the change has overtaken it.
    result<std::optional<membership>> apply(const entry &change)
    {
        return applied<raftcore_node_apply_conf_change_entry>(&change);
    }
    /// Applies a change that the program decoded, and may have altered.
    result<std::optional<membership>> apply(const conf_change &change)
    {
        const raftcore_conf_change it = change.raw();
        return applied<raftcore_node_apply_conf_change>(&it);
    }
    /// Asks for a read index; the answer comes in a Ready with the same context.
    result<> read_index(bytes_view context)
    {
        return act<raftcore_node_read_index>(context.data(), context.size());
    }

    // Ready.

    /// Whether next_ready has something to hand out or to say.
    bool has_ready() const noexcept { return raftcore_node_has_ready(raw()) != 0; }
    result<ready> next_ready() { return taken<raftcore_node_ready>(); }
    /// Waits for one; without one when the time is over or somebody called wake. Negative: waits
    /// without end.
    result<ready> poll_ready(std::chrono::milliseconds timeout)
    {
        const auto ms = std::clamp<std::chrono::milliseconds::rep>(timeout.count(), -1, INT32_MAX);
        return taken<raftcore_node_poll_ready>(static_cast<int32_t>(ms));
    }
    /// Ends a poll_ready, from any thread.
    result<> wake() { return act<raftcore_node_wake>(); }
    /// A descriptor that is readable while there is a Ready to take. The node closes it.
    result<int> ready_fd()
    {
        return detail::get<raftcore_node_ready_fd>(int32_t(), raw());
    }
    /// A word that says whether there is a Ready to take, without a call. It lives as long as the
    /// node.
    result<const int32_t *> ready_word()
    {
        return detail::get<raftcore_node_ready_word>(static_cast<const int32_t *>(nullptr), raw());
    }
    /// Gives a Ready to the node's memory storage.
    result<> persist(const ready &which) { return act<raftcore_node_persist>(which.raw()); }
    /// Gives some parts of a Ready to it: a sum of RAFTCORE_PERSIST_ bits.
    result<> persist(const ready &which, uint32_t parts)
    {
        return act<raftcore_node_persist_parts>(which.raw(), parts);
    }
    /// Everything in the Ready is done: it is no longer valid.
    result<> advance(const ready &which) { return act<raftcore_node_advance>(which.raw()); }
    /// Gives one back, advanced or released, and takes the next, in one call.
    result<ready> next(const ready &which) { return taken<raftcore_node_next>(which.raw()); }
    /// The same, and what the next says to these members in this process is handed to them.
    result<ready> next(const ready &which, const std::vector<raftcore_node *> &members)
    {
        return taken<raftcore_node_next_among>(which.raw(), members.data(), members.size());
    }
    /// With asynchronous storage writes: the Ready's memory is no longer needed.
    result<> release(const ready &which) { return act<raftcore_node_release>(which.raw()); }
    /// With asynchronous storage writes: passes on a response of a storage thread's.
    result<> storage_response(uint64_t number)
    {
        return act<raftcore_node_storage_response>(number);
    }
    /// The node in a line, and on a leader each member in one more.
    result<buffer> describe() const { return detail::fill<raftcore_node_describe>(raw()); }
    /// What a Ready contains, in a few lines.
    result<buffer> describe(const ready &which) const
    {
        return detail::fill<raftcore_node_describe_ready>(raw(), which.raw());
    }

    // Looking at it.

    result<node_state> state() const
    {
        return detail::get<raftcore_node_status>(sized<node_state>(), raw());
    }
    /// State, membership and progress of every member at one moment:
    /// `for (const progress &p : view<progress>(details->progress))`.
    result<owned_details> details() const
    {
        return detail::make<raftcore_node_details, owned_details>(raw());
    }
    result<metrics> counters() const
    {
        return detail::get<raftcore_node_metrics>(sized<metrics>(), raw());
    }
    /// Sets who takes the lines of the log; an empty function: nobody. An exception that it throws
    /// is dropped with its line.
    result<> set_log(raftcore_log_level level,
                     std::function<void(raftcore_log_level, std::string_view)> log)
    {
        using function = decltype(log);
        if (!log) return act<raftcore_node_set_log>(level, nullptr, nullptr, nullptr);
        auto box = std::make_unique<function>(std::move(log));
        const raftcore_log_fn call = [](void *it, raftcore_log_level at, const char *line,
                                        size_t size) noexcept {
#ifndef RAFTCORE_NO_EXCEPTIONS
            try {
#endif
                (*static_cast<function *>(it))(at, {line, size});
#ifndef RAFTCORE_NO_EXCEPTIONS
            } catch (...) {
            }
#endif
        };
        const raftcore_finalizer_fn free = [](void *it) noexcept {
            delete static_cast<function *>(it);
        };
        result<> set = act<raftcore_node_set_log>(level, call, box.get(), free);
        if (set) static_cast<void>(box.release());
        return set;
    }

private:
    template <auto F, class... A> result<> act(A... arguments)
    {
        return detail::act<F>(raw(), arguments...);
    }
    template <auto F, class... A> result<ready> taken(A... arguments)
    {
        const raftcore_ready *none = nullptr;
        auto taken = detail::get<F>(none, raw(), arguments...);
        if (!taken) return taken.error();
        return ready(*taken);
    }
    template <auto F, class C> result<std::optional<membership>> applied(const C *change)
    {
        auto now = detail::make<F, owned_conf_state>(raw(), change);
        if (!now) return now.error();
        if (*now == nullptr) return std::optional<membership>();
        return std::optional<membership>(**now);
    }
    template <class T> static T sized() noexcept
    {
        T out{};
        out.struct_size = sizeof out;
        return out;
    }
    static raftcore_status *room(std::vector<raftcore_status> *statuses, size_t count)
    {
        if (statuses == nullptr) return nullptr;
        statuses->assign(count, RAFTCORE_OK);
        return statuses->data();
    }
    static result<node> create_on(const config &from, raftcore_storage *log)
    {
        if (!from.drawn()) return from.drawn().error();
        return detail::make<raftcore_node_create, node>(&from.raw(), log);
    }
    std::unique_ptr<raftcore_node, detail::deleter<raftcore_node_destroy>> raw_;
};

} // namespace raftcore

#endif
