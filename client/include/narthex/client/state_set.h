// A set of named states, each on or off; usually one of several, as an enumeration is.
//
//   StateSet phase{registry, {"job_phase", "What the job does."}, {{"idle", "busy", "failed"}}};
//   phase.Set("busy");              // job_phase{job_phase="busy"} 1, the others 0
//
// Each state is a series whose label is named as the metric is. Formats without the type show
// gauges. Threads: all; a scrape sees all states of one moment.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "narthex/client/detail/metric_core.h"

namespace narthex::client {

struct StateSetOptions {
  // Different from each other, at least one. Shown in this order.
  std::vector<std::string> states;
  // At the start the first state is on; with this, none is.
  bool starts_empty = false;
};

namespace detail {
class StateSetCore;
}

class StateSet {
 public:
  using Core = detail::StateSetCore;
  using Options = StateSetOptions;
  static constexpr MetricType kType = MetricType::kStateSet;

  StateSet() = default;
  StateSet(std::string name, std::string help, const Options& states)
      : StateSet(Registry::Default(), {std::move(name), std::move(help)}, states) {}
  StateSet(Registry& registry, const MetricOptions& options, const Options& states)
      : StateSet(detail::MustDeclareOne<StateSet>(registry, options, states)) {}
  static Result<StateSet> Declare(Registry* registry, const MetricOptions& options,
                                  const Options& states) {
    return detail::DeclareOne<StateSet>(registry, options, states);
  }

  // This state on and all others off. Fails on a state that was not declared.
  Status Set(std::string_view state) const;
  // This state on or off; the others stay.
  Status Set(std::string_view state, bool on) const;
  // False for what was not declared too.
  bool IsOn(std::string_view state) const;

  explicit StateSet(std::shared_ptr<detail::MetricCore> core);
  static std::shared_ptr<detail::MetricCore> NewCore(const Options& options,
                                                     const Description& description);
  static Status CheckOptions(const Options& options);

 private:
  std::shared_ptr<Core> core_;
};

}  // namespace narthex::client
