// Binary operators on single elements: the table of floats and histograms.
// Specification: parity/promql.md sections 8, 9 and 16.
#pragma once

#include <cmath>
#include <cstdint>
#include <utility>

#include "promql/engine/annotations.h"
#include "promql/engine/query_result.h"
#include "promql/parser/ast.h"
#include "util/go_math.h"
#include "util/status.h"

namespace narthex::promql {

// Why an element was dropped, or what is worth telling about it. Of all elements of a step the last
// one's problem becomes an annotation.
enum class ElementProblem : uint8_t {
  kNone,
  kFloatFloat,  // Types that the operator does not take.
  kFloatHistogram,
  kHistogramFloat,
  kHistogramHistogram,
  kCollisionAdd,  // One histogram was reset, the other not.
  kCollisionSub,
  kReconciledAdd,  // Custom buckets differed.
  kReconciledSub,
  kSchemas,  // Exponential and custom buckets.
};

struct ElementResult {
  double value = 0;
  HistogramPtr histogram;
  bool keep = false;  // False: a filter or a problem dropped it.
  ElementProblem problem = ElementProblem::kNone;
  // The problem dropped it.
  bool failed = false;
};

// Two elements; a null histogram stands for a float. Errors are broken histograms.
Result<ElementResult> ApplyElement(BinaryOp op, double lhs, const HistogramPtr& lhs_histogram,
                                   double rhs, const HistogramPtr& rhs_histogram);

void Annotate(ElementProblem problem, BinaryOp op, PositionRange position,
              Annotations* annotations);

// Whether the operator makes something new, that is no longer the metric by that name.
constexpr bool ChangesMetric(BinaryOp op) {
  return op <= BinaryOp::kAtan2;
}

double ApplyScalars(BinaryOp op, double lhs, double rhs);

// Calls use(fn) with the operator as a functor on floats, so that loops over columns are compiled
// for each operator. Arithmetic: fn(l, r) is the value. Comparisons: fn(l, r) is the verdict.
template <typename Use>
void WithArithmetic(BinaryOp op, Use&& use) {
  switch (op) {
    case BinaryOp::kAdd: return use([](double l, double r) { return l + r; });
    case BinaryOp::kSub: return use([](double l, double r) { return l - r; });
    case BinaryOp::kMul: return use([](double l, double r) { return l * r; });
    case BinaryOp::kDiv: return use([](double l, double r) { return l / r; });
    case BinaryOp::kMod: return use([](double l, double r) { return std::fmod(l, r); });
    case BinaryOp::kPow: return use([](double l, double r) { return go::Pow(l, r); });
    default: return use([](double l, double r) { return go::Atan2(l, r); });
  }
}
template <typename Use>
void WithComparison(BinaryOp op, Use&& use) {
  switch (op) {
    case BinaryOp::kEql: return use([](double l, double r) { return l == r; });
    case BinaryOp::kNeq: return use([](double l, double r) { return l != r; });
    case BinaryOp::kLss: return use([](double l, double r) { return l < r; });
    case BinaryOp::kLte: return use([](double l, double r) { return l <= r; });
    case BinaryOp::kGtr: return use([](double l, double r) { return l > r; });
    default: return use([](double l, double r) { return l >= r; });
  }
}

}  // namespace narthex::promql
