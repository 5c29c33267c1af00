#pragma once

#include "narthex/client/gauge.h"
#include "prometheus/detail/builder.h"
#include "prometheus/detail/metric.h"
#include "prometheus/metric_type.h"

namespace prometheus {

class Gauge : public detail::Metric<narthex::client::Gauge> {
 public:
  static constexpr MetricType metric_type = MetricType::Gauge;

  Gauge() : Metric({}) {}
  explicit Gauge(double value) : Gauge() { Set(value); }
  void Increment() { handle_.Inc(); }
  void Increment(double value) { handle_.Inc(value); }
  void Decrement() { handle_.Dec(); }
  void Decrement(double value) { handle_.Dec(value); }
  void Set(double value) { handle_.Set(value); }
  void SetToCurrentTime() { handle_.SetToCurrentTime(); }
  double Value() const { return handle_.Value(); }
};

inline detail::Builder<Gauge> BuildGauge() {
  return {};
}

}  // namespace prometheus
