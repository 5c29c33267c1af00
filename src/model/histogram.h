// Native histograms: the integer form that clients expose and storage keeps, and the float form
// that the query engine computes with.
//
// Buckets are sparse: a list of spans (offset from the previous span's end, length) and one count a
// bucket. Integer buckets are deltas to the bucket before, float buckets are absolute. Schema n has
// 2^n buckets a power of two; schema -53 has custom bounds (NHCB) and only positive buckets.
// Specification: parity/promql.md (histogram sections), parity/storage.md 2.4, parity/scrape.md 17.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "util/status.h"

namespace narthex {

inline constexpr int32_t kCustomBucketsSchema = -53;
inline constexpr int32_t kExponentialSchemaMin = -4;
inline constexpr int32_t kExponentialSchemaMax = 8;

enum class CounterResetHint : uint8_t { kUnknown = 0, kReset = 1, kNotReset = 2, kGauge = 3 };

struct Span {
  int32_t offset = 0;  // From the end of the span before; of the first span from bucket index 0.
  uint32_t length = 0;
  friend bool operator==(const Span&, const Span&) = default;
};

struct FloatHistogram;

struct Histogram {
  CounterResetHint counter_reset_hint = CounterResetHint::kUnknown;
  int32_t schema = 0;
  double zero_threshold = 0;
  uint64_t zero_count = 0;
  uint64_t count = 0;
  double sum = 0;
  std::vector<Span> positive_spans;
  std::vector<Span> negative_spans;
  std::vector<int64_t> positive_buckets;  // Deltas.
  std::vector<int64_t> negative_buckets;
  std::vector<double> custom_values;  // Upper bounds, only with kCustomBucketsSchema.

  bool uses_custom_buckets() const { return schema == kCustomBucketsSchema; }
  FloatHistogram ToFloat() const;
  // Upstream's texts; see parity/scrape.md section 17.
  Status Validate() const;
  // {count:%d, sum:%g, [l,u):c, …}
  std::string ToString() const;
};

struct FloatHistogram {
  CounterResetHint counter_reset_hint = CounterResetHint::kUnknown;
  // Whether storage held integer counts; printing of dumps and the protobuf of federation differ.
  // Not part of the value.
  bool from_integer = false;
  int32_t schema = 0;
  double zero_threshold = 0;
  double zero_count = 0;
  double count = 0;
  double sum = 0;
  std::vector<Span> positive_spans;
  std::vector<Span> negative_spans;
  std::vector<double> positive_buckets;  // Absolute counts.
  std::vector<double> negative_buckets;
  std::vector<double> custom_values;

  bool uses_custom_buckets() const { return schema == kCustomBucketsSchema; }
  Status Validate() const;
  std::string ToString() const;
};

}  // namespace narthex
