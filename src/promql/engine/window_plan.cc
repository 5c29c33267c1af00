#include "promql/engine/window_plan.h"

#include <algorithm>
#include <array>
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

// What rate() needs to know of a window's times, in seconds.
struct Extrapolation {
  double to_start = 0;
  double to_end = 0;
  double sampled = 0;
  double factor = 0;
};

// The last few of them: where samples and steps lie evenly, a handful repeats.
class ExtrapolationCache {
 public:
  struct Key {
    int64_t to_start_ms = 0;
    int64_t sampled_ms = 0;
    int64_t to_end_ms = 0;
    size_t count = 0;  // 0: an empty slot.
    friend bool operator==(const Key&, const Key&) = default;
  };

  // 0: the factor is not that of a rate.
  explicit ExtrapolationCache(double range_seconds) : range_seconds_(range_seconds) {}

  const Extrapolation& Of(const Key& key) {
    const auto mixed = static_cast<uint64_t>(key.to_start_ms) * 0x9e3779b97f4a7c15;
    Slot& slot = slots_[mixed >> 60];
    if (slot.key == key) return slot.value;
    slot.key = key;
    // The same steps as in ExtrapolatedRate.
    Extrapolation& value = slot.value;
    value.to_start = Seconds(key.to_start_ms);
    value.to_end = Seconds(key.to_end_ms);
    value.sampled = Seconds(key.sampled_ms);
    const double average = value.sampled / static_cast<double>(key.count - 1);
    const double threshold = average * 1.1;
    if (value.to_start >= threshold) value.to_start = average / 2;
    if (value.to_end >= threshold) value.to_end = average / 2;
    value.factor =
        value.sampled != 0 ? (value.sampled + value.to_start + value.to_end) / value.sampled : 1;
    if (range_seconds_ != 0) value.factor /= range_seconds_;
    return value;
  }

 private:
  struct Slot {
    Key key;
    Extrapolation value;
  };
  double range_seconds_;
  std::array<Slot, 16> slots_;
};

void Make(const WindowShape& shape, bool is_rate, const FloatPoints& floats, WindowPlan* plan) {
  const size_t steps = shape.grid.steps();
  const int64_t* t = floats.t;
  const size_t size = floats.size;
  plan->times.assign(t, t + size);
  plan->steps.assign(steps, {});
  plan->filled.assign((steps + 63) / 64, 0);
  plan->present.assign((steps + 63) / 64, 0);
  plan->to_start.resize(steps);
  plan->to_end.resize(steps);
  plan->sampled.resize(steps);
  plan->factor.resize(steps);
  plan->window_max = 0;
  plan->window_last = 0;
  plan->total = 0;
  plan->read = 0;
  ExtrapolationCache extrapolations(is_rate ? Seconds(shape.range_ms) : 0);
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
    if (count == 0) continue;
    plan->filled[step / 64] |= uint64_t{1} << (step % 64);
    plan->steps[step] = {static_cast<uint32_t>(f0), static_cast<uint32_t>(f1 - 1)};
    if (count < 2) continue;
    plan->present[step / 64] |= uint64_t{1} << (step % 64);
    const Extrapolation& extrapolation =
        extrapolations.Of({t[f0] - start, t[f1 - 1] - t[f0], end - t[f1 - 1], count});
    plan->to_start[step] = extrapolation.to_start;
    plan->to_end[step] = extrapolation.to_end;
    plan->sampled[step] = extrapolation.sampled;
    plan->factor[step] = extrapolation.factor;
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
