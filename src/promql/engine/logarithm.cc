#include "promql/engine/logarithm.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>

namespace narthex::promql {
namespace {

constexpr double kLn2High = 6.93147180369123816490e-01;
constexpr double kLn2Low = 1.90821492927058770002e-10;
// The odd and the even coefficients of the polynomial, lowest power first.
constexpr double kOdd[] = {6.666666666666735130e-01, 2.857142874366239149e-01,
                           1.818357216161805012e-01, 1.479819860511658591e-01};
constexpr double kEven[] = {3.999999999940941908e-01, 2.222219843214978396e-01,
                            1.531383769920937332e-01};

constexpr uint64_t kMantissa = (uint64_t{1} << 52) - 1;
constexpr int kExponentOfHalf = 0x3fe;

}  // namespace

double NaturalLog(double x) {
  if (x == 0) return -std::numeric_limits<double>::infinity();
  if (std::isnan(x) || x < 0) return std::nan("");
  if (std::isinf(x)) return x;
  const auto bits = std::bit_cast<uint64_t>(x);
  double fraction = std::bit_cast<double>((bits & kMantissa) | uint64_t{kExponentOfHalf} << 52);
  double exponent = static_cast<double>(static_cast<int>(bits >> 52) - kExponentOfHalf);
  if (fraction < std::numbers::sqrt2 / 2) {
    fraction *= 2;
    exponent -= 1;
  }
  const double f = fraction - 1;
  const double s = f / (2 + f);
  const double s2 = s * s;
  const double s4 = s2 * s2;
  const double odd = s2 * (kOdd[0] + s4 * (kOdd[1] + s4 * (kOdd[2] + s4 * kOdd[3])));
  const double even = s4 * (kEven[0] + s4 * (kEven[1] + s4 * kEven[2]));
  const double half_square = 0.5 * f * f;
  const double correction = s * (half_square + (odd + even)) + exponent * kLn2Low;
  return exponent * kLn2High - ((half_square - correction) - f);
}

double BinaryLog(double x) {
  if (!std::isfinite(x) || x <= 0) return NaturalLog(x);
  int exponent = 0;
  const double fraction = std::frexp(x, &exponent);
  if (fraction == 0.5) return exponent - 1;  // Powers of two are exact.
  return NaturalLog(fraction) * std::numbers::log2e + exponent;
}

double DecimalLog(double x) {
  return NaturalLog(x) * std::numbers::log10e;
}

}  // namespace narthex::promql
