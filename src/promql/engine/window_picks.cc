// Functions of floats that take little from each window: an extreme, an end, a count. What is left
// to do for a series once its windows are planned is a few instructions a step.
#include <cmath>

#include "promql/engine/range_functions.h"

namespace narthex::promql::range_internal {
namespace {

// Calls of(first, last) for every window that holds samples and stores what it gives.
template <typename Of>
void ForEachWindow(const WindowPlan& plan, StepColumn* out, Of&& of) {
  double* values = out->values();
  for (size_t w = 0; w < out->words(); ++w) {
    out->present()[w] = plan.filled[w];
    ForEachBit(plan.filled[w], w * 64, [&](size_t step) {
      values[step] = of(size_t{plan.steps[step].first}, size_t{plan.steps[step].last});
    });
  }
}

// The best sample of each window. While the best of the window before is still inside, only what is
// new can beat it.
template <typename Better>
void ExtremeColumn(const WindowPlan& plan, const double* v, StepColumn* out, Better&& better) {
  size_t best = 0;
  size_t seen = 0;  // Samples before this one have been looked at.
  ForEachWindow(plan, out, [&](size_t first, size_t last) {
    if (seen == 0 || best < first) {
      best = first;
      seen = first;
    }
    for (; seen <= last; ++seen) {
      if (better(v[seen], v[best]) || std::isnan(v[best])) best = seen;
    }
    return v[best];
  });
}

}  // namespace

bool FloatPickColumn(const RangeCall& call, const FloatPoints& floats, StepColumn* out,
                     WindowCounts* counts) {
  const auto plan = [&]() -> const WindowPlan& {
    const WindowPlan& found = counts->plans->Find(call.shape, false, floats);
    CountWindows(found, counts);
    return found;
  };
  const double* v = floats.v;
  switch (call.function) {
    case RangeFunction::kMaxOverTime:
      ExtremeColumn(plan(), v, out, [](double a, double b) { return a > b; });
      return true;
    case RangeFunction::kMinOverTime:
      ExtremeColumn(plan(), v, out, [](double a, double b) { return a < b; });
      return true;
    case RangeFunction::kFirstOverTime:
      ForEachWindow(plan(), out, [v](size_t first, size_t) { return v[first]; });
      return true;
    case RangeFunction::kLastOverTime:
      ForEachWindow(plan(), out, [v](size_t, size_t last) { return v[last]; });
      return true;
    case RangeFunction::kCountOverTime:
      ForEachWindow(plan(), out, [](size_t first, size_t last) {
        return static_cast<double>(last - first + 1);
      });
      return true;
    case RangeFunction::kPresentOverTime:
      ForEachWindow(plan(), out, [](size_t, size_t) { return 1.0; });
      return true;
    default: return false;
  }
}

}  // namespace narthex::promql::range_internal
