#include "apps/pushgateway_json.h"

#include <fmt/format.h>

#include <memory>
#include <variant>

#include "apps/command.h"
#include "model/float_histogram_ops.h"
#include "narthex/client/metric_checks.h"
#include "util/numbers.h"
#include "util/time.h"
#include "web/json_writer.h"

namespace narthex::apps {
namespace {

using client::HistogramValue;
using client::Metric;
using client::MetricType;
using client::SummaryValue;
using web::JsonWriter;
// Go's encoder sorts the keys of maps.
using SortedTexts = std::map<std::string, std::string>;

void WriteTexts(JsonWriter& json, const SortedTexts& texts) {
  json.BeginObject();
  for (const auto& [key, text] : texts) json.Key(key).String(text);
  json.EndObject();
}

void WriteLabels(JsonWriter& json, const Metric& metric) {
  SortedTexts labels;
  for (const client::LabelPair& label : metric.labels) labels[label.name] = label.value;
  json.Key("labels");
  WriteTexts(json, labels);
}

bool IsNative(const HistogramValue& histogram) {
  return histogram.native &&
         (!histogram.native->positive_spans.empty() || !histogram.native->negative_spans.empty());
}

struct NativeView {
  FloatHistogram histogram;
  bool integer = true;
};

NativeView ToModel(const HistogramValue& value) {
  const client::NativeBuckets& native = *value.native;
  NativeView view;
  view.integer = value.sample_count_float == 0 && native.zero_count_float == 0 &&
                 native.positive_counts.empty() && native.negative_counts.empty();
  const auto spans = [](const std::vector<client::BucketSpan>& from) {
    std::vector<Span> to;
    to.reserve(from.size());
    for (const client::BucketSpan& span : from) to.push_back({span.offset, span.length});
    return to;
  };
  const auto count = [](double floating, uint64_t whole) {
    return floating != 0 ? floating : static_cast<double>(whole);
  };
  const auto buckets = [](const std::vector<int64_t>& deltas, const std::vector<double>& counts) {
    if (deltas.empty()) return counts;
    std::vector<double> absolute;
    absolute.reserve(deltas.size());
    int64_t running = 0;
    for (const int64_t delta : deltas) {
      running += delta;
      absolute.push_back(static_cast<double>(running));
    }
    return absolute;
  };
  FloatHistogram& out = view.histogram;
  out.schema = native.schema;
  out.zero_threshold = native.zero_threshold;
  out.zero_count = count(native.zero_count_float, native.zero_count);
  out.count = count(value.sample_count_float, value.sample_count);
  out.sum = value.sample_sum;
  out.positive_spans = spans(native.positive_spans);
  out.negative_spans = spans(native.negative_spans);
  out.positive_buckets = buckets(native.positive_deltas, native.positive_counts);
  out.negative_buckets = buckets(native.negative_deltas, native.negative_counts);
  // Iterating needs a count for each bucket of the spans; a pushed body may lack some.
  const auto fill = [](const std::vector<Span>& of, std::vector<double>* counts) {
    size_t length = 0;
    for (const Span& span : of) length += span.length;
    counts->resize(length);
  };
  fill(out.positive_spans, &out.positive_buckets);
  fill(out.negative_spans, &out.negative_buckets);
  return view;
}

std::string CountText(double count, bool integer) {
  return integer ? fmt::format("{}", static_cast<uint64_t>(count)) : FormatFloatG(count);
}

// Which of the bounds belong to a bucket: 0 the upper, 1 the lower, 2 none, 3 both.
int BoundaryRule(const HistogramBucket& bucket) {
  if (bucket.lower_inclusive) return bucket.upper_inclusive ? 3 : 1;
  return bucket.upper_inclusive ? 0 : 2;
}

void WriteNative(JsonWriter& json, const HistogramValue& value) {
  const NativeView view = ToModel(value);
  json.Key("buckets").BeginArray();
  for (BucketIterator it(view.histogram, BucketOrder::kAll); it.Next();) {
    const HistogramBucket& bucket = it.bucket();
    if (bucket.count == 0) continue;
    json.BeginArray()
        .Int(BoundaryRule(bucket))
        .String(FormatFloatG(bucket.lower))
        .String(FormatFloatG(bucket.upper))
        .String(CountText(bucket.count, view.integer))
        .EndArray();
  }
  json.EndArray();
  json.Key("count").String(CountText(view.histogram.count, view.integer));
}

void WriteClassic(JsonWriter& json, const HistogramValue& histogram) {
  SortedTexts buckets;
  for (const client::Bucket& bucket : histogram.buckets) {
    buckets[FormatFloatG(bucket.upper_bound)] = bucket.cumulative_count_float > 0
                                                    ? FormatFloatG(bucket.cumulative_count_float)
                                                    : fmt::format("{}", bucket.cumulative_count);
  }
  json.Key("buckets");
  WriteTexts(json, buckets);
  json.Key("count").String(histogram.sample_count_float > 0
                               ? FormatFloatG(histogram.sample_count_float)
                               : fmt::format("{}", histogram.sample_count));
}

double PlainValue(const Metric& metric) {
  if (const auto* gauge = std::get_if<client::GaugeValue>(&metric.value)) return gauge->value;
  if (const auto* counter = std::get_if<client::CounterValue>(&metric.value)) return counter->value;
  if (const auto* untyped = std::get_if<client::UntypedValue>(&metric.value)) return untyped->value;
  return 0;
}

// Keys in the order of the alphabet, as Go's maps come out.
void WriteMetric(JsonWriter& json, const Metric& metric, MetricType type) {
  json.BeginObject();
  if (type == MetricType::kHistogram) {
    const auto* held = std::get_if<std::shared_ptr<const HistogramValue>>(&metric.value);
    const HistogramValue histogram = held == nullptr ? HistogramValue() : **held;
    if (IsNative(histogram)) {
      WriteNative(json, histogram);
    } else {
      WriteClassic(json, histogram);
    }
    WriteLabels(json, metric);
    json.Key("sum").String(FormatFloatG(histogram.sample_sum));
  } else if (type == MetricType::kSummary) {
    const auto* held = std::get_if<std::shared_ptr<const SummaryValue>>(&metric.value);
    const SummaryValue summary = held == nullptr ? SummaryValue() : **held;
    json.Key("count").String(fmt::format("{}", summary.sample_count));
    WriteLabels(json, metric);
    SortedTexts quantiles;
    for (const client::Quantile& quantile : summary.quantiles) {
      quantiles[FormatFloatG(quantile.quantile)] = FormatFloatG(quantile.value);
    }
    json.Key("quantiles");
    WriteTexts(json, quantiles);
    json.Key("sum").String(FormatFloatG(summary.sample_sum));
  } else {
    WriteLabels(json, metric);
    json.Key("value").String(FormatFloatG(PlainValue(metric)));
  }
  json.EndObject();
}

std::string FamilyJson(const push::StampedFamily& stamped) {
  const client::MetricFamily& family = *stamped.family;
  std::string out;
  JsonWriter json(&out);
  json.BeginObject();
  json.Key("time_stamp")
      .String(FormatRfc3339Nano(stamped.time.seconds * kNanosPerSecond + stamped.time.nanos));
  json.Key("type").String(client::MetricTypeName(family.type));
  if (family.help && !family.help->empty()) json.Key("help").String(*family.help);
  json.Key("metrics").BeginArray();
  for (const Metric& metric : family.metrics) WriteMetric(json, metric, family.type);
  json.EndArray().EndObject();
  return out;
}

}  // namespace

std::string PushedMetricsJson(const push::Groups& groups) {
  std::string out;
  JsonWriter json(&out);
  json.BeginObject().Key("status").String("success").Key("data").BeginArray();
  for (const auto& [key, group] : groups) {
    // A metric may be called like one of the two fixed keys, and then takes its place.
    SortedTexts members;
    std::string labels;
    JsonWriter labels_json(&labels);
    SortedTexts pairs;
    for (const client::LabelPair& label : group->labels) pairs[label.name] = label.value;
    WriteTexts(labels_json, pairs);
    members["labels"] = std::move(labels);
    members["last_push_successful"] = group->last_push_successful() ? "true" : "false";
    for (const auto& [name, stamped] : group->families) members[name] = FamilyJson(stamped);
    json.BeginObject();
    for (const auto& [name, text] : members) json.Key(name).Raw(text);
    json.EndObject();
  }
  json.EndArray().EndObject();
  return out;
}

std::string PushStatusJson(const SortedTexts& flags, int64_t start_time_nanos) {
  std::string out;
  JsonWriter json(&out);
  json.BeginObject().Key("status").String("success").Key("data").BeginObject();
  json.Key("build_information");
  WriteTexts(json, {{"branch", ""},
                    {"buildDate", std::string(BuildDate())},
                    {"buildUser", ""},
                    {"goVersion", CompilerText()},
                    {"revision", std::string(Revision())},
                    {"version", std::string(Version())}});
  json.Key("flags");
  WriteTexts(json, flags);
  json.Key("start_time").String(FormatRfc3339Nano(start_time_nanos));
  json.EndObject().EndObject();
  return out;
}

}  // namespace narthex::apps
