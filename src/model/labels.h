// Labels: an immutable, sorted set of name/value pairs, the identity of a series.
//
// All pairs lie in one string, each text preceded by its length:
//
//   data_   [4]name[2]up  [3]job[4]node ...      length: one byte below 255,
//                                               else 0xff and three bytes little-endian
//
// One allocation a label set, comparisons run over contiguous memory, and XXH64 over the string is
// the label hash that upstream computes (parity/storage.md, section 23).
//
// Invariants: names ascend bytewise and are unique, values are not empty.
#pragma once

#include <compare>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace narthex {

inline constexpr std::string_view kMetricNameLabel = "__name__";
inline constexpr std::string_view kBucketLabel = "le";
inline constexpr std::string_view kQuantileLabel = "quantile";
inline constexpr std::string_view kJobLabel = "job";
inline constexpr std::string_view kInstanceLabel = "instance";
inline constexpr std::string_view kTypeLabel = "__type__";
inline constexpr std::string_view kUnitLabel = "__unit__";

struct LabelView {
  std::string_view name;
  std::string_view value;
  friend bool operator==(const LabelView&, const LabelView&) = default;
  friend auto operator<=>(const LabelView&, const LabelView&) = default;
};

class Labels {
 public:
  class Iterator {
   public:
    using value_type = LabelView;
    using difference_type = std::ptrdiff_t;

    Iterator() = default;
    Iterator(const char* at, const char* end) : next_(at), end_(end) { ++*this; }
    const LabelView& operator*() const { return current_; }
    const LabelView* operator->() const { return &current_; }
    Iterator& operator++() {
      at_ = next_;
      if (next_ != end_) {
        current_.name = TakeText();
        current_.value = TakeText();
      }
      return *this;
    }
    Iterator operator++(int) {
      Iterator before = *this;
      ++*this;
      return before;
    }
    friend bool operator==(const Iterator& a, const Iterator& b) { return a.at_ == b.at_; }

   private:
    std::string_view TakeText() {
      size_t size = static_cast<uint8_t>(*next_++);
      if (size == 0xff) {
        size = static_cast<uint8_t>(next_[0]) |
               static_cast<size_t>(static_cast<uint8_t>(next_[1])) << 8 |
               static_cast<size_t>(static_cast<uint8_t>(next_[2])) << 16;
        next_ += 3;
      }
      const std::string_view text(next_, size);
      next_ += size;
      return text;
    }

    LabelView current_;
    const char* at_ = nullptr;    // Where the current pair starts.
    const char* next_ = nullptr;  // Where the pair after it starts.
    const char* end_ = nullptr;
  };

  Labels() = default;
  // Sorts; pairs with an empty value are left out; of equal names the last wins.
  Labels(std::initializer_list<std::pair<std::string_view, std::string_view>> pairs);
  static Labels FromPairs(const std::vector<std::pair<std::string, std::string>>& pairs);
  // `sorted` ascends by name without repetition; empty values are left out.
  static Labels FromSorted(std::span<const LabelView> sorted);

  Iterator begin() const { return Iterator(data_.data(), data_.data() + data_.size()); }
  Iterator end() const {
    const char* past = data_.data() + data_.size();
    return Iterator(past, past);
  }
  bool empty() const { return data_.empty(); }
  // Counts by walking.
  size_t size() const;
  // The value, or "" when the label is missing (which mean the same).
  std::string_view Get(std::string_view name) const;
  bool Has(std::string_view name) const { return !Get(name).empty(); }
  std::string_view metric_name() const { return Get(kMetricNameLabel); }

  // Upstream's label hash: XXH64 of the encoding above.
  uint64_t Hash() const;
  // XXH64 over name 0xff value 0xff …: the same in every build of upstream; shards queries.
  uint64_t StableHash() const;
  // The encoding itself, usable as a hash-map key.
  const std::string& encoded() const { return data_; }

  // Only the pairs of `names` / all but the pairs of `names` (and `__name__` when `drop_name`).
  // `names` is sorted.
  Labels Keep(const std::vector<std::string>& names) const;
  Labels Without(const std::vector<std::string>& names, bool drop_name) const;
  Labels WithoutMetricName() const;

  // {a="b", c="d"}; with quoted names where they are not legacy names.
  std::string ToString() const;
  // name{a="b", c="d"}, the form of series in messages and dumps: `metric_name` in front if legal.
  std::string ToMetricString() const;

  // Upstream's order: pair by pair, name before value; a prefix is smaller.
  friend std::strong_ordering operator<=>(const Labels& a, const Labels& b);
  friend bool operator==(const Labels& a, const Labels& b) { return a.data_ == b.data_; }

 private:
  static void AppendText(std::string_view text, std::string* out);
  static void AppendPair(std::string_view name, std::string_view value, std::string* out);

  std::string data_;
};

struct LabelsHash {
  using is_avalanching = void;
  size_t operator()(const Labels& labels) const;
};

// Edits a label set; the base is copied only by Build().
class LabelsBuilder {
 public:
  LabelsBuilder() = default;
  explicit LabelsBuilder(Labels base) : base_(std::move(base)) {}

  void Reset(Labels base);
  // An empty value deletes.
  LabelsBuilder& Set(std::string_view name, std::string_view value);
  LabelsBuilder& Delete(std::string_view name);
  // The view holds until the next change.
  std::string_view Get(std::string_view name) const;
  bool changed() const { return !added_.empty() || !deleted_.empty(); }
  // Calls visit(name, value) for every pair as it stands: those of the base first, then what was
  // set, in the order of setting. The builder must not change meanwhile.
  template <typename Visit>
  void ForEach(Visit&& visit) const {
    for (const LabelView& pair : base_) {
      bool hidden = false;
      for (const std::string& name : deleted_) hidden = hidden || name == pair.name;
      for (const auto& [name, value] : added_) hidden = hidden || name == pair.name;
      if (!hidden) visit(pair.name, pair.value);
    }
    for (const auto& [name, value] : added_) {
      visit(std::string_view(name), std::string_view(value));
    }
  }
  Labels Build() const;

 private:
  Labels base_;
  std::vector<std::pair<std::string, std::string>> added_;
  std::vector<std::string> deleted_;
};

}  // namespace narthex
