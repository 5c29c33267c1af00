// OpenMetrics 1.0 (and 0.0.1, which looks the same), and the little of 2.0 that upstream writes.
//
// Where a counter lacks the `_total` suffix its type is `unknown`, which is how client_golang keeps
// the page valid.
#include <charconv>
#include <cmath>
#include <limits>

#include "narthex/client/exposition.h"
#include "text_parts.h"

namespace narthex::client {
namespace {

constexpr std::string_view kTotal = "_total";

std::string_view TypeWord(MetricType type) {
  switch (type) {
    case MetricType::kCounter: return "counter";
    case MetricType::kGauge: return "gauge";
    case MetricType::kSummary: return "summary";
    case MetricType::kUntyped: return "unknown";
    case MetricType::kHistogram: return "histogram";
    case MetricType::kGaugeHistogram: return "gaugehistogram";
    case MetricType::kInfo: return "info";
    case MetricType::kStateSet: return "stateset";
  }
  return "unknown";
}

void AppendInteger(uint64_t v, std::string& out) {
  char digits[24];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, v).ptr);
}

void AppendHeader(const MetricFamily& family, std::string_view name, std::string_view type,
                  std::string& out) {
  if (family.help) {
    AppendComment("HELP", name, out);
    AppendEscaped(*family.help, QuoteEscape::kYes, out);
    out += '\n';
  }
  AppendComment("TYPE", name, out);
  out += type;
  out += '\n';
  if (family.unit) {
    AppendComment("UNIT", name, out);
    AppendEscaped(*family.unit, QuoteEscape::kYes, out);
    out += '\n';
  }
}

class SampleWriter {
 public:
  // `base`: the name in the comments; `name`: the one of plain samples.
  SampleWriter(std::string_view base, std::string_view name, const EncodeOptions& options,
               std::string& out)
      : name_(name),
        plain_(name),
        bucket_(std::string(name) + "_bucket"),
        sum_(std::string(name) + "_sum"),
        count_(std::string(name) + "_count"),
        created_(std::string(base) + "_created"),
        options_(options),
        out_(out) {}

  Status Write(const Metric& metric) {
    metric_ = &metric;
    if (const auto* counter = std::get_if<CounterValue>(&metric.value)) {
      Begin(plain_);
      AppendOpenMetricsFloat(counter->value, out_);
      End(counter->exemplar.get());
      Created(counter->created);
    } else if (const auto* gauge = std::get_if<GaugeValue>(&metric.value)) {
      Plain(plain_, gauge->value);
    } else if (const auto* untyped = std::get_if<UntypedValue>(&metric.value)) {
      Plain(plain_, untyped->value);
    } else if (const auto* s = std::get_if<std::shared_ptr<const SummaryValue>>(&metric.value)) {
      const SummaryValue& summary = **s;
      for (const Quantile& q : summary.quantiles) Plain(plain_, q.value, "quantile", q.quantile);
      Plain(sum_, summary.sample_sum);
      Integer(count_, summary.sample_count);
      Created(summary.created);
    } else if (const auto* h = std::get_if<std::shared_ptr<const HistogramValue>>(&metric.value)) {
      return WriteHistogram(**h);
    }
    return {};
  }

 private:
  Status NoFloats() {
    std::string message = "OpenMetrics v1.0 does not support float histogram ";
    message += name_;
    message += ' ';
    WriteProtobufCompactMetric(*metric_, message);
    return {StatusCode::kInvalid, std::move(message)};
  }

  Status WriteHistogram(const HistogramValue& histogram) {
    bool infinity_seen = false;
    for (const Bucket& bucket : histogram.buckets) {
      if (bucket.cumulative_count_float > 0) return NoFloats();
      Begin(bucket_, "le", bucket.upper_bound);
      AppendInteger(bucket.cumulative_count, out_);
      End(bucket.exemplar.get());
      infinity_seen |= bucket.upper_bound == std::numeric_limits<double>::infinity();
    }
    if (!infinity_seen) {
      Begin(bucket_, "le", std::numeric_limits<double>::infinity());
      AppendInteger(histogram.sample_count, out_);
      End(nullptr);
    }
    Plain(sum_, histogram.sample_sum);
    if (histogram.sample_count_float > 0) return NoFloats();
    Integer(count_, histogram.sample_count);
    Created(histogram.created);
    return {};
  }

  void Begin(const SeriesName& name, std::string_view extra = {}, double extra_value = 0) {
    name.Append(metric_->labels, extra, extra_value, FloatStyle::kOpenMetrics, out_);
    out_ += ' ';
  }

  void End(const Exemplar* exemplar) {
    if (metric_->timestamp_ms) {
      out_ += ' ';
      AppendOpenMetricsFloat(static_cast<double>(*metric_->timestamp_ms) / 1000, out_);
    }
    if (exemplar != nullptr && !exemplar->labels.empty()) {
      out_ += " # ";
      AppendSeries("", exemplar->labels, FloatStyle::kOpenMetrics, out_);
      out_ += ' ';
      AppendOpenMetricsFloat(exemplar->value, out_);
      if (exemplar->timestamp) {
        out_ += ' ';
        AppendOpenMetricsFloat(exemplar->timestamp->UnixSeconds(), out_);
      }
    }
    out_ += '\n';
  }

  void Plain(const SeriesName& name, double value, std::string_view extra = {},
             double extra_value = 0) {
    Begin(name, extra, extra_value);
    AppendOpenMetricsFloat(value, out_);
    End(nullptr);
  }

  void Integer(const SeriesName& name, uint64_t value) {
    Begin(name);
    AppendInteger(value, out_);
    End(nullptr);
  }

  void Created(const std::optional<Timestamp>& created) {
    if (!options_.created_lines || !created) return;
    Begin(created_);
    AppendOpenMetricsFloat(created->UnixSeconds(), out_);
    out_ += '\n';
  }

  const std::string_view name_;
  const SeriesName plain_;
  const SeriesName bucket_;
  const SeriesName sum_;
  const SeriesName count_;
  const SeriesName created_;
  const EncodeOptions& options_;
  std::string& out_;
  const Metric* metric_ = nullptr;
};

// Seconds in full, never in exponent form, without trailing zeros.
void AppendTimestamp(Timestamp t, std::string& out) {
  out += std::to_string(t.seconds);
  if (t.nanos == 0) return;
  std::string nanos = std::to_string(1'000'000'000 + t.nanos).substr(1);
  nanos.erase(nanos.find_last_not_of('0') + 1);
  (out += '.') += nanos;
}

Status WriteSample2(const MetricFamily& family, const Metric& metric, double value,
                    const std::optional<Timestamp>& start, const Exemplar* exemplar,
                    std::string& out) {
  for (const LabelPair& label : metric.labels) {
    if (label.name.empty()) return {StatusCode::kInvalid, "label name cannot be empty"};
  }
  AppendSeries(family.name, metric.labels, FloatStyle::kPlain, out);
  out += ' ';
  AppendFloat(value, out);
  if (metric.timestamp_ms) {
    out += ' ';
    AppendTimestamp(Timestamp::FromUnixNanos(*metric.timestamp_ms * 1'000'000), out);
  }
  if (start) {
    out += " st@";
    AppendTimestamp(*start, out);
  }
  // In 2.0 an exemplar must have a timestamp; one without is left out.
  if (exemplar != nullptr && exemplar->timestamp) {
    out += " # ";
    if (exemplar->labels.empty()) out += "{}";
    AppendSeries("", exemplar->labels, FloatStyle::kPlain, out);
    out += ' ';
    AppendFloat(exemplar->value, out);
    out += ' ';
    AppendTimestamp(*exemplar->timestamp, out);
  }
  out += '\n';
  return {};
}

}  // namespace

Status WriteOpenMetrics(const MetricFamily& family, std::string& out,
                        const EncodeOptions& options) {
  if (family.name.empty()) return NoName(family);
  std::string_view base = family.name;
  std::string_view type = TypeWord(family.type);
  if (family.type == MetricType::kCounter) {
    if (EndsWith(base, kTotal)) {
      base.remove_suffix(kTotal.size());
    } else {
      type = "unknown";
    }
  } else if (family.type == MetricType::kInfo) {
    if (EndsWith(base, "_info")) {
      base.remove_suffix(5);
    } else {
      type = "gauge";  // The suffix is obligatory for infos.
    }
  }
  if (!options.continued) AppendHeader(family, base, type, out);
  SampleWriter writer(base, family.name, options, out);
  for (size_t i = 0; i < family.metrics.size(); ++i) {
    PrefetchLabels(family.metrics, i);
    const Metric& metric = family.metrics[i];
    if (Status status = CheckValue(family, family.name, metric); !status.ok()) return status;
    if (Status status = writer.Write(metric); !status.ok()) return status;
  }
  return {};
}

Status WriteOpenMetrics2(const MetricFamily& family, std::string& out) {
  if (family.name.empty()) return NoName(family);
  if (family.type > MetricType::kStateSet) return CheckValue(family, family.name, {});
  AppendHeader(family, family.name, TypeWord(family.type), out);
  for (const Metric& metric : family.metrics) {
    if (Status status = CheckValue(family, family.name, metric); !status.ok()) return status;
    double value = 0;
    std::optional<Timestamp> start;
    const Exemplar* exemplar = nullptr;
    if (const auto* counter = std::get_if<CounterValue>(&metric.value)) {
      value = counter->value;
      start = counter->created;
      exemplar = counter->exemplar.get();
      if (std::isnan(value)) {
        return {StatusCode::kInvalid, "counter value cannot be NaN in metric " + family.name};
      }
      if (value < 0) {
        std::string message = "counter value cannot be negative (";
        AppendFloat(value, message);
        return {StatusCode::kInvalid, message + ") in metric " + family.name};
      }
    } else if (const auto* gauge = std::get_if<GaugeValue>(&metric.value)) {
      value = gauge->value;
    } else if (const auto* untyped = std::get_if<UntypedValue>(&metric.value)) {
      value = untyped->value;
    } else if (family.type == MetricType::kSummary) {
      // Upstream has no composite values yet either; text and protobuf have all types.
      return {StatusCode::kInvalid, "summary not implemented yet"};
    } else {
      return {StatusCode::kInvalid, "histogram not implemented yet"};
    }
    if (Status status = WriteSample2(family, metric, value, start, exemplar, out); !status.ok()) {
      return status;
    }
  }
  return {};
}

}  // namespace narthex::client
