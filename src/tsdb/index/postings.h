// Set operations on postings: ascending lists of series references.
//
// A list is anything with size() and operator[] that gives ascending references, so that the big
// lists of a block are read where they lie in the mapped file (BigEndianPostings) and only results
// are copied. Intersections gallop: their cost follows the shorter list. Unions of many lists go
// through a bitmap when the references are dense and through a sort when they are not.
//
// Threads: pure functions.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "util/bytes.h"

namespace narthex::tsdb {

// A list of u32 as it stands in an index file.
class BigEndianPostings {
 public:
  BigEndianPostings() = default;
  explicit BigEndianPostings(std::string_view bytes)
      : data_(bytes.data()), size_(bytes.size() / 4) {}
  size_t size() const { return size_; }
  uint32_t operator[](size_t i) const { return LoadBigEndian32(data_ + i * 4); }

 private:
  const char* data_ = nullptr;
  size_t size_ = 0;
};

// The first position at or behind `from` whose reference is not below `ref`. Doubling steps from
// `from`, then a binary search: cheap when the answer is near.
template <typename List, typename Ref>
size_t GallopTo(const List& list, size_t from, Ref ref) {
  size_t step = 1;
  size_t low = from;
  size_t high = from;
  while (high < list.size() && list[high] < ref) {
    low = high + 1;
    high += step;
    step *= 2;
  }
  high = std::min(high, list.size());
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    if (list[middle] < ref) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

template <typename Ref, typename List>
std::vector<Ref> CopyPostings(const List& list) {
  std::vector<Ref> copy(list.size());
  for (size_t i = 0; i < copy.size(); ++i) copy[i] = static_cast<Ref>(list[i]);
  return copy;
}

// Keeps of `kept` what is in `list`.
template <typename Ref, typename List>
void IntersectWith(std::vector<Ref>* kept, const List& list) {
  size_t out = 0;
  size_t at = 0;
  if (list.size() / 8 <= kept->size()) {
    // Of like length: a merge without searching.
    for (const Ref ref : *kept) {
      while (at < list.size() && static_cast<Ref>(list[at]) < ref) ++at;
      if (at == list.size()) break;
      if (static_cast<Ref>(list[at]) == ref) (*kept)[out++] = ref;
    }
  } else {
    for (const Ref ref : *kept) {
      at = GallopTo(list, at, ref);
      if (at == list.size()) break;
      if (static_cast<Ref>(list[at]) == ref) (*kept)[out++] = ref;
    }
  }
  kept->resize(out);
}

template <typename List, typename Other>
bool Intersects(const List& a, const Other& b) {
  size_t i = 0;
  size_t j = 0;
  while (i < a.size() && j < b.size()) {
    if (a[i] == b[j]) return true;
    if (a[i] < b[j]) {
      i = GallopTo(a, i, b[j]);
    } else {
      j = GallopTo(b, j, a[i]);
    }
  }
  return false;
}

// Removes from `kept` what is in `list`.
template <typename Ref, typename List>
void SubtractFrom(std::vector<Ref>* kept, const List& list) {
  size_t out = 0;
  size_t at = 0;
  for (const Ref ref : *kept) {
    at = GallopTo(list, at, ref);
    if (at < list.size() && static_cast<Ref>(list[at]) == ref) continue;
    (*kept)[out++] = ref;
  }
  kept->resize(out);
}

// The union of any lists, each reference once.
template <typename Ref, typename List>
std::vector<Ref> MergePostings(std::span<const List> lists) {
  std::vector<Ref> merged;
  size_t total = 0;
  Ref low = ~Ref{0};
  Ref high = 0;
  const List* only = nullptr;
  size_t filled = 0;
  for (const List& list : lists) {
    if (list.size() == 0) continue;
    ++filled;
    only = &list;
    total += list.size();
    low = std::min(low, static_cast<Ref>(list[0]));
    high = std::max(high, static_cast<Ref>(list[list.size() - 1]));
  }
  if (filled == 0) return merged;
  if (filled == 1) return CopyPostings<Ref>(*only);

  // A word of bitmap costs about as much as one step of a sort.
  const uint64_t words = (static_cast<uint64_t>(high) - low) / 64 + 1;
  if (words <= total * 4) {
    std::vector<uint64_t> bitmap(words);
    for (const List& list : lists) {
      for (size_t i = 0; i < list.size(); ++i) {
        const uint64_t bit = static_cast<uint64_t>(static_cast<Ref>(list[i]) - low);
        bitmap[bit / 64] |= uint64_t{1} << (bit % 64);
      }
    }
    merged.reserve(total);
    for (size_t word = 0; word < bitmap.size(); ++word) {
      for (uint64_t bits = bitmap[word]; bits != 0; bits &= bits - 1) {
        merged.push_back(
            static_cast<Ref>(low + word * 64 + static_cast<uint64_t>(std::countr_zero(bits))));
      }
    }
    return merged;
  }
  merged.reserve(total);
  for (const List& list : lists) {
    for (size_t i = 0; i < list.size(); ++i) merged.push_back(static_cast<Ref>(list[i]));
  }
  std::sort(merged.begin(), merged.end());
  merged.erase(std::unique(merged.begin(), merged.end()), merged.end());
  return merged;
}

}  // namespace narthex::tsdb
