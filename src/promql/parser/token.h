// Tokens of PromQL and of the series descriptions that tests are written in.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "promql/parser/ast.h"

namespace narthex::promql {

enum class TokenKind : uint8_t {
  kEnd,  // Nothing more comes: after kEof or kError. The lexer itself never gives it.
  kEof,
  kError,
  kComment,
  kIdentifier,
  kMetricIdentifier,  // With a colon in it.
  kNumber,
  kDuration,
  kString,  // With its quotes.
  kLeftParen,
  kRightParen,
  kLeftBrace,
  kRightBrace,
  kLeftBracket,
  kRightBracket,
  kComma,
  kEqual,
  kColon,
  // Series descriptions.
  kBlank,
  kTimes,
  kSpace,
  kOpenHistogram,
  kCloseHistogram,
  kSumKey,
  kCountKey,
  kSchemaKey,
  kOffsetKey,
  kNegativeOffsetKey,
  kBucketsKey,
  kNegativeBucketsKey,
  kZeroBucketKey,
  kZeroBucketWidthKey,
  kCustomValuesKey,
  kCounterResetHintKey,
  kHintUnknown,
  kHintReset,
  kHintNotReset,
  kHintGauge,
  // Operators.
  kAdd,
  kDiv,
  kEqualEqual,
  kEqualRegex,
  kGreaterEqual,
  kGreater,
  kTrimUpper,
  kTrimLower,
  kAnd,
  kOr,
  kLess,
  kLessEqual,
  kUnless,
  kMod,
  kMul,
  kNotEqual,
  kNotEqualRegex,
  kPow,
  kSub,
  kAt,
  kAtan2,
  // Aggregators.
  kAvg,
  kBottomk,
  kCount,
  kCountValues,
  kGroup,
  kMax,
  kMin,
  kQuantile,
  kStddev,
  kStdvar,
  kSum,
  kTopk,
  kLimitk,
  kLimitRatio,
  // Keywords.
  kBool,
  kBy,
  kGroupLeft,
  kGroupRight,
  kFill,
  kFillLeft,
  kFillRight,
  kIgnoring,
  kOffset,
  kSmoothed,
  kAnchored,
  kOn,
  kWithout,
  // Words that stand for values of the query.
  kStart,
  kEndWord,
  kStep,
  kRange,
  kMaxOf,
  kMinOf,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  uint32_t pos = 0;       // Byte offset.
  std::string_view text;  // As written, for kError too; the message is the lexer's.

  PositionRange range() const { return {pos, pos + static_cast<uint32_t>(text.size())}; }
};

constexpr bool IsOperator(TokenKind kind) {
  return kind >= TokenKind::kAdd && kind <= TokenKind::kAtan2;
}
constexpr bool IsAggregator(TokenKind kind) {
  return kind >= TokenKind::kAvg && kind <= TokenKind::kLimitRatio;
}
constexpr bool IsKeyword(TokenKind kind) {
  return kind >= TokenKind::kBool && kind <= TokenKind::kWithout;
}
constexpr bool IsMatchOperator(TokenKind kind) {
  return kind == TokenKind::kEqual || kind == TokenKind::kNotEqual ||
         kind == TokenKind::kEqualRegex || kind == TokenKind::kNotEqualRegex;
}

// Whether the word may name a metric without quotes, and label a group.
bool CanNameMetric(TokenKind kind);
bool CanNameGroupingLabel(TokenKind kind);
// Whether an expression may begin with it.
bool StartsExpression(TokenKind kind);

// Words in any case; kEnd when it is none. `inf` and `nan` are numbers.
TokenKind FindKeyword(std::string_view word);
TokenKind FindHistogramKey(std::string_view word);
TokenKind FindResetHint(std::string_view word);

// The token as error messages name it: `identifier "x"`, `<by>`, `end of input`, `","`.
std::string Describe(const Token& token);

}  // namespace narthex::promql
