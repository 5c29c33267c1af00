#include "promql/engine/range_points.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "model/float_histogram_ops.h"
#include "promql/engine/kahan.h"

namespace narthex::promql {

namespace {

// The samples that upstream's buffered iterator jumps to: at each step it skips to the begin of
// the window, but only if that lies behind the last sample it has seen.
std::vector<bool> FirstAfterJump(const std::vector<int64_t>& times, const WindowShape& windows) {
  std::vector<bool> first(times.size());
  size_t at = 0;  // The sample seen last, once `begun`.
  bool begun = false;
  for (size_t step = 0; step < windows.grid.steps(); ++step) {
    const int64_t end = windows.EndAt(step);
    const int64_t begin = end - windows.range_ms;
    if (!begun || begin > times[at]) {
      at = static_cast<size_t>(std::lower_bound(times.begin(), times.end(), begin) - times.begin());
      if (at == times.size()) break;
      first[at] = true;
      begun = true;
    }
    while (times[at] < end) {
      if (++at == times.size()) return first;
    }
  }
  return first;
}

}  // namespace

void ReduceToStats(storage::SampleColumns* samples, std::vector<CounterResetHint>* original_hints,
                   const WindowShape* windows) {
  std::vector<bool> jumps;
  if (windows != nullptr) jumps = FirstAfterJump(samples->timestamps_ms, *windows);
  if (original_hints != nullptr) original_hints->assign(samples->size(), {});
  HistogramPtr last;
  for (size_t i = 0; i < samples->histograms.size(); ++i) {
    HistogramPtr& slot = samples->histograms[i];
    if (windows != nullptr && jumps[i]) last = nullptr;
    if (slot == nullptr) continue;
    auto stats = std::make_shared<FloatHistogram>();
    stats->counter_reset_hint = slot->counter_reset_hint;
    stats->schema = slot->schema;
    stats->count = slot->count;
    stats->sum = slot->sum;
    if (original_hints != nullptr) (*original_hints)[i] = slot->counter_reset_hint;
    if (!IsStale(slot->sum)) {
      if (stats->counter_reset_hint == CounterResetHint::kUnknown && last != nullptr) {
        stats->counter_reset_hint =
            DetectReset(*slot, *last) ? CounterResetHint::kReset : CounterResetHint::kNotReset;
      }
      last = slot;
    }
    slot = std::move(stats);
  }
}

Status PointBuffer::Load(const storage::Series& series, bool histogram_stats, Points* points,
                         const WindowShape* windows) {
  raw_.Clear();
  NARTHEX_RETURN_IF_ERROR(series.Read(&raw_));
  *points = {};
  const size_t size = raw_.size();
  const bool starts = !raw_.start_timestamps_ms.empty();
  if (raw_.histograms.empty()) {
    size_t kept = 0;
    while (kept < size && !IsStale(raw_.values[kept])) ++kept;
    for (size_t i = kept; i < size; ++i) {
      if (IsStale(raw_.values[i])) continue;
      raw_.timestamps_ms[kept] = raw_.timestamps_ms[i];
      raw_.values[kept] = raw_.values[i];
      if (starts) raw_.start_timestamps_ms[kept] = raw_.start_timestamps_ms[i];
      ++kept;
    }
    points->floats = {raw_.timestamps_ms.data(), raw_.values.data(),
                      starts ? raw_.start_timestamps_ms.data() : nullptr, kept};
    return {};
  }
  if (histogram_stats) ReduceToStats(&raw_, nullptr, windows);
  float_times_.clear();
  float_values_.clear();
  float_starts_.clear();
  histogram_times_.clear();
  histograms_.clear();
  histogram_starts_.clear();
  for (size_t i = 0; i < size; ++i) {
    if (HistogramPtr& histogram = raw_.histograms[i]; histogram != nullptr) {
      if (IsStale(histogram->sum)) continue;
      histogram_times_.push_back(raw_.timestamps_ms[i]);
      histograms_.push_back(std::move(histogram));
      if (starts) histogram_starts_.push_back(raw_.start_timestamps_ms[i]);
    } else if (!IsStale(raw_.values[i])) {
      float_times_.push_back(raw_.timestamps_ms[i]);
      float_values_.push_back(raw_.values[i]);
      if (starts) float_starts_.push_back(raw_.start_timestamps_ms[i]);
    }
  }
  points->floats = {float_times_.data(), float_values_.data(),
                    starts ? float_starts_.data() : nullptr, float_times_.size()};
  points->histograms = {histogram_times_.data(), histograms_.data(),
                        starts ? histogram_starts_.data() : nullptr, histograms_.size()};
  return {};
}

void PointBuffer::Load(const StepColumn& column, const StepGrid& grid, Points* points) {
  float_times_.clear();
  float_values_.clear();
  histogram_times_.clear();
  histograms_.clear();
  column.ForEach([&](size_t step) {
    const int64_t time = grid.TimeAt(step);
    if (const HistogramPtr& histogram = column.histogram(step)) {
      histogram_times_.push_back(time);
      histograms_.push_back(histogram);
    } else {
      float_times_.push_back(time);
      float_values_.push_back(column.value(step));
    }
  });
  *points = {};
  points->floats = {float_times_.data(), float_values_.data(), nullptr, float_times_.size()};
  points->histograms = {histogram_times_.data(), histograms_.data(), nullptr, histograms_.size()};
}

}  // namespace narthex::promql
