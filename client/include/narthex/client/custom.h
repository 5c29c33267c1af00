// Families made by hand, for numbers that are counted elsewhere: by the kernel, a database, another
// process.
//
//   registry.Register(MakeCollector([&pool](std::vector<MetricFamily>& out) {
//     MetricFamily family = MakeFamily(MetricType::kGauge, "pool_connections", "Open
//     connections."); for (const Host& host : pool.hosts()) {
//       AddSample(family, {{"host", host.name}}, host.open);
//     }
//     out.push_back(std::move(family));
//   }));
//
// Nothing is checked here; the registry leaves out what breaks a rule and says so. Threads: all.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "narthex/client/collector.h"
#include "narthex/client/metric_family.h"

namespace narthex::client {

MetricFamily MakeFamily(MetricType type, std::string name, std::string help, std::string unit = {});

// What comes with some samples only.
struct SampleOptions {
  // When the value was measured; leave out for "now", as all numbers of the own process are.
  std::optional<int64_t> timestamp_ms = {};
  std::optional<Timestamp> created = {};  // Counters: when they were 0.
  ExemplarPtr exemplar = {};              // Counters.
};

// Appends a series to a family of counters, gauges, untyped metrics, infos or states.
void AddSample(MetricFamily& family, Labels labels, double value, SampleOptions options = {});
void AddHistogram(MetricFamily& family, Labels labels, HistogramValue value,
                  std::optional<int64_t> timestamp_ms = {});
void AddSummary(MetricFamily& family, Labels labels, SummaryValue value,
                std::optional<int64_t> timestamp_ms = {});
// Classic buckets: ascending upper bounds, each with the number of observations up to it.
HistogramValue MakeHistogramValue(uint64_t count, double sum,
                                  const std::vector<std::pair<double, uint64_t>>& cumulative);

// A collector that calls `collect`; any thread, several at a time. Without descriptions it is
// unchecked (see Collector::Describe).
std::shared_ptr<Collector> MakeCollector(std::function<void(std::vector<MetricFamily>&)> collect,
                                         std::vector<Description> descriptions = {});

// The same families with a prefix before their names and more labels on each series.
std::shared_ptr<Collector> WrapCollector(std::shared_ptr<Collector> collector, std::string prefix,
                                         Labels labels = {});

}  // namespace narthex::client
