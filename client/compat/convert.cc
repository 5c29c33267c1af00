#include "prometheus/detail/convert.h"

#include <limits>
#include <sstream>

#include "../gather.h"
#include "narthex/client/custom.h"
#include "narthex/client/exposition.h"
#include "prometheus/family.h"
#include "prometheus/text_serializer.h"

namespace prometheus {
namespace detail {

namespace native = narthex::client;

native::MetricType NativeType(MetricType type) {
  switch (type) {
    case MetricType::Counter: return native::MetricType::kCounter;
    case MetricType::Gauge: return native::MetricType::kGauge;
    case MetricType::Summary: return native::MetricType::kSummary;
    case MetricType::Histogram: return native::MetricType::kHistogram;
    case MetricType::Info: return native::MetricType::kInfo;
    case MetricType::Untyped: break;
  }
  return native::MetricType::kUntyped;
}

native::Labels ToNative(const Labels& labels) {
  native::Labels pairs;
  for (const auto& [name, value] : labels) pairs.push_back({name, value});
  return pairs;
}

native::MetricFamily ToNative(const MetricFamily& family) {
  native::MetricFamily out = native::MakeFamily(NativeType(family.type), family.name, family.help);
  for (const ClientMetric& metric : family.metric) {
    native::Labels labels;
    for (const ClientMetric::Label& label : metric.label) {
      labels.push_back({label.name, label.value});
    }
    std::optional<int64_t> timestamp;
    if (metric.timestamp_ms != 0) timestamp = metric.timestamp_ms;
    switch (family.type) {
      case MetricType::Counter:
        native::AddSample(out, std::move(labels), metric.counter.value, {timestamp, {}, {}});
        break;
      case MetricType::Gauge:
        native::AddSample(out, std::move(labels), metric.gauge.value, {timestamp, {}, {}});
        break;
      case MetricType::Info:
        native::AddSample(out, std::move(labels), metric.info.value, {timestamp, {}, {}});
        break;
      case MetricType::Untyped:
        native::AddSample(out, std::move(labels), metric.untyped.value, {timestamp, {}, {}});
        break;
      case MetricType::Summary: {
        native::SummaryValue value;
        value.sample_count = metric.summary.sample_count;
        value.sample_sum = metric.summary.sample_sum;
        for (const auto& q : metric.summary.quantile) {
          value.quantiles.push_back({q.quantile, q.value});
        }
        native::AddSummary(out, std::move(labels), std::move(value), timestamp);
        break;
      }
      case MetricType::Histogram: {
        std::vector<std::pair<double, uint64_t>> buckets;
        for (const auto& bucket : metric.histogram.bucket) {
          buckets.emplace_back(bucket.upper_bound, bucket.cumulative_count);
        }
        native::AddHistogram(out, std::move(labels),
                             native::MakeHistogramValue(metric.histogram.sample_count,
                                                        metric.histogram.sample_sum, buckets),
                             timestamp);
        break;
      }
    }
  }
  return out;
}

ClientMetric FromNative(const native::Metric& metric) {
  ClientMetric out;
  for (const native::LabelPair& label : metric.labels) {
    out.label.push_back({label.name, label.value});
  }
  out.timestamp_ms = metric.timestamp_ms.value_or(0);
  if (const auto* counter = std::get_if<native::CounterValue>(&metric.value)) {
    out.counter.value = counter->value;
  } else if (const auto* gauge = std::get_if<native::GaugeValue>(&metric.value)) {
    out.gauge.value = gauge->value;
    out.info.value = gauge->value;
  } else if (const auto* untyped = std::get_if<native::UntypedValue>(&metric.value)) {
    out.untyped.value = untyped->value;
  } else if (const auto* s =
                 std::get_if<std::shared_ptr<const native::SummaryValue>>(&metric.value)) {
    out.summary.sample_count = (*s)->sample_count;
    out.summary.sample_sum = (*s)->sample_sum;
    for (const native::Quantile& q : (*s)->quantiles) {
      out.summary.quantile.push_back({q.quantile, q.value});
    }
  } else if (const auto* h =
                 std::get_if<std::shared_ptr<const native::HistogramValue>>(&metric.value)) {
    out.histogram.sample_count = (*h)->sample_count;
    out.histogram.sample_sum = (*h)->sample_sum;
    for (const native::Bucket& bucket : (*h)->buckets) {
      out.histogram.bucket.push_back({bucket.cumulative_count, bucket.upper_bound});
    }
    const double infinity = std::numeric_limits<double>::infinity();
    if (out.histogram.bucket.empty() || out.histogram.bucket.back().upper_bound != infinity) {
      out.histogram.bucket.push_back({(*h)->sample_count, infinity});
    }
  }
  return out;
}

MetricFamily FromNative(const native::MetricFamily& family) {
  MetricFamily out{family.name, family.help.value_or(""), MetricType::Untyped, {}};
  switch (family.type) {
    case native::MetricType::kCounter: out.type = MetricType::Counter; break;
    case native::MetricType::kStateSet:
    case native::MetricType::kGauge: out.type = MetricType::Gauge; break;
    case native::MetricType::kSummary: out.type = MetricType::Summary; break;
    case native::MetricType::kGaugeHistogram:
    case native::MetricType::kHistogram: out.type = MetricType::Histogram; break;
    case native::MetricType::kInfo: out.type = MetricType::Info; break;
    case native::MetricType::kUntyped: break;
  }
  for (const native::Metric& metric : family.metrics) out.metric.push_back(FromNative(metric));
  return out;
}

native::GatherResult CollectablePage::Gather() const {
  native::Gatherer gatherer;
  for (const Collectable* const source : sources_) {
    std::vector<native::MetricFamily> families;
    if (const auto* fast = dynamic_cast<const NativeSource*>(source)) {
      fast->CollectNative(families);
    } else {
      for (const MetricFamily& family : source->Collect()) families.push_back(ToNative(family));
    }
    for (native::MetricFamily& family : families) gatherer.Add(std::move(family), false);
  }
  native::Gatherer::Page page = std::move(gatherer).Finish();
  native::GatherResult result;
  for (native::Gatherer::Item& item : page.items) {
    result.families.push_back(std::move(item.family));
  }
  result.errors = std::move(page.errors);
  return result;
}

}  // namespace detail

std::string Serializer::Serialize(const std::vector<MetricFamily>& families) const {
  std::ostringstream out;
  Serialize(out, families);
  return out.str();
}

void TextSerializer::Serialize(std::ostream& out, const std::vector<MetricFamily>& families) const {
  std::string page;
  for (const MetricFamily& family : families) {
    const size_t begin = page.size();
    // A family that is empty or contradicts itself would make the page unreadable.
    if (!narthex::client::WriteText(detail::ToNative(family), page).ok()) page.resize(begin);
  }
  out << page;
}

}  // namespace prometheus
