// Composite values of OpenMetrics 2.0: from their fields' texts to histograms and lists.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string_view>

#include "exposition/classic_histogram.h"
#include "util/status.h"

namespace narthex::exposition {

// In the order of the tokens.
enum class CompositeField : uint8_t {
  kCount,
  kGaugeCount,
  kSum,
  kGaugeSum,
  kSchema,
  kZeroThreshold,
  kZeroCount,
  kNegativeSpans,
  kNegativeBuckets,
  kPositiveSpans,
  kPositiveBuckets,
  kBucket,
  kQuantile,
};
inline constexpr size_t kCompositeFieldCount = 13;

struct CompositeFields {
  std::array<std::optional<std::string_view>, kCompositeFieldCount> texts;

  std::optional<std::string_view>& operator[](CompositeField field) {
    return texts[static_cast<size_t>(field)];
  }
  bool has(CompositeField field) const { return texts[static_cast<size_t>(field)].has_value(); }
  std::string_view text(CompositeField field) const {
    return texts[static_cast<size_t>(field)].value_or(std::string_view());
  }
};

// Count and sum have other names in gauge histograms.
struct CountAndSum {
  explicit CountAndSum(bool gauge)
      : count(gauge ? CompositeField::kGaugeCount : CompositeField::kCount),
        sum(gauge ? CompositeField::kGaugeSum : CompositeField::kSum),
        count_name(gauge ? "gcount" : "count"),
        sum_name(gauge ? "gsum" : "sum") {}
  CompositeField count;
  CompositeField sum;
  std::string_view count_name;
  std::string_view sum_name;
};

// strconv.ParseFloat of a field; errors are `invalid <name>: …`.
Result<double> CompositeNumber(const CompositeFields& fields, CompositeField field,
                               std::string_view name);
Result<AnyHistogram> BuildNativeHistogram(const CompositeFields& fields, bool gauge);
Result<AnyHistogram> BuildCustomHistogram(const CompositeFields& fields, bool gauge);
// Calls visit(bound, count) for each of `[1:2,+Inf:3]`, in order; stops at the first error, which
// carries `invalid bucket: ` where the list is malformed.
Status ForEachBucket(std::string_view list, const std::function<Status(double, double)>& visit);
// The same for `[0.5:1,0.9:2]`.
Status ForEachQuantile(std::string_view list, const std::function<Status(double, double)>& visit);

}  // namespace narthex::exposition
