// Aggregations that fold series into groups: sum, avg, count, min, max, group, stddev, stdvar,
// quantile. The input streams: a batch of columns is computed, folded and forgotten.
#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "promql/engine/evaluator.h"
#include "promql/engine/group_fold.h"
#include "util/hash_map.h"
#include "util/numbers.h"
#include "util/strings.h"
#include "util/thread_pool.h"

namespace narthex::promql {
namespace {

// Folding fewer values than this is not worth a second thread.
constexpr size_t kParallelFoldMin = 64 * 1024;

// Of finishing one value of a group (a quantile sorts), as CancelTicker counts.
constexpr size_t kFinishCost = 16;

// Series of a value that is there already.
class VectorSource : public ColumnSource {
 public:
  explicit VectorSource(Value value)
      : memory_(std::move(value.memory)), vector_(std::move(value.vector)) {}
  size_t size() const override { return vector_.size(); }
  const Labels& labels(size_t i) const override { return vector_[i].labels; }
  bool drops_metadata() const override { return false; }
  bool drop_name(size_t i) const override { return vector_[i].drop_name; }
  bool has_windows() const override { return false; }
  Status Compute(size_t, WorkerState*, StepColumn*, SeriesCost*) const override { return {}; }
  VectorValue& vector() { return vector_; }

 private:
  MemoryHold memory_;
  VectorValue vector_;
};

// The labels that make a group. `drop_metadata`: the series' names count as gone already.
LabelProjection GroupProjection(const AggregateExpr& expr, bool drop_metadata) {
  std::vector<std::string> names = expr.grouping;
  if (expr.without) {
    for (const std::string_view name : {kMetricNameLabel, kTypeLabel, kUnitLabel}) {
      names.emplace_back(name);
    }
    return LabelProjection(std::move(names), /*keep=*/false);
  }
  if (drop_metadata) std::erase_if(names, [](const std::string& n) { return IsMetadataLabel(n); });
  return LabelProjection(std::move(names), /*keep=*/true);
}

// Whether two series become equal when their names go.
Result<bool> CollidesWithoutMetadata(const ColumnSource& source, const Cancellation& cancellation) {
  CancelTicker ticker(cancellation, 1);
  bool alike = true;
  for (size_t i = 1; i < source.size() && alike; ++i) {
    NARTHEX_RETURN_IF_ERROR(ticker.Tick());
    alike = MetadataOf(source.labels(i)) == MetadataOf(source.labels(0));
  }
  if (alike) return false;
  const LabelProjection rest(
      {std::string(kMetricNameLabel), std::string(kTypeLabel), std::string(kUnitLabel)},
      /*keep=*/false);
  ProjectionIndex index(&rest);
  for (size_t i = 0; i < source.size(); ++i) {
    NARTHEX_RETURN_IF_ERROR(ticker.Tick());
    if (index.Add(source.labels(i)) != i) return true;
  }
  return false;
}

// Collects the columns of a batch and folds them, by ranges of steps on several threads.
class BatchFolder {
 public:
  BatchFolder(const ColumnSource& source, const LabelProjection* projection, size_t steps,
              ThreadPool* pool)
      : source_(source), index_(projection), steps_(steps), pool_(pool), group_of_(source.size()) {}

  // First: tells which series belong together.
  Status Number(const Cancellation& cancellation) {
    CancelTicker ticker(cancellation, 1);
    for (size_t i = 0; i < source_.size(); ++i) {
      NARTHEX_RETURN_IF_ERROR(ticker.Tick());
      group_of_[i] = index_.Add(source_.labels(i));
    }
    appeared_.resize(index_.size());
    return {};
  }

  size_t groups() const { return index_.size(); }
  size_t MemoryBytes() const { return fold_->MemoryBytes(); }
  // Once, before anything is collected.
  void Start(AggregateOp op, PositionRange position) {
    fold_ = std::make_unique<GroupFold>(op, index_.size(), steps_, position);
  }

  void Collect(size_t series, StepColumn&& column) {
    const size_t group = group_of_[series];
    if (!appeared_[group]) {
      appeared_[group] = true;
      order_.push_back(group);
    }
    fold_->Prepare(group, column);
    batch_.push_back({series, std::move(column)});
  }

  Status Fold(Annotations* annotations) {
    const size_t words = (steps_ + 63) / 64;
    size_t ranges = 1;
    if (pool_ != nullptr && batch_.size() * steps_ >= kParallelFoldMin) {
      ranges = std::min(pool_->thread_count() + 1, words);
    }
    std::vector<Annotations> notes(ranges);
    std::vector<Status> statuses(ranges);
    const auto fold = [&](size_t range) {
      const size_t begin = words * range / ranges * 64;
      const size_t end = std::min(steps_, words * (range + 1) / ranges * 64);
      for (const Item& item : batch_) {
        statuses[range] = fold_->Add(group_of_[item.series], item.column,
                                     source_.labels(item.series).metric_name(),
                                     source_.drop_name(item.series), begin, end, &notes[range]);
        if (!statuses[range].ok()) return;
      }
    };
    if (ranges == 1) {
      fold(0);
    } else {
      pool_->ParallelFor(ranges, fold);
    }
    batch_.clear();
    for (const Annotations& note : notes) annotations->Merge(note);
    for (Status& status : statuses) NARTHEX_RETURN_IF_ERROR(std::move(status));
    return {};
  }

  Result<VectorValue> Finish(const LabelProjection& projection, const std::vector<double>* quantile,
                             Annotations* annotations, const Cancellation& cancellation) {
    CancelTicker ticker(cancellation, steps_, kFinishCost);
    VectorValue output;
    output.reserve(order_.size());
    for (const size_t group : order_) {
      NARTHEX_RETURN_IF_ERROR(ticker.Tick());
      StepColumn column = fold_->Finish(group, quantile, annotations);
      if (column.empty()) continue;
      output.push_back({projection.Project(index_.representative(group)), fold_->drop_name(group),
                        std::move(column)});
    }
    return output;
  }

 private:
  struct Item {
    size_t series;
    StepColumn column;
  };

  const ColumnSource& source_;
  ProjectionIndex index_;
  size_t steps_;
  ThreadPool* pool_;
  std::vector<size_t> group_of_;
  std::unique_ptr<GroupFold> fold_;
  std::vector<bool> appeared_;
  std::vector<size_t> order_;  // Groups as their first sample turned up.
  std::vector<Item> batch_;
};

}  // namespace

Result<Value> Evaluator::AggregateFold(const AggregateExpr& expr,
                                       const std::vector<double>* parameter) {
  const int64_t before = query_->current_samples;
  NARTHEX_TRY(std::unique_ptr<ColumnSource> source, MakeSource(*expr.expr));
  bool drop = false;
  bool streams = source != nullptr;
  if (source != nullptr) {
    drop = source->drops_metadata() && !query_->delayed_name_removal;
    bool collides = false;
    if (drop) {
      NARTHEX_TRY(collides, CollidesWithoutMetadata(*source, query_->cancellation));
    }
    if (collides) {
      Value input{.memory = HoldMemory()};
      NARTHEX_TRY(input.vector, Materialize(*source));
      if (input.memory.counting()) NARTHEX_RETURN_IF_ERROR(input.memory.SetTo(MemoryOf(input)));
      source = std::make_unique<VectorSource>(std::move(input));
      streams = false;
      drop = false;
    }
  } else {
    NARTHEX_TRY(Value input, Eval(*expr.expr));
    source = std::make_unique<VectorSource>(std::move(input));
  }
  const LabelProjection projection = GroupProjection(expr, drop);
  BatchFolder folder(*source, &projection, steps_, query_->pool);
  NARTHEX_RETURN_IF_ERROR(folder.Number(query_->cancellation));
  NARTHEX_RETURN_IF_ERROR(CheckDense(folder.groups()));
  MemoryHold tables = HoldMemory();
  NARTHEX_RETURN_IF_ERROR(tables.Grow(GroupFold::TableBytes(expr.op, folder.groups(), steps_)));
  folder.Start(expr.op, expr.expr->position);
  // Of annotations with one text the last one's position counts: all of the argument's come first,
  // even if the folding of one batch is done before the next batch is read.
  Annotations notes;
  const auto fold = [&]() -> Status {
    NARTHEX_RETURN_IF_ERROR(folder.Fold(&notes));
    if (!tables.counting()) return {};
    return tables.SetTo(folder.MemoryBytes());
  };
  if (streams) {
    NARTHEX_RETURN_IF_ERROR(Drain(
        *source,
        [&](size_t series, StepColumn&& column) -> Status {
          folder.Collect(series, std::move(column));
          return {};
        },
        fold));
  } else {
    VectorValue& vector = static_cast<VectorSource&>(*source).vector();
    for (size_t i = 0; i < vector.size(); ++i) {
      NARTHEX_RETURN_IF_ERROR(Tick());
      if (!vector[i].column.empty()) folder.Collect(i, std::move(vector[i].column));
    }
    NARTHEX_RETURN_IF_ERROR(fold());
  }
  Value value;
  value.type = ValueType::kVector;
  NARTHEX_TRY(value.vector, folder.Finish(projection, parameter, &notes, query_->cancellation));
  query_->annotations.Merge(notes);
  query_->current_samples = before;
  NARTHEX_RETURN_IF_ERROR(Hold(SampleCount(value.vector)));
  return value;
}

Result<Value> Evaluator::EvalAggregate(const AggregateExpr& expr) {
  if (expr.op == AggregateOp::kCountValues) return CountValues(expr);
  if (expr.parameter == nullptr) return AggregateFold(expr, nullptr);

  const int64_t before = query_->current_samples;
  NARTHEX_TRY(const Value parameter, Eval(*expr.parameter));
  Result<Value> value = expr.op == AggregateOp::kQuantile ? AggregateFold(expr, &parameter.scalar)
                                                          : AggregateSelect(expr, parameter.scalar);
  if (!value.ok()) return value;
  if (expr.op == AggregateOp::kQuantile) WarnOfQuantiles(expr, parameter.scalar);
  query_->current_samples = before;
  NARTHEX_RETURN_IF_ERROR(Hold(SampleCount(value->vector)));
  return value;
}

void Evaluator::WarnOfQuantiles(const AggregateExpr& expr, const std::vector<double>& quantiles) {
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
  bool nan = false;
  for (const double q : quantiles) {
    nan = nan || std::isnan(q);
    low = std::min(low, q);
    high = std::max(high, q);
  }
  const PositionRange position = expr.parameter->position;
  if (nan) query_->annotations.InvalidQuantile(std::nan(""), position);
  if (high > 1) query_->annotations.InvalidQuantile(high, position);
  if (low < 0) query_->annotations.InvalidQuantile(low, position);
}

Result<Value> Evaluator::CountValues(const AggregateExpr& expr) {
  const std::string& label = expr.parameter->As<StringLiteral>().value;
  if (label.empty() || !IsValidUtf8(label)) {
    return MakeError(ErrorCode::kExecution, "invalid label name {}", GoQuote(label));
  }
  const int64_t before = query_->current_samples;
  NARTHEX_TRY(const Value input, Eval(*expr.expr));
  std::vector<std::string> names = expr.grouping;
  bool add_label = true;
  if (expr.without) {
    for (const std::string_view name : {kMetricNameLabel, kTypeLabel, kUnitLabel}) {
      names.emplace_back(name);
    }
    add_label = std::find(names.begin(), names.end(), label) == names.end();
    names.push_back(label);
  } else {
    std::erase(names, label);
  }
  const LabelProjection projection(std::move(names), /*keep=*/!expr.without);
  ProjectionIndex index(&projection);
  StringMap<size_t> output_of;
  VectorValue output;
  MemoryHold memory = HoldMemory();
  Status status;
  for (const VectorSeries& series : input.vector) {
    const size_t group = index.Add(series.labels);
    series.column.ForEach([&](size_t step) {
      if (status.ok()) status = Tick();
      if (!status.ok()) return;
      std::string value;
      if (add_label) {
        const HistogramPtr& histogram = series.column.histogram(step);
        value =
            histogram == nullptr ? FormatFloatF(series.column.value(step)) : histogram->ToString();
      }
      const auto [at, inserted] =
          output_of.try_emplace(fmt::format("{}/{}", group, value), output.size());
      if (inserted) {
        LabelsBuilder builder(projection.Project(series.labels));
        if (add_label) builder.Set(label, value);
        output.push_back({builder.Build(), false, StepColumn(steps_)});
        if (memory.counting()) status = memory.Grow(2 * value.size() + MemoryOf(output.back()));
      }
      StepColumn& column = output[at->second].column;
      column.Set(step, column.has(step) ? column.value(step) + 1 : 1);
    });
    NARTHEX_RETURN_IF_ERROR(status);
  }
  const VectorValue* const inputs[] = {&input.vector};
  return FinishVector(std::move(output), before, inputs, 0);
}

}  // namespace narthex::promql
