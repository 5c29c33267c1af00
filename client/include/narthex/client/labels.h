// Label pairs, and an immutable set of them that is shared instead of copied.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace narthex::client {

struct LabelPair {
  std::string name;
  std::string value;

  friend bool operator==(const LabelPair& a, const LabelPair& b) {
    return a.name == b.name && a.value == b.value;
  }
  friend bool operator!=(const LabelPair& a, const LabelPair& b) { return !(a == b); }
  friend bool operator<(const LabelPair& a, const LabelPair& b) {
    return std::tie(a.name, a.value) < std::tie(b.name, b.value);
  }
};

using Labels = std::vector<LabelPair>;

// The labels of one series. Copying shares the pairs, so that collecting ten thousand series copies
// ten thousand pointers and no text. Immutable, hence safe from any thread. Keeps the order given.
//
//   block_ -> [ owners | count | text size | flags ][ text … ][ LabelPair ][ LabelPair ] …
//
// Sets that live long also keep what the text formats write of them, `a="b",c="d"`, beside the
// count of owners: a page of many series then reads one or two cache lines of each.
class LabelSet {
 public:
  LabelSet() = default;
  LabelSet(Labels pairs);                                                        // NOLINT: implicit
  LabelSet(std::initializer_list<LabelPair> pairs) : LabelSet(Labels(pairs)) {}  // NOLINT
  // Keeps the text too.
  static LabelSet WithText(Labels pairs);

  LabelSet(const LabelSet& other) noexcept : block_(other.block_) {
    if (block_ != nullptr) block_->owners.fetch_add(1, std::memory_order_relaxed);
  }
  LabelSet(LabelSet&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  LabelSet& operator=(LabelSet other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~LabelSet() {
    if (block_ != nullptr) Release();
  }

  const LabelPair* begin() const noexcept { return block_ != nullptr ? block_->pairs() : nullptr; }
  const LabelPair* end() const noexcept { return begin() + size(); }
  size_t size() const noexcept { return block_ != nullptr ? block_->count : 0; }
  bool empty() const noexcept { return block_ == nullptr; }
  const LabelPair& operator[](size_t i) const { return block_->pairs()[i]; }

  // What WithText() has kept; empty for others.
  std::string_view text() const noexcept {
    return block_ != nullptr ? std::string_view(block_->text(), block_->text_size)
                             : std::string_view();
  }
  // Of sets with text: whether all names are legacy names.
  bool names_are_legacy() const noexcept { return block_ == nullptr || block_->legacy_names; }
  // Where the data is, for prefetching.
  const void* address() const noexcept { return block_; }

  friend bool operator==(const LabelSet& a, const LabelSet& b) {
    if (a.block_ == b.block_) return true;
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i) {
      if (a[i] != b[i]) return false;
    }
    return true;
  }
  friend bool operator!=(const LabelSet& a, const LabelSet& b) { return !(a == b); }

 private:
  struct alignas(LabelPair) Block {
    std::atomic<uint32_t> owners{1};
    uint32_t count = 0;
    uint32_t text_size = 0;
    bool legacy_names = false;

    static size_t PairsOffset(size_t text_size) {
      const size_t end = sizeof(Block) + text_size;
      return (end + alignof(LabelPair) - 1) / alignof(LabelPair) * alignof(LabelPair);
    }
    char* text() noexcept { return reinterpret_cast<char*>(this) + sizeof(Block); }
    LabelPair* pairs() noexcept {
      return reinterpret_cast<LabelPair*>(reinterpret_cast<char*>(this) + PairsOffset(text_size));
    }
  };

  LabelSet(Labels pairs, std::string_view text);
  // One owner less.
  void Release() noexcept {
    if (block_->owners.fetch_sub(1, std::memory_order_acq_rel) == 1) Destroy();
  }
  void Destroy() noexcept;

  Block* block_ = nullptr;
};

}  // namespace narthex::client
