// Facts about the program that are texts: a version, a build, a configuration.
//
//   Info build{registry, {"build_info", "What was built."}};
//   build.Set({{"version", "1.2"}, {"revision", "abc"}});     // build_info{revision=…,version=…} 1
//
// The name ends with `_info`. Formats without the type show a gauge. Before the first Set() the
// series has its family's labels alone. Threads: all; a scrape sees all facts of one Set() or none.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "narthex/client/detail/metric_core.h"

namespace narthex::client {

namespace detail {
class InfoCore;
}

class Info {
 public:
  using Core = detail::InfoCore;
  using Options = detail::NoOptions;
  static constexpr MetricType kType = MetricType::kInfo;

  Info() = default;
  Info(std::string name, std::string help)
      : Info(Registry::Default(), {std::move(name), std::move(help)}) {}
  Info(Registry& registry, const MetricOptions& options)
      : Info(detail::MustDeclareOne<Info>(registry, options, {})) {}
  static Result<Info> Declare(Registry* registry, const MetricOptions& options) {
    return detail::DeclareOne<Info>(registry, options, {});
  }

  // Takes the place of all facts before. Fails on invalid names and values, on a name that occurs
  // twice, and on one that is a label of the family; the facts are those of before then.
  Status Set(Labels facts) const;
  // Sorted by name.
  Labels Value() const;

  explicit Info(std::shared_ptr<detail::MetricCore> core);
  static std::shared_ptr<detail::MetricCore> NewCore(const Options& options,
                                                     const Description& description);
  static Status CheckOptions(const Options&) { return {}; }

 private:
  std::shared_ptr<Core> core_;
};

}  // namespace narthex::client
