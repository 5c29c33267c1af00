// A value that goes up and down: a queue's length, a temperature, the time of the last success.
//
// A Gauge is a handle, as Counter is. Threads: all; Set() is one store, Inc() and Dec() are a
// compare-and-swap loop.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "narthex/client/detail/cell.h"
#include "narthex/client/detail/metric_core.h"

namespace narthex::client {

namespace detail {
class GaugeCore final : public MetricCore {
 public:
  MetricValue Read() override { return GaugeValue{value.load(std::memory_order_relaxed)}; }
  std::atomic<double> value{0};
};
}  // namespace detail

class Gauge {
 public:
  using Core = detail::GaugeCore;
  using Options = detail::NoOptions;
  static constexpr MetricType kType = MetricType::kGauge;

  Gauge() = default;
  Gauge(std::string name, std::string help)
      : Gauge(Registry::Default(), {std::move(name), std::move(help)}) {}
  Gauge(Registry& registry, const MetricOptions& options)
      : Gauge(detail::MustDeclareOne<Gauge>(registry, options, {})) {}
  static Result<Gauge> Declare(Registry* registry, const MetricOptions& options) {
    return detail::DeclareOne<Gauge>(registry, options, {});
  }

  void Set(double v) const noexcept {
    if (core_) core_->value.store(v, std::memory_order_relaxed);
  }
  void Inc(double v = 1) const noexcept {
    if (core_) detail::AddDouble(core_->value, v);
  }
  void Dec(double v = 1) const noexcept { Inc(-v); }
  // Seconds since the Unix epoch.
  void SetToCurrentTime() const;
  double Value() const noexcept { return core_ ? core_->value.load(std::memory_order_relaxed) : 0; }

  // Counts itself in for as long as it lives: `const auto guard = in_flight.Track();`
  class Tracker {
   public:
    explicit Tracker(std::shared_ptr<Core> core) : core_(std::move(core)) { Add(1); }
    ~Tracker() { Add(-1); }
    Tracker(const Tracker&) = delete;
    Tracker& operator=(const Tracker&) = delete;

   private:
    void Add(double v) noexcept {
      if (core_) detail::AddDouble(core_->value, v);
    }
    const std::shared_ptr<Core> core_;
  };
  [[nodiscard]] Tracker Track() const { return Tracker(core_); }

  const Gauge& operator=(double v) const noexcept {
    Set(v);
    return *this;
  }

  explicit Gauge(const std::shared_ptr<detail::MetricCore>& core)
      : core_(std::static_pointer_cast<Core>(core)) {}
  static std::shared_ptr<detail::MetricCore> NewCore(const Options&, const Description&) {
    return std::make_shared<Core>();
  }
  static Status CheckOptions(const Options&) { return {}; }

 private:
  std::shared_ptr<Core> core_;
};

}  // namespace narthex::client
