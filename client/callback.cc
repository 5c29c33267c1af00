#include "narthex/client/callback.h"

#include <mutex>

#include "narthex/client/detail/metric_core.h"

namespace narthex::client::detail {

class FunctionCollector final : public Collector {
 public:
  FunctionCollector(Description description, MetricType type, std::function<double()> function)
      : description_(std::move(description)), type_(type), function_(std::move(function)) {}

  // Waits for a call that is running; after that there is none.
  void Stop() {
    const std::lock_guard lock(mutex_);
    function_ = nullptr;
  }

  void Describe(std::vector<Description>& out) const override { out.push_back(description_); }

  void Collect(std::vector<MetricFamily>& out) override {
    Metric metric{description_.const_labels, {}, {}};
    {
      const std::lock_guard lock(mutex_);
      if (!function_) return;
      const double value = function_();
      if (type_ == MetricType::kCounter) {
        metric.value = CounterValue{value, nullptr, std::nullopt};
      } else if (type_ == MetricType::kGauge) {
        metric.value = GaugeValue{value};
      } else {
        metric.value = UntypedValue{value};
      }
    }
    MetricFamily family{description_.name, description_.help, type_, {}, {}};
    if (!description_.unit.empty()) family.unit = description_.unit;
    family.metrics.push_back(std::move(metric));
    out.push_back(std::move(family));
  }

 private:
  const Description description_;
  const MetricType type_;
  std::mutex mutex_;
  std::function<double()> function_;  // Guarded by mutex_.
};

Result<FunctionMetric> FunctionMetric::Declare(Registry& registry, const MetricOptions& options,
                                               MetricType type, std::function<double()> function) {
  FunctionMetric metric;
  metric.collector_ =
      std::make_shared<FunctionCollector>(MakeDescription(options), type, std::move(function));
  Result<Registration> registration = registry.RegisterScoped(metric.collector_);
  if (!registration.ok()) return registration.status();
  metric.registration_ = *std::move(registration);
  return metric;
}

FunctionMetric::FunctionMetric(Registry& registry, const MetricOptions& options, MetricType type,
                               std::function<double()> function) {
  Result<FunctionMetric> metric = Declare(registry, options, type, std::move(function));
  if (!metric.ok()) Fail(metric.status().message());
  *this = *std::move(metric);
}

FunctionMetric::FunctionMetric(FunctionMetric&&) noexcept = default;

FunctionMetric& FunctionMetric::operator=(FunctionMetric&& other) noexcept {
  if (this != &other) {
    if (collector_) collector_->Stop();
    registration_ = std::move(other.registration_);
    collector_ = std::move(other.collector_);
  }
  return *this;
}

FunctionMetric::~FunctionMetric() {
  if (collector_) collector_->Stop();
}

}  // namespace narthex::client::detail
