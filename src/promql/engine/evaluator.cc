#include "promql/engine/evaluator.h"

#include <algorithm>

namespace narthex::promql {
namespace {

constexpr std::string_view kTooManySamplesText =
    "query processing would load too many samples into memory in query execution";

}  // namespace

Status Evaluator::CheckSamples() const {
  if (query_->current_samples <= static_cast<int64_t>(query_->samples_max)) return {};
  return Status(ErrorCode::kExecution, std::string(kTooManySamplesText));
}

Status Evaluator::CheckDense(size_t series) const {
  constexpr size_t kFactor = 4;
  constexpr size_t kValuesMin = 16 * 1024 * 1024;
  const size_t values_max = std::max(query_->samples_max * kFactor, kValuesMin);
  if (series <= values_max / std::max<size_t>(1, steps_)) return {};
  return Status(ErrorCode::kExecution, std::string(kTooManySamplesText));
}

Status Evaluator::Hold(size_t samples) {
  query_->current_samples += static_cast<int64_t>(samples);
  stats_->UpdatePeak(query_->current_samples);
  return CheckSamples();
}

namespace {

// Adds one for every present step; histograms count once, as gathering shares them.
void AddPresent(const VectorValue& vector, std::vector<size_t>* per_step) {
  size_t full = 0;
  for (const VectorSeries& series : vector) {
    if (series.column.full()) {
      ++full;
    } else {
      series.column.ForEach([&](size_t step) { ++(*per_step)[step]; });
    }
  }
  for (size_t& count : *per_step) count += full;
}

void AddWeighed(const VectorValue& vector, std::vector<size_t>* per_step) {
  AddPresent(vector, per_step);
  for (const VectorSeries& series : vector) {
    if (!series.column.has_histograms()) continue;
    series.column.ForEach([&](size_t step) {
      const HistogramPtr& histogram = series.column.histogram(step);
      if (histogram != nullptr) (*per_step)[step] += HistogramSize(*histogram) - 1;
    });
  }
}

}  // namespace

Status Evaluator::AccountSteps(int64_t before, std::span<const VectorValue* const> inputs,
                               size_t scalars, const Value& output) {
  std::vector<size_t> gathered(steps_, scalars);
  for (const VectorValue* input : inputs) AddPresent(*input, &gathered);
  std::vector<size_t> made(steps_, output.type == ValueType::kScalar ? 1 : 0);
  AddWeighed(output.vector, &made);
  int64_t held = query_->current_samples;
  for (size_t step = 0; step < steps_; ++step) {
    held += static_cast<int64_t>(made[step]);
    const int64_t with_inputs = held + static_cast<int64_t>(gathered[step]);
    stats_->UpdatePeak(with_inputs);
    if (with_inputs > static_cast<int64_t>(query_->samples_max)) {
      query_->current_samples = with_inputs;
      return CheckSamples();
    }
  }
  size_t total = 0;
  for (const size_t count : made) total += count;
  query_->current_samples = before + static_cast<int64_t>(total);
  stats_->UpdatePeak(query_->current_samples);
  return {};
}

Result<Value> Evaluator::FinishVector(VectorValue vector, int64_t before,
                                      std::span<const VectorValue* const> inputs, size_t scalars) {
  Value value;
  value.type = ValueType::kVector;
  std::erase_if(vector, [](const VectorSeries& series) { return series.column.empty(); });
  value.vector = std::move(vector);
  NARTHEX_RETURN_IF_ERROR(CheckDense(value.vector.size()));
  NARTHEX_RETURN_IF_ERROR(AccountSteps(before, inputs, scalars, value));
  // At a single step equal label sets are left to the end when names are dropped late.
  if (grid_.single_step() && query_->delayed_name_removal) return value;
  if (grid_.single_step()) {
    NARTHEX_TRY(const bool duplicates, HasDuplicateLabels(value.vector, query_->cancellation));
    if (duplicates) {
      return Status(ErrorCode::kExecution, std::string(kDuplicateLabelsText));
    }
    return value;
  }
  NARTHEX_RETURN_IF_ERROR(MergeDuplicates(&value.vector, query_->cancellation));
  return value;
}

Result<Value> Evaluator::FinishScalar(std::vector<double> scalar, int64_t before,
                                      std::span<const VectorValue* const> inputs, size_t scalars) {
  Value value;
  value.type = ValueType::kScalar;
  value.scalar = std::move(scalar);
  NARTHEX_RETURN_IF_ERROR(AccountSteps(before, inputs, scalars, value));
  return value;
}

Result<Value> Evaluator::Eval(const Expr& expr) {
  const QueryProfile::Scope scope(query_->profile, expr);
  SharedResult* const shared = FindShared(expr);
  Result<Value> value = shared == nullptr ? EvalNode(expr) : EvalShared(expr, shared);
  if (!value.ok() || !query_->memory.counting()) return value;
  if (!value->memory.counting()) value->memory = HoldMemory();
  NARTHEX_RETURN_IF_ERROR(value->memory.SetTo(MemoryOf(*value)));
  if (query_->profile != nullptr) query_->profile->RecordResult(expr, *value);
  return value;
}

Result<Value> Evaluator::EvalNode(const Expr& expr) {
  NARTHEX_RETURN_IF_ERROR(CheckDone());
  if (steps_ == 0) {
    // A subquery without any step inside its range.
    Value value;
    value.type = TypeOf(expr);
    return value;
  }
  NARTHEX_RETURN_IF_ERROR(CheckDense(1));
  switch (expr.kind) {
    case Expr::Kind::kNumberLiteral: return EvalNumber(expr.As<NumberLiteral>());
    case Expr::Kind::kStringLiteral: {
      Value value;
      value.type = ValueType::kString;
      value.string = expr.As<StringLiteral>().value;
      return value;
    }
    case Expr::Kind::kParen: return Eval(*expr.As<ParenExpr>().expr);
    case Expr::Kind::kVectorSelector: return EvalVectorSelector(expr.As<VectorSelector>());
    case Expr::Kind::kMatrixSelector: return EvalMatrixSelector(expr.As<MatrixSelector>());
    case Expr::Kind::kSubquery: return EvalSubquery(expr.As<SubqueryExpr>());
    case Expr::Kind::kCall: return EvalCall(expr.As<Call>());
    case Expr::Kind::kAggregate: return EvalAggregate(expr.As<AggregateExpr>());
    case Expr::Kind::kBinary: return EvalBinary(expr.As<BinaryExpr>());
    case Expr::Kind::kUnary: return EvalUnary(expr.As<UnaryExpr>());
    case Expr::Kind::kStepInvariant: return EvalStepInvariant(expr.As<StepInvariantExpr>());
    case Expr::Kind::kDuration: break;
  }
  return Status(ErrorCode::kInternal, "unhandled expression");
}

Result<Value> Evaluator::EvalNumber(const NumberLiteral& expr) {
  return FinishScalar(std::vector<double>(steps_, expr.value), query_->current_samples, {}, 0);
}

Result<Value> Evaluator::EvalUnary(const UnaryExpr& expr) {
  NARTHEX_TRY(Value value, Eval(*expr.expr));
  if (!expr.minus) return value;
  for (double& v : value.scalar) v = -v;
  for (VectorSeries& series : value.vector) {
    series.labels = ResultLabels(series.labels);
    series.drop_name = true;
    double* values = series.column.values();
    for (size_t step = 0; step < steps_; ++step) values[step] = -values[step];
    if (!series.column.has_histograms()) continue;
    series.column.ForEach([&](size_t step) {
      const HistogramPtr& histogram = series.column.histogram(step);
      if (histogram == nullptr) return;
      auto negated = std::make_shared<FloatHistogram>(*histogram);
      MulHistogram(negated.get(), -1);
      series.column.SetHistogram(step, std::move(negated));
    });
  }
  if (!query_->delayed_name_removal)
    NARTHEX_RETURN_IF_ERROR(MergeDuplicates(&value.vector, query_->cancellation));
  return value;
}

Result<Value> Evaluator::EvalStepInvariant(const StepInvariantExpr& expr) {
  const StepGrid single{grid_.start_ms, grid_.start_ms, grid_.interval_ms};
  SampleStats child_stats;
  Evaluator child(query_, single, &child_stats);
  NARTHEX_TRY(Value once, child.Eval(*expr.expr));
  stats_->UpdatePeak(child_stats.peak());
  stats_->AddSeries(child_stats.series());
  for (size_t step = 0; step < steps_; ++step) stats_->AddTotal(step, child_stats.total());
  stats_->AddRead(0, child_stats.read());
  if (once.type == ValueType::kMatrix || once.type == ValueType::kString) return once;

  // The one result serves every step.
  const size_t size = once.type == ValueType::kScalar ? 1 : SampleCount(once.vector);
  if (once.type == ValueType::kScalar) once.scalar.assign(steps_, once.scalar[0]);
  for (VectorSeries& series : once.vector) {
    NARTHEX_RETURN_IF_ERROR(Tick());
    StepColumn column(steps_);
    NARTHEX_RETURN_IF_ERROR(once.memory.Grow(column.words() * 8 + steps_ * sizeof(double)));
    if (const HistogramPtr& histogram = series.column.histogram(0)) {
      for (size_t step = 0; step < steps_; ++step) column.SetHistogram(step, histogram);
    } else {
      std::fill_n(column.values(), steps_, series.column.value(0));
      column.SetAllPresent();
    }
    series.column = std::move(column);
  }
  NARTHEX_RETURN_IF_ERROR(Hold(size * (steps_ - 1)));
  return once;
}

Status Evaluator::RemoveDelayedNames(Value* value) {
  for (VectorSeries& series : value->vector) {
    if (series.drop_name) series.labels = DropMetadata(series.labels);
  }
  for (MatrixSeries& series : value->matrix) {
    if (series.drop_name) series.labels = DropMetadata(series.labels);
  }
  NARTHEX_RETURN_IF_ERROR(MergeDuplicates(&value->vector, query_->cancellation));
  return MergeDuplicates(&value->matrix, query_->cancellation);
}

}  // namespace narthex::promql
