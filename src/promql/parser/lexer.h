// Cuts PromQL into tokens.
//
// What a character means depends on where it stands: inside braces words are never keywords, inside
// brackets stand durations, and a series description has a value sequence after its labels. The
// lexer therefore keeps the state that it will go on in, and counts parentheses and brackets, so
// that unbalanced ones are reported here and not by the parser.
//
//   kStatement ──{──▶ kBraces ──}──▶ kStatement (or kValues)
//        │  └────[──▶ kBracketHead: up to the first number; then kStatement until ]
//        └─ series descriptions: kValues ──{{──▶ kHistogram ──[──▶ kBuckets
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "promql/parser/token.h"

namespace narthex::promql {

// Whether a label name can stand without quotes: [a-zA-Z_][a-zA-Z0-9_]*, or, where that is switched
// on, Unicode letters with digits and dots behind the first.
bool IsUnquotedName(std::string_view name, bool unquoted_utf8_names);

enum class LexerMode : uint8_t { kExpression, kSeriesDescription };

class Lexer {
 public:
  // `input` outlives the lexer and its tokens.
  Lexer(std::string_view input, LexerMode mode, bool unquoted_utf8_names)
      : input_(input), mode_(mode), unquoted_utf8_names_(unquoted_utf8_names) {}

  // The next token. Behind kError comes kEof, except that a string with a wrong escape still comes.
  Token Next();

  std::string_view input() const { return input_; }
  // Of the kError token.
  const std::string& error() const { return error_; }
  // Where the text that no token has taken yet begins; errors are reported from here.
  size_t token_start() const { return start_; }

  // Where the parenthesis before the one last read ends. A parser that read a token too far uses it
  // to find the end of what it has completed; `fallback` when the text does not look like that.
  size_t FindPreviousRightParen(size_t fallback) const;

 private:
  enum class State : uint8_t {
    kStatement,
    kBraces,
    kString,  // Behind an error in the string, which goes on.
    kBracketHead,
    kValues,
    kHistogram,
    kBuckets,
    kBucketNumber,  // After a minus sign.
    kDone,
  };
  enum class HistogramState : uint8_t { kNone, kOpen, kClosed };

  // Reading runes. kEofRune lies outside Unicode.
  static constexpr char32_t kEofRune = 0xffffffff;
  char32_t Read();
  char32_t PeekRune();
  void Unread() { pos_ -= width_; }
  bool Accept(std::string_view set);
  bool At(std::string_view set);
  void SkipSpaces();
  bool IsNameStart(char32_t rune) const;
  bool IsNameContinue(char32_t rune) const;

  void Emit(TokenKind kind);
  void Fail(std::string message);

  // One step each: they emit at most one token, and say where to go on.
  State Step();
  State LexStatement();
  State LexBraces();
  State LexBracketHead();
  State LexInBrackets(char32_t rune);
  State LexParen(char32_t rune, State next);
  State LexComment();
  State LexString();
  bool LexEscape();
  State LexWord();
  State LexIdentifier();
  State LexNumberOrDuration();
  bool ScanNumber();
  bool ScanDurationTail();
  bool ScanDurationWord();
  bool FollowedByLeftParen() const;
  // Series descriptions, in lexer_series.cc.
  State LexValues();
  State LexHistogram();
  State LexHistogramWord();
  State LexAfterHistogram();
  State LexBuckets();
  State LexPlainNumber();

  std::string_view input_;
  LexerMode mode_;
  bool unquoted_utf8_names_;
  State state_ = State::kStatement;
  size_t pos_ = 0;
  size_t start_ = 0;
  size_t width_ = 0;     // Of the rune last read.
  size_t last_pos_ = 0;  // Of the token last given.
  bool emitted_ = false;
  Token token_;
  std::string error_;

  char32_t quote_ = 0;  // That opened the string being read.
  int paren_depth_ = 0;
  bool brace_open_ = false;
  bool bracket_open_ = false;
  bool got_colon_ = false;     // Since the bracket was opened.
  bool got_duration_ = false;  // The same.
  HistogramState histogram_state_ = HistogramState::kNone;
};

}  // namespace narthex::promql
