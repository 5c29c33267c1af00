#include "discovery/sd_metrics.h"

namespace narthex {

void SdMetrics::Add(std::string_view counter, LabelPairs labels, double amount) {
  const std::lock_guard lock(mutex_);
  Value& entry = values_[{std::string(counter), std::move(labels)}];
  entry.value += amount;
  entry.is_counter = true;
}

void SdMetrics::Set(std::string_view gauge, LabelPairs labels, double value) {
  const std::lock_guard lock(mutex_);
  values_[{std::string(gauge), std::move(labels)}] = Value{value, false};
}

void SdMetrics::Remove(std::string_view name, const LabelPairs& labels) {
  const std::lock_guard lock(mutex_);
  values_.erase({std::string(name), labels});
}

double SdMetrics::Get(std::string_view name, const LabelPairs& labels) const {
  const std::lock_guard lock(mutex_);
  const auto found = values_.find({std::string(name), labels});
  return found == values_.end() ? 0 : found->second.value;
}

std::vector<SdMetrics::Point> SdMetrics::Collect() const {
  const std::lock_guard lock(mutex_);
  std::vector<Point> points;
  for (const auto& [key, entry] : values_) {
    points.push_back({key.first, key.second, entry.value, entry.is_counter});
  }
  return points;
}

}  // namespace narthex
