#pragma once

#include <cstdint>
#include <limits>
#include <stdexcept>
#include <vector>

#include "narthex/client/histogram.h"
#include "prometheus/detail/builder.h"
#include "prometheus/detail/metric.h"
#include "prometheus/metric_type.h"

namespace prometheus {

class Histogram : public detail::Metric<narthex::client::Histogram> {
 public:
  using BucketBoundaries = std::vector<double>;
  static constexpr MetricType metric_type = MetricType::Histogram;

  // Throws unless the boundaries ascend.
  explicit Histogram(const BucketBoundaries& buckets) : Metric(Options(buckets)) {}
  void Observe(double value) { handle_.Observe(value); }
  // `increments`: for each bucket, +Inf last.
  void ObserveMultiple(const std::vector<double>& increments, double sum_of_values) {
    std::vector<uint64_t> counts;
    for (const double increment : increments) counts.push_back(static_cast<uint64_t>(increment));
    const narthex::client::Status status = handle_.ObserveBuckets(counts, sum_of_values);
    if (!status.ok()) throw std::length_error(status.message());
  }

 private:
  static narthex::client::HistogramOptions Options(const BucketBoundaries& buckets) {
    narthex::client::HistogramOptions options;
    options.buckets = buckets;
    // No boundaries at all are one bucket here, where the other library would take its defaults.
    if (buckets.empty()) options.buckets = {std::numeric_limits<double>::infinity()};
    const narthex::client::Status status = narthex::client::Histogram::CheckOptions(options);
    if (!status.ok()) throw std::invalid_argument("Bucket Boundaries must be strictly sorted");
    return options;
  }
};

inline detail::Builder<Histogram> BuildHistogram() {
  return {};
}

}  // namespace prometheus
