#include "discovery/sd_metrics.h"

#include <algorithm>

namespace narthex {

void SdMetrics::Add(std::string_view counter, LabelPairs labels, double amount) {
  const std::lock_guard lock(mutex_);
  Value& entry = values_[{std::string(counter), std::move(labels)}];
  entry.value += amount;
  entry.kind = Kind::kCounter;
}

void SdMetrics::Set(std::string_view gauge, LabelPairs labels, double value) {
  const std::lock_guard lock(mutex_);
  values_[{std::string(gauge), std::move(labels)}] = Value{value, Kind::kGauge};
}

void SdMetrics::Observe(std::string_view summary, LabelPairs labels, int64_t now_nanos,
                        int64_t took_nanos) {
  const std::lock_guard lock(mutex_);
  summaries_[{std::string(summary), std::move(labels)}].Observe(now_nanos, took_nanos);
}

void SdMetrics::ObserveHistogram(std::string_view histogram, LabelPairs labels,
                                 int64_t took_nanos) {
  const double seconds = static_cast<double>(took_nanos) * 1e-9;
  const std::lock_guard lock(mutex_);
  Buckets& buckets = histograms_[{std::string(histogram), std::move(labels)}];
  buckets.sum += seconds;
  ++buckets.count;
  for (size_t i = 0; i < std::size(kBuckets); ++i) buckets.up_to[i] += seconds <= kBuckets[i];
}

void SdMetrics::Remove(std::string_view name, const LabelPairs& labels) {
  const std::lock_guard lock(mutex_);
  const Key key{std::string(name), labels};
  values_.erase(key);
  summaries_.erase(key);
  histograms_.erase(key);
}

double SdMetrics::Get(std::string_view name, const LabelPairs& labels) const {
  const std::lock_guard lock(mutex_);
  const Key key{std::string(name), labels};
  if (const auto found = summaries_.find(key); found != summaries_.end()) {
    return static_cast<double>(found->second.Read(0, {}).count);
  }
  if (const auto found = histograms_.find(key); found != histograms_.end()) {
    return static_cast<double>(found->second.count);
  }
  const auto found = values_.find(key);
  return found == values_.end() ? 0 : found->second.value;
}

std::vector<SdMetrics::Point> SdMetrics::Collect(int64_t now_nanos) const {
  const std::lock_guard lock(mutex_);
  std::vector<Point> points;
  for (const auto& [key, entry] : values_) {
    points.push_back({key.first, key.second, entry.kind, entry.value, 0, {}});
  }
  for (const auto& [key, window] : summaries_) {
    DurationWindow::Reading reading = window.Read(now_nanos, {0.5, 0.9, 0.99});
    points.push_back({key.first, key.second, Kind::kSummary, reading.sum_seconds, reading.count,
                      std::move(reading.quantiles)});
  }
  for (const auto& [key, buckets] : histograms_) {
    Point& point = points.emplace_back(
        Point{key.first, key.second, Kind::kHistogram, buckets.sum, buckets.count, {}});
    for (size_t i = 0; i < std::size(kBuckets); ++i) {
      point.points.emplace_back(kBuckets[i], static_cast<double>(buckets.up_to[i]));
    }
  }
  std::sort(points.begin(), points.end(), [](const Point& a, const Point& b) {
    return std::tie(a.name, a.labels) < std::tie(b.name, b.labels);
  });
  return points;
}

}  // namespace narthex
