#include "promql/engine/logarithm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace narthex::promql {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kSmallest = std::numeric_limits<double>::denorm_min();

// Answers of Prometheus, to the last bit.
TEST(Logarithm, RoundsAsGo) {
  EXPECT_EQ(NaturalLog(kSmallest), -709.0895657128241);  // Where -744.44 were right.
  EXPECT_EQ(NaturalLog(1e16), 36.841361487904734);
  EXPECT_EQ(DecimalLog(kSmallest), -307.9536855642528);
  EXPECT_EQ(DecimalLog(0.1), -0.9999999999999999);
  EXPECT_EQ(DecimalLog(3), 0.4771212547196624);
  EXPECT_EQ(BinaryLog(kSmallest), -1074);
  for (int exponent = -1000; exponent <= 1000; ++exponent) {
    EXPECT_EQ(BinaryLog(std::ldexp(1, exponent)), exponent);
  }
}

TEST(Logarithm, OfWhatHasNone) {
  for (double (*log)(double) : {NaturalLog, BinaryLog, DecimalLog}) {
    EXPECT_EQ(log(0.0), -kInf);
    EXPECT_EQ(log(-0.0), -kInf);
    EXPECT_EQ(log(kInf), kInf);
    EXPECT_TRUE(std::isnan(log(-1)));
    EXPECT_TRUE(std::isnan(log(-kInf)));
    EXPECT_TRUE(std::isnan(log(std::nan(""))));
    EXPECT_EQ(log(1), 0);
  }
}

TEST(Logarithm, IsCloseToTheLibrarys) {
  for (double x = 1e-300; x < 1e300; x *= 1.37) {
    EXPECT_NEAR(NaturalLog(x), std::log(x), 1e-15 * std::max(1.0, std::fabs(std::log(x))));
    EXPECT_NEAR(BinaryLog(x), std::log2(x), 1e-15 * std::max(1.0, std::fabs(std::log2(x))));
    EXPECT_NEAR(DecimalLog(x), std::log10(x), 1e-15 * std::max(1.0, std::fabs(std::log10(x))));
  }
}

}  // namespace
}  // namespace narthex::promql
