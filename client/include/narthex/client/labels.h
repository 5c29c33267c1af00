// Label pairs, and an immutable set of them that is shared instead of copied.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <string>
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
class LabelSet {
 public:
  LabelSet() = default;
  LabelSet(Labels pairs)  // NOLINT: implicit by design
      : pairs_(pairs.empty() ? nullptr : std::make_shared<const Labels>(std::move(pairs))) {}
  LabelSet(std::initializer_list<LabelPair> pairs) : LabelSet(Labels(pairs)) {}

  const LabelPair* begin() const noexcept { return pairs_ ? pairs_->data() : nullptr; }
  const LabelPair* end() const noexcept {
    return pairs_ ? pairs_->data() + pairs_->size() : nullptr;
  }
  size_t size() const noexcept { return pairs_ ? pairs_->size() : 0; }
  bool empty() const noexcept { return size() == 0; }
  const LabelPair& operator[](size_t i) const { return (*pairs_)[i]; }

  friend bool operator==(const LabelSet& a, const LabelSet& b) {
    if (a.pairs_ == b.pairs_) return true;
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i) {
      if (a[i] != b[i]) return false;
    }
    return true;
  }
  friend bool operator!=(const LabelSet& a, const LabelSet& b) { return !(a == b); }

 private:
  std::shared_ptr<const Labels> pairs_;
};

}  // namespace narthex::client
