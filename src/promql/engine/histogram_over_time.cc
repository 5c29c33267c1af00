// sum_over_time() and avg_over_time() of native histograms.
#include <optional>

#include "promql/engine/range_functions.h"

namespace narthex::promql::range_internal {
namespace {

// What is told once a window, however many histograms met.
struct Observed {
  bool reset = false;
  bool not_reset = false;
  bool reconciled = false;

  void Hint(const FloatHistogram& histogram) {
    reset = reset || histogram.counter_reset_hint == CounterResetHint::kReset;
    not_reset = not_reset || histogram.counter_reset_hint == CounterResetHint::kNotReset;
  }
  void Annotate(SeriesEval* eval) const {
    if (reset && not_reset) {
      eval->annotations->CounterResetCollision(HistogramOperation::kAggregation,
                                               eval->call.position);
    }
    if (reconciled) {
      eval->annotations->MismatchedCustomBuckets(HistogramOperation::kAggregation,
                                                 eval->call.position);
    }
  }
};

bool Note(SeriesEval* eval, const Result<HistogramMerge>& merge, Observed* observed) {
  if (merge.ok()) {
    observed->reconciled = observed->reconciled || merge->bounds_reconciled;
    return true;
  }
  if (merge.status().message() == kIncompatibleSchemasText) {
    eval->annotations->MixedExponentialCustom(eval->metric, eval->call.position);
  } else {
    eval->status = merge.status();
  }
  return false;
}

}  // namespace

void HistogramSumOverTime(SeriesEval* eval, const Window& window) {
  Observed observed;
  FloatHistogram sum = window.h(0);
  observed.Hint(sum);
  std::optional<FloatHistogram> compensation;
  for (size_t i = 1; i < window.histograms(); ++i) {
    observed.Hint(window.h(i));
    if (!Note(eval, KahanAddHistogram(&sum, window.h(i), &compensation), &observed)) return;
  }
  if (compensation.has_value() && !Note(eval, AddHistogram(&sum, *compensation), &observed)) {
    return;
  }
  observed.Annotate(eval);
  eval->Set(window, std::move(sum));
}

void HistogramAvgOverTime(SeriesEval* eval, const Window& window) {
  Observed observed;
  FloatHistogram sum = window.h(0);
  observed.Hint(sum);
  std::optional<FloatHistogram> compensation;
  FloatHistogram mean;
  bool incremental = false;
  double count = 1;
  for (size_t i = 1; i < window.histograms(); ++i) {
    const FloatHistogram& histogram = window.h(i);
    observed.Hint(histogram);
    count = static_cast<double>(i + 1);
    if (!incremental) {
      FloatHistogram new_sum = sum;
      std::optional<FloatHistogram> new_compensation = compensation;
      if (!Note(eval, KahanAddHistogram(&new_sum, histogram, &new_compensation), &observed)) {
        return;
      }
      if (!HasOverflow(new_sum)) {
        sum = std::move(new_sum);
        compensation = std::move(new_compensation);
        continue;
      }
      incremental = true;
      mean = sum;
      DivHistogram(&mean, count - 1);
      if (compensation.has_value()) DivHistogram(&*compensation, count - 1);
    }
    const double q = (count - 1) / count;
    if (compensation.has_value()) MulHistogram(&*compensation, q);
    FloatHistogram part = histogram;
    DivHistogram(&part, count);
    MulHistogram(&mean, q);
    if (!Note(eval, KahanAddHistogram(&mean, part, &compensation), &observed)) return;
  }
  if (!incremental) {
    mean = std::move(sum);
    DivHistogram(&mean, count);
    if (compensation.has_value()) DivHistogram(&*compensation, count);
  }
  if (compensation.has_value() && !Note(eval, AddHistogram(&mean, *compensation), &observed)) {
    return;
  }
  observed.Annotate(eval);
  eval->Set(window, std::move(mean));
}

}  // namespace narthex::promql::range_internal
