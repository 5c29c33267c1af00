// Quantiles of how long something took lately, for events that are rare enough to remember each
// (the syncs of a log): the last kSize of them, of which those of the last ten minutes count.
//
// Cost: Observe is O(1), Read sorts. Threads: guarded by its owner.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace narthex {

class DurationWindow {
 public:
  struct Reading {
    uint64_t count = 0;  // Of all times, as is the sum.
    double sum_seconds = 0;
    std::vector<std::pair<double, double>> quantiles;  // NaN: nothing within the window.
  };

  void Observe(int64_t now_nanos, int64_t took_nanos) {
    entries_[count_ % kSize] = {now_nanos, took_nanos};
    ++count_;
    sum_nanos_ += took_nanos;
  }
  Reading Read(int64_t now_nanos, std::initializer_list<double> quantiles) const {
    std::vector<int64_t> recent;
    for (size_t i = 0; i < std::min<uint64_t>(count_, kSize); ++i) {
      if (now_nanos - entries_[i].at <= kWindowNanos) recent.push_back(entries_[i].took);
    }
    std::sort(recent.begin(), recent.end());
    Reading reading{count_, static_cast<double>(sum_nanos_) * 1e-9, {}};
    for (const double q : quantiles) {
      double value = std::numeric_limits<double>::quiet_NaN();
      if (!recent.empty()) {
        // The nearest rank.
        const double rank = std::ceil(q * static_cast<double>(recent.size()));
        value = static_cast<double>(recent[static_cast<size_t>(std::max(rank, 1.0)) - 1]) * 1e-9;
      }
      reading.quantiles.emplace_back(q, value);
    }
    return reading;
  }

 private:
  static constexpr size_t kSize = 256;
  static constexpr int64_t kWindowNanos = 600LL * 1'000'000'000;
  struct Entry {
    int64_t at;
    int64_t took;
  };
  std::array<Entry, kSize> entries_;
  uint64_t count_ = 0;
  int64_t sum_nanos_ = 0;
};

}  // namespace narthex
