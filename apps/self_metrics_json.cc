// /api/v1/status/self_metrics: our families in the JSON form of Prometheus' protobuf messages,
// where 64-bit integers are strings and enumerations are names.
#include <cmath>

#include "apps/self_metrics.h"
#include "narthex/client/metric_checks.h"
#include "util/time.h"
#include "web/json_writer.h"

namespace narthex::apps {
namespace {

using web::JsonWriter;

void WriteDouble(JsonWriter& json, double value) {
  if (std::isnan(value)) {
    json.String("NaN");
  } else if (std::isinf(value)) {
    json.String(value > 0 ? "Infinity" : "-Infinity");
  } else {
    json.Double(value);
  }
}

void WriteTime(JsonWriter& json, std::string_view key, const client::Timestamp& time) {
  json.Key(key).String(FormatRfc3339Nano(time.seconds * kNanosPerSecond + time.nanos));
}

template <typename Integer>
void WriteInteger(JsonWriter& json, Integer value) {
  json.String(std::to_string(value));
}

void WriteLabels(JsonWriter& json, const client::LabelSet& labels) {
  json.Key("label").BeginArray();
  for (const auto& label : labels) {
    json.BeginObject().Key("name").String(label.name).Key("value").String(label.value).EndObject();
  }
  json.EndArray();
}

void WriteSummary(JsonWriter& json, const client::SummaryValue& summary) {
  json.Key("summary").BeginObject();
  json.Key("sampleCount");
  WriteInteger(json, summary.sample_count);
  json.Key("sampleSum");
  WriteDouble(json, summary.sample_sum);
  if (!summary.quantiles.empty()) {
    json.Key("quantile").BeginArray();
    for (const client::Quantile& quantile : summary.quantiles) {
      json.BeginObject().Key("quantile");
      WriteDouble(json, quantile.quantile);
      json.Key("value");
      WriteDouble(json, quantile.value);
      json.EndObject();
    }
    json.EndArray();
  }
  if (summary.created) WriteTime(json, "createdTimestamp", *summary.created);
  json.EndObject();
}

void WriteSpans(JsonWriter& json, std::string_view key,
                const std::vector<client::BucketSpan>& spans) {
  if (spans.empty()) return;
  json.Key(key).BeginArray();
  for (const client::BucketSpan& span : spans) {
    json.BeginObject().Key("offset").Int(span.offset).Key("length").Int(span.length).EndObject();
  }
  json.EndArray();
}

void WriteDeltas(JsonWriter& json, std::string_view key, const std::vector<int64_t>& deltas) {
  if (deltas.empty()) return;
  json.Key(key).BeginArray();
  for (const int64_t delta : deltas) WriteInteger(json, delta);
  json.EndArray();
}

void WriteHistogram(JsonWriter& json, const client::HistogramValue& histogram) {
  json.Key("histogram").BeginObject();
  json.Key("sampleCount");
  WriteInteger(json, histogram.sample_count);
  json.Key("sampleSum");
  WriteDouble(json, histogram.sample_sum);
  if (!histogram.buckets.empty()) {
    json.Key("bucket").BeginArray();
    for (const client::Bucket& bucket : histogram.buckets) {
      if (std::isinf(bucket.upper_bound)) continue;
      json.BeginObject().Key("cumulativeCount");
      WriteInteger(json, bucket.cumulative_count);
      json.Key("upperBound").Double(bucket.upper_bound).EndObject();
    }
    json.EndArray();
  }
  if (histogram.created) WriteTime(json, "createdTimestamp", *histogram.created);
  if (histogram.native) {
    const client::NativeBuckets& native = *histogram.native;
    json.Key("schema").Int(native.schema);
    json.Key("zeroThreshold").Double(native.zero_threshold);
    json.Key("zeroCount");
    WriteInteger(json, native.zero_count);
    WriteSpans(json, "negativeSpan", native.negative_spans);
    WriteDeltas(json, "negativeDelta", native.negative_deltas);
    WriteSpans(json, "positiveSpan", native.positive_spans);
    WriteDeltas(json, "positiveDelta", native.positive_deltas);
  }
  json.EndObject();
}

void WriteSimple(JsonWriter& json, std::string_view kind, double value,
                 const std::optional<client::Timestamp>& created = std::nullopt) {
  json.Key(kind).BeginObject().Key("value");
  WriteDouble(json, value);
  if (created) WriteTime(json, "createdTimestamp", *created);
  json.EndObject();
}

void WriteMetric(JsonWriter& json, const client::Metric& metric) {
  json.BeginObject();
  if (!metric.labels.empty()) WriteLabels(json, metric.labels);
  if (const auto* counter = std::get_if<client::CounterValue>(&metric.value)) {
    WriteSimple(json, "counter", counter->value, counter->created);
  } else if (const auto* gauge = std::get_if<client::GaugeValue>(&metric.value)) {
    WriteSimple(json, "gauge", gauge->value);
  } else if (const auto* untyped = std::get_if<client::UntypedValue>(&metric.value)) {
    WriteSimple(json, "untyped", untyped->value);
  } else if (const auto* summary =
                 std::get_if<std::shared_ptr<const client::SummaryValue>>(&metric.value)) {
    WriteSummary(json, **summary);
  } else if (const auto* histogram =
                 std::get_if<std::shared_ptr<const client::HistogramValue>>(&metric.value)) {
    WriteHistogram(json, **histogram);
  }
  json.EndObject();
}

}  // namespace

Result<std::string> SelfMetrics::Json(const std::function<bool(std::string_view)>& wanted) const {
  const client::GatherResult gathered = registry_.Gather();
  if (!gathered.errors.empty()) {
    return Status(ErrorCode::kInternal, "error gathering self metrics: " + gathered.errors.front());
  }
  std::string out;
  JsonWriter json(&out);
  json.BeginArray();
  for (const client::MetricFamily& family : gathered.families) {
    if (!wanted(family.name)) continue;
    json.BeginObject().Key("name").String(family.name);
    json.Key("help").String(family.help.value_or(""));
    json.Key("type").String(client::MetricTypeName(family.type));
    json.Key("metric").BeginArray();
    for (const client::Metric& metric : family.metrics) WriteMetric(json, metric);
    json.EndArray().EndObject();
  }
  json.EndArray();
  return out;
}

}  // namespace narthex::apps
