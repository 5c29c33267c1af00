#include "push/group.h"

#include <algorithm>

namespace narthex::push {
namespace {

double GaugeOf(const std::map<std::string, StampedFamily>& families, const char* name) {
  const auto it = families.find(name);
  if (it == families.end() || it->second.family->metrics.empty()) return 0;
  const auto* gauge = std::get_if<client::GaugeValue>(&it->second.family->metrics.front().value);
  return gauge == nullptr ? 0 : gauge->value;
}

}  // namespace

bool Group::last_push_successful() const {
  return GaugeOf(families, kPushFailureTimeName) <= GaugeOf(families, kPushTimeName);
}

size_t Group::series_count() const {
  size_t count = 0;
  for (const auto& [name, stamped] : families) count += stamped.family->metrics.size();
  return count;
}

std::string GroupingKey(const client::Labels& labels) {
  std::string key;
  for (const client::LabelPair& label : labels) {
    if (!key.empty()) key.push_back('\xff');
    key.append(label.name).push_back('\xff');
    key.append(label.value);
  }
  return key;
}

void ForceLabels(const client::Labels& grouping_labels, client::MetricFamily* family) {
  for (client::Metric& metric : family->metrics) {
    client::Labels labels(metric.labels.begin(), metric.labels.end());
    for (const client::LabelPair& forced : grouping_labels) {
      const auto it = std::find_if(labels.begin(), labels.end(),
                                   [&](const auto& label) { return label.name == forced.name; });
      if (it == labels.end()) {
        labels.push_back(forced);
      } else {
        it->value = forced.value;
      }
    }
    const bool has_instance = std::any_of(
        labels.begin(), labels.end(), [](const auto& label) { return label.name == "instance"; });
    if (!has_instance) labels.push_back({"instance", ""});
    std::stable_sort(labels.begin(), labels.end(),
                     [](const auto& a, const auto& b) { return a.name < b.name; });
    metric.labels = std::move(labels);
  }
}

bool HasTimestamps(const client::MetricFamily& family) {
  return std::any_of(family.metrics.begin(), family.metrics.end(),
                     [](const client::Metric& metric) { return metric.timestamp_ms.has_value(); });
}

FamilyPtr MakeTimeGauge(const char* name, const client::Labels& grouping_labels,
                        std::optional<client::Timestamp> time) {
  auto family = std::make_shared<client::MetricFamily>();
  family->name = name;
  family->help = std::string("Last Unix time when changing this group in the Pushgateway ") +
                 (family->name == kPushTimeName ? "succeeded." : "failed.");
  family->type = client::MetricType::kGauge;
  family->metrics.push_back({{}, client::GaugeValue{time ? time->UnixSeconds() : 0}, {}});
  ForceLabels(grouping_labels, family.get());
  return family;
}

}  // namespace narthex::push
