#include "native_buckets.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

namespace narthex::client::detail {
namespace {

constexpr double kDoubleMax = std::numeric_limits<double>::max();

// How much wider each bucket is than the one below, for schemas 1 to 8: 2^(2^-s). The first is one
// unit in the last place below the square root of 2. That is how the bounds that all
// implementations share came about, and a bound must be the same double everywhere.
constexpr double kGrowth[] = {0x1.6a09e667f3bccp+0, 0x1.306fe0a31b715p+0, 0x1.172b83c7d517bp+0,
                              0x1.0b5586cf9890fp+0, 0x1.059b0d3158574p+0, 0x1.02c9a3e778061p+0,
                              0x1.0163da9fb3335p+0, 0x1.00b1afa5abcbfp+0};

// The 2^schema lower bounds of the buckets between 0.5 and 1. A schema has the bounds of the
// coarser one and, between each two, the lower one times its growth.
const double* Fractions(int32_t schema) {
  static const auto table = [] {
    std::array<double, 2 << kSchemaMax> fractions{};  // Schema s begins at 2^s.
    fractions[1] = 0.5;
    for (size_t s = 1; s <= kSchemaMax; ++s) {
      const size_t begin = size_t{1} << s;
      for (size_t i = 0; i < begin; i += 2) {
        fractions[begin + i] = fractions[begin / 2 + i / 2];
        fractions[begin + i + 1] = fractions[begin + i] * kGrowth[s - 1];
      }
    }
    return fractions;
  }();
  return table.data() + (1 << schema);
}

int64_t UnixNanos(const Exemplar& e) {
  if (!e.timestamp) return 0;
  return e.timestamp->seconds * 1'000'000'000 + e.timestamp->nanos;
}

double LogDistance(double a, double b) {
  return std::fabs(std::log(a) - std::log(b));
}

}  // namespace

int32_t PickSchema(double factor) {
  const double floor = std::floor(std::log2(std::log2(factor)));
  if (floor <= -kSchemaMax) return kSchemaMax;
  if (floor >= -kSchemaMin) return kSchemaMin;
  return -static_cast<int32_t>(floor);
}

double BucketUpperBound(int32_t key, int32_t schema) {
  if (schema < 0) {
    const int exponent = key * (1 << -schema);
    return exponent == 1024 ? kDoubleMax : std::ldexp(1.0, exponent);
  }
  const double fraction = Fractions(schema)[key & ((1 << schema) - 1)];
  const int exponent = (key >> schema) + 1;
  return fraction == 0.5 && exponent == 1025 ? kDoubleMax : std::ldexp(fraction, exponent);
}

int32_t BucketKey(double v, int32_t schema) {
  if (std::isinf(v)) return BucketKey(kDoubleMax, schema) + 1;
  int exponent = 0;
  const double fraction = std::frexp(v, &exponent);
  if (schema > 0) {
    const double* bounds = Fractions(schema);
    const int count = 1 << schema;
    const auto at = std::lower_bound(bounds, bounds + count, fraction) - bounds;
    return static_cast<int32_t>(at) + (exponent - 1) * count;
  }
  // A power of two is the upper bound of the bucket below.
  const int32_t key = fraction == 0.5 ? exponent - 1 : exponent;
  return (key + (1 << -schema) - 1) >> -schema;
}

void NativeState::AddTo(Buckets& buckets, int32_t key, int64_t count) {
  auto at =
      std::lower_bound(buckets.begin(), buckets.end(), key,
                       [](const Bucket& bucket, int32_t wanted) { return bucket.key < wanted; });
  if (at != buckets.end() && at->key == key) {
    at->count += count;
  } else {
    buckets.insert(at, {key, count});
  }
}

void NativeState::Add(double v) {
  if (v > zero_threshold_) {
    AddTo(positive_, BucketKey(v, schema_), 1);
  } else if (v < -zero_threshold_) {
    AddTo(negative_, BucketKey(-v, schema_), 1);
  } else {
    ++zero_count_;
  }
}

void NativeState::Absorb(NativeState& other) {
  zero_count_ += std::exchange(other.zero_count_, 0);
  for (const Bucket& bucket : other.positive_) AddTo(positive_, bucket.key, bucket.count);
  for (const Bucket& bucket : other.negative_) AddTo(negative_, bucket.key, bucket.count);
  other.positive_.clear();
  other.negative_.clear();
}

void NativeState::Reset(int32_t schema, double zero_threshold) {
  schema_ = schema;
  zero_threshold_ = zero_threshold;
  zero_count_ = 0;
  positive_.clear();
  negative_.clear();
}

void NativeState::CopyLayout(const NativeState& other) {
  schema_ = other.schema_;
  zero_threshold_ = other.zero_threshold_;
}

bool NativeState::WidenZeroBucket(double threshold_max) {
  if (zero_threshold_ >= threshold_max || bucket_count() == 0) return false;
  int32_t smallest = std::numeric_limits<int32_t>::max();
  for (const Buckets* buckets : {&positive_, &negative_}) {
    if (!buckets->empty()) smallest = std::min(smallest, buckets->front().key);
  }
  const double threshold = BucketUpperBound(smallest, schema_);
  if (threshold > threshold_max) return false;
  for (Buckets* buckets : {&positive_, &negative_}) {
    if (buckets->empty() || buckets->front().key != smallest) continue;
    zero_count_ += static_cast<uint64_t>(buckets->front().count);
    buckets->erase(buckets->begin());
  }
  zero_threshold_ = threshold;
  return true;
}

bool NativeState::HalveResolution() {
  if (schema_ == kSchemaMin) return false;
  --schema_;
  for (Buckets* buckets : {&positive_, &negative_}) {
    Buckets merged;
    for (const Bucket& bucket : *buckets) {
      // Bucket k of the coarser schema is made of 2k-1 and 2k; division truncates towards zero.
      const int32_t key = (bucket.key > 0 ? bucket.key + 1 : bucket.key) / 2;
      if (!merged.empty() && merged.back().key == key) {
        merged.back().count += bucket.count;
      } else {
        merged.push_back({key, bucket.count});
      }
    }
    *buckets = std::move(merged);
  }
  return true;
}

// A gap of one or two empty buckets is cheaper as two zeros than as a new span.
void NativeState::AppendSpans(const Buckets& buckets, std::vector<BucketSpan>& spans,
                              std::vector<int64_t>& deltas) {
  int64_t previous = 0;
  int32_t next_key = 0;
  const auto append = [&](int64_t count) {
    ++spans.back().length;
    deltas.push_back(count - previous);
    previous = count;
  };
  for (const Bucket& bucket : buckets) {
    const int32_t gap = bucket.key - next_key;
    if (spans.empty() || gap > 2) {
      spans.push_back({gap, 0});
    } else {
      for (int32_t i = 0; i < gap; ++i) append(0);
    }
    append(bucket.count);
    next_key = bucket.key + 1;
  }
}

NativeBuckets NativeState::Read() const {
  NativeBuckets out;
  out.schema = schema_;
  out.zero_threshold = zero_threshold_;
  out.zero_count = zero_count_;
  AppendSpans(negative_, out.negative_spans, out.negative_deltas);
  AppendSpans(positive_, out.positive_spans, out.positive_deltas);
  // Without a span, a threshold or a count a receiver would take this for a classic histogram.
  if (out.zero_threshold == 0 && out.zero_count == 0 && out.positive_spans.empty() &&
      out.negative_spans.empty()) {
    out.positive_spans.push_back({0, 0});
  }
  return out;
}

// Keeps the spread: of the two exemplars closest to one another (the newcomer counts) one must go.
// One that has outlived its time goes first.
size_t NativeExemplars::PickVictim(const Exemplar& newcomer) const {
  size_t oldest = 0;
  size_t victim = 0;
  double closest = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < exemplars_.size(); ++i) {
    if (UnixNanos(*exemplars_[i]) < UnixNanos(*exemplars_[oldest])) oldest = i;
    if (i == 0) continue;
    const double distance = LogDistance(exemplars_[i]->value, exemplars_[i - 1]->value);
    if (distance < closest) {
      closest = distance;
      victim = UnixNanos(*exemplars_[i]) < UnixNanos(*exemplars_[i - 1]) ? i : i - 1;
    }
  }
  if (UnixNanos(newcomer) - UnixNanos(*exemplars_[oldest]) > ttl_nanos_) return oldest;
  size_t at = 0;
  while (at < exemplars_.size() && exemplars_[at]->value < newcomer.value) ++at;
  if (at > 0) {
    const double distance = LogDistance(newcomer.value, exemplars_[at - 1]->value);
    if (distance < closest) {
      closest = distance;
      victim = at - 1;
    }
  }
  if (at < exemplars_.size() && LogDistance(newcomer.value, exemplars_[at]->value) < closest) {
    victim = at;
  }
  return victim;
}

void NativeExemplars::Add(ExemplarPtr exemplar) {
  if (count_max_ == 0) return;
  if (exemplars_.size() >= count_max_) {
    exemplars_.erase(exemplars_.begin() + static_cast<ptrdiff_t>(PickVictim(*exemplar)));
  }
  const auto at =
      std::lower_bound(exemplars_.begin(), exemplars_.end(), exemplar->value,
                       [](const ExemplarPtr& other, double value) { return other->value < value; });
  exemplars_.insert(at, std::move(exemplar));
}

}  // namespace narthex::client::detail
