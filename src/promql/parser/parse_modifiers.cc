// What may stand behind an expression: [range], [range:step], offset, @, anchored, smoothed.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include "promql/parser/parser_internal.h"
#include "util/numbers.h"
#include "util/time.h"

namespace narthex::promql {
namespace {

constexpr std::string_view kDurationWanted = "number, duration, step(), or range()";

// As a conversion instruction does it: NaN and whatever does not fit give the smallest integer.
int64_t ToInt64(double value) {
  constexpr double kLimit = 9223372036854775808.0;
  if (!(value >= -kLimit && value < kLimit)) return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(value);
}

// What `offset` and `@` change: fields of the selector or of the subquery.
struct ModifierTarget {
  DurationValue* offset = nullptr;
  AtModifier* at = nullptr;
  int64_t* at_ms = nullptr;
};

ModifierTarget TargetOf(Expr& expr) {
  switch (expr.kind) {
    case Expr::Kind::kVectorSelector: {
      VectorSelector& selector = expr.As<VectorSelector>();
      return {&selector.offset, &selector.at, &selector.at_ms};
    }
    case Expr::Kind::kMatrixSelector: {
      VectorSelector& selector = *expr.As<MatrixSelector>().selector;
      return {&selector.offset, &selector.at, &selector.at_ms};
    }
    case Expr::Kind::kSubquery: {
      SubqueryExpr& subquery = expr.As<SubqueryExpr>();
      return {&subquery.offset, &subquery.at, &subquery.at_ms};
    }
    default: return {};
  }
}

constexpr std::string_view kPreceded =
    "modifier must be preceded by an instant vector selector or range vector selector or a "
    "subquery";

}  // namespace

// -------------------------------------------------------------------------------------------------
// Brackets
// -------------------------------------------------------------------------------------------------

// On an error the expression stays as it was before the bracket.
ExprPtr Parser::ParseBrackets(ExprPtr expr) {
  const Token open = Take();
  ExprPtr range = ParsePositiveDuration();
  if (range == nullptr) {
    if (aborted()) return nullptr;
    Unexpected("subquery or range selector", kDurationWanted);
    return expr;
  }
  for (;;) {
    switch (Peek()) {
      case TokenKind::kRightBracket: {
        const Token close = Take();
        return MakeMatrix(std::move(expr), std::move(range), {open.pos, close.range().end});
      }
      case TokenKind::kColon: Take(); return ParseSubqueryStep(std::move(expr), std::move(range));
      default: break;
    }
    if (Retry()) continue;
    if (aborted()) return nullptr;
    Unexpected("subquery or range", "\":\" or \"]\"");
    return expr;
  }
}

ExprPtr Parser::MakeMatrix(ExprPtr expr, ExprPtr range, PositionRange brackets) {
  auto matrix = std::make_unique<MatrixSelector>();
  matrix->position = {expr->position.start, last_closing_};
  if (expr->kind == Expr::Kind::kVectorSelector) {
    const VectorSelector& selector = expr->As<VectorSelector>();
    if (selector.offset.nanos != 0 || selector.offset.expr != nullptr) {
      AddError(brackets, "no offset modifiers allowed before range");
    } else if (selector.at != AtModifier::kNone) {
      AddError(brackets, "no @ modifiers allowed before range");
    }
    matrix->selector.reset(&expr.release()->As<VectorSelector>());
  } else {
    AddError(brackets, "ranges only allowed for vector selectors");
    matrix->selector = std::make_unique<VectorSelector>();
    matrix->selector->position = expr->position;
    broken_ranges_.push_back(matrix.get());
  }
  matrix->range = ToDurationValue(std::move(range));
  if (!CheckHeight(*matrix)) return nullptr;
  return matrix;
}

// Behind the colon.
ExprPtr Parser::ParseSubqueryStep(ExprPtr expr, ExprPtr range) {
  ExprPtr step;
  if (Peek() != TokenKind::kRightBracket) {
    step = ParsePositiveDuration();
    if (step == nullptr) {
      if (aborted()) return nullptr;
      Unexpected("subquery selector", "number, duration, step(), range(), or \"]\"");
      return expr;
    }
    while (Peek() != TokenKind::kRightBracket) {
      if (Retry()) continue;
      if (aborted()) return nullptr;
      Unexpected("subquery selector", "\"]\"");
      return expr;
    }
  }
  auto subquery = std::make_unique<SubqueryExpr>();
  subquery->position = {expr->position.start, Take().range().end};
  subquery->expr = std::move(expr);
  subquery->range = ToDurationValue(std::move(range));
  if (step != nullptr) subquery->step = ToDurationValue(std::move(step));
  if (!CheckHeight(*subquery)) return nullptr;
  return subquery;
}

DurationValue Parser::ToDurationValue(ExprPtr expr) {
  if (expr->kind != Expr::Kind::kNumberLiteral) return {0, std::move(expr)};
  const double nanos =
      std::round(expr->As<NumberLiteral>().value * static_cast<double>(kNanosPerSecond));
  return {ToInt64(nanos), nullptr};
}

bool Parser::IsSelectorRange(const Expr& expr) const {
  return std::find(broken_ranges_.begin(), broken_ranges_.end(), &expr) == broken_ranges_.end();
}

// -------------------------------------------------------------------------------------------------
// offset
// -------------------------------------------------------------------------------------------------

ExprPtr Parser::ParseOffset(ExprPtr expr) {
  Take();
  ExprPtr duration = ParseOffsetDuration();
  if (duration == nullptr) {
    if (aborted()) return nullptr;
    Unexpected("offset", kDurationWanted);
    return expr;
  }
  SetOffset(*expr, std::move(duration));
  return expr;
}

void Parser::SetOffset(Expr& expr, ExprPtr duration) {
  DurationValue* const offset = TargetOf(expr).offset;
  if (offset == nullptr) {
    AddError(expr.position, fmt::format("offset {}", kPreceded));
    return;
  }
  if (!IsSelectorRange(expr)) {
    AddError(expr.position, "ranges only allowed for vector selectors");
    return;
  }
  if (offset->nanos != 0 || offset->expr != nullptr) {
    AddError(expr.position, "offset may not be set multiple times");
  } else {
    *offset = ToDurationValue(std::move(duration));
  }
  expr.position.end = last_closing_;
}

// -------------------------------------------------------------------------------------------------
// @
// -------------------------------------------------------------------------------------------------

ExprPtr Parser::ParseAt(ExprPtr expr) {
  Take();
  if (!ParseAtValue(*expr)) {
    if (aborted()) return nullptr;
    Unexpected("@", "timestamp");
  }
  return expr;
}

bool Parser::ParseAtValue(Expr& expr) {
  const TokenKind kind = Peek();
  if (kind == TokenKind::kStart || kind == TokenKind::kEndWord) {
    Take();
    if (!Expect(TokenKind::kLeftParen) || !Expect(TokenKind::kRightParen)) return false;
    SetAtWord(expr, kind == TokenKind::kStart ? AtModifier::kStart : AtModifier::kEnd);
    return true;
  }
  double seconds = 0;
  if (!ParseSignedNumber(&seconds)) return false;
  SetTimestamp(expr, seconds);
  return true;
}

void Parser::SetTimestamp(Expr& expr, double seconds) {
  constexpr double kLimit = 9223372036854775808.0;
  if (!(seconds > -kLimit && seconds < kLimit)) {
    AddError(expr.position,
             "timestamp out of bounds for @ modifier: " + FormatFloatFPrecision(seconds, 6));
  }
  SetAtWord(expr, AtModifier::kTimestamp);
  if (const ModifierTarget target = TargetOf(expr);
      target.at != nullptr && *target.at == AtModifier::kTimestamp) {
    *target.at_ms = ToInt64(std::round(seconds * static_cast<double>(kMillisPerSecond)));
  }
}

void Parser::SetAtWord(Expr& expr, AtModifier at) {
  const ModifierTarget target = TargetOf(expr);
  if (target.at == nullptr) {
    AddError(expr.position, fmt::format("@ {}", kPreceded));
    return;
  }
  if (!IsSelectorRange(expr)) {
    AddError(expr.position, "ranges only allowed for vector selectors");
    return;
  }
  if (*target.at != AtModifier::kNone) {
    AddError(expr.position, "@ <timestamp> may not be set multiple times");
    return;
  }
  *target.at = at;
  expr.position.end = last_closing_;
}

// -------------------------------------------------------------------------------------------------
// anchored, smoothed
// -------------------------------------------------------------------------------------------------

namespace {

constexpr std::string_view kBothText = "anchored and smoothed modifiers cannot be used together";

VectorSelector* ExtendedTarget(Expr& expr) {
  if (expr.kind == Expr::Kind::kVectorSelector) return &expr.As<VectorSelector>();
  if (expr.kind == Expr::Kind::kMatrixSelector) return expr.As<MatrixSelector>().selector.get();
  return nullptr;
}

std::string NotExtendable(std::string_view modifier, const Expr& expr) {
  const bool subquery = expr.kind == Expr::Kind::kSubquery;
  return fmt::format("{} modifier {}", modifier,
                     subquery ? "is not supported for subqueries" : "not implemented");
}

}  // namespace

void Parser::SetAnchored(Expr& expr) {
  VectorSelector* const selector = ExtendedTarget(expr);
  if (selector == nullptr) return AddError(expr.position, NotExtendable("anchored", expr));
  if (!IsSelectorRange(expr)) return;
  selector->anchored = true;
  if (selector->smoothed) AddError(expr.position, std::string(kBothText));
}

void Parser::SetSmoothed(Expr& expr) {
  VectorSelector* const selector = ExtendedTarget(expr);
  if (selector == nullptr) return AddError(expr.position, NotExtendable("smoothed", expr));
  if (!IsSelectorRange(expr)) return;
  selector->smoothed = true;
  if (selector->anchored) AddError(expr.position, std::string(kBothText));
}

}  // namespace narthex::promql
