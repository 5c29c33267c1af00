// Printing: the canonical one-line form, and the formatter that splits long lines.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "model/labels.h"
#include "promql/parser/lexer.h"
#include "promql/parser/parser.h"
#include "util/numbers.h"
#include "util/strings.h"
#include "util/time.h"

namespace narthex::promql {
namespace {

// -------------------------------------------------------------------------------------------------
// Parts
// -------------------------------------------------------------------------------------------------

std::string LabelName(std::string_view name, bool utf8) {
  return IsUnquotedName(name, utf8) ? std::string(name) : GoQuote(name);
}

std::string LabelNames(const std::vector<std::string>& names, bool utf8) {
  std::string out;
  for (const std::string& name : names) {
    if (!out.empty()) out += ", ";
    out += LabelName(name, utf8);
  }
  return out;
}

std::string DurationText(const DurationValue& value) {
  return value.expr != nullptr ? Print(*value.expr) : FormatDuration(value.nanos);
}

std::string OffsetText(const DurationValue& offset) {
  if (offset.expr != nullptr) return " offset " + Print(*offset.expr);
  if (offset.nanos > 0) return " offset " + FormatDuration(offset.nanos);
  if (offset.nanos < 0) {
    // The smallest integer has no opposite.
    const bool least = offset.nanos == std::numeric_limits<int64_t>::min();
    return " offset -" + FormatDuration(least ? offset.nanos : -offset.nanos);
  }
  return {};
}

std::string AtText(AtModifier at, int64_t at_ms) {
  switch (at) {
    case AtModifier::kNone: return {};
    case AtModifier::kTimestamp:
      return " @ " + FormatFloatFPrecision(static_cast<double>(at_ms) / 1000.0, 3);
    case AtModifier::kStart: return " @ start()";
    case AtModifier::kEnd: return " @ end()";
  }
  return {};
}

std::string_view ExtensionText(const VectorSelector& selector) {
  return selector.anchored ? " anchored" : selector.smoothed ? " smoothed" : "";
}

std::string MatcherText(const Matcher& matcher, bool utf8) {
  return fmt::format("{}{}{}", LabelName(matcher.name(), utf8), MatchTypeName(matcher.type()),
                     GoQuote(matcher.value()));
}

// Name and matchers, without modifiers.
std::string SelectorText(const VectorSelector& selector) {
  std::vector<std::string> matchers;
  for (const Matcher& matcher : selector.matchers) {
    const bool of_name = matcher.type() == MatchType::kEqual &&
                         matcher.name() == kMetricNameLabel && matcher.value() == selector.name &&
                         !selector.name.empty();
    if (!of_name) matchers.push_back(MatcherText(matcher, selector.unquoted_utf8_names));
  }
  if (matchers.empty()) return selector.name;
  std::sort(matchers.begin(), matchers.end());
  return selector.name + "{" + Join(matchers, ",") + "}";
}

std::string NumberText(const NumberLiteral& literal) {
  if (!literal.duration) return FormatFloatF(literal.value);
  const bool negative = literal.value < 0;
  const double nanos = (negative ? -literal.value : literal.value) * 1e9;
  return (negative ? "-" : "") + FormatDuration(static_cast<int64_t>(nanos));
}

std::string DurationExprText(const DurationExpr& expr) {
  std::string out;
  const std::string_view op = DurationOpName(expr.op);
  if (expr.op == DurationExpr::Op::kStep || expr.op == DurationExpr::Op::kRange) {
    out = fmt::format("{}()", op);
  } else if (expr.op == DurationExpr::Op::kMin || expr.op == DurationExpr::Op::kMax) {
    out = fmt::format("{}({}, {})", op, Print(*expr.lhs), Print(*expr.rhs));
  } else if (expr.lhs != nullptr) {
    out = fmt::format("{} {} {}", Print(*expr.lhs), op, Print(*expr.rhs));
  } else {
    // A plus in front is not printed; it may stand for parentheses around a literal.
    out = (expr.op == DurationExpr::Op::kSub ? "-" : "") + Print(*expr.rhs);
  }
  return expr.wrapped ? "(" + out + ")" : out;
}

// [range:step] and modifiers.
std::string SubquerySuffix(const SubqueryExpr& subquery) {
  const bool step = subquery.step.expr != nullptr || subquery.step.nanos != 0;
  return fmt::format("[{}:{}]{}{}", DurationText(subquery.range),
                     step ? DurationText(subquery.step) : "", AtText(subquery.at, subquery.at_ms),
                     OffsetText(subquery.offset));
}

// sum by (a, b) …, with a space behind the labels.
std::string AggregateHead(const AggregateExpr& aggregate) {
  std::string out(AggregateOpName(aggregate.op));
  if (aggregate.without || !aggregate.grouping.empty()) {
    out += aggregate.without ? " without (" : " by (";
    out += LabelNames(aggregate.grouping, aggregate.unquoted_utf8_names) + ") ";
  }
  return out;
}

// == bool on (a) group_left (b) fill (0)
std::string OperatorText(const BinaryExpr& binary) {
  std::string out(BinaryOpName(binary.op));
  if (binary.return_bool) out += " bool";
  if (!binary.matching) return out;
  const VectorMatching& matching = *binary.matching;
  const bool utf8 = binary.unquoted_utf8_names;
  const bool grouped = matching.card == MatchCardinality::kManyToOne ||
                       matching.card == MatchCardinality::kOneToMany;
  if (!matching.labels.empty() || matching.on || grouped) {
    out += matching.on ? " on (" : " ignoring (";
    out += LabelNames(matching.labels, utf8) + ")";
  }
  if (grouped) {
    out += matching.card == MatchCardinality::kManyToOne ? " group_left (" : " group_right (";
    out += LabelNames(matching.include, utf8) + ")";
  }
  if (matching.fill_left && matching.fill_right && *matching.fill_left == *matching.fill_right) {
    return out + " fill (" + FormatFloatG(*matching.fill_left) + ")";
  }
  if (matching.fill_left) out += " fill_left (" + FormatFloatG(*matching.fill_left) + ")";
  if (matching.fill_right) out += " fill_right (" + FormatFloatG(*matching.fill_right) + ")";
  return out;
}

std::string SelectorWithModifiers(const VectorSelector& selector) {
  return fmt::format("{}{}{}{}", SelectorText(selector), AtText(selector.at, selector.at_ms),
                     ExtensionText(selector), OffsetText(selector.offset));
}

std::string MatrixText(const MatrixSelector& matrix) {
  const VectorSelector& selector = *matrix.selector;
  return fmt::format("{}[{}]{}{}{}", SelectorText(selector), DurationText(matrix.range),
                     ExtensionText(selector), AtText(selector.at, selector.at_ms),
                     OffsetText(selector.offset));
}

std::string CallText(const Call& call) {
  std::string out = std::string(call.function->name) + "(";
  for (size_t i = 0; i < call.arguments.size(); ++i) {
    if (i > 0) out += ", ";
    out += Print(*call.arguments[i]);
  }
  return out + ")";
}

std::string AggregateText(const AggregateExpr& aggregate) {
  std::string out = AggregateHead(aggregate) + "(";
  if (aggregate.parameter != nullptr) out += Print(*aggregate.parameter) + ", ";
  return out + Print(*aggregate.expr) + ")";
}

// -------------------------------------------------------------------------------------------------
// The formatter
// -------------------------------------------------------------------------------------------------

constexpr size_t kLineBytesMax = 100;

std::string Indent(int level) {
  return std::string(static_cast<size_t>(level) * 2, ' ');
}

// Each level is indented by two spaces more; an expression whose one-line form is too long puts its
// operands on lines of their own.
std::string Format(const Expr& expr, int level);

std::string FormatCall(const Call& call, int level) {
  std::string out = Indent(level) + std::string(call.function->name) + "(\n";
  for (size_t i = 0; i < call.arguments.size(); ++i) {
    if (i > 0) out += ",\n";
    out += Format(*call.arguments[i], level + 1);
  }
  return out + "\n" + Indent(level) + ")";
}

std::string FormatAggregate(const AggregateExpr& aggregate, int level) {
  std::string out = Indent(level) + AggregateHead(aggregate) + "(\n";
  if (aggregate.parameter != nullptr) out += Format(*aggregate.parameter, level + 1) + ",\n";
  return out + Format(*aggregate.expr, level + 1) + "\n" + Indent(level) + ")";
}

std::string FormatSplit(const Expr& expr, int level) {
  switch (expr.kind) {
    case Expr::Kind::kAggregate: return FormatAggregate(expr.As<AggregateExpr>(), level);
    case Expr::Kind::kCall: return FormatCall(expr.As<Call>(), level);
    case Expr::Kind::kBinary: {
      const BinaryExpr& binary = expr.As<BinaryExpr>();
      return Format(*binary.lhs, level + 1) + "\n" + Indent(level) + OperatorText(binary) + "\n" +
             Format(*binary.rhs, level + 1);
    }
    case Expr::Kind::kParen:
      return Indent(level) + "(\n" + Format(*expr.As<ParenExpr>().expr, level + 1) + "\n" +
             Indent(level) + ")";
    default: return Indent(level) + Print(expr);
  }
}

std::string Format(const Expr& expr, int level) {
  switch (expr.kind) {
    case Expr::Kind::kStepInvariant: return Format(*expr.As<StepInvariantExpr>().expr, level);
    case Expr::Kind::kUnary: {
      const UnaryExpr& unary = expr.As<UnaryExpr>();
      const std::string operand = Format(*unary.expr, level);
      return Indent(level) + (unary.minus ? "-" : "+") + std::string(TrimSpace(operand));
    }
    case Expr::Kind::kSubquery: {
      // As upstream: a subquery that fits on a line is not indented.
      std::string line = Print(expr);
      if (line.size() <= kLineBytesMax) return line;
      const SubqueryExpr& subquery = expr.As<SubqueryExpr>();
      return Format(*subquery.expr, level) + SubquerySuffix(subquery);
    }
    default: break;
  }
  std::string line = Print(expr);
  if (line.size() <= kLineBytesMax) return Indent(level) + line;
  return FormatSplit(expr, level);
}

}  // namespace

std::string Print(const Expr& expr) {
  switch (expr.kind) {
    case Expr::Kind::kNumberLiteral: return NumberText(expr.As<NumberLiteral>());
    case Expr::Kind::kStringLiteral: return GoQuote(expr.As<StringLiteral>().value);
    case Expr::Kind::kVectorSelector: return SelectorWithModifiers(expr.As<VectorSelector>());
    case Expr::Kind::kMatrixSelector: return MatrixText(expr.As<MatrixSelector>());
    case Expr::Kind::kSubquery: {
      const SubqueryExpr& subquery = expr.As<SubqueryExpr>();
      return Print(*subquery.expr) + SubquerySuffix(subquery);
    }
    case Expr::Kind::kCall: return CallText(expr.As<Call>());
    case Expr::Kind::kAggregate: return AggregateText(expr.As<AggregateExpr>());
    case Expr::Kind::kBinary: {
      const BinaryExpr& binary = expr.As<BinaryExpr>();
      return Print(*binary.lhs) + " " + OperatorText(binary) + " " + Print(*binary.rhs);
    }
    case Expr::Kind::kUnary:
      return (expr.As<UnaryExpr>().minus ? "-" : "+") + Print(*expr.As<UnaryExpr>().expr);
    case Expr::Kind::kParen: return "(" + Print(*expr.As<ParenExpr>().expr) + ")";
    case Expr::Kind::kDuration: return DurationExprText(expr.As<DurationExpr>());
    case Expr::Kind::kStepInvariant: return Print(*expr.As<StepInvariantExpr>().expr);
  }
  return {};
}

std::string PrettyPrint(const Expr& expr) {
  return Format(expr, 0);
}

}  // namespace narthex::promql
