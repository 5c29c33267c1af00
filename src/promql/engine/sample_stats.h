// Counting samples as upstream does, so that limits and statistics agree.
//
//   current   samples "in memory" now; bounded by --query.max-samples. It counts what upstream's
//             engine would hold, also where this one streams, so that a query is refused here
//             exactly when it is refused there.
//   peak      the highest value of it
//   total     logical samples consumed, whole windows at every step
//   read      samples read, windows that overlap counted once
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "promql/engine/value.h"

namespace narthex::promql {

class SampleStats {
 public:
  SampleStats() = default;
  // With counts a step.
  explicit SampleStats(const StepGrid& grid)
      : grid_(grid), total_per_step_(grid.steps()), read_per_step_(grid.steps()) {}

  bool per_step() const { return !total_per_step_.empty(); }
  void AddTotal(size_t step, int64_t samples) {
    total_ += samples;
    if (per_step()) total_per_step_[step] += samples;
  }
  void AddRead(size_t step, int64_t samples) {
    read_ += samples;
    if (per_step()) read_per_step_[step] += samples;
  }
  void AddSeries(int64_t series) { series_ += series; }
  void ForgetPeak() { peak_ = 0; }
  void UpdatePeak(int64_t samples) { peak_ = std::max(peak_, samples); }
  // What a worker counted; it has the same grid.
  void Merge(const SampleStats& worker);

  // How a parent's steps consume a subquery: at each step the child's steps in
  // (step - offset - range, step - offset]; range 0: all of them, each once.
  struct Consumer {
    StepGrid grid;
    int64_t offset_ms = 0;
    int64_t range_ms = 0;
    std::optional<int64_t> at_ms;
  };
  // The child has counts a step.
  void MergeTotalOfSubquery(const SampleStats& child, const Consumer& consumer);
  void MergeReadOfSubquery(const SampleStats& child, const Consumer& consumer);

  int64_t total() const { return total_; }
  int64_t read() const { return read_; }
  int64_t series() const { return series_; }
  int64_t peak() const { return peak_; }
  const std::vector<int64_t>& total_per_step() const { return total_per_step_; }
  const std::vector<int64_t>& read_per_step() const { return read_per_step_; }
  // An empty one of the same shape.
  SampleStats Fork() const { return per_step() ? SampleStats(grid_) : SampleStats(); }

 private:
  StepGrid grid_;
  int64_t total_ = 0;
  int64_t read_ = 0;
  int64_t series_ = 0;
  int64_t peak_ = 0;
  std::vector<int64_t> total_per_step_;
  std::vector<int64_t> read_per_step_;
};

}  // namespace narthex::promql
