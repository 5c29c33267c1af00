#include "promql/parser/lexer.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <utility>

#include "util/strings.h"

namespace narthex::promql {
namespace {

constexpr char32_t kReplacementRune = 0xfffd;
constexpr std::string_view kDigits = "0123456789";
constexpr std::string_view kHexDigits = "0123456789abcdefABCDEF";

bool IsSpace(char32_t rune) {
  return rune == ' ' || rune == '\t' || rune == '\n' || rune == '\r';
}
bool IsDigit(char32_t rune) {
  return rune >= '0' && rune <= '9';
}
bool IsAlpha(char32_t rune) {
  return rune == '_' || (rune >= 'a' && rune <= 'z') || (rune >= 'A' && rune <= 'Z');
}
bool IsAlphaNumeric(char32_t rune) {
  return IsAlpha(rune) || IsDigit(rune);
}

// The first letters of step, range, max_of and min_of.
bool StartsDurationWord(char32_t rune) {
  switch (rune) {
    case 's':
    case 'S':
    case 'r':
    case 'R':
    case 'm':
    case 'M': return true;
    default: return false;
  }
}

bool IsUnicodeLetter(char32_t rune) {
  static const RE2* const kLetter = new RE2("\\pL");
  std::string text;
  AppendRune(rune, &text);
  return RE2::FullMatch(text, *kLetter);
}

// %q; the end of the input shows as the replacement character.
std::string Quoted(char32_t rune) {
  return GoQuoteRune(rune > 0x10ffff ? kReplacementRune : rune);
}

// %#U: U+0063 'c', without the character when it cannot be shown.
std::string CodePoint(char32_t rune) {
  std::string out = fmt::format("U+{:04X}", static_cast<uint32_t>(rune));
  std::string plain;
  AppendRune(rune, &plain);
  const bool quoted_plainly =
      rune == '\'' || rune == '\\' || GoQuoteRune(rune) == "'" + plain + "'";
  return quoted_plainly ? out + " '" + plain + "'" : out;
}

int DigitValue(char32_t rune) {
  if (IsDigit(rune)) return static_cast<int>(rune - '0');
  if (rune >= 'a' && rune <= 'f') return static_cast<int>(rune - 'a') + 10;
  if (rune >= 'A' && rune <= 'F') return static_cast<int>(rune - 'A') + 10;
  return 16;
}

}  // namespace

Token Lexer::Next() {
  emitted_ = false;
  if (state_ == State::kDone) {
    Emit(TokenKind::kEof);
  } else {
    while (!emitted_) state_ = Step();
  }
  last_pos_ = token_.pos;
  return token_;
}

Lexer::State Lexer::Step() {
  switch (state_) {
    case State::kStatement: return LexStatement();
    case State::kBraces: return LexBraces();
    case State::kString: return LexString();
    case State::kBracketHead: return LexBracketHead();
    case State::kValues: return LexValues();
    case State::kHistogram: return LexHistogram();
    case State::kBuckets: return LexBuckets();
    case State::kBucketNumber: return LexPlainNumber();
    case State::kDone: break;
  }
  Emit(TokenKind::kEof);
  return State::kDone;
}

size_t Lexer::FindPreviousRightParen(size_t fallback) const {
  const bool at_paren =
      last_pos_ > 0 && last_pos_ < input_.size() && input_[last_pos_] == ')' && fallback > 0;
  if (!at_paren || fallback > input_.size()) return fallback;
  for (size_t i = last_pos_ - 1; i > 0; --i) {
    if (input_[i] == ')') return i + 1;
    if (!IsSpace(static_cast<unsigned char>(input_[i]))) return fallback;
  }
  return fallback;
}

bool IsUnquotedName(std::string_view name, bool unquoted_utf8_names) {
  if (!unquoted_utf8_names) return IsLegacyLabelName(name);
  bool first = true;
  const bool any = !name.empty();
  while (!name.empty()) {
    size_t size = 0;
    const char32_t rune = DecodeRune(name, &size);
    const bool inside = !first && (IsDigit(rune) || rune == '.');
    if (!inside && !IsAlpha(rune) && (rune < 0x80 || !IsUnicodeLetter(rune))) return false;
    name.remove_prefix(size);
    first = false;
  }
  return any;
}

// -------------------------------------------------------------------------------------------------
// Runes and tokens
// -------------------------------------------------------------------------------------------------

char32_t Lexer::Read() {
  if (pos_ >= input_.size()) {
    width_ = 0;
    return kEofRune;
  }
  const char32_t rune = DecodeRune(input_.substr(pos_), &width_);
  pos_ += width_;
  return rune;
}

char32_t Lexer::PeekRune() {
  const char32_t rune = Read();
  Unread();
  return rune;
}

bool Lexer::Accept(std::string_view set) {
  const char32_t rune = Read();
  if (rune < 0x80 && set.find(static_cast<char>(rune)) != std::string_view::npos) return true;
  Unread();
  return false;
}

bool Lexer::At(std::string_view set) {
  const char32_t rune = PeekRune();
  return rune < 0x80 && set.find(static_cast<char>(rune)) != std::string_view::npos;
}

void Lexer::SkipSpaces() {
  while (IsSpace(PeekRune())) Read();
  start_ = pos_;
}

bool Lexer::IsNameStart(char32_t rune) const {
  if (IsAlpha(rune)) return true;
  return unquoted_utf8_names_ && rune >= 0x80 && rune <= 0x10ffff && IsUnicodeLetter(rune);
}

bool Lexer::IsNameContinue(char32_t rune) const {
  return IsNameStart(rune) || IsDigit(rune) || (unquoted_utf8_names_ && rune == '.');
}

void Lexer::Emit(TokenKind kind) {
  token_ = {kind, static_cast<uint32_t>(start_), input_.substr(start_, pos_ - start_)};
  start_ = pos_;
  emitted_ = true;
}

void Lexer::Fail(std::string message) {
  error_ = std::move(message);
  token_ = {TokenKind::kError, static_cast<uint32_t>(start_), {}};
  emitted_ = true;
}

// -------------------------------------------------------------------------------------------------
// Outside braces
// -------------------------------------------------------------------------------------------------

Lexer::State Lexer::LexStatement() {
  if (histogram_state_ != HistogramState::kNone) return State::kHistogram;
  if (brace_open_) return State::kBraces;
  if (input_.substr(pos_).starts_with('#')) return LexComment();

  const char32_t rune = Read();
  switch (rune) {
    case kEofRune:
      if (paren_depth_ != 0) return Fail("unclosed left parenthesis"), State::kDone;
      if (bracket_open_) return Fail("unclosed left bracket"), State::kDone;
      Emit(TokenKind::kEof);
      return State::kDone;
    case ' ':
    case '\t':
    case '\n':
    case '\r': SkipSpaces(); return State::kStatement;
    case ',': Emit(TokenKind::kComma); return State::kStatement;
    case '*': Emit(TokenKind::kMul); return State::kStatement;
    case '/': Emit(TokenKind::kDiv); return State::kStatement;
    case '%': Emit(TokenKind::kMod); return State::kStatement;
    case '+': Emit(TokenKind::kAdd); return State::kStatement;
    case '-': Emit(TokenKind::kSub); return State::kStatement;
    case '^': Emit(TokenKind::kPow); return State::kStatement;
    case '@': Emit(TokenKind::kAt); return State::kStatement;
    case '=':
      if (const char32_t after = PeekRune(); after == '~') {
        Fail("unexpected character after '=': " + Quoted(after));
        return State::kDone;
      }
      Emit(Accept("=") ? TokenKind::kEqualEqual : TokenKind::kEqual);
      return State::kStatement;
    case '!':
      if (const char32_t after = Read(); after != '=') {
        Fail("unexpected character after '!': " + Quoted(after));
        return State::kDone;
      }
      Emit(TokenKind::kNotEqual);
      return State::kStatement;
    case '<':
      Emit(Accept("=")   ? TokenKind::kLessEqual
           : Accept("/") ? TokenKind::kTrimUpper
                         : TokenKind::kLess);
      return State::kStatement;
    case '>':
      Emit(Accept("=")   ? TokenKind::kGreaterEqual
           : Accept("/") ? TokenKind::kTrimLower
                         : TokenKind::kGreater);
      return State::kStatement;
    case '"':
    case '\'':
    case '`': quote_ = rune; return LexString();
    case '(':
    case ')': return LexParen(rune, State::kStatement);
    case '{':
      Emit(TokenKind::kLeftBrace);
      brace_open_ = true;
      return State::kBraces;
    case '[':
      if (bracket_open_) return Fail("unexpected left bracket '['"), State::kDone;
      got_colon_ = false;
      got_duration_ = false;
      Emit(TokenKind::kLeftBracket);
      SkipSpaces();
      bracket_open_ = true;
      return State::kBracketHead;
    case ']':
      if (!bracket_open_) return Fail("unexpected right bracket ']'"), State::kDone;
      Emit(TokenKind::kRightBracket);
      bracket_open_ = false;
      return State::kStatement;
    default: break;
  }
  if (IsDigit(rune) || (rune == '.' && IsDigit(PeekRune()))) {
    pos_ = start_;
    return LexNumberOrDuration();
  }
  if (IsNameStart(rune) || rune == ':') {
    if (bracket_open_) return LexInBrackets(rune);
    pos_ = start_;
    return LexWord();
  }
  Fail("unexpected character: " + Quoted(rune));
  return State::kDone;
}

// A letter or colon inside brackets, behind the first number.
Lexer::State Lexer::LexInBrackets(char32_t rune) {
  if (rune == ':') {
    if (got_colon_) return Fail("unexpected colon ':'"), State::kDone;
    Emit(TokenKind::kColon);
    got_colon_ = true;
    return State::kStatement;
  }
  if (StartsDurationWord(rune) && ScanDurationWord()) return State::kStatement;
  Fail(fmt::format("unexpected character: {}, expected ':'", Quoted(rune)));
  return State::kDone;
}

Lexer::State Lexer::LexParen(char32_t rune, State next) {
  if (rune == '(') {
    Emit(TokenKind::kLeftParen);
    ++paren_depth_;
    return next;
  }
  Emit(TokenKind::kRightParen);
  // The error takes the place of the parenthesis just given.
  if (--paren_depth_ < 0) return Fail("unexpected right parenthesis ')'"), State::kDone;
  return next;
}

Lexer::State Lexer::LexComment() {
  const size_t end = input_.find_first_of("\r\n", pos_);
  pos_ = end == std::string_view::npos ? input_.size() : end;
  Emit(TokenKind::kComment);
  return State::kStatement;
}

// -------------------------------------------------------------------------------------------------
// Strings and words
// -------------------------------------------------------------------------------------------------

// The opening quote has been read.
Lexer::State Lexer::LexString() {
  const bool raw = quote_ == '`';
  for (;;) {
    const char32_t rune = Read();
    if (rune == quote_) break;
    if (rune == '\\' && !raw) {
      if (!LexEscape()) return State::kString;
    } else if (rune == kReplacementRune) {
      Fail("invalid UTF-8 rune");
      return State::kString;
    } else if (rune == kEofRune || (rune == '\n' && !raw)) {
      Fail(raw ? "unterminated raw string" : "unterminated quoted string");
      return State::kDone;
    }
  }
  Emit(TokenKind::kString);
  return State::kStatement;
}

// The backslash has been read.
bool Lexer::LexEscape() {
  char32_t rune = Read();
  int digits = 0;
  uint32_t base = 16;
  uint32_t value_max = 0x10ffff;
  switch (rune) {
    case 'a':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
    case 'v':
    case '\\': return true;
    case 'x':
      digits = 2, value_max = 255;
      rune = Read();
      break;
    case 'u':
      digits = 4;
      rune = Read();
      break;
    case 'U':
      digits = 8;
      rune = Read();
      break;
    case kEofRune: return Fail("escape sequence not terminated"), false;
    default:
      if (rune == quote_) return true;
      if (rune < '0' || rune > '7') {
        return Fail("unknown escape sequence " + CodePoint(rune)), false;
      }
      digits = 3, base = 8, value_max = 255;
  }
  uint32_t value = 0;
  for (; digits > 0; --digits) {
    const auto digit = static_cast<uint32_t>(DigitValue(rune));
    if (digit >= base) {
      if (rune == kEofRune) return Fail("escape sequence not terminated"), false;
      return Fail(fmt::format("illegal character {} in escape sequence", CodePoint(rune))), false;
    }
    value = value * base + digit;
    if (digits > 1) rune = Read();
  }
  if (value > value_max || (value >= 0xd800 && value < 0xe000)) {
    return Fail("escape sequence is an invalid Unicode code point"), false;
  }
  return true;
}

// A keyword, an identifier or, with a colon, a metric identifier.
Lexer::State Lexer::LexWord() {
  bool colon = false;
  bool ascii = true;
  for (char32_t rune = Read(); IsNameContinue(rune) || rune == ':'; rune = Read()) {
    colon = colon || rune == ':';
    ascii = ascii && rune < 0x80;
  }
  Unread();
  TokenKind kind = ascii ? FindKeyword(input_.substr(start_, pos_ - start_)) : TokenKind::kEnd;
  const bool fill =
      kind == TokenKind::kFill || kind == TokenKind::kFillLeft || kind == TokenKind::kFillRight;
  // Metrics called fill exist; only with a value behind it the word is the modifier.
  if (fill && !FollowedByLeftParen()) kind = TokenKind::kIdentifier;
  if (kind == TokenKind::kEnd) {
    kind = colon ? TokenKind::kMetricIdentifier : TokenKind::kIdentifier;
  }
  Emit(kind);
  const bool values = mode_ == LexerMode::kSeriesDescription && PeekRune() != '{';
  return values ? State::kValues : State::kStatement;
}

bool Lexer::FollowedByLeftParen() const {
  const size_t at = input_.find_first_not_of(" \t\n\r", pos_);
  return at != std::string_view::npos && input_[at] == '(';
}

Lexer::State Lexer::LexIdentifier() {
  while (IsNameContinue(Read())) {
  }
  Unread();
  Emit(TokenKind::kIdentifier);
  return State::kStatement;
}

Lexer::State Lexer::LexBraces() {
  if (input_.substr(pos_).starts_with('#')) return LexComment();
  const char32_t rune = Read();
  switch (rune) {
    case kEofRune: return Fail("unexpected end of input inside braces"), State::kDone;
    case ' ':
    case '\t':
    case '\n':
    case '\r': SkipSpaces(); return State::kStatement;
    case ',': Emit(TokenKind::kComma); return State::kBraces;
    case '"':
    case '\'':
    case '`': quote_ = rune; return LexString();
    case '=': Emit(Accept("~") ? TokenKind::kEqualRegex : TokenKind::kEqual); return State::kBraces;
    case '!':
      if (const char32_t after = Read(); after == '~') {
        Emit(TokenKind::kNotEqualRegex);
      } else if (after == '=') {
        Emit(TokenKind::kNotEqual);
      } else {
        Fail("unexpected character after '!' inside braces: " + Quoted(after));
        return State::kDone;
      }
      return State::kBraces;
    case '{': return Fail("unexpected left brace '{'"), State::kDone;
    case '}':
      Emit(TokenKind::kRightBrace);
      brace_open_ = false;
      return mode_ == LexerMode::kSeriesDescription ? State::kValues : State::kStatement;
    default: break;
  }
  if (IsNameStart(rune)) {
    pos_ = start_;
    return LexIdentifier();
  }
  Fail("unexpected character inside braces: " + Quoted(rune));
  return State::kDone;
}

// -------------------------------------------------------------------------------------------------
// Numbers and durations
// -------------------------------------------------------------------------------------------------

// Between [ and the first number or word of a duration.
Lexer::State Lexer::LexBracketHead() {
  const char32_t rune = Read();
  switch (rune) {
    case kEofRune: return Fail("unexpected end of input in duration expression"), State::kDone;
    case ']':
      Emit(TokenKind::kRightBracket);
      bracket_open_ = false;
      got_colon_ = false;
      return State::kStatement;
    case ':':
      Emit(TokenKind::kColon);
      if (!got_duration_) {
        Fail("unexpected colon before duration in duration expression");
        return State::kDone;
      }
      if (got_colon_) {
        Fail("unexpected repeated colon in duration expression");
        return State::kDone;
      }
      got_colon_ = true;
      return State::kBracketHead;
    case '(':
    case ')': return LexParen(rune, State::kBracketHead);
    case ' ':
    case '\t':
    case '\n':
    case '\r': SkipSpaces(); return State::kBracketHead;
    case '+': Emit(TokenKind::kAdd); return State::kBracketHead;
    case '-': Emit(TokenKind::kSub); return State::kBracketHead;
    case '*': Emit(TokenKind::kMul); return State::kBracketHead;
    case '/': Emit(TokenKind::kDiv); return State::kBracketHead;
    case '%': Emit(TokenKind::kMod); return State::kBracketHead;
    case '^': Emit(TokenKind::kPow); return State::kBracketHead;
    case ',': Emit(TokenKind::kComma); return State::kBracketHead;
    default: break;
  }
  if (StartsDurationWord(rune) && ScanDurationWord()) {
    got_duration_ = true;
    return State::kBracketHead;
  }
  if (IsDigit(rune) || (rune == '.' && IsDigit(PeekRune()))) {
    pos_ = start_;
    got_duration_ = true;
    return LexNumberOrDuration();
  }
  Fail("unexpected character in duration expression: " + Quoted(rune));
  return State::kDone;
}

// The first letter has been read.
bool Lexer::ScanDurationWord() {
  while (IsAlpha(Read())) {
  }
  Unread();
  const TokenKind kind = FindKeyword(input_.substr(start_, pos_ - start_));
  if (kind != TokenKind::kStep && kind != TokenKind::kRange && kind != TokenKind::kMaxOf &&
      kind != TokenKind::kMinOf) {
    return false;
  }
  Emit(kind);
  return true;
}

Lexer::State Lexer::LexNumberOrDuration() {
  if (ScanNumber()) {
    Emit(TokenKind::kNumber);
    return State::kStatement;
  }
  if (ScanDurationTail()) {
    Emit(TokenKind::kDuration);
    return State::kStatement;
  }
  Fail("bad number or duration syntax: " + GoQuote(input_.substr(start_, pos_ - start_)));
  return State::kDone;
}

// Behind the first digits of a duration. Wrong units and orders are left to the parser. On failure
// the offending character has been read, for the message shows it.
bool Lexer::ScanDurationTail() {
  if (!Accept("smhdwy")) return false;
  Accept("s");  // Of "ms".
  while (Accept(kDigits)) {
    while (Accept(kDigits)) {
    }
    if (!Accept("smhdw")) return false;  // Years come first or not at all.
    Accept("s");
  }
  const char32_t after = Read();
  if (IsAlphaNumeric(after)) return false;
  Unread();
  return true;
}

// Numbers of all forms; what is taken is not necessarily valid, the parser finds out. On failure
// the offending character has been read in those cases in which upstream's messages show it.
bool Lexer::ScanNumber() {
  const size_t begin = pos_;
  std::string_view digits = kDigits;
  // Series descriptions have no hexadecimal numbers: 0x3 there is three repetitions of 0.
  if (mode_ != LexerMode::kSeriesDescription && Accept("0") && Accept("xX")) {
    Accept("_");
    digits = kHexDigits;
  }
  Accept(".");
  Accept(digits);
  bool dot = false;
  bool exponent = false;
  for (;;) {
    if (Accept(".")) {
      if (dot || Accept("_.") || digits == kHexDigits) return false;
      dot = true;
    } else if (Accept("eE")) {  // Looked at before the digits, hexadecimal ones included.
      if (exponent) return false;
      exponent = true;
      Accept("+-");
      if (Accept("._eE") || PeekRune() == kEofRune) return false;
    } else if (Accept("_")) {
      if (Accept("._eE") || PeekRune() == kEofRune) return false;
    } else if (Accept(digits)) {
      while (Accept(digits)) {
      }
    } else {
      break;
    }
  }
  if (pos_ == begin) return false;
  const char32_t after = PeekRune();
  if (mode_ == LexerMode::kSeriesDescription && after == 'x') return true;
  return !IsAlphaNumeric(after);
}

}  // namespace narthex::promql
