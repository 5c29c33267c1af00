// Equality, overflow and size of histograms.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "model/float_histogram_ops.h"

namespace narthex {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Spans of length zero only move the next one; they are folded into it before comparing.
bool SpansEqual(const std::vector<Span>& a, const std::vector<Span>& b) {
  if (a == b) return true;
  const auto next = [](const std::vector<Span>& spans, size_t* at) {
    Span folded;
    while (*at < spans.size()) {
      const Span& span = spans[(*at)++];
      folded.offset = static_cast<int32_t>(int64_t{folded.offset} + span.offset);
      folded.length = span.length;
      if (span.length > 0) return folded;
    }
    return Span{};
  };
  for (size_t i = 0, j = 0; i < a.size() || j < b.size();) {
    if (next(a, &i) != next(b, &j)) return false;
  }
  return true;
}

bool BitsEqual(double a, double b) {
  return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b);
}
bool BitsEqual(uint64_t a, uint64_t b) {
  return a == b;
}

bool CountsEqual(const std::vector<int64_t>& a, const std::vector<int64_t>& b) {
  return a == b;
}
bool CountsEqual(const std::vector<double>& a, const std::vector<double>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](double x, double y) { return BitsEqual(x, y); });
}

template <typename H>
bool Equal(const H& a, const H& b) {
  if (a.schema != b.schema || !BitsEqual(a.count, b.count) || !BitsEqual(a.sum, b.sum)) {
    return false;
  }
  if (a.uses_custom_buckets() && !CustomBoundsMatch(a.custom_values, b.custom_values)) {
    return false;
  }
  return a.zero_threshold == b.zero_threshold && BitsEqual(a.zero_count, b.zero_count) &&
         SpansEqual(a.negative_spans, b.negative_spans) &&
         CountsEqual(a.negative_buckets, b.negative_buckets) &&
         SpansEqual(a.positive_spans, b.positive_spans) &&
         CountsEqual(a.positive_buckets, b.positive_buckets);
}

}  // namespace

bool CustomBoundsMatch(std::span<const double> a, std::span<const double> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

bool HistogramsEqual(const FloatHistogram& a, const FloatHistogram& b) {
  return Equal(a, b);
}
bool HistogramsEqual(const Histogram& a, const Histogram& b) {
  return Equal(a, b);
}

bool HasOverflow(const FloatHistogram& histogram) {
  const auto infinite = [](double v) { return std::abs(v) == kInfinity; };
  const auto any = [&](const std::vector<double>& list) {
    return std::any_of(list.begin(), list.end(), infinite);
  };
  return infinite(histogram.zero_count) || infinite(histogram.count) || infinite(histogram.sum) ||
         any(histogram.positive_buckets) || any(histogram.negative_buckets) ||
         any(histogram.custom_values);
}

size_t HistogramBytes(const FloatHistogram& histogram) {
  constexpr size_t kFixedBytes = 168;  // Upstream's struct, whose size is part of the limit.
  return kFixedBytes + 8 * (histogram.positive_spans.size() + histogram.negative_spans.size() +
                            histogram.positive_buckets.size() + histogram.negative_buckets.size() +
                            histogram.custom_values.size());
}

}  // namespace narthex
