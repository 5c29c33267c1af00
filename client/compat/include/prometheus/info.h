#pragma once

#include "narthex/client/gauge.h"
#include "prometheus/detail/builder.h"
#include "prometheus/detail/metric.h"
#include "prometheus/metric_type.h"

namespace prometheus {

// Says what it says by its labels. Its name is shown with `_info` at the end.
class Info : public detail::Metric<narthex::client::Gauge> {
 public:
  static constexpr MetricType metric_type = MetricType::Info;

  Info() : Metric({}) { handle_.Set(1); }
};

inline detail::Builder<Info> BuildInfo() {
  return {};
}

}  // namespace prometheus
