// Logarithms, exponential functions and powers. go_trigonometry.cc has the rest.
#include "util/go_math.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <numbers>

namespace narthex::go {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

constexpr double kLn2High = 6.93147180369123816490e-01;
constexpr double kLn2Low = 1.90821492927058770002e-10;

constexpr uint64_t kMantissa = (uint64_t{1} << 52) - 1;
constexpr int kExponentOfHalf = 0x3fe;
constexpr uint64_t kBitsOfOne = uint64_t{0x3ff} << 52;
constexpr uint64_t kBitsOfHalf = uint64_t{0x3fe} << 52;

double PowerOfTwo(int64_t exponent) {
  return std::bit_cast<double>(static_cast<uint64_t>(exponent + 0x3ff) << 52);
}

bool IsOddInteger(double x) {
  constexpr double kExactMax = 9007199254740992.0;  // 2^53; beyond all floats are even.
  return std::fabs(x) < kExactMax && std::trunc(x) == x && (static_cast<int64_t>(x) & 1) != 0;
}

// x^y where x is 0, infinite, NaN or y is, and other cases that need no arithmetic. False: none.
bool PowOfSpecial(double x, double y, double* result) {
  const auto is = [result](double value) {
    *result = value;
    return true;
  };
  if (y == 0 || x == 1) return is(1);
  if (y == 1) return is(x);
  if (std::isnan(x) || std::isnan(y)) return is(kNan);
  if (x == 0) {
    const bool odd = std::signbit(x) && IsOddInteger(y);
    if (y < 0) return is(odd ? -kInf : kInf);
    return is(odd ? x : 0);
  }
  if (std::isinf(y)) {
    if (x == -1) return is(1);
    return is((std::fabs(x) < 1) == (y > 0) ? 0 : kInf);
  }
  if (std::isinf(x)) {
    if (x < 0) return is(Pow(1 / x, -y));
    return is(y < 0 ? 0 : kInf);
  }
  if (y == 0.5) return is(std::sqrt(x));
  if (y == -0.5) return is(1 / std::sqrt(x));
  return false;
}

}  // namespace

double Log(double x) {
  // The odd and the even coefficients of the polynomial, lowest power first.
  constexpr double kOdd[] = {6.666666666666735130e-01, 2.857142874366239149e-01,
                             1.818357216161805012e-01, 1.479819860511658591e-01};
  constexpr double kEven[] = {3.999999999940941908e-01, 2.222219843214978396e-01,
                              1.531383769920937332e-01};
  if (x == 0) return -kInf;
  if (std::isnan(x) || x < 0) return kNan;
  if (std::isinf(x)) return x;
  const auto bits = std::bit_cast<uint64_t>(x);
  // Denormal numbers are not scaled: Go's answer is wrong for them, and so is this one.
  double fraction = std::bit_cast<double>((bits & kMantissa) | kBitsOfHalf);
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

double Log2(double x) {
  if (!std::isfinite(x) || x <= 0) return Log(x);
  int exponent = 0;
  const double fraction = std::frexp(x, &exponent);
  if (fraction == 0.5) return exponent - 1;  // Powers of two are exact.
  return Log(fraction) * std::numbers::log2e + exponent;
}

double Log10(double x) {
  return Log(x) * std::numbers::log10e;
}

double Log1p(double x) {
  constexpr double kSqrt2Less1 = 4.142135623730950488017e-01;
  constexpr double kSqrtHalfLess1 = -2.928932188134524755992e-01;
  constexpr uint64_t kSqrt2Mantissa = 0x0006a09e667f3bcd;
  constexpr double kCoefficients[] = {6.666666666666735130e-01, 3.999999999940941908e-01,
                                      2.857142874366239149e-01, 2.222219843214978396e-01,
                                      1.818357216161805012e-01, 1.531383769920937332e-01,
                                      1.479819860511658591e-01};
  if (std::isnan(x) || x < -1) return kNan;
  if (x == -1) return -kInf;
  if (std::isinf(x)) return x;
  const double magnitude = std::fabs(x);
  if (magnitude < 0x1p-54) return x;
  if (magnitude < 0x1p-29) return x - x * x * 0.5;

  // 1 + x = 2^k (1 + f); `lost` is what rounding 1 + x lost, relative to it.
  double f = x;
  double k = 0;
  double lost = 0;
  bool tiny = false;  // f has no more than 20 leading bits.
  if (magnitude >= kSqrt2Less1 || x <= kSqrtHalfLess1) {
    const bool exact = magnitude >= 0x1p53;
    const double sum = exact ? x : 1 + x;
    const auto bits = std::bit_cast<uint64_t>(sum);
    int exponent = static_cast<int>(bits >> 52) - 0x3ff;
    if (!exact) lost = (exponent > 0 ? 1 - (sum - x) : x - (sum - 1)) / sum;
    uint64_t mantissa = bits & kMantissa;
    double scaled;
    if (mantissa < kSqrt2Mantissa) {
      scaled = std::bit_cast<double>(mantissa | kBitsOfOne);
    } else {
      ++exponent;
      scaled = std::bit_cast<double>(mantissa | kBitsOfHalf);
      mantissa = (kMantissa + 1 - mantissa) >> 2;
    }
    tiny = mantissa == 0;
    f = scaled - 1;
    k = exponent;
  }
  const double half_square = 0.5 * f * f;
  if (tiny) {
    if (f == 0) return k == 0 ? 0 : k * kLn2High + (lost + k * kLn2Low);
    const double rest = half_square * (1 - 0.66666666666666666 * f);
    if (k == 0) return f - rest;
    return k * kLn2High - ((rest - (k * kLn2Low + lost)) - f);
  }
  const double s = f / (2 + f);
  const double z = s * s;
  double polynomial = z * kCoefficients[6];
  for (int i = 5; i >= 0; --i) polynomial = z * (kCoefficients[i] + polynomial);
  if (k == 0) return f - (half_square - s * (half_square + polynomial));
  const double correction = s * (half_square + polynomial) + (k * kLn2Low + lost);
  return k * kLn2High - ((half_square - correction) - f);
}

namespace {

// Inlined into each of Exp's two versions.
[[gnu::always_inline]] inline double ExpFused(double x) {
  constexpr double kOverflow = 7.09782712893384e+02;
  constexpr double kUnderflow = -800;  // Far below the smallest number; keeps `n` in range.
  constexpr double kLn2Upper = 0.69314718055966295651160180568695068359375;
  constexpr double kLn2Lower = 0.28235290563031577122588448175013436025525412068e-12;
  // 1/8! down to 1/2!, as decimals with as many digits as Go has them.
  constexpr double kTaylor[] = {2.4801587301587301587e-5,
                                1.9841269841269841270e-4,
                                1.3888888888888888889e-3,
                                8.3333333333333333333e-3,
                                4.1666666666666666667e-2,
                                1.6666666666666666667e-1,
                                0.5,
                                1.0};
  if (std::isnan(x)) return x;
  if (x > kOverflow) return kInf;
  if (x < kUnderflow) return 0;
  // x = n ln 2 + 16 r, with fused steps as processors of today have them.
  const double n = std::nearbyint(x * std::numbers::log2e);
  double r = std::fma(-n, kLn2Upper, x);
  r = std::fma(-n, kLn2Lower, r);
  r *= 0.0625;
  double p = kTaylor[0];
  for (int i = 1; i < 8; ++i) p = std::fma(p, r, kTaylor[i]);
  // y = e^r - 1; (y + 1)^2 - 1 = y (y + 2), four times for the sixteenth power.
  double y = r * p;
  for (int i = 0; i < 3; ++i) y *= y + 2;
  y = std::fma(y, y + 2, 1.0);

  const auto exponent = static_cast<int64_t>(n);
  if (exponent > -0x3ff) return exponent > 0x3ff ? kInf : y * PowerOfTwo(exponent);
  if (exponent + 0x3ff < -52) return 0;
  return y * PowerOfTwo(exponent + 0x3fe) * 0x1p-1022;
}

#if defined(__x86_64__)
// With instructions for fused steps in place of calls to the library.
[[gnu::target("fma,sse4.1")]] double ExpByInstructions(double x) {
  return ExpFused(x);
}
bool HasInstructions() {
  static const bool has = __builtin_cpu_supports("fma") && __builtin_cpu_supports("sse4.1");
  return has;
}
#endif

}  // namespace

double Exp(double x) {
#if defined(__x86_64__)
  if (HasInstructions()) return ExpByInstructions(x);
#endif
  return ExpFused(x);
}

double Exp2(double x) {
  constexpr double kCoefficients[] = {1.66666666666666657415e-01, -2.77777777770155933842e-03,
                                      6.61375632143793436117e-05, -1.65339022054652515390e-06,
                                      4.13813679705723846039e-08};
  if (std::isnan(x)) return x;
  if (x > 1.0239999999999999e+03) return kInf;
  if (x < -1074) return 0;
  const int k = x == 0 ? 0 : static_cast<int>(x > 0 ? x + 0.5 : x - 0.5);
  const double t = x - k;
  const double high = t * kLn2High;
  const double low = -t * kLn2Low;
  const double r = high - low;
  const double r2 = r * r;
  double polynomial = r2 * kCoefficients[4];
  for (int i = 3; i >= 0; --i) polynomial = r2 * (kCoefficients[i] + polynomial);
  const double c = r - polynomial;
  return std::ldexp(1 - ((low - (r * c) / (2 - c)) - high), k);
}

double Pow(double x, double y) {
  double result;
  if (PowOfSpecial(x, y, &result)) return result;
  double whole;
  double part = std::modf(std::fabs(y), &whole);
  if (part != 0 && x < 0) return kNan;
  if (whole >= 0x1p63) {  // Even, and so large that only -1 neither vanishes nor overflows.
    if (x == -1) return 1;
    return (std::fabs(x) < 1) == (y > 0) ? 0 : kInf;
  }
  // The result is power * 2^exponent.
  double power = 1;
  int64_t exponent = 0;
  if (part != 0) {
    if (part > 0.5) {
      part -= 1;
      whole += 1;
    }
    power = Exp(part * Log(x));
  }
  // x^whole by squaring; powers of two are kept apart.
  constexpr int64_t kExponentMax = 1 << 12;
  int base_exponent_int = 0;
  double base = std::frexp(x, &base_exponent_int);
  int64_t base_exponent = base_exponent_int;
  for (auto rest = static_cast<uint64_t>(whole); rest != 0; rest >>= 1) {
    if (std::abs(base_exponent) > kExponentMax) {  // Over- or underflows whatever follows.
      exponent += base_exponent;
      break;
    }
    if ((rest & 1) != 0) {
      power *= base;
      exponent += base_exponent;
    }
    base *= base;
    base_exponent *= 2;
    if (base < 0.5) {
      base += base;
      --base_exponent;
    }
  }
  if (y < 0) {
    power = 1 / power;
    exponent = -exponent;
  }
  return std::ldexp(power, static_cast<int>(exponent));
}

}  // namespace narthex::go
