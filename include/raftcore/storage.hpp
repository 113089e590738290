/// The log that a node reads: in memory, or one of the program's own. Part of raftcore.hpp.
#ifndef RAFTCORE_STORAGE_HPP
#define RAFTCORE_STORAGE_HPP

#include <raftcore/values.hpp>

namespace raftcore {

/// An entry that a storage of the program's own returns.
struct stored_entry {
    uint64_t term = 0;
    uint64_t index = 0;
    std::string data;
    raftcore_entry_kind kind = RAFTCORE_ENTRY_NORMAL;
};

/// A snapshot that a storage of the program's own returns; index 0: there is none.
struct stored_snapshot {
    uint64_t index = 0;
    uint64_t term = 0;
    membership members;
    std::string data;
};

/// The hard state and the membership that a storage begins with; all zero in a new one.
struct stored_state {
    raftcore_hard_state hard_state{};
    membership members;
};

/// A log that the program keeps itself; each function answers from what is durable, as raftcore.h
/// says at raftcore_storage_callbacks. What goes wrong is an error of the -4xx group, for example
/// `return raftcore::error(RAFTCORE_ERR_COMPACTED)`. An exception becomes RAFTCORE_ERR_STORAGE with
/// the text of its what(). They are called one at a time, and must not call the node.
class stored_log {
public:
    virtual ~stored_log() = default;
    virtual result<stored_state> initial_state() = 0;
    virtual result<std::vector<stored_entry>> entries(uint64_t low, uint64_t high,
                                                      uint64_t max_bytes) = 0;
    virtual result<uint64_t> term(uint64_t index) = 0;
    virtual result<uint64_t> first_index() = 0;
    virtual result<uint64_t> last_index() = 0;
    virtual result<stored_snapshot> latest_snapshot() = 0;
};

namespace detail {
/// What C calls for a stored_log. It keeps the last answer, which C copies before its next call.
class log_adapter {
public:
    explicit log_adapter(std::shared_ptr<stored_log> log) : log_(std::move(log)) {}

    static raftcore_storage_callbacks table(log_adapter *self) noexcept
    {
        raftcore_storage_callbacks out{};
        out.struct_size = sizeof out;
        out.user_data = self;
        out.initial_state = initial_state;
        out.entries = entries;
        out.term = term;
        out.first_index = first_index;
        out.last_index = last_index;
        out.snapshot = latest_snapshot;
        out.finalizer = [](void *it) noexcept { delete static_cast<log_adapter *>(it); };
        return out;
    }

private:
    /// Answers C: what `ask` returns goes to `take`; no exception passes.
    template <class Ask, class Take>
    static status answer(void *user_data, raftcore_error *out, Ask ask, Take take) noexcept
    {
        log_adapter &self = *static_cast<log_adapter *>(user_data);
#ifndef RAFTCORE_NO_EXCEPTIONS
        try {
#endif
            auto got = ask(*self.log_);
            if (got) return take(self, std::move(*got)), RAFTCORE_OK;
            return fail(out, got.error().status(), got.error().message());
#ifndef RAFTCORE_NO_EXCEPTIONS
        } catch (const exception &e) {
            return fail(out, e.why().status(), e.what());
        } catch (const std::exception &e) {
            return fail(out, RAFTCORE_ERR_STORAGE, e.what());
        } catch (...) {
            return fail(out, RAFTCORE_ERR_STORAGE, "an exception that is no std::exception");
        }
#endif
    }
    static status fail(raftcore_error *out, status why, std::string_view text) noexcept
    {
        if (out != nullptr) error::write(*out, text);
        return why;
    }

    static status initial_state(void *it, raftcore_hard_state *hard, raftcore_conf_state *conf,
                                raftcore_error *e) noexcept
    {
        return answer(it, e, [](stored_log &log) { return log.initial_state(); },
                      [=](log_adapter &self, stored_state got) {
                          *hard = got.hard_state;
                          self.members_ = std::move(got.members);
                          const conf_state from = self.members_.raw();
                          conf->voters = from.voters;
                          conf->learners = from.learners;
                          conf->voters_outgoing = from.voters_outgoing;
                          conf->learners_next = from.learners_next;
                          conf->auto_leave = from.auto_leave;
                      });
    }
    static status entries(void *it, uint64_t low, uint64_t high, uint64_t max_bytes,
                          raftcore_entries *out, raftcore_error *e) noexcept
    {
        return answer(it, e, [=](stored_log &log) { return log.entries(low, high, max_bytes); },
                      [=](log_adapter &self, std::vector<stored_entry> got) {
                          self.entries_ = std::move(got);
                          self.raw_.clear();
                          for (const stored_entry &one : self.entries_)
                              self.raw_.push_back(
                                  {one.term, one.index, bytes_view(one.data), one.kind, 0});
                          *out = {self.raw_.data(), self.raw_.size(), sizeof(entry)};
                      });
    }
    static status term(void *it, uint64_t index, uint64_t *out, raftcore_error *e) noexcept
    {
        return answer(it, e, [=](stored_log &log) { return log.term(index); },
                      [=](log_adapter &, uint64_t got) { *out = got; });
    }
    static status first_index(void *it, uint64_t *out, raftcore_error *e) noexcept
    {
        return answer(it, e, [](stored_log &log) { return log.first_index(); },
                      [=](log_adapter &, uint64_t got) { *out = got; });
    }
    static status last_index(void *it, uint64_t *out, raftcore_error *e) noexcept
    {
        return answer(it, e, [](stored_log &log) { return log.last_index(); },
                      [=](log_adapter &, uint64_t got) { *out = got; });
    }
    static status latest_snapshot(void *it, raftcore_snapshot *out, raftcore_error *e) noexcept
    {
        return answer(it, e, [](stored_log &log) { return log.latest_snapshot(); },
                      [=](log_adapter &self, stored_snapshot got) {
                          self.snapshot_ = std::move(got);
                          self.conf_ = self.snapshot_.members.raw();
                          out->index = self.snapshot_.index;
                          out->term = self.snapshot_.term;
                          out->conf_state = &self.conf_;
                          out->data = bytes_view(self.snapshot_.data);
                      });
    }

    std::shared_ptr<stored_log> log_;
    membership members_;
    std::vector<stored_entry> entries_;
    std::vector<entry> raw_;
    stored_snapshot snapshot_;
    conf_state conf_{};
};
} // namespace detail

/// A log that a node reads. Node and program may let go of it in either order.
class storage {
public:
    using pointer = raftcore_storage *;
    explicit storage(raftcore_storage *raw) noexcept : raw_(raw) {}
    raftcore_storage *raw() const noexcept { return raw_.get(); }

    /// An empty memory storage: of a new member, or of a group that is bootstrapped.
    static result<storage> memory() { return memory_of(nullptr); }
    /// A memory storage of a group that has had these members from the start.
    static result<storage> memory(const membership &members)
    {
        const conf_state it = members.raw();
        return memory_of(&it);
    }
    /// A log of the program's own. It is let go of when neither storage nor node uses it.
    static result<storage> own(std::shared_ptr<stored_log> log)
    {
        if (log == nullptr) return error(RAFTCORE_ERR_NULL, "log is null");
        auto adapter = std::make_unique<detail::log_adapter>(std::move(log));
        const raftcore_storage_callbacks table = detail::log_adapter::table(adapter.get());
        auto made = detail::make<raftcore_storage_create_callbacks, storage>(&table);
        if (made) static_cast<void>(adapter.release());
        return made;
    }

    // For a memory storage.

    /// Appends entries; they replace what is there from their first index on.
    result<> append(view<entry> entries)
    {
        const raftcore_entries list{entries.data(), entries.size(), entries.stride()};
        return detail::act<raftcore_storage_append>(raw(), &list);
    }
    result<> set_membership(const membership &members)
    {
        const conf_state it = members.raw();
        return detail::act<raftcore_storage_set_conf_state>(raw(), &it);
    }
    result<> set_hard_state(const hard_state &state)
    {
        return detail::act<raftcore_storage_set_hard_state>(raw(), &state);
    }
    result<> apply_snapshot(const snapshot &from)
    {
        return detail::act<raftcore_storage_apply_snapshot>(raw(), &from);
    }
    /// Makes a snapshot of the application's state after `index`, with the members of the last.
    result<owned_snapshot> create_snapshot(uint64_t index, bytes_view data)
    {
        return snapshot_of(index, nullptr, data);
    }
    /// Makes a snapshot of the application's state after `index`, when these were the members.
    result<owned_snapshot> create_snapshot(uint64_t index, const membership &members,
                                           bytes_view data)
    {
        const conf_state it = members.raw();
        return snapshot_of(index, &it, data);
    }
    result<> compact(uint64_t index) { return detail::act<raftcore_storage_compact>(raw(), index); }

    // For every storage.

    /// Lets several nodes use it at a time, of which one at most may run.
    result<> set_shared(bool shared)
    {
        return detail::act<raftcore_storage_set_shared>(raw(), shared ? 1U : 0U);
    }
    result<uint64_t> first_index() const
    {
        return detail::get<raftcore_storage_first_index>(uint64_t(), raw());
    }
    result<uint64_t> last_index() const
    {
        return detail::get<raftcore_storage_last_index>(uint64_t(), raw());
    }
    result<uint64_t> term(uint64_t index) const
    {
        return detail::get<raftcore_storage_term>(uint64_t(), raw(), index);
    }
    /// The entries from `low` up to, not including, `high`.
    result<owned_entries> entries(uint64_t low, uint64_t high, uint64_t max_bytes = ~0ULL) const
    {
        return detail::make<raftcore_storage_entries, owned_entries>(raw(), low, high, max_bytes);
    }
    result<stored_state> initial_state() const
    {
        stored_state state;
        auto members = detail::make<raftcore_storage_initial_state, owned_conf_state>(
            raw(), &state.hard_state);
        if (!members) return members.error();
        state.members = membership(**members);
        return state;
    }
    result<owned_snapshot> latest_snapshot() const
    {
        return detail::make<raftcore_storage_snapshot, owned_snapshot>(raw());
    }

private:
    static result<storage> memory_of(const conf_state *members)
    {
        return detail::make<raftcore_storage_create_memory, storage>(members);
    }
    result<owned_snapshot> snapshot_of(uint64_t index, const conf_state *members, bytes_view data)
    {
        return detail::make<raftcore_storage_create_snapshot, owned_snapshot>(
            raw(), index, members, data.data(), data.size());
    }
    std::unique_ptr<raftcore_storage, detail::deleter<raftcore_storage_destroy>> raw_;
};

} // namespace raftcore

#endif
