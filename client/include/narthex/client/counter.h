// A value that only goes up: requests served, bytes sent, seconds spent.
//
// A Counter is a handle: copies count into the same number, and it stays valid whatever happens to
// its family or registry. One that was default-constructed counts nothing.
//
// Threads: all, but not signal handlers. Inc() is wait-free: a load and a store for the thread that
// owns its part of the counter (see detail/cell.h).
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "narthex/client/detail/cell.h"
#include "narthex/client/detail/exemplar_slot.h"
#include "narthex/client/detail/metric_core.h"
#include "narthex/client/exemplar.h"

namespace narthex::client {

namespace detail {
class CounterCore final : public MetricCore {
 public:
  CounterCore() : created_(Timestamp::Now()) {}
  MetricValue Read() override;

  void Add(uint64_t n) noexcept {
    cell.Add(n);
    if (exemplar_source.load(std::memory_order_relaxed) != nullptr) {
      SampleExemplar(static_cast<double>(n));
    }
  }
  void AddFraction(double v) noexcept {
    cell.AddFraction(v);
    if (exemplar_source.load(std::memory_order_relaxed) != nullptr) SampleExemplar(v);
  }

  CounterCell cell;
  ExemplarSlot exemplar;

 private:
  void SampleExemplar(double v) noexcept;

  std::atomic<int64_t> next_exemplar_ns_{0};
  const Timestamp created_;
};
}  // namespace detail

class Counter {
 public:
  using Core = detail::CounterCore;
  using Options = detail::NoOptions;
  static constexpr MetricType kType = MetricType::kCounter;

  Counter() = default;
  // Declares a counter in the default registry.
  Counter(std::string name, std::string help)
      : Counter(Registry::Default(), {std::move(name), std::move(help)}) {}
  Counter(Registry& registry, const MetricOptions& options)
      : Counter(detail::MustDeclareOne<Counter>(registry, options, {})) {}
  // Returns the error; `registry` may be null for a counter that is in none.
  static Result<Counter> Declare(Registry* registry, const MetricOptions& options) {
    return detail::DeclareOne<Counter>(registry, options, {});
  }

  void Inc() const noexcept {
    if (core_) core_->Add(1);
  }
  // False, and nothing is counted, when `v` is negative or NaN: counters never go down.
  bool Inc(double v) const noexcept {
    if (!(v >= 0)) return false;
    if (!core_) return true;
    // Up to 2^53 a double that equals its integer is that integer.
    if (v < 9007199254740992.0 && static_cast<double>(static_cast<uint64_t>(v)) == v) {
      core_->Add(static_cast<uint64_t>(v));
    } else {
      core_->AddFraction(v);
    }
    return true;
  }
  // Counts and remembers `labels` (a trace id, say) as the newest example. Counts even when the
  // labels are refused: see MakeExemplar in exemplar.h.
  Status IncWithExemplar(double v, const Labels& labels) const;
  double Value() const noexcept { return core_ ? core_->cell.Value() : 0; }

  const Counter& operator++() const noexcept {
    Inc();
    return *this;
  }
  const Counter& operator+=(double v) const noexcept {
    Inc(v);
    return *this;
  }

  // For Family and Registry.
  explicit Counter(const std::shared_ptr<detail::MetricCore>& core)
      : core_(std::static_pointer_cast<Core>(core)) {}
  static std::shared_ptr<detail::MetricCore> NewCore(const Options&, const Description&) {
    return std::make_shared<Core>();
  }
  static Status CheckOptions(const Options&) { return {}; }

 private:
  std::shared_ptr<Core> core_;
};

}  // namespace narthex::client
