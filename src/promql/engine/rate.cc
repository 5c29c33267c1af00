// rate(), increase(), delta(), irate(), idelta() with extrapolation to the window's ends.
#include <algorithm>
#include <cmath>

#include "promql/engine/range_functions.h"

namespace narthex::promql::range_internal {

bool IsStartReset(int64_t previous_start, int64_t previous_time, int64_t start, int64_t time) {
  // Unchanged, unset or not before the sample itself (which OTel uses for "unknown"): no news.
  if (previous_start == start || start == 0 || start >= time) return false;
  if (start != previous_time) return start > previous_time;
  // The life began exactly at the sample before: a delta series, unless that sample did not know
  // its own start.
  if (previous_start > previous_time) return false;
  return previous_start != 0 && previous_start != previous_time;
}

bool IsStartResetAfter(int64_t t, int64_t start, int64_t time) {
  if (start <= t || time <= t) return false;
  return IsStartReset(t, t, start, time);
}

namespace {

bool Overlaps(int64_t previous_start, int64_t previous_time, int64_t start) {
  return start != 0 && start < previous_time && start != previous_start;
}

bool UsesStarts(const SeriesEval& eval) {
  return eval.call.start_timestamps;
}

double Seconds(int64_t millis) {
  return static_cast<double>(millis) / 1000;
}

}  // namespace

void PrepareCounter(SeriesEval* eval) {
  const FloatPoints& floats = eval->points.floats;
  const bool starts = UsesStarts(*eval) && floats.st != nullptr;
  for (size_t i = 1; i < floats.size; ++i) {
    bool reset = floats.v[i] < floats.v[i - 1];
    if (starts) {
      reset = reset || IsStartReset(floats.st[i - 1], floats.t[i - 1], floats.st[i], floats.t[i]);
      if (Overlaps(floats.st[i - 1], floats.t[i - 1], floats.st[i])) {
        eval->overlaps.push_back(static_cast<uint32_t>(i));
      }
    }
    if (reset) eval->resets.push_back(static_cast<uint32_t>(i));
  }
  const HistogramPoints& histograms = eval->points.histograms;
  if (histograms.size == 0 || (UsesStarts(*eval) && histograms.st != nullptr)) return;
  for (size_t i = 1; i < histograms.size; ++i) {
    const FloatHistogram& current = *histograms.h[i];
    const FloatHistogram& previous = *histograms.h[i - 1];
    if (current.counter_reset_hint == CounterResetHint::kGauge ||
        previous.counter_reset_hint == CounterResetHint::kGauge ||
        current.schema != previous.schema || DetectReset(current, previous)) {
      eval->histogram_breaks.push_back(static_cast<uint32_t>(i));
    }
  }
  eval->plain_histograms = true;
}

bool Merged(SeriesEval* eval, const Result<HistogramMerge>& merge, HistogramOperation operation,
            PositionRange position) {
  if (!merge.ok()) {
    if (merge.status().message() == kIncompatibleSchemasText) {
      eval->annotations->MixedExponentialCustom(eval->metric, position);
    } else {
      eval->status = merge.status();
    }
    return false;
  }
  if (merge->bounds_reconciled) eval->annotations->MismatchedCustomBuckets(operation, position);
  return true;
}

namespace {

double FloatIncrease(SeriesEval* eval, const Window& window, bool is_counter) {
  const FloatPoints& floats = eval->points.floats;
  double result = floats.v[window.f1 - 1] - floats.v[window.f0];
  if (!is_counter) return result;
  // Windows only move forward.
  while (eval->first_reset < eval->resets.size() && eval->resets[eval->first_reset] <= window.f0) {
    ++eval->first_reset;
  }
  for (size_t i = eval->first_reset; i < eval->resets.size() && eval->resets[i] < window.f1; ++i) {
    result += floats.v[eval->resets[i] - 1];
  }
  for (const uint32_t overlap : eval->overlaps) {
    if (overlap > window.f0 && overlap < window.f1) {
      eval->annotations->StartTimeOverlap(eval->metric, eval->call.position);
      break;
    }
  }
  return result;
}

// Whether a counter goes up all through the window: the difference of its ends is the increase.
// Windows only move forward.
bool OnlyGrows(SeriesEval* eval, const Window& window) {
  if (!eval->plain_histograms) return false;
  const std::vector<uint32_t>& breaks = eval->histogram_breaks;
  size_t& next = eval->first_histogram_break;
  while (next < breaks.size() && breaks[next] <= window.h0) ++next;
  return next == breaks.size() || breaks[next] >= window.h1;
}

// The difference of the last and the first histogram, corrected for resets; empty when they do not
// go together. At least two histograms.
std::optional<FloatHistogram> HistogramIncrease(SeriesEval* eval, const Window& window,
                                                bool is_counter) {
  const PositionRange position = eval->call.position;
  Annotations* annotations = eval->annotations;
  const size_t size = window.histograms();
  const FloatHistogram& first = window.h(0);
  const FloatHistogram& last = window.h(size - 1);
  const bool starts = UsesStarts(*eval) && window.has_histogram_starts();
  if (is_counter && OnlyGrows(eval, window)) {
    if (std::optional<FloatHistogram> grown = CompactDifference(last, first)) return grown;
  }
  const auto start_reset = [&](size_t i) {
    return starts && IsStartReset(window.histogram_start(i - 1), window.ht()[i - 1],
                                  window.histogram_start(i), window.ht()[i]);
  };
  const bool gauge_at_end = first.counter_reset_hint == CounterResetHint::kGauge ||
                            last.counter_reset_hint == CounterResetHint::kGauge;
  if (is_counter && gauge_at_end) annotations->NotACounter(eval->metric, position);

  // When the counter was reset right after the first sample, that sample does not matter: an empty
  // histogram of the second's layout stands for it.
  FloatHistogram empty;
  const FloatHistogram* previous = &first;
  if (is_counter) {
    const FloatHistogram& second = window.h(1);
    if (start_reset(1) || DetectReset(second, first)) {
      empty.schema = second.schema;
      empty.custom_values = second.custom_values;
      previous = &empty;
    }
  }
  const bool custom = previous->uses_custom_buckets();
  if (last.uses_custom_buckets() != custom) {
    annotations->MixedExponentialCustom(eval->metric, position);
    return std::nullopt;
  }
  int32_t schema = std::min(last.schema, previous->schema);
  if (is_counter) {
    Annotations local;
    for (size_t i = 1; i + 1 < size; ++i) {
      const FloatHistogram& current = window.h(i);
      if (current.counter_reset_hint == CounterResetHint::kGauge) {
        local.NotACounter(eval->metric, position);
      }
      schema = std::min(schema, current.schema);
      if (current.uses_custom_buckets() != custom) {
        annotations->MixedExponentialCustom(eval->metric, position);
        return std::nullopt;
      }
    }
    annotations->Merge(local);
  }
  Result<FloatHistogram> copied = CopyToSchema(last, schema);
  if (!copied.ok()) {
    eval->status = copied.status();
    return std::nullopt;
  }
  FloatHistogram result = *std::move(copied);
  if (!Merged(eval, SubHistogram(&result, *previous), HistogramOperation::kSubtraction, position)) {
    return std::nullopt;
  }
  if (is_counter) {
    bool overlap = false;
    for (size_t i = 1; i < size; ++i) {
      const FloatHistogram& current = window.h(i);
      if (!overlap && starts &&
          Overlaps(window.histogram_start(i - 1), window.ht()[i - 1], window.histogram_start(i))) {
        annotations->StartTimeOverlap(eval->metric, position);
        overlap = true;
      }
      if (start_reset(i) || DetectReset(current, *previous)) {
        if (!Merged(eval, AddHistogram(&result, *previous), HistogramOperation::kAddition,
                    position)) {
          return std::nullopt;
        }
      }
      previous = &current;
    }
  } else if (first.counter_reset_hint != CounterResetHint::kGauge ||
             last.counter_reset_hint != CounterResetHint::kGauge) {
    annotations->NotAGauge(eval->metric, position);
  }
  result.counter_reset_hint = CounterResetHint::kGauge;
  CompactHistogram(&result, 0);
  return result;
}

}  // namespace

void CountWindows(const WindowPlan& plan, WindowCounts* counts) {
  counts->window_max = plan.window_max;
  counts->window_last = plan.window_last;
  if (counts->stats == nullptr) return;
  counts->stats->AddTotal(0, plan.total);
  counts->stats->AddRead(0, plan.read);
}

void FloatRateColumn(const RangeCall& call, const FloatPoints& floats, bool is_counter,
                     bool is_rate, StepColumn* out, WindowCounts* counts) {
  const WindowPlan& plan = counts->plans->Find(call.shape, is_rate, floats);
  CountWindows(plan, counts);
  const double* v = floats.v;
  std::vector<uint32_t> resets;
  for (size_t i = 1; is_counter && i < floats.size; ++i) {
    if (v[i] < v[i - 1]) resets.push_back(static_cast<uint32_t>(i));
  }
  const double range_seconds = Seconds(call.shape.range_ms);
  // Room for rounding: below it the exact comparison decides.
  constexpr double kClearly = 1 + 1e-9;
  double* values = out->values();
  size_t next_reset = 0;
  for (size_t w = 0; w < out->words(); ++w) {
    out->present()[w] = plan.present[w];
    ForEachBit(plan.present[w], w * 64, [&](size_t step) {
      const auto [first_at, last_at] = plan.steps[step];
      const double first = v[first_at];
      double result = v[last_at] - first;
      if (!resets.empty()) {
        while (next_reset < resets.size() && resets[next_reset] <= first_at) ++next_reset;
        for (size_t i = next_reset; i < resets.size() && resets[i] <= last_at; ++i) {
          result += v[resets[i] - 1];
        }
      }
      double factor = plan.factor[step];
      // Whether extrapolation meets the counter's zero: asked by multiplication, which is cheap,
      // and by upstream's division only where it is close or true.
      const double sampled = plan.sampled[step];
      double to_start = plan.to_start[step];
      if (is_counter && result > 0 && first >= 0 &&
          !(first * sampled > result * to_start * kClearly)) {
        const double to_zero = sampled * (first / result);
        if (to_zero < to_start) {
          to_start = to_zero;
          factor = sampled != 0 ? (sampled + to_start + plan.to_end[step]) / sampled : 1;
          if (is_rate) factor /= range_seconds;
        }
      }
      values[step] = result * factor;
    });
  }
}

void FloatInstantRateColumn(const RangeCall& call, const FloatPoints& floats, bool is_rate,
                            StepColumn* out, WindowCounts* counts) {
  const WindowPlan& plan = counts->plans->Find(call.shape, false, floats);
  CountWindows(plan, counts);
  const double* v = floats.v;
  double* values = out->values();
  for (size_t w = 0; w < out->words(); ++w) {
    out->present()[w] = plan.present[w];
    ForEachBit(plan.present[w], w * 64, [&](size_t step) {
      const size_t last = plan.steps[step].last;
      const double a = v[last - 1];
      const double b = v[last];
      // A counter that fell began anew at zero.
      const double result = is_rate && b < a ? b : b - a;
      values[step] = is_rate ? result / Seconds(floats.t[last] - floats.t[last - 1]) : result;
    });
  }
}

void ExtrapolatedRate(SeriesEval* eval, const Window& window, bool is_counter, bool is_rate) {
  if (window.mixed()) {
    eval->annotations->MixedFloatsHistograms(eval->metric, eval->call.position);
    return;
  }
  const bool floats = window.floats() > 0;
  const size_t size = floats ? window.floats() : window.histograms();
  const int64_t* times = floats ? window.ft() : window.ht();
  const int64_t first_t = times[0];
  const int64_t last_t = times[size - 1];
  double result = 0;
  std::optional<FloatHistogram> histogram;
  bool starts = is_counter && UsesStarts(*eval);
  if (floats) {
    result = FloatIncrease(eval, window, is_counter);
    starts = starts && window.has_float_starts();
  } else {
    starts = starts && window.has_histogram_starts();
    if (size > 1) {
      histogram = HistogramIncrease(eval, window, is_counter);
      if (!histogram.has_value()) return;
    }
  }

  double to_start = Seconds(first_t - window.start_ms);
  double to_end = Seconds(window.end_ms - last_t);
  double sampled = Seconds(last_t - first_t);
  double average = 0;
  if (size > 1) average = sampled / static_cast<double>(size - 1);
  // A gap at an end that is hardly larger than usual: the series is taken to reach that end.
  const double threshold = average * 1.1;

  const int64_t start = !starts ? 0 : floats ? window.float_start(0) : window.histogram_start(0);
  if (start != 0 && start > window.start_ms && start < first_t) {
    // The counter began inside the window, at zero: that is a sample, nothing to extrapolate.
    to_start = 0;
    sampled = Seconds(last_t - start);
    if (floats) {
      result += window.fv()[0];
    } else if (!histogram.has_value()) {
      histogram = window.h(0);
    } else if (!Merged(eval, AddHistogram(&*histogram, window.h(0)), HistogramOperation::kAddition,
                       eval->call.position)) {
      return;
    }
  } else if (size == 1) {
    return;
  } else {
    if (to_start >= threshold) to_start = average / 2;
    if (is_counter) {
      // Counters do not go below zero: extrapolation stops where the slope meets it.
      double to_zero = to_start;
      if (floats && result > 0 && window.fv()[0] >= 0) {
        to_zero = sampled * (window.fv()[0] / result);
      } else if (histogram.has_value() && histogram->count > 0 && window.h(0).count >= 0) {
        to_zero = sampled * (window.h(0).count / histogram->count);
      }
      if (to_zero < to_start) to_start = to_zero;
    }
  }
  if (to_end >= threshold) to_end = average / 2;

  double factor = 1;
  if (sampled != 0) factor = (sampled + to_start + to_end) / sampled;
  if (is_rate) factor /= Seconds(eval->call.shape.range_ms);
  if (histogram.has_value()) {
    MulHistogram(&*histogram, factor);
    eval->Set(window, *std::move(histogram));
  } else {
    eval->Set(window, result * factor);
  }
}

void InstantRate(SeriesEval* eval, const Window& window, bool is_rate) {
  if (window.floats() + window.histograms() < 2) return;
  struct Sample {
    int64_t t = 0;
    double v = 0;
    const FloatHistogram* h = nullptr;
    int64_t start = 0;
  };
  const bool starts = UsesStarts(*eval);
  // The last two of floats and histograms together, by time.
  std::array<Sample, 2> last;
  size_t count = 0;
  for (size_t i = window.floats() - std::min<size_t>(2, window.floats()); i < window.floats();
       ++i) {
    last[count++] = {window.ft()[i], window.fv()[i], nullptr, starts ? window.float_start(i) : 0};
  }
  for (size_t i = window.histograms() - std::min<size_t>(2, window.histograms());
       i < window.histograms(); ++i) {
    const Sample sample{window.ht()[i], 0, &window.h(i), starts ? window.histogram_start(i) : 0};
    if (count == 0) {
      last[count++] = sample;
    } else if (count == 1) {
      last[1] = sample;
      if (sample.t < last[0].t) std::swap(last[0], last[1]);
      count = 2;
    } else if (sample.t > last[1].t) {
      last[0] = last[1];
      last[1] = sample;
    } else if (sample.t >= last[0].t) {
      last[0] = sample;
    }
  }
  const Sample& a = last[0];
  const Sample& b = last[1];
  if (a.t == b.t) return;
  const double seconds = Seconds(b.t - a.t);
  const PositionRange position = eval->call.position;
  const bool start_reset = IsStartReset(a.start, a.t, b.start, b.t);
  if (a.h == nullptr && b.h == nullptr) {
    double result = b.v;
    if (!is_rate || !(b.v < a.v || start_reset)) result = b.v - a.v;
    eval->Set(window, is_rate ? result / seconds : result);
    return;
  }
  if (a.h == nullptr || b.h == nullptr) {
    eval->annotations->MixedFloatsHistograms(eval->metric, position);
    return;
  }
  const bool a_gauge = a.h->counter_reset_hint == CounterResetHint::kGauge;
  const bool b_gauge = b.h->counter_reset_hint == CounterResetHint::kGauge;
  if (is_rate && (a_gauge || b_gauge)) eval->annotations->NotACounter(eval->metric, position);
  if (!is_rate && !(a_gauge && b_gauge)) eval->annotations->NotAGauge(eval->metric, position);
  const bool subtracts = !is_rate || (!start_reset && !DetectReset(*b.h, *a.h));
  std::optional<FloatHistogram> grown;
  if (subtracts) grown = CompactDifference(*b.h, *a.h);
  if (grown.has_value()) {
    if (is_rate) DivHistogram(&*grown, seconds);
    eval->Set(window, *std::move(grown));
    return;
  }
  FloatHistogram result = *b.h;
  if (subtracts) {
    if (!Merged(eval, SubHistogram(&result, *a.h), HistogramOperation::kSubtraction, position)) {
      return;
    }
  }
  result.counter_reset_hint = CounterResetHint::kGauge;
  CompactHistogram(&result, 0);
  if (is_rate) DivHistogram(&result, seconds);
  eval->Set(window, std::move(result));
}

}  // namespace narthex::promql::range_internal
