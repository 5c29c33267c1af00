#include "promql/engine/sample_stats.h"

namespace narthex::promql {
namespace {

// The earliest step of the parent that consumes a child step at `time_ms` (offset added).
std::optional<size_t> ConsumingStep(const SampleStats::Consumer& consumer, int64_t time_ms) {
  const StepGrid& grid = consumer.grid;
  const auto steps = static_cast<int64_t>(grid.steps());
  int64_t step = 0;
  if (time_ms > grid.start_ms) {
    step = (time_ms - grid.start_ms + grid.interval_ms - 1) / grid.interval_ms;
  }
  if (consumer.range_ms <= 0) return static_cast<size_t>(std::min(step, steps - 1));
  if (step >= steps) return std::nullopt;
  if (time_ms <= grid.TimeAt(static_cast<size_t>(step)) - consumer.range_ms) return std::nullopt;
  return static_cast<size_t>(step);
}

// Samples of the child's steps within (start, end].
int64_t SumWithin(const StepGrid& grid, const std::vector<int64_t>& per_step, int64_t offset_ms,
                  int64_t start_ms, int64_t end_ms) {
  int64_t sum = 0;
  for (size_t i = 0; i < per_step.size(); ++i) {
    const int64_t time = grid.TimeAt(i) + offset_ms;
    if (time > start_ms && time <= end_ms) sum += per_step[i];
  }
  return sum;
}

}  // namespace

void SampleStats::Merge(const SampleStats& worker) {
  total_ += worker.total_;
  read_ += worker.read_;
  series_ += worker.series_;
  peak_ = std::max(peak_, worker.peak_);
  for (size_t i = 0; i < worker.total_per_step_.size(); ++i) {
    total_per_step_[i] += worker.total_per_step_[i];
    read_per_step_[i] += worker.read_per_step_[i];
  }
}

void SampleStats::MergeTotalOfSubquery(const SampleStats& child, const Consumer& consumer) {
  const size_t steps = consumer.grid.steps();
  const std::vector<int64_t>& per_step = child.total_per_step_;
  if (steps <= 1) {
    AddTotal(0, child.total_);
    return;
  }
  if (consumer.range_ms <= 0) {
    for (size_t i = 0; i < per_step.size(); ++i) {
      const auto step = ConsumingStep(consumer, child.grid_.TimeAt(i) + consumer.offset_ms);
      if (per_step[i] != 0 && step) AddTotal(*step, per_step[i]);
    }
    return;
  }
  if (consumer.at_ms.has_value()) {
    const int64_t samples = SumWithin(child.grid_, per_step, consumer.offset_ms,
                                      *consumer.at_ms - consumer.range_ms, *consumer.at_ms);
    for (size_t step = 0; step < steps; ++step) AddTotal(step, samples);
    return;
  }
  int64_t sum = 0;
  size_t low = 0;
  size_t high = 0;
  for (size_t step = 0; step < steps; ++step) {
    const int64_t end = consumer.grid.TimeAt(step);
    while (high < per_step.size() && child.grid_.TimeAt(high) + consumer.offset_ms <= end) {
      sum += per_step[high++];
    }
    while (low < high && child.grid_.TimeAt(low) + consumer.offset_ms <= end - consumer.range_ms) {
      sum -= per_step[low++];
    }
    AddTotal(step, sum);
  }
}

void SampleStats::MergeReadOfSubquery(const SampleStats& child, const Consumer& consumer) {
  const std::vector<int64_t>& per_step = child.read_per_step_;
  if (consumer.grid.steps() <= 1) {
    AddRead(0, child.read_);
    return;
  }
  if (consumer.at_ms.has_value() && consumer.range_ms > 0) {
    AddRead(0, SumWithin(child.grid_, per_step, consumer.offset_ms,
                         *consumer.at_ms - consumer.range_ms, *consumer.at_ms));
    return;
  }
  for (size_t i = 0; i < per_step.size(); ++i) {
    if (per_step[i] == 0) continue;
    const auto step = ConsumingStep(consumer, child.grid_.TimeAt(i) + consumer.offset_ms);
    if (step) AddRead(*step, per_step[i]);
  }
}

}  // namespace narthex::promql
