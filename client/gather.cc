#include "gather.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <tuple>

#include "narthex/client/exposition.h"
#include "narthex/client/metric_checks.h"
#include "narthex/client/names.h"
#include "utf8.h"

namespace narthex::client {
namespace {

LabelSet Sorted(const LabelSet& labels) {
  if (std::is_sorted(labels.begin(), labels.end())) return labels;
  Labels pairs(labels.begin(), labels.end());
  std::sort(pairs.begin(), pairs.end());
  return pairs;
}

struct SameSeries {
  bool operator()(const Metric* a, const Metric* b) const {
    if (a->timestamp_ms != b->timestamp_ms) return a->timestamp_ms < b->timestamp_ms;
    return std::lexicographical_compare(a->labels.begin(), a->labels.end(), b->labels.begin(),
                                        b->labels.end());
  }
};

}  // namespace

void Gatherer::Add(MetricFamily family, bool trusted) {
  if (family.metrics.empty()) return;
  parts_.push_back({std::move(family), trusted});
}

const MetricFamily* Gatherer::FindResult(const std::string& name) const {
  // families are in order while parts_ are walked in order.
  const auto it = std::lower_bound(
      result_.families.begin(), result_.families.end(), name,
      [](const MetricFamily& family, const std::string& wanted) { return family.name < wanted; });
  return it != result_.families.end() && it->name == name ? &*it : nullptr;
}

// `x_count` beside a summary or histogram `x` would be the same series twice. As x sorts before
// x_count, the family that is in already is the histogram.
bool Gatherer::CollidesWithSuffix(const MetricFamily& family) {
  for (const std::string_view suffix : {"_count", "_sum", "_bucket"}) {
    const std::string& name = family.name;
    if (name.size() <= suffix.size() ||
        name.compare(name.size() - suffix.size(), suffix.size(), suffix) != 0) {
      continue;
    }
    const std::string base = name.substr(0, name.size() - suffix.size());
    const MetricFamily* other = FindResult(base);
    if (other == nullptr) continue;
    const bool histogram =
        other->type == MetricType::kHistogram || other->type == MetricType::kGaugeHistogram;
    if (histogram || (other->type == MetricType::kSummary && suffix != "_bucket")) {
      result_.errors.push_back("collected metric named " + Quote(name) +
                               " collides with previously collected " +
                               (histogram ? "histogram" : "summary") + " named " + Quote(base));
      return true;
    }
  }
  return false;
}

void Gatherer::Merge(size_t begin, size_t end) {
  MetricFamily& first = parts_[begin].family;
  if (CollidesWithSuffix(first)) return;
  if (end - begin == 1 && parts_[begin].trusted) {
    result_.families.push_back(std::move(first));
    return;
  }
  MetricFamily merged{first.name, first.help, first.type, first.unit, {}};
  std::set<const Metric*, SameSeries> seen;
  for (size_t i = begin; i < end; ++i) {
    MetricFamily& part = parts_[i].family;
    for (Metric& metric : part.metrics) {
      metric.labels = Sorted(metric.labels);
      std::string error;
      if (part.help != merged.help) {
        std::string text;
        WriteProtobufCompactMetric(metric, text);
        error = "collected metric " + part.name + " " + text + " has help " +
                Quote(part.help.value_or("")) + " but should have " +
                Quote(merged.help.value_or(""));
      } else {
        error = CheckMetric(part.name, merged.type, metric);
      }
      if (error.empty() && !seen.insert(&metric).second) {
        error = DescribeCollected(part.name, metric) +
                " was collected before with the same name and label values";
      }
      if (!error.empty()) result_.errors.push_back(std::move(error));
    }
  }
  merged.metrics.reserve(seen.size());
  for (const Metric* metric : seen) merged.metrics.push_back(*metric);
  if (merged.metrics.empty()) return;
  std::stable_sort(merged.metrics.begin(), merged.metrics.end(), MetricLess);
  result_.families.push_back(std::move(merged));
}

GatherResult Gatherer::Finish() && {
  std::stable_sort(parts_.begin(), parts_.end(),
                   [](const Part& a, const Part& b) { return a.family.name < b.family.name; });
  for (size_t begin = 0; begin < parts_.size();) {
    size_t end = begin + 1;
    while (end < parts_.size() && parts_[end].family.name == parts_[begin].family.name) ++end;
    if (IsValidMetricName(parts_[begin].family.name, NameValidation::kUtf8)) {
      Merge(begin, end);
    } else {
      result_.errors.push_back(Quote(parts_[begin].family.name) + " is not a valid metric name");
    }
    begin = end;
  }
  return std::move(result_);
}

}  // namespace narthex::client
