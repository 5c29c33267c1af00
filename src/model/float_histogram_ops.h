// Arithmetic on native histograms as the query engine needs it.
//
// Rules that hold throughout (upstream's, pinned by conformance/histograms):
//   - Two histograms of different schemas meet in the coarser one; different zero buckets meet in
//     the smaller one that cuts no populated bucket of either; custom buckets of different bounds
//     meet in the bounds that both have.
//   - An exponential and a custom-bucket histogram never meet: kExecution with
//     kIncompatibleSchemasText.
//   - Nothing is changed when an error is returned.
//   - Results may hold empty buckets; CompactHistogram removes them.
//
// All functions are pure: threads may work on different histograms freely.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/histogram.h"
#include "model/labels.h"
#include "util/status.h"

namespace narthex {

inline constexpr std::string_view kIncompatibleSchemasText =
    "cannot apply this operation on histograms with a mix of exponential and custom bucket schemas";

// ---------------------------------------------------------------------------------------------
// Buckets
// ---------------------------------------------------------------------------------------------

struct HistogramBucket {
  double lower = 0;
  double upper = 0;
  bool lower_inclusive = false;
  bool upper_inclusive = false;
  double count = 0;
  int32_t index = 0;  // Within its side; meaningless for the zero bucket.
};

// The upper bound of a positive exponential bucket.
double ExponentialBound(int32_t index, int32_t schema);
// The same for any schema; index -1 of custom buckets is -Inf, one past the last bound +Inf.
double HistogramBound(int32_t index, int32_t schema, std::span<const double> custom_values);

// Walks buckets, empty ones included. Positive and negative go outwards from zero, their reverses
// towards it. All goes from the lowest to the highest with the zero bucket (if populated) in
// between, and cuts buckets that reach into the zero bucket at the zero threshold.
enum class BucketOrder : uint8_t {
  kPositive,
  kNegative,
  kPositiveReverse,
  kNegativeReverse,
  kAll,
  kAllReverse,
};

// The histogram must outlive the iterator and stay unchanged.
class BucketIterator {
 public:
  BucketIterator(const FloatHistogram& histogram, BucketOrder order);
  bool Next();
  // Valid after Next() gave true.
  const HistogramBucket& bucket() const { return bucket_; }

 private:
  struct SideCursor {
    const std::vector<Span>* spans = nullptr;
    const std::vector<double>* buckets = nullptr;
    bool positive = true;
    bool reverse = false;
    int64_t span = 0;
    int64_t in_span = 0;
    int64_t bucket = 0;
    int32_t index = 0;
  };
  SideCursor MakeCursor(bool positive, bool reverse) const;
  bool NextOf(SideCursor* cursor);
  void CutAtZeroThreshold();

  const FloatHistogram* histogram_;
  SideCursor first_;
  SideCursor second_;
  enum class State : uint8_t { kFirst, kZero, kSecond, kDone } state_ = State::kFirst;
  bool all_ = false;
  HistogramBucket bucket_;
};

HistogramBucket ZeroBucket(const FloatHistogram& histogram);

// The share of the bucket at or below `value`, which lies strictly inside its finite bounds; linear
// for custom buckets and the zero bucket, else on the logarithmic scale.
double FractionBelow(const HistogramBucket& bucket, double value, bool linear);

// "(1,2]:3.5"
std::string BucketToString(const HistogramBucket& bucket);

// ---------------------------------------------------------------------------------------------
// Arithmetic
// ---------------------------------------------------------------------------------------------

struct HistogramMerge {
  // One side said "reset", the other "not reset"; the result is "unknown".
  bool counter_reset_collision = false;
  // Custom bounds differed; the result has those of both.
  bool bounds_reconciled = false;
};

Result<HistogramMerge> AddHistogram(FloatHistogram* histogram, const FloatHistogram& other);
Result<HistogramMerge> SubHistogram(FloatHistogram* histogram, const FloatHistogram& other);

// What SubHistogram and CompactHistogram make of two histograms of one layout, without making a
// copy in between; nothing where the layouts differ. The hint is that of a gauge.
std::optional<FloatHistogram> CompactDifference(const FloatHistogram& histogram,
                                                const FloatHistogram& other);

// Neumaier summation: `compensation` holds the error terms in the layout of `histogram`; an empty
// optional starts a sum.
Result<HistogramMerge> KahanAddHistogram(FloatHistogram* histogram, const FloatHistogram& other,
                                         std::optional<FloatHistogram>* compensation);
// One step of it for plain numbers.
void KahanAdd(double value, double* sum, double* compensation);

// A negative factor makes a gauge.
void MulHistogram(FloatHistogram* histogram, double factor);
// Division by zero leaves no buckets and infinite (or NaN) count and sum.
void DivHistogram(FloatHistogram* histogram, double divisor);

// Whether `current` cannot follow `previous` without a reset: a count that fell, a bucket that
// went, a finer schema, a smaller zero threshold. Hints "reset" and "not reset" decide alone.
bool DetectReset(const FloatHistogram& current, const FloatHistogram& previous);

// ---------------------------------------------------------------------------------------------
// Layout
// ---------------------------------------------------------------------------------------------

// Removes empty buckets, but keeps runs of at most `empty_buckets_max` between populated ones.
void CompactHistogram(FloatHistogram* histogram, size_t empty_buckets_max);
void CompactHistogram(Histogram* histogram, size_t empty_buckets_max);

// Merges buckets into those of a coarser schema. Errors have upstream's texts.
Status ReduceResolution(FloatHistogram* histogram, int32_t schema);
Status ReduceResolution(Histogram* histogram, int32_t schema);
// A copy in `schema`, which is the histogram's own or coarser.
Result<FloatHistogram> CopyToSchema(const FloatHistogram& histogram, int32_t schema);

// Cuts observations above (kUpper, operator </) or below (kLower, operator >/) `bound` off,
// interpolating inside the bucket that holds it.
enum class TrimSide : uint8_t { kUpper, kLower };
void TrimBuckets(FloatHistogram* histogram, double bound, TrimSide side);

// What the zero count would be with a larger zero threshold; the threshold grows further when it
// would cut a populated bucket.
struct ZeroBucketSize {
  double count = 0;
  double threshold = 0;
};
ZeroBucketSize ZeroBucketFor(const FloatHistogram& histogram, double threshold);

// ---------------------------------------------------------------------------------------------
// Comparison, sizes, conversion
// ---------------------------------------------------------------------------------------------

bool CustomBoundsMatch(std::span<const double> a, std::span<const double> b);
// Equality of data: bits of numbers, same buckets (empty ones count), any spelling of the spans.
// Counter-reset hints are not looked at.
bool HistogramsEqual(const FloatHistogram& a, const FloatHistogram& b);
bool HistogramsEqual(const Histogram& a, const Histogram& b);
// Whether a field overflowed to an infinity.
bool HasOverflow(const FloatHistogram& histogram);

// Upstream's account of memory, and of samples: one float sample is 16 bytes.
size_t HistogramBytes(const FloatHistogram& histogram);
inline size_t HistogramSize(const FloatHistogram& histogram) {
  return (HistogramBytes(histogram) + 8) / 16;
}

// {{schema:1 sum:3 …}}, the notation of PromQL test scripts and rule unit tests.
std::string ToTestExpression(const FloatHistogram& histogram);

// The highest schema whose bucket growth factor is at least `factor`
// (native_histogram_min_bucket_factor).
int32_t SchemaForBucketFactor(double factor);

// The classic series of a custom-bucket histogram: _bucket (cumulative, with le), _count, _sum.
struct ClassicSample {
  Labels labels;
  double value = 0;
};
Result<std::vector<ClassicSample>> CustomBucketsToClassic(const Labels& labels,
                                                          const FloatHistogram& histogram);
Result<std::vector<ClassicSample>> CustomBucketsToClassic(const Labels& labels,
                                                          const Histogram& histogram);
// A bound as le and quantile labels spell it: "1.0", "1e+06", "+Inf".
std::string FormatOpenMetricsFloat(double value);

}  // namespace narthex
