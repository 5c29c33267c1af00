// Neumaier's summation, the form in which upstream adds floats everywhere.
#pragma once

#include <cmath>
#include <limits>

namespace narthex::promql {

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
