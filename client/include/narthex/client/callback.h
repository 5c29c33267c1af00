// Metrics whose value is asked for at scrape time.
//
//   GaugeFunc length_{registry, {"queue_length", "Jobs that wait."}, [this] { return size(); }};
//
// The object keeps the metric registered: when it dies the metric goes, after waiting for a call
// that is running, so that a function may use the object whose member this is (declare it last).
// Several with one name are allowed where their constant labels differ.
//
// Threads: the function is called from the threads that scrape, one at a time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "narthex/client/registry.h"

namespace narthex::client {

namespace detail {
class FunctionCollector;

class FunctionMetric {
 public:
  FunctionMetric() = default;
  FunctionMetric(Registry& registry, const MetricOptions& options, MetricType type,
                 std::function<double()> function);
  // Returns the error, on which the constructor aborts.
  static Result<FunctionMetric> Declare(Registry& registry, const MetricOptions& options,
                                        MetricType type, std::function<double()> function);
  FunctionMetric(FunctionMetric&&) noexcept;
  FunctionMetric& operator=(FunctionMetric&&) noexcept;
  ~FunctionMetric();

 private:
  std::shared_ptr<FunctionCollector> collector_;
  Registration registration_;
};
}  // namespace detail

class GaugeFunc : public detail::FunctionMetric {
 public:
  GaugeFunc() = default;
  GaugeFunc(Registry& registry, const MetricOptions& options, std::function<double()> function)
      : FunctionMetric(registry, options, MetricType::kGauge, std::move(function)) {}
};

// The function must never go down.
class CounterFunc : public detail::FunctionMetric {
 public:
  CounterFunc() = default;
  CounterFunc(Registry& registry, const MetricOptions& options, std::function<double()> function)
      : FunctionMetric(registry, options, MetricType::kCounter, std::move(function)) {}
};

class UntypedFunc : public detail::FunctionMetric {
 public:
  UntypedFunc() = default;
  UntypedFunc(Registry& registry, const MetricOptions& options, std::function<double()> function)
      : FunctionMetric(registry, options, MetricType::kUntyped, std::move(function)) {}
};

}  // namespace narthex::client
