// Numbers, durations and the arithmetic on them that brackets and `offset` accept.
#include <fmt/format.h>

#include <memory>
#include <optional>
#include <utility>

#include "promql/parser/parser_internal.h"
#include "util/numbers.h"
#include "util/strings.h"
#include "util/time.h"

namespace narthex::promql {
namespace {

constexpr int kSumPrecedence = 4;
constexpr int kProductPrecedence = 5;
constexpr int kPowPrecedence = 6;

int PrecedenceOf(TokenKind kind) {
  switch (kind) {
    case TokenKind::kAdd:
    case TokenKind::kSub: return kSumPrecedence;
    case TokenKind::kMul:
    case TokenKind::kDiv:
    case TokenKind::kMod: return kProductPrecedence;
    case TokenKind::kPow: return kPowPrecedence;
    default: return -1;
  }
}

DurationExpr::Op DurationOpOf(TokenKind kind) {
  switch (kind) {
    case TokenKind::kSub: return DurationExpr::Op::kSub;
    case TokenKind::kMul: return DurationExpr::Op::kMul;
    case TokenKind::kDiv: return DurationExpr::Op::kDiv;
    case TokenKind::kMod: return DurationExpr::Op::kMod;
    case TokenKind::kPow: return DurationExpr::Op::kPow;
    case TokenKind::kStep: return DurationExpr::Op::kStep;
    case TokenKind::kRange: return DurationExpr::Op::kRange;
    case TokenKind::kMaxOf: return DurationExpr::Op::kMax;
    case TokenKind::kMinOf: return DurationExpr::Op::kMin;
    default: return DurationExpr::Op::kAdd;
  }
}

bool IsZero(const Expr& expr) {
  return expr.kind == Expr::Kind::kNumberLiteral && expr.As<NumberLiteral>().value == 0;
}

// Seconds that nanoseconds in 64 bits cannot hold.
bool IsOutOfRange(double seconds) {
  constexpr double kSecondsMax = 9223372036854775808.0 / 1e9;
  return seconds > kSecondsMax || seconds < -kSecondsMax;
}

// Stands for a literal that was reported.
ExprPtr ZeroLiteral() {
  return std::make_unique<NumberLiteral>();
}

// Digits as Go's strconv separates them by underscores: one at a time, between digits or behind the
// base prefix. Gives the text without them.
std::optional<std::string> RemoveUnderscores(std::string_view text) {
  if (text.find('_') == std::string_view::npos) return std::string(text);
  const bool hex = text.starts_with("0x") || text.starts_with("0X");
  std::string out(text.substr(0, hex ? 2 : 0));
  bool digit_before = hex;
  bool underscore_before = false;
  for (const char c : text.substr(out.size())) {
    const bool digit =
        (c >= '0' && c <= '9') || (hex && ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')));
    if (c == '_') {
      if (!digit_before) return std::nullopt;
    } else {
      if (underscore_before && !digit) return std::nullopt;
      out.push_back(c);
    }
    digit_before = digit;
    underscore_before = c == '_';
  }
  if (underscore_before) return std::nullopt;
  return out;
}

// An integer in base 16 (0x…) or 8 (0…), if the text is one and it fits.
std::optional<double> ParsePrefixedInteger(std::string_view text) {
  const bool hex = text.starts_with("0x") || text.starts_with("0X");
  if (!hex && (text.size() < 2 || text[0] != '0')) return std::nullopt;
  const uint64_t base = hex ? 16 : 8;
  text.remove_prefix(hex ? 2 : 1);
  if (text.empty()) return std::nullopt;
  uint64_t value = 0;
  for (const char c : text) {
    const uint64_t digit = c >= '0' && c <= '9'   ? static_cast<uint64_t>(c - '0')
                           : c >= 'a' && c <= 'f' ? static_cast<uint64_t>(c - 'a') + 10
                           : c >= 'A' && c <= 'F' ? static_cast<uint64_t>(c - 'A') + 10
                                                  : 16;
    if (digit >= base || value >> 59 != 0) return std::nullopt;
    value = value * base + digit;
  }
  if (value > uint64_t{INT64_MAX}) return std::nullopt;
  return static_cast<double>(value);
}

}  // namespace

// -------------------------------------------------------------------------------------------------
// Literals
// -------------------------------------------------------------------------------------------------

double Parser::ParseNumber(std::string_view text) {
  const std::optional<std::string> digits = RemoveUnderscores(text);
  bool out_of_range = false;
  std::optional<double> value;
  if (digits) {
    value = ParsePrefixedInteger(*digits);
    // A hexadecimal float needs an exponent, which the lexer does not let through.
    const bool hex = digits->starts_with("0x") || digits->starts_with("0X");
    if (!value && !hex) value = ParseFloat(*digits, &out_of_range);
  }
  if (!value || out_of_range) {
    AddError(last_.range(),
             fmt::format("error parsing number: strconv.ParseFloat: parsing {}: {}", GoQuote(text),
                         value ? "value out of range" : "invalid syntax"));
  }
  return value.value_or(0);
}

double Parser::ParseDurationSeconds(const Token& token) {
  const Result<int64_t> nanos = ParseDuration(token.text);
  if (!nanos.ok()) {
    AddError(token.range(), nanos.status().message());
    return 0;
  }
  return static_cast<double>(*nanos / kNanosPerSecond) +
         static_cast<double>(*nanos % kNanosPerSecond) / 1e9;
}

double Parser::TakeNumber() {
  const Token token = Take();
  return token.kind == TokenKind::kDuration ? ParseDurationSeconds(token) : ParseNumber(token.text);
}

// A number or duration with an optional sign.
bool Parser::ParseSignedNumber(double* value) {
  bool minus = false;
  bool sign = false;
  for (;;) {
    const TokenKind kind = Peek();
    if (kind == TokenKind::kNumber || kind == TokenKind::kDuration) break;
    if (!sign && (kind == TokenKind::kAdd || kind == TokenKind::kSub)) {
      Take();
      sign = true;
      minus = kind == TokenKind::kSub;
    } else if (!Retry()) {
      return false;
    }
  }
  *value = TakeNumber();
  if (minus) *value = -*value;
  return true;
}

// -------------------------------------------------------------------------------------------------
// Expressions
// -------------------------------------------------------------------------------------------------

ExprPtr Parser::ParsePositiveDuration() {
  ExprPtr expr = ParseDurationExpr(0);
  if (expr == nullptr || expr->kind != Expr::Kind::kNumberLiteral) return expr;
  if (expr->As<NumberLiteral>().value > 0) return expr;
  AddError(expr->position, "duration must be greater than 0");
  return ZeroLiteral();
}

ExprPtr Parser::ParseDurationExpr(int precedence_min) {
  ExprPtr expr;
  if (EnterLevel()) expr = ParseDurationOperand();
  if (expr != nullptr) expr = ParseDurationOperators(std::move(expr), precedence_min);
  LeaveLevel();
  return expr;
}

ExprPtr Parser::ParseDurationOperators(ExprPtr lhs, int precedence_min) {
  while (lhs != nullptr) {
    const int precedence = PrecedenceOf(Peek());
    if (precedence < 0 || precedence < precedence_min) return lhs;
    const Token op = Take();
    ExprPtr rhs = ParseDurationExpr(precedence == kPowPrecedence ? precedence : precedence + 1);
    if (rhs == nullptr) return nullptr;
    lhs = MakeDurationOperator(op, std::move(lhs), std::move(rhs));
  }
  return nullptr;
}

ExprPtr Parser::MakeDurationOperator(const Token& op, ExprPtr lhs, ExprPtr rhs) {
  if (op.kind == TokenKind::kDiv && IsZero(*rhs)) {
    AddError(op.range(), "division by zero");
    return ZeroLiteral();
  }
  if (op.kind == TokenKind::kMod && IsZero(*rhs)) {
    AddError(op.range(), "modulo by zero");
    return ZeroLiteral();
  }
  auto expr = std::make_unique<DurationExpr>();
  expr->op = DurationOpOf(op.kind);
  expr->position = {lhs->position.start, rhs->position.end};
  expr->lhs = std::move(lhs);
  expr->rhs = std::move(rhs);
  if (!CheckHeight(*expr)) return nullptr;
  return expr;
}

ExprPtr Parser::ParseDurationOperand() {
  for (;;) {
    switch (Peek()) {
      case TokenKind::kNumber:
      case TokenKind::kDuration: return ParseDurationLiteral();
      case TokenKind::kAdd:
      case TokenKind::kSub: {
        const Token sign = Take();
        ExprPtr operand = ParseDurationExpr(kPowPrecedence);
        if (operand == nullptr) return nullptr;
        return ApplySign(sign, std::move(operand), /*wrap=*/false);
      }
      case TokenKind::kStep:
      case TokenKind::kRange:
      case TokenKind::kMaxOf:
      case TokenKind::kMinOf: return ParseDurationWord();
      case TokenKind::kLeftParen: {
        const Token open = Take();
        ExprPtr inner = ParseDurationExpr(0);
        Token close;
        if (inner == nullptr || !Expect(TokenKind::kRightParen, &close)) return nullptr;
        return WrapDuration(std::move(inner), {open.pos, close.range().end});
      }
      default: break;
    }
    if (!Retry()) return nullptr;
  }
}

ExprPtr Parser::ParseDurationLiteral() {
  ExprPtr literal = ParseNumberLiteral();
  if (!IsOutOfRange(literal->As<NumberLiteral>().value)) return literal;
  AddError(literal->position, "duration out of range");
  return ZeroLiteral();
}

// step(), range(), max_of(a, b), min_of(a, b)
ExprPtr Parser::ParseDurationWord() {
  const Token word = Take();
  auto expr = std::make_unique<DurationExpr>();
  expr->op = DurationOpOf(word.kind);
  if (!Expect(TokenKind::kLeftParen)) return nullptr;
  if (word.kind == TokenKind::kMaxOf || word.kind == TokenKind::kMinOf) {
    expr->lhs = ParseDurationExpr(0);
    if (expr->lhs == nullptr || !Expect(TokenKind::kComma)) return nullptr;
    expr->rhs = ParseDurationExpr(0);
    if (expr->rhs == nullptr) return nullptr;
  }
  Token close;
  if (!Expect(TokenKind::kRightParen, &close)) return nullptr;
  expr->position = {word.pos, close.range().end};
  if (!CheckHeight(*expr)) return nullptr;
  return expr;
}

// Behind `offset` a literal or call ends the duration, so that `a offset 5m + 1` adds to the
// vector; only a parenthesis begins arithmetic.
ExprPtr Parser::ParseOffsetDuration() {
  for (;;) {
    switch (Peek()) {
      case TokenKind::kNumber:
      case TokenKind::kDuration: return ParseDurationLiteral();
      case TokenKind::kStep:
      case TokenKind::kRange:
      case TokenKind::kMaxOf:
      case TokenKind::kMinOf: return ParseDurationWord();
      case TokenKind::kAdd:
      case TokenKind::kSub: return ParseSignedOffset();
      case TokenKind::kLeftParen: return ParseDurationExpr(0);
      default: break;
    }
    if (!Retry()) return nullptr;
  }
}

ExprPtr Parser::ParseSignedOffset() {
  const Token sign = Take();
  const bool minus = sign.kind == TokenKind::kSub;
  for (;;) {
    switch (Peek()) {
      case TokenKind::kNumber:
      case TokenKind::kDuration: {
        ExprPtr literal = ParseNumberLiteral();
        double& value = literal->As<NumberLiteral>().value;
        if (minus) value = -value;
        literal->position.start = sign.pos;
        if (!IsOutOfRange(value)) return literal;
        AddError(sign.range(), "duration out of range");
        return ZeroLiteral();
      }
      case TokenKind::kStep:
      case TokenKind::kRange:
      case TokenKind::kMaxOf:
      case TokenKind::kMinOf: {
        auto expr = std::make_unique<DurationExpr>();
        expr->op = DurationOpOf(sign.kind);
        expr->rhs = ParseDurationWord();
        if (expr->rhs == nullptr) return nullptr;
        expr->position = {sign.pos, expr->rhs->position.end};
        if (!CheckHeight(*expr)) return nullptr;
        return expr;
      }
      case TokenKind::kLeftParen: {
        Take();
        ExprPtr inner = ParseDurationExpr(0);
        if (inner == nullptr || !Expect(TokenKind::kRightParen)) return nullptr;
        return ApplySign(sign, std::move(inner), /*wrap=*/true);
      }
      case TokenKind::kAdd:
      case TokenKind::kSub: {
        ExprPtr operand = ParseDurationExpr(kPowPrecedence);
        if (operand == nullptr) return nullptr;
        return ParseDurationOperators(ApplySign(sign, std::move(operand), /*wrap=*/false), 0);
      }
      default: break;
    }
    if (!Retry()) return nullptr;
  }
}

// Remembers the parentheses for printing. A literal has no place for that and becomes the operand
// of a plus.
ExprPtr Parser::WrapDuration(ExprPtr expr, PositionRange position) {
  if (expr->kind == Expr::Kind::kDuration) {
    expr->As<DurationExpr>().wrapped = true;
    return expr;
  }
  auto wrapper = std::make_unique<DurationExpr>();
  wrapper->op = DurationExpr::Op::kAdd;
  wrapper->wrapped = true;
  wrapper->position = {position.start, expr->position.end};
  wrapper->rhs = std::move(expr);
  if (!CheckHeight(*wrapper)) return nullptr;
  return wrapper;
}

ExprPtr Parser::ApplySign(const Token& sign, ExprPtr expr, bool wrap) {
  if (wrap) {
    const PositionRange position = expr->position;
    expr = WrapDuration(std::move(expr), position);
    if (expr == nullptr) return nullptr;
  }
  const bool minus = sign.kind == TokenKind::kSub;
  if (expr->kind == Expr::Kind::kDuration) {
    if (!minus) return expr;
    auto negated = std::make_unique<DurationExpr>();
    negated->op = DurationExpr::Op::kSub;
    negated->position = {sign.pos, expr->position.end};
    negated->rhs = std::move(expr);
    if (!CheckHeight(*negated)) return nullptr;
    return negated;
  }
  NumberLiteral& literal = expr->As<NumberLiteral>();
  if (minus) literal.value = -literal.value;
  if (IsOutOfRange(literal.value)) {
    AddError(sign.range(), "duration out of range");
    return ZeroLiteral();
  }
  literal.position.start = sign.pos;
  return expr;
}

}  // namespace narthex::promql
