// Tokens of OpenMetrics 2.0 text. Like the lexer of 1.0, with composite values
// (`{count:3,sum:5,bucket:[1:2,+Inf:3]}`), start timestamps (`st@1.5`) and several exemplars a
// line.
#pragma once

#include <string_view>

#include "exposition/scan.h"
#include "exposition/series_text.h"

namespace narthex::exposition {

class OpenMetrics2Lexer {
 public:
  explicit OpenMetrics2Lexer(std::string_view body) : body_(body) {}

  std::string_view body() const { return body_; }
  size_t at() const { return at_; }
  size_t start() const { return start_; }
  std::string_view token_text() const { return body_.substr(start_, at_ - start_); }
  Token Next();
  bool between_lines() const { return state_ == State::kInit; }
  // Continues at the start of a line.
  void MoveTo(size_t position) {
    at_ = position;
    state_ = State::kInit;
  }

 private:
  enum class State : uint8_t {
    kInit,
    kComment,
    kMetaName,
    kMetaText,
    kLabels,
    kLabelValue,
    kValue,
    kTimestamp,
    kExemplar,
    kExemplarValue,
    kExemplarTimestamp,
    kComposite,
    kCompositeValue,
  };
  char Advance();
  // Passes characters of a name, in states that skip nothing.
  void PassName(CharClass rest);
  Token Accept(Token token, State next);
  Token AcceptOne(Token token, State next);
  Token Keyword(std::string_view rest, Token token);
  Token Quoted(bool newlines, Token token, State next);
  Token Labels(char c, bool newlines, State here, State after_equal, State after_brace);
  Token LexComment(char c);
  Token LexInit(char c);
  Token LexMetaText(char c);
  Token LexValue(char c);
  Token LexComposite(char c);
  Token LexCompositeValue(char c);
  Token Word(char c, Token token, State next);
  // A word behind a blank, a start timestamp where `starts`, or the start of an exemplar.
  Token LexAfterValue(char c, bool starts);

  std::string_view body_;
  size_t at_ = 0;
  size_t start_ = 0;
  State state_ = State::kInit;
};

}  // namespace narthex::exposition
