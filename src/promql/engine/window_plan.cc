#include "promql/engine/window_plan.h"

#include <algorithm>
#include <cstring>

namespace narthex::promql {
namespace {

double Seconds(int64_t millis) {
  return static_cast<double>(millis) / 1000;
}

bool SameTimes(const WindowPlan& plan, const FloatPoints& floats) {
  if (plan.times.size() != floats.size) return false;
  return floats.size == 0 ||
         std::memcmp(plan.times.data(), floats.t, floats.size * sizeof(int64_t)) == 0;
}

void Make(const WindowShape& shape, bool is_rate, const FloatPoints& floats, WindowPlan* plan) {
  const size_t steps = shape.grid.steps();
  const int64_t* t = floats.t;
  const size_t size = floats.size;
  plan->times.assign(t, t + size);
  plan->steps.assign(steps, {});
  plan->present.assign((steps + 63) / 64, 0);
  plan->to_start.resize(steps);
  plan->to_end.resize(steps);
  plan->sampled.resize(steps);
  plan->factor.resize(steps);
  plan->window_max = 0;
  plan->window_last = 0;
  plan->total = 0;
  plan->read = 0;
  const double range_seconds = Seconds(shape.range_ms);
  size_t f0 = 0;
  size_t f1 = 0;
  size_t read_until = 0;
  int64_t end = shape.EndAt(0);
  for (size_t step = 0; step < steps; ++step, end += shape.grid.interval_ms) {
    const int64_t start = end - shape.range_ms;
    while (f1 < size && t[f1] <= end) ++f1;
    while (f0 < f1 && t[f0] <= start) ++f0;
    const size_t count = f1 - f0;
    plan->window_max = std::max(plan->window_max, count);
    plan->window_last = count;
    plan->total += static_cast<int64_t>(count);
    plan->read += static_cast<int64_t>(f1 - std::max(read_until, f0));
    read_until = f1;
    if (count < 2) continue;
    plan->present[step / 64] |= uint64_t{1} << (step % 64);
    plan->steps[step] = {static_cast<uint32_t>(f0), static_cast<uint32_t>(f1 - 1)};
    // The same steps as in ExtrapolatedRate.
    double to_start = Seconds(t[f0] - start);
    double to_end = Seconds(end - t[f1 - 1]);
    const double sampled = Seconds(t[f1 - 1] - t[f0]);
    const double average = sampled / static_cast<double>(count - 1);
    const double threshold = average * 1.1;
    if (to_start >= threshold) to_start = average / 2;
    if (to_end >= threshold) to_end = average / 2;
    double factor = sampled != 0 ? (sampled + to_start + to_end) / sampled : 1;
    if (is_rate) factor /= range_seconds;
    plan->to_start[step] = to_start;
    plan->to_end[step] = to_end;
    plan->sampled[step] = sampled;
    plan->factor[step] = factor;
  }
}

}  // namespace

const WindowPlan& WindowPlanCache::Find(const WindowShape& shape, bool is_rate,
                                        const FloatPoints& floats) {
  ++asked_;
  if (made_[recent_] && SameTimes(plans_[recent_], floats)) return plans_[recent_];
  recent_ = 1 - recent_;
  if (!made_[recent_] || !SameTimes(plans_[recent_], floats)) {
    Make(shape, is_rate, floats, &plans_[recent_]);
    made_[recent_] = true;
    ++plans_made_;
  }
  return plans_[recent_];
}

}  // namespace narthex::promql
