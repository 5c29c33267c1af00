#include "gotmpl/format.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <optional>

#include "util/numbers.h"
#include "util/strings.h"

namespace narthex::gotmpl {
namespace {

// Widths and precisions beyond it are refused, as Go does.
constexpr int kWidthMax = 1'000'000;
constexpr int kDepthMax = 200;
constexpr char32_t kReplacementRune = 0xfffd;

struct Flags {
  bool plus = false;
  bool plus_v = false;  // %+v: names of fields, but no signs.
  bool minus = false;
  bool sharp = false;
  bool sharp_v = false;  // %#v: Go syntax, and no other meaning of the sign.
  bool space = false;
  bool zero = false;
  std::optional<int> width;
  std::optional<int> precision;
};

class Printer {
 public:
  void Print(const Value& value, char32_t verb, int depth = 0);
  void Printf(std::string_view format, std::span<const Value> values);

  std::string out;
  Flags flags;

 private:
  void Pad(std::string_view text);
  void PadNumber(std::string text);
  void BadVerb(const Value& value, char32_t verb);
  void PrintBool(const Value& value, char32_t verb);
  void PrintInteger(const Value& value, uint64_t magnitude, bool negative, char32_t verb);
  void PrintDigits(uint64_t magnitude, bool negative, unsigned base, bool upper, char32_t verb);
  void PrintRune(uint64_t rune, char32_t verb);
  void PrintFloat(double v, char32_t verb, const Value& value);
  void PrintComplex(const Value& value, char32_t verb);
  void PrintString(const std::string& text, char32_t verb, const Value& value);
  void PrintHex(std::string_view text, bool upper);
  void PrintList(const Value& value, char32_t verb, int depth);
  void PrintMap(const Value& value, char32_t verb, int depth);
  void PrintStruct(const Value& value, char32_t verb, int depth);
  void PrintPointer(const Value& value, char32_t verb);
  bool PrintStringer(const Value& value, char32_t verb);
  bool in_bad_verb_ = false;  // Methods are not asked there.

  // Parts of Printf.
  struct FormatState;
  void ReadFlags(FormatState* state);
  bool ReadIndex(FormatState* state);
  std::optional<int> ReadSize(FormatState* state, std::string_view complaint);
};

std::string HexDigits(uint64_t v, unsigned base, bool upper) {
  const std::string_view digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
  std::string text;
  do {
    text.push_back(digits[v % base]);
    v /= base;
  } while (v != 0);
  std::reverse(text.begin(), text.end());
  return text;
}

// C's printf for one number, of any length.
std::string FormatC(const char* format, int precision, double v) {
  const int size = std::snprintf(nullptr, 0, format, precision, v);
  std::string text(static_cast<size_t>(size), '\0');
  std::snprintf(text.data(), text.size() + 1, format, precision, v);
  return text;
}

// %x: 0x1.8p+00
std::string HexFloat(double v, std::optional<int> precision, bool upper) {
  // The exponent is put on afterwards: Go's mantissa always begins with 1, C's may begin with 2
  // after rounding, and with 0 where the number is tiny.
  int exponent = 0;
  std::string text = FormatC("%.*a", precision.value_or(-1), std::frexp(v, &exponent) * 2);
  text.resize(text.find('p'));
  exponent = v == 0 ? 0 : exponent - 1;
  const size_t first = text.find('x') + 1;
  if (text[first] == '2') {
    text[first] = '1';
    ++exponent;
  }
  text += fmt::format("p{}{:02}", exponent < 0 ? '-' : '+', std::abs(exponent));
  return upper ? ToUpper(text) : text;
}

// %b: 4503599627370496p-52, the mantissa as a whole number.
std::string BinaryFloat(double v) {
  constexpr int kMantissaBits = 52;
  constexpr int kBias = 1023;
  const auto bits = std::bit_cast<uint64_t>(v);
  const auto exponent = static_cast<int>((bits >> kMantissaBits) & 0x7ff);
  uint64_t mantissa = bits & ((uint64_t{1} << kMantissaBits) - 1);
  if (exponent != 0) mantissa |= uint64_t{1} << kMantissaBits;
  return fmt::format("{}{}p{:+d}", std::signbit(v) ? "-" : "", mantissa,
                     std::max(exponent, 1) - kBias - kMantissaBits);
}

// %#g: a decimal point always, and as many digits as the precision says (six without one).
std::string KeepZeros(std::string text, char32_t verb, std::optional<int> precision) {
  const bool counts = verb == 'v' || verb == 'g' || verb == 'G' || verb == 'x';
  int digits = counts ? precision.value_or(6) : 0;
  const bool hex = verb == 'x' || verb == 'X';
  const size_t sign = text[0] == '-' ? 1 : 0;
  const size_t end = std::min(text.find_first_of(hex ? "pP" : "eE"), text.size());
  const std::string tail = text.substr(end);
  text.resize(end);
  bool significant = false;
  for (const char c : std::string_view(text).substr(sign)) {
    if (c == '.') continue;
    significant = significant || c != '0';
    if (significant) --digits;
  }
  if (text.find('.') == std::string::npos) {
    if (text.substr(sign) == "0") --digits;
    text += '.';
  }
  text.append(static_cast<size_t>(std::max(digits, 0)), '0');
  return text + tail;
}

// Whether Go writes the text between backquotes where it may.
bool CanBackquote(std::string_view text) {
  constexpr char32_t kByteOrderMark = 0xfeff;
  while (!text.empty()) {
    size_t size = 0;
    const char32_t rune = DecodeRune(text, &size);
    if (size == 1 &&
        (rune == kReplacementRune || rune == '`' || rune == 0x7f || (rune < ' ' && rune != '\t'))) {
      return false;
    }
    if (rune == kByteOrderMark) return false;
    text.remove_prefix(size);
  }
  return true;
}

// %+q: as %q, but everything beyond ASCII is escaped.
std::string AsciiQuote(std::string_view text) {
  std::string out;
  std::string quoted = GoQuote(text);
  for (std::string_view rest = quoted; !rest.empty();) {
    size_t size = 0;
    const char32_t rune = DecodeRune(rest, &size);
    if (rune < 0x80) {
      out += rest[0];
    } else {
      const auto code = static_cast<uint32_t>(rune);
      out += code < 0x10000 ? fmt::format("\\u{:04x}", code) : fmt::format("\\U{:08x}", code);
    }
    rest.remove_prefix(size);
  }
  return out;
}

void Printer::Pad(std::string_view text) {
  const size_t width = static_cast<size_t>(flags.width.value_or(0));
  const size_t runes = CountRunes(text);
  const size_t padding = width > runes ? width - runes : 0;
  if (!flags.minus) out.append(padding, flags.zero ? '0' : ' ');
  out.append(text);
  if (flags.minus) out.append(padding, ' ');
}

// Zeros go between the sign and the digits.
void Printer::PadNumber(std::string text) {
  const bool sign = text[0] == '+' || text[0] == '-' || text[0] == ' ';
  const size_t width = static_cast<size_t>(flags.width.value_or(0));
  if (flags.zero && !flags.minus && width > text.size()) {
    text.insert(sign ? 1 : 0, width - text.size(), '0');
  }
  const bool zero = std::exchange(flags.zero, false);
  Pad(text);
  flags.zero = zero;
}

void Printer::BadVerb(const Value& value, char32_t verb) {
  out += "%!";
  AppendRune(verb, &out);
  out += '(';
  if (value.kind() == Kind::kInvalid || value.kind() == Kind::kNil) {
    out += "<nil>";
  } else {
    out += value.type()->name + "=";
    in_bad_verb_ = true;
    Print(value, 'v');
    in_bad_verb_ = false;
  }
  out += ')';
}

void Printer::PrintBool(const Value& value, char32_t verb) {
  if (verb != 't' && verb != 'v') return BadVerb(value, verb);
  Pad(value.bool_value() ? "true" : "false");
}

void Printer::PrintDigits(uint64_t magnitude, bool negative, unsigned base, bool upper,
                          char32_t verb) {
  std::string digits = HexDigits(magnitude, base, upper);
  if (flags.precision) {
    if (*flags.precision == 0 && magnitude == 0) {
      const bool zero = std::exchange(flags.zero, false);
      Pad("");
      flags.zero = zero;
      return;
    }
    const size_t wanted = static_cast<size_t>(*flags.precision);
    if (digits.size() < wanted) digits.insert(0, wanted - digits.size(), '0');
  }
  std::string prefix;
  if (flags.sharp) {
    prefix = base == 2 ? "0b" : base == 16 ? (upper ? "0X" : "0x") : "";
    if (base == 8 && digits[0] != '0') prefix = "0";
  }
  if (verb == 'O') prefix.insert(0, "0o");
  const std::string sign = negative ? "-" : flags.plus ? "+" : flags.space ? " " : "";
  const size_t width = static_cast<size_t>(flags.width.value_or(0));
  // Go counts the sign into a zero-padded width, but not the prefix of the base.
  if (flags.zero && !flags.minus && !flags.precision && width > sign.size() + digits.size()) {
    digits.insert(0, width - sign.size() - digits.size(), '0');
    out += sign + prefix + digits;
    return;
  }
  const bool zero = std::exchange(flags.zero, false);
  Pad(sign + prefix + digits);
  flags.zero = zero;
}

void Printer::PrintRune(uint64_t rune, char32_t verb) {
  const char32_t shown = rune > 0x10ffff ? kReplacementRune : static_cast<char32_t>(rune);
  if (verb == 'q') return Pad(GoQuoteRune(shown));
  std::string text;
  if (verb == 'c') {
    AppendRune(shown, &text);
    return Pad(text);
  }
  text = fmt::format("U+{:0{}X}", rune, std::max(4, flags.precision.value_or(0)));
  if (flags.sharp && rune <= 0x10ffff) {
    text += " '";
    AppendRune(shown, &text);
    text += '\'';
  }
  Pad(text);
}

void Printer::PrintInteger(const Value& value, uint64_t magnitude, bool negative, char32_t verb) {
  switch (verb) {
    case 'v':
      if (flags.sharp_v && value.kind() == Kind::kUint) {
        flags.sharp = true;
        PrintDigits(magnitude, false, 16, false, verb);
        flags.sharp = false;
        return;
      }
      [[fallthrough]];
    case 'd': return PrintDigits(magnitude, negative, 10, false, verb);
    case 'b': return PrintDigits(magnitude, negative, 2, false, verb);
    case 'o':
    case 'O': return PrintDigits(magnitude, negative, 8, false, verb);
    case 'x': return PrintDigits(magnitude, negative, 16, false, verb);
    case 'X': return PrintDigits(magnitude, negative, 16, true, verb);
    case 'c':
    case 'q':
    case 'U': return PrintRune(negative ? 0 - magnitude : magnitude, verb);
    default: return BadVerb(value, verb);
  }
}

void Printer::PrintFloat(double v, char32_t verb, const Value& value) {
  std::string text;
  const bool finite = std::isfinite(v);
  switch (verb) {
    case 'v':
    case 'g':
    case 'G':
      text = flags.precision && finite ? FormatC("%.*g", *flags.precision, v) : FormatFloatG(v);
      break;
    case 'b': text = finite ? BinaryFloat(v) : FormatFloatG(v); break;
    case 'e':
    case 'E':
      text = finite ? FormatC("%.*e", flags.precision.value_or(6), v) : FormatFloatG(v);
      break;
    case 'x':
    case 'X': text = finite ? HexFloat(v, flags.precision, verb == 'X') : FormatFloatG(v); break;
    case 'f':
    case 'F':
      text = finite ? FormatC("%.*f", flags.precision.value_or(6), v) : FormatFloatG(v);
      break;
    default: return BadVerb(value, verb);
  }
  if (!finite) {
    // Positive infinity always shows its sign, NaN only where one is asked for.
    const bool nan = std::isnan(v);
    if (nan && flags.plus) text = "+NaN";
    if (flags.space && !flags.plus && (nan || v > 0)) text = nan ? " NaN" : " Inf";
    const bool zero = std::exchange(flags.zero, false);
    Pad(text);
    flags.zero = zero;
    return;
  }
  if (verb == 'E' || verb == 'G') text = ToUpper(text);
  if (flags.sharp && verb != 'b') text = KeepZeros(std::move(text), verb, flags.precision);
  if (text[0] != '-') {
    if (flags.plus) {
      text.insert(0, "+");
    } else if (flags.space) {
      text.insert(0, " ");
    }
  }
  PadNumber(std::move(text));
}

void Printer::PrintComplex(const Value& value, char32_t verb) {
  if (verb >= 0x80 ||
      std::string_view("vbgGxXfFeE").find(static_cast<char>(verb)) == std::string_view::npos) {
    return BadVerb(value, verb);
  }
  const std::complex<double> v = value.complex_value();
  const bool plus = flags.plus;
  out += '(';
  PrintFloat(v.real(), verb, value);
  flags.plus = true;
  PrintFloat(v.imag(), verb, value);
  out += "i)";
  flags.plus = plus;
}

void Printer::PrintHex(std::string_view text, bool upper) {
  if (flags.precision) text = text.substr(0, static_cast<size_t>(*flags.precision));
  std::string hex = flags.sharp && !text.empty() ? (upper ? "0X" : "0x") : "";
  for (size_t i = 0; i < text.size(); ++i) {
    if (flags.space && i > 0) {
      hex += ' ';
      if (flags.sharp) hex += upper ? "0X" : "0x";
    }
    const auto byte = static_cast<uint8_t>(text[i]);
    hex += upper ? fmt::format("{:02X}", byte) : fmt::format("{:02x}", byte);
  }
  Pad(hex);
}

void Printer::PrintString(const std::string& text, char32_t verb, const Value& value) {
  std::string_view shown = text;
  if (flags.precision && verb != 'x' && verb != 'X') {
    size_t bytes = 0;
    for (int runes = 0; runes < *flags.precision && bytes < text.size(); ++runes) {
      size_t size = 0;
      DecodeRune(shown.substr(bytes), &size);
      bytes += size;
    }
    shown = shown.substr(0, bytes);
  }
  switch (verb) {
    case 'v':
      if (flags.sharp_v) return Pad(GoQuote(shown));
      [[fallthrough]];
    case 's': return Pad(shown);
    case 'q': {
      if (flags.sharp && CanBackquote(shown)) return Pad("`" + std::string(shown) + "`");
      return Pad(flags.plus ? AsciiQuote(shown) : GoQuote(shown));
    }
    case 'x': return PrintHex(text, false);
    case 'X': return PrintHex(text, true);
    default: return BadVerb(value, verb);
  }
}

void Printer::PrintList(const Value& value, char32_t verb, int depth) {
  const bool go_syntax = verb == 'v' && flags.sharp_v;
  out += go_syntax ? value.type()->name + "{" : "[";
  bool first = true;
  for (const Value& element : value.list()) {
    if (!first) out += go_syntax ? ", " : " ";
    first = false;
    Print(element, verb, depth + 1);
  }
  out += go_syntax ? '}' : ']';
}

void Printer::PrintMap(const Value& value, char32_t verb, int depth) {
  const bool go_syntax = verb == 'v' && flags.sharp_v;
  out += go_syntax ? value.type()->name + "{" : "map[";
  bool first = true;
  for (const auto& [name, element] : value.map()) {
    if (!first) out += go_syntax ? ", " : " ";
    first = false;
    Print(Value::String(name), verb, depth + 1);
    out += ':';
    Print(element, verb, depth + 1);
  }
  out += go_syntax ? '}' : ']';
}

void Printer::PrintStruct(const Value& value, char32_t verb, int depth) {
  const bool go_syntax = verb == 'v' && flags.sharp_v;
  if (go_syntax) {
    out += value.is_pointer() ? value.type()->pointee->name : value.type()->name;
  }
  out += '{';
  bool first = true;
  for (const auto& [name, field] : value.struct_as().fields) {
    if (!first) out += go_syntax ? ", " : " ";
    first = false;
    if (flags.plus_v || go_syntax) out += name + ":";
    Print(field, verb, depth + 1);
  }
  out += '}';
}

// Where a pointer's address would stand. Addresses mean nothing to a reader; this one looks like
// those of Go's heap.
void Printer::PrintPointer(const Value& value, char32_t verb) {
  constexpr uint64_t kAddress = 0xc000012080;
  const bool sharp = flags.sharp;
  switch (verb) {
    case 'v':
    case 'p':
      if (flags.sharp_v) out += "(" + value.type()->name + ")(";
      flags.sharp = flags.sharp_v || !sharp;
      PrintDigits(kAddress, false, 16, false, verb);
      flags.sharp = sharp;
      if (flags.sharp_v) out += ")";
      return;
    case 'b': return PrintDigits(kAddress, false, 2, false, verb);
    case 'o': return PrintDigits(kAddress, false, 8, false, verb);
    case 'd': return PrintDigits(kAddress, false, 10, false, verb);
    case 'x':
    case 'X': return PrintDigits(kAddress, false, 16, verb == 'X', verb);
    default: return BadVerb(value, verb);
  }
}

bool Printer::PrintStringer(const Value& value, char32_t verb) {
  if (in_bad_verb_ || (verb == 'v' && flags.sharp_v)) return false;
  switch (verb) {
    case 'v':
    case 's':
    case 'x':
    case 'X':
    case 'q': break;
    default: return false;
  }
  for (const Type* type = value.type(); type != nullptr; type = type->pointee) {
    if (type->to_string == nullptr) continue;
    PrintString(type->to_string(value), verb, value);
    return true;
  }
  return false;
}

void Printer::Print(const Value& value, char32_t verb, int depth) {
  if (depth > kDepthMax) {
    out += "...";
    return;
  }
  if (value.kind() == Kind::kInvalid || value.kind() == Kind::kNil) {
    // Inside lists and maps nothing prints as nothing whatever the verb.
    if (verb == 'T' || verb == 'v' || depth > 0) return Pad("<nil>");
    return BadVerb(value, verb);
  }
  if (verb == 'T') return PrintString(value.type()->name, 's', value);
  if (verb == 'w' && !in_bad_verb_) return BadVerb(value, verb);  // For errors, and not here.
  if (PrintStringer(value, verb)) return;
  if (value.is_pointer()) {
    const bool composite = value.kind() >= Kind::kList && value.kind() <= Kind::kStruct;
    if (depth > 0 || !composite) return PrintPointer(value, verb);
    out += '&';
  }
  switch (value.kind()) {
    case Kind::kBool: return PrintBool(value, verb);
    case Kind::kInt: {
      const int64_t v = value.int_value();
      const auto bits = static_cast<uint64_t>(v);
      return PrintInteger(value, v < 0 ? 0 - bits : bits, v < 0, verb);
    }
    case Kind::kUint: return PrintInteger(value, value.uint_value(), false, verb);
    case Kind::kFloat: return PrintFloat(value.float_value(), verb, value);
    case Kind::kComplex: return PrintComplex(value, verb);
    case Kind::kString: return PrintString(value.string_value(), verb, value);
    case Kind::kList: return PrintList(value, verb, depth);
    case Kind::kMap: return PrintMap(value, verb, depth);
    case Kind::kStruct: return PrintStruct(value, verb, depth);
    case Kind::kFunction: out += "func " + value.function().name; return;
    case Kind::kInvalid:
    case Kind::kNil: return;
  }
}

// -------------------------------------------------------------------------------------------------
// Printf
// -------------------------------------------------------------------------------------------------

struct Printer::FormatState {
  std::string_view format;
  size_t at = 0;
  std::span<const Value> values;
  size_t next = 0;  // Argument.
  bool reordered = false;
  bool good_index = true;
};

void Printer::ReadFlags(FormatState* state) {
  for (; state->at < state->format.size(); ++state->at) {
    switch (state->format[state->at]) {
      case '#': flags.sharp = true; break;
      case '0': flags.zero = true; break;
      case '+': flags.plus = true; break;
      case '-': flags.minus = true; break;
      case ' ': flags.space = true; break;
      default: return;
    }
  }
}

// [n]: which argument is next.
bool Printer::ReadIndex(FormatState* state) {
  if (state->at >= state->format.size() || state->format[state->at] != '[') return false;
  state->reordered = true;
  const size_t close = state->format.find(']', state->at);
  if (close == std::string_view::npos) {
    state->good_index = false;
    ++state->at;
    return false;
  }
  const auto index = ParseUint(state->format.substr(state->at + 1, close - state->at - 1));
  state->at = close + 1;
  if (!index || *index == 0 || *index > state->values.size()) {
    state->good_index = false;
    return false;
  }
  state->next = static_cast<size_t>(*index) - 1;
  return true;
}

// A width or precision: digits, or * for the next argument.
std::optional<int> Printer::ReadSize(FormatState* state, std::string_view complaint) {
  if (state->at < state->format.size() && state->format[state->at] == '*') {
    ++state->at;
    const bool present = state->next < state->values.size();
    const Value value = present ? state->values[state->next++] : Value();
    int64_t size = kWidthMax + 1;
    if (value.kind() == Kind::kInt) size = value.int_value();
    if (value.kind() == Kind::kUint && value.uint_value() <= kWidthMax) {
      size = static_cast<int64_t>(value.uint_value());
    }
    if (size > kWidthMax || size < -kWidthMax) {
      out += complaint;
      return std::nullopt;
    }
    return static_cast<int>(size);
  }
  int size = 0;
  bool any = false;
  while (state->at < state->format.size() && state->format[state->at] >= '0' &&
         state->format[state->at] <= '9') {
    size = std::min(size * 10 + (state->format[state->at] - '0'), kWidthMax);
    any = true;
    ++state->at;
  }
  if (!any) return std::nullopt;
  return size;
}

void Printer::Printf(std::string_view format, std::span<const Value> values) {
  FormatState state{.format = format, .values = values};
  while (state.at < format.size()) {
    const size_t percent = std::min(format.find('%', state.at), format.size());
    out += format.substr(state.at, percent - state.at);
    if (percent == format.size()) break;
    state.at = percent + 1;
    state.good_index = true;
    flags = {};
    ReadFlags(&state);
    bool after_index = ReadIndex(&state);
    const bool star = state.at < format.size() && format[state.at] == '*';
    flags.width = ReadSize(&state, "%!(BADWIDTH)");
    if (flags.width && *flags.width < 0) {
      flags.minus = true;
      flags.width = -*flags.width;
    }
    if (star) after_index = false;
    if (after_index && flags.width && !star) state.good_index = false;  // %[3]2d
    if (state.at < format.size() && format[state.at] == '.') {
      ++state.at;
      if (after_index) state.good_index = false;  // %[3].2d
      after_index = ReadIndex(&state);
      const bool precision_star = state.at < format.size() && format[state.at] == '*';
      flags.precision = ReadSize(&state, "%!(BADPREC)");
      if (precision_star && flags.precision && *flags.precision < 0) {
        flags.precision.reset();
        out += "%!(BADPREC)";
      } else if (!flags.precision && !precision_star) {
        flags.precision = 0;
      }
    }
    if (!after_index) ReadIndex(&state);
    if (state.at >= format.size()) {
      out += "%!(NOVERB)";
      break;
    }
    size_t size = 0;
    const char32_t verb = DecodeRune(format.substr(state.at), &size);
    state.at += size;
    if (verb == '%') {
      out += '%';
    } else if (!state.good_index) {
      out += "%!";
      AppendRune(verb, &out);
      out += "(BADINDEX)";
    } else if (state.next >= values.size()) {
      out += "%!";
      AppendRune(verb, &out);
      out += "(MISSING)";
    } else {
      if (flags.minus) flags.zero = false;
      if (verb == 'v' || verb == 'w') {
        flags.plus_v = std::exchange(flags.plus, false);
        flags.sharp_v = std::exchange(flags.sharp, false);
      }
      Print(values[state.next++], verb);
    }
  }
  if (state.reordered || state.next >= values.size()) return;
  flags = {};
  out += "%!(EXTRA ";
  for (size_t i = state.next; i < values.size(); ++i) {
    if (i > state.next) out += ", ";
    const bool nil = values[i].kind() == Kind::kInvalid || values[i].kind() == Kind::kNil;
    if (nil) {
      out += "<nil>";
      continue;
    }
    out += values[i].type()->name + "=";
    Print(values[i], 'v');
  }
  out += ')';
}

}  // namespace

std::string Sprint(std::span<const Value> values) {
  Printer printer;
  bool string_before = true;
  for (size_t i = 0; i < values.size(); ++i) {
    const bool string = values[i].kind() == Kind::kString && !values[i].is_pointer();
    if (i > 0 && !string && !string_before) printer.out += ' ';
    printer.Print(values[i], 'v');
    string_before = string;
  }
  return std::move(printer.out);
}

std::string Sprintln(std::span<const Value> values) {
  Printer printer;
  for (size_t i = 0; i < values.size(); ++i) {
    if (i > 0) printer.out += ' ';
    printer.Print(values[i], 'v');
  }
  return std::move(printer.out) + "\n";
}

std::string Sprintf(std::string_view format, std::span<const Value> values) {
  Printer printer;
  printer.Printf(format, values);
  return std::move(printer.out);
}

std::string FormatValue(const Value& value) {
  Printer printer;
  printer.Print(value, 'v');
  return std::move(printer.out);
}

}  // namespace narthex::gotmpl
