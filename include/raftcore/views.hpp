/// Bytes, and ranges over the arrays of C. Part of raftcore.hpp.
#ifndef RAFTCORE_VIEWS_HPP
#define RAFTCORE_VIEWS_HPP

#include <raftcore/result.hpp>

#include <iterator>
#include <string>
#include <type_traits>
#include <vector>

namespace raftcore {

/// Bytes that belong to somebody else: what a std::string, std::string_view, std::vector<uint8_t>,
/// std::array, std::span<std::byte> or a text holds.
class bytes_view {
public:
    bytes_view() = default;
    bytes_view(const void *data, size_t size) noexcept
        : data_(static_cast<const uint8_t *>(data)), size_(size)
    {
    }
    bytes_view(raftcore_slice slice) noexcept : bytes_view(slice.data, slice.len) {}
    bytes_view(const char *text) noexcept : bytes_view(text, std::strlen(text)) {}
    template <class C, class = decltype(std::declval<const C &>().data()),
              class = std::enable_if_t<sizeof(*std::declval<const C &>().data()) == 1>>
    bytes_view(const C &from) noexcept : bytes_view(from.data(), from.size())
    {
    }

    const uint8_t *data() const noexcept { return data_; }
    size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    const uint8_t *begin() const noexcept { return data_; }
    const uint8_t *end() const noexcept { return data_ + size_; }
    std::string_view text() const noexcept
    {
        return {reinterpret_cast<const char *>(data_), size_};
    }
    std::string copy() const { return std::string(text()); }
    operator raftcore_slice() const noexcept { return {data_, size_}; }
    friend bool operator==(bytes_view a, bytes_view b) noexcept { return a.text() == b.text(); }
    friend bool operator!=(bytes_view a, bytes_view b) noexcept { return !(a == b); }

private:
    const uint8_t *data_ = nullptr;
    size_t size_ = 0;
};

/// A payload as text.
inline std::string_view text(raftcore_slice slice) noexcept { return bytes_view(slice).text(); }

/// C's form of many payloads: of anything whose elements are bytes.
template <class C> std::vector<raftcore_slice> slices(const C &from)
{
    std::vector<raftcore_slice> list;
    for (const auto &one : from) list.push_back(bytes_view(one));
    return list;
}

/// The elements of one of C's arrays, by their stride: a random access range.
template <class T> class view {
public:
    class iterator {
    public:
        using iterator_category = std::random_access_iterator_tag;
        using value_type = T;
        using difference_type = std::ptrdiff_t;
        using pointer = const T *;
        using reference = const T &;

        iterator() = default;
        iterator(const T *at, size_t stride) noexcept
            : at_(reinterpret_cast<const char *>(at)), stride_(static_cast<difference_type>(stride))
        {
        }
        reference operator*() const noexcept { return *reinterpret_cast<const T *>(at_); }
        pointer operator->() const noexcept { return &**this; }
        reference operator[](difference_type n) const noexcept { return *(*this + n); }
        iterator &operator+=(difference_type n) noexcept
        {
            at_ += n * stride_;
            return *this;
        }
        iterator &operator-=(difference_type n) noexcept { return *this += -n; }
        iterator &operator++() noexcept { return *this += 1; }
        iterator &operator--() noexcept { return *this -= 1; }
        iterator operator++(int) noexcept { return std::exchange(*this, *this + 1); }
        iterator operator--(int) noexcept { return std::exchange(*this, *this - 1); }
        friend iterator operator+(iterator it, difference_type n) noexcept { return it += n; }
        friend iterator operator+(difference_type n, iterator it) noexcept { return it += n; }
        friend iterator operator-(iterator it, difference_type n) noexcept { return it -= n; }
        friend difference_type operator-(iterator a, iterator b) noexcept
        {
            return a.at_ == b.at_ ? 0 : (a.at_ - b.at_) / a.stride_;
        }
        friend bool operator==(iterator a, iterator b) noexcept { return a.at_ == b.at_; }
        friend bool operator!=(iterator a, iterator b) noexcept { return a.at_ != b.at_; }
        friend bool operator<(iterator a, iterator b) noexcept { return a.at_ < b.at_; }
        friend bool operator>(iterator a, iterator b) noexcept { return b < a; }
        friend bool operator<=(iterator a, iterator b) noexcept { return !(b < a); }
        friend bool operator>=(iterator a, iterator b) noexcept { return !(a < b); }

    private:
        const char *at_ = nullptr;
        difference_type stride_ = sizeof(T);
    };
    using value_type = T;
    using const_iterator = iterator;

    view() = default;
    /// From a struct of C's that has items, count and stride.
    template <class Array, class = decltype(std::declval<const Array &>().stride)>
    view(const Array &array) noexcept
        : items_(array.items), count_(array.count), stride_(array.stride)
    {
    }

    view(const std::vector<T> &from) noexcept : items_(from.data()), count_(from.size()) {}

    const T *data() const noexcept { return items_; }
    size_t stride() const noexcept { return stride_; }
    size_t size() const noexcept { return count_; }
    bool empty() const noexcept { return count_ == 0; }
    iterator begin() const noexcept { return {items_, stride_}; }
    iterator end() const noexcept { return begin() + static_cast<std::ptrdiff_t>(count_); }
    const T &operator[](size_t i) const noexcept { return begin()[static_cast<std::ptrdiff_t>(i)]; }
    const T &front() const noexcept { return (*this)[0]; }
    const T &back() const noexcept { return (*this)[count_ - 1]; }

private:
    const T *items_ = nullptr;
    size_t count_ = 0;
    size_t stride_ = sizeof(T);
};

/// Bytes that the library made.
class buffer {
public:
    buffer() = default;
    explicit buffer(raftcore_buffer raw) noexcept : raw_(raw) {}
    buffer(buffer &&other) noexcept : raw_(std::exchange(other.raw_, {})) {}
    buffer &operator=(buffer &&other) noexcept
    {
        std::swap(raw_, other.raw_);
        return *this;
    }
    ~buffer() { raftcore_buffer_free(&raw_); }

    const uint8_t *data() const noexcept { return raw_.data; }
    size_t size() const noexcept { return raw_.len; }
    std::string_view text() const noexcept { return bytes_view(*this).text(); }

private:
    raftcore_buffer raw_{};
};

namespace detail {
/// Calls a function that fills a buffer.
template <auto F, class... A> result<buffer> fill(A... arguments)
{
    auto raw = get<F>(raftcore_buffer{}, arguments...);
    if (!raw) return raw.error();
    return buffer(*raw);
}
} // namespace detail

} // namespace raftcore

#endif
