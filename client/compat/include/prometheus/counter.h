#pragma once

#include "narthex/client/counter.h"
#include "prometheus/detail/builder.h"
#include "prometheus/detail/metric.h"
#include "prometheus/metric_type.h"

namespace prometheus {

class Counter : public detail::Metric<narthex::client::Counter> {
 public:
  static constexpr MetricType metric_type = MetricType::Counter;

  Counter() : Metric({}) {}
  void Increment() { handle_.Inc(); }
  // Negative values do nothing.
  void Increment(double value) { handle_.Inc(value); }
  double Value() const { return handle_.Value(); }
};

inline detail::Builder<Counter> BuildCounter() {
  return {};
}

}  // namespace prometheus
