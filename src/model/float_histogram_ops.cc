#include "model/float_histogram_ops.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "util/numbers.h"

namespace narthex {
namespace {

// ---------------------------------------------------------------------------------------------
// One side of a histogram as a list of (index, count) and back
// ---------------------------------------------------------------------------------------------

// Calls body(index, position in the buckets) for each bucket; stops at the end of the shorter of
// spans and buckets.
template <typename Body>
void ForEachBucket(const std::vector<Span>& spans, size_t bucket_count, Body&& body) {
  int64_t index = 0;
  size_t position = 0;
  for (const Span& span : spans) {
    index += span.offset;
    for (uint32_t i = 0; i < span.length && position < bucket_count; ++i, ++index, ++position) {
      body(static_cast<int32_t>(index), position);
    }
  }
}

// Builds spans and counts from ascending indices. A second count for the last index is added to it.
template <typename Count>
class SideBuilder {
 public:
  void Reserve(size_t buckets, size_t spans = 0) {
    buckets_.reserve(buckets);
    spans_.reserve(spans);
  }
  bool IsLast(int32_t index) const { return !spans_.empty() && index == last_; }

  void Append(int32_t index, Count count) {
    if (spans_.empty()) {
      spans_.push_back({index, 1});
    } else if (int64_t{index} == int64_t{last_} + 1) {
      ++spans_.back().length;
    } else {
      spans_.push_back({static_cast<int32_t>(int64_t{index} - last_ - 1), 1});
    }
    buckets_.push_back(count);
    last_ = index;
  }
  Count& back() { return buckets_.back(); }

  void MoveTo(std::vector<Span>* spans, std::vector<Count>* buckets) {
    *spans = std::move(spans_);
    *buckets = std::move(buckets_);
  }

 private:
  std::vector<Span> spans_;
  std::vector<Count> buckets_;
  int32_t last_ = 0;
};

// A count with its error term, so that plain and compensated sums share the code below.
struct Compensated {
  double value = 0;
  double error = 0;
  void Add(double v) { KahanAdd(v, &value, &error); }
};

// A side with its error terms; `errors` is null in plain sums.
struct Side {
  std::vector<Span>* spans;
  std::vector<double>* buckets;
  std::vector<double>* errors;
};

void Store(SideBuilder<Compensated>* builder, const Side& side) {
  std::vector<Compensated> counts;
  builder->MoveTo(side.spans, &counts);
  side.buckets->resize(counts.size());
  if (side.errors != nullptr) side.errors->resize(counts.size());
  for (size_t i = 0; i < counts.size(); ++i) {
    (*side.buckets)[i] = counts[i].value;
    if (side.errors != nullptr) (*side.errors)[i] = counts[i].error;
  }
}

int32_t CoarserIndex(int32_t index, int32_t from_schema, int32_t to_schema) {
  return static_cast<int32_t>((int64_t{index} - 1) >> (from_schema - to_schema)) + 1;
}

Status CheckReducible(const std::vector<Span>& spans, size_t bucket_count) {
  uint64_t wanted = 0;
  for (size_t i = 0; i < spans.size(); ++i) {
    if (i > 0 && spans[i].offset < 0) {
      return MakeError(ErrorCode::kInvalidInput,
                       "span number {} with offset {}: histogram has a span whose offset is "
                       "negative",
                       i + 1, spans[i].offset);
    }
    wanted += spans[i].length;
    if (wanted > bucket_count) {
      return MakeError(ErrorCode::kInvalidInput,
                       "have {} buckets but spans need more: histogram spans specify different "
                       "number of buckets than provided",
                       bucket_count);
    }
  }
  if (wanted != bucket_count) {
    return MakeError(ErrorCode::kInvalidInput,
                     "spans need {} buckets, have {} buckets: histogram spans specify different "
                     "number of buckets than provided",
                     wanted, bucket_count);
  }
  return {};
}

template <typename Count>
void ReduceSide(int32_t from_schema, int32_t to_schema, std::vector<Span>* spans,
                std::vector<Count>* buckets) {
  SideBuilder<Count> builder;
  ForEachBucket(*spans, buckets->size(), [&](int32_t index, size_t i) {
    const int32_t target = CoarserIndex(index, from_schema, to_schema);
    if (builder.IsLast(target)) {
      if constexpr (std::is_integral_v<Count>) {
        builder.back() = static_cast<Count>(static_cast<uint64_t>(builder.back()) +
                                            static_cast<uint64_t>((*buckets)[i]));
      } else {
        builder.back() += (*buckets)[i];
      }
    } else {
      builder.Append(target, (*buckets)[i]);
    }
  });
  builder.MoveTo(spans, buckets);
}

void ReduceSideCompensated(int32_t from_schema, int32_t to_schema, const Side& side) {
  SideBuilder<Compensated> builder;
  ForEachBucket(*side.spans, side.buckets->size(), [&](int32_t index, size_t i) {
    const int32_t target = CoarserIndex(index, from_schema, to_schema);
    const double value = (*side.buckets)[i];
    const double error = (*side.errors)[i];
    if (builder.IsLast(target)) {
      builder.back().Add(value);
      builder.back().Add(error);
    } else {
      builder.Append(target, {value, error});
    }
  });
  Store(&builder, side);
}

// Sums wrap: scraped histograms come here before they are validated.
void ToAbsolute(std::vector<int64_t>* buckets) {
  for (size_t i = 1; i < buckets->size(); ++i) {
    (*buckets)[i] = static_cast<int64_t>(static_cast<uint64_t>((*buckets)[i]) +
                                         static_cast<uint64_t>((*buckets)[i - 1]));
  }
}
void ToDeltas(std::vector<int64_t>* buckets) {
  for (size_t i = buckets->size(); i-- > 1;) {
    (*buckets)[i] = static_cast<int64_t>(static_cast<uint64_t>((*buckets)[i]) -
                                         static_cast<uint64_t>((*buckets)[i - 1]));
  }
}

// Keeps populated buckets and at most `empty_max` empty ones between two of them. `errors` may be
// null; a bucket with an error term is populated.
template <typename Count>
void CompactSide(std::vector<Span>* spans, std::vector<Count>* buckets, std::vector<double>* errors,
                 size_t empty_max) {
  const auto populated = [&](size_t i) {
    return (*buckets)[i] != Count{0} || (errors != nullptr && (*errors)[i] != 0);
  };
  const auto compact_already = [&] {
    for (size_t i = 0; i < buckets->size(); ++i) {
      if (!populated(i)) return false;
    }
    for (size_t i = 0; i < spans->size(); ++i) {
      const Span& span = (*spans)[i];
      if (span.length == 0) return false;
      // Before the first span there is no gap.
      if (i > 0 && span.offset >= 0 && static_cast<size_t>(span.offset) <= empty_max) return false;
    }
    return true;
  };
  if (compact_already()) return;
  uint64_t wanted = 0;
  for (const Span& span : *spans) wanted += span.length;
  // Layouts that do not fit are left for Validate() to report, but for counts without any span.
  if (wanted != buckets->size() && wanted != 0) return;
  SideBuilder<Count> builder;
  std::vector<double> kept_errors;
  bool any = false;
  int32_t last = 0;
  ForEachBucket(*spans, buckets->size(), [&](int32_t index, size_t i) {
    if (!populated(i)) return;
    const int64_t gap = int64_t{index} - last - 1;
    if (any && gap > 0 && static_cast<uint64_t>(gap) <= empty_max) {
      for (int32_t fill = last + 1; fill < index; ++fill) {
        builder.Append(fill, Count{0});
        if (errors != nullptr) kept_errors.push_back(0);
      }
    }
    builder.Append(index, (*buckets)[i]);
    if (errors != nullptr) kept_errors.push_back((*errors)[i]);
    any = true;
    last = index;
  });
  builder.MoveTo(spans, buckets);
  if (errors != nullptr) *errors = std::move(kept_errors);
}

// ---------------------------------------------------------------------------------------------
// Sums
// ---------------------------------------------------------------------------------------------

// Finds ascending indices among the buckets of some spans.
class PlaceCursor {
 public:
  PlaceCursor(const std::vector<Span>& spans, size_t bucket_count)
      : spans_(spans), bucket_count_(bucket_count) {}

  bool Find(int32_t index, uint32_t* place) {
    while (end_ <= index) {
      if (next_ == spans_.size()) return false;
      const Span& span = spans_[next_++];
      if (next_ > 1 && span.offset < 0) return false;
      first_ = end_ + span.offset;
      end_ = first_ + span.length;
      place_ = place_end_;
      place_end_ += span.length;
      if (place_end_ > bucket_count_) return false;
    }
    if (index < first_) return false;
    *place = static_cast<uint32_t>(place_ + static_cast<size_t>(index - first_));
    return true;
  }

 private:
  const std::vector<Span>& spans_;
  size_t bucket_count_;
  // The span that is looked at: its indices, and the places that they have.
  size_t next_ = 0;
  int64_t first_ = 0;
  int64_t end_ = 0;
  size_t place_ = 0;
  size_t place_end_ = 0;
};

// Where the buckets of some spans lie among those of other spans; nothing if one of them does not
// or if the indices do not ascend.
std::optional<std::vector<uint32_t>> PlacesOf(const std::vector<Span>& spans, size_t bucket_count,
                                              const std::vector<Span>& among, size_t among_count) {
  for (size_t i = 1; i < spans.size(); ++i) {
    if (spans[i].offset < 0) return std::nullopt;
  }
  std::vector<uint32_t> places(bucket_count);
  PlaceCursor cursor(among, among_count);
  bool found = true;
  size_t visited = 0;
  ForEachBucket(spans, bucket_count, [&](int32_t index, size_t i) {
    found = found && cursor.Find(index, &places[i]);
    ++visited;
  });
  if (!found || visited != bucket_count) return std::nullopt;
  return places;
}

// Adds `sign` times the other side. Leading buckets of the other that lie within the zero bucket
// are part of its zero count already.
void AddSide(int32_t schema, double zero_threshold, double sign, const Side& side,
             const std::vector<Span>& other_spans, const std::vector<double>& other_buckets,
             const std::vector<double>* other_errors) {
  std::vector<double>& buckets = *side.buckets;
  bool inside_zero = schema != kCustomBucketsSchema;
  const auto skips = [&](int32_t index) {
    inside_zero = inside_zero && HistogramBound(index, schema, {}) <= zero_threshold;
    return inside_zero;
  };
  const auto other_at = [&](size_t i) {
    return Compensated{sign * other_buckets[i],
                       other_errors == nullptr ? 0 : sign * (*other_errors)[i]};
  };
  const auto add = [&](const Compensated& addend, double* sum, double* error) {
    if (side.errors == nullptr) {
      *sum += addend.value;
      return;
    }
    KahanAdd(addend.value, sum, error);
    if (addend.error != 0) KahanAdd(addend.error, sum, error);
  };
  // Series keep their layout from sample to sample, so this is the usual case.
  if (*side.spans == other_spans && buckets.size() == other_buckets.size()) {
    ForEachBucket(other_spans, other_buckets.size(), [&](int32_t index, size_t i) {
      if (inside_zero && skips(index)) return;
      double unused = 0;
      add(other_at(i), &buckets[i], side.errors == nullptr ? &unused : &(*side.errors)[i]);
    });
    return;
  }
  // Sums of many histograms soon have every bucket that turns up: nothing has to be moved.
  if (const std::optional<std::vector<uint32_t>> places =
          PlacesOf(other_spans, other_buckets.size(), *side.spans, buckets.size())) {
    ForEachBucket(other_spans, other_buckets.size(), [&](int32_t index, size_t i) {
      if (inside_zero && skips(index)) return;
      const size_t at = (*places)[i];
      double unused = 0;
      add(other_at(i), &buckets[at], side.errors == nullptr ? &unused : &(*side.errors)[at]);
    });
    return;
  }
  std::vector<std::pair<int32_t, Compensated>> other;
  other.reserve(other_buckets.size());
  ForEachBucket(other_spans, other_buckets.size(), [&](int32_t index, size_t i) {
    if (!inside_zero || !skips(index)) other.emplace_back(index, other_at(i));
  });
  SideBuilder<Compensated> merged;
  merged.Reserve(buckets.size() + other.size());
  auto next = other.begin();
  ForEachBucket(*side.spans, buckets.size(), [&](int32_t index, size_t i) {
    for (; next != other.end() && next->first < index; ++next) {
      merged.Append(next->first, next->second);
    }
    Compensated count{buckets[i], side.errors == nullptr ? 0 : (*side.errors)[i]};
    if (next != other.end() && next->first == index) {
      add(next->second, &count.value, &count.error);
      ++next;
    }
    merged.Append(index, count);
  });
  for (; next != other.end(); ++next) merged.Append(next->first, next->second);
  Store(&merged, side);
}

// Calls body(index, count) for each bucket of a coarser schema; counts that meet in one are added
// as ReduceSide does it or, compensated, as ReduceSideCompensated.
template <typename Body>
void ForEachReduced(const std::vector<Span>& spans, const std::vector<double>& buckets,
                    int32_t from_schema, int32_t to_schema, bool compensated, Body&& body) {
  bool any = false;
  int32_t last = 0;
  Compensated count;
  ForEachBucket(spans, buckets.size(), [&](int32_t index, size_t i) {
    const int32_t target = CoarserIndex(index, from_schema, to_schema);
    if (any && target == last) {
      if (compensated) {
        count.Add(buckets[i]);
        count.Add(0);
      } else {
        count.value += buckets[i];
      }
      return;
    }
    if (any) body(last, count);
    any = true;
    last = target;
    count = {buckets[i], 0};
  });
  if (any) body(last, count);
}

// What reducing the other side and AddSide do, without making the reduced side. False, and nothing
// changed, when it has a bucket that the side lacks.
bool AddReducedSide(int32_t schema, int32_t other_schema, double zero_threshold, double sign,
                    const Side& side, const std::vector<Span>& other_spans,
                    const std::vector<double>& other_buckets) {
  for (size_t i = 1; i < other_spans.size(); ++i) {
    if (other_spans[i].offset < 0) return false;
  }
  const bool compensated = side.errors != nullptr;
  std::vector<uint32_t> places;
  places.reserve(other_buckets.size());
  PlaceCursor cursor(*side.spans, side.buckets->size());
  bool found = true;
  ForEachReduced(other_spans, other_buckets, other_schema, schema, compensated,
                 [&](int32_t index, const Compensated&) {
                   uint32_t place = 0;
                   found = found && cursor.Find(index, &place);
                   places.push_back(place);
                 });
  if (!found) return false;
  auto next = places.begin();
  bool inside_zero = true;
  ForEachReduced(other_spans, other_buckets, other_schema, schema, compensated,
                 [&](int32_t index, const Compensated& count) {
                   const size_t at = *next++;
                   inside_zero = inside_zero && HistogramBound(index, schema, {}) <= zero_threshold;
                   if (inside_zero) return;
                   double& sum = (*side.buckets)[at];
                   if (!compensated) {
                     sum += sign * count.value;
                     return;
                   }
                   double& error = (*side.errors)[at];
                   KahanAdd(sign * count.value, &sum, &error);
                   if (count.error != 0) KahanAdd(sign * count.error, &sum, &error);
                 });
  return true;
}

std::vector<double> IntersectBounds(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> bounds;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(bounds));
  return bounds;
}

// Adds a custom-bucket side to dense counts of coarser bounds, which are a subset of its own.
void MapToBounds(const std::vector<Span>& spans, const std::vector<double>& buckets,
                 const std::vector<double>* errors, const std::vector<double>& bounds, double sign,
                 const std::vector<double>& target_bounds, std::vector<Compensated>* target) {
  size_t at = 0;
  ForEachBucket(spans, buckets.size(), [&](int32_t index, size_t i) {
    // A bucket belongs to the first remaining bound at or above its own, else to +Inf.
    size_t to = target->size() - 1;
    if (index >= 0 && static_cast<size_t>(index) < bounds.size()) {
      while (at < target_bounds.size() && target_bounds[at] < bounds[static_cast<size_t>(index)]) {
        ++at;
      }
      to = std::min(at, to);
    }
    (*target)[to].Add(sign * buckets[i]);
    if (errors != nullptr) (*target)[to].Add((*errors)[i]);
  });
}

void AddCustomReconciled(FloatHistogram* histogram, const FloatHistogram& other, double sign,
                         std::vector<double>* errors) {
  const std::vector<double> bounds = IntersectBounds(histogram->custom_values, other.custom_values);
  std::vector<Compensated> counts(bounds.size() + 1);
  MapToBounds(histogram->positive_spans, histogram->positive_buckets, errors,
              histogram->custom_values, 1, bounds, &counts);
  MapToBounds(other.positive_spans, other.positive_buckets, nullptr, other.custom_values, sign,
              bounds, &counts);
  SideBuilder<Compensated> builder;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i].value == 0 && counts[i].error == 0) continue;
    builder.Append(static_cast<int32_t>(i), counts[i]);
  }
  Store(&builder, {&histogram->positive_spans, &histogram->positive_buckets, errors});
  histogram->custom_values = bounds;
}

// True on a collision. Sums are meant for gauges; with counters the hint is kept as meaningful as
// possible.
bool MergeHints(FloatHistogram* histogram, CounterResetHint other) {
  CounterResetHint& hint = histogram->counter_reset_hint;
  if (hint == other || hint == CounterResetHint::kGauge) return false;
  if (other == CounterResetHint::kGauge) {
    hint = CounterResetHint::kGauge;
    return false;
  }
  const bool collision = hint != CounterResetHint::kUnknown && other != CounterResetHint::kUnknown;
  hint = CounterResetHint::kUnknown;
  return collision;
}

// ZeroBucketFor with the error terms of a running sum, which may be null.
ZeroBucketSize GrowZeroBucket(const FloatHistogram& histogram, double threshold,
                              const FloatHistogram* errors, double* error) {
  *error = errors == nullptr ? 0 : errors->zero_count;
  if (threshold == histogram.zero_threshold) return {histogram.zero_count, threshold};
  for (;;) {
    Compensated total{histogram.zero_count, errors == nullptr ? 0 : errors->zero_count};
    bool grown = false;
    for (const bool positive : {true, false}) {
      BucketIterator it(histogram, positive ? BucketOrder::kPositive : BucketOrder::kNegative);
      for (size_t i = 0; it.Next(); ++i) {
        const HistogramBucket& bucket = it.bucket();
        const double near = positive ? bucket.lower : -bucket.upper;
        const double far = positive ? bucket.upper : -bucket.lower;
        if (near >= threshold) break;
        total.Add(bucket.count);
        if (errors != nullptr) {
          const auto& terms = positive ? errors->positive_buckets : errors->negative_buckets;
          if (i < terms.size()) total.Add(terms[i]);
        }
        if (far > threshold) {
          if (bucket.count != 0) {
            threshold = far;
            // What was counted on the positive side no longer holds.
            grown = !positive;
          }
          break;
        }
      }
    }
    if (grown) continue;
    *error = total.error;
    return {total.value, threshold};
  }
}

// Removes the buckets that the zero bucket, whose threshold is a bucket bound, now holds.
void DropBucketsInZero(FloatHistogram* histogram, FloatHistogram* errors) {
  for (const bool positive : {true, false}) {
    auto& buckets = positive ? histogram->positive_buckets : histogram->negative_buckets;
    BucketIterator it(*histogram, positive ? BucketOrder::kPositive : BucketOrder::kNegative);
    for (size_t i = 0; it.Next(); ++i) {
      const double near = positive ? it.bucket().lower : -it.bucket().upper;
      if (near >= histogram->zero_threshold) break;
      buckets[i] = 0;
      if (errors != nullptr) {
        (positive ? errors->positive_buckets : errors->negative_buckets)[i] = 0;
      }
    }
    CompactSide(positive ? &histogram->positive_spans : &histogram->negative_spans, &buckets,
                errors == nullptr
                    ? nullptr
                    : (positive ? &errors->positive_buckets : &errors->negative_buckets),
                0);
  }
}

// Grows the zero bucket of `histogram` until both fit, and gives the other's count at that size.
Compensated ReconcileZeroBuckets(FloatHistogram* histogram, const FloatHistogram& other,
                                 FloatHistogram* errors) {
  ZeroBucketSize other_zero{other.zero_count, other.zero_threshold};
  double other_error = 0;
  // Written so that a threshold of NaN ends the loop.
  while (other_zero.threshold < histogram->zero_threshold ||
         other_zero.threshold > histogram->zero_threshold) {
    if (histogram->zero_threshold > other_zero.threshold) {
      other_zero = GrowZeroBucket(other, histogram->zero_threshold, nullptr, &other_error);
    }
    if (other_zero.threshold > histogram->zero_threshold) {
      double error = 0;
      const ZeroBucketSize zero = GrowZeroBucket(*histogram, other_zero.threshold, errors, &error);
      histogram->zero_count = zero.count;
      histogram->zero_threshold = zero.threshold;
      if (errors != nullptr) errors->zero_count = error;
      DropBucketsInZero(histogram, errors);
    }
  }
  return {other_zero.count, other_error};
}

Status CheckCompatible(const FloatHistogram& a, const FloatHistogram& b) {
  if (a.uses_custom_buckets() != b.uses_custom_buckets()) {
    return {ErrorCode::kExecution, std::string(kIncompatibleSchemasText)};
  }
  if (a.schema == b.schema) return {};
  const FloatHistogram& finer = a.schema > b.schema ? a : b;
  NARTHEX_RETURN_IF_ERROR(CheckReducible(finer.positive_spans, finer.positive_buckets.size()));
  return CheckReducible(finer.negative_spans, finer.negative_buckets.size());
}

void StartCompensation(const FloatHistogram& histogram, FloatHistogram* errors) {
  errors->counter_reset_hint = histogram.counter_reset_hint;
  errors->positive_buckets.assign(histogram.positive_buckets.size(), 0);
  errors->negative_buckets.assign(histogram.negative_buckets.size(), 0);
}

void ClearSide(std::vector<Span>* spans, std::vector<double>* buckets) {
  spans->clear();
  buckets->clear();
}

// `errors` is null for a plain sum. Sign is 1 or -1.
Result<HistogramMerge> Combine(FloatHistogram* histogram, const FloatHistogram& other, double sign,
                               FloatHistogram* errors) {
  HistogramMerge merge;
  merge.counter_reset_collision = MergeHints(histogram, other.counter_reset_hint);
  const auto add = [&](double value, double* sum, double* error) {
    if (errors == nullptr) {
      *sum += sign * value;
    } else {
      KahanAdd(sign * value, sum, error);
    }
  };
  double unused = 0;
  if (!histogram->uses_custom_buckets()) {
    const Compensated zero = ReconcileZeroBuckets(histogram, other, errors);
    double* error = errors == nullptr ? &unused : &errors->zero_count;
    add(zero.value, &histogram->zero_count, error);
    if (errors != nullptr) add(zero.error, &histogram->zero_count, error);
  }
  add(other.count, &histogram->count, errors == nullptr ? &unused : &errors->count);
  add(other.sum, &histogram->sum, errors == nullptr ? &unused : &errors->sum);

  const Side positive{&histogram->positive_spans, &histogram->positive_buckets,
                      errors == nullptr ? nullptr : &errors->positive_buckets};
  const Side negative{&histogram->negative_spans, &histogram->negative_buckets,
                      errors == nullptr ? nullptr : &errors->negative_buckets};
  if (histogram->uses_custom_buckets()) {
    if (CustomBoundsMatch(histogram->custom_values, other.custom_values)) {
      AddSide(histogram->schema, 0, sign, positive, other.positive_spans, other.positive_buckets,
              nullptr);
    } else {
      merge.bounds_reconciled = true;
      AddCustomReconciled(histogram, other, sign, positive.errors);
    }
    return merge;
  }
  const FloatHistogram* addend = &other;
  FloatHistogram reduced;
  std::vector<double> positive_errors;
  std::vector<double> negative_errors;
  if (other.schema < histogram->schema) {
    for (const Side& side : {positive, negative}) {
      if (errors == nullptr) {
        ReduceSide(histogram->schema, other.schema, side.spans, side.buckets);
      } else {
        ReduceSideCompensated(histogram->schema, other.schema, side);
      }
    }
    histogram->schema = other.schema;
  } else if (other.schema > histogram->schema) {
    const auto add_reduced = [&](const Side& side, const std::vector<Span>& spans,
                                 const std::vector<double>& buckets) {
      return AddReducedSide(histogram->schema, other.schema, histogram->zero_threshold, sign, side,
                            spans, buckets);
    };
    const bool positive_done = add_reduced(positive, other.positive_spans, other.positive_buckets);
    const bool negative_done = add_reduced(negative, other.negative_spans, other.negative_buckets);
    if (positive_done && negative_done) return merge;
    reduced = other;
    // A side that is done has nothing to add any more.
    if (positive_done) ClearSide(&reduced.positive_spans, &reduced.positive_buckets);
    if (negative_done) ClearSide(&reduced.negative_spans, &reduced.negative_buckets);
    positive_errors.resize(reduced.positive_buckets.size());
    negative_errors.resize(reduced.negative_buckets.size());
    for (const Side& side :
         {Side{&reduced.positive_spans, &reduced.positive_buckets, &positive_errors},
          Side{&reduced.negative_spans, &reduced.negative_buckets, &negative_errors}}) {
      if (errors == nullptr) {
        ReduceSide(other.schema, histogram->schema, side.spans, side.buckets);
      } else {
        ReduceSideCompensated(other.schema, histogram->schema, side);
      }
    }
    addend = &reduced;
  }
  AddSide(histogram->schema, histogram->zero_threshold, sign, positive, addend->positive_spans,
          addend->positive_buckets,
          errors != nullptr && addend == &reduced ? &positive_errors : nullptr);
  AddSide(histogram->schema, histogram->zero_threshold, sign, negative, addend->negative_spans,
          addend->negative_buckets,
          errors != nullptr && addend == &reduced ? &negative_errors : nullptr);
  return merge;
}

}  // namespace

void KahanAdd(double value, double* sum, double* compensation) {
  const double total = *sum + value;
  if (std::isinf(total)) {
    *compensation = 0;
  } else if (std::abs(*sum) >= std::abs(value)) {
    *compensation += (*sum - total) + value;
  } else {
    *compensation += (value - total) + *sum;
  }
  *sum = total;
}

Result<HistogramMerge> AddHistogram(FloatHistogram* histogram, const FloatHistogram& other) {
  NARTHEX_RETURN_IF_ERROR(CheckCompatible(*histogram, other));
  return Combine(histogram, other, 1, nullptr);
}

Result<HistogramMerge> SubHistogram(FloatHistogram* histogram, const FloatHistogram& other) {
  NARTHEX_RETURN_IF_ERROR(CheckCompatible(*histogram, other));
  return Combine(histogram, other, -1, nullptr);
}

Result<HistogramMerge> KahanAddHistogram(FloatHistogram* histogram, const FloatHistogram& other,
                                         std::optional<FloatHistogram>* compensation) {
  NARTHEX_RETURN_IF_ERROR(CheckCompatible(*histogram, other));
  if (!compensation->has_value()) StartCompensation(*histogram, &compensation->emplace());
  FloatHistogram& errors = **compensation;
  // Terms and counts run in parallel; a caller that changed the histogram starts over.
  errors.positive_buckets.resize(histogram->positive_buckets.size());
  errors.negative_buckets.resize(histogram->negative_buckets.size());
  Result<HistogramMerge> merge = Combine(histogram, other, 1, &errors);
  errors.schema = histogram->schema;
  errors.zero_threshold = histogram->zero_threshold;
  errors.custom_values = histogram->custom_values;
  errors.positive_spans = histogram->positive_spans;
  errors.negative_spans = histogram->negative_spans;
  return merge;
}

namespace {

// One side of the difference; false, and nothing of use, where spans and counts do not fit or the
// other has buckets that are not here.
bool DifferenceOfSide(const std::vector<Span>& spans, const std::vector<double>& counts,
                      const std::vector<Span>& other_spans, const std::vector<double>& other_counts,
                      int32_t schema, double zero_threshold, std::vector<Span>* out_spans,
                      std::vector<double>* out_counts) {
  uint64_t wanted = 0;
  for (size_t i = 0; i < spans.size(); ++i) {
    if (i > 0 && spans[i].offset < 0) return false;
    wanted += spans[i].length;
  }
  if (wanted != counts.size()) return false;
  std::vector<double> spread;
  const double* other = other_counts.data();
  if (spans != other_spans || counts.size() != other_counts.size()) {
    const auto places = PlacesOf(other_spans, other_counts.size(), spans, counts.size());
    if (!places.has_value()) return false;
    spread.resize(counts.size());
    for (size_t i = 0; i < other_counts.size(); ++i) spread[(*places)[i]] = other_counts[i];
    other = spread.data();
  }
  // Leading buckets within the zero bucket belong to its count, as in AddSide.
  size_t skipped = 0;
  if (schema != kCustomBucketsSchema) {
    bool inside = true;
    ForEachBucket(spans, counts.size(), [&](int32_t index, size_t) {
      inside = inside && HistogramBound(index, schema, {}) <= zero_threshold;
      if (inside) ++skipped;
    });
  }
  const auto difference = [&](size_t i) { return i < skipped ? counts[i] : counts[i] - other[i]; };
  size_t populated = 0;
  for (size_t i = 0; i < counts.size(); ++i) populated += difference(i) != 0 ? 1 : 0;
  if (populated == 0) return true;
  SideBuilder<double> builder;
  builder.Reserve(populated, spans.size());
  ForEachBucket(spans, counts.size(), [&](int32_t index, size_t i) {
    if (const double count = difference(i); count != 0) builder.Append(index, count);
  });
  builder.MoveTo(out_spans, out_counts);
  return true;
}

}  // namespace

std::optional<FloatHistogram> CompactDifference(const FloatHistogram& histogram,
                                                const FloatHistogram& other) {
  const bool custom = histogram.uses_custom_buckets();
  if (histogram.schema != other.schema || histogram.zero_threshold != other.zero_threshold ||
      !CustomBoundsMatch(histogram.custom_values, other.custom_values) ||
      (custom && (!histogram.negative_buckets.empty() || !other.negative_buckets.empty()))) {
    return std::nullopt;
  }
  std::optional<FloatHistogram> result(std::in_place);
  if (!DifferenceOfSide(histogram.positive_spans, histogram.positive_buckets, other.positive_spans,
                        other.positive_buckets, histogram.schema, histogram.zero_threshold,
                        &result->positive_spans, &result->positive_buckets) ||
      !DifferenceOfSide(histogram.negative_spans, histogram.negative_buckets, other.negative_spans,
                        other.negative_buckets, histogram.schema, histogram.zero_threshold,
                        &result->negative_spans, &result->negative_buckets)) {
    return std::nullopt;
  }
  result->counter_reset_hint = CounterResetHint::kGauge;
  result->from_integer = histogram.from_integer;
  result->schema = histogram.schema;
  result->zero_threshold = histogram.zero_threshold;
  result->zero_count = custom ? histogram.zero_count : histogram.zero_count - other.zero_count;
  result->count = histogram.count - other.count;
  result->sum = histogram.sum - other.sum;
  result->custom_values = histogram.custom_values;
  return result;
}

void MulHistogram(FloatHistogram* histogram, double factor) {
  histogram->zero_count *= factor;
  histogram->count *= factor;
  histogram->sum *= factor;
  for (double& count : histogram->positive_buckets) count *= factor;
  for (double& count : histogram->negative_buckets) count *= factor;
  if (factor < 0) histogram->counter_reset_hint = CounterResetHint::kGauge;
}

void DivHistogram(FloatHistogram* histogram, double divisor) {
  histogram->zero_count /= divisor;
  histogram->count /= divisor;
  histogram->sum /= divisor;
  if (divisor == 0) {
    histogram->positive_spans.clear();
    histogram->negative_spans.clear();
    histogram->positive_buckets.clear();
    histogram->negative_buckets.clear();
    return;
  }
  for (double& count : histogram->positive_buckets) count /= divisor;
  for (double& count : histogram->negative_buckets) count /= divisor;
  if (divisor < 0) histogram->counter_reset_hint = CounterResetHint::kGauge;
}

// ---------------------------------------------------------------------------------------------
// Counter resets
// ---------------------------------------------------------------------------------------------

namespace {

using IndexedCounts = std::vector<std::pair<int32_t, double>>;

// The buckets of one side beyond the zero threshold, in a coarser (or the same) schema.
IndexedCounts BucketsBeyondZero(const FloatHistogram& histogram, bool positive,
                                double zero_threshold, int32_t schema) {
  const auto& spans = positive ? histogram.positive_spans : histogram.negative_spans;
  const auto& buckets = positive ? histogram.positive_buckets : histogram.negative_buckets;
  IndexedCounts counts;
  counts.reserve(buckets.size());
  bool inside_zero = zero_threshold != 0 && schema != kCustomBucketsSchema;
  ForEachBucket(spans, buckets.size(), [&](int32_t index, size_t i) {
    const int32_t target =
        schema == histogram.schema ? index : CoarserIndex(index, histogram.schema, schema);
    inside_zero = inside_zero && HistogramBound(target, schema, {}) <= zero_threshold;
    if (inside_zero) return;
    if (!counts.empty() && counts.back().first == target) {
      counts.back().second += buckets[i];
    } else {
      counts.emplace_back(target, buckets[i]);
    }
  });
  return counts;
}

bool SideWasReset(const IndexedCounts& current, const IndexedCounts& previous) {
  auto at = current.begin();
  for (const auto& [index, count] : previous) {
    while (at != current.end() && at->first < index) ++at;
    if (at != current.end() && at->first == index) {
      if (at->second < count) return true;
    } else if (count != 0) {
      return true;
    }
  }
  return false;
}

bool CustomWasReset(const FloatHistogram& current, const FloatHistogram& previous) {
  const std::vector<double> bounds = IntersectBounds(current.custom_values, previous.custom_values);
  std::vector<Compensated> now(bounds.size() + 1);
  std::vector<Compensated> before(bounds.size() + 1);
  MapToBounds(current.positive_spans, current.positive_buckets, nullptr, current.custom_values, 1,
              bounds, &now);
  MapToBounds(previous.positive_spans, previous.positive_buckets, nullptr, previous.custom_values,
              1, bounds, &before);
  for (size_t i = 0; i < now.size(); ++i) {
    if (now[i].value < before[i].value) return true;
  }
  return false;
}

bool SameLayout(const FloatHistogram& a, const FloatHistogram& b) {
  return a.schema == b.schema && a.zero_threshold == b.zero_threshold &&
         a.positive_spans == b.positive_spans && a.negative_spans == b.negative_spans &&
         a.positive_buckets.size() == b.positive_buckets.size() &&
         a.negative_buckets.size() == b.negative_buckets.size();
}

bool AnyFell(const std::vector<double>& current, const std::vector<double>& previous) {
  for (size_t i = 0; i < current.size(); ++i) {
    if (current[i] < previous[i]) return true;
  }
  return false;
}

}  // namespace

bool DetectReset(const FloatHistogram& current, const FloatHistogram& previous) {
  if (current.counter_reset_hint == CounterResetHint::kReset) return true;
  if (current.counter_reset_hint == CounterResetHint::kNotReset) return false;
  // Gauges are compared like counters: a function for counters may well be given one.
  if (current.count < previous.count) return true;
  if (current.uses_custom_buckets()) {
    if (!previous.uses_custom_buckets()) return true;
    if (!CustomBoundsMatch(current.custom_values, previous.custom_values)) {
      return CustomWasReset(current, previous);
    }
  } else if (previous.uses_custom_buckets()) {
    return true;
  }
  if (current.schema > previous.schema) return true;
  if (current.zero_threshold < previous.zero_threshold) return true;
  if (SameLayout(current, previous) && current.zero_threshold == 0) {
    return current.zero_count < previous.zero_count ||
           AnyFell(current.positive_buckets, previous.positive_buckets) ||
           AnyFell(current.negative_buckets, previous.negative_buckets);
  }
  const ZeroBucketSize zero = ZeroBucketFor(previous, current.zero_threshold);
  // A populated bucket cannot come to lie half inside the zero bucket without a reset.
  if (zero.threshold != current.zero_threshold) return true;
  if (current.zero_count < zero.count) return true;
  for (const bool positive : {true, false}) {
    if (SideWasReset(
            BucketsBeyondZero(current, positive, current.zero_threshold, current.schema),
            BucketsBeyondZero(previous, positive, current.zero_threshold, current.schema))) {
      return true;
    }
  }
  return false;
}

// ---------------------------------------------------------------------------------------------
// Layout
// ---------------------------------------------------------------------------------------------

ZeroBucketSize ZeroBucketFor(const FloatHistogram& histogram, double threshold) {
  double unused = 0;
  return GrowZeroBucket(histogram, std::max(threshold, histogram.zero_threshold), nullptr, &unused);
}

namespace {

// Whether compacting a side would change nothing: no empty bucket, and no span that is empty or
// continues the one before. So are nearly all histograms that are scraped.
bool SpansAreCompact(const std::vector<Span>& spans) {
  for (size_t i = 0; i < spans.size(); ++i) {
    if (spans[i].length == 0 || (i > 0 && spans[i].offset <= 0)) return false;
  }
  return true;
}

bool IsCompact(const std::vector<Span>& spans, const std::vector<int64_t>& deltas) {
  int64_t count = 0;
  for (const int64_t delta : deltas) {
    count = static_cast<int64_t>(static_cast<uint64_t>(count) + static_cast<uint64_t>(delta));
    if (count == 0) return false;
  }
  return SpansAreCompact(spans);
}

}  // namespace

void CompactHistogram(FloatHistogram* histogram, size_t empty_buckets_max) {
  CompactSide(&histogram->positive_spans, &histogram->positive_buckets, nullptr, empty_buckets_max);
  CompactSide(&histogram->negative_spans, &histogram->negative_buckets, nullptr, empty_buckets_max);
}

void CompactHistogram(Histogram* histogram, size_t empty_buckets_max) {
  for (const bool positive : {true, false}) {
    auto* buckets = positive ? &histogram->positive_buckets : &histogram->negative_buckets;
    const auto& spans = positive ? histogram->positive_spans : histogram->negative_spans;
    if (IsCompact(spans, *buckets)) continue;
    ToAbsolute(buckets);
    CompactSide(positive ? &histogram->positive_spans : &histogram->negative_spans, buckets,
                nullptr, empty_buckets_max);
    ToDeltas(buckets);
  }
}

namespace {

template <typename H>
Status CheckReduction(const H& histogram, int32_t schema) {
  if (histogram.uses_custom_buckets()) {
    return {ErrorCode::kInvalidInput, "cannot reduce resolution when there are custom buckets"};
  }
  if (schema == kCustomBucketsSchema) {
    return {ErrorCode::kInvalidInput, "cannot reduce resolution to custom buckets schema"};
  }
  if (schema >= histogram.schema) {
    return MakeError(ErrorCode::kInvalidInput, "cannot reduce resolution from schema {} to {}",
                     histogram.schema, schema);
  }
  NARTHEX_RETURN_IF_ERROR(
      CheckReducible(histogram.positive_spans, histogram.positive_buckets.size()));
  return CheckReducible(histogram.negative_spans, histogram.negative_buckets.size());
}

}  // namespace

Status ReduceResolution(FloatHistogram* histogram, int32_t schema) {
  NARTHEX_RETURN_IF_ERROR(CheckReduction(*histogram, schema));
  ReduceSide(histogram->schema, schema, &histogram->positive_spans, &histogram->positive_buckets);
  ReduceSide(histogram->schema, schema, &histogram->negative_spans, &histogram->negative_buckets);
  histogram->schema = schema;
  return {};
}

Status ReduceResolution(Histogram* histogram, int32_t schema) {
  NARTHEX_RETURN_IF_ERROR(CheckReduction(*histogram, schema));
  for (const bool positive : {true, false}) {
    auto* buckets = positive ? &histogram->positive_buckets : &histogram->negative_buckets;
    ToAbsolute(buckets);
    ReduceSide(histogram->schema, schema,
               positive ? &histogram->positive_spans : &histogram->negative_spans, buckets);
    ToDeltas(buckets);
  }
  histogram->schema = schema;
  return {};
}

Result<FloatHistogram> CopyToSchema(const FloatHistogram& histogram, int32_t schema) {
  FloatHistogram copy = histogram;
  if (schema != histogram.schema) NARTHEX_RETURN_IF_ERROR(ReduceResolution(&copy, schema));
  return copy;
}

}  // namespace narthex
