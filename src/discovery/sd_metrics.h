// The numbers that discovery shows of itself (prometheus_sd_*), kept as plain values until whoever
// serves /metrics collects them.
//
// Threads: any. Updates are rare (refreshes, set changes), so one mutex does.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace narthex {

class SdMetrics {
 public:
  using LabelPairs = std::vector<std::pair<std::string, std::string>>;
  struct Point {
    std::string name;  // "prometheus_sd_updates_total"
    LabelPairs labels;
    double value = 0;
    bool is_counter = false;
  };

  void Add(std::string_view counter, LabelPairs labels, double amount = 1);
  void Set(std::string_view gauge, LabelPairs labels, double value);
  void Remove(std::string_view name, const LabelPairs& labels);
  double Get(std::string_view name, const LabelPairs& labels) const;  // 0 when there is none.
  // Sorted by name, then labels.
  std::vector<Point> Collect() const;

 private:
  struct Value {
    double value = 0;
    bool is_counter = false;
  };
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, LabelPairs>, Value> values_;
};

}  // namespace narthex
