// A sort that leaves equal elements where Go's sort package leaves them.
//
// sort(), sort_desc(), topk() and bottomk() of an instant query show their order to the user, and
// equal values are common there. Their order is not specified but fixed: it follows from the
// pattern-defeating quicksort that Go uses, whose choices (sizes at which it changes its ways,
// where it looks for a pivot, its "random" exchanges, which depend on the length alone) are
// repeated here. `less` need not be an order (NaN is less than NaN in upstream's): whatever it
// says, the sort ends and stays within its bounds.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace narthex::promql {

template <typename T, typename Less, typename Stop>
class PatternSorter {
 public:
  // less(a, b): a belongs before b. stop(): asked now and then whether to give up.
  PatternSorter(std::span<T> items, Less less, Stop stop)
      : items_(items), less_(std::move(less)), stop_(std::move(stop)) {}

  // False: it gave up.
  bool Sort() {
    Quick(0, items_.size(), static_cast<size_t>(std::bit_width(items_.size())));
    return !stopped_;
  }

 private:
  static constexpr size_t kInsertionMax = 12;
  static constexpr size_t kNintherMin = 50;
  static constexpr size_t kShiftMin = 50;
  static constexpr int kShiftsMax = 5;
  static constexpr int kSwapsAllReversed = 12;

  static constexpr unsigned kAskEvery = 16 * 1024;

  bool Before(size_t i, size_t j) {
    if (++compared_ % kAskEvery == 0) stopped_ = stopped_ || stop_();
    // Whatever is said here, loops come to their end, and Quick sees to it that it is soon.
    return !stopped_ && less_(items_[i], items_[j]);
  }
  void Swap(size_t i, size_t j) { std::swap(items_[i], items_[j]); }

  void Insertion(size_t begin, size_t end) {
    for (size_t i = begin + 1; i < end; ++i) {
      for (size_t j = i; j > begin && Before(j, j - 1); --j) Swap(j, j - 1);
    }
  }

  void Sink(size_t base, size_t root, size_t size) {
    for (size_t child = 2 * root + 1; child < size; child = 2 * root + 1) {
      if (child + 1 < size && Before(base + child, base + child + 1)) ++child;
      if (!Before(base + root, base + child)) return;
      Swap(base + root, base + child);
      root = child;
    }
  }
  void Heap(size_t begin, size_t end) {
    const size_t size = end - begin;
    for (size_t i = (size - 1) / 2 + 1; i-- > 0;) Sink(begin, i, size);
    for (size_t i = size; i-- > 0;) {
      Swap(begin, begin + i);
      Sink(begin, 0, i);
    }
  }

  // Three exchanges around the middle, so that a pattern does not hurt twice.
  void BreakPattern(size_t begin, size_t end) {
    const size_t size = end - begin;
    if (size < 8) return;
    uint64_t random = size;
    const size_t mask = (size_t{1} << std::bit_width(size)) - 1;
    const size_t middle = begin + size / 4 * 2;
    for (size_t i = middle - 1; i <= middle + 1; ++i) {
      random ^= random << 13;
      random ^= random >> 7;
      random ^= random << 17;
      size_t other = static_cast<size_t>(random) & mask;
      if (other >= size) other -= size;
      Swap(i, begin + other);
    }
  }

  size_t Median(size_t a, size_t b, size_t c, int* swaps) {
    const auto order = [&](size_t* x, size_t* y) {
      if (!Before(*y, *x)) return;
      ++*swaps;
      std::swap(*x, *y);
    };
    order(&a, &b);
    order(&b, &c);
    order(&a, &b);
    return b;
  }
  size_t Pivot(size_t begin, size_t end, int* swaps) {
    const size_t size = end - begin;
    size_t i = begin + size / 4;
    size_t j = begin + size / 4 * 2;
    size_t k = begin + size / 4 * 3;
    if (size >= kNintherMin) {
      for (size_t* at : {&i, &j, &k}) *at = Median(*at - 1, *at, *at + 1, swaps);
    }
    return Median(i, j, k, swaps);
  }

  // Whether a few shifts were enough to have it sorted.
  bool NearlySorted(size_t begin, size_t end) {
    size_t i = begin + 1;
    for (int shifts = 0; shifts < kShiftsMax; ++shifts) {
      while (i < end && !Before(i, i - 1)) ++i;
      if (i == end) return true;
      if (end - begin < kShiftMin) return false;
      Swap(i, i - 1);
      if (i - begin >= 2) {
        for (size_t j = i - 1; j >= 1 && Before(j, j - 1); --j) Swap(j, j - 1);
      }
      if (end - i >= 2) {
        for (size_t j = i + 1; j < end && Before(j, j - 1); ++j) Swap(j, j - 1);
      }
    }
    return false;
  }

  // The smaller ones to the left of the pivot; gives its new place and whether nothing had to move.
  std::pair<size_t, bool> Partition(size_t begin, size_t end, size_t pivot) {
    Swap(begin, pivot);
    size_t i = begin + 1;
    size_t j = end - 1;
    bool untouched = true;
    for (;;) {
      while (i <= j && Before(i, begin)) ++i;
      while (i <= j && !Before(j, begin)) --j;
      if (i > j) break;
      untouched = false;
      Swap(i++, j--);
    }
    Swap(j, begin);
    return {j, untouched};
  }
  // Nothing here is smaller than the pivot: its equals to the left; gives where the others begin.
  size_t PartitionEqual(size_t begin, size_t end, size_t pivot) {
    Swap(begin, pivot);
    size_t i = begin + 1;
    size_t j = end - 1;
    for (;;) {
      while (i <= j && !Before(begin, i)) ++i;
      while (i <= j && Before(begin, j)) --j;
      if (i > j) return i;
      Swap(i++, j--);
    }
  }

  void Quick(size_t begin, size_t end, size_t limit) {
    bool balanced = true;
    bool untouched = true;
    for (;;) {
      if (stopped_) return;
      const size_t size = end - begin;
      if (size <= kInsertionMax) return Insertion(begin, end);
      if (limit == 0) return Heap(begin, end);
      if (!balanced) {
        BreakPattern(begin, end);
        --limit;
      }
      int swaps = 0;
      size_t pivot = Pivot(begin, end, &swaps);
      const bool reversed = swaps == kSwapsAllReversed;
      if (reversed) {
        for (size_t i = begin, j = end - 1; i < j;) Swap(i++, j--);
        pivot = end - 1 - (pivot - begin);
      }
      if (balanced && untouched && (swaps == 0 || reversed) && NearlySorted(begin, end)) return;
      if (begin > 0 && !Before(begin - 1, pivot)) {
        begin = PartitionEqual(begin, end, pivot);
        continue;
      }
      const auto [middle, already] = Partition(begin, end, pivot);
      untouched = already;
      const size_t left = middle - begin;
      const size_t right = end - middle;
      balanced = std::min(left, right) >= size / 8;
      if (left < right) {
        Quick(begin, middle, limit);
        begin = middle + 1;
      } else {
        Quick(middle + 1, end, limit);
        end = middle;
      }
    }
  }

  std::span<T> items_;
  Less less_;
  Stop stop_;
  unsigned compared_ = 0;
  bool stopped_ = false;
};

// False: stop() said so, and the items are in any order.
template <typename T, typename Less, typename Stop>
bool PatternSort(std::span<T> items, Less less, Stop stop) {
  return PatternSorter<T, Less, Stop>(items, std::move(less), std::move(stop)).Sort();
}
template <typename T, typename Less>
void PatternSort(std::span<T> items, Less less) {
  PatternSort(items, std::move(less), [] { return false; });
}

}  // namespace narthex::promql
