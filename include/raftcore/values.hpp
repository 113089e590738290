/// What a program fills and what it gets to own: memberships, changes, the configuration. Part of
/// raftcore.hpp.
#ifndef RAFTCORE_VALUES_HPP
#define RAFTCORE_VALUES_HPP

#include <raftcore/views.hpp>

#include <initializer_list>
#include <memory>

namespace raftcore {
// ---- What C has as plain structs, under its C++ name. They are read through references: a later
// library's may be larger than this header knows.

using entry = raftcore_entry;
using message = raftcore_message;
using read_state = raftcore_read_state;
using progress = raftcore_progress;
using soft_state = raftcore_soft_state;
using hard_state = raftcore_hard_state;
using snapshot = raftcore_snapshot;
using conf_state = raftcore_conf_state;
using proposed = raftcore_proposed;
using node_state = raftcore_node_state;
using metrics = raftcore_metrics;

/// What the library made for its caller: frees itself. `view` of the last has its entries.
using owned_message = std::unique_ptr<message, detail::deleter<raftcore_message_destroy>>;
using owned_snapshot = std::unique_ptr<snapshot, detail::deleter<raftcore_snapshot_destroy>>;
using owned_conf_state = std::unique_ptr<conf_state, detail::deleter<raftcore_conf_state_destroy>>;
using owned_conf_change =
    std::unique_ptr<raftcore_conf_change, detail::deleter<raftcore_conf_change_destroy>>;
using owned_details = std::unique_ptr<raftcore_details, detail::deleter<raftcore_details_destroy>>;
using owned_entries = std::unique_ptr<raftcore_entries, detail::deleter<raftcore_entries_destroy>>;

// ---- What a program fills

/// The members of a group, as a value of the program's own.
struct membership {
    std::vector<uint64_t> voters, learners, voters_outgoing, learners_next;
    bool auto_leave = false;

    membership() = default;
    explicit membership(std::initializer_list<uint64_t> all) : voters(all) {}
    explicit membership(std::vector<uint64_t> all) : voters(std::move(all)) {}
    explicit membership(const conf_state &from)
        : voters(list(from.voters)), learners(list(from.learners)),
          voters_outgoing(list(from.voters_outgoing)), learners_next(list(from.learners_next)),
          auto_leave(from.auto_leave != 0)
    {
    }

    /// In C's form, which borrows from this.
    conf_state raw() const noexcept
    {
        conf_state out{};
        out.struct_size = sizeof out;
        out.voters = {voters.data(), voters.size()};
        out.learners = {learners.data(), learners.size()};
        out.voters_outgoing = {voters_outgoing.data(), voters_outgoing.size()};
        out.learners_next = {learners_next.data(), learners_next.size()};
        out.auto_leave = auto_leave ? 1 : 0;
        return out;
    }
    friend bool operator==(const membership &a, const membership &b)
    {
        return a.voters == b.voters && a.learners == b.learners &&
               a.voters_outgoing == b.voters_outgoing && a.learners_next == b.learners_next &&
               a.auto_leave == b.auto_leave;
    }

    result<buffer> encode() const
    {
        const conf_state it = raw();
        return detail::fill<raftcore_conf_state_encode>(&it);
    }
    static result<membership> decode(bytes_view from)
    {
        auto it = detail::make<raftcore_conf_state_decode, owned_conf_state>(
            from.data(), from.size());
        if (!it) return it.error();
        return membership(**it);
    }

private:
    static std::vector<uint64_t> list(raftcore_ids ids)
    {
        return ids.count == 0 ? std::vector<uint64_t>()
                              : std::vector<uint64_t>(ids.items, ids.items + ids.count);
    }
};

/// A membership change: `conf_change().add_learner(4).remove(2)`. Without steps it is the order to
/// leave a joint configuration.
class conf_change {
public:
    conf_change() = default;
    explicit conf_change(const raftcore_conf_change &from)
        : form_(from.form), transition_(from.transition),
          steps_(from.steps, from.steps + from.step_count), context_(raftcore::text(from.context)),
          id_(from.id)
    {
    }

    conf_change &add_voter(uint64_t node) { return step(node, RAFTCORE_CONF_CHANGE_ADD_VOTER); }
    conf_change &add_learner(uint64_t node)
    {
        return step(node, RAFTCORE_CONF_CHANGE_ADD_LEARNER);
    }
    conf_change &remove(uint64_t node) { return step(node, RAFTCORE_CONF_CHANGE_REMOVE); }
    conf_change &update(uint64_t node) { return step(node, RAFTCORE_CONF_CHANGE_UPDATE); }
    conf_change &transition(raftcore_transition how) { return transition_ = how, *this; }
    conf_change &form(raftcore_conf_change_form which) { return form_ = which, *this; }
    conf_change &context(bytes_view bytes) { return context_ = bytes.copy(), *this; }
    conf_change &id(uint64_t number) { return id_ = number, *this; }

    /// The steps, which a program that applies a change may alter.
    std::vector<raftcore_conf_change_step> &steps() noexcept { return steps_; }
    const std::string &context() const noexcept { return context_; }
    uint64_t id() const noexcept { return id_; }

    /// In C's form, which borrows from this.
    raftcore_conf_change raw() const noexcept
    {
        raftcore_conf_change out{};
        out.struct_size = sizeof out;
        out.form = form_;
        out.transition = transition_;
        out.steps = steps_.data();
        out.step_count = steps_.size();
        out.context = bytes_view(context_);
        out.id = id_;
        return out;
    }

    /// The payload of an entry, whose kind goes to `kind`.
    result<buffer> encode(raftcore_entry_kind *kind = nullptr) const
    {
        const raftcore_conf_change it = raw();
        raftcore_buffer out{};
        result<> done = detail::act<raftcore_conf_change_encode>(&it, &out, kind);
        if (!done) return done.error();
        return buffer(out);
    }
    static result<conf_change> decode(raftcore_entry_kind kind, bytes_view from)
    {
        auto it = detail::make<raftcore_conf_change_decode, owned_conf_change>(
            kind, from.data(), from.size());
        if (!it) return it.error();
        return conf_change(**it);
    }

private:
    conf_change &step(uint64_t node, raftcore_conf_change_kind kind)
    {
        steps_.push_back({node, kind, 0});
        return *this;
    }
    raftcore_conf_change_form form_ = RAFTCORE_CONF_CHANGE_FORM_AUTO;
    raftcore_transition transition_ = RAFTCORE_TRANSITION_AUTO;
    std::vector<raftcore_conf_change_step> steps_;
    std::string context_;
    uint64_t id_ = 0;
};

/// What a node is told once: the defaults of raftcore.h, and what is set here. It can be a chain:
/// `config(1).election_timeout_ticks(20).pre_vote(false)`.
class config {
public:
    explicit config(uint64_t id) noexcept
        : drawn_(detail::act<raftcore_config_init>(&raw_, sizeof raw_))
    {
        raw_.id = id;
    }
    /// Whether the operating system gave a seed; if not, node::create fails with its error.
    const result<> &drawn() const noexcept { return drawn_; }
    const raftcore_config &raw() const noexcept { return raw_; }

#define RAFTCORE_NUMBER(name) \
    config &name(decltype(raftcore_config::name) value) noexcept \
    { \
        return raw_.name = value, *this; \
    }
#define RAFTCORE_SWITCH(name) \
    config &name(bool value) noexcept { return raw_.name = value ? 1 : 0, *this; }
    RAFTCORE_NUMBER(seed)
    RAFTCORE_NUMBER(applied)
    RAFTCORE_NUMBER(max_message_bytes)
    RAFTCORE_NUMBER(max_committed_bytes_per_ready)
    RAFTCORE_NUMBER(max_uncommitted_bytes)
    RAFTCORE_NUMBER(max_inflight_messages)
    RAFTCORE_NUMBER(max_inflight_bytes)
    RAFTCORE_NUMBER(max_pending_reads)
    RAFTCORE_NUMBER(election_timeout_ticks)
    RAFTCORE_NUMBER(heartbeat_interval_ticks)
    RAFTCORE_NUMBER(read_only)
    RAFTCORE_NUMBER(message_forms)
    RAFTCORE_SWITCH(check_quorum)
    RAFTCORE_SWITCH(pre_vote)
    RAFTCORE_SWITCH(forward_proposals)
    RAFTCORE_SWITCH(validate_conf_changes)
    RAFTCORE_SWITCH(step_down_on_removal)
    RAFTCORE_SWITCH(votes_wait_for_sync)
    RAFTCORE_SWITCH(async_storage_writes)
    RAFTCORE_SWITCH(coalesce_appends)
    RAFTCORE_SWITCH(auto_persist)
#undef RAFTCORE_NUMBER
#undef RAFTCORE_SWITCH

private:
    raftcore_config raw_{};
    result<> drawn_;
};

// Encoding and decoding: raftpb's forms.

inline result<buffer> encode(const entry &from)
{
    return detail::fill<raftcore_entry_encode>(&from);
}
inline result<buffer> encode(const hard_state &from)
{
    return detail::fill<raftcore_hard_state_encode>(&from);
}
inline result<buffer> encode(const snapshot &from)
{
    return detail::fill<raftcore_snapshot_encode>(&from);
}
inline result<buffer> encode(const message &from)
{
    return detail::fill<raftcore_message_encode>(&from);
}
/// Decodes entries: from anything whose elements are bytes.
template <class C> result<owned_entries> decode_entries(const C &from)
{
    const std::vector<raftcore_slice> list = slices(from);
    return detail::make<raftcore_entries_decode, owned_entries>(list.data(), list.size());
}
inline result<hard_state> decode_hard_state(bytes_view from)
{
    return detail::get<raftcore_hard_state_decode>(hard_state{}, from.data(), from.size());
}
inline result<owned_snapshot> decode_snapshot(bytes_view from)
{
    return detail::make<raftcore_snapshot_decode, owned_snapshot>(from.data(), from.size());
}
/// A message, for a program that wants to see its fields before it steps it.
inline result<owned_message> decode_message(bytes_view from)
{
    return detail::make<raftcore_message_decode, owned_message>(from.data(), from.size());
}
/// The kind of an encoded message.
inline result<raftcore_message_kind> kind_of(bytes_view from)
{
    return detail::get<raftcore_message_kind_of>(raftcore_message_kind(), from.data(),
                                                 from.size());
}

// Descriptions, for logs and debugging.

/// What an encoded message says, in a line.
inline result<buffer> describe_message(bytes_view from)
{
    return detail::fill<raftcore_message_describe>(from.data(), from.size());
}
inline result<buffer> describe(view<entry> from)
{
    const raftcore_entries list{from.data(), from.size(), from.stride()};
    return detail::fill<raftcore_entries_describe>(&list);
}
inline result<buffer> describe(const hard_state &from)
{
    return detail::fill<raftcore_hard_state_describe>(&from);
}
inline result<buffer> describe(const snapshot &from)
{
    return detail::fill<raftcore_snapshot_describe>(&from);
}
inline result<buffer> describe(const membership &from)
{
    const conf_state it = from.raw();
    return detail::fill<raftcore_conf_state_describe>(&it);
}
inline result<buffer> describe(const conf_change &from)
{
    const raftcore_conf_change it = from.raw();
    return detail::fill<raftcore_conf_change_describe>(&it);
}
inline std::string_view role_text(raftcore_role role) { return raftcore_role_text(role); }
inline std::string_view progress_state_text(raftcore_progress_state state)
{
    return raftcore_progress_state_text(state);
}
inline std::string_view message_kind_text(raftcore_message_kind kind)
{
    return raftcore_message_kind_text(kind);
}

/// The version of the library that is linked, as a text and as a number.
inline std::string_view version() { return raftcore_version(); }
inline uint32_t version_number() { return raftcore_version_number(); }

/// The text of the last call that failed on this thread.
inline std::string_view last_error() { return raftcore_last_error(); }

} // namespace raftcore

#endif
