// What loops over samples do with floats: Neumaier's summation, the form in which upstream adds
// everywhere, and the test for stale markers.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "util/numbers.h"

namespace narthex::promql {

// IsStaleNan for loops over samples.
inline bool IsStale(double value) {
  return std::bit_cast<uint64_t>(value) == kStaleNanBits;
}

// Adds `value` to the sum; `c` collects the rounding errors.
inline void KahanInc(double value, double* sum, double* c) {
  const double s = *sum;
  const double t = s + value;
  // Both orders are computed and one is picked, so that loops over columns stay free of branches.
  const double error = std::fabs(s) >= std::fabs(value) ? (s - t) + value : (value - t) + s;
  const bool infinite = std::fabs(t) > std::numeric_limits<double>::max();
  *c = infinite ? 0 : *c + error;
  *sum = t;
}

// Two sums at once, each exactly as KahanInc does it, in the two lanes that every processor has.
using Pair [[gnu::vector_size(16)]] = double;
inline void KahanIncPair(Pair value, Pair* sum, Pair* c) {
  using Bits [[gnu::vector_size(16)]] = int64_t;
  constexpr Bits kMagnitude = {INT64_MAX, INT64_MAX};
  constexpr double kMax = std::numeric_limits<double>::max();
  const auto magnitude = [&](Pair x) {
    return std::bit_cast<Pair>(std::bit_cast<Bits>(x) & kMagnitude);
  };
  const auto pick = [](Bits mask, Pair yes, Pair no) {
    return std::bit_cast<Pair>((std::bit_cast<Bits>(yes) & mask) |
                               (std::bit_cast<Bits>(no) & ~mask));
  };
  const Pair s = *sum;
  const Pair t = s + value;
  const Bits larger = magnitude(s) >= magnitude(value);
  const Pair error = pick(larger, (s - t) + value, (value - t) + s);
  const Bits infinite = magnitude(t) > Pair{kMax, kMax};
  *c = pick(infinite, Pair{}, *c + error);
  *sum = t;
}

}  // namespace narthex::promql
