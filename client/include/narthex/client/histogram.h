// Distributions: how many observations fell into which range, with their sum and count.
//
//   Histogram latency{registry, {"request_duration_seconds", "Time to answer."},
//                     HistogramOptions{}.WithBuckets({.1, 1, 10}).WithNative(1.1, 100, hours(1))};
//   latency.Observe(0.25);
//
// Classic buckets have bounds fixed by the declaration. Native (exponential) buckets come into
// being where observations fall and only show in protobuf exposition. Both may be kept at once.
// Without any options: the default classic buckets.
//
// An observation locks one of the histogram's shards for a few instructions and goes to another
// shard when that one is taken; a scrape sees all of an observation or nothing of it. A NaN counts
// (in +Inf and the count) and makes the sum NaN. Threads: all. Memory: 8 bytes a bucket, and more
// shards only once threads were seen to collide.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "narthex/client/detail/metric_core.h"

namespace narthex::client {

// 0.005 … 10, for latencies of network services in seconds.
const std::vector<double>& DefaultBuckets();
// `count` bounds: start, start + width, …
std::vector<double> LinearBuckets(double start, double width, int count);
// `count` bounds: start, start * factor, … Needs start > 0 and factor > 1, otherwise empty.
std::vector<double> ExponentialBuckets(double start, double factor, int count);
// `count` bounds from min to max, each the same factor above the one before.
std::vector<double> ExponentialBucketsRange(double min, double max, int count);

// 2^-128, the zero threshold when none is given.
inline constexpr double kDefaultZeroThreshold = 2.938735877055719e-39;

struct HistogramOptions {
  // Strictly ascending; +Inf may be left out. Empty without native buckets: DefaultBuckets().
  std::vector<double> buckets;

  // Above 1: native buckets, each at most this factor wider than the one below.
  double native_bucket_factor = 0;
  // Observations up to this far from 0 count as zero. 0: kDefaultZeroThreshold; below 0: exactly 0.
  double native_zero_threshold = 0;
  // 0: no limit. Over the limit the histogram first resets itself, if it is native_min_reset old
  // (0: never); else widens the zero bucket, up to native_max_zero_threshold; else halves its
  // resolution. A reset that came too early is made up for once native_min_reset has passed.
  uint32_t native_max_buckets = 0;
  std::chrono::nanoseconds native_min_reset{0};
  double native_max_zero_threshold = 0;
  // 0: 10; below 0: none.
  int native_max_exemplars = 0;
  // 0: 5 minutes. Looked at only when there are as many as there may be.
  std::chrono::nanoseconds native_exemplar_ttl{0};

  // Time since some fixed point; for tests. Empty: the steady clock.
  std::function<std::chrono::nanoseconds()> now;

  HistogramOptions WithBuckets(std::vector<double> bounds) && {
    buckets = std::move(bounds);
    return std::move(*this);
  }
  HistogramOptions WithNative(double factor, uint32_t max_buckets = 0,
                              std::chrono::nanoseconds min_reset = {}) && {
    native_bucket_factor = factor;
    native_max_buckets = max_buckets;
    native_min_reset = min_reset;
    return std::move(*this);
  }
};

namespace detail {
class HistogramCore;
}

class Histogram {
 public:
  using Core = detail::HistogramCore;
  using Options = HistogramOptions;
  static constexpr MetricType kType = MetricType::kHistogram;

  Histogram() = default;
  Histogram(std::string name, std::string help, const Options& histogram_options = {})
      : Histogram(Registry::Default(), {std::move(name), std::move(help)}, histogram_options) {}
  Histogram(Registry& registry, const MetricOptions& options, const Options& histogram_options = {})
      : Histogram(detail::MustDeclareOne<Histogram>(registry, options, histogram_options)) {}
  static Result<Histogram> Declare(Registry* registry, const MetricOptions& options,
                                   const Options& histogram_options = {}) {
    return detail::DeclareOne<Histogram>(registry, options, histogram_options);
  }

  void Observe(double v) const noexcept;
  // Seconds.
  template <typename Rep, typename Period>
  void Observe(std::chrono::duration<Rep, Period> d) const noexcept {
    Observe(std::chrono::duration<double>(d).count());
  }
  // Counts even when the labels are refused (see MakeExemplar in exemplar.h).
  Status ObserveWithExemplar(double v, const Labels& labels) const;
  // Many observations at once, counted elsewhere: how many fell into each classic bucket, +Inf
  // last, and their sum. Fails on another number of buckets, and with native buckets.
  Status ObserveBuckets(const std::vector<uint64_t>& counts, double sum) const;
  HistogramValue Value() const;

  explicit Histogram(std::shared_ptr<detail::MetricCore> core);
  static std::shared_ptr<detail::MetricCore> NewCore(const Options& options,
                                                     const Description& description);
  static Status CheckOptions(const Options& options);

 private:
  std::shared_ptr<Core> core_;
};

}  // namespace narthex::client
