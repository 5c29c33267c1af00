// Function calls: dispatch, and functions over range vectors.
#include <algorithm>
#include <string>

#include "promql/engine/evaluator.h"
#include "util/strings.h"
#include "util/time.h"

namespace narthex::promql {
namespace {

// Annotations about an argument point at it; a subquery has no place of its own.
PositionRange PositionOf(const Expr& argument) {
  return argument.kind == Expr::Kind::kSubquery ? PositionRange{} : argument.position;
}

size_t RangeArgument(const Call& call) {
  for (size_t i = 0; i < call.arguments.size(); ++i) {
    const Expr::Kind kind = call.arguments[i]->kind;
    if (kind == Expr::Kind::kMatrixSelector || kind == Expr::Kind::kSubquery) return i;
  }
  return call.arguments.size();
}

Status CheckSelection(const VectorSelector& selector, std::string_view function) {
  const auto contains = [function](std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), function) != names.end();
  };
  if (selector.anchored && !contains({"changes", "delta", "increase", "rate", "resets"})) {
    return MakeError(ErrorCode::kExecution,
                     "anchored modifier can only be used with: changes, delta, increase, rate, "
                     "resets - not with {}",
                     function);
  }
  if (selector.smoothed && !contains({"delta", "increase", "rate"})) {
    return MakeError(ErrorCode::kExecution,
                     "smoothed modifier can only be used with: delta, increase, rate - not with {}",
                     function);
  }
  return {};
}

// Looks whether a name could be one of a counter; the texts of the infos.
class NonCounterCheck {
 public:
  NonCounterCheck(const RangeCall& call, bool by_type) : call_(call), by_type_(by_type) {}

  bool wanted() const {
    return call_.function == RangeFunction::kRate || call_.function == RangeFunction::kIncrease;
  }
  void Note(const Labels& labels, Annotations* annotations) const {
    const std::string_view metric = labels.metric_name();
    if (metric.empty()) return;
    if (by_type_) {
      const std::string_view type = labels.Get(kTypeLabel);
      if (type == "counter" || type == "histogram") return;
      annotations->Info(
          "metric might not be a counter, __type__ label is not set to \"counter\" or "
          "\"histogram\", got " +
              GoQuote(type) + ": " + GoQuote(metric),
          call_.position);
      return;
    }
    for (const std::string_view suffix : {"_total", "_sum", "_count", "_bucket"}) {
      if (metric.ends_with(suffix)) return;
    }
    annotations->Info(
        "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: " +
            GoQuote(metric),
        call_.position);
  }

 private:
  const RangeCall& call_;
  bool by_type_;
};

bool HasFloats(const StepColumn& column) {
  bool found = false;
  column.ForEach([&](size_t step) { found = found || column.histogram(step) == nullptr; });
  return found;
}

// A range function over the series of a selector or of a subquery.
class RangeSource : public ColumnSource {
 public:
  RangeSource(const Expr* made_by, const Expr* reads, const RangeCall& call, bool by_type)
      : ColumnSource(made_by, reads), call_(call), by_type_(by_type) {}

  // One of the two inputs.
  void SetSeries(SeriesList list, bool histogram_stats) {
    list_ = std::move(list);
    histogram_stats_ = histogram_stats;
  }
  void SetSubquery(Value value, const StepGrid& grid) {
    memory_ = std::move(value.memory);
    vector_ = std::move(value.vector);
    vector_grid_ = grid;
    from_subquery_ = true;
  }
  // The arguments outlive the source.
  std::array<std::vector<double>, 2>* scalars() { return &scalars_; }
  RangeCall* call() { return &call_; }

  size_t size() const override { return from_subquery_ ? vector_.size() : list_.series.size(); }
  const Labels& labels(size_t i) const override {
    return from_subquery_ ? vector_[i].labels : list_.series[i]->labels();
  }
  bool drops_metadata() const override {
    // Of absent_over_time only the samples matter, and its series may well become equal.
    return !KeepsName(call_.function) && call_.function != RangeFunction::kAbsentOverTime;
  }
  bool drop_name(size_t i) const override {
    return drops_metadata() || (from_subquery_ && vector_[i].drop_name);
  }
  bool has_windows() const override { return true; }

  Status Compute(size_t i, WorkerState* worker, StepColumn* out, SeriesCost* cost) const override {
    Points points;
    const int64_t read_from_ns = worker->measured ? MonotonicNanos() : 0;
    if (from_subquery_) {
      worker->points.Load(vector_[i].column, vector_grid_, &points);
    } else {
      NARTHEX_RETURN_IF_ERROR(
          worker->points.Load(*list_.series[i], histogram_stats_, &points,
                              call_.selection == Selection::kPlain ? &call_.shape : nullptr));
    }
    if (worker->measured) {
      worker->read_ns += MonotonicNanos() - read_from_ns;
      worker->samples_read += static_cast<int64_t>(points.floats.size + points.histograms.size);
    }
    // What a subquery consumed is in the accounts already.
    WindowCounts counts{.stats = from_subquery_ ? nullptr : &worker->stats,
                        .plans = &worker->plans,
                        .cancellation = worker->cancellation};
    NARTHEX_RETURN_IF_ERROR(EvalRangeFunction(call_, labels(i).metric_name(), points, out,
                                              &worker->annotations, &counts));
    cost->window_max = counts.window_max;
    cost->window_last = counts.window_last;
    cost->samples = out->SampleCount();
    const NonCounterCheck check(call_, by_type_);
    if (check.wanted() && cost->samples > 0 && HasFloats(*out)) {
      check.Note(labels(i), &worker->annotations);
    }
    return {};
  }

 private:
  RangeCall call_;
  bool by_type_;
  SeriesList list_;
  bool histogram_stats_ = false;
  VectorValue vector_;
  MemoryHold memory_;  // Of vector_.
  StepGrid vector_grid_;
  bool from_subquery_ = false;
  std::array<std::vector<double>, 2> scalars_;
};

// Hints relate neighbouring samples, and a subquery may skip or repeat samples.
void ForgetResetHints(VectorValue* vector) {
  for (VectorSeries& series : *vector) {
    if (!series.column.has_histograms()) continue;
    series.column.ForEach([&](size_t step) {
      const HistogramPtr& histogram = series.column.histogram(step);
      if (histogram == nullptr || (histogram->counter_reset_hint != CounterResetHint::kReset &&
                                   histogram->counter_reset_hint != CounterResetHint::kNotReset)) {
        return;
      }
      auto unknown = std::make_shared<FloatHistogram>(*histogram);
      unknown->counter_reset_hint = CounterResetHint::kUnknown;
      series.column.SetHistogram(step, std::move(unknown));
    });
  }
}

}  // namespace

Result<std::unique_ptr<ColumnSource>> Evaluator::MakeRangeSource(const Call& call,
                                                                 RangeFunction function,
                                                                 size_t* subquery_samples) {
  const size_t index = RangeArgument(call);
  const Expr& argument = *call.arguments[index];
  RangeCall range;
  range.function = function;
  range.lookback_ms = query_->lookback_ms;
  range.position = PositionOf(*call.arguments[0]);
  if (call.arguments.size() > 1) range.position1 = PositionOf(*call.arguments[1]);
  range.start_timestamps =
      query_->start_timestamps &&
      (function == RangeFunction::kRate || function == RangeFunction::kIrate ||
       function == RangeFunction::kIncrease || function == RangeFunction::kResets);
  range.shape.grid = grid_;

  auto source =
      std::make_unique<RangeSource>(&call, &argument, range, query_->type_and_unit_labels);
  RangeCall& call_made = *source->call();
  if (argument.kind == Expr::Kind::kSubquery) {
    // Upstream evaluates the subquery before the other arguments.
    const SubqueryExpr& subquery = argument.As<SubqueryExpr>();
    NARTHEX_TRY(SubqueryResult result, RunSubquery(subquery));
    call_made.shape.range_ms = subquery.range.nanos / kNanosPerMilli;
    call_made.shape.offset_ms = subquery.offset.nanos / kNanosPerMilli;
    SampleStats::Consumer consumer{.grid = grid_,
                                   .offset_ms = call_made.shape.offset_ms,
                                   .range_ms = call_made.shape.range_ms};
    if (subquery.at != AtModifier::kNone) {
      call_made.shape.at_ms = subquery.at_ms;
      consumer.at_ms = subquery.at_ms;
    }
    stats_->MergeTotalOfSubquery(result.stats, consumer);
    stats_->MergeReadOfSubquery(result.stats, consumer);
    *subquery_samples = SampleCount(result.value.vector);
    ForgetResetHints(&result.value.vector);
    source->SetSubquery(std::move(result.value), result.grid);
  } else {
    const MatrixSelector& matrix = argument.As<MatrixSelector>();
    const VectorSelector& selector = *matrix.selector;
    call_made.shape.range_ms = matrix.range.nanos / kNanosPerMilli;
    call_made.shape.offset_ms = selector.offset.nanos / kNanosPerMilli;
    if (selector.at != AtModifier::kNone) call_made.shape.at_ms = selector.at_ms;
    if (selector.anchored) {
      call_made.selection = Selection::kAnchored;
      call_made.shape.extend_back_ms = query_->lookback_ms;
    } else if (selector.smoothed) {
      call_made.selection = Selection::kSmoothed;
      call_made.shape.extend_back_ms = query_->lookback_ms;
      call_made.shape.extend_ahead_ms = query_->lookback_ms;
    }
  }
  size_t scalars = 0;
  for (size_t i = 0; i < call.arguments.size(); ++i) {
    if (i == index) continue;
    NARTHEX_TRY(Value value, Eval(*call.arguments[i]));
    (*source->scalars())[scalars] = std::move(value.scalar);
    call_made.scalars[scalars] = &(*source->scalars())[scalars];
    ++scalars;
  }
  if (argument.kind == Expr::Kind::kMatrixSelector) {
    const VectorSelector& selector = *argument.As<MatrixSelector>().selector;
    NARTHEX_RETURN_IF_ERROR(CheckSelection(selector, call.function->name));
    const QueryProfile::Scope scope(query_->profile, argument);
    NARTHEX_TRY(SeriesList list, Select(selector));
    source->SetSeries(std::move(list), query_->plan->hints.at(&selector).histogram_stats);
  }
  return std::unique_ptr<ColumnSource>(std::move(source));
}

Result<Value> Evaluator::EvalRangeCall(const Call& call, RangeFunction function) {
  size_t subquery_samples = 0;
  NARTHEX_TRY(const std::unique_ptr<ColumnSource> source,
              MakeRangeSource(call, function, &subquery_samples));
  Value value;
  value.type = ValueType::kVector;
  NARTHEX_TRY(value.vector, Materialize(*source));
  Release(subquery_samples);
  if (function == RangeFunction::kAbsentOverTime) return AbsentOverTime(call, value.vector);
  return value;
}

Result<Value> Evaluator::AbsentOverTime(const Call& call, const VectorValue& present) {
  StepColumn column(steps_);
  std::fill_n(column.values(), steps_, 1.0);
  column.SetAllPresent();
  for (const VectorSeries& series : present) {
    for (size_t w = 0; w < column.words(); ++w) {
      column.present()[w] &= ~series.column.present()[w];
    }
  }
  Value value;
  value.type = ValueType::kVector;
  if (column.empty()) return value;
  value.vector.push_back({AbsentLabels(*call.arguments[0]), true, std::move(column)});
  return value;
}

Result<Value> Evaluator::EvalCall(const Call& call) {
  const std::string_view name = call.function->name;
  if (const auto function = FindRangeFunction(name); function.has_value()) {
    return EvalRangeCall(call, *function);
  }
  if ((name == "timestamp" || name == "start_timestamp") &&
      call.arguments[0]->kind == Expr::Kind::kVectorSelector) {
    return EvalTimestamps(call, call.arguments[0]->As<VectorSelector>());
  }
  if (name == "label_replace") return EvalLabelReplace(call);
  if (name == "label_join") return EvalLabelJoin(call);
  if (name == "info") return EvalInfo(call);
  if (name == "histogram_quantile") return EvalHistogramQuantile(call);
  if (name == "histogram_quantiles") return EvalHistogramQuantiles(call);
  if (name == "histogram_fraction") return EvalHistogramFraction(call);
  if (name.starts_with("histogram_")) return EvalHistogramFloat(call);
  return EvalVectorCall(call);
}

}  // namespace narthex::promql
