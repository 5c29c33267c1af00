// Binary operators that involve scalars, and the set operators.
#include <algorithm>

#include "promql/engine/binary_elements.h"
#include "promql/engine/evaluator.h"
#include "util/strings.h"

namespace narthex::promql {

LabelProjection MatchingProjection(const VectorMatching& matching) {
  std::vector<std::string> names = matching.labels;
  if (!matching.on) {
    for (const std::string_view name : {kMetricNameLabel, kTypeLabel, kUnitLabel}) {
      names.emplace_back(name);
    }
  }
  return LabelProjection(std::move(names), /*keep=*/matching.on);
}

Result<Value> Evaluator::EvalBinary(const BinaryExpr& expr) {
  const bool lhs_scalar = TypeOf(*expr.lhs) == ValueType::kScalar;
  const bool rhs_scalar = TypeOf(*expr.rhs) == ValueType::kScalar;
  if (lhs_scalar && rhs_scalar) return BinaryScalars(expr);
  if (lhs_scalar || rhs_scalar) return BinaryVectorScalar(expr);
  if (IsSetOperator(expr.op)) return BinarySets(expr);
  return BinaryVectors(expr);
}

Result<Value> Evaluator::BinaryScalars(const BinaryExpr& expr) {
  const int64_t before = query_->current_samples;
  NARTHEX_TRY(const Value lhs, Eval(*expr.lhs));
  NARTHEX_TRY(const Value rhs, Eval(*expr.rhs));
  if (expr.op == BinaryOp::kTrimUpper || expr.op == BinaryOp::kTrimLower) {
    return MakeError(ErrorCode::kExecution, "operator {} not allowed for Scalar operations",
                     GoQuote(BinaryOpName(expr.op)));
  }
  std::vector<double> result(steps_);
  for (size_t step = 0; step < steps_; ++step) {
    result[step] = ApplyScalars(expr.op, lhs.scalar[step], rhs.scalar[step]);
  }
  return FinishScalar(std::move(result), before, {}, 2);
}

namespace {

// A float column and a scalar, without gaps in the loop: absent steps compute garbage.
void ApplyFloatColumn(const BinaryExpr& expr, bool scalar_left, const StepColumn& column,
                      const std::vector<double>& scalar, StepColumn* out) {
  const size_t steps = column.steps();
  const double* from = column.values();
  double* to = out->values();
  std::copy_n(column.present(), column.words(), out->present());
  if (!IsComparison(expr.op)) {
    WithArithmetic(expr.op, [&](auto fn) {
      if (scalar_left) {
        for (size_t i = 0; i < steps; ++i) to[i] = fn(scalar[i], from[i]);
      } else {
        for (size_t i = 0; i < steps; ++i) to[i] = fn(from[i], scalar[i]);
      }
    });
    return;
  }
  WithComparison(expr.op, [&](auto fn) {
    for (size_t w = 0; w < column.words(); ++w) {
      uint64_t verdicts = 0;
      const size_t end = std::min(steps - w * 64, size_t{64});
      for (size_t i = 0; i < end; ++i) {
        const size_t step = w * 64 + i;
        const bool verdict =
            scalar_left ? fn(scalar[step], from[step]) : fn(from[step], scalar[step]);
        verdicts |= uint64_t{verdict} << i;
        to[step] = expr.return_bool ? (verdict ? 1 : 0) : from[step];
      }
      if (!expr.return_bool) out->present()[w] &= verdicts;
    }
  });
}

}  // namespace

Result<Value> Evaluator::BinaryVectorScalar(const BinaryExpr& expr) {
  const int64_t before = query_->current_samples;
  NARTHEX_TRY(Value lhs, Eval(*expr.lhs));
  NARTHEX_TRY(Value rhs, Eval(*expr.rhs));
  const bool scalar_left = lhs.type == ValueType::kScalar;
  const VectorValue& vector = scalar_left ? rhs.vector : lhs.vector;
  const std::vector<double>& scalar = scalar_left ? lhs.scalar : rhs.scalar;
  const bool trim = expr.op == BinaryOp::kTrimUpper || expr.op == BinaryOp::kTrimLower;
  const bool renamed = ChangesMetric(expr.op) || expr.return_bool;
  std::vector<ElementProblem> problems(steps_, ElementProblem::kNone);
  VectorValue output;
  output.reserve(vector.size());
  for (const VectorSeries& series : vector) {
    NARTHEX_RETURN_IF_ERROR(Tick());
    StepColumn column(steps_);
    if (!series.column.has_histograms() && !trim) {
      ApplyFloatColumn(expr, scalar_left, series.column, scalar, &column);
    } else {
      Status status;
      series.column.ForEach([&](size_t step) {
        if (!status.ok()) return;
        const HistogramPtr& histogram = series.column.histogram(step);
        const double value = series.column.value(step);
        Result<ElementResult> applied =
            scalar_left ? ApplyElement(expr.op, scalar[step], nullptr, value, histogram)
                        : ApplyElement(expr.op, value, histogram, scalar[step], nullptr);
        if (!applied.ok()) {
          status = applied.status();
          return;
        }
        ElementResult& result = *applied;
        if (result.failed) {
          problems[step] = result.problem;
          return;
        }
        if (expr.return_bool) {
          column.Set(step, result.keep ? 1 : 0);
        } else if (result.keep) {
          // A comparison keeps the vector's element, whichever side it stands on.
          if (IsComparison(expr.op)) {
            column.SetFrom(step, series.column, step);
          } else if (result.histogram != nullptr) {
            column.SetHistogram(step, std::move(result.histogram));
          } else {
            column.Set(step, result.value);
          }
        }
      });
      NARTHEX_RETURN_IF_ERROR(status);
    }
    output.push_back({renamed ? ResultLabels(series.labels) : series.labels,
                      renamed || series.drop_name, std::move(column)});
  }
  for (const ElementProblem problem : problems) {
    Annotate(problem, expr.op, expr.position, &query_->annotations);
  }
  const VectorValue* const inputs[] = {&vector};
  return FinishVector(std::move(output), before, inputs, 1);
}

Result<Value> Evaluator::BinarySets(const BinaryExpr& expr) {
  const int64_t before = query_->current_samples;
  NARTHEX_TRY(const Value lhs, Eval(*expr.lhs));
  NARTHEX_TRY(const Value rhs, Eval(*expr.rhs));
  const LabelProjection projection = MatchingProjection(*expr.matching);
  ProjectionIndex index(&projection);
  std::vector<size_t> lhs_sigs;
  std::vector<size_t> rhs_sigs;
  for (const auto& [vector, sigs] :
       {std::pair(&lhs.vector, &lhs_sigs), std::pair(&rhs.vector, &rhs_sigs)}) {
    for (const VectorSeries& series : *vector) {
      NARTHEX_RETURN_IF_ERROR(Tick());
      sigs->push_back(index.Add(series.labels));
    }
  }

  // At which steps each signature occurs on the deciding side.
  const bool is_or = expr.op == BinaryOp::kOr;
  const size_t words = (steps_ + 63) / 64;
  MemoryHold memory = HoldMemory();
  NARTHEX_RETURN_IF_ERROR(memory.Grow(index.size() * words * sizeof(uint64_t)));
  std::vector<uint64_t> present(index.size() * words);
  const auto mark = [&](const VectorValue& vector, const std::vector<size_t>& sigs) {
    for (size_t i = 0; i < vector.size(); ++i) {
      for (size_t w = 0; w < words; ++w) {
        present[sigs[i] * words + w] |= vector[i].column.present()[w];
      }
    }
  };
  if (is_or) {
    mark(lhs.vector, lhs_sigs);
  } else {
    mark(rhs.vector, rhs_sigs);
  }
  VectorValue output;
  std::vector<uint64_t> mask(words);
  const auto grow = [&](const VectorSeries& series) -> Status {
    NARTHEX_RETURN_IF_ERROR(Tick());
    return memory.counting() ? memory.Grow(MemoryOf(series)) : Status();
  };
  const auto add = [&](const VectorSeries& series, size_t sig, bool where_present) {
    for (size_t w = 0; w < words; ++w) {
      const uint64_t bits = present[sig * words + w];
      mask[w] = where_present ? bits : ~bits;
    }
    StepColumn column = series.column.Copy();
    column.KeepOnly(mask.data());
    output.push_back({series.labels, series.drop_name, std::move(column)});
  };
  for (size_t i = 0; i < lhs.vector.size(); ++i) {
    NARTHEX_RETURN_IF_ERROR(grow(lhs.vector[i]));
    if (is_or) {
      output.push_back(
          {lhs.vector[i].labels, lhs.vector[i].drop_name, lhs.vector[i].column.Copy()});
    } else {
      add(lhs.vector[i], lhs_sigs[i], expr.op == BinaryOp::kAnd);
    }
  }
  if (is_or) {
    for (size_t i = 0; i < rhs.vector.size(); ++i) {
      NARTHEX_RETURN_IF_ERROR(grow(rhs.vector[i]));
      add(rhs.vector[i], rhs_sigs[i], false);
    }
  }
  const VectorValue* const inputs[] = {&lhs.vector, &rhs.vector};
  return FinishVector(std::move(output), before, inputs, 0);
}

}  // namespace narthex::promql
