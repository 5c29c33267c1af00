#include "util/numbers.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <limits>
#include <system_error>

#include "util/shortest_decimal.h"

namespace narthex {
namespace {

// The spelling of a value that has no digits, or null.
const char* SpecialName(double v) {
  if (std::isnan(v)) return "NaN";
  if (std::isinf(v)) return v > 0 ? "+Inf" : "-Inf";
  return nullptr;
}

// 'f' of the largest double has 309 digits, of the smallest 1,075 places with a shortest mantissa.
constexpr size_t kFixedBytesMax = 1100;

// From here on not every integer is a double. std::to_chars then writes out the exact value, Go the
// shortest digits and zeros behind them: 18446744073709552000.
constexpr double kExactIntegers = 9007199254740992.0;

void AppendShortest(double v, std::chars_format format, std::string* out) {
  char buffer[kFixedBytesMax];
  if (format != std::chars_format::fixed || std::fabs(v) < kExactIntegers) {
    const auto result = std::to_chars(buffer, buffer + sizeof buffer, v, format);
    out->append(buffer, result.ptr);
    return;
  }
  const char* const end =
      std::to_chars(buffer, buffer + sizeof buffer, v, std::chars_format::scientific).ptr;
  const char* const mark = std::find<const char*>(buffer, end, 'e');
  size_t places = 0;
  std::from_chars(mark + 2, end, places);  // Behind the e and its plus sign.
  const size_t begin = out->size();
  std::copy_if<const char*>(buffer, mark, std::back_inserter(*out),
                            [](char c) { return c != '.'; });
  const size_t digits = out->size() - begin - (v < 0 ? 1 : 0);
  if (places + 1 > digits) out->append(places + 1 - digits, '0');
}

bool EqualsIgnoreCase(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    if ((text[i] | 0x20) != lower[i]) return false;
  }
  return true;
}

}  // namespace

double NormalNan() {
  return std::bit_cast<double>(kNormalNanBits);
}
double StaleNan() {
  return std::bit_cast<double>(kStaleNanBits);
}
bool IsStaleNan(double v) {
  return std::bit_cast<uint64_t>(v) == kStaleNanBits;
}

std::string FormatFloatF(double v) {
  if (const char* name = SpecialName(v)) return name;
  std::string out;
  AppendShortest(v, std::chars_format::fixed, &out);
  return out;
}

std::string FormatFloatE(double v) {
  if (const char* name = SpecialName(v)) return name;
  std::string out;
  AppendShortest(v, std::chars_format::scientific, &out);
  return out;
}

std::string FormatFloatG(double v) {
  if (const char* name = SpecialName(v)) return name;
  if (v == 0) return std::signbit(v) ? "-0" : "0";
  // Go uses the exponent form by the decimal exponent of the shortest digits, not by length.
  std::string scientific;
  AppendShortest(v, std::chars_format::scientific, &scientific);
  const size_t e = scientific.find('e');
  int exponent = 0;
  const char* digits = scientific.data() + e + 1;
  if (*digits == '+') ++digits;
  std::from_chars(digits, scientific.data() + scientific.size(), exponent);
  if (exponent < -4 || exponent >= 6) return scientific;
  return FormatFloatF(v);
}

void AppendJsonFloat(double v, std::string* out) {
  char buffer[kJsonFloatBytesMax];
  out->append(buffer, WriteJsonFloat(v, buffer));
}

char* WriteJsonFloat(double v, char* to) {
  // Whole numbers are the bulk of all samples.
  if (v >= -1e15 && v <= 1e15) [[likely]] {
    const auto whole = static_cast<int64_t>(v);
    if (static_cast<double>(whole) == v && (whole != 0 || !std::signbit(v))) {
      return std::to_chars(to, to + kJsonFloatBytesMax, whole).ptr;
    }
  }
  if (const char* name = SpecialName(v)) return std::copy_n(name, std::strlen(name), to);
  const double magnitude = std::fabs(v);
  const bool exponent = magnitude != 0 && (magnitude < 1e-6 || magnitude >= 1e21);
  if (!exponent && magnitude <= 1e15) [[likely]] {
    // Composed where there is room for more than the text.
    char text[kPlainDecimalBytesMax] = {};
    const char* const end = WritePlainDecimal(v, text);
    std::memcpy(to, text, kJsonFloatBytesMax);
    return to + (end - text);
  }
  std::string text;
  AppendShortest(v, exponent ? std::chars_format::scientific : std::chars_format::fixed, &text);
  return std::copy(text.begin(), text.end(), to);
}

std::string FormatFloatGPrecision(double v, int precision) {
  if (const char* name = SpecialName(v)) return name;
  char buffer[64];
  const int n = std::snprintf(buffer, sizeof buffer, "%.*g", precision, v);
  return std::string(buffer, static_cast<size_t>(n));
}

std::string FormatFloatFPrecision(double v, int precision) {
  if (const char* name = SpecialName(v)) return name;
  char buffer[400];
  const int n = std::snprintf(buffer, sizeof buffer, "%.*f", precision, v);
  return std::string(buffer, static_cast<size_t>(n));
}

std::optional<double> ParseFloat(std::string_view text, bool* out_of_range) {
  if (out_of_range) *out_of_range = false;
  std::string_view rest = text;
  bool negative = false;
  if (!rest.empty() && (rest[0] == '+' || rest[0] == '-')) {
    negative = rest[0] == '-';
    rest.remove_prefix(1);
  }
  if (rest.empty()) return std::nullopt;
  double v = 0;
  const bool digit_first = (rest[0] >= '0' && rest[0] <= '9') || rest[0] == '.';
  if (!digit_first) {
    if (EqualsIgnoreCase(rest, "inf") || EqualsIgnoreCase(rest, "infinity")) {
      v = std::numeric_limits<double>::infinity();
      return negative ? -v : v;
    }
    // Go reads a sign before Inf but not before NaN.
    if (EqualsIgnoreCase(rest, "nan") && rest.size() == text.size()) return NormalNan();
    return std::nullopt;
  }
  auto format = std::chars_format::general;
  if (rest.size() > 2 && rest[0] == '0' && (rest[1] == 'x' || rest[1] == 'X')) {
    rest.remove_prefix(2);
    // Go requires the p exponent of a hexadecimal number.
    if (rest.find_first_of("pP") == std::string_view::npos) return std::nullopt;
    format = std::chars_format::hex;
  }
  if (rest[0] == '-' || rest[0] == '+') return std::nullopt;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), v, format);
  if (end != rest.data() + rest.size() || error == std::errc::invalid_argument) {
    return std::nullopt;
  }
  if (error == std::errc::result_out_of_range) {
    // Too small reads as zero; too large is an error in Go. from_chars tells them apart by nothing.
    const size_t e = rest.find_first_of("eEpP");
    const bool small = e != std::string_view::npos ? rest.substr(e + 1).starts_with('-')
                                                   : rest.starts_with('0') || rest[0] == '.';
    v = small ? 0.0 : std::numeric_limits<double>::infinity();
    if (!small && out_of_range) *out_of_range = true;
  }
  return negative ? -v : v;
}

std::optional<int64_t> ParseInt(std::string_view text) {
  if (text.starts_with('+')) {
    text.remove_prefix(1);
    if (text.starts_with('-')) return std::nullopt;
  }
  int64_t v = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return v;
}

std::optional<uint64_t> ParseUint(std::string_view text) {
  uint64_t v = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return v;
}

std::optional<bool> ParseBool(std::string_view text) {
  for (const std::string_view yes : {"1", "t", "T", "TRUE", "true", "True"}) {
    if (text == yes) return true;
  }
  for (const std::string_view no : {"0", "f", "F", "FALSE", "false", "False"}) {
    if (text == no) return false;
  }
  return std::nullopt;
}

}  // namespace narthex
