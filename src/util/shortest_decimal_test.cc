#include "util/shortest_decimal.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <iterator>
#include <limits>
#include <random>
#include <string>
#include <string_view>

#include "util/numbers.h"

namespace narthex {
namespace {

std::string Plain(double v) {
  char buffer[kPlainDecimalBytesMax];
  return std::string(buffer, WritePlainDecimal(v, buffer));
}

std::string StandardPlain(double v) {
  char buffer[512];
  return std::string(
      buffer, std::to_chars(buffer, buffer + sizeof buffer, v, std::chars_format::fixed).ptr);
}

// "digits:exponent" without zeros at the end, as both ways of making them agree on.
std::string Digits(double v) {
  ShortestDecimal decimal = ToShortestDecimal(v);
  while (decimal.digits % 10 == 0) {
    decimal.digits /= 10;
    ++decimal.exponent;
  }
  return std::to_string(decimal.digits) + ":" + std::to_string(decimal.exponent);
}

std::string StandardDigits(double v) {
  char buffer[64];
  const std::string_view text(
      buffer,
      static_cast<size_t>(
          std::to_chars(buffer, buffer + sizeof buffer, v, std::chars_format::scientific).ptr -
          buffer));
  const size_t mark = text.find('e');
  std::string digits(text.substr(0, 1));
  if (mark > 2) digits += text.substr(2, mark - 2);
  int exponent = std::stoi(std::string(text.substr(mark + 1)));
  exponent -= static_cast<int>(digits.size()) - 1;
  while (digits.size() > 1 && digits.back() == '0') {
    digits.pop_back();
    ++exponent;
  }
  return digits + ":" + std::to_string(exponent);
}

TEST(ShortestDecimal, EdgesOfTheFormat) {
  for (const double v : {std::numeric_limits<double>::denorm_min(), 2.2250738585072009e-308,
                         std::numeric_limits<double>::min(), 2.2250738585072011e-308,
                         std::numeric_limits<double>::max(), 5e-324, 1e-323, 9007199254740993.0,
                         4503599627370496.5, 1e22, 1e23, 9.5e-6, 0.3, 2.0, 1.0, 0.1}) {
    EXPECT_EQ(Digits(v), StandardDigits(v));
  }
  for (int e = -1074; e < 1024; ++e) {
    const double power = std::ldexp(1.0, e);
    for (const double v : {power, std::nextafter(power, 0.0), std::nextafter(power, 1e308)}) {
      if (v > 0 && std::isfinite(v)) ASSERT_EQ(Digits(v), StandardDigits(v));
    }
  }
}

TEST(ShortestDecimal, AnyBitsAsTheStandardLibrary) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 200'000; ++i) {
    const double v = std::bit_cast<double>(random() >> 1);
    if (!std::isfinite(v) || v == 0) continue;
    ASSERT_EQ(Digits(v), StandardDigits(v)) << std::bit_cast<uint64_t>(v);
  }
}

TEST(ShortestDecimal, TextsForJsonStayWithinTheirRoom) {
  std::mt19937_64 random(9);
  for (int i = 0; i < 20'000; ++i) {
    const double v = std::bit_cast<double>(random());
    const double values[] = {v, std::pow(10.0, i % 60 - 30) * (1 + std::fmod(i, 97) / 97),
                             -1e15 / 7};
    for (const double value : values) {
      char room[kJsonFloatBytesMax + 64];
      std::fill(std::begin(room), std::end(room), '#');
      char* const end = WriteJsonFloat(value, room);
      ASSERT_LE(end - room, std::ptrdiff_t{kJsonFloatBytesMax});
      for (size_t at = kJsonFloatBytesMax; at < sizeof room; ++at) ASSERT_EQ(room[at], '#');
      std::string appended;
      AppendJsonFloat(value, &appended);
      ASSERT_EQ(appended, std::string(room, end));
    }
  }
}

TEST(ShortestDecimal, PlainTextsAsTheStandardLibrary) {
  for (const double v : {0.0, -0.0, 1e-6, 1.5e-6, 0.1, -0.25, 10.0, 12.5, 100.0, 999999.999,
                         1234567.0, 1e15, 0.30000000000000004, 123456789.125, 1e14 + 0.5}) {
    EXPECT_EQ(Plain(v), StandardPlain(v));
  }
  std::mt19937_64 random(8);
  std::uniform_real_distribution<double> exponent(-6, 15);
  for (int i = 0; i < 200'000; ++i) {
    double v = std::pow(10.0, exponent(random)) * (i % 2 == 0 ? 1 : -1);
    // Also values of few digits, as gauges have.
    if (i % 3 == 0) v = std::round(v * 1000) / 1000;
    if (std::fabs(v) < 1e-6) continue;
    ASSERT_EQ(Plain(v), StandardPlain(v));
  }
}

}  // namespace
}  // namespace narthex
