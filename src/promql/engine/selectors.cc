// Reading series: instant selectors, range selectors that are the whole query, timestamps.
#include <algorithm>

#include "promql/engine/evaluator.h"
#include "promql/engine/kahan.h"

namespace narthex::promql {
namespace {

int64_t OffsetMs(const VectorSelector& selector) {
  return selector.offset.nanos / kNanosPerMilli;
}

std::optional<int64_t> AtMs(const VectorSelector& selector) {
  if (selector.at == AtModifier::kNone) return std::nullopt;
  return selector.at_ms;
}

enum class InstantKind : uint8_t { kSample, kTimestamp, kStartTimestamp, kTimestampMs };

struct InstantShape {
  StepGrid grid;
  int64_t offset_ms = 0;
  std::optional<int64_t> at_ms;
  int64_t lookback_ms = 0;
  InstantKind kind = InstantKind::kSample;
  bool histogram_stats = false;
  bool keep_metadata = false;  // Of timestamps: leave names on.

  int64_t ReferenceAt(size_t step) const { return at_ms.value_or(grid.TimeAt(step)) - offset_ms; }
};

// The newest sample in (reference - lookback, reference] at every step, unless it is stale.
void FillInstant(const InstantShape& shape, const storage::SampleColumns& samples,
                 const std::vector<CounterResetHint>& original_hints, StepColumn* out) {
  const size_t size = samples.size();
  const size_t steps = out->steps();
  const int64_t* times = samples.timestamps_ms.data();
  const bool histograms = !samples.histograms.empty();
  size_t after = 0;  // The first sample later than the reference.
  // With histogram statistics the counter reset hint of a sample tells about the one read before
  // it. When steps lie further apart than the lookback, reading starts anew: then the first sample
  // read has only the hint that storage gave it.
  size_t first_read = size;
  int64_t current_time = std::numeric_limits<int64_t>::min();
  for (size_t step = 0; step < steps; ++step) {
    const int64_t reference = shape.ReferenceAt(step);
    const int64_t oldest = reference - shape.lookback_ms;  // Exclusive.
    if (histograms && shape.histogram_stats && oldest > current_time) {
      first_read = static_cast<size_t>(std::lower_bound(times, times + size, oldest) - times);
    }
    while (after < size && times[after] <= reference) ++after;
    if (histograms) {
      const size_t at = after > 0 && times[after - 1] == reference ? after - 1 : after;
      current_time = at < size ? times[at] : std::numeric_limits<int64_t>::max();
    }
    if (after == 0 || times[after - 1] <= oldest) continue;
    const size_t newest = after - 1;
    const HistogramPtr* histogram = histograms ? &samples.histograms[newest] : nullptr;
    if (histogram != nullptr && *histogram != nullptr) {
      if (IsStale((*histogram)->sum)) continue;
    } else {
      histogram = nullptr;
      if (IsStale(samples.values[newest])) continue;
    }
    if (shape.kind == InstantKind::kTimestamp) {
      out->Set(step, static_cast<double>(times[newest]) / 1000);
    } else if (shape.kind == InstantKind::kTimestampMs) {
      out->Set(step, static_cast<double>(times[newest]));
    } else if (shape.kind == InstantKind::kStartTimestamp) {
      const int64_t start =
          samples.start_timestamps_ms.empty() ? 0 : samples.start_timestamps_ms[newest];
      out->Set(step, static_cast<double>(start) / 1000);
    } else if (histogram == nullptr) {
      out->Set(step, samples.values[newest]);
    } else if (shape.histogram_stats && newest == first_read &&
               original_hints[newest] != (*histogram)->counter_reset_hint) {
      auto unknown = std::make_shared<FloatHistogram>(**histogram);
      unknown->counter_reset_hint = original_hints[newest];
      out->SetHistogram(step, std::move(unknown));
    } else {
      out->SetHistogram(step, *histogram);
    }
  }
}

// The same for floats alone, without the branches.
void FillFloats(const InstantShape& shape, const storage::SampleColumns& samples, StepColumn* out) {
  const size_t size = samples.size();
  const size_t steps = out->steps();
  const int64_t* times = samples.timestamps_ms.data();
  const double* from = samples.values.data();
  double* values = out->values();
  uint64_t* present = out->present();
  int64_t reference = shape.ReferenceAt(0);
  const int64_t interval = shape.at_ms.has_value() ? 0 : shape.grid.interval_ms;
  size_t after = 0;
  for (size_t step = 0; step < steps; ++step, reference += interval) {
    while (after < size && times[after] <= reference) ++after;
    if (after == 0 || times[after - 1] <= reference - shape.lookback_ms) continue;
    const double value = from[after - 1];
    values[step] = value;
    present[step / 64] |= uint64_t{!IsStale(value)} << (step % 64);
  }
}

class InstantSource : public ColumnSource {
 public:
  InstantSource(const Expr* made_by, SeriesList list, const InstantShape& shape)
      : ColumnSource(made_by), list_(std::move(list)), shape_(shape) {}

  size_t size() const override { return list_.series.size(); }
  const Labels& labels(size_t i) const override { return list_.series[i]->labels(); }
  bool drops_metadata() const override {
    if (shape_.keep_metadata) return false;
    return shape_.kind == InstantKind::kTimestamp || shape_.kind == InstantKind::kStartTimestamp;
  }
  bool drop_name(size_t) const override { return drops_metadata(); }
  bool has_windows() const override { return false; }
  size_t read_cost() const override { return shape_.grid.single_step() ? 2 : kReadCost; }

  Status Compute(size_t i, WorkerState* worker, StepColumn* out, SeriesCost* cost) const override {
    storage::SampleColumns& samples = worker->raw;
    samples.Clear();
    NARTHEX_RETURN_IF_ERROR(list_.series[i]->Read(&samples));
    worker->samples_read += static_cast<int64_t>(samples.size());
    std::vector<CounterResetHint> hints;
    if (shape_.kind == InstantKind::kTimestampMs && !samples.histograms.empty()) {
      return MakeError(ErrorCode::kExecution,
                       "this should be an info metric, with float samples: {}",
                       labels(i).ToString());
    }
    if (shape_.histogram_stats && !samples.histograms.empty()) ReduceToStats(&samples, &hints);
    if (shape_.kind == InstantKind::kSample && samples.histograms.empty()) {
      FillFloats(shape_, samples, out);
    } else {
      FillInstant(shape_, samples, hints, out);
    }
    cost->samples = out->SampleCount();
    if (!worker->stats.per_step() && !out->has_histograms()) {
      worker->stats.AddTotal(0, static_cast<int64_t>(cost->samples));
      worker->stats.AddRead(0, static_cast<int64_t>(cost->samples));
      return {};
    }
    out->ForEach([&](size_t step) {
      const HistogramPtr& histogram = out->histogram(step);
      const auto weight =
          static_cast<int64_t>(histogram == nullptr ? 1 : HistogramSize(*histogram));
      worker->stats.AddTotal(step, weight);
      worker->stats.AddRead(step, weight);
    });
    return {};
  }

 private:
  SeriesList list_;
  InstantShape shape_;
};

// About what the handle of a selected series takes with its list of chunks.
constexpr size_t kSeriesHandleBytes = 256;
// Series between two looks at clock and memory.
constexpr size_t kSelectCheckEvery = 1024;

}  // namespace

void Evaluator::ProfileRead(const Expr& expr, const Points& points) {
  if (query_->profile == nullptr) return;
  query_->profile->At(expr).samples_read +=
      static_cast<int64_t>(points.floats.size + points.histograms.size);
}

Result<SelectedSeries> Evaluator::SelectSeries(const storage::SelectHints& hints,
                                               std::span<const Matcher> matchers) {
  const auto expanding = [](const Status& status) {
    const bool done = status.code() == ErrorCode::kCanceled || status.code() == ErrorCode::kTimeout;
    return Status(done ? status.code() : ErrorCode::kExecution,
                  "expanding series: " + status.message());
  };
  auto selected = query_->querier->Select(storage::SeriesOrder::kAny, hints, matchers);
  if (!selected.ok()) return expanding(selected.status());
  storage::SeriesSet& set = **selected;
  SelectedSeries list{.memory = HoldMemory()};
  std::vector<std::unique_ptr<storage::Series>>& series = list.series;
  while (std::unique_ptr<storage::Series> next = set.Next()) {
    if (series.size() % kSelectCheckEvery == 0) {
      NARTHEX_RETURN_IF_ERROR(CheckDone());
      NARTHEX_RETURN_IF_ERROR(list.memory.SetTo(series.size() * kSeriesHandleBytes));
    }
    series.push_back(std::move(next));
    if (!query_->query_cost) continue;
    ++query_->cost_series;
    if (query_->series_max > 0 && query_->cost_series > query_->series_max) {
      return Status(ErrorCode::kLimitExceeded,
                    "query would load too many series into memory in query execution");
    }
  }
  if (Status status = set.status(); !status.ok()) return expanding(status);
  for (std::string& warning : set.warnings()) query_->annotations.WarnPlain(std::move(warning));
  NARTHEX_RETURN_IF_ERROR(list.memory.SetTo(series.size() * kSeriesHandleBytes));
  return list;
}

Result<SeriesList> Evaluator::Select(const VectorSelector& selector, bool latest_only) {
  SharedSelection* const shared = FindSelection(selector);
  SharedSelection own;
  SharedSelection* selection = shared == nullptr ? &own : shared;
  if (selection->known && selection->latest_only != latest_only) selection = &own;
  if (!selection->known) {
    NARTHEX_RETURN_IF_ERROR(FillSelection(selector, latest_only, selection));
  }
  const SeriesList& list = selection->list;
  stats_->AddSeries(static_cast<int64_t>(list.series.size()));
  if (query_->profile != nullptr) {
    query_->profile->At(selector).series_selected += static_cast<int64_t>(list.series.size());
  }
  return list;
}

// In an instant query the store's newest sample is all that can show.
bool Evaluator::ReadsLatest(const VectorSelector& selector) const {
  const int64_t reference = AtMs(selector).value_or(grid_.start_ms) - OffsetMs(selector);
  return grid_.single_step() && query_->plan->hints.at(&selector).end_ms == reference;
}

Result<std::unique_ptr<ColumnSource>> Evaluator::MakeSource(const Expr& expr) {
  NARTHEX_TRY(const bool keeps, IsWorthKeeping(expr));
  if (keeps) return std::unique_ptr<ColumnSource>();
  const QueryProfile::Scope scope(query_->profile, expr);
  if (expr.kind == Expr::Kind::kVectorSelector) {
    const VectorSelector& selector = expr.As<VectorSelector>();
    if (selector.smoothed) return std::unique_ptr<ColumnSource>();
    return MakeInstantSource(selector);
  }
  if (expr.kind == Expr::Kind::kCall) {
    const Call& call = expr.As<Call>();
    const auto function = FindRangeFunction(call.function->name);
    if (!function.has_value() || *function == RangeFunction::kAbsentOverTime) {
      return std::unique_ptr<ColumnSource>();
    }
    for (const ExprPtr& argument : call.arguments) {
      if (argument->kind == Expr::Kind::kSubquery) return std::unique_ptr<ColumnSource>();
    }
    size_t no_subquery = 0;
    return MakeRangeSource(call, *function, &no_subquery);
  }
  return std::unique_ptr<ColumnSource>();
}

Result<std::unique_ptr<ColumnSource>> Evaluator::MakeInstantSource(const VectorSelector& selector) {
  NARTHEX_TRY(SeriesList list, Select(selector, ReadsLatest(selector)));
  return std::unique_ptr<ColumnSource>(std::make_unique<InstantSource>(
      &selector, std::move(list),
      InstantShape{.grid = grid_,
                   .offset_ms = OffsetMs(selector),
                   .at_ms = AtMs(selector),
                   .lookback_ms = query_->lookback_ms,
                   .histogram_stats = query_->plan->hints.at(&selector).histogram_stats}));
}

Result<Value> Evaluator::EvalVectorSelector(const VectorSelector& selector) {
  if (selector.smoothed) return EvalSmoothed(selector);
  NARTHEX_TRY(const std::unique_ptr<ColumnSource> source, MakeInstantSource(selector));
  Value value;
  value.type = ValueType::kVector;
  NARTHEX_TRY(value.vector, Materialize(*source));
  return value;
}

// timestamp() and start_timestamp() of a selector tell about the sample, not about the step.
Result<Value> Evaluator::EvalTimestamps(const Call& call, const VectorSelector& selector) {
  const bool start = call.function->name == "start_timestamp";
  const int64_t before = query_->current_samples;
  InstantShape shape{.grid = grid_,
                     .offset_ms = OffsetMs(selector),
                     .at_ms = AtMs(selector),
                     .lookback_ms = query_->lookback_ms,
                     .kind = start ? InstantKind::kStartTimestamp : InstantKind::kTimestamp};
  // Upstream overwrites the offset when a fixed time is given.
  if (shape.at_ms.has_value()) shape.offset_ms = 0;
  NARTHEX_TRY(SeriesList series, Select(selector));
  // Without start timestamps the samples are read all the same, but give nothing, not even series
  // that may collide once their names are gone.
  const bool known = !start || query_->start_timestamps;
  shape.keep_metadata = !known;
  const InstantSource source(&call, std::move(series), shape);
  NARTHEX_TRY(VectorValue vector, Materialize(source));
  query_->current_samples = before;
  Value value;
  value.type = ValueType::kVector;
  value.vector = std::move(vector);
  const VectorValue* const gathered[] = {&value.vector};
  NARTHEX_RETURN_IF_ERROR(AccountSteps(before, gathered, 0, value));
  if (!known) value.vector.clear();
  return value;
}

Result<VectorValue> Evaluator::SampleTimes(const Expr& expr, SeriesList series,
                                           std::optional<int64_t> at_ms, int64_t offset_ms) {
  const InstantSource source(&expr, std::move(series),
                             {.grid = grid_,
                              .offset_ms = offset_ms,
                              .at_ms = at_ms,
                              .lookback_ms = query_->lookback_ms,
                              .kind = InstantKind::kTimestampMs});
  return Materialize(source);
}

Result<Value> Evaluator::EvalSmoothed(const VectorSelector& selector) {
  NARTHEX_TRY(const SeriesList list, Select(selector));
  const PositionRange position = selector.position;
  const bool histogram_stats = query_->plan->hints.at(&selector).histogram_stats;
  WindowShape shape{.grid = grid_,
                    .range_ms = query_->lookback_ms,
                    .offset_ms = OffsetMs(selector),
                    .at_ms = AtMs(selector),
                    .extend_ahead_ms = query_->lookback_ms};
  Value value;
  value.type = ValueType::kVector;
  value.memory = HoldMemory();
  PointBuffer buffer;
  for (const auto& one : list.series) {
    NARTHEX_RETURN_IF_ERROR(CheckDone());
    Points points;
    NARTHEX_RETURN_IF_ERROR(buffer.Load(*one, histogram_stats, &points));
    ProfileRead(selector, points);
    const std::string_view metric = one->labels().metric_name();
    StepColumn column(steps_);
    Status status;
    size_t window_max = 0;
    SlideWindows(shape, points, [&](const Window& window) {
      window_max = std::max(window_max, window.floats() + window.histograms());
      if (window.mixed()) {
        query_->annotations.MixedFloatsHistograms(metric, position);
        return;
      }
      const int64_t time = window.end_ms;
      const bool floats = window.floats() > 0;
      const size_t size = floats ? window.floats() : window.histograms();
      if (size == 0) return;
      const int64_t* times = floats ? window.ft() : window.ht();
      const size_t next = static_cast<size_t>(std::lower_bound(times, times + size, time) - times);
      const bool exact = next < size && times[next] == time;
      if (!exact && next == 0) return;  // Nothing before: nothing to go by.
      if (floats) {
        const double* v = window.fv();
        if (exact) {
          column.Set(window.step, v[next]);
        } else if (next < size) {
          column.Set(window.step,
                     range_internal::Interpolate(times[next - 1], v[next - 1], times[next], v[next],
                                                 time, /*is_counter=*/false));
        } else {
          column.Set(window.step, v[next - 1]);
        }
        return;
      }
      std::optional<FloatHistogram> result;
      if (exact) {
        result = window.h(next);
      } else if (next < size) {
        const FloatHistogram& h1 = window.h(next - 1);
        const FloatHistogram& h2 = window.h(next);
        if (h1.uses_custom_buckets() != h2.uses_custom_buckets()) {
          query_->annotations.MixedExponentialCustom(metric, position);
          return;
        }
        const bool is_counter = h1.counter_reset_hint != CounterResetHint::kGauge ||
                                h2.counter_reset_hint != CounterResetHint::kGauge;
        result = range_internal::InterpolateHistograms(h1, times[next - 1], h2, times[next], time,
                                                       is_counter, metric, position,
                                                       &query_->annotations, &status);
      } else {
        // The hint tells how a sample relates to the one before it; carried on it means nothing.
        result = window.h(next - 1);
        result->counter_reset_hint = CounterResetHint::kUnknown;
      }
      if (result.has_value()) {
        column.SetHistogram(window.step,
                            std::make_shared<const FloatHistogram>(*std::move(result)));
      }
    });
    NARTHEX_RETURN_IF_ERROR(status);
    NARTHEX_RETURN_IF_ERROR(Hold(window_max));
    Release(window_max);
    if (column.empty()) continue;
    NARTHEX_RETURN_IF_ERROR(Hold(column.SampleCount()));
    if (value.memory.counting()) NARTHEX_RETURN_IF_ERROR(value.memory.Grow(MemoryOf(column)));
    value.vector.push_back({one->labels(), false, std::move(column)});
  }
  return value;
}

// A range selector that is the query: its samples as they are. Single step only.
Result<Value> Evaluator::EvalMatrixSelector(const MatrixSelector& matrix) {
  if (!grid_.single_step()) {
    return Status(ErrorCode::kExecution,
                  "unexpected error: cannot do range evaluation of matrix selector");
  }
  const VectorSelector& selector = *matrix.selector;
  NARTHEX_TRY(const SeriesList list, Select(selector));
  const bool extended = selector.anchored || selector.smoothed;
  WindowShape shape{.grid = grid_,
                    .range_ms = matrix.range.nanos / kNanosPerMilli,
                    .offset_ms = OffsetMs(selector),
                    .at_ms = AtMs(selector),
                    .extend_back_ms = extended ? query_->lookback_ms : 0,
                    .extend_ahead_ms = selector.smoothed ? query_->lookback_ms : 0};
  Value value;
  value.type = ValueType::kMatrix;
  value.memory = HoldMemory();
  PointBuffer buffer;
  for (const auto& one : list.series) {
    NARTHEX_RETURN_IF_ERROR(CheckDone());
    Points points;
    NARTHEX_RETURN_IF_ERROR(
        buffer.Load(*one, query_->plan->hints.at(&selector).histogram_stats, &points));
    ProfileRead(matrix, points);
    MatrixSeries result;
    result.labels = one->labels();
    Status status;
    SlideWindows(shape, points, [&](const Window& window) {
      if (extended) {
        if (window.histograms() > 0) {
          status = MakeError(ErrorCode::kExecution, "{} modifier is not supported with histograms",
                             selector.anchored ? "anchored" : "smoothed");
          return;
        }
        range_internal::ExtendFloats(window, window.start_ms - query_->lookback_ms,
                                     selector.smoothed, &result.samples);
        return;
      }
      size_t f = window.f0;
      size_t h = window.h0;
      while (f < window.f1 || h < window.h1) {
        if (h >= window.h1 || (f < window.f1 && points.floats.t[f] <= points.histograms.t[h])) {
          result.samples.AddFloat(points.floats.t[f], points.floats.v[f]);
          ++f;
        } else {
          result.samples.AddHistogram(points.histograms.t[h], points.histograms.h[h]);
          ++h;
        }
      }
    });
    NARTHEX_RETURN_IF_ERROR(status);
    const size_t size = SampleCount(result.samples);
    NARTHEX_RETURN_IF_ERROR(Hold(size));
    if (value.memory.counting()) NARTHEX_RETURN_IF_ERROR(value.memory.Grow(MemoryOf(result)));
    stats_->AddTotal(0, static_cast<int64_t>(size));
    stats_->AddRead(0, static_cast<int64_t>(size));
    if (size > 0) value.matrix.push_back(std::move(result));
  }
  return value;
}

}  // namespace narthex::promql
