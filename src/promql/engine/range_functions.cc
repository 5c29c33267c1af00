#include "promql/engine/range_functions.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "promql/engine/kahan.h"
#include "promql/engine/quantile.h"
#include "util/numbers.h"

namespace narthex::promql {

using range_internal::AvgOf;
using range_internal::FitLine;
using range_internal::Line;
using range_internal::SeriesEval;
using range_internal::SumOf;

std::optional<RangeFunction> FindRangeFunction(std::string_view name) {
  using enum RangeFunction;
  struct Row {
    std::string_view name;
    RangeFunction function;
  };
  static constexpr Row kRows[] = {
      {"absent_over_time", kAbsentOverTime},
      {"avg_over_time", kAvgOverTime},
      {"changes", kChanges},
      {"count_over_time", kCountOverTime},
      {"delta", kDelta},
      {"deriv", kDeriv},
      {"double_exponential_smoothing", kDoubleExponentialSmoothing},
      {"first_over_time", kFirstOverTime},
      {"idelta", kIdelta},
      {"increase", kIncrease},
      {"integral", kIntegral},
      {"irate", kIrate},
      {"last_over_time", kLastOverTime},
      {"mad_over_time", kMadOverTime},
      {"max_over_time", kMaxOverTime},
      {"min_over_time", kMinOverTime},
      {"predict_linear", kPredictLinear},
      {"present_over_time", kPresentOverTime},
      {"quantile_over_time", kQuantileOverTime},
      {"rate", kRate},
      {"resets", kResets},
      {"stddev_over_time", kStddevOverTime},
      {"stdvar_over_time", kStdvarOverTime},
      {"sum_over_time", kSumOverTime},
      {"ts_of_first_over_time", kTsOfFirstOverTime},
      {"ts_of_last_over_time", kTsOfLastOverTime},
      {"ts_of_max_over_time", kTsOfMaxOverTime},
      {"ts_of_min_over_time", kTsOfMinOverTime},
  };
  for (const Row& row : kRows) {
    if (row.name == name) return row.function;
  }
  return std::nullopt;
}

namespace {

// Functions of floats alone: with histograms beside floats an info, with nothing but histograms
// nothing at all. False: no result.
bool FloatsOnly(SeriesEval* eval, const Window& window) {
  if (window.floats() == 0) return false;
  if (window.histograms() > 0) {
    eval->annotations->IgnoredHistogramsInRange(eval->metric, eval->call.position);
  }
  return true;
}

double VarianceOf(const double* values, size_t size) {
  double count = 0;
  double mean = 0;
  double mean_c = 0;
  double squares = 0;
  double squares_c = 0;
  for (size_t i = 0; i < size; ++i) {
    ++count;
    const double delta = values[i] - (mean + mean_c);
    KahanInc(delta / count, &mean, &mean_c);
    KahanInc(delta * (values[i] - (mean + mean_c)), &squares, &squares_c);
  }
  return (squares + squares_c) / count;
}

// Two floats at least, or nothing.
bool EnoughForTrend(SeriesEval* eval, const Window& window) {
  if (window.floats() >= 2) return FloatsOnly(eval, window);
  if (window.floats() == 1) FloatsOnly(eval, window);
  return false;
}

void DoubleExponentialSmoothing(SeriesEval* eval, const Window& window) {
  const double smoothing = eval->Scalar(0, window.step);
  const double trend = eval->Scalar(1, window.step);
  const auto refuse = [eval](std::string_view which, std::string_view symbol, double value) {
    eval->status =
        MakeError(ErrorCode::kExecution, "invalid {} factor. Expected: 0 < {} < 1, got: {}", which,
                  symbol, FormatFloatFPrecision(value, 6));
  };
  if (smoothing <= 0 || smoothing >= 1) return refuse("smoothing", "sf", smoothing);
  if (trend <= 0 || trend >= 1) return refuse("trend", "tf", trend);
  if (!EnoughForTrend(eval, window)) return;
  const double* v = window.fv();
  double before = 0;
  double level = v[0];
  double slope = v[1] - v[0];
  for (size_t i = 1; i < window.floats(); ++i) {
    const double x = smoothing * v[i];
    if (i > 1) {
      const double moved = trend * (level - before);
      const double kept = (1 - trend) * slope;
      slope = moved + kept;
    }
    const double y = (1 - smoothing) * (level + slope);
    before = level;
    level = x + y;
  }
  eval->Set(window, level);
}

double NanAsZero(double v) {
  return std::isnan(v) ? 0 : v;
}

void Integral(SeriesEval* eval, const Window& window) {
  if (!FloatsOnly(eval, window)) return;
  constexpr int kLeft = 0;
  constexpr int kRight = 1;
  constexpr int kTrapezoid = 2;
  int strategy = kTrapezoid;
  if (eval->call.scalars[0] != nullptr) {
    const double wanted = eval->Scalar(0, window.step);
    if (wanted == kLeft || wanted == kRight || wanted == kTrapezoid) {
      strategy = static_cast<int>(wanted);
    } else {
      eval->annotations->Warn(
          "strategy should be 0, 1, or 2 (default), using 2, got " + FormatFloatG(wanted),
          eval->call.position1);
    }
  }
  double sum = 0;
  double c = 0;
  for (size_t i = 1; i < window.floats(); ++i) {
    const double previous = NanAsZero(window.fv()[i - 1]);
    const double current = NanAsZero(window.fv()[i]);
    double height = strategy == kLeft ? previous : current;
    double height_c = 0;
    if (strategy == kTrapezoid) {
      height = previous;
      KahanInc(current, &height, &height_c);
      if (std::isinf(height) && !std::isinf(current) && !std::isinf(previous)) {
        height = previous / 2;
        height_c = 0;
        KahanInc(current / 2, &height, &height_c);
      } else {
        height /= 2;
        height_c /= 2;
      }
    }
    if (height == 0 && height_c == 0) continue;
    const double width = static_cast<double>(window.ft()[i] - window.ft()[i - 1]) / 1000;
    c += height_c * width;
    KahanInc(height * width, &sum, &c);
  }
  eval->Set(window, std::isinf(sum) ? sum : sum + c);
}

template <typename Better>
void Extreme(SeriesEval* eval, const Window& window, bool timestamp, Better&& better) {
  if (!FloatsOnly(eval, window)) return;
  const FloatPoints& floats = eval->points.floats;
  size_t best = window.f0;
  size_t next = window.f0;
  // Windows only move ahead: while the best of the last one is inside, only what is new can beat
  // it.
  if (eval->extreme_end > eval->extreme && eval->extreme >= window.f0) {
    best = eval->extreme;
    next = eval->extreme_end;
  }
  for (; next < window.f1; ++next) {
    if (better(floats.v[next], floats.v[best]) || std::isnan(floats.v[best])) best = next;
  }
  eval->extreme = best;
  eval->extreme_end = window.f1;
  eval->Set(window, timestamp ? static_cast<double>(floats.t[best]) / 1000 : floats.v[best]);
}

void FirstOrLast(SeriesEval* eval, const Window& window, bool last, bool timestamp) {
  const size_t f = last ? window.floats() - 1 : 0;
  const size_t h = last ? window.histograms() - 1 : 0;
  bool use_float = window.histograms() == 0;
  if (window.mixed()) {
    use_float = last ? window.ht()[h] < window.ft()[f] : window.ft()[f] < window.ht()[h];
  }
  if (timestamp) {
    eval->Set(window, static_cast<double>(use_float ? window.ft()[f] : window.ht()[h]) / 1000);
  } else if (use_float) {
    eval->Set(window, window.fv()[f]);
  } else {
    eval->out->SetHistogram(window.step, eval->points.histograms.h[window.h0 + h]);
  }
}

void MedianAbsoluteDeviation(SeriesEval* eval, const Window& window) {
  if (!FloatsOnly(eval, window)) return;
  const double* v = window.fv();
  for (size_t i = 0; i < window.floats(); ++i) {
    if (std::isnan(v[i])) return eval->Set(window, std::nan(""));
  }
  eval->scratch.assign(v, v + window.floats());
  const double median = Quantile(0.5, eval->scratch);
  for (double& value : eval->scratch) value = std::abs(value - median);
  eval->Set(window, Quantile(0.5, eval->scratch));
}

void QuantileOverTime(SeriesEval* eval, const Window& window) {
  if (window.floats() == 0) return;
  const double q = eval->Scalar(0, window.step);
  if (std::isnan(q) || q < 0 || q > 1) {
    eval->annotations->InvalidQuantile(q, eval->call.position);
  }
  FloatsOnly(eval, window);
  eval->scratch.assign(window.fv(), window.fv() + window.floats());
  eval->Set(window, Quantile(q, eval->scratch));
}

// Whether sample i differs from the one before it, as changes() and resets() see it.
bool FloatEvent(const SeriesEval& eval, size_t i, bool resets) {
  const FloatPoints& floats = eval.points.floats;
  const double previous = floats.v[i - 1];
  const double current = floats.v[i];
  if (!resets) return current != previous && !(std::isnan(current) && std::isnan(previous));
  if (current < previous) return true;
  return eval.call.start_timestamps &&
         range_internal::IsStartReset(floats.start(i - 1), floats.t[i - 1], floats.start(i),
                                      floats.t[i]);
}

// changes() and resets() over floats and histograms in the order of time.
size_t CountEvents(const SeriesEval& eval, const Window& window, size_t first_float,
                   size_t first_histogram, bool resets) {
  const Points& points = eval.points;
  size_t count = 0;
  size_t f = first_float;
  size_t h = first_histogram;
  enum class Last : uint8_t { kNone, kFloat, kHistogram } last = Last::kNone;
  while (f < window.f1 || h < window.h1) {
    // A histogram goes first where times are equal.
    const bool take_float =
        h >= window.h1 || (f < window.f1 && points.floats.t[f] < points.histograms.t[h]);
    if (take_float) {
      if (last == Last::kHistogram) ++count;
      if (last == Last::kFloat && FloatEvent(eval, f, resets)) ++count;
      last = Last::kFloat;
      ++f;
      continue;
    }
    if (last == Last::kFloat) ++count;
    if (last == Last::kHistogram) {
      const FloatHistogram& previous = *points.histograms.h[h - 1];
      const FloatHistogram& current = *points.histograms.h[h];
      const bool start_reset =
          resets && eval.call.start_timestamps &&
          range_internal::IsStartReset(points.histograms.start(h - 1), points.histograms.t[h - 1],
                                       points.histograms.start(h), points.histograms.t[h]);
      if (start_reset ||
          (resets ? DetectReset(current, previous) : !HistogramsEqual(current, previous))) {
        ++count;
      }
    }
    last = Last::kHistogram;
    ++h;
  }
  return count;
}

void ChangesOrResets(SeriesEval* eval, const Window& window, bool resets) {
  size_t first_float = window.f0;
  size_t first_histogram = window.h0;
  const Points& points = eval->points;
  if (eval->call.selection == Selection::kAnchored) {
    // The newest sample at or before the start of the range is the base line; older ones go.
    const auto last_at_start = [&](const int64_t* times, size_t begin, size_t end) {
      return static_cast<size_t>(std::upper_bound(times + begin, times + end, window.start_ms) -
                                 times);
    };
    const size_t f = last_at_start(points.floats.t, window.f0, window.f1);
    const size_t h = last_at_start(points.histograms.t, window.h0, window.h1);
    if (f >= window.f1 && h >= window.h1) return;
    const bool has_float = f > window.f0;
    const bool has_histogram = h > window.h0;
    if (has_float || has_histogram) {
      const bool anchor_is_float =
          !has_histogram || (has_float && points.floats.t[f - 1] >= points.histograms.t[h - 1]);
      first_float = anchor_is_float ? f - 1 : f;
      first_histogram = anchor_is_float ? h : h - 1;
    }
  }
  if (window.h1 > first_histogram) {
    eval->Set(window, static_cast<double>(
                          CountEvents(*eval, window, first_float, first_histogram, resets)));
    return;
  }
  if (eval->events.empty() && points.floats.size > 0) {
    eval->events.resize(points.floats.size);
    for (size_t i = 1; i < points.floats.size; ++i) {
      eval->events[i] = eval->events[i - 1] + (FloatEvent(*eval, i, resets) ? 1 : 0);
    }
  }
  const uint32_t events =
      first_float < window.f1 ? eval->events[window.f1 - 1] - eval->events[first_float] : 0;
  eval->Set(window, events);
}

void SumOrAvg(SeriesEval* eval, const Window& window, bool avg) {
  if (window.mixed()) {
    eval->annotations->MixedFloatsHistograms(eval->metric, eval->call.position);
  } else if (window.floats() > 0) {
    eval->Set(window,
              avg ? AvgOf(window.fv(), window.floats()) : SumOf(window.fv(), window.floats()));
  } else if (avg) {
    range_internal::HistogramAvgOverTime(eval, window);
  } else {
    range_internal::HistogramSumOverTime(eval, window);
  }
}

void EvalWindow(SeriesEval* eval, const Window& window) {
  const RangeCall& call = eval->call;
  const bool extended = call.selection != Selection::kPlain;
  switch (call.function) {
    case RangeFunction::kRate:
    case RangeFunction::kIncrease:
    case RangeFunction::kDelta: {
      const bool is_counter = call.function != RangeFunction::kDelta;
      const bool is_rate = call.function == RangeFunction::kRate;
      if (extended) {
        range_internal::ExtendedRate(eval, window, is_counter, is_rate);
      } else {
        range_internal::ExtrapolatedRate(eval, window, is_counter, is_rate);
      }
      return;
    }
    case RangeFunction::kIrate: return range_internal::InstantRate(eval, window, true);
    case RangeFunction::kIdelta: return range_internal::InstantRate(eval, window, false);
    case RangeFunction::kSumOverTime: return SumOrAvg(eval, window, false);
    case RangeFunction::kAvgOverTime: return SumOrAvg(eval, window, true);
    case RangeFunction::kCountOverTime:
      return eval->Set(window, static_cast<double>(window.floats() + window.histograms()));
    case RangeFunction::kAbsentOverTime:
    case RangeFunction::kPresentOverTime: return eval->Set(window, 1.0);
    case RangeFunction::kMaxOverTime:
      return Extreme(eval, window, false, [](double a, double b) { return a > b; });
    case RangeFunction::kMinOverTime:
      return Extreme(eval, window, false, [](double a, double b) { return a < b; });
    case RangeFunction::kTsOfMaxOverTime:
      return Extreme(eval, window, true, [](double a, double b) { return a >= b; });
    case RangeFunction::kTsOfMinOverTime:
      return Extreme(eval, window, true, [](double a, double b) { return a <= b; });
    case RangeFunction::kFirstOverTime: return FirstOrLast(eval, window, false, false);
    case RangeFunction::kLastOverTime: return FirstOrLast(eval, window, true, false);
    case RangeFunction::kTsOfFirstOverTime: return FirstOrLast(eval, window, false, true);
    case RangeFunction::kTsOfLastOverTime: return FirstOrLast(eval, window, true, true);
    case RangeFunction::kStddevOverTime:
    case RangeFunction::kStdvarOverTime: {
      if (!FloatsOnly(eval, window)) return;
      const double variance = VarianceOf(window.fv(), window.floats());
      const bool root = call.function == RangeFunction::kStddevOverTime;
      return eval->Set(window, root ? std::sqrt(variance) : variance);
    }
    case RangeFunction::kQuantileOverTime: return QuantileOverTime(eval, window);
    case RangeFunction::kMadOverTime: return MedianAbsoluteDeviation(eval, window);
    case RangeFunction::kDeriv:
      if (!EnoughForTrend(eval, window)) return;
      return eval->Set(window,
                       FitLine(window.ft(), window.fv(), window.floats(), window.ft()[0]).slope);
    case RangeFunction::kPredictLinear: {
      if (!EnoughForTrend(eval, window)) return;
      const Line line = FitLine(window.ft(), window.fv(), window.floats(), window.time_ms);
      return eval->Set(window, line.slope * eval->Scalar(0, window.step) + line.intercept);
    }
    case RangeFunction::kDoubleExponentialSmoothing:
      return DoubleExponentialSmoothing(eval, window);
    case RangeFunction::kIntegral: return Integral(eval, window);
    case RangeFunction::kChanges: return ChangesOrResets(eval, window, false);
    case RangeFunction::kResets: return ChangesOrResets(eval, window, true);
  }
}

// Counts what windows hold; histograms weigh their size.
class WindowCounter {
 public:
  WindowCounter(const Points& points, bool fixed, WindowCounts* counts)
      : counts_(counts), fixed_(fixed) {
    if (points.histograms.size == 0) return;
    weights_.reserve(points.histograms.size + 1);
    weights_.push_back(0);
    for (size_t i = 0; i < points.histograms.size; ++i) {
      weights_.push_back(weights_.back() + HistogramSize(*points.histograms.h[i]));
    }
  }

  void Add(const Window& window) {
    const size_t samples = window.floats() + Weight(window.h0, window.h1);
    counts_->window_max = std::max(counts_->window_max, samples);
    counts_->window_last = samples;
    if (samples == 0 || counts_->stats == nullptr) return;
    counts_->stats->AddTotal(window.step, static_cast<int64_t>(samples));
    if (fixed_ && window.step > 0) return;
    const size_t f = std::max(read_floats_, window.f0);
    const size_t h = std::max(read_histograms_, window.h0);
    counts_->stats->AddRead(window.step,
                            static_cast<int64_t>(window.f1 - f + Weight(h, window.h1)));
    read_floats_ = window.f1;
    read_histograms_ = window.h1;
  }

 private:
  size_t Weight(size_t begin, size_t end) const {
    return weights_.empty() ? 0 : weights_[end] - weights_[begin];
  }

  WindowCounts* counts_;
  bool fixed_;
  std::vector<size_t> weights_;  // Prefix sums.
  size_t read_floats_ = 0;
  size_t read_histograms_ = 0;
};

}  // namespace

Status EvalRangeFunction(const RangeCall& call, std::string_view metric, const Points& points,
                         StepColumn* out, Annotations* annotations, WindowCounts* counts) {
  SeriesEval eval{.call = call,
                  .metric = metric,
                  .points = points,
                  .out = out,
                  .annotations = annotations,
                  .status = {}};
  const bool rate = call.function == RangeFunction::kRate;
  const bool counter = rate || call.function == RangeFunction::kIncrease;
  const bool irate = call.function == RangeFunction::kIrate;
  // Plans of windows are worth their memory on all but subqueries' finest grids.
  constexpr size_t kPlannedStepsMax = 64 * 1024;
  const bool starts = call.start_timestamps && points.floats.st != nullptr;
  const bool planned = counts->plans != nullptr && call.selection == Selection::kPlain &&
                       points.histograms.size == 0 && !starts && !call.shape.at_ms.has_value() &&
                       out->steps() <= kPlannedStepsMax &&
                       (counts->stats == nullptr || !counts->stats->per_step());
  if (planned && (counter || call.function == RangeFunction::kDelta)) {
    range_internal::FloatRateColumn(call, points.floats, counter, rate, out, counts);
    return {};
  }
  if (planned && (irate || call.function == RangeFunction::kIdelta)) {
    range_internal::FloatInstantRateColumn(call, points.floats, irate, out, counts);
    return {};
  }
  if (planned &&
      (call.function == RangeFunction::kDeriv || call.function == RangeFunction::kPredictLinear)) {
    return range_internal::FloatTrendColumn(call, points.floats, out, counts);
  }
  if (planned && (call.function == RangeFunction::kSumOverTime ||
                  call.function == RangeFunction::kAvgOverTime)) {
    return range_internal::FloatSumColumn(call, points.floats, out, counts);
  }
  if (planned && range_internal::FloatPickColumn(call, points.floats, out, counts)) return {};
  if (counter && call.selection == Selection::kPlain) range_internal::PrepareCounter(&eval);
  WindowCounter window_counter(points, call.shape.at_ms.has_value(), counts);
  constexpr size_t kHistogramWeight = 64;  // In floats.
  CancelMeter meter(counts->cancellation);
  SlideWindows(call.shape, points, [&](const Window& window) {
    if (!eval.status.ok()) return;
    window_counter.Add(window);
    if (window.floats() + window.histograms() == 0) return;
    EvalWindow(&eval, window);
    Status status = meter.Spend(8 + window.floats() + kHistogramWeight * window.histograms());
    if (eval.status.ok()) eval.status = std::move(status);
  });
  return eval.status;
}

}  // namespace narthex::promql
