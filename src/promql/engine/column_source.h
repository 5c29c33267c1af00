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
#include <thread>
#include <vector>

#include "promql/engine/annotations.h"
#include "promql/engine/cancellation.h"
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

// Selected series, and what their handles take. Selectors that ask for the same share one.
struct SelectedSeries {
  std::vector<std::unique_ptr<storage::Series>> series;
  MemoryHold memory;
};
struct SeriesList {
  std::shared_ptr<const SelectedSeries> owner;
  std::span<const std::unique_ptr<storage::Series>> series;

  SeriesList() = default;
  explicit SeriesList(SelectedSeries selected)
      : owner(std::make_shared<const SelectedSeries>(std::move(selected))), series(owner->series) {}
};

// Of one worker, used again from series to series.
struct WorkerState {
  WorkerState(SampleStats counted, const Cancellation* ends)
      : stats(std::move(counted)), cancellation(ends) {}
  PointBuffer points;
  WindowPlanCache plans;  // Of the one source that the worker computes.
  storage::SampleColumns raw;
  Annotations annotations;
  SampleStats stats;
  const Cancellation* cancellation;
  // Only while the query is analysed: the thread, its time, and what of that reading took.
  bool measured = false;
  std::thread::id thread;
  int64_t busy_ns = 0;
  int64_t read_ns = 0;
  int64_t samples_read = 0;
};

class ColumnSource {
 public:
  // The operator that the columns belong to, and the selector below it if that is another one.
  explicit ColumnSource(const Expr* made_by = nullptr, const Expr* reads = nullptr)
      : made_by_(made_by), reads_(reads) {}
  virtual ~ColumnSource() = default;
  const Expr* made_by() const { return made_by_; }
  const Expr* reads() const { return reads_; }
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

 private:
  const Expr* made_by_;
  const Expr* reads_;
};

}  // namespace narthex::promql
