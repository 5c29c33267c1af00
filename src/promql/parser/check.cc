// Types, and the rules between a node and its operands (parity/promql.md section 2). The order of
// the checks is upstream's, since the first complaint is the one that users read.
#include <fmt/format.h>

#include <string>
#include <string_view>

#include "promql/parser/parser_internal.h"
#include "util/strings.h"

namespace narthex::promql {
namespace {

bool IsSpace(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

class TypeChecker {
 public:
  TypeChecker(std::string_view query, Parser* parser) : query_(query), parser_(parser) {}

  ValueType Check(Expr& expr);

 private:
  template <typename... Args>
  void Fail(PositionRange position, fmt::format_string<Args...> format, Args&&... args) {
    parser_->AddError(position, fmt::format(format, std::forward<Args>(args)...));
  }
  void Expect(Expr& expr, ValueType wanted, std::string_view context);
  void CheckAggregate(AggregateExpr& aggregate);
  void CheckBinary(BinaryExpr& binary);
  void CheckMatching(BinaryExpr& binary, ValueType lhs, ValueType rhs);
  void CheckCall(Call& call);
  void CheckArgumentCount(const Call& call);
  void CheckInfoSelector(const Call& call);
  void CheckSelector(const VectorSelector& selector);
  PositionRange OperatorRange(const BinaryExpr& binary) const;

  std::string_view query_;
  Parser* parser_;
};

ValueType TypeChecker::Check(Expr& expr) {
  const ValueType type = TypeOf(expr);
  switch (expr.kind) {
    case Expr::Kind::kAggregate: CheckAggregate(expr.As<AggregateExpr>()); break;
    case Expr::Kind::kBinary: CheckBinary(expr.As<BinaryExpr>()); break;
    case Expr::Kind::kCall: CheckCall(expr.As<Call>()); break;
    case Expr::Kind::kParen: Check(*expr.As<ParenExpr>().expr); break;
    case Expr::Kind::kUnary: {
      const ValueType operand = Check(*expr.As<UnaryExpr>().expr);
      if (operand != ValueType::kScalar && operand != ValueType::kVector) {
        Fail(expr.position,
             "unary expression only allowed on expressions of type scalar or instant vector, got "
             "\"{}\"",
             ValueTypeName(operand));
      }
      break;
    }
    case Expr::Kind::kSubquery: {
      const ValueType operand = Check(*expr.As<SubqueryExpr>().expr);
      if (operand != ValueType::kVector) {
        Fail(expr.position, "subquery is only allowed on instant vector, got {} instead",
             ValueTypeTag(operand));
      }
      break;
    }
    case Expr::Kind::kMatrixSelector: CheckSelector(*expr.As<MatrixSelector>().selector); break;
    case Expr::Kind::kVectorSelector: CheckSelector(expr.As<VectorSelector>()); break;
    case Expr::Kind::kNumberLiteral:
    case Expr::Kind::kStringLiteral:
    case Expr::Kind::kDuration:
    case Expr::Kind::kStepInvariant: break;
  }
  return type;
}

void TypeChecker::Expect(Expr& expr, ValueType wanted, std::string_view context) {
  if (const ValueType type = Check(expr); type != wanted) {
    Fail(expr.position, "expected type {} in {}, got {}", ValueTypeName(wanted), context,
         ValueTypeName(type));
  }
}

void TypeChecker::CheckAggregate(AggregateExpr& aggregate) {
  Expect(*aggregate.expr, ValueType::kVector, "aggregation expression");
  if (aggregate.parameter == nullptr) return;
  const bool text = aggregate.op == AggregateOp::kCountValues;
  Expect(*aggregate.parameter, text ? ValueType::kString : ValueType::kScalar,
         "aggregation parameter");
}

// From the left operand to the right one, spaces cut; the end is that of upstream's messages, one
// short.
PositionRange TypeChecker::OperatorRange(const BinaryExpr& binary) const {
  uint32_t start = binary.lhs->position.end;
  while (start < query_.size() && IsSpace(query_[start])) ++start;
  uint32_t end = binary.rhs->position.start;
  if (end > 0) --end;
  while (end > 0 && end < query_.size() && IsSpace(query_[end])) --end;
  return {start, end};
}

void TypeChecker::CheckBinary(BinaryExpr& binary) {
  const ValueType lhs = Check(*binary.lhs);
  const ValueType rhs = Check(*binary.rhs);
  if (binary.return_bool && !IsComparison(binary.op)) {
    Fail(OperatorRange(binary), "bool modifier can only be used on comparison operators");
  }
  if (IsComparison(binary.op) && !binary.return_bool && lhs == ValueType::kScalar &&
      rhs == ValueType::kScalar) {
    Fail(OperatorRange(binary), "comparisons between scalars must use BOOL modifier");
  }
  VectorMatching& matching = *binary.matching;
  if (IsSetOperator(binary.op) && matching.card == MatchCardinality::kOneToOne) {
    matching.card = MatchCardinality::kManyToMany;
  }
  for (const std::string& label : matching.labels) {
    for (const std::string& included : matching.include) {
      if (label != included || !matching.on) continue;
      Fail(OperatorRange(binary), "label {} must not occur in ON and GROUP clause at once",
           GoQuote(label));
    }
  }
  constexpr std::string_view kOperands =
      "binary expression must contain only scalar and instant vector types";
  if (lhs != ValueType::kScalar && lhs != ValueType::kVector) {
    Fail(binary.lhs->position, "{}", kOperands);
  }
  if (rhs != ValueType::kScalar && rhs != ValueType::kVector) {
    Fail(binary.rhs->position, "{}", kOperands);
  }
  CheckMatching(binary, lhs, rhs);
  if ((lhs == ValueType::kScalar || rhs == ValueType::kScalar) && IsSetOperator(binary.op)) {
    Fail(binary.position, "set operator \"{}\" not allowed in binary scalar expression",
         BinaryOpName(binary.op));
  }
}

void TypeChecker::CheckMatching(BinaryExpr& binary, ValueType lhs, ValueType rhs) {
  const VectorMatching& matching = *binary.matching;
  const bool fill = matching.fill_left || matching.fill_right;
  if (lhs != ValueType::kVector || rhs != ValueType::kVector) {
    if (!matching.labels.empty()) {
      Fail(binary.position, "vector matching only allowed between instant vectors");
    }
    if (fill) {
      Fail(binary.position, "filling in missing series only allowed between instant vectors");
    }
    binary.matching.reset();
    return;
  }
  if (!IsSetOperator(binary.op)) return;
  if (matching.card != MatchCardinality::kManyToMany) {
    Fail(binary.position, "no grouping allowed for \"{}\" operation", BinaryOpName(binary.op));
    Fail(binary.position, "set operations must always be many-to-many");
  }
  if (fill) Fail(binary.position, "filling in missing series not allowed for set operators");
}

void TypeChecker::CheckArgumentCount(const Call& call) {
  const FunctionSignature& function = *call.function;
  const size_t got = call.arguments.size();
  const std::string name = GoQuote(function.name);
  if (function.variadic == 0) {
    const size_t wanted = function.arguments.size();
    if (wanted != got) {
      Fail(call.position, "expected {} argument(s) in call to {}, got {}", wanted, name, got);
    }
    return;
  }
  const size_t least = function.arguments.size() - 1;
  if (got < least) {
    Fail(call.position, "expected at least {} argument(s) in call to {}, got {}", least, name, got);
    return;
  }
  if (function.variadic < 0) return;
  if (const size_t most = least + static_cast<size_t>(function.variadic); got > most) {
    Fail(call.position, "expected at most {} argument(s) in call to {}, got {}", most, name, got);
  }
}

// The second argument of info() is a list of matchers in the guise of a selector.
void TypeChecker::CheckInfoSelector(const Call& call) {
  Expr& argument = *call.arguments[1];
  if (const ValueType type = TypeOf(argument); type != ValueType::kVector) {
    Fail(call.position, "expected type {} in call to function {}, got {}",
         ValueTypeName(ValueType::kVector), GoQuote(call.function->name), ValueTypeName(type));
  }
  if (argument.kind != Expr::Kind::kVectorSelector) {
    Fail(argument.position, "expected label selectors only");
  } else if (!argument.As<VectorSelector>().name.empty()) {
    Fail(argument.position, "expected label selectors only, got vector selector instead");
  } else {
    argument.As<VectorSelector>().bypass_empty_matcher_check = true;
  }
}

void TypeChecker::CheckCall(Call& call) {
  CheckArgumentCount(call);
  const FunctionSignature& function = *call.function;
  if (function.name == "info" && call.arguments.size() > 1) CheckInfoSelector(call);
  for (size_t i = 0; i < call.arguments.size(); ++i) {
    if (i >= function.arguments.size() && function.variadic == 0) break;
    const ValueType wanted = function.arguments[std::min(i, function.arguments.size() - 1)];
    Expr& argument = *call.arguments[i];
    if (const ValueType type = Check(argument); type != wanted) {
      Fail(argument.position, "expected type {} in call to function {}, got {}",
           ValueTypeName(wanted), GoQuote(function.name), ValueTypeName(type));
    }
  }
}

void TypeChecker::CheckSelector(const VectorSelector& selector) {
  if (!selector.name.empty()) {
    // The last matcher is that of the name in front of the braces.
    for (size_t i = 0; i + 1 < selector.matchers.size(); ++i) {
      const Matcher& matcher = selector.matchers[i];
      if (matcher.name() != kMetricNameLabel) continue;
      Fail(selector.position, "metric name must not be set twice: {} or {}", GoQuote(selector.name),
           GoQuote(matcher.value()));
    }
    return;
  }
  if (selector.bypass_empty_matcher_check) return;
  for (const Matcher& matcher : selector.matchers) {
    if (!matcher.matches_empty()) return;
  }
  // Otherwise a slip of the pen would select everything.
  Fail(selector.position, "vector selector must contain at least one non-empty matcher");
}

}  // namespace

void CheckTypes(Expr& expr, std::string_view query, Parser* parser) {
  TypeChecker(query, parser).Check(expr);
}

}  // namespace narthex::promql
