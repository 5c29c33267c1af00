// Bounds, bucket iterators and the interpolation of single buckets.
#include <algorithm>
#include <cmath>
#include <limits>

#include "model/exponential_bounds.h"
#include "model/float_histogram_ops.h"
#include "util/go_math.h"
#include "util/numbers.h"

namespace narthex {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The exponent of the bound that would be 2^1024: it stands for the largest finite number, since
// the bucket beyond it holds the infinities.
constexpr int64_t kOverflowExponent = 1024;

// Indices of hostile input may lie at the ends of their range.
int32_t Moved(int32_t index, int64_t by) {
  return static_cast<int32_t>(int64_t{index} + by);
}

void SetBounds(const FloatHistogram& histogram, bool positive, HistogramBucket* bucket) {
  const double far = HistogramBound(bucket->index, histogram.schema, histogram.custom_values);
  const double near =
      HistogramBound(Moved(bucket->index, -1), histogram.schema, histogram.custom_values);
  bucket->lower = positive ? near : -far;
  bucket->upper = positive ? far : -near;
  if (histogram.uses_custom_buckets()) {
    bucket->lower_inclusive = bucket->index == 0;
    bucket->upper_inclusive = true;
  } else {
    bucket->lower_inclusive = bucket->lower < 0;
    bucket->upper_inclusive = bucket->upper > 0;
  }
}

}  // namespace

double ExponentialBound(int32_t index, int32_t schema) {
  int64_t exponent = 0;
  double fraction = 1;
  if (schema <= 0) {
    exponent = int64_t{index} << std::min(-schema, 30);
  } else {
    exponent = int64_t{index} >> schema;
    const int64_t step = kBoundsPerPowerOfTwo >> schema;
    fraction = 2 * kSchema8Bounds[(index & ((1 << schema) - 1)) * step];
  }
  if (fraction == 1 && exponent == kOverflowExponent) return std::numeric_limits<double>::max();
  return std::ldexp(fraction, static_cast<int>(std::clamp<int64_t>(exponent, -100'000, 100'000)));
}

double HistogramBound(int32_t index, int32_t schema, std::span<const double> custom_values) {
  if (schema != kCustomBucketsSchema) {
    return ExponentialBound(index,
                            std::clamp(schema, kExponentialSchemaMin, kExponentialSchemaMax));
  }
  if (index < 0) return -kInfinity;
  return static_cast<size_t>(index) < custom_values.size()
             ? custom_values[static_cast<size_t>(index)]
             : kInfinity;
}

HistogramBucket ZeroBucket(const FloatHistogram& histogram) {
  return {-histogram.zero_threshold, histogram.zero_threshold, true, true, histogram.zero_count, 0};
}

BucketIterator::SideCursor BucketIterator::MakeCursor(bool positive, bool reverse) const {
  SideCursor cursor;
  cursor.spans = positive ? &histogram_->positive_spans : &histogram_->negative_spans;
  cursor.buckets = positive ? &histogram_->positive_buckets : &histogram_->negative_buckets;
  cursor.positive = positive;
  cursor.reverse = reverse;
  if (!reverse) {
    cursor.index = cursor.spans->empty() ? 0 : cursor.spans->front().offset;
    return cursor;
  }
  cursor.span = static_cast<int64_t>(cursor.spans->size()) - 1;
  cursor.bucket = static_cast<int64_t>(cursor.buckets->size()) - 1;
  if (cursor.span >= 0) cursor.in_span = int64_t{cursor.spans->back().length} - 1;
  int64_t end = 0;
  for (const Span& span : *cursor.spans) end += int64_t{span.offset} + span.length;
  cursor.index = static_cast<int32_t>(end - 1);
  return cursor;
}

BucketIterator::BucketIterator(const FloatHistogram& histogram, BucketOrder order)
    : histogram_(&histogram) {
  switch (order) {
    case BucketOrder::kPositive: first_ = MakeCursor(true, false); break;
    case BucketOrder::kNegative: first_ = MakeCursor(false, false); break;
    case BucketOrder::kPositiveReverse: first_ = MakeCursor(true, true); break;
    case BucketOrder::kNegativeReverse: first_ = MakeCursor(false, true); break;
    case BucketOrder::kAll:
      all_ = true;
      first_ = MakeCursor(false, true);
      second_ = MakeCursor(true, false);
      break;
    case BucketOrder::kAllReverse:
      all_ = true;
      first_ = MakeCursor(true, true);
      second_ = MakeCursor(false, false);
      break;
  }
}

bool BucketIterator::NextOf(SideCursor* cursor) {
  const std::vector<Span>& spans = *cursor->spans;
  const auto span_count = static_cast<int64_t>(spans.size());
  if (cursor->reverse) {
    if (cursor->bucket < 0 || cursor->span < 0) return false;
    while (cursor->in_span < 0) {
      // Spans of length zero are legal, hence the loop.
      cursor->index =
          Moved(cursor->index, -int64_t{spans[static_cast<size_t>(cursor->span)].offset});
      if (--cursor->span < 0) return false;
      cursor->in_span = int64_t{spans[static_cast<size_t>(cursor->span)].length} - 1;
    }
  } else {
    if (cursor->bucket >= static_cast<int64_t>(cursor->buckets->size())) return false;
    if (cursor->span >= span_count) return false;
    while (cursor->in_span >= spans[static_cast<size_t>(cursor->span)].length) {
      if (++cursor->span >= span_count) return false;
      cursor->in_span = 0;
      cursor->index = Moved(cursor->index, spans[static_cast<size_t>(cursor->span)].offset);
    }
  }
  bucket_.index = cursor->index;
  bucket_.count = (*cursor->buckets)[static_cast<size_t>(cursor->bucket)];
  SetBounds(*histogram_, cursor->positive, &bucket_);
  const int step = cursor->reverse ? -1 : 1;
  cursor->index = Moved(cursor->index, step);
  cursor->in_span += step;
  cursor->bucket += step;
  return true;
}

void BucketIterator::CutAtZeroThreshold() {
  const double threshold = histogram_->zero_threshold;
  if (bucket_.upper < 0 && bucket_.upper > -threshold) {
    bucket_.upper = -threshold;
  } else if (bucket_.lower > 0 && bucket_.lower < threshold) {
    bucket_.lower = threshold;
  }
}

bool BucketIterator::Next() {
  if (!all_) return NextOf(&first_);
  if (state_ == State::kFirst) {
    if (NextOf(&first_)) {
      CutAtZeroThreshold();
      return true;
    }
    state_ = State::kZero;
  }
  if (state_ == State::kZero) {
    state_ = State::kSecond;
    if (histogram_->zero_count > 0) {
      bucket_ = ZeroBucket(*histogram_);
      return true;
    }
  }
  if (state_ == State::kSecond) {
    if (NextOf(&second_)) {
      CutAtZeroThreshold();
      return true;
    }
    state_ = State::kDone;
  }
  return false;
}

double FractionBelow(const HistogramBucket& bucket, double value, bool linear) {
  if (linear) return (value - bucket.lower) / (bucket.upper - bucket.lower);
  const double log_lower = go::Log2(std::abs(bucket.lower));
  const double log_upper = go::Log2(std::abs(bucket.upper));
  const double log_value = go::Log2(std::abs(value));
  if (value > 0) return (log_value - log_lower) / (log_upper - log_lower);
  return 1 - (log_value - log_upper) / (log_lower - log_upper);
}

// ---------------------------------------------------------------------------------------------
// Trimming
// ---------------------------------------------------------------------------------------------

namespace {

// What stays of a bucket, and the value that each observation in it is taken to have.
struct Kept {
  double count = 0;
  double midpoint = 0;
};

double FiniteOrZero(double v) {
  return std::isinf(v) ? 0 : v;
}

double Midpoint(double lower, double upper, bool positive, bool linear) {
  if (std::isinf(lower)) {
    if (std::isinf(upper)) return 0;
    return upper > 0 ? upper / 2 : upper;
  }
  if (std::isinf(upper)) return lower;
  if (linear) return (lower + upper) / 2;
  const double mean = std::sqrt(std::abs(lower * upper));
  return positive ? mean : -mean;
}

// Of buckets that reach to an infinity the distribution is unknown: where the cut falls inside they
// go as a whole, but for custom buckets that may be taken to start at 0.
Kept TrimInfiniteBucket(const HistogramBucket& bucket, double bound, TrimSide side) {
  const bool finite_positive_upper = bucket.upper > 0 && !std::isinf(bucket.upper);
  if (std::isinf(bucket.lower) && bucket.lower < 0) {
    if (side == TrimSide::kUpper) {
      if (bound >= bucket.upper) return {bucket.count, 0};
      if (bound > 0 && finite_positive_upper) {
        return {bucket.count * bound / bucket.upper, bound / 2};
      }
      if (bucket.upper <= 0) return {bucket.count, bound};
      return {0, FiniteOrZero(bucket.upper)};
    }
    if (bound <= bucket.lower) return {bucket.count, 0};
    if (bound >= 0 && bucket.upper > bound && !std::isinf(bucket.upper)) {
      return {bucket.count * (1 - bound / bucket.upper), (bound + bucket.upper) / 2};
    }
    return {0, FiniteOrZero(bucket.upper)};
  }
  if (side == TrimSide::kUpper) return {0, FiniteOrZero(bucket.lower)};
  if (bound >= bucket.lower) return {bucket.count, bound};
  return {0, FiniteOrZero(bucket.lower)};
}

Kept TrimBucket(const HistogramBucket& bucket, double bound, TrimSide side, bool positive,
                bool linear) {
  const bool upper = side == TrimSide::kUpper;
  if (upper ? bucket.upper <= bound : bucket.lower >= bound) {
    return {bucket.count, Midpoint(bucket.lower, bucket.upper, positive, linear)};
  }
  if (!(upper ? bucket.lower < bound : bucket.upper > bound)) return {};
  if ((std::isinf(bucket.lower) && bucket.lower < 0) ||
      (std::isinf(bucket.upper) && bucket.upper > 0)) {
    return TrimInfiniteBucket(bucket, bound, side);
  }
  double below = 0;
  if (bound >= bucket.upper) {
    below = bucket.count;
  } else if (bound > bucket.lower) {
    below = bucket.count * FractionBelow(bucket, bound, linear);
  }
  if (upper) return {below, Midpoint(bucket.lower, bound, positive, linear)};
  return {bucket.count - below, Midpoint(bound, bucket.upper, positive, linear)};
}

Kept TrimZeroBucket(const HistogramBucket& zero, double bound, TrimSide side, bool has_negative,
                    bool has_positive) {
  // A histogram with observations on one side only is taken to have its zeros there as well.
  const double lower = has_positive && !has_negative ? 0 : zero.lower;
  const double upper = has_negative && !has_positive ? 0 : zero.upper;
  const Kept all{zero.count, (lower + upper) / 2};
  if (side == TrimSide::kUpper) {
    if (bound <= lower) return {};
    if (bound >= upper) return all;
    return {zero.count * ((bound - lower) / (upper - lower)), (lower + bound) / 2};
  }
  if (bound <= lower) return all;
  if (bound >= upper) return {};
  return {zero.count * ((upper - bound) / (upper - lower)), (bound + upper) / 2};
}

}  // namespace

void TrimBuckets(FloatHistogram* histogram, double bound, TrimSide side) {
  double count = 0;
  double sum = 0;
  bool changed = false;
  const bool linear = histogram->uses_custom_buckets();
  const auto trim_side = [&](bool positive) {
    bool populated = false;
    std::vector<double>& buckets =
        positive ? histogram->positive_buckets : histogram->negative_buckets;
    BucketIterator it(*histogram, positive ? BucketOrder::kPositive : BucketOrder::kNegative);
    for (size_t i = 0; it.Next(); ++i) {
      if (it.bucket().count == 0) continue;
      populated = true;
      const Kept kept = TrimBucket(it.bucket(), bound, side, positive, linear);
      count += kept.count;
      sum += kept.midpoint * kept.count;
      changed = changed || buckets[i] != kept.count;
      buckets[i] = kept.count;
    }
    return populated;
  };
  const bool has_positive = trim_side(/*positive=*/true);
  const bool has_negative = trim_side(/*positive=*/false);
  if (histogram->zero_count > 0) {
    const Kept kept =
        TrimZeroBucket(ZeroBucket(*histogram), bound, side, has_negative, has_positive);
    changed = changed || histogram->zero_count != kept.count;
    histogram->zero_count = kept.count;
    count += kept.count;
    sum += kept.midpoint * kept.count;
  }
  if (!changed) return;
  // The sum is an estimate once something was cut; untouched histograms keep theirs.
  histogram->count = count;
  histogram->sum = sum;
  CompactHistogram(histogram, 0);
}

}  // namespace narthex
