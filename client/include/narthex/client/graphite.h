// Sending metrics to Graphite in its line protocol, as client_golang's bridge does.
//
//   http_requests_total{code="200"}  ->  prefix.http_requests_total.code.200 3 1700000000
//   with tags                        ->  prefix.http_requests_total;code=200 3 1700000000
//
// Characters that Graphite does not take become `_`. Threads: all.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "narthex/client/registry.h"

namespace narthex::client {

struct GraphiteOptions {
  std::string address = {};  // host:port of the plain-text listener, usually port 2003.
  std::string prefix = {};
  bool tags = false;
  std::chrono::milliseconds timeout{15'000};
  std::chrono::milliseconds interval{15'000};
  // Send what is good when collecting left something out; otherwise nothing is sent then.
  bool continue_on_error = false;
};

// The lines for these families. `now_seconds` stands where a sample has no time of its own.
std::string GraphiteLines(const std::vector<MetricFamily>& families, const GraphiteOptions& options,
                          int64_t now_seconds);
// Sends once; blocks up to the timeout.
Status SendToGraphite(const Gatherable& source, const GraphiteOptions& options);

// Sends once an interval until it is destroyed, and once more then.
class GraphiteBridge {
 public:
  // `source` outlives the object. `on_error` is called by the sending thread.
  GraphiteBridge(const Gatherable& source, GraphiteOptions options,
                 std::function<void(const Status& error)> on_error = {});
  ~GraphiteBridge();
  GraphiteBridge(const GraphiteBridge&) = delete;
  GraphiteBridge& operator=(const GraphiteBridge&) = delete;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace narthex::client
