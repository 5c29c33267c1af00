// How often values of which size came: what a histogram metric shows. Buckets grow by a factor.
//
// Threads: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

namespace narthex::tsdb {

class Distribution {
 public:
  struct Snapshot {
    std::vector<std::pair<double, uint64_t>> buckets;  // Upper bound, values up to it.
    uint64_t count = 0;
    double sum = 0;
  };

  // Bounds first, first*factor, ...; none: only count and sum.
  Distribution(double first, double factor, size_t bounds) : counts_(bounds) {
    for (size_t i = 0; i < bounds; ++i, first *= factor) bounds_.push_back(first);
  }

  void Observe(double value) {
    const std::lock_guard lock(mutex_);
    size_t at = 0;
    while (at < bounds_.size() && value > bounds_[at]) ++at;
    if (at < bounds_.size()) ++counts_[at];
    ++count_;
    sum_ += value;
  }
  Snapshot Read() const {
    const std::lock_guard lock(mutex_);
    Snapshot snapshot;
    uint64_t below = 0;
    for (size_t i = 0; i < bounds_.size(); ++i) {
      below += counts_[i];
      snapshot.buckets.emplace_back(bounds_[i], below);
    }
    snapshot.count = count_;
    snapshot.sum = sum_;
    return snapshot;
  }

 private:
  std::vector<double> bounds_;
  mutable std::mutex mutex_;
  std::vector<uint64_t> counts_;
  uint64_t count_ = 0;
  double sum_ = 0;
};

// Of the chunks of first blocks, with upstream's bounds.
struct ChunkDistributions {
  Distribution size_bytes{32, 1.5, 12};
  Distribution samples{4, 1.5, 12};
  Distribution range_ms{100, 4, 10};
};

}  // namespace narthex::tsdb
