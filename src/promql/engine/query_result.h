// What a query gives back: a value, annotations, statistics.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/labels.h"
#include "promql/engine/step_column.h"
#include "promql/parser/ast.h"
#include "storage/storage.h"

namespace narthex::promql {

// One element of an instant vector. A histogram when `histogram` is set, else a float.
struct InstantSample {
  Labels labels;
  int64_t timestamp_ms = 0;
  double value = 0;
  HistogramPtr histogram;
};

// One series of a matrix; the samples ascend in time.
struct RangeSeries {
  Labels labels;
  storage::SampleColumns samples;
};

// One series of a range query as the engine made it: one value a step.
struct ColumnSeries {
  Labels labels;
  StepColumn column;
};

// Nanoseconds spent in the parts of a query, as /api/v1/query reports them.
struct QueryTimings {
  int64_t eval_total = 0;
  int64_t result_sort = 0;
  int64_t preparation = 0;
  int64_t inner_eval = 0;
  int64_t queue = 0;
  int64_t exec_total = 0;
};

// (step timestamp in milliseconds, samples)
using StepSamples = std::vector<std::pair<int64_t, int64_t>>;

struct QueryStats {
  QueryTimings timings;
  int64_t total_queryable_samples = 0;
  int64_t samples_read = 0;
  int64_t series_touched = 0;
  int64_t peak_samples = 0;
  int64_t peak_bytes = 0;  // Only with a limit on memory, or when analysed.
  // Only when per-step statistics were asked for and the engine has them enabled.
  StepSamples total_queryable_samples_per_step;
  StepSamples samples_read_per_step;
  bool per_step = false;
};

struct QueryResult {
  // Tells which of the members below holds the value.
  ValueType type = ValueType::kNone;
  // Of scalars and strings.
  int64_t timestamp_ms = 0;
  double scalar = 0;
  std::string string;
  // In evaluation order: sort() and topk() show in it.
  std::vector<InstantSample> vector;
  // Sorted by labels.
  std::vector<RangeSeries> matrix;
  // In place of `matrix` where QueryOptions::columns asks for it: half the memory, and no copying.
  // Sorted by labels; the first step is at `start_ms`.
  std::vector<ColumnSeries> columns;
  int64_t start_ms = 0;
  int64_t step_ms = 0;
  // Deduplicated, with " (line:col)" where they concern a place in the query; ordered by text.
  std::vector<std::string> warnings;
  std::vector<std::string> infos;
  QueryStats stats;
};

// Upstream's API shows at most ten of each kind; `kind` is "warning" or "info".
inline constexpr size_t kAnnotationsMax = 10;
std::vector<std::string> LimitAnnotations(std::vector<std::string> annotations,
                                          std::string_view kind, size_t limit = kAnnotationsMax);

}  // namespace narthex::promql
