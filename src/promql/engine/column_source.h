// Series whose columns are made one by one, so that they need not all exist at once.
//
// A selector, and a range function or a float function over one, can make the column of any of its
// series independently of the others: on any thread, in any order. Whoever consumes them either
// keeps them all (Materialize) or folds each into something smaller and lets it go (aggregations):
//
//   batch of series ──ParallelFor── columns ──in series order── consumer ── next batch
//
// The consumer always sees the series in their order, so sums do not depend on the threads.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "promql/engine/annotations.h"
#include "promql/engine/range_points.h"
#include "promql/engine/sample_stats.h"
#include "promql/engine/value.h"
#include "promql/engine/window_plan.h"
#include "util/status.h"

namespace narthex::promql {

// What one series did to the accounts; added up in series order.
struct SeriesCost {
  size_t window_max = 0;
  size_t window_last = 0;
  size_t samples = 0;  // In the column, as upstream weighs them.
};

// Of one worker, used again from series to series.
struct WorkerState {
  explicit WorkerState(SampleStats counted) : stats(std::move(counted)) {}
  PointBuffer points;
  WindowPlanCache plans;  // Of the one source that the worker computes.
  storage::SampleColumns raw;
  Annotations annotations;
  SampleStats stats;
};

class ColumnSource {
 public:
  virtual ~ColumnSource() = default;
  virtual size_t size() const = 0;
  // As they come from below; drops_metadata() tells whether names and metadata labels are to go.
  virtual const Labels& labels(size_t series) const = 0;
  virtual bool drops_metadata() const = 0;
  // The mark of delayed name removal.
  virtual bool drop_name(size_t series) const = 0;
  // Whether the windows of range selectors count towards the samples in memory.
  virtual bool has_windows() const = 0;
  // What reading a series costs, in units of computing one value.
  static constexpr size_t kReadCost = 64;
  virtual size_t read_cost() const { return kReadCost; }
  // Fills `out`, which is empty and has the grid's steps. Any thread.
  virtual Status Compute(size_t series, WorkerState* worker, StepColumn* out,
                         SeriesCost* cost) const = 0;
};

}  // namespace narthex::promql
