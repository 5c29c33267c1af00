// Samples of one series as a range function sees them: floats and histograms apart, stale markers
// gone, and the windows that slide over them.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "promql/engine/query_result.h"
#include "promql/engine/value.h"
#include "storage/storage.h"

namespace narthex::promql {

// Views into a PointBuffer or a store's columns. Start timestamps are null when none are known.
struct FloatPoints {
  const int64_t* t = nullptr;
  const double* v = nullptr;
  const int64_t* st = nullptr;
  size_t size = 0;
  int64_t start(size_t i) const { return st == nullptr ? 0 : st[i]; }
};
struct HistogramPoints {
  const int64_t* t = nullptr;
  const HistogramPtr* h = nullptr;
  const int64_t* st = nullptr;
  size_t size = 0;
  int64_t start(size_t i) const { return st == nullptr ? 0 : st[i]; }
};
struct Points {
  FloatPoints floats;
  HistogramPoints histograms;
};

struct WindowShape;

// Reads series into points; its memory is used again for the next series.
class PointBuffer {
 public:
  // All samples of a store's series. With `histogram_stats` histograms shrink to count and sum,
  // with counter resets found out on the way; `windows` (optional) tells which are read.
  Status Load(const storage::Series& series, bool histogram_stats, Points* points,
              const WindowShape* windows = nullptr);
  // The steps of a subquery's series.
  void Load(const StepColumn& column, const StepGrid& grid, Points* points);

 private:
  storage::SampleColumns raw_;
  std::vector<int64_t> float_times_;
  std::vector<double> float_values_;
  std::vector<int64_t> float_starts_;
  std::vector<int64_t> histogram_times_;
  std::vector<HistogramPtr> histograms_;
  std::vector<int64_t> histogram_starts_;
};

// Replaces histograms by their count, sum and schema. Where the hint is unknown the comparison with
// the sample before tells "reset" or "not reset"; `original_hints` (optional) gets what was there.
// Upstream skips samples between windows that lie far apart and knows nothing about the first one
// behind such a gap; so does this when `windows` are given.
void ReduceToStats(storage::SampleColumns* samples, std::vector<CounterResetHint>* original_hints,
                   const WindowShape* windows = nullptr);

// One window: points [f0, f1) of the floats, [h0, h1) of the histograms.
struct Window {
  const Points* points = nullptr;
  size_t f0 = 0;
  size_t f1 = 0;
  size_t h0 = 0;
  size_t h1 = 0;
  int64_t start_ms = 0;  // Exclusive; of the range itself, also where the window reaches further.
  int64_t end_ms = 0;    // Inclusive.
  int64_t time_ms = 0;   // Of evaluation.
  size_t step = 0;

  size_t floats() const { return f1 - f0; }
  size_t histograms() const { return h1 - h0; }
  bool mixed() const { return f1 > f0 && h1 > h0; }
  const int64_t* ft() const { return points->floats.t + f0; }
  const double* fv() const { return points->floats.v + f0; }
  const int64_t* ht() const { return points->histograms.t + h0; }
  const FloatHistogram& h(size_t i) const { return *points->histograms.h[h0 + i]; }
  int64_t float_start(size_t i) const { return points->floats.start(f0 + i); }
  int64_t histogram_start(size_t i) const { return points->histograms.start(h0 + i); }
  bool has_float_starts() const { return points->floats.st != nullptr; }
  bool has_histogram_starts() const { return points->histograms.st != nullptr; }
};

// Where the windows of a range selector lie.
struct WindowShape {
  StepGrid grid;
  int64_t range_ms = 0;
  int64_t offset_ms = 0;
  std::optional<int64_t> at_ms;  // Every step sees the window at this time.
  int64_t extend_back_ms = 0;    // anchored, smoothed
  int64_t extend_ahead_ms = 0;   // smoothed

  int64_t EndAt(size_t step) const { return at_ms.value_or(grid.TimeAt(step)) - offset_ms; }
};

// Calls visit(window) for every step, ascending; empty windows included.
template <typename Visit>
void SlideWindows(const WindowShape& shape, const Points& points, Visit&& visit) {
  Window window;
  window.points = &points;
  const FloatPoints& floats = points.floats;
  const HistogramPoints& histograms = points.histograms;
  const size_t steps = shape.grid.steps();
  for (size_t step = 0; step < steps; ++step) {
    window.step = step;
    window.time_ms = shape.grid.TimeAt(step);
    window.end_ms = shape.EndAt(step);
    window.start_ms = window.end_ms - shape.range_ms;
    const int64_t low = window.start_ms - shape.extend_back_ms;
    const int64_t high = window.end_ms + shape.extend_ahead_ms;
    if (low < high) {
      while (window.f1 < floats.size && floats.t[window.f1] <= high) ++window.f1;
      while (window.f0 < window.f1 && floats.t[window.f0] <= low) ++window.f0;
      while (window.h1 < histograms.size && histograms.t[window.h1] <= high) ++window.h1;
      while (window.h0 < window.h1 && histograms.t[window.h0] <= low) ++window.h0;
    } else {
      window.f0 = window.f1 = window.h0 = window.h1 = 0;
    }
    visit(window);
  }
}

}  // namespace narthex::promql
