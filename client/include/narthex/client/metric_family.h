// The neutral form of collected metrics: what collectors produce, what the exposition writers
// write and the text reader reads. It says the same as the protobuf messages of
// io.prometheus.client, without protobuf.
//
// Units: timestamps of samples are milliseconds since the Unix epoch; created and exemplar
// timestamps are seconds and nanoseconds. Plain values, for one thread at a time; histograms and
// summaries are immutable once published, so copies of a family share them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "narthex/client/labels.h"

namespace narthex::client {

enum class MetricType : unsigned char {
  kCounter = 0,  // The first six have the numbers of the protobuf enumeration.
  kGauge = 1,
  kSummary = 2,
  kUntyped = 3,
  kHistogram = 4,
  kGaugeHistogram = 5,
  kInfo,      // A gauge for every format but OpenMetrics.
  kStateSet,  // Likewise.
};

struct Timestamp {
  int64_t seconds = 0;
  int32_t nanos = 0;  // [0, 999'999'999], also before 1970.

  static Timestamp FromUnixNanos(int64_t nanos_since_epoch) {
    int64_t seconds = nanos_since_epoch / 1'000'000'000;
    int64_t rest = nanos_since_epoch % 1'000'000'000;
    if (rest < 0) {
      rest += 1'000'000'000;
      --seconds;
    }
    return {seconds, static_cast<int32_t>(rest)};
  }
  static Timestamp Now();
  // The nearest double, as Go's float64(UnixNano())/1e9 has it.
  double UnixSeconds() const { return static_cast<double>(seconds * 1'000'000'000 + nanos) / 1e9; }
  friend bool operator==(Timestamp a, Timestamp b) {
    return a.seconds == b.seconds && a.nanos == b.nanos;
  }
};

// A pointer from an aggregate to one event behind it, usually a trace.
struct Exemplar {
  LabelSet labels;
  double value = 0;
  std::optional<Timestamp> timestamp;
};
using ExemplarPtr = std::shared_ptr<const Exemplar>;

struct CounterValue {
  double value = 0;
  ExemplarPtr exemplar;  // May be null.
  std::optional<Timestamp> created;
};
struct GaugeValue {
  double value = 0;
};
struct UntypedValue {
  double value = 0;
};

struct Quantile {
  double quantile = 0;  // [0, 1]
  double value = 0;     // NaN: nothing was observed in the window.
};
struct SummaryValue {
  uint64_t sample_count = 0;
  double sample_sum = 0;
  std::vector<Quantile> quantiles;
  std::optional<Timestamp> created;
};

struct Bucket {
  double upper_bound = 0;
  uint64_t cumulative_count = 0;
  double cumulative_count_float = 0;  // Not 0: takes the place of cumulative_count.
  ExemplarPtr exemplar;
};

// Buckets of a native histogram: `length` buckets in a row, `offset` after the span before.
struct BucketSpan {
  int32_t offset = 0;
  uint32_t length = 0;
};
struct NativeBuckets {
  int32_t schema = 0;
  double zero_threshold = 0;
  uint64_t zero_count = 0;
  double zero_count_float = 0;
  // Counts of integer histograms are deltas from bucket to bucket, of float histograms absolute.
  std::vector<BucketSpan> negative_spans;
  std::vector<int64_t> negative_deltas;
  std::vector<double> negative_counts;
  std::vector<BucketSpan> positive_spans;
  std::vector<int64_t> positive_deltas;
  std::vector<double> positive_counts;
  std::vector<ExemplarPtr> exemplars;
};
struct HistogramValue {
  uint64_t sample_count = 0;
  double sample_count_float = 0;  // Not 0: takes the place of sample_count.
  double sample_sum = 0;
  std::vector<Bucket> buckets;  // Ascending; +Inf may be left out.
  std::optional<NativeBuckets> native;
  std::optional<Timestamp> created;
};

using MetricValue =
    std::variant<std::monostate, CounterValue, GaugeValue, UntypedValue,
                 std::shared_ptr<const SummaryValue>, std::shared_ptr<const HistogramValue>>;

struct Metric {
  LabelSet labels;
  MetricValue value;
  std::optional<int64_t> timestamp_ms;
};

struct MetricFamily {
  std::string name;
  std::optional<std::string> help;
  MetricType type = MetricType::kUntyped;
  std::optional<std::string> unit;
  std::vector<Metric> metrics;
};

}  // namespace narthex::client
