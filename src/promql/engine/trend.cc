// deriv() and predict_linear() of floats, all steps of a series in one loop.
//
// Least squares needs four compensated sums over each window: of x, x*x, y and x*y, where x are the
// sample times relative to the intercept. Sums that start anew at each window cannot be slid
// without changing their last bits, but those of x alone depend on the distances of the samples
// only: where samples lie evenly, they are the same from step to step and from series to series,
// and are taken from a table. What is left, y and x*y, is summed for two steps at once.
#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "promql/engine/kahan.h"
#include "promql/engine/range_functions.h"

namespace narthex::promql::range_internal {
namespace {

// The sums of x and of x*x, with their error terms taken in.
struct TimeSums {
  double x = 0;
  double xx = 0;
};

double RelativeSeconds(int64_t time, int64_t intercept_ms) {
  return static_cast<double>(time - intercept_ms) / 1e3;
}

// The result of upstream's linearRegression; the intercept is the value at x == 0.
Line Solve(const TimeSums& times, double y_sum, double xy_sum, double n) {
  const double covariance = xy_sum - times.x * y_sum / n;
  const double variance = times.xx - times.x * times.x / n;
  Line line;
  line.slope = covariance / variance;
  line.intercept = y_sum / n - line.slope * times.x / n;
  return line;
}

// The line through equal values.
Line Flat(double value) {
  if (std::isinf(value)) return {std::nan(""), std::nan("")};
  return {0, value};
}

bool IsConstant(const double* values, size_t size) {
  for (size_t i = 1; i < size; ++i) {
    if (!(values[i] == values[0])) return false;
  }
  return true;
}

TimeSums SumTimes(const double* x, size_t size) {
  Pair sums{}, errors{};
  for (size_t i = 0; i < size; ++i) KahanIncPair(Pair{x[i], x[i] * x[i]}, &sums, &errors);
  sums += errors;
  return {sums[0], sums[1]};
}

// What one step still needs: its values, and the relative times that belong to them.
struct FitInput {
  const double* x;
  const double* y;
};
struct ValueSums {
  double y = 0;
  double xy = 0;
};

void SumValues(const FitInput& input, size_t size, ValueSums* out) {
  Pair sums{}, errors{};
  for (size_t i = 0; i < size; ++i) {
    KahanIncPair(Pair{input.y[i], input.x[i] * input.y[i]}, &sums, &errors);
  }
  sums += errors;
  *out = {sums[0], sums[1]};
}

// Of two windows of one size: their sums do not wait for each other.
void SumValuesOfTwo(const FitInput (&inputs)[2], size_t size, ValueSums* out) {
  Pair sums[2] = {};
  Pair errors[2] = {};
  for (size_t i = 0; i < size; ++i) {
    for (size_t k = 0; k < 2; ++k) {
      const double y = inputs[k].y[i];
      KahanIncPair(Pair{y, inputs[k].x[i] * y}, &sums[k], &errors[k]);
    }
  }
  for (size_t k = 0; k < 2; ++k) {
    sums[k] += errors[k];
    out[k] = {sums[k][0], sums[k][1]};
  }
}

// Relative times of windows of evenly spaced samples, with their sums. Few differ: as many as there
// are positions of a step between two samples.
class EvenTimes {
 public:
  struct Entry {
    int64_t first_ms = 0;  // Relative to the intercept.
    int64_t distance_ms = 0;
    std::vector<double> x;
    TimeSums sums;
  };

  // Null when there is none.
  const Entry* Find(int64_t first_ms, int64_t distance_ms, size_t size) const {
    for (const std::unique_ptr<Entry>& entry : entries_) {
      if (entry->first_ms == first_ms && entry->distance_ms == distance_ms &&
          entry->x.size() == size) {
        return entry.get();
      }
    }
    return nullptr;
  }
  // The oldest entry may make room for it: none may be in use.
  const Entry& Make(int64_t first_ms, int64_t distance_ms, size_t size) {
    if (entries_.size() < kEntriesMax) {
      entries_.push_back(std::make_unique<Entry>());
    } else {
      std::rotate(entries_.begin(), entries_.begin() + 1, entries_.end());
    }
    Entry& entry = *entries_.back();
    entry.first_ms = first_ms;
    entry.distance_ms = distance_ms;
    entry.x.resize(size);
    for (size_t i = 0; i < size; ++i) {
      entry.x[i] = RelativeSeconds(first_ms + static_cast<int64_t>(i) * distance_ms, 0);
    }
    entry.sums = SumTimes(entry.x.data(), size);
    return entry;
  }

 private:
  static constexpr size_t kEntriesMax = 8;
  std::vector<std::unique_ptr<Entry>> entries_;
};

// For each sample the first of the evenly spaced ones that it ends.
std::vector<uint32_t> EvenSince(const FloatPoints& floats) {
  std::vector<uint32_t> since(floats.size);
  for (size_t i = 1; i < floats.size; ++i) {
    const bool goes_on =
        i >= 2 && floats.t[i] - floats.t[i - 1] == floats.t[i - 1] - floats.t[i - 2];
    since[i] = goes_on ? since[i - 1] : static_cast<uint32_t>(i - 1);
  }
  return since;
}

}  // namespace

Line FitLine(const int64_t* times, const double* values, size_t size, int64_t intercept_ms) {
  if (IsConstant(values, size)) return Flat(values[0]);
  Pair first{}, first_c{}, second{}, second_c{};
  for (size_t i = 0; i < size; ++i) {
    const double x = RelativeSeconds(times[i], intercept_ms);
    const Pair xy = {x, values[i]};
    KahanIncPair(xy, &first, &first_c);
    KahanIncPair(xy * Pair{x, x}, &second, &second_c);
  }
  first += first_c;
  second += second_c;
  return Solve({first[0], second[0]}, first[1], second[1], static_cast<double>(size));
}

Status FloatTrendColumn(const RangeCall& call, const FloatPoints& floats, StepColumn* out,
                        WindowCounts* counts) {
  const WindowPlan& plan = counts->plans->Find(call.shape, false, floats);
  CountWindows(plan, counts);
  const bool predicts = call.function == RangeFunction::kPredictLinear;
  const std::vector<uint32_t> even_since = EvenSince(floats);
  EvenTimes even_times;
  double* values = out->values();
  const auto store = [&](size_t step, const Line& line) {
    values[step] = predicts ? line.slope * (*call.scalars[0])[step] + line.intercept : line.slope;
  };

  // A step that waits for another with as many samples.
  struct Waiting {
    size_t step = 0;
    size_t size = 0;  // 0: none waits.
    FitInput input{};
    TimeSums times;
  };
  Waiting waiting;
  const auto finish = [&](const Waiting& fit, const ValueSums& sums) {
    store(fit.step, Solve(fit.times, sums.y, sums.xy, static_cast<double>(fit.size)));
  };
  const auto finish_waiting = [&] {
    if (waiting.size == 0) return;
    ValueSums sums;
    SumValues(waiting.input, waiting.size, &sums);
    finish(waiting, sums);
    waiting.size = 0;
  };

  CancelMeter meter(counts->cancellation);
  for (size_t w = 0; w < out->words(); ++w) {
    out->present()[w] = plan.present[w];
    size_t work = 0;
    ForEachBit(plan.present[w], w * 64, [&](size_t step) {
      const auto [first, last] = plan.steps[step];
      const size_t size = size_t{last} - first + 1;
      const double* y = floats.v + first;
      const int64_t* t = floats.t + first;
      const int64_t intercept = predicts ? call.shape.grid.TimeAt(step) : t[0];
      work += size;
      if (IsConstant(y, size)) {
        store(step, Flat(y[0]));
        return;
      }
      if (even_since[last] > first) {
        store(step, FitLine(t, y, size, intercept));
        return;
      }
      const EvenTimes::Entry* times = even_times.Find(t[0] - intercept, t[1] - t[0], size);
      if (times == nullptr) {
        finish_waiting();
        times = &even_times.Make(t[0] - intercept, t[1] - t[0], size);
      }
      const Waiting fit{step, size, {times->x.data(), y}, times->sums};
      if (waiting.size != size) {
        finish_waiting();
        waiting = fit;
        return;
      }
      ValueSums sums[2];
      SumValuesOfTwo({waiting.input, fit.input}, size, sums);
      finish(waiting, sums[0]);
      finish(fit, sums[1]);
      waiting.size = 0;
    });
    NARTHEX_RETURN_IF_ERROR(meter.Spend(work));
  }
  finish_waiting();
  return {};
}

}  // namespace narthex::promql::range_internal
