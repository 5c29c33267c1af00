// Range selectors with `anchored` or `smoothed`: the window's ends have values of their own.
//
//   anchored   the last sample at or before the end counts for it (left: else the first after it)
//   smoothed   values are interpolated at both ends between the samples around them
//
// Specification: parity/promql.md section 3.
#include <algorithm>

#include "promql/engine/range_functions.h"

namespace narthex::promql::range_internal {

double Interpolate(int64_t t1, double v1, int64_t t2, double v2, int64_t t, bool is_counter) {
  if (is_counter && v2 < v1) v1 = 0;  // A reset: the counter came up from zero.
  return v1 + (v2 - v1) * static_cast<double>(t - t1) / static_cast<double>(t2 - t1);
}

namespace {

struct Point {
  int64_t t = 0;
  double v = 0;
  int64_t start = 0;
};

// A boundary value and the start timestamp that goes with it.
struct Boundary {
  double value = 0;
  int64_t start = 0;
};

// The samples of an extended window with what picking boundaries needs.
class FloatWindow {
 public:
  FloatWindow(const Window& window, int64_t lookback_start, bool smoothed, bool is_counter,
              bool starts)
      : window_(window),
        lookback_start_(lookback_start),
        smoothed_(smoothed),
        is_counter_(is_counter),
        starts_(starts) {}

  Point At(size_t i) const {
    return {window_.ft()[i], window_.fv()[i], starts_ ? window_.float_start(i) : 0};
  }

  // `first`: the last sample at or before the start, or the first of all.
  Boundary Left(size_t first) const {
    const int64_t edge = window_.start_ms;
    Point a = At(first);
    if (a.t == edge) return {a.v, a.start};
    Boundary result{0, a.start > edge ? 0 : a.start};
    if (a.t > edge) return BeforeFirst(a, edge, result);
    Point b = At(first + 1);
    if (is_counter_) {
      if (IsStartResetAfter(edge, b.start, b.t)) {
        b = {b.start, 0, b.start};
      } else if (IsStartReset(a.start, a.t, b.start, b.t)) {
        a = {b.start, 0, b.start};
        result.start = b.start;
      }
    }
    result.value = smoothed_ ? Interpolate(a.t, a.v, b.t, b.v, edge, is_counter_) : a.v;
    return result;
  }

  Boundary Right(size_t last) const {
    const int64_t edge = window_.end_ms;
    Point b = At(last);
    Boundary result{b.v, b.start > edge ? 0 : b.start};
    if (b.t <= edge) return result;
    if (last == 0) return BeforeFirst(b, edge, result);
    Point a = At(last - 1);
    if (is_counter_) {
      if (IsStartResetAfter(edge, b.start, b.t)) {
        b = {b.start, 0, b.start};
        result.start = a.start;
      } else if (IsStartReset(a.start, a.t, b.start, b.t)) {
        a = {b.start, 0, b.start};
      }
    }
    result.value = smoothed_ ? Interpolate(a.t, a.v, b.t, b.v, edge, is_counter_) : a.v;
    return result;
  }

 private:
  // No sample at or before the edge: the first one after it has to do, unless its start timestamp
  // tells that the counter began within sight.
  Boundary BeforeFirst(const Point& first, int64_t edge, Boundary result) const {
    result.value = first.v;
    if (!is_counter_ || !IsStartResetAfter(lookback_start_, first.start, first.t)) return result;
    result.value = 0;
    if (!IsStartResetAfter(edge, first.start, first.t) && smoothed_) {
      result.value = Interpolate(first.start, 0, first.t, first.v, edge, is_counter_);
    }
    return result;
  }

  const Window& window_;
  int64_t lookback_start_;
  bool smoothed_;
  bool is_counter_;
  bool starts_;
};

// Indices of the samples that decide about the ends, within `times`.
struct Ends {
  size_t first = 0;
  size_t last = 0;
};

Ends FindEnds(const int64_t* times, size_t size, const Window& window, bool smoothed) {
  Ends ends{0, size - 1};
  const size_t after_start =
      static_cast<size_t>(std::upper_bound(times, times + ends.last, window.start_ms) - times);
  ends.first = after_start == 0 ? 0 : after_start - 1;
  if (smoothed) {
    ends.last =
        static_cast<size_t>(std::lower_bound(times, times + ends.last, window.end_ms) - times);
  }
  return ends;
}

void ExtendedFloatRate(SeriesEval* eval, const Window& window, bool is_counter, bool is_rate) {
  const bool smoothed = eval->call.selection == Selection::kSmoothed;
  const bool starts = eval->call.start_timestamps;
  const int64_t lookback_start = window.start_ms - eval->call.lookback_ms;
  const Ends ends = FindEnds(window.ft(), window.floats(), window, smoothed);
  const FloatWindow floats(window, lookback_start, smoothed, is_counter, starts);
  if (window.ft()[ends.last] <= window.start_ms) return;
  const Point first = floats.At(ends.first);
  if (smoothed && first.t > window.end_ms) {
    // Nothing but samples after the window: only a life that began in sight helps.
    if (!is_counter || !IsStartResetAfter(lookback_start, first.start, first.t) ||
        IsStartResetAfter(window.end_ms, first.start, first.t)) {
      return;
    }
  }
  const Boundary left = floats.Left(ends.first);
  const Boundary right = floats.Right(ends.last);
  double result = right.value - left.value;
  if (is_counter) {
    // Resets between the boundaries; those at them are in their values already.
    size_t begin = ends.first;
    size_t end = ends.last + 1;
    if (window.ft()[begin] <= window.start_ms) ++begin;
    if (window.ft()[end - 1] >= window.end_ms) --end;
    double correction = 0;
    Point previous{window.start_ms, left.value, left.start};
    for (size_t i = begin; i < end; ++i) {
      const Point point = floats.At(i);
      if (point.v < previous.v || IsStartReset(previous.start, previous.t, point.start, point.t)) {
        correction += previous.v;
      }
      previous = point;
    }
    if (right.value < previous.v ||
        IsStartReset(previous.start, previous.t, right.start, window.end_ms)) {
      correction += previous.v;
    }
    result += correction;
  }
  if (is_rate) result /= static_cast<double>(eval->call.shape.range_ms) / 1000;
  eval->Set(window, result);
}

// The sum of what resets between the boundaries took away. Empty: none. False: incompatible.
bool HistogramCorrection(SeriesEval* eval, const Window& window, const Ends& ends,
                         const FloatHistogram& left, const FloatHistogram& right,
                         std::optional<FloatHistogram>* correction) {
  const bool smoothed = eval->call.selection == Selection::kSmoothed;
  size_t begin = ends.first + 1;
  const FloatHistogram* previous = &left;
  if (smoothed && window.ht()[ends.first] < window.start_ms &&
      DetectReset(window.h(ends.first + 1), window.h(ends.first))) {
    // Interpolating the left end went over that reset already.
    previous = &window.h(ends.first + 1);
    ++begin;
  }
  // The last sample is left out: the right boundary has its hint and is compared below.
  if (begin > ends.last) return true;
  const auto add = [&](const FloatHistogram& histogram) {
    if (!correction->has_value()) {
      *correction = histogram;
      return true;
    }
    return Merged(eval, AddHistogram(&**correction, histogram), HistogramOperation::kAddition,
                  eval->call.position);
  };
  for (size_t i = begin; i < ends.last; ++i) {
    if (DetectReset(window.h(i), *previous) && !add(*previous)) return false;
    previous = &window.h(i);
  }
  return !DetectReset(right, *previous) || add(*previous);
}

void ExtendedHistogramRate(SeriesEval* eval, const Window& window, bool is_counter, bool is_rate) {
  const bool smoothed = eval->call.selection == Selection::kSmoothed;
  const PositionRange position = eval->call.position;
  const int64_t* times = window.ht();
  const Ends ends = FindEnds(times, window.histograms(), window, smoothed);
  if (times[ends.last] <= window.start_ms) return;
  if (smoothed && times[ends.first] > window.end_ms) return;

  const bool custom = window.h(ends.first).uses_custom_buckets();
  for (size_t i = ends.first; i <= ends.last; ++i) {
    if (window.h(i).uses_custom_buckets() != custom) {
      eval->annotations->MixedExponentialCustom(eval->metric, position);
      return;
    }
    if (is_counter && window.h(i).counter_reset_hint == CounterResetHint::kGauge) {
      eval->annotations->NotACounter(eval->metric, position);
    }
  }
  const auto between = [&](size_t i, int64_t t) {
    return InterpolateHistograms(window.h(i), times[i], window.h(i + 1), times[i + 1], t,
                                 is_counter, eval->metric, position, eval->annotations,
                                 &eval->status);
  };
  std::optional<FloatHistogram> left = window.h(ends.first);
  if (smoothed && times[ends.first] < window.start_ms) left = between(ends.first, window.start_ms);
  if (!left.has_value()) return;
  std::optional<FloatHistogram> right = window.h(ends.last);
  if (smoothed && ends.last > 0 && times[ends.last] > window.end_ms) {
    right = between(ends.last - 1, window.end_ms);
  }
  if (!right.has_value()) return;
  if (!is_counter && (left->counter_reset_hint != CounterResetHint::kGauge ||
                      right->counter_reset_hint != CounterResetHint::kGauge)) {
    eval->annotations->NotAGauge(eval->metric, position);
  }
  FloatHistogram result = *right;
  if (!Merged(eval, SubHistogram(&result, *left), HistogramOperation::kSubtraction, position)) {
    return;
  }
  if (is_counter) {
    std::optional<FloatHistogram> correction;
    if (!HistogramCorrection(eval, window, ends, *left, *right, &correction)) return;
    if (correction.has_value() && !Merged(eval, AddHistogram(&result, *correction),
                                          HistogramOperation::kAddition, position)) {
      return;
    }
  }
  if (is_rate) DivHistogram(&result, static_cast<double>(eval->call.shape.range_ms) / 1000);
  result.counter_reset_hint = CounterResetHint::kGauge;
  CompactHistogram(&result, 0);
  eval->Set(window, std::move(result));
}

}  // namespace

std::optional<FloatHistogram> InterpolateHistograms(const FloatHistogram& h1, int64_t t1,
                                                    const FloatHistogram& h2, int64_t t2, int64_t t,
                                                    bool is_counter, std::string_view metric,
                                                    PositionRange position,
                                                    Annotations* annotations, Status* status) {
  if (t == t1) return h1;
  if (t == t2) return h2;
  const double fraction = static_cast<double>(t - t1) / static_cast<double>(t2 - t1);
  FloatHistogram result = h2;
  if (is_counter && DetectReset(h2, h1)) {
    MulHistogram(&result, fraction);
    return result;
  }
  const auto failed = [&](const Result<HistogramMerge>& merge, HistogramOperation operation) {
    if (merge.ok()) {
      if (merge->bounds_reconciled) annotations->MismatchedCustomBuckets(operation, position);
      return false;
    }
    if (merge.status().message() == kIncompatibleSchemasText) {
      annotations->MixedExponentialCustom(metric, position);
    } else {
      *status = merge.status();
    }
    return true;
  };
  if (failed(SubHistogram(&result, h1), HistogramOperation::kSubtraction)) return std::nullopt;
  MulHistogram(&result, fraction);
  if (failed(AddHistogram(&result, h1), HistogramOperation::kAddition)) return std::nullopt;
  return result;
}

void ExtendedRate(SeriesEval* eval, const Window& window, bool is_counter, bool is_rate) {
  if (window.mixed()) {
    eval->annotations->MixedFloatsHistograms(eval->metric, eval->call.position);
  } else if (window.histograms() > 0) {
    ExtendedHistogramRate(eval, window, is_counter, is_rate);
  } else if (window.floats() > 0) {
    ExtendedFloatRate(eval, window, is_counter, is_rate);
  }
}

void ExtendFloats(const Window& window, int64_t lookback_start, bool smoothed,
                  storage::SampleColumns* out) {
  if (window.floats() == 0) return;
  const Ends ends = FindEnds(window.ft(), window.floats(), window, smoothed);
  if (window.ft()[ends.last] <= window.start_ms) return;
  const FloatWindow floats(window, lookback_start, smoothed, /*is_counter=*/false,
                           /*starts=*/false);
  size_t begin = ends.first;
  size_t end = ends.last + 1;
  if (window.ft()[begin] <= window.start_ms) ++begin;
  if (window.ft()[end - 1] >= window.end_ms) --end;
  out->AddFloat(window.start_ms, floats.Left(ends.first).value);
  for (size_t i = begin; i < end; ++i) out->AddFloat(window.ft()[i], window.fv()[i]);
  out->AddFloat(window.end_ms, floats.Right(ends.last).value);
}

}  // namespace narthex::promql::range_internal
