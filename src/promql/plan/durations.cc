// Arithmetic on durations, in seconds as floating point, as upstream computes it.
#include <cmath>

#include "promql/plan/plan.h"
#include "util/go_math.h"

namespace narthex::promql::plan_internal {
namespace {

Status ErrorAt(const Expr& expr, std::string_view what) {
  // Byte positions, not line and column: upstream prints them raw.
  return MakeError(ErrorCode::kInvalidInput, "{}:{}: {}", expr.position.start, expr.position.end,
                   what);
}

// Go's math.Min and math.Max: NaN wins.
double MinOf(double a, double b) {
  return std::isnan(a) || std::isnan(b) ? std::nan("") : std::fmin(a, b);
}
double MaxOf(double a, double b) {
  return std::isnan(a) || std::isnan(b) ? std::nan("") : std::fmax(a, b);
}

Result<double> Seconds(const Expr& expr, const PlanRequest& request) {
  if (expr.kind == Expr::Kind::kNumberLiteral) return expr.As<NumberLiteral>().value;
  if (expr.kind == Expr::Kind::kParen) return Seconds(*expr.As<ParenExpr>().expr, request);
  if (expr.kind != Expr::Kind::kDuration) {
    return ErrorAt(expr, "unexpected duration expression");
  }
  const DurationExpr& node = expr.As<DurationExpr>();
  double lhs = 0;
  double rhs = 0;
  if (node.lhs != nullptr) {
    NARTHEX_TRY(lhs, Seconds(*node.lhs, request));
  }
  if (node.rhs != nullptr) {
    NARTHEX_TRY(rhs, Seconds(*node.rhs, request));
  }
  using Op = DurationExpr::Op;
  switch (node.op) {
    case Op::kStep: return static_cast<double>(request.step_ms) / 1000;
    case Op::kRange: return static_cast<double>(request.end_ms - request.start_ms) / 1000;
    case Op::kMin: return MinOf(lhs, rhs);
    case Op::kMax: return MaxOf(lhs, rhs);
    case Op::kAdd: return node.lhs == nullptr ? rhs : lhs + rhs;
    case Op::kSub: return node.lhs == nullptr ? -rhs : lhs - rhs;
    case Op::kMul: return lhs * rhs;
    case Op::kDiv:
      if (rhs == 0) return ErrorAt(expr, "division by zero");
      return lhs / rhs;
    case Op::kMod:
      if (rhs == 0) return ErrorAt(expr, "modulo by zero");
      return std::fmod(lhs, rhs);
    case Op::kPow: return go::Pow(lhs, rhs);
  }
  return ErrorAt(expr, "unexpected duration expression");
}

enum class Sign : uint8_t { kPositive, kAny };

Status Resolve(DurationValue* value, Sign sign, const PlanRequest& request) {
  if (value->expr == nullptr) return {};
  const Expr& expr = *value->expr;
  NARTHEX_TRY(const double seconds, Seconds(expr, request));
  if (!std::isfinite(seconds)) return ErrorAt(expr, "duration is NaN or infinite");
  if (seconds <= 0 && sign == Sign::kPositive) {
    return ErrorAt(expr, "duration must be greater than 0");
  }
  constexpr double kSecondsMax = 9223372036854775808.0 / 1e9;
  if (std::abs(seconds) > kSecondsMax) return ErrorAt(expr, "duration is out of range");
  // Whole milliseconds, truncated.
  const double millis = seconds * 1000;
  constexpr double kMillisMax = 9223372036854.0;
  value->nanos =
      static_cast<int64_t>(std::min(std::max(millis, -kMillisMax), kMillisMax)) * kNanosPerMilli;
  return {};
}

}  // namespace

Status ResolveDurations(Expr& root, const PlanRequest& request) {
  Status status;
  WalkExpr(root, [&](Expr& node) {
    if (!status.ok()) return false;
    if (node.kind == Expr::Kind::kVectorSelector) {
      status = Resolve(&node.As<VectorSelector>().offset, Sign::kAny, request);
    } else if (node.kind == Expr::Kind::kMatrixSelector) {
      status = Resolve(&node.As<MatrixSelector>().range, Sign::kPositive, request);
    } else if (node.kind == Expr::Kind::kSubquery) {
      SubqueryExpr& subquery = node.As<SubqueryExpr>();
      status = Resolve(&subquery.offset, Sign::kAny, request);
      if (status.ok()) status = Resolve(&subquery.step, Sign::kPositive, request);
      if (status.ok()) status = Resolve(&subquery.range, Sign::kPositive, request);
    }
    return status.ok();
  });
  return status;
}

}  // namespace narthex::promql::plan_internal
