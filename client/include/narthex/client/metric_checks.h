// The rules that every series on a page keeps, and the words for those that break them: what
// client_golang checks while it gathers. For gatherers: the registry's own, and those of programs
// that join pages of others.
//
// Threads: all functions are pure.
#pragma once

#include <string>
#include <string_view>

#include "narthex/client/metric_family.h"

namespace narthex::client {

// COUNTER, GAUGE, …: the names of the protobuf enumeration. Info and state set are gauges there.
std::string_view MetricTypeName(MetricType type) noexcept;

// `collected metric "name" { label:{…} … }`, the way messages begin.
std::string DescribeCollected(const std::string& name, const Metric& metric);

// An empty text when the metric may stand in a family of this name and type. Its labels are sorted.
std::string CheckMetric(const std::string& name, MetricType type, const Metric& metric);

// The order on a page: fewer labels first, then by their values, then by time.
bool MetricLess(const Metric& a, const Metric& b);

}  // namespace narthex::client
