// sum_over_time() and avg_over_time() of floats, all steps of a series in one loop.
//
// Compensated sums start anew at each window, so each costs its samples; but sums of different
// windows do not wait for each other, and four are made at once, two in a register. A window with
// the samples of the one before has its result.
#include <cmath>

#include "promql/engine/kahan.h"
#include "promql/engine/range_functions.h"

namespace narthex::promql::range_internal {

double SumOf(const double* values, size_t size) {
  double sum = 0;
  double c = 0;
  for (size_t i = 0; i < size; ++i) KahanInc(values[i], &sum, &c);
  return std::isinf(sum) ? sum : sum + c;
}

double AvgOf(const double* values, size_t size) {
  double sum = values[0];
  double c = 0;
  for (size_t i = 1; i < size; ++i) KahanInc(values[i], &sum, &c);
  if (std::isfinite(sum)) {
    const double n = static_cast<double>(size);
    return sum / n + c / n;
  }
  // It overflowed on the way, or something was not finite: once more, with care.
  sum = values[0];
  c = 0;
  double mean = 0;
  bool incremental = false;
  double count = 1;
  for (size_t i = 1; i < size; ++i) {
    count = static_cast<double>(i + 1);
    if (!incremental) {
      double new_sum = sum;
      double new_c = c;
      KahanInc(values[i], &new_sum, &new_c);
      if (!std::isinf(new_sum)) {
        sum = new_sum;
        c = new_c;
        continue;
      }
      // The sum would overflow: from here on the mean is kept instead.
      incremental = true;
      mean = sum / (count - 1);
      c /= count - 1;
    }
    const double q = (count - 1) / count;
    mean *= q;
    c *= q;
    KahanInc(values[i] / count, &mean, &c);
  }
  return incremental ? mean + c : sum / count + c / count;
}

namespace {

constexpr size_t kLanes = 4;

// A sum with its error term, from the first value on.
struct Sum {
  double sum = 0;
  double error = 0;
};

// Sums of windows of one size that begin at `begins`.
void SumWindows(const double* const (&begins)[kLanes], size_t size, bool first_starts,
                Sum (&out)[kLanes]) {
  const double* const a = begins[0];
  const double* const b = begins[1];
  const double* const c = begins[2];
  const double* const d = begins[3];
  Pair ab{}, ab_error{}, cd{}, cd_error{};
  size_t i = 0;
  if (first_starts) {
    ab = Pair{a[0], b[0]};
    cd = Pair{c[0], d[0]};
    i = 1;
  }
  for (; i < size; ++i) {
    KahanIncPair(Pair{a[i], b[i]}, &ab, &ab_error);
    KahanIncPair(Pair{c[i], d[i]}, &cd, &cd_error);
  }
  out[0] = {ab[0], ab_error[0]};
  out[1] = {ab[1], ab_error[1]};
  out[2] = {cd[0], cd_error[0]};
  out[3] = {cd[1], cd_error[1]};
}

}  // namespace

Status FloatSumColumn(const RangeCall& call, const FloatPoints& floats, StepColumn* out,
                      WindowCounts* counts) {
  const WindowPlan& plan = counts->plans->Find(call.shape, false, floats);
  CountWindows(plan, counts);
  const bool avg = call.function == RangeFunction::kAvgOverTime;
  double* values = out->values();
  const auto alone = [&](const double* begin, size_t size) {
    return avg ? AvgOf(begin, size) : SumOf(begin, size);
  };

  // Steps that wait for others with as many samples.
  size_t waiting[kLanes];
  const double* begins[kLanes];
  size_t wait_count = 0;
  size_t wait_size = 0;
  const auto finish = [&] {
    if (wait_count == kLanes) {
      Sum sums[kLanes];
      SumWindows(begins, wait_size, avg, sums);
      const double n = static_cast<double>(wait_size);
      for (size_t k = 0; k < kLanes; ++k) {
        const auto [sum, error] = sums[k];
        if (!avg) {
          values[waiting[k]] = std::isinf(sum) ? sum : sum + error;
        } else {
          values[waiting[k]] =
              std::isfinite(sum) ? sum / n + error / n : AvgOf(begins[k], wait_size);
        }
      }
    } else {
      for (size_t k = 0; k < wait_count; ++k) values[waiting[k]] = alone(begins[k], wait_size);
    }
    wait_count = 0;
  };

  // Where the samples are those of the step before its value is taken, once it is there.
  std::vector<uint32_t> repeats;
  WindowPlan::Step before{1, 0};
  CancelMeter meter(counts->cancellation);
  for (size_t w = 0; w < out->words(); ++w) {
    out->present()[w] = plan.filled[w];
    size_t work = 0;
    ForEachBit(plan.filled[w], w * 64, [&](size_t step) {
      const WindowPlan::Step window = plan.steps[step];
      if (step > 0 && window.first == before.first && window.last == before.last) {
        repeats.push_back(static_cast<uint32_t>(step));
        return;
      }
      before = window;
      const size_t size = size_t{window.last} - window.first + 1;
      work += size;
      if (wait_count > 0 && wait_size != size) finish();
      wait_size = size;
      waiting[wait_count] = step;
      begins[wait_count] = floats.v + window.first;
      if (++wait_count == kLanes) finish();
    });
    NARTHEX_RETURN_IF_ERROR(meter.Spend(work));
  }
  finish();
  for (const uint32_t step : repeats) values[step] = values[step - 1];
  return {};
}

}  // namespace narthex::promql::range_internal
