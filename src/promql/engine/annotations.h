// Warnings and infos that a query collects on its way: upstream's texts and rules of merging.
// Specification: parity/promql.md section 11.
//
// Annotations of equal text are one; the position of the last one counts. Two kinds carry numbers
// that are joined instead: forced monotonicity (its extremes) and overlapping start times (their
// count). One collector belongs to one thread; workers have their own, merged at the end.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "promql/parser/ast.h"

namespace narthex::promql {

enum class HistogramOperation : uint8_t { kAddition, kSubtraction, kAggregation };

// What forced monotonicity did, over some samples.
struct MonotonicityFix {
  uint64_t samples = 0;
  int64_t time_min_ms = 0;
  int64_t time_max_ms = 0;
  double bucket_min = 0;
  double bucket_max = 0;
  double diff_max = 0;

  // Joins the extremes and adds the samples, modulo 2^64.
  void Add(const MonotonicityFix& other);
};

class Annotations {
 public:
  // `text` has no "PromQL warning: " in front.
  void Warn(std::string text, PositionRange position);
  void Info(std::string text, PositionRange position);
  // A warning of the store: printed as it is.
  void WarnPlain(std::string text);

  void MixedFloatsHistograms(std::string_view metric, PositionRange position);
  void MixedExponentialCustom(std::string_view metric, PositionRange position);
  void NotACounter(std::string_view metric, PositionRange position);
  void NotAGauge(std::string_view metric, PositionRange position);
  void IgnoredHistogramsInRange(std::string_view metric, PositionRange position);
  void CounterResetCollision(HistogramOperation operation, PositionRange position);
  void MismatchedCustomBuckets(HistogramOperation operation, PositionRange position);
  void InvalidQuantile(double quantile, PositionRange position);
  void StartTimeOverlap(std::string_view metric, PositionRange position);
  void ForcedMonotonicity(std::string_view metric, PositionRange position,
                          const MonotonicityFix& fix);
  bool HasForcedMonotonicity(std::string_view metric) const;

  void Merge(const Annotations& other);
  bool empty() const { return entries_.empty(); }
  // How often something was added, be it new or not.
  uint64_t additions() const { return additions_; }

  // With positions, which refer to `query`.
  std::vector<std::string> Warnings(std::string_view query) const;
  std::vector<std::string> Infos(std::string_view query) const;

 private:
  enum class Kind : uint8_t { kPlain, kText, kMonotonicity, kOverlap };
  struct Entry {
    bool warning = false;
    Kind kind = Kind::kText;
    PositionRange position;
    int64_t count = 0;  // Of overlaps.
    MonotonicityFix fix = {};
  };
  void Add(std::string text, const Entry& entry);
  std::vector<std::string> Render(bool warnings, std::string_view query) const;

  std::map<std::string, Entry> entries_;
  uint64_t additions_ = 0;
};

// " for metric name \"x\"", or nothing.
std::string ForMetric(std::string_view metric);
// "line:col" of a byte offset, both from 1.
std::string LineColumn(std::string_view query, size_t offset);

}  // namespace narthex::promql
