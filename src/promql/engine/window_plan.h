// What the windows of a range function look like over one series' timestamps: computed once, used
// for every series that was scraped at the same times.
//
// The series of one target, and mostly all of a job, carry the same timestamps. Where a window
// begins and ends, how many samples it holds and how far rate() extrapolates depend on them alone;
// what is left for a series is its values.
//
// Cost: finding a plan compares timestamps (a few hundred nanoseconds for a thousand samples);
// making one walks the steps. Threads: a cache belongs to one worker.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "promql/engine/range_points.h"

namespace narthex::promql {

struct WindowPlan {
  // Samples [first, last] of the series at each step that has any.
  struct Step {
    uint32_t first = 0;
    uint32_t last = 0;
  };

  std::vector<int64_t> times;  // Of the series; what the plan was made for.
  std::vector<Step> steps;
  std::vector<uint64_t> filled;   // Bitmap of the steps with one sample or more.
  std::vector<uint64_t> present;  // Bitmap of the steps with two samples or more.
  // For rate() and its kin, in seconds: extrapolation to the window's ends, and the time between
  // the first sample and the last.
  std::vector<double> to_start;
  std::vector<double> to_end;
  std::vector<double> sampled;
  // What the increase is multiplied with when the counter's zero does not cut extrapolation short.
  std::vector<double> factor;
  // For the accounts.
  size_t window_max = 0;
  size_t window_last = 0;
  int64_t total = 0;
  int64_t read = 0;
};

class WindowPlanCache {
 public:
  // The plan for floats without an @ modifier. `shape` and `is_rate` are those of the first call.
  const WindowPlan& Find(const WindowShape& shape, bool is_rate, const FloatPoints& floats);
  // Plans made, and how often a series found one that was there.
  size_t made() const { return plans_made_; }
  size_t shared() const { return asked_ - plans_made_; }

 private:
  // Two, so that a series with a gap between others does not drive their plan out.
  std::array<WindowPlan, 2> plans_;
  std::array<bool, 2> made_ = {};
  size_t recent_ = 0;
  size_t asked_ = 0;
  size_t plans_made_ = 0;
};

}  // namespace narthex::promql
