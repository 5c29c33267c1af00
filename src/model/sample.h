// What travels with a series: exemplars and metadata.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "model/labels.h"

namespace narthex {

struct Exemplar {
  Labels labels;
  double value = 0;
  int64_t timestamp_ms = 0;
  bool has_timestamp = false;
  friend bool operator==(const Exemplar&, const Exemplar&) = default;
};

// In the numbering of the WAL's metadata record.
enum class MetricType : uint8_t {
  kUnknown = 0,
  kCounter = 1,
  kGauge = 2,
  kHistogram = 3,
  kGaugeHistogram = 4,
  kSummary = 5,
  kInfo = 6,
  kStateset = 7,
};
// "counter", "gauge", …, "unknown".
std::string_view MetricTypeName(MetricType type);

struct Metadata {
  MetricType type = MetricType::kUnknown;
  std::string unit;
  std::string help;
  friend bool operator==(const Metadata&, const Metadata&) = default;
};

}  // namespace narthex
