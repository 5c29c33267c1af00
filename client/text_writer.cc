// The text format 0.0.4. It knows neither exemplars nor native buckets, created timestamps or
// units.
#include <charconv>
#include <cmath>
#include <limits>

#include "narthex/client/exposition.h"
#include "text_parts.h"

namespace narthex::client {
namespace {

std::string_view TypeWord(MetricType type) {
  switch (type) {
    case MetricType::kCounter: return "counter";
    case MetricType::kSummary: return "summary";
    case MetricType::kUntyped: return "untyped";
    case MetricType::kHistogram:
    case MetricType::kGaugeHistogram: return "histogram";
    case MetricType::kGauge:
    case MetricType::kInfo:
    case MetricType::kStateSet: return "gauge";
  }
  return "";
}

// Writes the samples of one family.
class SampleWriter {
 public:
  SampleWriter(const MetricFamily& family, std::string& out)
      : plain_(family.name),
        bucket_(family.name + "_bucket"),
        sum_(family.name + "_sum"),
        count_(family.name + "_count"),
        out_(out) {}

  void Write(const Metric& metric) {
    metric_ = &metric;
    if (const auto* counter = std::get_if<CounterValue>(&metric.value)) {
      Sample(plain_, counter->value);
    } else if (const auto* gauge = std::get_if<GaugeValue>(&metric.value)) {
      Sample(plain_, gauge->value);
    } else if (const auto* untyped = std::get_if<UntypedValue>(&metric.value)) {
      Sample(plain_, untyped->value);
    } else if (const auto* s = std::get_if<std::shared_ptr<const SummaryValue>>(&metric.value)) {
      const SummaryValue& summary = **s;
      for (const Quantile& q : summary.quantiles) Sample(plain_, q.value, "quantile", q.quantile);
      Sample(sum_, summary.sample_sum);
      Sample(count_, static_cast<double>(summary.sample_count));
    } else if (const auto* h = std::get_if<std::shared_ptr<const HistogramValue>>(&metric.value)) {
      WriteHistogram(**h);
    }
  }

 private:
  static double Count(double as_float, uint64_t as_integer) {
    return as_float != 0 ? as_float : static_cast<double>(as_integer);
  }

  void WriteHistogram(const HistogramValue& histogram) {
    const double count = Count(histogram.sample_count_float, histogram.sample_count);
    bool infinity_seen = false;
    for (const Bucket& bucket : histogram.buckets) {
      Sample(bucket_, Count(bucket.cumulative_count_float, bucket.cumulative_count), "le",
             bucket.upper_bound);
      infinity_seen |= bucket.upper_bound == std::numeric_limits<double>::infinity();
    }
    if (!infinity_seen) Sample(bucket_, count, "le", std::numeric_limits<double>::infinity());
    Sample(sum_, histogram.sample_sum);
    Sample(count_, count);
  }

  void Sample(const SeriesName& name, double value, std::string_view extra = {},
              double extra_value = 0) {
    name.Append(metric_->labels, extra, extra_value, FloatStyle::kPlain, out_);
    out_ += ' ';
    AppendFloat(value, out_);
    if (metric_->timestamp_ms) {
      char digits[24];
      const auto end = std::to_chars(digits, digits + sizeof digits, *metric_->timestamp_ms).ptr;
      (out_ += ' ').append(digits, end);
    }
    out_ += '\n';
  }

  const SeriesName plain_;
  const SeriesName bucket_;
  const SeriesName sum_;
  const SeriesName count_;
  std::string& out_;
  const Metric* metric_ = nullptr;
};

}  // namespace

Status WriteText(const MetricFamily& family, std::string& out, const EncodeOptions& options) {
  if (family.metrics.empty()) {
    std::string message = "MetricFamily has no metrics: ";
    WriteProtobufCompact(family, message);
    message.pop_back();  // The line feed.
    return {StatusCode::kInvalid, std::move(message)};
  }
  if (family.name.empty()) return NoName(family);
  if (!options.continued) {
    if (family.help) {
      AppendComment("HELP", family.name, out);
      AppendEscaped(*family.help, QuoteEscape::kNo, out);
      out += '\n';
    }
    AppendComment("TYPE", family.name, out);
    out += TypeWord(family.type);
    out += '\n';
  }
  SampleWriter writer(family, out);
  for (size_t i = 0; i < family.metrics.size(); ++i) {
    PrefetchLabels(family.metrics, i);
    const Metric& metric = family.metrics[i];
    if (Status status = CheckValue(family, family.name, metric); !status.ok()) return status;
    writer.Write(metric);
  }
  return {};
}

}  // namespace narthex::client
