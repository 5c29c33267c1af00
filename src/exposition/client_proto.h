// The messages of io.prometheus.client that a target exposes, read from bytes without libprotobuf.
//
// A family's metrics stay undecoded until asked for: a page may be large, one metric is small, and
// its storage is reused. Errors have the words of upstream's decoder.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "model/histogram.h"
#include "util/status.h"

namespace narthex::exposition::proto {

enum class MetricType : int32_t {
  kCounter = 0,
  kGauge = 1,
  kSummary = 2,
  kUntyped = 3,
  kHistogram = 4,
  kGaugeHistogram = 5,
};

struct LabelPair {
  std::string_view name;
  std::string_view value;
};

struct Exemplar {
  std::vector<LabelPair> labels;
  double value = 0;
  std::optional<int64_t> timestamp_ms;
};

struct Quantile {
  double quantile = 0;
  double value = 0;
};

struct Bucket {
  uint64_t cumulative_count = 0;
  double cumulative_count_float = 0;
  double upper_bound = 0;
  std::optional<Exemplar> exemplar;

  double count() const {
    return cumulative_count_float != 0 ? cumulative_count_float
                                       : static_cast<double>(cumulative_count);
  }
};

// Fields of all kinds of metric; the family's type says which of them count.
struct Metric {
  std::vector<std::string_view> encoded_labels;
  int64_t timestamp_ms = 0;
  double value = 0;                  // Counter, gauge, untyped.
  std::optional<int64_t> start_ms;   // Counter, summary, histogram.
  std::optional<Exemplar> exemplar;  // Counter.
  uint64_t sample_count = 0;         // Summary, histogram.
  double sample_count_float = 0;     // Histogram.
  double sample_sum = 0;             // Summary, histogram.
  std::vector<Quantile> quantiles;   // Summary.
  std::vector<Bucket> buckets;       // Histogram.
  int32_t schema = 0;
  double zero_threshold = 0;
  uint64_t zero_count = 0;
  double zero_count_float = 0;
  std::vector<Span> negative_spans;
  std::vector<int64_t> negative_deltas;
  std::vector<double> negative_counts;
  std::vector<Span> positive_spans;
  std::vector<int64_t> positive_deltas;
  std::vector<double> positive_counts;
  std::vector<Exemplar> exemplars;

  double count() const {
    return sample_count_float != 0 ? sample_count_float : static_cast<double>(sample_count);
  }
};

struct Family {
  std::string_view name;
  std::string_view help;
  std::string_view unit;
  MetricType type = MetricType::kCounter;
  std::vector<std::string_view> encoded_metrics;
};

// Takes the next length-prefixed family off `rest`, which is not empty.
Status TakeFamily(std::string_view* rest, Family* family);
Status DecodeMetric(std::string_view bytes, MetricType type, Metric* metric);
// Also checks that name and value are valid.
Status DecodeLabel(std::string_view bytes, LabelPair* label);

}  // namespace narthex::exposition::proto
