// The numbers that discovery shows of itself (prometheus_sd_*), kept as plain values until whoever
// serves /metrics collects them.
//
// Threads: any. Updates are rare (refreshes, set changes), so one mutex does.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "util/duration_window.h"

namespace narthex {

class SdMetrics {
 public:
  using LabelPairs = std::vector<std::pair<std::string, std::string>>;
  enum class Kind : uint8_t { kCounter, kGauge, kSummary, kHistogram };
  struct Point {
    std::string name;  // "prometheus_sd_updates_total"
    LabelPairs labels;
    Kind kind = Kind::kGauge;
    double value = 0;  // Of summaries and histograms: the sum, in seconds.
    uint64_t count = 0;
    // {quantile, value} of a summary; {upper bound, cumulative count} of a histogram.
    std::vector<std::pair<double, double>> points;
  };

  void Add(std::string_view counter, LabelPairs labels, double amount = 1);
  void Set(std::string_view gauge, LabelPairs labels, double value);
  // How long something took that ended at `now_nanos`: a summary with the quantiles of the last ten
  // minutes.
  void Observe(std::string_view summary, LabelPairs labels, int64_t now_nanos, int64_t took_nanos);
  // The same as a histogram of 0.01, 0.1, 1 and 10 seconds.
  void ObserveHistogram(std::string_view histogram, LabelPairs labels, int64_t took_nanos);
  void Remove(std::string_view name, const LabelPairs& labels);
  // 0 when there is none; of summaries and histograms the count.
  double Get(std::string_view name, const LabelPairs& labels) const;
  // Sorted by name, then labels. Quantiles are those of `now_nanos`.
  std::vector<Point> Collect(int64_t now_nanos) const;

 private:
  using Key = std::pair<std::string, LabelPairs>;
  static constexpr double kBuckets[] = {0.01, 0.1, 1, 10};
  struct Value {
    double value = 0;
    Kind kind = Kind::kGauge;
  };
  struct Buckets {
    double sum = 0;
    uint64_t count = 0;
    uint64_t up_to[std::size(kBuckets)] = {};
  };
  mutable std::mutex mutex_;
  std::map<Key, Value> values_;
  std::map<Key, DurationWindow> summaries_;
  std::map<Key, Buckets> histograms_;
};

}  // namespace narthex
