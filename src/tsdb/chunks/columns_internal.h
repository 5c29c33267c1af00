// Growing SampleColumns by a whole chunk at once: the decoder writes through plain pointers and the
// surplus is cut off at the end.
#pragma once

#include <algorithm>
#include <cstdint>

#include "storage/storage.h"

namespace narthex::tsdb {

class ColumnsTail {
 public:
  ColumnsTail(storage::SampleColumns* out, size_t count, bool with_start_timestamps)
      : out_(out), base_(out->size()) {
    had_start_ = !out->start_timestamps_ms.empty();
    out->timestamps_ms.resize(base_ + count);
    out->values.resize(base_ + count);
    if (had_start_ || with_start_timestamps) {
      out->start_timestamps_ms.resize(base_ + count);
      start_ = out->start_timestamps_ms.data() + base_;
    }
    timestamps_ = out->timestamps_ms.data() + base_;
    values_ = out->values.data() + base_;
  }

  int64_t* timestamps() { return timestamps_; }
  double* values() { return values_; }
  // Null when nobody keeps start timestamps.
  int64_t* start_timestamps() { return start_; }

  // Of the first `count` new floats drops those in front that are older than `start_ms`, and gives
  // how many are left. Cheaper than a test at every sample.
  size_t DropBefore(int64_t start_ms, size_t count) {
    size_t first = 0;
    while (first < count && timestamps_[first] < start_ms) ++first;
    if (first == 0) return count;
    std::copy(timestamps_ + first, timestamps_ + count, timestamps_);
    std::copy(values_ + first, values_ + count, values_);
    return count - first;
  }

  // Keeps the first `count` of the new positions.
  void Finish(size_t count) {
    out_->timestamps_ms.resize(base_ + count);
    out_->values.resize(base_ + count);
    if (start_ != nullptr) {
      if (!had_start_ && count == 0) {
        out_->start_timestamps_ms.clear();
      } else {
        out_->start_timestamps_ms.resize(base_ + count);
      }
    }
    if (!out_->histograms.empty()) out_->histograms.resize(base_ + count);
  }
  void Abandon() { Finish(0); }

 private:
  storage::SampleColumns* out_;
  size_t base_;
  bool had_start_ = false;
  int64_t* timestamps_ = nullptr;
  double* values_ = nullptr;
  int64_t* start_ = nullptr;
};

}  // namespace narthex::tsdb
