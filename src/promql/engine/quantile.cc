#include "promql/engine/quantile.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "model/float_histogram_ops.h"
#include "promql/engine/kahan.h"
#include "promql/engine/pattern_sort.h"
#include "util/go_math.h"

namespace narthex::promql {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
const double kNan = std::nan("");

// Differences of counts below this share are taken for rounding errors.
constexpr double kCountTolerance = 1e-12;

bool AlmostEqual(double a, double b) {
  if (a == b) return true;
  const double smallest = std::numeric_limits<double>::min();
  const double sum = std::abs(a) + std::abs(b);
  const double diff = std::abs(a - b);
  if (a == 0 || b == 0 || sum < smallest) return diff < kCountTolerance * smallest;
  return diff / std::min(sum, std::numeric_limits<double>::max()) < kCountTolerance;
}

// Sorts and joins buckets of equal bounds; nothing without a +Inf bucket. What is left behind the
// joined ones stays as it was: upstream's slice is cut there, and the next use of it sees the rest.
std::span<ClassicBucket> SortBuckets(std::vector<ClassicBucket>* buckets) {
  std::stable_sort(
      buckets->begin(), buckets->end(),
      [](const ClassicBucket& a, const ClassicBucket& b) { return a.upper_bound < b.upper_bound; });
  if (buckets->empty() || buckets->back().upper_bound != kInf) return {};
  size_t last = 0;
  for (size_t i = 1; i < buckets->size(); ++i) {
    const ClassicBucket bucket = (*buckets)[i];
    if (bucket.upper_bound == (*buckets)[last].upper_bound) {
      (*buckets)[last].count += bucket.count;
    } else {
      (*buckets)[++last] = bucket;
    }
  }
  return std::span(*buckets).first(last + 1);
}

void ForceMonotonic(std::span<ClassicBucket> buckets, BucketQuantileResult* result) {
  result->bucket_min = kInf;
  result->bucket_max = -kInf;
  double previous = buckets.front().count;
  for (ClassicBucket& bucket : buckets.subspan(1)) {
    if (bucket.count == previous) continue;
    if (AlmostEqual(previous, bucket.count)) {
      bucket.count = previous;
      result->repaired = true;
    } else if (bucket.count < previous) {
      result->forced_monotonic = true;
      result->repaired = true;
      result->bucket_min = std::min(result->bucket_min, bucket.upper_bound);
      result->bucket_max = std::max(result->bucket_max, bucket.upper_bound);
      result->diff_max = std::max(result->diff_max, previous - bucket.count);
      bucket.count = previous;
    } else {
      previous = bucket.count;
    }
  }
}

}  // namespace

double Quantile(double q, std::span<double> values) {
  if (values.empty() || std::isnan(q)) return kNan;
  if (q < 0) return -kInf;
  if (q > 1) return kInf;
  // Zeros of both signs are equal, but may change places in upstream's sort, and it shows.
  constexpr uint64_t kNegativeZero = uint64_t{1} << 63;
  const bool sorted = std::any_of(values.begin(), values.end(), [](double value) {
    return std::bit_cast<uint64_t>(value) == kNegativeZero;
  });
  if (sorted) PatternSort(values, [](double a, double b) { return std::isnan(a) || a < b; });
  const auto numbers = sorted ? values.end()
                              : std::partition(values.begin(), values.end(),
                                               [](double value) { return std::isnan(value); });
  const double n = static_cast<double>(values.size());
  const double rank = q * (n - 1);
  const double floor = std::floor(rank);
  const double low = std::max(0.0, floor);
  const double high = std::min(n - 1, low + 1);
  const double weight = rank - floor;
  // Two neighbours in order are all that is needed, so nothing is sorted: the lower one is put into
  // its place, and the other is the least of what lies behind.
  const auto low_at = values.begin() + static_cast<std::ptrdiff_t>(low);
  if (low_at >= numbers) std::nth_element(numbers, low_at, values.end());
  const double low_value = *low_at;
  if (weight == 0) return low_value;
  const auto high_at = values.begin() + static_cast<std::ptrdiff_t>(high);
  const double high_value = high_at == low_at ? low_value
                            : high_at < numbers
                                ? *high_at
                                : *std::min_element(std::max(high_at, numbers), values.end());
  return low_value * (1 - weight) + high_value * weight;
}

BucketQuantileResult BucketQuantile(double q, std::vector<ClassicBucket>* all) {
  BucketQuantileResult result;
  result.value = kNan;
  if (std::isnan(q)) return result;
  if (q < 0 || q > 1) {
    result.value = q < 0 ? -kInf : kInf;
    return result;
  }
  const std::span<ClassicBucket> buckets = SortBuckets(all);
  if (buckets.empty()) return result;
  result.repaired = buckets.size() < all->size();
  ForceMonotonic(buckets, &result);
  const size_t size = buckets.size();
  if (size < 2) return result;
  const double observations = buckets.back().count;
  if (observations == 0) return result;
  double rank = q * observations;
  // The first bucket, leaving the last out, that reaches the rank (NaN counts reach none).
  const auto found =
      std::partition_point(buckets.begin(), buckets.end() - 1,
                           [rank](const ClassicBucket& bucket) { return !(bucket.count >= rank); });
  const size_t b = static_cast<size_t>(found - buckets.begin());
  if (b == size - 1) {
    result.value = buckets[size - 2].upper_bound;
    return result;
  }
  if (b == 0 && buckets[0].upper_bound <= 0) {
    result.value = buckets[0].upper_bound;
    return result;
  }
  double start = 0;
  const double end = buckets[b].upper_bound;
  double count = buckets[b].count;
  if (b > 0) {
    start = buckets[b - 1].upper_bound;
    count -= buckets[b - 1].count;
    rank -= buckets[b - 1].count;
  }
  result.value = start + (end - start) * (rank / count);
  return result;
}

double BucketFraction(double lower, double upper, std::vector<ClassicBucket>* all) {
  const std::span<ClassicBucket> buckets = SortBuckets(all);
  if (buckets.empty()) return kNan;
  const double count = buckets.back().count;
  if (count == 0 || std::isnan(lower) || std::isnan(upper)) return kNan;
  if (lower >= upper) return 0;
  // How many observations lie below `bound`.
  const auto rank_of = [&](double bound) {
    double rank = 0;
    double start = buckets.front().upper_bound <= 0 ? -kInf : 0;
    for (const ClassicBucket& bucket : buckets) {
      if (start >= bound) return rank;
      const double end = bucket.upper_bound;
      if (end > bound) {
        // No interpolation in a bucket without a lower end; above, the width is infinite and the
        // term vanishes.
        if (start == -kInf) return bucket.count;
        return rank + (bucket.count - rank) * (bound - start) / (end - start);
      }
      rank = bucket.count;
      start = end;
    }
    return count;
  };
  const double low = rank_of(lower);
  const double high = rank_of(upper);
  return ((high > count ? count : high) - (low > count ? count : low)) / count;
}

double HistogramQuantile(double q, const FloatHistogram& histogram, std::string_view metric,
                         PositionRange position, Annotations* annotations) {
  if (q < 0) return -kInf;
  if (q > 1) return kInf;
  if (histogram.count == 0 || std::isnan(q)) return kNan;
  // NaN observations are in the count but in no bucket, so only the way up counts right. Else the
  // upper half is walked from the top, where fewer buckets add up fewer errors.
  const bool nan_sum = std::isnan(histogram.sum);
  const bool forward = nan_sum || q < 0.5;
  BucketIterator it(histogram, forward ? BucketOrder::kAll : BucketOrder::kAllReverse);
  double rank = (forward ? q : 1 - q) * histogram.count;
  HistogramBucket bucket;
  double count = 0;
  while (it.Next()) {
    bucket = it.bucket();
    if (bucket.count == 0) continue;
    count += bucket.count;
    if (count >= rank) break;
  }
  const bool custom = histogram.uses_custom_buckets();
  if (!custom && bucket.lower < 0 && bucket.upper > 0) {
    // The zero bucket of a one-sided histogram ends at zero.
    if (histogram.negative_buckets.empty() && !histogram.positive_buckets.empty()) {
      bucket.lower = 0;
    } else if (histogram.positive_buckets.empty() && !histogram.negative_buckets.empty()) {
      bucket.upper = 0;
    }
  } else if (custom) {
    if (bucket.lower == -kInf) {
      if (bucket.upper <= 0) return bucket.upper;
      bucket.lower = 0;
    } else if (bucket.upper == kInf) {
      return bucket.lower;
    }
  }
  count = std::min(count, histogram.count);
  if (count < rank) {
    if (!nan_sum) return bucket.upper;
    annotations->Info(
        "input to histogram_quantile has NaN observations, result is NaN" + ForMetric(metric),
        position);
    return kNan;
  }
  rank = forward ? rank - (count - bucket.count) : count - rank;
  if (nan_sum) {
    while (it.Next()) count += it.bucket().count;
    if (count < histogram.count) {
      annotations->Info(
          "input to histogram_quantile has NaN observations, result is skewed higher" +
              ForMetric(metric),
          position);
    }
  }
  const double fraction = rank / bucket.count;
  if (custom || (bucket.lower <= 0 && bucket.upper >= 0)) {
    return bucket.lower + (bucket.upper - bucket.lower) * fraction;
  }
  // On the logarithmic scale exponential buckets are equally wide.
  const double log_lower = go::Log2(std::abs(bucket.lower));
  const double log_upper = go::Log2(std::abs(bucket.upper));
  if (bucket.lower > 0) return go::Exp2(log_lower + (log_upper - log_lower) * fraction);
  return -go::Exp2(log_upper + (log_lower - log_upper) * (1 - fraction));
}

double HistogramFraction(double lower, double upper, const FloatHistogram& histogram,
                         std::string_view metric, PositionRange position,
                         Annotations* annotations) {
  if (histogram.count == 0 || std::isnan(lower) || std::isnan(upper)) return kNan;
  if (lower >= upper) return 0;
  const bool custom = histogram.uses_custom_buckets();
  double count = 0;
  double rank = 0;
  // How many observations lie below each bound, once known.
  struct Bound {
    double at;
    double rank = 0;
    bool set = false;
  };
  Bound bounds[2] = {{lower}, {upper}};
  BucketIterator it(histogram, BucketOrder::kAll);
  while (!(bounds[0].set && bounds[1].set) && it.Next()) {
    HistogramBucket bucket = it.bucket();
    count += bucket.count;
    bool zero_bucket = false;
    if (custom) {
      if (bucket.lower == -kInf && bucket.upper > 0) bucket.lower = 0;
    } else if (bucket.lower <= 0 && bucket.upper >= 0) {
      zero_bucket = true;
      if (histogram.negative_buckets.empty() && !histogram.positive_buckets.empty()) {
        bucket.lower = 0;
      } else if (histogram.positive_buckets.empty() && !histogram.negative_buckets.empty()) {
        bucket.upper = 0;
      }
    }
    const bool linear = custom || zero_bucket;
    for (Bound& bound : bounds) {
      if (bound.set) continue;
      if (bucket.lower >= bound.at) {
        bound.rank = rank;
        bound.set = true;
      } else if (bucket.upper > bound.at) {
        bound.rank = linear && bucket.lower == -kInf
                         ? bucket.count
                         : rank + bucket.count * FractionBelow(bucket, bound.at, linear);
        bound.set = true;
      }
    }
    rank += bucket.count;
  }
  if (std::isnan(histogram.sum)) {
    while (it.Next()) count += it.bucket().count;
    if (count < histogram.count) {
      annotations->Info(
          "input to histogram_fraction has NaN observations, which are excluded from all "
          "fractions" +
              ForMetric(metric),
          position);
    }
  } else {
    count = histogram.count;
  }
  for (Bound& bound : bounds) {
    if (!bound.set || bound.rank > count) bound.rank = count;
  }
  return (bounds[1].rank - bounds[0].rank) / histogram.count;
}

double HistogramVariance(const FloatHistogram& histogram) {
  const double mean = histogram.sum / histogram.count;
  double variance = 0;
  double c = 0;
  for (BucketIterator it(histogram, BucketOrder::kAll); it.Next();) {
    const HistogramBucket& bucket = it.bucket();
    if (bucket.count == 0) continue;
    double middle = 0;
    if (histogram.uses_custom_buckets()) {
      middle = (bucket.upper + bucket.lower) / 2;
    } else if (!(bucket.lower <= 0 && bucket.upper >= 0)) {
      middle = std::sqrt(bucket.upper * bucket.lower);
      if (bucket.upper < 0) middle = -middle;
    }
    const double delta = middle - mean;
    KahanInc(bucket.count * delta * delta, &variance, &c);
  }
  return (variance + c) / histogram.count;
}

}  // namespace narthex::promql
