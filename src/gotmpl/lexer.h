// Cuts a template into text and the words inside {{ }}.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace narthex::gotmpl {

enum class TokenKind : uint8_t {
  kError,
  kEof,
  kText,
  kLeftDelim,
  kRightDelim,
  kSpace,
  kAssign,   // =
  kDeclare,  // :=
  kPipe,
  kLeftParen,
  kRightParen,
  kChar,  // Other printable ASCII, such as the comma of range.
  kBool,
  kCharConstant,
  kComplex,
  kNumber,
  kString,
  kRawString,
  kIdentifier,
  kField,     // .name
  kVariable,  // $name
  kDot,
  // Keywords.
  kBlock,
  kBreak,
  kContinue,
  kDefine,
  kElse,
  kEnd,
  kIf,
  kNil,
  kRange,
  kTemplate,
  kWith,
};

struct Token {
  TokenKind kind = TokenKind::kEof;
  size_t position = 0;
  std::string_view text;  // Of kError: the message, which the lexer owns.
  int line = 1;
};

// As parse errors name it.
std::string Describe(const Token& token);

class Lexer {
 public:
  // `input` outlives the lexer and its tokens.
  explicit Lexer(std::string_view input) : input_(input) {}

  // After kError: kEof.
  Token Next();
  // break and continue are ordinary names where functions are called so.
  void set_break_is_keyword(bool v) { break_is_keyword_ = v; }
  void set_continue_is_keyword(bool v) { continue_is_keyword_ = v; }

 private:
  static constexpr char32_t kEofRune = 0xffffffff;
  char32_t Read();
  char32_t PeekRune();
  void Unread(char32_t rune);
  bool Accept(std::string_view set);
  void AcceptRun(std::string_view set);
  std::string_view rest() const { return input_.substr(pos_); }
  bool AtRightDelim(bool* trim) const;
  bool AtTerminator();
  void Skip();  // What was passed by moving pos_.

  Token Make(TokenKind kind);
  Token Fail(std::string message);
  bool LexText(Token* token);
  bool LexLeftDelim(Token* token);
  bool LexComment(Token* token);
  Token LexRightDelim();
  Token LexInsideAction();
  Token LexSpace();
  Token LexIdentifier();
  Token LexFieldOrVariable(TokenKind kind);
  Token LexQuoted(char32_t quote, TokenKind kind, std::string_view complaint);
  Token LexRawString();
  Token LexNumber();
  bool ScanNumber();

  std::string_view input_;
  size_t pos_ = 0;
  size_t start_ = 0;
  int line_ = 1;
  int start_line_ = 1;
  int paren_depth_ = 0;
  bool inside_action_ = false;
  bool break_is_keyword_ = true;
  bool continue_is_keyword_ = true;
  std::string error_;
};

}  // namespace narthex::gotmpl
