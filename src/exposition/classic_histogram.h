// Collects the parts of one classic histogram and turns them into a native histogram with custom
// buckets.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/histogram.h"
#include "util/status.h"

namespace narthex::exposition {

// Either kind; integer when all counts are whole.
struct AnyHistogram {
  std::optional<Histogram> integer;
  std::optional<FloatHistogram> floating;
};

// The first error sticks: Convert() gives it.
class ClassicHistogram {
 public:
  void Reset();
  // Buckets may come in any order; a second one of the same bound is ignored.
  Status SetBucket(double bound, double cumulative_count);
  Status SetCount(double count);
  Status SetSum(double sum);
  // A missing count is the last bucket's; a missing +Inf bucket has the count.
  Result<AnyHistogram> Convert();

 private:
  struct Bucket {
    double bound = 0;
    double count = 0;
  };
  Status Fail(Status status);
  Status CheckTotal(bool integer) const;

  std::vector<Bucket> buckets_;
  double count_ = 0;
  double sum_ = 0;
  bool has_count_ = false;
  Status status_;
};

// What a series name says about its part in a classic histogram.
enum class HistogramPart : uint8_t { kNone, kBucket, kSum, kCount };
// Cuts _bucket, _sum or _count off.
HistogramPart SplitHistogramName(std::string_view name, std::string_view* base);

}  // namespace narthex::exposition
