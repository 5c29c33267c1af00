#include "promql/plan/plan.h"

#include <array>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace narthex::promql {

using plan_internal::ToMillis;

namespace {

void StripParens(ExprPtr* expr) {
  while (*expr != nullptr && (*expr)->kind == Expr::Kind::kParen) {
    ExprPtr inner = std::move((*expr)->As<ParenExpr>().expr);
    *expr = std::move(inner);
  }
}

void Wrap(ExprPtr* expr) {
  auto wrapper = std::make_unique<StepInvariantExpr>();
  wrapper->position = (*expr)->position;
  wrapper->expr = std::move(*expr);
  *expr = std::move(wrapper);
}

// The child expressions as owned pointers, so that they can be replaced.
std::vector<ExprPtr*> Slots(Expr& expr) {
  switch (expr.kind) {
    case Expr::Kind::kBinary: {
      BinaryExpr& node = expr.As<BinaryExpr>();
      return {&node.lhs, &node.rhs};
    }
    case Expr::Kind::kCall: {
      std::vector<ExprPtr*> slots;
      for (ExprPtr& argument : expr.As<Call>().arguments) slots.push_back(&argument);
      return slots;
    }
    case Expr::Kind::kAggregate: {
      AggregateExpr& node = expr.As<AggregateExpr>();
      if (node.parameter == nullptr) return {&node.expr};
      return {&node.expr, &node.parameter};
    }
    case Expr::Kind::kUnary: return {&expr.As<UnaryExpr>().expr};
    case Expr::Kind::kParen: return {&expr.As<ParenExpr>().expr};
    case Expr::Kind::kSubquery: return {&expr.As<SubqueryExpr>().expr};
    default: return {};
  }
}

// start(), end(), range() and step() are constants of the query.
void FoldQueryConstants(ExprPtr* slot, const PlanRequest& request) {
  Expr& expr = **slot;
  if (expr.kind == Expr::Kind::kCall) {
    const std::string_view name = expr.As<Call>().function->name;
    double value = 0;
    bool constant = true;
    if (name == "start") {
      value = static_cast<double>(request.start_ms) / 1000;
    } else if (name == "end") {
      value = static_cast<double>(request.end_ms) / 1000;
    } else if (name == "range") {
      value = static_cast<double>(request.end_ms - request.start_ms) / 1000;
    } else if (name == "step") {
      value = request.start_ms == request.end_ms ? 0 : static_cast<double>(request.step_ms) / 1000;
    } else {
      constant = false;
    }
    if (constant) {
      auto literal = std::make_unique<NumberLiteral>();
      literal->position = expr.position;
      literal->value = value;
      *slot = std::move(literal);
      return;
    }
  }
  for (ExprPtr* child : Slots(expr)) FoldQueryConstants(child, request);
}

void ResolveAtModifiers(Expr& root, const PlanRequest& request) {
  const auto resolve = [&](AtModifier at, int64_t* at_ms) {
    if (at == AtModifier::kStart) *at_ms = request.start_ms;
    if (at == AtModifier::kEnd) *at_ms = request.end_ms;
  };
  WalkExpr(root, [&](Expr& node) {
    if (node.kind == Expr::Kind::kVectorSelector) {
      VectorSelector& selector = node.As<VectorSelector>();
      resolve(selector.at, &selector.at_ms);
    } else if (node.kind == Expr::Kind::kSubquery) {
      SubqueryExpr& subquery = node.As<SubqueryExpr>();
      resolve(subquery.at, &subquery.at_ms);
    }
  });
}

// Functions whose result depends on the time of evaluation itself.
bool DependsOnTime(std::string_view function) {
  constexpr std::array<std::string_view, 15> kNames = {
      "days_in_month", "day_of_month", "day_of_week", "day_of_year", "end",
      "hour",          "minute",       "month",       "year",        "predict_linear",
      "range",         "start",        "step",        "time",        "timestamp"};
  for (const std::string_view name : kNames) {
    if (name == function) return true;
  }
  return false;
}

struct Invariance {
  bool invariant = false;  // The same at every step.
  bool wrap = false;       // And worth a StepInvariantExpr (literals and range selectors are not).
};

Invariance MarkInvariant(Expr& expr);

Invariance MarkCall(Call& call) {
  const bool is_info = call.function->name == "info";
  const bool is_timestamp = call.function->name == "timestamp";
  bool invariant = !DependsOnTime(call.function->name);
  // timestamp(m @ 1) does not move with the steps, timestamp(abs(m @ 1)) does.
  bool fixed_timestamp = is_timestamp;
  std::vector<bool> wrap(call.arguments.size());
  for (size_t i = 0; i < call.arguments.size(); ++i) {
    StripParens(&call.arguments[i]);
    Expr& argument = *call.arguments[i];
    const Invariance marked = MarkInvariant(argument);
    wrap[i] = marked.wrap;
    if (is_info && i == 1) {
      wrap[i] = false;  // Selector syntax, never evaluated.
      continue;
    }
    invariant = invariant && marked.invariant;
    if (!marked.invariant || argument.kind != Expr::Kind::kVectorSelector) fixed_timestamp = false;
  }
  if (is_info) {
    InfoReference reference;
    invariant = invariant && plan_internal::UniformInfoReference(*call.arguments[0], &reference);
  }
  if (invariant || fixed_timestamp) return {true, true};
  for (size_t i = 0; i < wrap.size(); ++i) {
    if (wrap[i]) Wrap(&call.arguments[i]);
  }
  return {};
}

// Wraps the highest step-invariant nodes below `expr`, and tells about `expr` itself.
Invariance MarkInvariant(Expr& expr) {
  switch (expr.kind) {
    case Expr::Kind::kVectorSelector: {
      const bool fixed = expr.As<VectorSelector>().at != AtModifier::kNone;
      return {fixed, fixed};
    }
    case Expr::Kind::kMatrixSelector:
      // Range functions read the selector themselves.
      return {MarkInvariant(*expr.As<MatrixSelector>().selector).invariant, false};
    case Expr::Kind::kAggregate: {
      AggregateExpr& node = expr.As<AggregateExpr>();
      StripParens(&node.expr);
      StripParens(&node.parameter);
      return MarkInvariant(*node.expr);
    }
    case Expr::Kind::kBinary: {
      BinaryExpr& node = expr.As<BinaryExpr>();
      const Invariance lhs = MarkInvariant(*node.lhs);
      const Invariance rhs = MarkInvariant(*node.rhs);
      if (lhs.invariant && rhs.invariant) return {true, true};
      if (lhs.wrap) Wrap(&node.lhs);
      if (rhs.wrap) Wrap(&node.rhs);
      return {};
    }
    case Expr::Kind::kCall: return MarkCall(expr.As<Call>());
    case Expr::Kind::kSubquery: {
      SubqueryExpr& node = expr.As<SubqueryExpr>();
      if (MarkInvariant(*node.expr).invariant) Wrap(&node.expr);
      return {node.at != AtModifier::kNone, false};
    }
    case Expr::Kind::kParen: return MarkInvariant(*expr.As<ParenExpr>().expr);
    case Expr::Kind::kUnary: return MarkInvariant(*expr.As<UnaryExpr>().expr);
    case Expr::Kind::kStepInvariant: return {true, false};
    case Expr::Kind::kNumberLiteral:
    case Expr::Kind::kStringLiteral:
    case Expr::Kind::kDuration: return {true, false};
  }
  return {};
}

}  // namespace

Result<Plan> MakePlan(ExprPtr expr, const PlanRequest& request) {
  Plan plan;
  plan.root = std::move(expr);
  FoldQueryConstants(&plan.root, request);
  NARTHEX_RETURN_IF_ERROR(plan_internal::ResolveDurations(*plan.root, request));
  ResolveAtModifiers(*plan.root, request);
  if (MarkInvariant(*plan.root).wrap) Wrap(&plan.root);
  plan_internal::CollectSelectors(request, &plan);
  if (request.share) plan_internal::FindShared(&plan);
  return plan;
}

}  // namespace narthex::promql
