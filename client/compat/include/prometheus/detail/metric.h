// What all kinds of metrics share: a core of narthex::client, and a handle to it.
#pragma once

#include <memory>

#include "narthex/client/detail/metric_core.h"
#include "prometheus/detail/convert.h"

namespace prometheus {
namespace detail {

template <typename Handle>
class Metric {
 public:
  Metric(const Metric&) = delete;
  Metric& operator=(const Metric&) = delete;

  ClientMetric Collect() const {
    return FromNative(narthex::client::Metric{{}, core_->Read(), {}});
  }
  // For Family.
  narthex::client::detail::MetricCore& core() const { return *core_; }

 protected:
  explicit Metric(const typename Handle::Options& options)
      : core_(Handle::NewCore(options, {})), handle_(core_) {}

  const std::shared_ptr<narthex::client::detail::MetricCore> core_;
  const Handle handle_;
};

}  // namespace detail
}  // namespace prometheus
