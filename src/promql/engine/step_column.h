// One value a step: the column that every operator of the engine works on.
//
//   present_   bitmap, bit i: step i holds a sample      [1 1 0 1 ...]   64 steps a word
//   values_    one double a step, dense                  [3 4 . 7 ...]   meaningless where absent
//   histograms one pointer a step, only when any sample is a histogram; the value there is 0
//
// Bitmap and values lie in one allocation; a column of one step (an instant query) has none.
// Histograms are shared and never changed in place.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "model/float_histogram_ops.h"
#include "model/histogram.h"

namespace narthex::promql {

using HistogramPtr = std::shared_ptr<const FloatHistogram>;

// Calls visit(step) for every bit that is set, ascending; bit 0 is the step `base`.
template <typename Visit>
void ForEachBit(uint64_t word, size_t base, Visit&& visit) {
  for (; word != 0; word &= word - 1) visit(base + static_cast<size_t>(std::countr_zero(word)));
}

class StepColumn {
 public:
  StepColumn() = default;
  explicit StepColumn(size_t steps) : steps_(steps) {
    if (steps_ > 1) {
      heap_.reset(new uint64_t[words() + steps_]);
      std::memset(heap_.get(), 0, words() * sizeof(uint64_t));
    }
  }
  StepColumn(StepColumn&&) noexcept = default;
  StepColumn& operator=(StepColumn&&) noexcept = default;

  StepColumn Copy() const {
    StepColumn copy(steps_);
    std::memcpy(copy.present(), present(), words() * sizeof(uint64_t));
    std::memcpy(copy.values(), values(), steps_ * sizeof(double));
    if (histograms_ != nullptr) {
      copy.histograms_ = std::make_unique<std::vector<HistogramPtr>>(*histograms_);
    }
    return copy;
  }

  size_t steps() const { return steps_; }
  size_t words() const { return (steps_ + 63) / 64; }

  uint64_t* present() { return steps_ > 1 ? heap_.get() : &inline_present_; }
  const uint64_t* present() const { return steps_ > 1 ? heap_.get() : &inline_present_; }
  double* values() {
    return steps_ > 1 ? reinterpret_cast<double*>(heap_.get() + words()) : &inline_value_;
  }
  const double* values() const {
    return steps_ > 1 ? reinterpret_cast<const double*>(heap_.get() + words()) : &inline_value_;
  }

  bool has(size_t step) const { return (present()[step / 64] >> (step % 64) & 1) != 0; }
  double value(size_t step) const { return values()[step]; }
  // Null for floats.
  const HistogramPtr& histogram(size_t step) const {
    static const HistogramPtr kNone;
    return histograms_ == nullptr ? kNone : (*histograms_)[step];
  }
  bool has_histograms() const { return histograms_ != nullptr; }

  void Set(size_t step, double value) {
    present()[step / 64] |= uint64_t{1} << (step % 64);
    values()[step] = value;
  }
  void SetHistogram(size_t step, HistogramPtr histogram) {
    if (histograms_ == nullptr) {
      histograms_ = std::make_unique<std::vector<HistogramPtr>>(steps_);
    }
    present()[step / 64] |= uint64_t{1} << (step % 64);
    values()[step] = 0;
    (*histograms_)[step] = std::move(histogram);
  }
  // Copies the sample at `from_step`, which must be there.
  void SetFrom(size_t step, const StepColumn& from, size_t from_step) {
    if (const HistogramPtr& histogram = from.histogram(from_step)) {
      SetHistogram(step, histogram);
    } else {
      Set(step, from.value(from_step));
    }
  }
  void Clear(size_t step) {
    present()[step / 64] &= ~(uint64_t{1} << (step % 64));
    if (histograms_ != nullptr) (*histograms_)[step].reset();
  }
  // Drops the samples at steps whose bit in `mask` (of words() words) is clear.
  void KeepOnly(const uint64_t* mask) {
    uint64_t* bits = present();
    for (size_t w = 0; w < words(); ++w) bits[w] &= mask[w];
    if (histograms_ == nullptr) return;
    for (size_t step = 0; step < steps_; ++step) {
      if (!has(step)) (*histograms_)[step].reset();
    }
  }
  // Marks all steps as present; the caller fills values().
  void SetAllPresent() {
    if (steps_ == 0) return;
    std::memset(present(), 0xff, words() * sizeof(uint64_t));
    if (steps_ % 64 != 0) present()[words() - 1] = (uint64_t{1} << (steps_ % 64)) - 1;
  }
  void DropHistograms() { histograms_.reset(); }

  bool empty() const {
    const uint64_t* bits = present();
    for (size_t w = 0; w < words(); ++w) {
      if (bits[w] != 0) return false;
    }
    return true;
  }
  size_t Count() const {
    size_t count = 0;
    const uint64_t* bits = present();
    for (size_t w = 0; w < words(); ++w) count += static_cast<size_t>(std::popcount(bits[w]));
    return count;
  }
  bool full() const { return Count() == steps_; }
  // Samples as upstream weighs them: a histogram counts its size in units of a float sample.
  size_t SampleCount() const {
    size_t count = Count();
    if (histograms_ == nullptr) return count;
    for (const HistogramPtr& histogram : *histograms_) {
      if (histogram != nullptr) count += HistogramSize(*histogram) - 1;
    }
    return count;
  }

  // Calls visit(step) for every step that holds a sample, ascending.
  template <typename Visit>
  void ForEach(Visit&& visit) const {
    const uint64_t* bits = present();
    for (size_t w = 0; w < words(); ++w) ForEachBit(bits[w], w * 64, visit);
  }

 private:
  size_t steps_ = 0;
  uint64_t inline_present_ = 0;
  double inline_value_ = 0;
  std::unique_ptr<uint64_t[]> heap_;
  std::unique_ptr<std::vector<HistogramPtr>> histograms_;
};

}  // namespace narthex::promql
