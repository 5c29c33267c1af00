#include "promql/parser/parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "promql/parser/parser_internal.h"
#include "promql/parser/series_description.h"

namespace narthex::promql {

// -------------------------------------------------------------------------------------------------
// Tokens and errors
// -------------------------------------------------------------------------------------------------

TokenKind Parser::Peek() {
  if (eof_read_ && !have_lookahead_) return TokenKind::kEnd;
  if (!have_lookahead_) {
    do {
      last_ = lexer_.Next();
    } while (last_.kind == TokenKind::kComment);
    have_lookahead_ = true;
    switch (last_.kind) {
      case TokenKind::kError:
        AddError({static_cast<uint32_t>(lexer_.token_start()),
                  static_cast<uint32_t>(lexer_.input().size())},
                 lexer_.error());
        break;
      case TokenKind::kRightBrace:
      case TokenKind::kRightParen:
      case TokenKind::kRightBracket:
      case TokenKind::kDuration:
      case TokenKind::kNumber: last_closing_ = last_.range().end; break;
      default: break;
    }
  }
  return last_.kind == TokenKind::kError ? TokenKind::kEnd : last_.kind;
}

Token Parser::Take() {
  Peek();
  have_lookahead_ = false;
  eof_read_ = eof_read_ || last_.kind == TokenKind::kEof;
  if (silent_tokens_ > 0) --silent_tokens_;
  return last_;
}

bool Parser::Retry() {
  constexpr int kSilentTokens = 3;
  if (aborted_) return false;
  const TokenKind kind = Peek();
  if (silent_tokens_ < kSilentTokens) {
    silent_tokens_ = kSilentTokens;
    return false;
  }
  if (kind == TokenKind::kEnd) {
    aborted_ = true;
    return false;
  }
  have_lookahead_ = false;
  eof_read_ = eof_read_ || kind == TokenKind::kEof;
  return true;
}

bool Parser::Expect(TokenKind kind, Token* token) {
  while (Peek() != kind) {
    if (!Retry()) return false;
  }
  const Token taken = Take();
  if (token != nullptr) *token = taken;
  return true;
}

void Parser::AddError(PositionRange position, std::string message) {
  errors_.push_back({position, std::move(message)});
}

void Parser::Unexpected(std::string_view context, std::string_view expected) {
  if (last_.kind == TokenKind::kError) return;  // The lexer has said it.
  std::string message = "unexpected " + Describe(last_);
  if (!context.empty()) message += fmt::format(" in {}", context);
  if (!expected.empty()) message += fmt::format(", expected {}", expected);
  AddError(last_.range(), std::move(message));
}

void Parser::Finish(bool parsed) {
  if (!parsed && !aborted_) Unexpected("", "");
  while (!aborted_) {
    const TokenKind kind = Peek();
    if (kind == TokenKind::kEnd) return;
    if (kind == TokenKind::kEof) {
      Take();
    } else if (!Retry() && !aborted_) {
      Unexpected("", "");
    }
  }
}

bool Parser::EnterLevel() {
  if (++level_ <= kHeightMax) return true;
  if (!aborted_) {
    AddError(last_.range(), fmt::format("more than {} levels of nesting", kHeightMax));
  }
  aborted_ = true;
  return false;
}

bool Parser::CheckHeight(Expr& expr) {
  uint32_t height = 0;
  for (const Expr* child : Children(std::as_const(expr))) height = std::max(height, child->height);
  if (expr.kind == Expr::Kind::kDuration) {
    const DurationExpr& duration = expr.As<DurationExpr>();
    if (duration.lhs != nullptr) height = std::max(height, duration.lhs->height);
    if (duration.rhs != nullptr) height = std::max(height, duration.rhs->height);
  }
  expr.height = height + 1;
  if (expr.height <= kHeightMax) return true;
  if (!aborted_) {
    AddError(expr.position, fmt::format("more than {} levels of nesting", kHeightMax));
  }
  aborted_ = true;
  return false;
}

// -------------------------------------------------------------------------------------------------
// Entry points
// -------------------------------------------------------------------------------------------------

ExprPtr Parser::ParseQuery() {
  if (Peek() == TokenKind::kEof) {
    Take();
    AddError({}, "no expression found in input");
    return nullptr;
  }
  ExprPtr expr = ParseExpression(0);
  Finish(expr != nullptr);
  if (errors_.empty()) CheckTypes(*expr, lexer_.input(), this);
  return expr;
}

std::unique_ptr<VectorSelector> Parser::ParseSelectorOnly() {
  std::unique_ptr<VectorSelector> selector;
  for (;;) {
    const TokenKind kind = Peek();
    if (CanNameMetric(kind)) {
      selector = ParseSelector(Take());
    } else if (kind == TokenKind::kLeftBrace) {
      selector = ParseSelector(std::nullopt);
    } else if (Retry()) {
      continue;
    }
    break;
  }
  Finish(selector != nullptr);
  return selector;
}

std::vector<std::pair<std::string, std::string>> Parser::ParseMetricOnly() {
  LabelList labels;
  Finish(ParseMetric(&labels));
  return labels;
}

namespace {

// Line and column of the error, as upstream's messages begin: "1:5", both counted from one.
std::string PositionText(std::string_view query, uint32_t position, int line_offset) {
  if (query.empty()) return "unknown position";
  if (position > query.size()) return "invalid position";
  const std::string_view before = query.substr(0, position);
  const auto line = 1 + line_offset + std::count(before.begin(), before.end(), '\n');
  const size_t line_break = before.rfind('\n');
  const size_t column = line_break == std::string_view::npos ? position + 1 : position - line_break;
  return fmt::format("{}:{}", line, column);
}

// The status of a parse that ended with `found` errors; hands them out when asked.
Status ToStatus(std::string_view query, const std::vector<ParseError>& found,
                std::vector<ParseError>* errors, int line_offset = 0) {
  if (errors != nullptr) *errors = found;
  if (found.empty()) return {};
  return MakeError(ErrorCode::kInvalidInput, "{}: parse error: {}",
                   PositionText(query, found.front().position.start, line_offset),
                   found.front().message);
}

}  // namespace

Result<ExprPtr> ParseExpr(std::string_view query, const ParserOptions& options,
                          std::vector<ParseError>* errors) {
  Parser parser(query, LexerMode::kExpression, options);
  ExprPtr expr = parser.ParseQuery();
  NARTHEX_RETURN_IF_ERROR(ToStatus(query, parser.errors(), errors));
  return expr;
}

Result<std::vector<Matcher>> ParseMetricSelector(std::string_view selector,
                                                 const ParserOptions& options) {
  Parser parser(selector, LexerMode::kExpression, options);
  const std::unique_ptr<VectorSelector> parsed = parser.ParseSelectorOnly();
  NARTHEX_RETURN_IF_ERROR(ToStatus(selector, parser.errors(), nullptr));
  return std::move(parsed->matchers);
}

Result<Labels> ParseMetric(std::string_view text, const ParserOptions& options) {
  Parser parser(text, LexerMode::kExpression, options);
  const std::vector<std::pair<std::string, std::string>> labels = parser.ParseMetricOnly();
  NARTHEX_RETURN_IF_ERROR(ToStatus(text, parser.errors(), nullptr));
  return Labels::FromPairs(labels);
}

Result<SeriesDescription> ParseSeriesDescription(std::string_view text,
                                                 const ParserOptions& options,
                                                 std::vector<ParseError>* errors, int line_offset) {
  Parser parser(text, LexerMode::kSeriesDescription, options);
  Parser::Series series = parser.ParseSeries();
  NARTHEX_RETURN_IF_ERROR(ToStatus(text, parser.errors(), errors, line_offset));
  return SeriesDescription{Labels::FromPairs(series.labels), std::move(series.values)};
}

}  // namespace narthex::promql
