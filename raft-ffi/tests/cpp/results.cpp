// Results, errors, bytes and ranges: the parts that need no node.
#include "check.hpp"

#include <algorithm>
#include <array>
#include <sys/wait.h>
#include <unistd.h>
#if __cplusplus >= 202002L
#include <ranges>
#include <span>
#endif

using raftcore::bytes_view;

static void an_error_says_whose_fault_it_was()
{
    const raftcore::error storage(RAFTCORE_ERR_COMPACTED, "gone");
    CHECK(storage.status() == RAFTCORE_ERR_COMPACTED && storage.is_storage());
    CHECK(!storage.is_refused() && !storage.is_fatal() && storage.detail() == 0);
    CHECK(storage.message() == std::string("gone"));
    CHECK(raftcore::error(RAFTCORE_ERR_REFUSED).is_refused());
    CHECK(raftcore::error(RAFTCORE_ERR_DROPPED).is_dropped());
    CHECK(raftcore::error(RAFTCORE_ERR_NULL).is_misuse());
    CHECK(raftcore::error(RAFTCORE_ERR_FAULTED).is_fatal());
    CHECK(raftcore::error(RAFTCORE_ERR_OS).is_os());
    // Without a text of its own it has that of the number.
    CHECK(raftcore::error(RAFTCORE_ERR_NULL).message() ==
          std::string(raftcore_status_text(RAFTCORE_ERR_NULL)));
}

static void a_long_text_is_cut_between_characters()
{
    std::string text(RAFTCORE_ERROR_MESSAGE_SIZE - 2, 'x');
    text += "\xc3\xa9"; // two bytes, of which one would fit
    const raftcore::error cut(RAFTCORE_ERR_STORAGE, text);
    CHECK(cut.message() == std::string(RAFTCORE_ERROR_MESSAGE_SIZE - 2, 'x'));
}

static void a_result_holds_a_value_or_an_error()
{
    raftcore::result<std::string> good(std::string("yes"));
    CHECK(good && good.ok() && *good == "yes" && good->size() == 3 && good.value() == "yes");
    const raftcore::result<std::string> fixed(std::string("yes"));
    CHECK(fixed && *fixed == "yes" && fixed->size() == 3 && fixed.value() == "yes");
    CHECK(std::move(good).value_or("no") == "yes");
    raftcore::result<std::string> bad(raftcore::error(RAFTCORE_ERR_STORAGE, "why"));
    CHECK(!bad && bad.error().message() == std::string("why"));
    CHECK(std::move(bad).value_or("no") == "no");
    bad.ignore();
    raftcore::result<> nothing;
    CHECK(nothing);
    nothing.value();
    nothing.ignore();
    raftcore::result<std::unique_ptr<int>> moved(std::make_unique<int>(5));
    CHECK(*std::move(moved).value() == 5);
}

#ifdef RAFTCORE_NO_EXCEPTIONS
static void the_value_of_a_failure_ends_the_process()
{
    const pid_t child = fork();
    if (child == 0) {
        raftcore::result<int> bad(raftcore::error(RAFTCORE_ERR_STORAGE));
        _exit(bad.value());
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGABRT);
}
#else
static void the_value_of_a_failure_throws()
{
    const raftcore::error why(RAFTCORE_ERR_STORAGE, "why");
    int caught = 0;
    try {
        raftcore::result<int>(why).value();
    } catch (const raftcore::exception &e) {
        CHECK(e.why().status() == RAFTCORE_ERR_STORAGE && e.what() == std::string("why"));
        ++caught;
    }
    try {
        raftcore::result<>(why).value();
    } catch (const std::exception &e) {
        CHECK(e.what() == std::string("why"));
        ++caught;
    }
    CHECK(caught == 2);
}
#endif

static void bytes_come_from_whatever_holds_bytes()
{
    const std::string text = "abc";
    CHECK(bytes_view("abc") == bytes_view(text) && bytes_view(text).copy() == text);
    CHECK(bytes_view(std::string_view(text)).size() == 3);
    CHECK(bytes_view(std::vector<uint8_t>{97, 98, 99}).text() == text);
    CHECK(bytes_view(std::array<char, 3>{'a', 'b', 'c'}).text() == text);
    CHECK(bytes_view(std::vector<std::byte>(2)).size() == 2);
#if __cplusplus >= 202002L
    CHECK(bytes_view(std::as_bytes(std::span(text))).text() == text);
#endif
    const bytes_view nothing;
    CHECK(nothing.empty() && nothing.text().empty() && nothing.data() == nullptr);
    CHECK(bytes_view("") == nothing && nothing != bytes_view("x"));
    const raftcore_slice slice = bytes_view(text);
    CHECK(raftcore::text(slice) == text);
    CHECK(std::count(bytes_view(text).begin(), bytes_view(text).end(), 'b') == 1);
    static_assert(!std::is_constructible_v<bytes_view, std::vector<int>>, "not of bytes");
}

/// An entry of a later library's: it has a field that this header does not know.
struct grown_entry {
    raftcore::entry known;
    uint64_t later;
};

static void a_view_steps_by_the_stride()
{
    std::array<grown_entry, 3> list{};
    for (uint64_t i = 0; i < 3; ++i) list[i].known.index = i + 1;
    const raftcore_entries raw{&list[0].known, list.size(), sizeof(grown_entry)};
    const raftcore::view<raftcore::entry> view = raw;
    CHECK(view.size() == 3 && !view.empty() && view.stride() == sizeof(grown_entry));
    CHECK(view.front().index == 1 && view[1].index == 2 && view.back().index == 3);
    uint64_t sum = 0;
    for (const raftcore::entry &entry : view) sum += entry.index;
    CHECK(sum == 6);
    auto it = view.begin();
    CHECK(it++->index == 1 && it->index == 2 && (--it)->index == 1 && it[2].index == 3);
    CHECK((it + 3) == view.end() && (1 + it)->index == 2 && view.end() - it == 3);
    CHECK((view.end() - 1)->index == 3 && it < view.end() && view.end() > it);
    CHECK(it <= it && it >= it && it != view.end() && (it--, it += 1) == view.begin());
    const auto found = std::lower_bound(
        view.begin(), view.end(), 2U,
        [](const raftcore::entry &entry, uint64_t index) { return entry.index < index; });
    CHECK(found->index == 2);
#if __cplusplus >= 202002L
    static_assert(std::ranges::random_access_range<raftcore::view<raftcore::entry>>);
    CHECK(std::ranges::max(view, {}, &raftcore::entry::index).index == 3);
#endif
}

static void a_view_of_nothing_is_empty()
{
    const raftcore::view<raftcore::entry> nothing;
    CHECK(nothing.empty() && nothing.begin() == nothing.end());
    CHECK(nothing.end() - nothing.begin() == 0);
    const std::vector<raftcore::entry> list(2);
    CHECK(raftcore::view<raftcore::entry>(list).size() == 2);
}

int main()
{
    an_error_says_whose_fault_it_was();
    a_long_text_is_cut_between_characters();
    a_result_holds_a_value_or_an_error();
#ifdef RAFTCORE_NO_EXCEPTIONS
    the_value_of_a_failure_ends_the_process();
#else
    the_value_of_a_failure_throws();
#endif
    bytes_come_from_whatever_holds_bytes();
    a_view_steps_by_the_stride();
    a_view_of_nothing_is_empty();
}
