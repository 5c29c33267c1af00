#include "text_parts.h"

namespace narthex::client {

void AppendEscaped(std::string_view text, QuoteEscape quotes, std::string& out) {
  const std::string_view special = quotes == QuoteEscape::kYes ? "\\\n\"" : "\\\n";
  for (size_t at = 0;;) {
    const size_t next = text.find_first_of(special, at);
    out += text.substr(at, next - at);
    if (next == std::string_view::npos) return;
    out += '\\';
    out += text[next] == '\n' ? 'n' : text[next];
    at = next + 1;
  }
}

void AppendName(std::string_view name, std::string& out) {
  if (IsValidLegacyMetricName(name)) {
    out += name;
    return;
  }
  out += '"';
  AppendEscaped(name, QuoteEscape::kYes, out);
  out += '"';
}

void AppendComment(std::string_view keyword, std::string_view name, std::string& out) {
  out += "# ";
  out += keyword;
  out += ' ';
  AppendName(name, out);
  out += ' ';
}

void AppendSeries(std::string_view name, const LabelSet& labels, std::string_view extra,
                  double extra_value, FloatStyle style, std::string& out) {
  char separator = '{';
  if (!name.empty()) {
    if (IsValidLegacyMetricName(name)) {
      out += name;
    } else {
      out += '{';
      AppendName(name, out);
      separator = ',';
    }
  }
  for (const LabelPair& label : labels) {
    out += separator;
    AppendName(label.name, out);
    out += "=\"";
    AppendEscaped(label.value, QuoteEscape::kYes, out);
    out += '"';
    separator = ',';
  }
  if (!extra.empty()) {
    out += separator;
    out += extra;
    out += "=\"";
    if (style == FloatStyle::kPlain) {
      AppendFloat(extra_value, out);
    } else {
      AppendOpenMetricsFloat(extra_value, out);
    }
    out += '"';
    separator = ',';
  }
  if (separator == ',') out += '}';
}

Status CheckValue(const MetricFamily& family, std::string_view shown_name, const Metric& metric) {
  const auto mismatch = [&](std::string_view wanted) -> Status {
    std::string message = "expected ";
    message += wanted;
    message += " in metric ";
    message += shown_name;
    message += ' ';
    WriteProtobufCompactMetric(metric, message);
    return {StatusCode::kInvalid, std::move(message)};
  };
  const MetricValue& value = metric.value;
  switch (family.type) {
    case MetricType::kCounter:
      return std::holds_alternative<CounterValue>(value) ? Status() : mismatch("counter");
    case MetricType::kUntyped:
      return std::holds_alternative<UntypedValue>(value) ? Status() : mismatch("untyped");
    case MetricType::kSummary: {
      const auto* summary = std::get_if<std::shared_ptr<const SummaryValue>>(&value);
      return summary != nullptr && *summary != nullptr ? Status() : mismatch("summary");
    }
    case MetricType::kHistogram:
    case MetricType::kGaugeHistogram: {
      const auto* histogram = std::get_if<std::shared_ptr<const HistogramValue>>(&value);
      return histogram != nullptr && *histogram != nullptr ? Status() : mismatch("histogram");
    }
    case MetricType::kGauge:
    case MetricType::kInfo:
    case MetricType::kStateSet:
      return std::holds_alternative<GaugeValue>(value) ? Status() : mismatch("gauge");
  }
  return {StatusCode::kInvalid,
          "unknown metric type " + std::to_string(static_cast<int>(family.type))};
}

Status NoName(const MetricFamily& family) {
  std::string message = "MetricFamily has no name: ";
  WriteProtobufCompact(family, message);
  while (!message.empty() && message.back() == '\n') message.pop_back();
  return {StatusCode::kInvalid, std::move(message)};
}

}  // namespace narthex::client
