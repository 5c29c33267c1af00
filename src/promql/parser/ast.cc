#include "promql/parser/ast.h"

#include <utility>

namespace narthex::promql {

std::string_view ValueTypeName(ValueType type) {
  switch (type) {
    case ValueType::kNone: return "none";
    case ValueType::kScalar: return "scalar";
    case ValueType::kString: return "string";
    case ValueType::kVector: return "instant vector";
    case ValueType::kMatrix: return "range vector";
  }
  return "none";
}

std::string_view ValueTypeTag(ValueType type) {
  switch (type) {
    case ValueType::kVector: return "vector";
    case ValueType::kMatrix: return "matrix";
    default: return ValueTypeName(type);
  }
}

std::string_view BinaryOpName(BinaryOp op) {
  switch (op) {
    case BinaryOp::kAdd: return "+";
    case BinaryOp::kSub: return "-";
    case BinaryOp::kMul: return "*";
    case BinaryOp::kDiv: return "/";
    case BinaryOp::kMod: return "%";
    case BinaryOp::kPow: return "^";
    case BinaryOp::kAtan2: return "atan2";
    case BinaryOp::kEql: return "==";
    case BinaryOp::kNeq: return "!=";
    case BinaryOp::kLss: return "<";
    case BinaryOp::kLte: return "<=";
    case BinaryOp::kGtr: return ">";
    case BinaryOp::kGte: return ">=";
    case BinaryOp::kAnd: return "and";
    case BinaryOp::kOr: return "or";
    case BinaryOp::kUnless: return "unless";
    case BinaryOp::kTrimUpper: return "</";
    case BinaryOp::kTrimLower: return ">/";
  }
  return "";
}

std::string_view AggregateOpName(AggregateOp op) {
  switch (op) {
    case AggregateOp::kSum: return "sum";
    case AggregateOp::kAvg: return "avg";
    case AggregateOp::kCount: return "count";
    case AggregateOp::kMin: return "min";
    case AggregateOp::kMax: return "max";
    case AggregateOp::kGroup: return "group";
    case AggregateOp::kStddev: return "stddev";
    case AggregateOp::kStdvar: return "stdvar";
    case AggregateOp::kTopk: return "topk";
    case AggregateOp::kBottomk: return "bottomk";
    case AggregateOp::kCountValues: return "count_values";
    case AggregateOp::kQuantile: return "quantile";
    case AggregateOp::kLimitk: return "limitk";
    case AggregateOp::kLimitRatio: return "limit_ratio";
  }
  return "";
}

std::string_view DurationOpName(DurationExpr::Op op) {
  switch (op) {
    case DurationExpr::Op::kAdd: return "+";
    case DurationExpr::Op::kSub: return "-";
    case DurationExpr::Op::kMul: return "*";
    case DurationExpr::Op::kDiv: return "/";
    case DurationExpr::Op::kMod: return "%";
    case DurationExpr::Op::kPow: return "^";
    case DurationExpr::Op::kStep: return "step";
    case DurationExpr::Op::kRange: return "range";
    case DurationExpr::Op::kMin: return "min_of";
    case DurationExpr::Op::kMax: return "max_of";
  }
  return "";
}

std::string_view MatchCardinalityName(MatchCardinality card) {
  switch (card) {
    case MatchCardinality::kOneToOne: return "one-to-one";
    case MatchCardinality::kManyToOne: return "many-to-one";
    case MatchCardinality::kOneToMany: return "one-to-many";
    case MatchCardinality::kManyToMany: return "many-to-many";
  }
  return "";
}

ValueType TypeOf(const Expr& expr) {
  switch (expr.kind) {
    case Expr::Kind::kNumberLiteral:
    case Expr::Kind::kDuration: return ValueType::kScalar;
    case Expr::Kind::kStringLiteral: return ValueType::kString;
    case Expr::Kind::kVectorSelector:
    case Expr::Kind::kAggregate: return ValueType::kVector;
    case Expr::Kind::kMatrixSelector:
    case Expr::Kind::kSubquery: return ValueType::kMatrix;
    case Expr::Kind::kCall: return expr.As<Call>().function->returns;
    case Expr::Kind::kBinary: {
      const BinaryExpr& binary = expr.As<BinaryExpr>();
      const bool scalars =
          TypeOf(*binary.lhs) == ValueType::kScalar && TypeOf(*binary.rhs) == ValueType::kScalar;
      return scalars ? ValueType::kScalar : ValueType::kVector;
    }
    case Expr::Kind::kUnary: return TypeOf(*expr.As<UnaryExpr>().expr);
    case Expr::Kind::kParen: return TypeOf(*expr.As<ParenExpr>().expr);
    case Expr::Kind::kStepInvariant: return TypeOf(*expr.As<StepInvariantExpr>().expr);
  }
  return ValueType::kNone;
}

namespace {

ExprPtr CloneOrNull(const ExprPtr& expr) {
  return expr == nullptr ? nullptr : Clone(*expr);
}

DurationValue CloneDuration(const DurationValue& value) {
  return {value.nanos, CloneOrNull(value.expr)};
}

std::unique_ptr<VectorSelector> CloneSelector(const VectorSelector& from) {
  auto to = std::make_unique<VectorSelector>();
  to->position = from.position;
  to->name = from.name;
  to->matchers = from.matchers;
  to->offset = CloneDuration(from.offset);
  to->at = from.at;
  to->at_ms = from.at_ms;
  to->anchored = from.anchored;
  to->smoothed = from.smoothed;
  to->bypass_empty_matcher_check = from.bypass_empty_matcher_check;
  to->unquoted_utf8_names = from.unquoted_utf8_names;
  return to;
}

ExprPtr CloneNode(const NumberLiteral& from) {
  auto to = std::make_unique<NumberLiteral>();
  to->value = from.value;
  to->duration = from.duration;
  return to;
}

ExprPtr CloneNode(const StringLiteral& from) {
  auto to = std::make_unique<StringLiteral>();
  to->value = from.value;
  return to;
}

ExprPtr CloneNode(const DurationExpr& from) {
  auto to = std::make_unique<DurationExpr>();
  to->op = from.op;
  to->lhs = CloneOrNull(from.lhs);
  to->rhs = CloneOrNull(from.rhs);
  to->wrapped = from.wrapped;
  return to;
}

ExprPtr CloneNode(const MatrixSelector& from) {
  auto to = std::make_unique<MatrixSelector>();
  to->selector = CloneSelector(*from.selector);
  to->range = CloneDuration(from.range);
  return to;
}

ExprPtr CloneNode(const SubqueryExpr& from) {
  auto to = std::make_unique<SubqueryExpr>();
  to->expr = Clone(*from.expr);
  to->range = CloneDuration(from.range);
  to->step = CloneDuration(from.step);
  to->offset = CloneDuration(from.offset);
  to->at = from.at;
  to->at_ms = from.at_ms;
  return to;
}

ExprPtr CloneNode(const Call& from) {
  auto to = std::make_unique<Call>();
  to->function = from.function;
  to->arguments.reserve(from.arguments.size());
  for (const ExprPtr& argument : from.arguments) to->arguments.push_back(Clone(*argument));
  return to;
}

ExprPtr CloneNode(const AggregateExpr& from) {
  auto to = std::make_unique<AggregateExpr>();
  to->op = from.op;
  to->expr = CloneOrNull(from.expr);
  to->parameter = CloneOrNull(from.parameter);
  to->grouping = from.grouping;
  to->without = from.without;
  to->unquoted_utf8_names = from.unquoted_utf8_names;
  return to;
}

ExprPtr CloneNode(const BinaryExpr& from) {
  auto to = std::make_unique<BinaryExpr>();
  to->op = from.op;
  to->lhs = Clone(*from.lhs);
  to->rhs = Clone(*from.rhs);
  to->matching = from.matching;
  to->return_bool = from.return_bool;
  to->unquoted_utf8_names = from.unquoted_utf8_names;
  to->op_position = from.op_position;
  return to;
}

ExprPtr CloneNode(const UnaryExpr& from) {
  auto to = std::make_unique<UnaryExpr>();
  to->minus = from.minus;
  to->expr = Clone(*from.expr);
  return to;
}

template <typename Wrapper>
ExprPtr CloneWrapper(const Wrapper& from) {
  auto to = std::make_unique<Wrapper>();
  to->expr = Clone(*from.expr);
  return to;
}

ExprPtr CloneByKind(const Expr& expr) {
  switch (expr.kind) {
    case Expr::Kind::kNumberLiteral: return CloneNode(expr.As<NumberLiteral>());
    case Expr::Kind::kStringLiteral: return CloneNode(expr.As<StringLiteral>());
    case Expr::Kind::kVectorSelector: return CloneSelector(expr.As<VectorSelector>());
    case Expr::Kind::kMatrixSelector: return CloneNode(expr.As<MatrixSelector>());
    case Expr::Kind::kSubquery: return CloneNode(expr.As<SubqueryExpr>());
    case Expr::Kind::kCall: return CloneNode(expr.As<Call>());
    case Expr::Kind::kAggregate: return CloneNode(expr.As<AggregateExpr>());
    case Expr::Kind::kBinary: return CloneNode(expr.As<BinaryExpr>());
    case Expr::Kind::kUnary: return CloneNode(expr.As<UnaryExpr>());
    case Expr::Kind::kParen: return CloneWrapper(expr.As<ParenExpr>());
    case Expr::Kind::kDuration: return CloneNode(expr.As<DurationExpr>());
    case Expr::Kind::kStepInvariant: return CloneWrapper(expr.As<StepInvariantExpr>());
  }
  return nullptr;
}

// Calls visit(child) for each operand, in upstream's order.
template <typename Visit>
void ForEachChild(const Expr& expr, Visit&& visit) {
  switch (expr.kind) {
    case Expr::Kind::kNumberLiteral:
    case Expr::Kind::kStringLiteral:
    case Expr::Kind::kVectorSelector:
    case Expr::Kind::kDuration: break;
    case Expr::Kind::kMatrixSelector: visit(*expr.As<MatrixSelector>().selector); break;
    case Expr::Kind::kSubquery: visit(*expr.As<SubqueryExpr>().expr); break;
    case Expr::Kind::kCall:
      for (const ExprPtr& argument : expr.As<Call>().arguments) visit(*argument);
      break;
    case Expr::Kind::kAggregate: {
      const AggregateExpr& aggregate = expr.As<AggregateExpr>();
      if (aggregate.expr != nullptr) visit(*aggregate.expr);
      if (aggregate.parameter != nullptr) visit(*aggregate.parameter);
      break;
    }
    case Expr::Kind::kBinary:
      visit(*expr.As<BinaryExpr>().lhs);
      visit(*expr.As<BinaryExpr>().rhs);
      break;
    case Expr::Kind::kUnary: visit(*expr.As<UnaryExpr>().expr); break;
    case Expr::Kind::kParen: visit(*expr.As<ParenExpr>().expr); break;
    case Expr::Kind::kStepInvariant: visit(*expr.As<StepInvariantExpr>().expr); break;
  }
}

}  // namespace

ExprPtr Clone(const Expr& expr) {
  ExprPtr copy = CloneByKind(expr);
  copy->position = expr.position;
  copy->height = expr.height;
  return copy;
}

std::vector<const Expr*> Children(const Expr& expr) {
  std::vector<const Expr*> children;
  ForEachChild(expr, [&](const Expr& child) { children.push_back(&child); });
  return children;
}

std::vector<Expr*> Children(Expr& expr) {
  std::vector<Expr*> children;
  // ForEachChild hands out const views of nodes that a non-const parent owns.
  ForEachChild(expr, [&](Expr& child) { children.push_back(&child); });
  return children;
}

}  // namespace narthex::promql
