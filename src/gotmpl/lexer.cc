#include "gotmpl/lexer.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>

#include "util/strings.h"

namespace narthex::gotmpl {
namespace {

constexpr std::string_view kLeftDelim = "{{";
constexpr std::string_view kRightDelim = "}}";
constexpr std::string_view kLeftComment = "/*";
constexpr std::string_view kRightComment = "*/";
constexpr std::string_view kSpaces = " \t\r\n";
constexpr size_t kTrimMarkerBytes = 2;

bool IsSpace(char32_t rune) {
  return rune == ' ' || rune == '\t' || rune == '\r' || rune == '\n';
}

bool IsAlphaNumeric(char32_t rune) {
  if (rune < 0x80) {
    return rune == '_' || (rune >= '0' && rune <= '9') || (rune >= 'a' && rune <= 'z') ||
           (rune >= 'A' && rune <= 'Z');
  }
  if (rune > 0x10ffff) return false;
  static const RE2* const kLetterOrDigit = new RE2("[\\pL\\p{Nd}]");
  std::string text;
  AppendRune(rune, &text);
  return RE2::FullMatch(text, *kLetterOrDigit);
}

// "- " behind {{ and " -" before }} cut the spaces of the text beside them.
bool HasLeftTrimMarker(std::string_view text) {
  return text.size() >= kTrimMarkerBytes && text[0] == '-' &&
         IsSpace(static_cast<unsigned char>(text[1]));
}
bool HasRightTrimMarker(std::string_view text) {
  return text.size() >= kTrimMarkerBytes && IsSpace(static_cast<unsigned char>(text[0])) &&
         text[1] == '-';
}

struct Word {
  std::string_view text;
  TokenKind kind;
};
constexpr Word kKeywords[] = {
    {"block", TokenKind::kBlock},
    {"break", TokenKind::kBreak},
    {"continue", TokenKind::kContinue},
    {"define", TokenKind::kDefine},
    {"else", TokenKind::kElse},
    {"end", TokenKind::kEnd},
    {"if", TokenKind::kIf},
    {"nil", TokenKind::kNil},
    {"range", TokenKind::kRange},
    {"template", TokenKind::kTemplate},
    {"with", TokenKind::kWith},
};

// %#U
std::string CodePoint(char32_t rune) {
  if (rune > 0x10ffff) return "U+FFFFFFFFFFFFFFFF";  // The end of the input counts as rune -1.
  std::string out = fmt::format("U+{:04X}", static_cast<uint32_t>(rune));
  std::string plain;
  AppendRune(rune, &plain);
  if (rune == '\'' || rune == '\\' || GoQuoteRune(rune) == "'" + plain + "'") {
    out += " '" + plain + "'";
  }
  return out;
}

}  // namespace

std::string Describe(const Token& token) {
  if (token.kind == TokenKind::kEof) return "EOF";
  if (token.kind == TokenKind::kError) return std::string(token.text);
  if (token.kind >= TokenKind::kDot) return fmt::format("<{}>", token.text);
  constexpr size_t kShownMax = 10;
  if (token.text.size() <= kShownMax) return GoQuote(token.text);
  size_t bytes = 0;
  for (size_t i = 0; i < kShownMax && bytes < token.text.size(); ++i) {
    size_t size = 0;
    DecodeRune(token.text.substr(bytes), &size);
    bytes += size;
  }
  return GoQuote(token.text.substr(0, bytes)) + "...";
}

char32_t Lexer::Read() {
  if (pos_ >= input_.size()) return kEofRune;
  size_t size = 0;
  const char32_t rune = DecodeRune(rest(), &size);
  pos_ += size;
  if (rune == '\n') ++line_;
  return rune;
}

void Lexer::Unread(char32_t rune) {
  if (rune == kEofRune) return;
  size_t size = 1;
  // A malformed byte was read as one byte, everything else by its encoded length.
  while (pos_ > size && (static_cast<uint8_t>(input_[pos_ - size]) & 0xc0) == 0x80) ++size;
  size_t decoded = 0;
  DecodeRune(input_.substr(pos_ - size), &decoded);
  pos_ -= decoded == size ? size : 1;
  if (rune == '\n') --line_;
}

char32_t Lexer::PeekRune() {
  const size_t pos = pos_;
  const int line = line_;
  const char32_t rune = Read();
  pos_ = pos;
  line_ = line;
  return rune;
}

bool Lexer::Accept(std::string_view set) {
  const char32_t rune = PeekRune();
  if (rune >= 0x80 || set.find(static_cast<char>(rune)) == std::string_view::npos) return false;
  Read();
  return true;
}

void Lexer::AcceptRun(std::string_view set) {
  while (Accept(set)) {
  }
}

void Lexer::Skip() {
  line_ += static_cast<int>(std::count(input_.begin() + static_cast<ptrdiff_t>(start_),
                                       input_.begin() + static_cast<ptrdiff_t>(pos_), '\n'));
  start_ = pos_;
  start_line_ = line_;
}

Token Lexer::Make(TokenKind kind) {
  const Token token{kind, start_, input_.substr(start_, pos_ - start_), start_line_};
  start_ = pos_;
  start_line_ = line_;
  return token;
}

Token Lexer::Fail(std::string message) {
  error_ = std::move(message);
  const Token token{TokenKind::kError, start_, error_, start_line_};
  input_ = {};
  pos_ = start_ = 0;
  inside_action_ = false;
  return token;
}

Token Lexer::Next() {
  if (inside_action_) return LexInsideAction();
  Token token;
  // Comments give nothing; the text goes on behind them.
  while (!LexText(&token)) {
  }
  return token;
}

bool Lexer::LexText(Token* token) {
  const size_t at = rest().find(kLeftDelim);
  if (at == std::string_view::npos) {
    pos_ = input_.size();
    line_ += static_cast<int>(
        std::count(input_.begin() + static_cast<ptrdiff_t>(start_), input_.end(), '\n'));
    *token = Make(pos_ > start_ ? TokenKind::kText : TokenKind::kEof);
    if (token->kind == TokenKind::kEof) token->text = "EOF";
    return true;
  }
  if (at > 0) {
    pos_ += at;
    size_t trimmed = 0;
    if (HasLeftTrimMarker(input_.substr(pos_ + kLeftDelim.size()))) {
      const std::string_view text = input_.substr(start_, pos_ - start_);
      trimmed = text.size() - (text.find_last_not_of(kSpaces) + 1);
    }
    pos_ -= trimmed;
    line_ += static_cast<int>(std::count(input_.begin() + static_cast<ptrdiff_t>(start_),
                                         input_.begin() + static_cast<ptrdiff_t>(pos_), '\n'));
    *token = Make(TokenKind::kText);
    pos_ += trimmed;
    Skip();
    if (!token->text.empty()) return true;
  }
  return LexLeftDelim(token);
}

bool Lexer::LexLeftDelim(Token* token) {
  pos_ += kLeftDelim.size();
  const size_t marker = HasLeftTrimMarker(rest()) ? kTrimMarkerBytes : 0;
  if (rest().substr(marker).starts_with(kLeftComment)) {
    pos_ += marker;
    Skip();
    return LexComment(token);
  }
  *token = Make(TokenKind::kLeftDelim);
  inside_action_ = true;
  pos_ += marker;
  Skip();
  paren_depth_ = 0;
  return true;
}

// True with an error; false when the comment was passed.
bool Lexer::LexComment(Token* token) {
  pos_ += kLeftComment.size();
  const size_t end = rest().find(kRightComment);
  if (end == std::string_view::npos) return *token = Fail("unclosed comment"), true;
  pos_ += end + kRightComment.size();
  bool trim = false;
  if (!AtRightDelim(&trim)) {
    return *token = Fail("comment ends before closing delimiter"), true;
  }
  if (trim) pos_ += kTrimMarkerBytes;
  pos_ += kRightDelim.size();
  if (trim) pos_ = std::min(input_.find_first_not_of(kSpaces, pos_), input_.size());
  Skip();
  return false;
}

bool Lexer::AtRightDelim(bool* trim) const {
  *trim = HasRightTrimMarker(rest()) && rest().substr(kTrimMarkerBytes).starts_with(kRightDelim);
  return *trim || rest().starts_with(kRightDelim);
}

Token Lexer::LexRightDelim() {
  bool trim = false;
  AtRightDelim(&trim);
  if (trim) {
    pos_ += kTrimMarkerBytes;
    Skip();
  }
  pos_ += kRightDelim.size();
  const Token token = Make(TokenKind::kRightDelim);
  if (trim) {
    pos_ = std::min(input_.find_first_not_of(kSpaces, pos_), input_.size());
    Skip();
  }
  inside_action_ = false;
  return token;
}

Token Lexer::LexInsideAction() {
  bool trim = false;
  if (AtRightDelim(&trim)) {
    if (paren_depth_ == 0) return LexRightDelim();
    return Fail("unclosed left paren");
  }
  const char32_t rune = Read();
  switch (rune) {
    case kEofRune: return Fail("unclosed action");
    case ' ':
    case '\t':
    case '\r':
    case '\n': Unread(rune); return LexSpace();
    case '=': return Make(TokenKind::kAssign);
    case ':':
      if (Read() != '=') return Fail("expected :=");
      return Make(TokenKind::kDeclare);
    case '|': return Make(TokenKind::kPipe);
    case '"': return LexQuoted('"', TokenKind::kString, "unterminated quoted string");
    case '\'': return LexQuoted('\'', TokenKind::kCharConstant, "unterminated character constant");
    case '`': return LexRawString();
    case '$': return LexFieldOrVariable(TokenKind::kVariable);
    case '.':
      if (pos_ < input_.size() && (input_[pos_] < '0' || input_[pos_] > '9')) {
        return LexFieldOrVariable(TokenKind::kField);
      }
      Unread(rune);
      return LexNumber();
    case '(': ++paren_depth_; return Make(TokenKind::kLeftParen);
    case ')':
      if (--paren_depth_ < 0) return Fail("unexpected right paren");
      return Make(TokenKind::kRightParen);
    default: break;
  }
  if (rune == '+' || rune == '-' || (rune >= '0' && rune <= '9')) {
    Unread(rune);
    return LexNumber();
  }
  if (IsAlphaNumeric(rune)) {
    Unread(rune);
    return LexIdentifier();
  }
  if (rune > 0x20 && rune < 0x7f) return Make(TokenKind::kChar);
  return Fail("unrecognized character in action: " + CodePoint(rune));
}

// The last of the spaces may belong to a trim marker.
Token Lexer::LexSpace() {
  size_t spaces = 0;
  for (; IsSpace(PeekRune()); ++spaces) Read();
  const std::string_view from_last = input_.substr(pos_ - 1);
  if (HasRightTrimMarker(from_last) &&
      from_last.substr(kTrimMarkerBytes).starts_with(kRightDelim)) {
    Unread(static_cast<unsigned char>(input_[pos_ - 1]));
    if (spaces == 1) return LexRightDelim();
  }
  return Make(TokenKind::kSpace);
}

bool Lexer::AtTerminator() {
  const char32_t rune = PeekRune();
  switch (rune) {
    case kEofRune:
    case '.':
    case ',':
    case '|':
    case ':':
    case ')':
    case '(': return true;
    default: return IsSpace(rune) || rest().starts_with(kRightDelim);
  }
}

Token Lexer::LexIdentifier() {
  while (IsAlphaNumeric(PeekRune())) Read();
  if (!AtTerminator()) return Fail("bad character " + CodePoint(PeekRune()));
  const std::string_view word = input_.substr(start_, pos_ - start_);
  for (const Word& keyword : kKeywords) {
    if (keyword.text != word) continue;
    if (keyword.kind == TokenKind::kBreak && !break_is_keyword_) break;
    if (keyword.kind == TokenKind::kContinue && !continue_is_keyword_) break;
    return Make(keyword.kind);
  }
  return Make(word == "true" || word == "false" ? TokenKind::kBool : TokenKind::kIdentifier);
}

// The dot or dollar has been read.
Token Lexer::LexFieldOrVariable(TokenKind kind) {
  if (AtTerminator()) {
    return Make(kind == TokenKind::kField ? TokenKind::kDot : TokenKind::kVariable);
  }
  while (IsAlphaNumeric(PeekRune())) Read();
  if (!AtTerminator()) return Fail("bad character " + CodePoint(PeekRune()));
  return Make(kind);
}

// The opening quote has been read. What stands inside is for the parser to check.
Token Lexer::LexQuoted(char32_t quote, TokenKind kind, std::string_view complaint) {
  for (;;) {
    char32_t rune = Read();
    if (rune == quote) return Make(kind);
    if (rune == '\\') {
      rune = Read();
      if (rune != kEofRune && rune != '\n') continue;
    }
    if (rune == kEofRune || rune == '\n') return Fail(std::string(complaint));
  }
}

Token Lexer::LexRawString() {
  for (;;) {
    const char32_t rune = Read();
    if (rune == '`') return Make(TokenKind::kRawString);
    if (rune == kEofRune) return Fail("unterminated raw quoted string");
  }
}

Token Lexer::LexNumber() {
  const auto fail = [this] {
    return Fail("bad number syntax: " + GoQuote(input_.substr(start_, pos_ - start_)));
  };
  if (!ScanNumber()) return fail();
  if (const char32_t sign = PeekRune(); sign == '+' || sign == '-') {
    if (!ScanNumber() || input_[pos_ - 1] != 'i') return fail();
    return Make(TokenKind::kComplex);
  }
  return Make(TokenKind::kNumber);
}

// Takes more than numbers; the parser's conversion finds out.
bool Lexer::ScanNumber() {
  constexpr std::string_view kDecimal = "0123456789_";
  constexpr std::string_view kHex = "0123456789abcdefABCDEF_";
  Accept("+-");
  std::string_view digits = kDecimal;
  if (Accept("0")) {
    if (Accept("xX")) {
      digits = kHex;
    } else if (Accept("oO")) {
      digits = "01234567_";
    } else if (Accept("bB")) {
      digits = "01_";
    }
  }
  AcceptRun(digits);
  if (Accept(".")) AcceptRun(digits);
  if ((digits == kDecimal && Accept("eE")) || (digits == kHex && Accept("pP"))) {
    Accept("+-");
    AcceptRun(kDecimal);
  }
  Accept("i");
  if (!IsAlphaNumeric(PeekRune())) return true;
  Read();
  return false;
}

}  // namespace narthex::gotmpl
