// Character classes and numbers of the text formats, inlined into the parsers' inner loops.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace narthex::exposition {

enum CharClass : uint8_t {
  kLabelStart = 1,   // [a-zA-Z_]
  kLabelChar = 2,    // [a-zA-Z0-9_]
  kMetricStart = 4,  // [a-zA-Z_:]
  kMetricChar = 8,   // [a-zA-Z0-9_:]
};

inline constexpr std::array<uint8_t, 256> kCharClasses = [] {
  std::array<uint8_t, 256> classes{};
  for (int c = 0; c < 256; ++c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    const bool digit = c >= '0' && c <= '9';
    uint8_t bits = 0;
    if (letter) bits |= kLabelStart;
    if (letter || digit) bits |= kLabelChar;
    if (letter || c == ':') bits |= kMetricStart;
    if (letter || digit || c == ':') bits |= kMetricChar;
    classes[static_cast<size_t>(c)] = bits;
  }
  return classes;
}();

inline bool IsA(char c, CharClass char_class) {
  return (kCharClasses[static_cast<uint8_t>(c)] & char_class) != 0;
}

// Reads a plain decimal number at `p`: an optional sign, at most 15 digits, at most one point. That
// covers nearly every sample, and such a number is one exact division away from its value. Gives
// the end of it, or null when the number is of another form (which then needs ParseFloat).
inline const char* ScanPlainNumber(const char* p, const char* end, double* value) {
  static constexpr double kPowersOfTen[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                            1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
  constexpr int kDigitsMax = 15;
  const bool negative = p < end && *p == '-';
  if (negative) ++p;
  uint64_t digits = 0;
  int count = 0;
  const char* start = p;
  for (; p < end && static_cast<uint8_t>(*p - '0') <= 9; ++p) {
    digits = digits * 10 + static_cast<uint64_t>(*p - '0');
  }
  count = static_cast<int>(p - start);
  if (count == 0 || count > kDigitsMax) return nullptr;
  int decimals = 0;
  if (p < end && *p == '.') {
    const char* point = ++p;
    for (; p < end && static_cast<uint8_t>(*p - '0') <= 9; ++p) {
      digits = digits * 10 + static_cast<uint64_t>(*p - '0');
    }
    decimals = static_cast<int>(p - point);
    if (count + decimals > kDigitsMax || decimals == 0) return nullptr;
  }
  const double magnitude = static_cast<double>(digits) / kPowersOfTen[decimals];
  *value = negative ? -magnitude : magnitude;
  return p;
}

// The end of a plain quoted text that starts at `p`, just behind its opening quote: where the
// closing quote is. Null when there is none or a backslash comes first.
inline const char* FindPlainQuote(const char* p, const char* end) {
  const auto* quote = static_cast<const char*>(std::memchr(p, '"', static_cast<size_t>(end - p)));
  if (quote == nullptr) return nullptr;
  if (std::memchr(p, '\\', static_cast<size_t>(quote - p)) != nullptr) return nullptr;
  return quote;
}

}  // namespace narthex::exposition
