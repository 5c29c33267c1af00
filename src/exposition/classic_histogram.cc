#include "exposition/classic_histogram.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "model/float_histogram_ops.h"
#include "util/numbers.h"

namespace narthex::exposition {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Integer histograms may keep short runs of empty buckets: their deltas cost little.
constexpr size_t kIntegerEmptyBucketsMax = 2;

bool IsWhole(double v) {
  return std::abs(v) < 0x1p63 && v == std::trunc(v);
}

}  // namespace

void ClassicHistogram::Reset() {
  *this = ClassicHistogram();
}

Status ClassicHistogram::Fail(Status status) {
  status_ = status;
  return status;
}

Status ClassicHistogram::SetBucket(double bound, double cumulative_count) {
  if (!status_.ok()) return status_;
  if (std::isnan(bound)) {
    return Fail(MakeError(ErrorCode::kInvalidInput, "bucket boundary must not be NaN"));
  }
  if (cumulative_count < 0) {
    return Fail(MakeError(ErrorCode::kInvalidInput,
                          "bucket count must be non-negative: le={}, count={}", FormatFloatG(bound),
                          FormatFloatG(cumulative_count)));
  }
  const auto at = std::lower_bound(buckets_.begin(), buckets_.end(), bound,
                                   [](const Bucket& b, double v) { return b.bound < v; });
  if (at != buckets_.end() && at->bound == bound) return {};
  const auto disorder = [&](char sign, double other) {
    return Fail(MakeError(ErrorCode::kInvalidInput, "count is not cumulative: {} {} {}",
                          FormatFloatG(cumulative_count), sign, FormatFloatG(other)));
  };
  if (at != buckets_.begin() && cumulative_count < std::prev(at)->count) {
    return disorder('<', std::prev(at)->count);
  }
  if (at != buckets_.end() && cumulative_count > at->count) return disorder('>', at->count);
  buckets_.insert(at, {bound, cumulative_count});
  return {};
}

Status ClassicHistogram::SetCount(double count) {
  if (!status_.ok()) return status_;
  if (count < 0) {
    return Fail(MakeError(ErrorCode::kInvalidInput, "count must be non-negative: count={}",
                          FormatFloatG(count)));
  }
  count_ = count;
  has_count_ = true;
  return {};
}

Status ClassicHistogram::SetSum(double sum) {
  if (!status_.ok()) return status_;
  sum_ = sum;
  return {};
}

Status ClassicHistogram::CheckTotal(bool integer) const {
  const Bucket& last = buckets_.back();
  if (count_ == last.count) return {};
  // The count is printed as an integer where it is one.
  const std::string count =
      integer ? std::to_string(static_cast<uint64_t>(count_)) : FormatFloatG(count_);
  return MakeError(ErrorCode::kInvalidInput, "count mismatch: count={} != le={} count={}", count,
                   FormatFloatG(last.bound), FormatFloatG(last.count));
}

Result<AnyHistogram> ClassicHistogram::Convert() {
  if (!status_.ok()) return status_;
  if (!has_count_) {
    if (buckets_.empty()) {
      return MakeError(ErrorCode::kInvalidInput,
                       "count must be provided when no buckets are present");
    }
    count_ = buckets_.back().count;
  }
  if (buckets_.empty() || buckets_.back().bound != kInfinity) {
    buckets_.push_back({kInfinity, count_});
  }
  const bool integer =
      IsWhole(count_) && std::all_of(buckets_.begin(), buckets_.end(),
                                     [](const Bucket& b) { return IsWhole(b.count); });
  NARTHEX_RETURN_IF_ERROR(CheckTotal(integer));
  std::vector<double> bounds;
  for (const Bucket& bucket : buckets_) {
    if (bucket.bound != kInfinity) bounds.push_back(bucket.bound);
  }
  const std::vector<Span> spans = {{0, static_cast<uint32_t>(buckets_.size())}};
  AnyHistogram result;
  if (integer) {
    Histogram& h = result.integer.emplace();
    h.schema = kCustomBucketsSchema;
    h.count = static_cast<uint64_t>(count_);
    h.sum = sum_;
    h.positive_spans = spans;
    h.custom_values = std::move(bounds);
    int64_t before = 0;
    int64_t last_count = 0;
    for (const Bucket& bucket : buckets_) {
      const auto cumulative = static_cast<int64_t>(bucket.count);
      const int64_t count = cumulative - before;
      h.positive_buckets.push_back(count - last_count);
      before = cumulative;
      last_count = count;
    }
    CompactHistogram(&h, kIntegerEmptyBucketsMax);
    NARTHEX_RETURN_IF_ERROR(h.Validate().WithPrefix("invalid histogram: "));
    return result;
  }
  FloatHistogram& h = result.floating.emplace();
  h.schema = kCustomBucketsSchema;
  h.count = count_;
  h.sum = sum_;
  h.positive_spans = spans;
  h.custom_values = std::move(bounds);
  double before = 0;
  for (const Bucket& bucket : buckets_) {
    h.positive_buckets.push_back(bucket.count - before);
    before = bucket.count;
  }
  CompactHistogram(&h, 0);
  NARTHEX_RETURN_IF_ERROR(h.Validate().WithPrefix("invalid float histogram: "));
  return result;
}

HistogramPart SplitHistogramName(std::string_view name, std::string_view* base) {
  struct Suffix {
    std::string_view text;
    HistogramPart part;
  };
  for (const Suffix& suffix :
       {Suffix{"_bucket", HistogramPart::kBucket}, Suffix{"_sum", HistogramPart::kSum},
        Suffix{"_count", HistogramPart::kCount}}) {
    if (name.ends_with(suffix.text)) {
      *base = name.substr(0, name.size() - suffix.text.size());
      return suffix.part;
    }
  }
  *base = name;
  return HistogramPart::kNone;
}

}  // namespace narthex::exposition
