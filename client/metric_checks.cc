#include "narthex/client/metric_checks.h"

#include "narthex/client/exposition.h"
#include "narthex/client/names.h"
#include "utf8.h"

namespace narthex::client {
namespace {

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

}  // namespace

std::string_view MetricTypeName(MetricType type) noexcept {
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

std::string DescribeCollected(const std::string& name, const Metric& metric) {
  std::string text;
  WriteProtobufCompactMetric(metric, text);
  return "collected metric " + Quote(name) + " { " + text + "}";
}

std::string CheckMetric(const std::string& name, MetricType type, const Metric& metric) {
  if (!HasValueOf(metric, type)) {
    return DescribeCollected(name, metric) + " is not a " + std::string(MetricTypeName(type));
  }
  const std::string* previous = nullptr;
  for (const LabelPair& label : metric.labels) {
    if (previous != nullptr && *previous == label.name) {
      return DescribeCollected(name, metric) +
             " has two or more labels with the same name: " + label.name;
    }
    if (!IsValidLabelName(label.name, NameValidation::kUtf8) || label.name.rfind("__", 0) == 0) {
      return DescribeCollected(name, metric) + " has a label with an invalid name: " + label.name;
    }
    if (type == MetricType::kSummary && label.name == "quantile") {
      return DescribeCollected(name, metric) + " must not have an explicit \"quantile\" label";
    }
    if (!IsValidUtf8(label.value)) {
      return DescribeCollected(name, metric) + " has a label named " + Quote(label.name) +
             " whose value is not utf8: " + Quote(label.value);
    }
    previous = &label.name;
  }
  return {};
}

bool MetricLess(const Metric& a, const Metric& b) {
  if (a.labels.size() != b.labels.size()) return a.labels.size() < b.labels.size();
  for (size_t i = 0; i < a.labels.size(); ++i) {
    if (a.labels[i].value != b.labels[i].value) return a.labels[i].value < b.labels[i].value;
  }
  return a.timestamp_ms.value_or(INT64_MIN) < b.timestamp_ms.value_or(INT64_MIN);
}

}  // namespace narthex::client
