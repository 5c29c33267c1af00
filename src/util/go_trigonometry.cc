// Circular and hyperbolic functions and their inverses.
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>

#include "util/go_math.h"

namespace narthex::go {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kPi = std::numbers::pi;
constexpr double kQuarterPi = kPi / 4;

// An angle as a multiple of the quarter circle's half, and what is left.
struct Reduced {
  uint64_t octant;  // Even.
  double rest;
};

// Payne and Hanek: of x / (pi/4) only the bits around the point matter, so that a window of the
// bits of 4/pi is multiplied by the 53 bits of x.
Reduced ReduceLarge(double x) {
  static constexpr uint64_t kFourOverPi[] = {
      0x0000000000000001, 0x45f306dc9c882a53, 0xf84eafa3ea69bb81, 0xb6c52b3278872083,
      0xfca2c757bd778ac3, 0x6e48dc74849ba5c0, 0x0c925dd413a32439, 0xfc3bd63962534e7d,
      0xd1046bea5d768909, 0xd338e04d68befc82, 0x7323ac7306a673e9, 0x3908bf177bf25076,
      0x3ff12fffbc0b301f, 0xde5e2316b414da3e, 0xda6cfd9e4f96136e, 0x9e8c7ecd3cbfd45a,
      0xea4f758fd7cbe2f6, 0x7a0e73ef14a525d4, 0xd7f6bf623f1aba10, 0xac06608df8f6d757,
  };
  __extension__ using Wide = unsigned __int128;
  const auto bits = std::bit_cast<uint64_t>(x);
  const uint64_t mantissa = (bits & ((uint64_t{1} << 52) - 1)) | uint64_t{1} << 52;
  const auto first_bit = static_cast<unsigned>(static_cast<int>(bits >> 52) - 1075 + 61);
  const unsigned word = first_bit / 64;
  const unsigned shift = first_bit % 64;
  const auto window = [&](unsigned i) {
    const uint64_t high = kFourOverPi[word + i] << shift;
    return shift == 0 ? high : high | kFourOverPi[word + i + 1] >> (64 - shift);
  };
  // Bits 64…191 of the product of three words and the mantissa.
  Wide product = static_cast<Wide>(window(0) * mantissa) << 64;
  product += static_cast<Wide>(window(1)) * mantissa;
  product += (static_cast<Wide>(window(2)) * mantissa) >> 64;

  uint64_t octant = static_cast<uint64_t>(product >> 125);
  const Wide fraction = product << 3;
  // As a float in [0, 1), cut rather than rounded.
  const auto zeros = static_cast<unsigned>(std::countl_zero(static_cast<uint64_t>(fraction >> 64)));
  const Wide normal = fraction << (zeros + 1);
  const auto exponent = static_cast<uint64_t>(0x3ff - (zeros + 1));
  double rest = std::bit_cast<double>(static_cast<uint64_t>(normal >> 76) | exponent << 52);
  if (octant % 2 == 1) {
    octant = (octant + 1) & 7;
    rest -= 1;
  }
  return {octant, rest * kQuarterPi};
}

// x >= 0 and finite.
Reduced Reduce(double x) {
  // pi/4 in three parts, the first two with few enough bits that products are exact.
  constexpr double kPart1 = 7.85398125648498535156e-1;
  constexpr double kPart2 = 3.77489470793079817668e-8;
  constexpr double kPart3 = 2.69515142907905952645e-15;
  constexpr double kLarge = 1 << 29;
  if (x >= kLarge) return ReduceLarge(x);
  auto octant = static_cast<uint64_t>(x * (4 / kPi));
  octant += octant & 1;
  const auto times = static_cast<double>(octant);
  return {octant & 7, ((x - times * kPart1) - times * kPart2) - times * kPart3};
}

// Near zero.
double SinPolynomial(double z) {
  const double zz = z * z;
  double p = 1.58962301576546568060e-10;
  p = p * zz + -2.50507477628578072866e-8;
  p = p * zz + 2.75573136213857245213e-6;
  p = p * zz + -1.98412698295895385996e-4;
  p = p * zz + 8.33333333332211858878e-3;
  p = p * zz + -1.66666666666666307295e-1;
  return z + z * zz * p;
}
double CosPolynomial(double z) {
  const double zz = z * z;
  double p = -1.13585365213876817300e-11;
  p = p * zz + 2.08757008419747316778e-9;
  p = p * zz + -2.75573141792967388112e-7;
  p = p * zz + 2.48015872888517045348e-5;
  p = p * zz + -1.38888888888730564116e-3;
  p = p * zz + 4.16666666666665929218e-2;
  return 1.0 - 0.5 * zz + zz * zz * p;
}

// Arc tangent of 0 to 0.66.
double AtanPolynomial(double x) {
  const double z = x * x;
  double p = -8.750608600031904122785e-01;
  p = p * z + -1.615753718733365076637e+01;
  p = p * z + -7.500855792314704667340e+01;
  p = p * z + -1.228866684490136173410e+02;
  p = p * z + -6.485021904942025371773e+01;
  double q = z + +2.485846490142306297962e+01;
  q = q * z + +1.650270098316988542046e+02;
  q = q * z + +4.328810604912902668951e+02;
  q = q * z + +4.853903996359136964868e+02;
  q = q * z + +1.945506571482613964425e+02;
  return x * (z * p / q) + x;
}

// Of x > 0.
double AtanPositive(double x) {
  constexpr double kPiHalfRest = 6.123233995736765886130e-17;  // pi/2 less its float.
  constexpr double kTan3Pi8 = 2.41421356237309504880;
  if (x <= 0.66) return AtanPolynomial(x);
  if (x > kTan3Pi8) return kPi / 2 - AtanPolynomial(1 / x) + kPiHalfRest;
  return kQuarterPi + AtanPolynomial((x - 1) / (x + 1)) + 0.5 * kPiHalfRest;
}

// Odd functions: -fn(-x) for x < 0.
template <typename Fn>
double Odd(double x, Fn&& fn) {
  return x < 0 ? -fn(-x) : fn(x);
}

}  // namespace

double Sin(double x) {
  if (x == 0 || std::isnan(x)) return x;
  if (std::isinf(x)) return kNan;
  return Odd(x, [](double v) {
    const Reduced angle = Reduce(v);
    const bool cosine = angle.octant == 2 || angle.octant == 6;
    const double y = cosine ? CosPolynomial(angle.rest) : SinPolynomial(angle.rest);
    return angle.octant > 3 ? -y : y;
  });
}

double Cos(double x) {
  if (!std::isfinite(x)) return kNan;
  const Reduced angle = Reduce(std::fabs(x));
  const bool sine = angle.octant == 2 || angle.octant == 6;
  const double y = sine ? SinPolynomial(angle.rest) : CosPolynomial(angle.rest);
  return angle.octant == 2 || angle.octant == 4 ? -y : y;
}

double Tan(double x) {
  if (x == 0 || std::isnan(x)) return x;
  if (std::isinf(x)) return kNan;
  return Odd(x, [](double v) {
    const Reduced angle = Reduce(v);
    const double z = angle.rest;
    const double zz = z * z;
    double y = z;
    if (zz > 1e-14) {
      double p = -1.30936939181383777646e4;
      p = p * zz + 1.15351664838587416140e6;
      p = p * zz + -1.79565251976484877988e7;
      double q = zz + 1.36812963470692954678e4;
      q = q * zz + -1.32089234440210967447e6;
      q = q * zz + 2.50083801823357915839e7;
      q = q * zz + -5.38695755929454629881e7;
      y = z + z * (zz * p / q);
    }
    return (angle.octant & 2) != 0 ? -1 / y : y;
  });
}

double Atan(double x) {
  if (x == 0) return x;
  return Odd(x, AtanPositive);
}

double Asin(double x) {
  if (x == 0) return x;
  return Odd(x, [](double v) {
    if (v > 1) return kNan;
    const double other = std::sqrt(1 - v * v);
    return v > 0.7 ? kPi / 2 - AtanPositive(other / v) : AtanPositive(v / other);
  });
}

double Acos(double x) {
  return kPi / 2 - Asin(x);
}

double Atan2(double y, double x) {
  if (std::isnan(y) || std::isnan(x)) return kNan;
  if (y == 0) return std::copysign(std::signbit(x) ? kPi : 0, y);
  if (x == 0) return std::copysign(kPi / 2, y);
  if (std::isinf(x)) {
    const double angle = std::isinf(y) ? kQuarterPi : 0;
    return std::copysign(x > 0 ? angle : std::isinf(y) ? 3 * kPi / 4 : kPi, y);
  }
  if (std::isinf(y)) return std::copysign(kPi / 2, y);
  const double angle = Atan(y / x);
  if (x >= 0) return angle;
  return angle <= 0 ? angle + kPi : angle - kPi;
}

double Sinh(double x) {
  return Odd(x, [](double v) {
    if (v > 21) return Exp(v) * 0.5;
    if (v > 0.5) {
      const double e = Exp(v);
      return (e - 1 / e) * 0.5;
    }
    const double sq = v * v;
    double p = -0.2630563213397497062819489e+2 * sq + -0.2894211355989563807284660366e+4;
    p = p * sq + -0.8991272022039509355398013511e+5;
    p = p * sq + -0.6307673640497716991184787251e+6;
    double q = sq + -0.173678953558233699533450911e+3;
    q = q * sq + 0.1521517378790019070696485176e+5;
    q = q * sq + -0.6307673640497716991212077277e+6;
    return p * v / q;
  });
}

double Cosh(double x) {
  const double e = Exp(std::fabs(x));
  return std::fabs(x) > 21 ? e * 0.5 : (e + 1 / e) * 0.5;
}

double Tanh(double x) {
  constexpr double kOneFrom = 0.5 * 8.8029691931113054295988e+01;  // Half of ln 2^127.
  const double magnitude = std::fabs(x);
  if (magnitude > kOneFrom) return x < 0 ? -1 : 1;
  if (magnitude >= 0.625) {
    const double y = 1 - 2 / (Exp(2 * magnitude) + 1);
    return x < 0 ? -y : y;
  }
  if (x == 0) return x;
  const double s = x * x;
  double p = -9.64399179425052238628e-1 * s + -9.92877231001918586564e1;
  p = p * s + -1.61468768441708447952e3;
  double q = s + 1.12811678491632931402e2;
  q = q * s + 2.23548839060100448583e3;
  q = q * s + 4.84406305325125486048e3;
  return x + x * s * p / q;
}

double Asinh(double x) {
  if (!std::isfinite(x)) return x;
  return Odd(x, [](double v) {
    if (v > 0x1p28) return Log(v) + std::numbers::ln2;
    if (v > 2) return Log(2 * v + 1 / (std::sqrt(v * v + 1) + v));
    if (v < 0x1p-28) return v;
    return Log1p(v + v * v / (1 + std::sqrt(1 + v * v)));
  });
}

double Acosh(double x) {
  if (std::isnan(x) || x < 1) return kNan;
  if (x == 1) return 0;
  if (x >= 0x1p28) return Log(x) + std::numbers::ln2;
  if (x > 2) return Log(2 * x - 1 / (x + std::sqrt(x * x - 1)));
  const double t = x - 1;
  return Log1p(t + std::sqrt(2 * t + t * t));
}

double Atanh(double x) {
  if (std::isnan(x) || x < -1 || x > 1) return kNan;
  if (std::fabs(x) == 1) return x > 0 ? kInf : -kInf;
  return Odd(x, [](double v) {
    if (v < 0x1p-28) return v;
    if (v < 0.5) {
      const double twice = v + v;
      return 0.5 * Log1p(twice + twice * v / (1 - v));
    }
    return 0.5 * Log1p((v + v) / (1 - v));
  });
}

}  // namespace narthex::go
