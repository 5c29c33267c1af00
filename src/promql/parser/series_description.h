// Series descriptions, the notation in which test scripts and rule unit tests write series:
//
//   up{job="x"} 1 1+2x3 _ _x2 stale {{schema:0 sum:5 count:4 buckets:[1 2 1]}}x3
//
// A repetition xN stands for N+1 values (N+1 because the first one is counted as well), except that
// _xN stands for N. Specification: parity/promql.md, end of section 2 and section 17.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "model/histogram.h"
#include "model/labels.h"
#include "promql/parser/parser.h"
#include "util/status.h"

namespace narthex::promql {

struct SequenceValue {
  bool omitted = false;
  double value = 0;                                 // The stale marker for `stale`.
  std::shared_ptr<const FloatHistogram> histogram;  // Set: a histogram instead of `value`.
  // The counter reset hint was written down; test scripts compare it only then.
  bool hint_written = false;
};

struct SeriesDescription {
  Labels labels;
  std::vector<SequenceValue> values;
};

// The values that one description may stand for.
inline constexpr size_t kSequenceValuesMax = 10'000'000;

// `line_offset` is added to the line number in error texts, for descriptions inside a script.
Result<SeriesDescription> ParseSeriesDescription(std::string_view text,
                                                 const ParserOptions& options = {},
                                                 std::vector<ParseError>* errors = nullptr,
                                                 int line_offset = 0);
// Only the metric: `up{job="x"}`.
Result<Labels> ParseMetric(std::string_view text, const ParserOptions& options = {});

// Start timestamps of the samples on the line that follows, as offsets from each sample's time:
//
//   requests_total{job="x"}@st  _ _x2 -1m -30sx3 -1m+10sx4
struct StartTimestampLine {
  Labels labels;
  std::vector<SequenceValue> offsets;  // Milliseconds in `value`, or omitted.
};
bool IsStartTimestampLine(std::string_view line);
Result<StartTimestampLine> ParseStartTimestampLine(std::string_view line,
                                                   const ParserOptions& options = {});

}  // namespace narthex::promql
