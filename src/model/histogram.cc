#include "model/histogram.h"

#include <cmath>
#include <limits>
#include <span>
#include <string_view>

#include "model/float_histogram_ops.h"
#include "util/numbers.h"

namespace narthex {
namespace {

constexpr std::string_view kNegativeOffset = "histogram has a span whose offset is negative";
constexpr std::string_view kSpansMismatch =
    "histogram spans specify different number of buckets than provided";
constexpr std::string_view kIndexOutOfRange =
    "histogram has a span whose bucket index is out of range";
constexpr std::string_view kNegativeBucket =
    "histogram has a bucket whose observation count is negative";

Status Invalid(std::string message) {
  return {ErrorCode::kInvalidInput, std::move(message)};
}

Status CheckBucketTotal(uint64_t wanted, size_t have) {
  if (wanted == have) return {};
  return MakeError(ErrorCode::kInvalidInput, "spans need {} buckets, have {} buckets: {}", wanted,
                   have, kSpansMismatch);
}

// Bucket indices are 32 bits wide; offsets must not add up to more.
Status CheckSpans(const std::vector<Span>& spans, size_t bucket_count) {
  uint64_t wanted = 0;
  int64_t end = 0;
  for (size_t i = 0; i < spans.size(); ++i) {
    const Span& span = spans[i];
    if (i > 0 && span.offset < 0) {
      return MakeError(ErrorCode::kInvalidInput, "span number {} with offset {}: {}", i + 1,
                       span.offset, kNegativeOffset);
    }
    if (i == 0 && span.offset == std::numeric_limits<int32_t>::min()) {
      return MakeError(ErrorCode::kInvalidInput, "span number 1 starts at bucket index {}: {}",
                       span.offset, kIndexOutOfRange);
    }
    wanted += span.length;
    end += int64_t{span.offset} + span.length;
    if (end - 1 > std::numeric_limits<int32_t>::max()) {
      return MakeError(ErrorCode::kInvalidInput, "span number {} ends at bucket index {}: {}",
                       i + 1, end - 1, kIndexOutOfRange);
    }
  }
  return CheckBucketTotal(wanted, bucket_count);
}

Status CheckCustomBounds(const std::vector<double>& bounds, const std::vector<Span>& spans,
                         size_t bucket_count) {
  for (size_t i = 0; i < bounds.size(); ++i) {
    if (std::isnan(bounds[i])) return Invalid("histogram custom bounds must not be NaN");
    if (i > 0 && bounds[i] <= bounds[i - 1]) {
      return MakeError(ErrorCode::kInvalidInput,
                       "previous bound is {} and current is {}: histogram custom bounds must be in "
                       "strictly increasing order",
                       FormatFloatFPrecision(bounds[i - 1], 6),
                       FormatFloatFPrecision(bounds[i], 6));
    }
  }
  if (!bounds.empty() && std::isinf(bounds.back()) && bounds.back() > 0) {
    return Invalid(
        "last +Inf bound must not be explicitly defined: histogram custom bounds must be finite");
  }
  uint64_t wanted = 0;
  uint64_t total = 0;
  for (size_t i = 0; i < spans.size(); ++i) {
    if (spans[i].offset < 0) {
      return MakeError(ErrorCode::kInvalidInput, "span number {} with offset {}: {}", i + 1,
                       spans[i].offset, kNegativeOffset);
    }
    wanted += spans[i].length;
    total += uint64_t{spans[i].length} + static_cast<uint32_t>(spans[i].offset);
  }
  NARTHEX_RETURN_IF_ERROR(CheckBucketTotal(wanted, bucket_count));
  if (bounds.size() + 1 < total) {
    return MakeError(ErrorCode::kInvalidInput,
                     "only {} custom bounds defined which is insufficient to cover total span "
                     "length of {}: histogram custom bounds are too few",
                     bounds.size(), total);
  }
  return {};
}

std::string CountText(uint64_t count) {
  return std::to_string(count);
}

// Integer buckets are deltas; `total` grows by the absolute counts.
Status CheckBuckets(const std::vector<int64_t>& buckets, uint64_t* total) {
  int64_t count = 0;
  for (size_t i = 0; i < buckets.size(); ++i) {
    // The sum wraps like upstream's: hostile input may overflow it.
    count = static_cast<int64_t>(static_cast<uint64_t>(count) + static_cast<uint64_t>(buckets[i]));
    if (count < 0) {
      return MakeError(ErrorCode::kInvalidInput, "bucket number {} has observation count of {}: {}",
                       i + 1, count, kNegativeBucket);
    }
    *total += static_cast<uint64_t>(count);
  }
  return {};
}

Status CheckBuckets(const std::vector<double>& buckets) {
  for (size_t i = 0; i < buckets.size(); ++i) {
    if (buckets[i] < 0) {
      return MakeError(ErrorCode::kInvalidInput, "bucket number {} has observation count of {}: {}",
                       i + 1, FormatFloatG(buckets[i]), kNegativeBucket);
    }
  }
  return {};
}

// What only the layout decides, alike for both kinds of histogram.
template <typename H>
Status CheckCustomLayout(const H& histogram) {
  NARTHEX_RETURN_IF_ERROR(CheckCustomBounds(histogram.custom_values, histogram.positive_spans,
                                            histogram.positive_buckets.size())
                              .WithPrefix("custom buckets: "));
  if (histogram.zero_count != 0) return Invalid("custom buckets: must have zero count of 0");
  if (histogram.zero_threshold != 0) {
    return Invalid("custom buckets: must have zero threshold of 0");
  }
  if (!histogram.negative_spans.empty()) {
    return Invalid("custom buckets: must not have negative spans");
  }
  if (!histogram.negative_buckets.empty()) {
    return Invalid("custom buckets: must not have negative buckets");
  }
  return {};
}

template <typename H>
Status CheckExponentialSpans(const H& histogram) {
  if (histogram.schema < kExponentialSchemaMin || histogram.schema > kExponentialSchemaMax) {
    return MakeError(ErrorCode::kInvalidInput,
                     "histogram has an invalid schema, which must be between {} and {} for "
                     "exponential buckets, or {} for custom buckets, got schema {}",
                     kExponentialSchemaMin, kExponentialSchemaMax, kCustomBucketsSchema,
                     histogram.schema);
  }
  NARTHEX_RETURN_IF_ERROR(CheckSpans(histogram.positive_spans, histogram.positive_buckets.size())
                              .WithPrefix("positive side: "));
  return CheckSpans(histogram.negative_spans, histogram.negative_buckets.size())
      .WithPrefix("negative side: ");
}

constexpr std::string_view kExponentialWithBounds =
    "histogram with exponential schema must not have custom bounds";

// Absolute counts of one side, outwards from zero.
std::vector<std::pair<int32_t, uint64_t>> AbsoluteCounts(const std::vector<Span>& spans,
                                                         const std::vector<int64_t>& deltas) {
  std::vector<std::pair<int32_t, uint64_t>> counts;
  int64_t index = 0;
  int64_t count = 0;
  size_t bucket = 0;
  for (const Span& span : spans) {
    index += span.offset;
    for (uint32_t i = 0; i < span.length && bucket < deltas.size(); ++i, ++index) {
      // Wraps like upstream's sum: printing must survive what validation refuses.
      count = static_cast<int64_t>(static_cast<uint64_t>(count) +
                                   static_cast<uint64_t>(deltas[bucket++]));
      counts.emplace_back(static_cast<int32_t>(index), static_cast<uint64_t>(count));
    }
  }
  return counts;
}

std::string BoundsText(double lower, double upper, bool lower_inclusive, bool upper_inclusive) {
  return fmt::format("{}{},{}{}", lower_inclusive ? '[' : '(', FormatFloatG(lower),
                     FormatFloatG(upper), upper_inclusive ? ']' : ')');
}

}  // namespace

std::string BucketToString(const HistogramBucket& bucket) {
  return BoundsText(bucket.lower, bucket.upper, bucket.lower_inclusive, bucket.upper_inclusive) +
         ":" + FormatFloatG(bucket.count);
}

FloatHistogram Histogram::ToFloat() const {
  FloatHistogram out;
  out.counter_reset_hint = counter_reset_hint;
  out.from_integer = true;
  out.schema = schema;
  out.count = static_cast<double>(count);
  out.sum = sum;
  const auto absolute = [](const std::vector<int64_t>& deltas) {
    std::vector<double> counts;
    counts.reserve(deltas.size());
    double current = 0;
    for (const int64_t delta : deltas) counts.push_back(current += static_cast<double>(delta));
    return counts;
  };
  if (uses_custom_buckets()) {
    out.custom_values = custom_values;
  } else {
    out.zero_threshold = zero_threshold;
    out.zero_count = static_cast<double>(zero_count);
    out.negative_spans = negative_spans;
    out.negative_buckets = absolute(negative_buckets);
  }
  out.positive_spans = positive_spans;
  out.positive_buckets = absolute(positive_buckets);
  return out;
}

Status Histogram::Validate() const {
  uint64_t total = 0;
  if (uses_custom_buckets()) {
    NARTHEX_RETURN_IF_ERROR(CheckCustomLayout(*this));
  } else {
    NARTHEX_RETURN_IF_ERROR(CheckExponentialSpans(*this));
    NARTHEX_RETURN_IF_ERROR(CheckBuckets(negative_buckets, &total).WithPrefix("negative side: "));
    if (!custom_values.empty()) return Invalid(std::string(kExponentialWithBounds));
  }
  NARTHEX_RETURN_IF_ERROR(CheckBuckets(positive_buckets, &total).WithPrefix("positive side: "));
  total += zero_count;
  // Observations of NaN are counted and summed, but belong to no bucket.
  const bool has_nan = std::isnan(sum);
  if (has_nan ? total <= count : total == count) return {};
  return MakeError(
      ErrorCode::kInvalidInput, "{} observations found in buckets, but the Count field is {}: {}",
      total, count,
      has_nan
          ? "histogram's observation count should be at least the number of observations found "
            "in the buckets"
          : "histogram's observation count should equal the number of observations found in the "
            "buckets (in absence of NaN)");
}

Status FloatHistogram::Validate() const {
  if (uses_custom_buckets()) {
    NARTHEX_RETURN_IF_ERROR(CheckCustomLayout(*this));
  } else {
    NARTHEX_RETURN_IF_ERROR(CheckExponentialSpans(*this));
    NARTHEX_RETURN_IF_ERROR(CheckBuckets(negative_buckets).WithPrefix("negative side: "));
    if (zero_count < 0) {
      return MakeError(ErrorCode::kInvalidInput, "zero bucket has observation count of {}: {}",
                       FormatFloatG(zero_count), kNegativeBucket);
    }
    if (!custom_values.empty()) return Invalid(std::string(kExponentialWithBounds));
  }
  if (count < 0) {
    // The two spaces are upstream's.
    return MakeError(ErrorCode::kInvalidInput,
                     "observation count is  {}: histogram's observation count is negative",
                     FormatFloatG(count));
  }
  return CheckBuckets(positive_buckets).WithPrefix("positive side: ");
}

// Integer counts may exceed what a double holds exactly, so this does not go by ToFloat().
std::string Histogram::ToString() const {
  std::string out = fmt::format("{{count:{}, sum:{}", count, FormatFloatG(sum));
  const auto append = [&](int32_t index, uint64_t bucket_count, bool positive) {
    if (bucket_count == 0) return;
    double near = HistogramBound(static_cast<int32_t>(int64_t{index} - 1), schema, custom_values);
    double far = HistogramBound(index, schema, custom_values);
    const bool custom = uses_custom_buckets();
    if (!positive) {
      near = -near;
      far = -far;
      std::swap(near, far);
    }
    out += ", " + BoundsText(near, far, custom ? index == 0 : near < 0, custom || far > 0) + ":" +
           CountText(bucket_count);
  };
  const auto negative = AbsoluteCounts(negative_spans, negative_buckets);
  for (auto it = negative.rbegin(); it != negative.rend(); ++it) {
    append(it->first, it->second, /*positive=*/false);
  }
  if (zero_count != 0) {
    out += ", " + BoundsText(-zero_threshold, zero_threshold, true, true) + ":" +
           CountText(zero_count);
  }
  for (const auto& [index, bucket_count] : AbsoluteCounts(positive_spans, positive_buckets)) {
    append(index, bucket_count, /*positive=*/true);
  }
  return out + "}";
}

std::string FloatHistogram::ToString() const {
  std::string out = fmt::format("{{count:{}, sum:{}", FormatFloatG(count), FormatFloatG(sum));
  const auto append_side = [&](BucketOrder order) {
    BucketIterator it(*this, order);
    while (it.Next()) {
      if (it.bucket().count != 0) out += ", " + BucketToString(it.bucket());
    }
  };
  append_side(BucketOrder::kNegativeReverse);
  if (zero_count != 0) out += ", " + BucketToString(ZeroBucket(*this));
  append_side(BucketOrder::kPositive);
  return out + "}";
}

}  // namespace narthex
