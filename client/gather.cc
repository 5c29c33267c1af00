#include "gather.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <tuple>

#include "narthex/client/exposition.h"
#include "narthex/client/names.h"
#include "utf8.h"

namespace narthex::client {
namespace {

constexpr std::string_view TypeName(MetricType type) {
  switch (type) {
    case MetricType::kCounter: return "COUNTER";
    case MetricType::kSummary: return "SUMMARY";
    case MetricType::kUntyped: return "UNTYPED";
    case MetricType::kHistogram: return "HISTOGRAM";
    case MetricType::kGaugeHistogram: return "GAUGE_HISTOGRAM";
    case MetricType::kGauge:
    case MetricType::kInfo:
    case MetricType::kStateSet: return "GAUGE";
  }
  return "";
}

bool HasValueOf(const Metric& metric, MetricType type) {
  switch (type) {
    case MetricType::kCounter: return std::holds_alternative<CounterValue>(metric.value);
    case MetricType::kUntyped: return std::holds_alternative<UntypedValue>(metric.value);
    case MetricType::kGauge:
    case MetricType::kInfo:
    case MetricType::kStateSet: return std::holds_alternative<GaugeValue>(metric.value);
    case MetricType::kSummary:
      return std::holds_alternative<std::shared_ptr<const SummaryValue>>(metric.value);
    case MetricType::kHistogram:
    case MetricType::kGaugeHistogram:
      return std::holds_alternative<std::shared_ptr<const HistogramValue>>(metric.value);
  }
  return false;
}

// `collected metric "name" { label:{…} … }`, the way messages begin.
std::string Subject(const std::string& name, const Metric& metric) {
  std::string text;
  WriteProtobufCompactMetric(metric, text);
  return "collected metric " + Quote(name) + " { " + text + "}";
}

// An empty text when the metric may stand in a family of this name and type.
std::string CheckMetric(const std::string& name, MetricType type, const Metric& metric) {
  if (!HasValueOf(metric, type)) {
    return Subject(name, metric) + " is not a " + std::string(TypeName(type));
  }
  const std::string* previous = nullptr;
  for (const LabelPair& label : metric.labels) {
    if (previous != nullptr && *previous == label.name) {
      return Subject(name, metric) + " has two or more labels with the same name: " + label.name;
    }
    if (!IsValidLabelName(label.name, NameValidation::kUtf8) || label.name.rfind("__", 0) == 0) {
      return Subject(name, metric) + " has a label with an invalid name: " + label.name;
    }
    if (type == MetricType::kSummary && label.name == "quantile") {
      return Subject(name, metric) + " must not have an explicit \"quantile\" label";
    }
    if (!IsValidUtf8(label.value)) {
      return Subject(name, metric) + " has a label named " + Quote(label.name) +
             " whose value is not utf8: " + Quote(label.value);
    }
    previous = &label.name;
  }
  return {};
}

LabelSet Sorted(const LabelSet& labels) {
  if (std::is_sorted(labels.begin(), labels.end())) return labels;
  Labels pairs(labels.begin(), labels.end());
  std::sort(pairs.begin(), pairs.end());
  return pairs;
}

// As client_golang sorts: fewer labels first, then by the values, then by time.
bool MetricLess(const Metric& a, const Metric& b) {
  if (a.labels.size() != b.labels.size()) return a.labels.size() < b.labels.size();
  for (size_t i = 0; i < a.labels.size(); ++i) {
    if (a.labels[i].value != b.labels[i].value) return a.labels[i].value < b.labels[i].value;
  }
  return a.timestamp_ms.value_or(INT64_MIN) < b.timestamp_ms.value_or(INT64_MIN);
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
        error = Subject(part.name, metric) +
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
