// Where metrics come from: anything that can be asked for its families while a scrape runs.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "narthex/client/metric_family.h"
#include "narthex/client/status.h"

namespace narthex::client {

// What every metric is declared with.
struct MetricOptions {
  std::string name;  // With its unit and `_total`: http_request_duration_seconds, errors_total.
  std::string help;  // One sentence; shown to people who have never seen the source.
  std::string unit = {};                     // For OpenMetrics; then the name must end with it.
  std::vector<LabelPair> const_labels = {};  // The same for all series of this declaration.
  // Families: how many series there may be. Whatever comes then counts in one more series, all of
  // whose label values are `overflow`, so that nobody outside can fill the memory by inventing
  // values. 0: no limit.
  size_t series_max = 0;
};

// What a collector promises to collect. The registry compares descriptions, so that clashes show at
// registration and not at three in the morning.
struct Description {
  std::string name;
  std::string help;
  std::string unit;
  Labels const_labels;                       // Sorted by name.
  std::vector<std::string> variable_labels;  // In the order of their values.

  // Checks names and duplicates.
  Status Check() const;
  // Desc{fqName: "…", help: "…", …}, as messages show it.
  std::string ToString() const;
};

// Sorts the constant labels.
Description MakeDescription(const MetricOptions& options,
                            std::vector<std::string> variable_labels = {});

class Collector {
 public:
  virtual ~Collector() = default;
  // Appends what Collect() will deliver. A collector that appends nothing is unchecked: it may
  // deliver anything, and only what it delivers is checked. Called once, at registration.
  virtual void Describe(std::vector<Description>& out) const = 0;
  // Appends families. Several with one name are merged. Any thread, several at a time; must not
  // register or unregister anything. An exception costs this collector's families of the page.
  virtual void Collect(std::vector<MetricFamily>& out) = 0;
};

}  // namespace narthex::client
