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

}  // namespace narthex::promql
