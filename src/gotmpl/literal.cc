#include "gotmpl/literal.h"

#include <cmath>

#include "util/numbers.h"
#include "util/strings.h"

namespace narthex::gotmpl {
namespace {

std::optional<uint32_t> TakeDigits(std::string_view* text, size_t count, uint32_t base) {
  if (text->size() < count) return std::nullopt;
  uint32_t value = 0;
  for (const char c : text->substr(0, count)) {
    const uint32_t digit = c >= '0' && c <= '9'   ? static_cast<uint32_t>(c - '0')
                           : c >= 'a' && c <= 'f' ? static_cast<uint32_t>(c - 'a') + 10
                           : c >= 'A' && c <= 'F' ? static_cast<uint32_t>(c - 'A') + 10
                                                  : 16;
    if (digit >= base) return std::nullopt;
    value = value * base + digit;
  }
  text->remove_prefix(count);
  return value;
}

struct UnquotedChar {
  char32_t rune = 0;
  bool byte = false;  // A byte, not a rune: from \x and octal escapes.
};

// Takes one character or escape; `quote` is the quote around it.
std::optional<UnquotedChar> TakeChar(std::string_view* text, char quote) {
  if (text->empty()) return std::nullopt;
  const char first = text->front();
  if (first == quote || first == '\n') return std::nullopt;
  if (first != '\\') {
    size_t size = 0;
    const char32_t rune = DecodeRune(*text, &size);
    text->remove_prefix(size);
    return UnquotedChar{rune, false};
  }
  if (text->size() < 2) return std::nullopt;
  const char kind = (*text)[1];
  text->remove_prefix(2);
  switch (kind) {
    case 'a': return UnquotedChar{'\a', false};
    case 'b': return UnquotedChar{'\b', false};
    case 'f': return UnquotedChar{'\f', false};
    case 'n': return UnquotedChar{'\n', false};
    case 'r': return UnquotedChar{'\r', false};
    case 't': return UnquotedChar{'\t', false};
    case 'v': return UnquotedChar{'\v', false};
    case '\\': return UnquotedChar{'\\', false};
    case '\'':
    case '"':
      if (kind != quote) return std::nullopt;
      return UnquotedChar{static_cast<char32_t>(kind), false};
    case 'x':
    case 'u':
    case 'U': {
      const size_t digits = kind == 'x' ? 2 : kind == 'u' ? 4 : 8;
      const std::optional<uint32_t> value = TakeDigits(text, digits, 16);
      if (!value || *value > 0x10ffff) return std::nullopt;
      if (kind != 'x' && *value >= 0xd800 && *value < 0xe000) return std::nullopt;
      return UnquotedChar{*value, kind == 'x'};
    }
    default: break;
  }
  if (kind < '0' || kind > '7') return std::nullopt;
  const std::optional<uint32_t> rest = TakeDigits(text, 2, 8);
  if (!rest) return std::nullopt;
  const uint32_t value = static_cast<uint32_t>(kind - '0') * 64 + *rest;
  if (value > 255) return std::nullopt;
  return UnquotedChar{value, true};
}

// Go's digit separators: single underscores between digits or behind the base prefix.
std::optional<std::string> RemoveUnderscores(std::string_view text) {
  if (text.find('_') == std::string_view::npos) return std::string(text);
  std::string out;
  if (text.starts_with('-') || text.starts_with('+')) {
    out.push_back(text[0]);
    text.remove_prefix(1);
  }
  const bool prefix = text.size() >= 2 && text[0] == '0' &&
                      std::string_view("xXbBoO").find(text[1]) != std::string_view::npos;
  const bool hex = prefix && (text[1] == 'x' || text[1] == 'X');
  if (prefix) {
    out.append(text.substr(0, 2));
    text.remove_prefix(2);
  }
  bool digit_before = prefix;
  bool underscore_before = false;
  for (const char c : text) {
    const bool digit =
        (c >= '0' && c <= '9') || (hex && ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')));
    if (c == '_' ? !digit_before : underscore_before && !digit) return std::nullopt;
    if (c != '_') out.push_back(c);
    digit_before = digit;
    underscore_before = c == '_';
  }
  if (underscore_before) return std::nullopt;
  return out;
}

// strconv.ParseUint(text, 0, 64), the sign taken off before.
std::optional<uint64_t> ParseMagnitude(std::string_view text) {
  uint64_t base = 10;
  if (text.size() >= 2 && text[0] == '0') {
    const char mark = text[1];
    base = mark == 'x' || mark == 'X' ? 16 : mark == 'b' || mark == 'B' ? 2 : 8;
    text.remove_prefix(mark >= '0' && mark <= '9' ? 1 : 2);
    const bool octal_mark = mark == 'o' || mark == 'O';
    if (base == 8 && !octal_mark && (mark < '0' || mark > '9')) return std::nullopt;
  }
  if (text.empty()) return std::nullopt;
  uint64_t value = 0;
  for (const char c : text) {
    const uint64_t digit = c >= '0' && c <= '9'   ? static_cast<uint64_t>(c - '0')
                           : c >= 'a' && c <= 'f' ? static_cast<uint64_t>(c - 'a') + 10
                           : c >= 'A' && c <= 'F' ? static_cast<uint64_t>(c - 'A') + 10
                                                  : 16;
    if (digit >= base || value > (UINT64_MAX - digit) / base) return std::nullopt;
    value = value * base + digit;
  }
  return value;
}

std::optional<double> ParseGoFloat(std::string_view text) {
  const std::optional<std::string> digits = RemoveUnderscores(text);
  if (!digits) return std::nullopt;
  bool out_of_range = false;
  const std::optional<double> value = ParseFloat(*digits, &out_of_range);
  return out_of_range ? std::nullopt : value;
}

// A float that is whole is an integer as well.
void SetFloat(double value, NumberNode* number) {
  number->is_float = true;
  number->float_value = value;
  if (value >= -0x1p63 && value < 0x1p63 && std::trunc(value) == value) {
    number->is_int = true;
    number->int_value = static_cast<int64_t>(value);
  }
  if (value >= 0 && value < 0x1p64 && std::trunc(value) == value) {
    number->is_uint = true;
    number->uint_value = static_cast<uint64_t>(value);
  }
}

void SetComplex(std::complex<double> value, NumberNode* number) {
  number->is_complex = true;
  number->complex_value = value;
  if (value.imag() == 0) SetFloat(value.real(), number);
}

Status InvalidSyntax() {
  return MakeError(ErrorCode::kInvalidInput, "invalid syntax");
}

Status ParseCharConstant(std::string_view text, NumberNode* number) {
  std::string_view rest = text.substr(1);
  const std::optional<UnquotedChar> c = TakeChar(&rest, '\'');
  if (!c) return InvalidSyntax();
  if (rest != "'") {
    return MakeError(ErrorCode::kInvalidInput, "malformed character constant: {}", text);
  }
  number->is_int = number->is_uint = number->is_float = true;
  number->int_value = static_cast<int64_t>(c->rune);
  number->uint_value = c->rune;
  number->float_value = static_cast<double>(c->rune);
  return {};
}

// 1+2i
Status ParseComplexConstant(std::string_view text, NumberNode* number) {
  size_t sign = text.size();
  for (size_t i = 1; i < text.size(); ++i) {
    const char before = text[i - 1];
    const bool exponent = before == 'e' || before == 'E' || before == 'p' || before == 'P';
    if ((text[i] == '+' || text[i] == '-') && !exponent) sign = i;
  }
  const std::optional<double> real = ParseGoFloat(text.substr(0, sign));
  std::string_view imaginary = text.substr(sign);
  if (!imaginary.empty()) imaginary.remove_suffix(1);
  const std::optional<double> imag = ParseGoFloat(imaginary);
  if (!real || !imag) return InvalidSyntax();
  SetComplex({*real, *imag}, number);
  return {};
}

}  // namespace

std::optional<std::string> UnquoteGo(std::string_view quoted) {
  if (quoted.size() < 2 || quoted.front() != quoted.back()) return std::nullopt;
  const char quote = quoted.front();
  std::string_view text = quoted.substr(1, quoted.size() - 2);
  std::string out;
  if (quote == '`') {
    // Carriage returns vanish from raw strings.
    for (const char c : text) {
      if (c == '`') return std::nullopt;
      if (c != '\r') out.push_back(c);
    }
    return out;
  }
  if (quote != '"') return std::nullopt;
  while (!text.empty()) {
    const size_t plain = std::min(text.find_first_of("\\\"\n"), text.size());
    out.append(text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty()) break;
    const std::optional<UnquotedChar> c = TakeChar(&text, quote);
    if (!c) return std::nullopt;
    if (c->byte) {
      out.push_back(static_cast<char>(c->rune));
    } else {
      AppendRune(c->rune, &out);
    }
  }
  return out;
}

Status ParseGoNumber(std::string_view text, NumberForm form, NumberNode* number) {
  number->text = std::string(text);
  if (form == NumberForm::kCharConstant) return ParseCharConstant(text, number);
  if (form == NumberForm::kComplex) return ParseComplexConstant(text, number);
  if (text.ends_with('i')) {
    if (const auto imaginary = ParseGoFloat(text.substr(0, text.size() - 1))) {
      SetComplex({0, *imaginary}, number);
      return {};
    }
  }
  if (const std::optional<std::string> plain = RemoveUnderscores(text)) {
    std::string_view digits = *plain;
    const bool negative = digits.starts_with('-');
    const bool sign = negative || digits.starts_with('+');
    if (sign) digits.remove_prefix(1);
    if (const std::optional<uint64_t> magnitude = ParseMagnitude(digits)) {
      constexpr uint64_t kLimit = uint64_t{1} << 63;
      number->is_uint = !sign || *magnitude == 0;
      number->uint_value = *magnitude;
      number->is_int = *magnitude < kLimit || (negative && *magnitude == kLimit);
      if (number->is_int) {
        number->int_value = static_cast<int64_t>(negative ? 0 - *magnitude : *magnitude);
      }
    }
  }
  if (number->is_int || number->is_uint) {
    number->is_float = true;
    number->float_value = number->is_int ? static_cast<double>(number->int_value)
                                         : static_cast<double>(number->uint_value);
    return {};
  }
  if (const std::optional<double> value = ParseGoFloat(text)) {
    if (text.find_first_of(".eEpP") == std::string_view::npos) {
      return MakeError(ErrorCode::kInvalidInput, "integer overflow: {}", GoQuote(text));
    }
    SetFloat(*value, number);
    return {};
  }
  return MakeError(ErrorCode::kInvalidInput, "illegal number syntax: {}", GoQuote(text));
}

}  // namespace narthex::gotmpl
