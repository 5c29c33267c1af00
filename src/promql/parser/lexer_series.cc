// The part of the lexer that reads value sequences of series descriptions:
//   1+2x3 _ stale {{schema:1 buckets:[1 2]}}x4
#include <fmt/format.h>

#include "promql/parser/lexer.h"
#include "util/strings.h"

namespace narthex::promql {
namespace {

bool IsDigit(char32_t rune) {
  return rune >= '0' && rune <= '9';
}
bool IsAlpha(char32_t rune) {
  return rune == '_' || (rune >= 'a' && rune <= 'z') || (rune >= 'A' && rune <= 'Z');
}
std::string Quoted(char32_t rune) {
  return GoQuoteRune(rune > 0x10ffff ? 0xfffd : rune);
}

}  // namespace

Lexer::State Lexer::LexValues() {
  if (histogram_state_ != HistogramState::kNone) return State::kHistogram;
  const char32_t rune = Read();
  switch (rune) {
    case kEofRune: return State::kStatement;
    case ' ':
    case '\t':
    case '\n':
    case '\r':
      Emit(TokenKind::kSpace);
      SkipSpaces();
      return State::kValues;
    case '+': Emit(TokenKind::kAdd); return State::kValues;
    case '-': Emit(TokenKind::kSub); return State::kValues;
    case 'x': Emit(TokenKind::kTimes); return State::kValues;
    case '_': Emit(TokenKind::kBlank); return State::kValues;
    default: break;
  }
  if (rune == '{' && Accept("{")) {
    histogram_state_ = HistogramState::kOpen;
    Emit(TokenKind::kOpenHistogram);
    return State::kHistogram;
  }
  if (IsDigit(rune) || (rune == '.' && IsDigit(PeekRune()))) {
    pos_ = start_;
    return LexPlainNumber() == State::kDone ? State::kDone : State::kValues;
  }
  if (IsAlpha(rune)) {
    pos_ = start_;
    return LexWord();  // The parser knows which words are values.
  }
  Fail("unexpected character in series sequence: " + Quoted(rune));
  return State::kDone;
}

Lexer::State Lexer::LexPlainNumber() {
  if (!ScanNumber()) {
    Fail("bad number syntax: " + GoQuote(input_.substr(start_, pos_ - start_)));
    return State::kDone;
  }
  Emit(TokenKind::kNumber);
  return State::kStatement;
}

Lexer::State Lexer::LexHistogram() {
  if (histogram_state_ == HistogramState::kClosed) return LexAfterHistogram();
  if (bracket_open_) return State::kBuckets;
  const char32_t rune = Read();
  switch (rune) {
    case ' ':
    case '\t':
    case '\n':
    case '\r':
      Emit(TokenKind::kSpace);
      SkipSpaces();
      return State::kStatement;
    case ':': Emit(TokenKind::kColon); return State::kHistogram;
    case '-': Emit(TokenKind::kSub); return State::kHistogram;
    case '[':
      bracket_open_ = true;
      got_colon_ = false;
      got_duration_ = false;
      Emit(TokenKind::kLeftBracket);
      return State::kBuckets;
    case '}':
      if (!Accept("}")) break;
      Emit(TokenKind::kCloseHistogram);
      histogram_state_ = At("x+-") ? HistogramState::kClosed : HistogramState::kNone;
      return histogram_state_ == HistogramState::kNone ? State::kValues : State::kHistogram;
    default: break;
  }
  if (IsAlpha(rune)) return LexHistogramWord();
  if (IsDigit(rune)) {
    pos_ = start_;
    return LexPlainNumber();
  }
  Fail("histogram description incomplete unexpected: " + Quoted(rune));
  return State::kDone;
}

// A histogram may be repeated, or stepped by another.
Lexer::State Lexer::LexAfterHistogram() {
  histogram_state_ = HistogramState::kNone;
  switch (Read()) {
    case 'x': Emit(TokenKind::kTimes); break;
    case '+': Emit(TokenKind::kAdd); break;
    default: Emit(TokenKind::kSub); break;
  }
  return State::kValues;
}

// The first letter has been read.
Lexer::State Lexer::LexHistogramWord() {
  while (IsAlpha(Read())) {
  }
  Unread();
  const std::string_view word = input_.substr(start_, pos_ - start_);
  if (const TokenKind key = FindHistogramKey(word); key != TokenKind::kEnd) {
    if (PeekRune() != ':') {
      Fail("missing `:` for histogram descriptor");
      return State::kDone;
    }
    Emit(key);
    return State::kHistogram;
  }
  if (FindKeyword(word) == TokenKind::kNumber) {
    Emit(TokenKind::kNumber);
    return State::kHistogram;
  }
  if (const TokenKind hint = FindResetHint(word); hint != TokenKind::kEnd) {
    Emit(hint);
    return State::kHistogram;
  }
  Fail("bad histogram descriptor found: " + GoQuote(word));
  return State::kDone;
}

Lexer::State Lexer::LexBuckets() {
  const char32_t rune = Read();
  switch (rune) {
    case ' ':
    case '\t':
    case '\n':
    case '\r':
      Emit(TokenKind::kSpace);
      SkipSpaces();
      return State::kStatement;
    case '-': Emit(TokenKind::kSub); return State::kBucketNumber;
    case ']':
      bracket_open_ = false;
      Emit(TokenKind::kRightBracket);
      return State::kHistogram;
    default: break;
  }
  if (IsDigit(rune)) {
    Unread();  // Letters may stand in front of it; the parser will not take that for a number.
    return LexPlainNumber();
  }
  if (IsAlpha(rune)) {
    // Letters are collected until they read Inf or NaN.
    if (FindKeyword(input_.substr(start_, pos_ - start_)) == TokenKind::kNumber) {
      Emit(TokenKind::kNumber);
      return State::kStatement;
    }
    return State::kBuckets;
  }
  Fail("invalid character in buckets description: " + Quoted(rune));
  return State::kDone;
}

}  // namespace narthex::promql
