// The exponential buckets of one native histogram: sparse, one array for each sign.
//
//   key k at schema s covers (base^(k-1), base^k]  with base = 2^(2^-s)
//   [-threshold, threshold] is the zero bucket
//
// Not thread-safe; HistogramCore locks. For the histogram alone.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "narthex/client/metric_family.h"

namespace narthex::client::detail {

inline constexpr int32_t kSchemaMin = -4;
inline constexpr int32_t kSchemaMax = 8;

// The schema whose buckets grow by at most `factor` (above 1), within the limits.
int32_t PickSchema(double factor);
// The upper bound of a bucket; the greatest double for the last one that holds finite values.
double BucketUpperBound(int32_t key, int32_t schema);
// The bucket of a positive value; infinity has the one after the last.
int32_t BucketKey(double v, int32_t schema);

class NativeState {
 public:
  struct Bucket {
    int32_t key;
    int64_t count;
  };

  NativeState(int32_t schema, double zero_threshold)
      : schema_(schema), zero_threshold_(zero_threshold) {}

  // Not NaN.
  void Add(double v);
  size_t bucket_count() const { return positive_.size() + negative_.size(); }
  // Adds the counts of `other`, which has the same layout, and empties it.
  void Absorb(NativeState& other);
  // Forgets all counts.
  void Reset(int32_t schema, double zero_threshold);

  // Lets the zero bucket swallow the populated bucket nearest to zero. False, and nothing is
  // changed, when there is none or the threshold would pass `threshold_max`.
  bool WidenZeroBucket(double threshold_max);
  // Merges pairs of buckets. False at the coarsest schema.
  bool HalveResolution();
  // Takes the schema and zero threshold of `other`; only while empty.
  void CopyLayout(const NativeState& other);

  NativeBuckets Read() const;

 private:
  using Buckets = std::vector<Bucket>;  // Ascending by key.

  static void AddTo(Buckets& buckets, int32_t key, int64_t count);
  static void AppendSpans(const Buckets& buckets, std::vector<BucketSpan>& spans,
                          std::vector<int64_t>& deltas);

  int32_t schema_;
  double zero_threshold_;
  uint64_t zero_count_ = 0;
  Buckets positive_;
  Buckets negative_;
};

// Up to a number of exemplars, spread over the logarithms of their values.
class NativeExemplars {
 public:
  NativeExemplars(size_t count_max, int64_t ttl_nanos)
      : count_max_(count_max), ttl_nanos_(ttl_nanos) {}
  void Add(ExemplarPtr exemplar);
  const std::vector<ExemplarPtr>& exemplars() const { return exemplars_; }

 private:
  size_t PickVictim(const Exemplar& newcomer) const;

  const size_t count_max_;
  const int64_t ttl_nanos_;
  std::vector<ExemplarPtr> exemplars_;  // Ascending by value.
};

}  // namespace narthex::client::detail
