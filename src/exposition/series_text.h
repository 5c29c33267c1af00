// What the two line formats share: where the parts of a series lie in the body, and how they become
// labels.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/labels.h"
#include "model/sample.h"
#include "util/status.h"

namespace narthex::exposition {

// Tokens of the text formats; the names are part of error texts.
enum class Token : uint8_t {
  kInvalid,
  kEof,
  kLinebreak,
  kWhitespace,
  kHelp,
  kType,
  kUnit,
  kEofWord,
  kText,
  kComment,
  kMetricName,
  kQuoted,
  kBraceOpen,
  kBraceClose,
  kLabelName,
  kLabelValue,
  kComma,
  kEqual,
  kTimestamp,
  kValue,
  // OpenMetrics 2 only; the fields of composite values in the order of CompositeField.
  kStartTimestamp,
  kCompositeOpen,
  kCompositeClose,
  kFieldCount,
  kFieldGaugeCount,
  kFieldSum,
  kFieldGaugeSum,
  kFieldSchema,
  kFieldZeroThreshold,
  kFieldZeroCount,
  kFieldNegativeSpans,
  kFieldNegativeBuckets,
  kFieldPositiveSpans,
  kFieldPositiveBuckets,
  kFieldBucket,
  kFieldQuantile,
};
std::string_view TokenName(Token token);

// A part of the body.
struct Slice {
  size_t begin = 0;
  size_t end = 0;
};

struct SeriesParts {
  bool has_name = false;
  Slice name;
  // Name, value, name, value …
  std::vector<Slice> labels;

  void Clear() {
    has_name = false;
    labels.clear();
  }
};

// Replaces \", \\ and \n; other backslashes stay. `scratch` holds the result when there is one.
std::string_view Unescape(std::string_view text, std::string* scratch);
// The same for help texts of the classic format, in which \" stays.
std::string_view UnescapeHelp(std::string_view text, std::string* scratch);

// "1" -> "1.0" for le of histograms and quantile of summaries; otherwise `value` itself.
std::string_view NormalizeBound(MetricType type, std::string_view label, std::string_view value,
                                std::string* scratch);

// Type and unit of the family when they shall become labels.
struct MetadataLabels {
  bool enabled = false;
  MetricType type = MetricType::kUnknown;
  std::string_view unit;
};

// Labels of a series; duplicates of a name are kept beside each other.
Labels BuildSeriesLabels(std::string_view body, const SeriesParts& parts, MetricType type,
                         const MetadataLabels& metadata);
// Labels of an exemplar; escapes are left as they are, as upstream does.
Labels BuildExemplarLabels(std::string_view body, const std::vector<Slice>& labels);
// Sorts by name, keeps duplicates, drops empty values.
Labels SortedLabels(std::vector<LabelView>* pairs);

// strconv.ParseFloat without the forms that Go 1.13 added; errors in its words.
Result<double> ParseSampleValue(std::string_view text);
Result<int64_t> ParseIntegerTimestamp(std::string_view text);
// OpenMetrics writes seconds; truncated, and the smallest integer where it does not fit, as in Go.
int64_t SecondsToMillis(double seconds);

MetricType MetricTypeFromName(std::string_view name, bool* known);

}  // namespace narthex::exposition
