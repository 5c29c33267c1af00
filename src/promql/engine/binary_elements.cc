#include "promql/engine/binary_elements.h"

#include <fmt/format.h>

#include <memory>

#include "model/float_histogram_ops.h"
#include "util/strings.h"

namespace narthex::promql {
namespace {

ElementResult Failed(ElementProblem problem) {
  return {.problem = problem, .failed = true};
}

ElementResult Kept(FloatHistogram histogram) {
  return {.histogram = std::make_shared<const FloatHistogram>(std::move(histogram)), .keep = true};
}

Result<ElementResult> AddOrSub(BinaryOp op, const FloatHistogram& lhs, const FloatHistogram& rhs) {
  const bool add = op == BinaryOp::kAdd;
  FloatHistogram result = lhs;
  const Result<HistogramMerge> merge =
      add ? AddHistogram(&result, rhs) : SubHistogram(&result, rhs);
  if (!merge.ok()) {
    if (merge.status().message() == kIncompatibleSchemasText) {
      return Failed(ElementProblem::kSchemas);
    }
    return merge.status();
  }
  if (merge->counter_reset_collision) {
    return Failed(add ? ElementProblem::kCollisionAdd : ElementProblem::kCollisionSub);
  }
  if (!add) result.counter_reset_hint = CounterResetHint::kGauge;
  CompactHistogram(&result, 0);
  ElementResult kept = Kept(std::move(result));
  if (merge->bounds_reconciled) {
    kept.problem = add ? ElementProblem::kReconciledAdd : ElementProblem::kReconciledSub;
  }
  return kept;
}

ElementResult Scaled(const FloatHistogram& histogram, double factor, bool divide) {
  FloatHistogram result = histogram;
  if (divide) {
    DivHistogram(&result, factor);
  } else {
    MulHistogram(&result, factor);
  }
  CompactHistogram(&result, 0);
  return Kept(std::move(result));
}

ElementResult FloatFloat(BinaryOp op, double lhs, double rhs) {
  ElementResult result;
  if (op == BinaryOp::kTrimUpper || op == BinaryOp::kTrimLower) {
    return Failed(ElementProblem::kFloatFloat);
  }
  if (IsComparison(op)) {
    result.value = lhs;
    WithComparison(op, [&](auto fn) { result.keep = fn(lhs, rhs); });
  } else {
    WithArithmetic(op, [&](auto fn) { result.value = fn(lhs, rhs); });
    result.keep = true;
  }
  return result;
}

}  // namespace

double ApplyScalars(BinaryOp op, double lhs, double rhs) {
  const ElementResult result = FloatFloat(op, lhs, rhs);
  return IsComparison(op) ? (result.keep ? 1 : 0) : result.value;
}

Result<ElementResult> ApplyElement(BinaryOp op, double lhs, const HistogramPtr& lhs_histogram,
                                   double rhs, const HistogramPtr& rhs_histogram) {
  if (lhs_histogram == nullptr && rhs_histogram == nullptr) return FloatFloat(op, lhs, rhs);
  if (lhs_histogram == nullptr) {
    if (op == BinaryOp::kMul) return Scaled(*rhs_histogram, lhs, /*divide=*/false);
    return Failed(ElementProblem::kFloatHistogram);
  }
  if (rhs_histogram == nullptr) {
    switch (op) {
      case BinaryOp::kMul: return Scaled(*lhs_histogram, rhs, /*divide=*/false);
      case BinaryOp::kDiv: return Scaled(*lhs_histogram, rhs, /*divide=*/true);
      case BinaryOp::kTrimUpper:
      case BinaryOp::kTrimLower: {
        FloatHistogram result = *lhs_histogram;
        TrimBuckets(&result, rhs, op == BinaryOp::kTrimUpper ? TrimSide::kUpper : TrimSide::kLower);
        return Kept(std::move(result));
      }
      default: return Failed(ElementProblem::kHistogramFloat);
    }
  }
  switch (op) {
    case BinaryOp::kAdd:
    case BinaryOp::kSub: return AddOrSub(op, *lhs_histogram, *rhs_histogram);
    case BinaryOp::kEql:
    case BinaryOp::kNeq: {
      const bool equal = HistogramsEqual(*lhs_histogram, *rhs_histogram);
      return ElementResult{.histogram = lhs_histogram, .keep = equal == (op == BinaryOp::kEql)};
    }
    default: return Failed(ElementProblem::kHistogramHistogram);
  }
}

void Annotate(ElementProblem problem, BinaryOp op, PositionRange position,
              Annotations* annotations) {
  const auto types = [&](std::string_view lhs, std::string_view rhs) {
    annotations->Info(
        fmt::format("incompatible sample types encountered for binary operator {}: {} {} {}",
                    GoQuote(BinaryOpName(op)), lhs, BinaryOpName(op), rhs),
        position);
  };
  switch (problem) {
    case ElementProblem::kNone: return;
    case ElementProblem::kFloatFloat: return types("float", "float");
    case ElementProblem::kFloatHistogram: return types("float", "histogram");
    case ElementProblem::kHistogramFloat: return types("histogram", "float");
    case ElementProblem::kHistogramHistogram: return types("histogram", "histogram");
    case ElementProblem::kCollisionAdd:
      return annotations->CounterResetCollision(HistogramOperation::kAddition, position);
    case ElementProblem::kCollisionSub:
      return annotations->CounterResetCollision(HistogramOperation::kSubtraction, position);
    case ElementProblem::kReconciledAdd:
      return annotations->MismatchedCustomBuckets(HistogramOperation::kAddition, position);
    case ElementProblem::kReconciledSub:
      return annotations->MismatchedCustomBuckets(HistogramOperation::kSubtraction, position);
    case ElementProblem::kSchemas:
      return annotations->Warn(
          fmt::format("incompatible bucket layout encountered for binary operator {}",
                      BinaryOpName(op)),
          position);
  }
}

}  // namespace narthex::promql
