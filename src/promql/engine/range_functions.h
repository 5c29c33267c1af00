// Functions over range vectors: rate, *_over_time and the like, one series at a time.
// Specification: parity/promql.md sections 5 and 6.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "promql/engine/annotations.h"
#include "promql/engine/cancellation.h"
#include "promql/engine/range_points.h"
#include "promql/engine/sample_stats.h"
#include "promql/engine/step_column.h"
#include "promql/engine/window_plan.h"

namespace narthex::promql {

enum class RangeFunction : uint8_t {
  kAbsentOverTime,
  kAvgOverTime,
  kChanges,
  kCountOverTime,
  kDelta,
  kDeriv,
  kDoubleExponentialSmoothing,
  kFirstOverTime,
  kIdelta,
  kIncrease,
  kIntegral,
  kIrate,
  kLastOverTime,
  kMadOverTime,
  kMaxOverTime,
  kMinOverTime,
  kPredictLinear,
  kPresentOverTime,
  kQuantileOverTime,
  kRate,
  kResets,
  kStddevOverTime,
  kStdvarOverTime,
  kSumOverTime,
  kTsOfFirstOverTime,
  kTsOfLastOverTime,
  kTsOfMaxOverTime,
  kTsOfMinOverTime,
};
std::optional<RangeFunction> FindRangeFunction(std::string_view name);
// Whether the result keeps the name of the series.
constexpr bool KeepsName(RangeFunction function) {
  return function == RangeFunction::kFirstOverTime || function == RangeFunction::kLastOverTime;
}

enum class Selection : uint8_t { kPlain, kAnchored, kSmoothed };

// One call with everything that is the same for all series.
struct RangeCall {
  RangeFunction function = RangeFunction::kRate;
  WindowShape shape;
  Selection selection = Selection::kPlain;
  int64_t lookback_ms = 0;
  bool start_timestamps = false;
  PositionRange position;   // Of the first argument.
  PositionRange position1;  // Of the second.
  // Scalar arguments in order, one value a step.
  std::array<const std::vector<double>*, 2> scalars = {};
};

// What a series cost, for the accounts.
struct WindowCounts {
  SampleStats* stats = nullptr;      // Gets what windows consumed; null: of no interest.
  size_t window_max = 0;             // Samples of the largest window.
  size_t window_last = 0;            // Of the last one.
  WindowPlanCache* plans = nullptr;  // Null: windows are walked for each series.
  const Cancellation* cancellation = nullptr;
};

// Evaluates the call over one series; `out` is empty before. `metric` is the series' name.
Status EvalRangeFunction(const RangeCall& call, std::string_view metric, const Points& points,
                         StepColumn* out, Annotations* annotations, WindowCounts* counts);

// ---------------------------------------------------------------------------------------------
// For the files that implement it.
// ---------------------------------------------------------------------------------------------
namespace range_internal {

// The state of evaluating one series.
struct SeriesEval {
  const RangeCall& call;
  std::string_view metric;
  const Points& points;
  StepColumn* out;
  Annotations* annotations;
  Status status;

  // Positions in the floats where a counter was reset, and where start times overlap; filled once
  // a series, so that a window costs only the resets in it.
  std::vector<uint32_t> resets = {};
  size_t first_reset = 0;
  std::vector<uint32_t> overlaps = {};
  // Positions in the histograms where more than growth happened: a reset, another schema, a gauge.
  // Filled if no start is known; between them nothing but the ends of a window matters.
  bool plain_histograms = false;
  std::vector<uint32_t> histogram_breaks = {};
  size_t first_histogram_break = 0;
  // changes() and resets(): events up to and including position i.
  std::vector<uint32_t> events = {};
  // Minima and maxima: position of the best float of the last window, and the end of that window.
  size_t extreme = 0;
  size_t extreme_end = 0;
  std::vector<double> scratch = {};

  double Scalar(size_t index, size_t step) const { return (*call.scalars[index])[step]; }
  void Set(const Window& window, double value) { out->Set(window.step, value); }
  void Set(const Window& window, FloatHistogram histogram) {
    out->SetHistogram(window.step, std::make_shared<const FloatHistogram>(std::move(histogram)));
  }
};

// Whether a histogram operation worked; annotates or fails the evaluation otherwise.
bool Merged(SeriesEval* eval, const Result<HistogramMerge>& merge, HistogramOperation operation,
            PositionRange position);

// Start timestamps: whether the current sample begins a new life of the counter.
bool IsStartReset(int64_t previous_start, int64_t previous_time, int64_t start, int64_t time);
// Whether it does after time `t`.
bool IsStartResetAfter(int64_t t, int64_t start, int64_t time);

void PrepareCounter(SeriesEval* eval);
// rate(), increase() and delta() of floats without start timestamps, all steps in one loop: what
// dashboards ask for most.
void FloatRateColumn(const RangeCall& call, const FloatPoints& floats, bool is_counter,
                     bool is_rate, StepColumn* out, WindowCounts* counts);
// The same for irate() and idelta().
void FloatInstantRateColumn(const RangeCall& call, const FloatPoints& floats, bool is_rate,
                            StepColumn* out, WindowCounts* counts);
// Least squares; the intercept is the value at `intercept_ms`. Two samples at least.
struct Line {
  double slope = 0;
  double intercept = 0;
};
Line FitLine(const int64_t* times, const double* values, size_t size, int64_t intercept_ms);
// deriv() and predict_linear() of floats, all steps in one loop.
Status FloatTrendColumn(const RangeCall& call, const FloatPoints& floats, StepColumn* out,
                        WindowCounts* counts);
// sum_over_time() and avg_over_time() of one sample or more, and of all steps.
double SumOf(const double* values, size_t size);
double AvgOf(const double* values, size_t size);
Status FloatSumColumn(const RangeCall& call, const FloatPoints& floats, StepColumn* out,
                      WindowCounts* counts);
// Extremes, ends and counts of floats, all steps in one loop. False: another function.
bool FloatPickColumn(const RangeCall& call, const FloatPoints& floats, StepColumn* out,
                     WindowCounts* counts);
// Tells the accounts about the windows of a plan.
void CountWindows(const WindowPlan& plan, WindowCounts* counts);
void ExtrapolatedRate(SeriesEval* eval, const Window& window, bool is_counter, bool is_rate);
void ExtendedRate(SeriesEval* eval, const Window& window, bool is_counter, bool is_rate);
void InstantRate(SeriesEval* eval, const Window& window, bool is_rate);
void HistogramSumOverTime(SeriesEval* eval, const Window& window);
void HistogramAvgOverTime(SeriesEval* eval, const Window& window);

// A bare range selector with anchored or smoothed: points at exactly the ends of the window.
void ExtendFloats(const Window& window, int64_t lookback_start, bool smoothed,
                  storage::SampleColumns* out);

// Linear interpolation of instant selectors with smoothed.
double Interpolate(int64_t t1, double v1, int64_t t2, double v2, int64_t t, bool is_counter);
// Empty when the histograms do not go together: annotated.
std::optional<FloatHistogram> InterpolateHistograms(const FloatHistogram& h1, int64_t t1,
                                                    const FloatHistogram& h2, int64_t t2, int64_t t,
                                                    bool is_counter, std::string_view metric,
                                                    PositionRange position,
                                                    Annotations* annotations, Status* status);

}  // namespace range_internal
}  // namespace narthex::promql
