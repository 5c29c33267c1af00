// Quantiles of observations over a sliding window, with their sum and count over all time.
//
// Quantiles of several processes cannot be combined; prefer a Histogram unless a fixed error of
// chosen quantiles matters more. Without objectives (the default) only sum and count are kept, and
// an observation is a few instructions; with objectives it takes a mutex.
//
// The window slides in steps: `age_buckets` streams, each `max_age / age_buckets` younger than the
// one before; quantiles come from the oldest. Up to 500 observations in the window they are exact,
// beyond that within the error given. An empty window gives NaN. Threads: all.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "narthex/client/detail/metric_core.h"

namespace narthex::client {

struct Objective {
  double quantile = 0;  // (0, 1)
  double error = 0;     // The rank is off by at most this share of all observations.
};

struct SummaryOptions {
  std::vector<Objective> objectives;
  std::chrono::nanoseconds max_age = std::chrono::minutes(10);
  unsigned age_buckets = 5;
  // Time since some fixed point; for tests. Empty: the steady clock.
  std::function<std::chrono::nanoseconds()> now;
};

namespace detail {
class SummaryCore;
}

class Summary {
 public:
  using Core = detail::SummaryCore;
  using Options = SummaryOptions;
  static constexpr MetricType kType = MetricType::kSummary;

  Summary() = default;
  Summary(std::string name, std::string help, const Options& summary_options = {})
      : Summary(Registry::Default(), {std::move(name), std::move(help)}, summary_options) {}
  Summary(Registry& registry, const MetricOptions& options, const Options& summary_options = {})
      : Summary(detail::MustDeclareOne<Summary>(registry, options, summary_options)) {}
  static Result<Summary> Declare(Registry* registry, const MetricOptions& options,
                                 const Options& summary_options = {}) {
    return detail::DeclareOne<Summary>(registry, options, summary_options);
  }

  void Observe(double v) const;
  // Seconds.
  template <typename Rep, typename Period>
  void Observe(std::chrono::duration<Rep, Period> d) const {
    Observe(std::chrono::duration<double>(d).count());
  }
  SummaryValue Value() const;

  explicit Summary(std::shared_ptr<detail::MetricCore> core);
  static std::shared_ptr<detail::MetricCore> NewCore(const Options& options,
                                                     const Description& description);
  static Status CheckOptions(const Options& options);

 private:
  std::shared_ptr<Core> core_;
};

}  // namespace narthex::client
