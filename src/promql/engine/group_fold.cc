#include "promql/engine/group_fold.h"

#include <algorithm>
#include <cmath>

#include "model/float_histogram_ops.h"
#include "promql/engine/kahan.h"
#include "promql/engine/quantile.h"

namespace narthex::promql {
namespace {

bool KeepsHistograms(AggregateOp op) {
  return op == AggregateOp::kSum || op == AggregateOp::kAvg;
}
bool CountsHistograms(AggregateOp op) {
  return op == AggregateOp::kCount || op == AggregateOp::kGroup;
}

// The bits of word `w` that lie in [begin, end).
uint64_t WordMask(size_t w, size_t begin, size_t end) {
  const size_t first = w * 64;
  uint64_t mask = ~uint64_t{0};
  if (begin > first) mask &= ~uint64_t{0} << (begin - first);
  if (end < first + 64) mask &= (uint64_t{1} << (end - first)) - 1;
  return mask;
}

#if defined(__x86_64__)
const bool kHasAvx2 = __builtin_cpu_supports("avx2") != 0;
#endif

}  // namespace

GroupFold::GroupFold(AggregateOp op, size_t groups, size_t steps, PositionRange position)
    : op_(op), steps_(steps), words_((steps + 63) / 64), position_(position) {
  const size_t cells = groups * steps;
  seen_.resize(groups * words_);
  drop_name_.resize(groups);
  cells_.resize(groups);
  switch (op) {
    case AggregateOp::kAvg:
      float_seen_.resize(groups * words_);
      incremental_.resize(groups * words_);
      value_.resize(cells);
      extra_.resize(cells);
      count_.resize(cells);
      break;
    case AggregateOp::kSum:
      float_seen_.resize(groups * words_);
      value_.resize(cells);
      extra_.resize(cells);
      break;
    case AggregateOp::kStddev:
    case AggregateOp::kStdvar:
      value_.resize(cells);
      extra_.resize(cells);
      count_.resize(cells);
      break;
    case AggregateOp::kCount: count_.resize(cells); break;
    case AggregateOp::kMin:
    case AggregateOp::kMax: value_.resize(cells); break;
    case AggregateOp::kQuantile: samples_.resize(cells); break;
    default: break;
  }
}

size_t GroupFold::TableBytes(AggregateOp op, size_t groups, size_t steps) {
  size_t a_cell = 0;
  switch (op) {
    case AggregateOp::kAvg:
    case AggregateOp::kStddev:
    case AggregateOp::kStdvar: a_cell = 3 * sizeof(double); break;
    case AggregateOp::kSum: a_cell = 2 * sizeof(double); break;
    case AggregateOp::kCount:
    case AggregateOp::kMin:
    case AggregateOp::kMax: a_cell = sizeof(double); break;
    case AggregateOp::kQuantile: a_cell = sizeof(std::vector<double>); break;
    default: break;
  }
  constexpr size_t kBitmaps = 3;
  return groups * (steps * a_cell + kBitmaps * (steps + 63) / 64 * sizeof(uint64_t) +
                   sizeof(std::unique_ptr<Cells>) + sizeof(uint8_t));
}

size_t GroupFold::MemoryBytes() const {
  size_t bytes = TableBytes(op_, cells_.size(), steps_);
  for (const std::vector<double>& samples : samples_) bytes += samples.capacity() * sizeof(double);
  for (const std::unique_ptr<Cells>& cells : cells_) {
    if (cells == nullptr) continue;
    bytes += cells->size() * sizeof(std::unique_ptr<HistogramCell>);
    for (const std::unique_ptr<HistogramCell>& cell : *cells) {
      if (cell == nullptr) continue;
      bytes += sizeof(HistogramCell) + HistogramBytes(cell->value);
      if (cell->compensation.has_value()) bytes += HistogramBytes(*cell->compensation);
    }
  }
  return bytes;
}

void GroupFold::Prepare(size_t group, const StepColumn& column) {
  if (!column.has_histograms() || !KeepsHistograms(op_) || cells_[group] != nullptr) return;
  cells_[group] = std::make_unique<Cells>(steps_);
}

void GroupFold::AddAvg(size_t cell, double value, bool first) {
  uint64_t& incremental = incremental_[cell / steps_ * words_ + cell % steps_ / 64];
  const uint64_t bit = uint64_t{1} << (cell % steps_ % 64);
  double& sum = value_[cell];
  double& c = extra_[cell];
  double& count = count_[cell];
  ++count;
  if (first) {
    sum = value;
    return;
  }
  if ((incremental & bit) == 0) {
    double new_sum = sum;
    double new_c = c;
    KahanInc(value, &new_sum, &new_c);
    if (!std::isinf(new_sum)) {
      sum = new_sum;
      c = new_c;
      return;
    }
    // The sum would overflow: from here on the mean is kept in its place.
    incremental |= bit;
    sum /= count - 1;
    c /= count - 1;
  }
  const double q = (count - 1) / count;
  sum *= q;
  c *= q;
  KahanInc(value / count, &sum, &c);
}

void GroupFold::AddFloat(size_t cell, double value, bool first) {
  switch (op_) {
    case AggregateOp::kSum: KahanInc(value, &value_[cell], &extra_[cell]); break;
    case AggregateOp::kAvg: AddAvg(cell, value, first); break;
    case AggregateOp::kCount: ++count_[cell]; break;
    case AggregateOp::kMin:
      if (first || value_[cell] > value || std::isnan(value_[cell])) value_[cell] = value;
      break;
    case AggregateOp::kMax:
      if (first || value_[cell] < value || std::isnan(value_[cell])) value_[cell] = value;
      break;
    case AggregateOp::kStddev:
    case AggregateOp::kStdvar: {
      double& count = count_[cell];
      double& mean = extra_[cell];
      ++count;
      if (first) {
        mean = value;
        value_[cell] = std::isfinite(value) ? 0 : std::nan("");
        break;
      }
      const double delta = value - mean;
      mean += delta / count;
      value_[cell] += delta * (value - mean);
      break;
    }
    case AggregateOp::kQuantile: samples_[cell].push_back(value); break;
    default: break;
  }
}

[[gnu::always_inline]] inline bool GroupFold::AddWordPlainly(size_t group, size_t w,
                                                             const double* from) {
  const size_t cell = At(group, w * 64);
  const auto at = [cell](std::vector<double>& column) {
    return column.empty() ? nullptr : column.data() + cell;
  };
  double* const value = at(value_);
  double* const extra = at(extra_);
  double* const counts = at(count_);
  switch (op_) {
    case AggregateOp::kSum:
      for (size_t i = 0; i < 64; ++i) KahanInc(from[i], &value[i], &extra[i]);
      return true;
    case AggregateOp::kCount:
      for (size_t i = 0; i < 64; ++i) counts[i] += 1;
      return true;
    case AggregateOp::kMin:
      for (size_t i = 0; i < 64; ++i) {
        double& least = value[i];
        least = least > from[i] || std::isnan(least) ? from[i] : least;
      }
      return true;
    case AggregateOp::kMax:
      for (size_t i = 0; i < 64; ++i) {
        double& most = value[i];
        most = most < from[i] || std::isnan(most) ? from[i] : most;
      }
      return true;
    case AggregateOp::kAvg: {
      // Sums first; kept only when none of them overflowed, which is when means are kept instead.
      if (incremental_[group * words_ + w] != 0) return false;
      double sums[64];
      double errors[64];
      bool finite = true;
      for (size_t i = 0; i < 64; ++i) {
        sums[i] = value[i];
        errors[i] = extra[i];
        KahanInc(from[i], &sums[i], &errors[i]);
      }
      for (size_t i = 0; i < 64; ++i) finite &= !std::isinf(sums[i]);
      if (!finite) return false;
      for (size_t i = 0; i < 64; ++i) {
        value[i] = sums[i];
        extra[i] = errors[i];
        counts[i] += 1;
      }
      return true;
    }
    case AggregateOp::kStddev:
    case AggregateOp::kStdvar:
      for (size_t i = 0; i < 64; ++i) {
        const double count = counts[i] + 1;
        counts[i] = count;
        const double delta = from[i] - extra[i];
        extra[i] += delta / count;
        value[i] += delta * (from[i] - extra[i]);
      }
      return true;
    default: return false;
  }
}

#if defined(__x86_64__)
[[gnu::target("avx2")]] bool GroupFold::AddWordAvx2(size_t group, size_t w, const double* from) {
  return AddWordPlainly(group, w, from);
}
#endif

bool GroupFold::AddWord(size_t group, size_t w, const double* from) {
#if defined(__x86_64__)
  if (kHasAvx2) return AddWordAvx2(group, w, from);
#endif
  return AddWordPlainly(group, w, from);
}

void GroupFold::AddFloats(size_t group, const StepColumn& column, size_t begin, size_t end) {
  const double* values = column.values();
  for (size_t w = begin / 64; w * 64 < end; ++w) {
    const uint64_t mask = WordMask(w, begin, end);
    const uint64_t present = column.present()[w] & mask;
    uint64_t& seen_word = seen_[group * words_ + w];
    const uint64_t before = seen_word;
    seen_word |= present;
    if (!float_seen_.empty()) float_seen_[group * words_ + w] |= present;
    const size_t base = w * 64;
    // The way of nearly all data: no gaps. Sums do not care whether they have begun.
    if (present == ~uint64_t{0} && (before == present || op_ == AggregateOp::kSum) &&
        AddWord(group, w, values + base)) {
      continue;
    }
    ForEachBit(present, base, [&](size_t step) {
      AddFloat(At(group, step), values[step], (before >> (step - base) & 1) == 0);
    });
  }
}

Status GroupFold::Add(size_t group, const StepColumn& column, std::string_view metric,
                      bool drop_name, size_t begin, size_t end, Annotations* annotations) {
  if (begin == 0 && drop_name) drop_name_[group] = 1;
  if (!column.has_histograms()) {
    AddFloats(group, column, begin, end);
    return {};
  }
  for (size_t step = begin; step < end; ++step) {
    if (!column.has(step)) continue;
    const HistogramPtr& histogram = column.histogram(step);
    uint64_t& seen_word = seen_[group * words_ + step / 64];
    const uint64_t bit = uint64_t{1} << (step % 64);
    const bool first = (seen_word & bit) == 0;
    if (histogram == nullptr) {
      const HistogramCell* cell = Cell(group, step);
      if (cell != nullptr && cell->incompatible) continue;
      seen_word |= bit;
      const bool first_float =
          float_seen_.empty() || (float_seen_[group * words_ + step / 64] & bit) == 0;
      if (!float_seen_.empty()) float_seen_[group * words_ + step / 64] |= bit;
      AddFloat(At(group, step), column.value(step), first && first_float);
      continue;
    }
    if (CountsHistograms(op_)) {
      seen_word |= bit;
      AddFloat(At(group, step), 0, first);
    } else if (KeepsHistograms(op_)) {
      seen_word |= bit;
      NARTHEX_RETURN_IF_ERROR(AddHistogram(group, step, first, *histogram, metric, annotations));
    } else {
      annotations->Info(
          "ignored histogram in " + std::string(AggregateOpName(op_)) + " aggregation", position_);
    }
  }
  return {};
}

Status GroupFold::AddHistogram(size_t group, size_t step, bool first,
                               const FloatHistogram& histogram, std::string_view metric,
                               Annotations* annotations) {
  std::unique_ptr<HistogramCell>& slot = (*cells_[group])[step];
  if (slot == nullptr) {
    slot = std::make_unique<HistogramCell>();
    slot->after_float = !first;
    slot->value = histogram;
    slot->count = 1;
    slot->reset = histogram.counter_reset_hint == CounterResetHint::kReset;
    slot->not_reset = histogram.counter_reset_hint == CounterResetHint::kNotReset;
    return {};
  }
  if (slot->incompatible || slot->after_float) return {};
  ++slot->count;
  slot->reset = slot->reset || histogram.counter_reset_hint == CounterResetHint::kReset;
  slot->not_reset = slot->not_reset || histogram.counter_reset_hint == CounterResetHint::kNotReset;
  return FoldHistogram(slot.get(), histogram, metric, annotations);
}

Status GroupFold::FoldHistogram(HistogramCell* cell, const FloatHistogram& histogram,
                                std::string_view metric, Annotations* annotations) {
  const auto merged = [&](const Result<HistogramMerge>& merge) -> Result<bool> {
    if (merge.ok()) {
      if (merge->bounds_reconciled) {
        annotations->MismatchedCustomBuckets(HistogramOperation::kAggregation, position_);
      }
      return true;
    }
    if (merge.status().message() != kIncompatibleSchemasText) return merge.status();
    annotations->MixedExponentialCustom(metric, position_);
    cell->incompatible = true;
    return false;
  };
  if (op_ == AggregateOp::kSum) {
    NARTHEX_TRY(const bool ok,
                merged(KahanAddHistogram(&cell->value, histogram, &cell->compensation)));
    (void)ok;
    return {};
  }
  const double count = cell->count;
  if (!cell->incremental) {
    FloatHistogram sum = cell->value;
    std::optional<FloatHistogram> compensation = cell->compensation;
    NARTHEX_TRY(const bool ok, merged(KahanAddHistogram(&sum, histogram, &compensation)));
    if (!ok) return {};
    if (!HasOverflow(sum)) {
      cell->value = std::move(sum);
      cell->compensation = std::move(compensation);
      return {};
    }
    cell->incremental = true;
    cell->mean = cell->value;
    DivHistogram(&cell->mean, count - 1);
    if (cell->compensation.has_value()) DivHistogram(&*cell->compensation, count - 1);
  }
  const double q = (count - 1) / count;
  if (cell->compensation.has_value()) MulHistogram(&*cell->compensation, q);
  FloatHistogram part = histogram;
  DivHistogram(&part, count);
  MulHistogram(&cell->mean, q);
  NARTHEX_TRY(const bool ok, merged(KahanAddHistogram(&cell->mean, part, &cell->compensation)));
  (void)ok;
  return {};
}

HistogramPtr GroupFold::FinishHistogram(HistogramCell* cell) const {
  FloatHistogram result = std::move(cell->value);
  if (op_ == AggregateOp::kAvg) {
    if (cell->incremental) {
      result = std::move(cell->mean);
    } else {
      DivHistogram(&result, cell->count);
      if (cell->compensation.has_value()) DivHistogram(&*cell->compensation, cell->count);
    }
  }
  if (cell->compensation.has_value()) {
    // Its layout followed the sum's, so this cannot fail.
    [[maybe_unused]] const auto merge = narthex::AddHistogram(&result, *cell->compensation);
  }
  CompactHistogram(&result, 0);
  return std::make_shared<const FloatHistogram>(std::move(result));
}

StepColumn GroupFold::Finish(size_t group, const std::vector<double>* quantile,
                             Annotations* annotations) {
  StepColumn out(steps_);
  for (size_t step = 0; step < steps_; ++step) {
    if (!seen(group, step)) continue;
    const size_t cell = At(group, step);
    HistogramCell* histogram = Cell(group, step);
    if (histogram != nullptr) {
      const bool floats = (float_seen_[group * words_ + step / 64] >> (step % 64) & 1) != 0;
      if (floats) {
        annotations->Warn("encountered a mix of histograms and floats for aggregation", position_);
        continue;
      }
      if (histogram->incompatible) continue;
      if (histogram->reset && histogram->not_reset) {
        annotations->CounterResetCollision(HistogramOperation::kAggregation, position_);
      }
      out.SetHistogram(step, FinishHistogram(histogram));
      continue;
    }
    double result = 0;
    switch (op_) {
      case AggregateOp::kSum: result = value_[cell] + extra_[cell]; break;
      case AggregateOp::kAvg:
        if ((incremental_[group * words_ + step / 64] >> (step % 64) & 1) != 0) {
          result = value_[cell] + extra_[cell];
        } else {
          result = value_[cell] / count_[cell] + extra_[cell] / count_[cell];
        }
        break;
      case AggregateOp::kCount: result = count_[cell]; break;
      case AggregateOp::kGroup: result = 1; break;
      case AggregateOp::kMin:
      case AggregateOp::kMax: result = value_[cell]; break;
      case AggregateOp::kStdvar: result = value_[cell] / count_[cell]; break;
      case AggregateOp::kStddev: result = std::sqrt(value_[cell] / count_[cell]); break;
      case AggregateOp::kQuantile: result = Quantile((*quantile)[step], samples_[cell]); break;
      default: break;
    }
    out.Set(step, result);
  }
  return out;
}

}  // namespace narthex::promql
