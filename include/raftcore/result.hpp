/// What a call returned, or why it failed. Part of raftcore.hpp.
#ifndef RAFTCORE_RESULT_HPP
#define RAFTCORE_RESULT_HPP

#include <raftcore.h>

#include <cstdlib>
#include <cstring>
#include <exception>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>

#if !defined(RAFTCORE_NO_EXCEPTIONS) && !defined(__cpp_exceptions)
#define RAFTCORE_NO_EXCEPTIONS
#endif

namespace raftcore {

using status = raftcore_status;

/// Why a call failed.
class error {
public:
    /// An error of a storage's own: a status of the -4xx group and a text for the log.
    explicit error(raftcore::status number, std::string_view text = {}) noexcept
    {
        raw_.struct_size = sizeof raw_;
        raw_.status = number;
        raw_.detail = 0;
        write(raw_, text.empty() ? std::string_view(raftcore_status_text(number)) : text);
    }
    explicit error(const raftcore_error &raw) noexcept : raw_(raw) {}

    raftcore::status status() const noexcept { return raw_.status; }
    /// A RAFTCORE_REFUSAL_, RAFTCORE_DROP_ or RAFTCORE_CONFIG_ number or an errno.
    int32_t detail() const noexcept { return raw_.detail; }
    const char *message() const noexcept { return raw_.message; }

    /// A message of a peer's was not taken: drop it.
    bool is_refused() const noexcept { return group() == 1; }
    /// Nobody's fault: try again later or at the leader.
    bool is_dropped() const noexcept { return group() == 2; }
    /// The calling program has a bug.
    bool is_misuse() const noexcept { return group() == 3; }
    /// The storage failed.
    bool is_storage() const noexcept { return group() == 4; }
    /// The node has stopped for good.
    bool is_fatal() const noexcept { return group() == 5; }
    /// The operating system refused something.
    bool is_os() const noexcept { return group() == 6; }

    /// Puts a text into an error of C's, cut between two characters where it is too long.
    static void write(raftcore_error &to, std::string_view text) noexcept
    {
        size_t size = text.size();
        if (size >= sizeof to.message) {
            size = sizeof to.message - 1;
            while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
        }
        if (size > 0) std::memcpy(to.message, text.data(), size);
        to.message[size] = '\0';
    }

private:
    int group() const noexcept { return -raw_.status / 100; }
    raftcore_error raw_;
};

#ifndef RAFTCORE_NO_EXCEPTIONS
/// What value() throws.
class exception : public std::exception {
public:
    explicit exception(const raftcore::error &why) noexcept : why_(why) {}
    const char *what() const noexcept override { return why_.message(); }
    const raftcore::error &why() const noexcept { return why_; }

private:
    raftcore::error why_;
};
#endif

namespace detail {
[[noreturn]] inline void fail([[maybe_unused]] const error &why)
{
#ifdef RAFTCORE_NO_EXCEPTIONS
    std::abort();
#else
    throw exception(why);
#endif
}
} // namespace detail

/// What a call returned, or why it failed. The compiler warns about one that nobody looks at.
template <class T = void> class [[nodiscard]] result {
public:
    result(T value) : state_(std::move(value)) {}
    result(const raftcore::error &why) : state_(why) {}

    bool ok() const noexcept { return state_.index() == 0; }
    explicit operator bool() const noexcept { return ok(); }
    /// Why it failed; only of a result that is not ok().
    const raftcore::error &error() const noexcept { return *std::get_if<1>(&state_); }
    T &value() &
    {
        if (!ok()) detail::fail(error());
        return *std::get_if<0>(&state_);
    }
    const T &value() const &
    {
        if (!ok()) detail::fail(error());
        return *std::get_if<0>(&state_);
    }
    T value() && { return std::move(value()); }
    T value_or(T other) && { return ok() ? std::move(value()) : std::move(other); }
    /// The value; only of a result that is ok().
    T &operator*() noexcept { return *std::get_if<0>(&state_); }
    T *operator->() noexcept { return std::get_if<0>(&state_); }
    const T &operator*() const noexcept { return *std::get_if<0>(&state_); }
    const T *operator->() const noexcept { return std::get_if<0>(&state_); }
    /// Says that it does not matter what became of the call.
    void ignore() const noexcept {}

private:
    std::variant<T, raftcore::error> state_;
};

template <> class [[nodiscard]] result<void> {
public:
    result() = default;
    result(const raftcore::error &why) : why_(why) {}

    bool ok() const noexcept { return !why_; }
    explicit operator bool() const noexcept { return ok(); }
    const raftcore::error &error() const noexcept { return *why_; }
    void value() const
    {
        if (why_) detail::fail(*why_);
    }
    void ignore() const noexcept {}

private:
    std::optional<raftcore::error> why_;
};

namespace detail {
// How the functions of C are called: F(arguments..., output if there is one, error).

/// One without an output.
template <auto F, class... A> result<> act(A... arguments)
{
    raftcore_error why;
    why.struct_size = sizeof why;
    if (F(arguments..., &why) == RAFTCORE_OK) return {};
    return error(why);
}

/// One that writes a value.
template <auto F, class T, class... A> result<T> get(T out, A... arguments)
{
    raftcore_error why;
    why.struct_size = sizeof why;
    if (F(arguments..., &out, &why) == RAFTCORE_OK) return out;
    return error(why);
}

/// One that makes something to own.
template <auto F, class Owner, class... A> result<Owner> make(A... arguments)
{
    raftcore_error why;
    why.struct_size = sizeof why;
    typename Owner::pointer out = nullptr;
    if (F(arguments..., &out, &why) == RAFTCORE_OK) return Owner(out);
    return error(why);
}

/// Frees what C made.
template <auto F> struct deleter {
    template <class T> void operator()(T *it) const noexcept { F(it); }
};
} // namespace detail

} // namespace raftcore

#endif
