#pragma once

#include <chrono>
#include <vector>

#include "narthex/client/summary.h"
#include "prometheus/detail/builder.h"
#include "prometheus/detail/metric.h"
#include "prometheus/metric_type.h"

namespace prometheus {

class Summary : public detail::Metric<narthex::client::Summary> {
 public:
  // {quantile, error}
  using Quantiles = std::vector<narthex::client::Objective>;
  static constexpr MetricType metric_type = MetricType::Summary;

  explicit Summary(const Quantiles& quantiles,
                   std::chrono::milliseconds max_age = std::chrono::seconds(60),
                   int age_buckets = 5)
      : Metric(narthex::client::SummaryOptions{
            quantiles, max_age, static_cast<unsigned>(age_buckets), {}}) {}
  void Observe(double value) { handle_.Observe(value); }
};

inline detail::Builder<Summary> BuildSummary() {
  return {};
}

}  // namespace prometheus
