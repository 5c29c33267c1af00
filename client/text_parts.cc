#include "text_parts.h"

namespace narthex::client {

void AppendEscaped(std::string_view text, QuoteEscape quotes, std::string& out) {
  size_t copied = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c != '\\' && c != '\n' && (c != '"' || quotes == QuoteEscape::kNo)) continue;
    out.append(text, copied, at - copied);
    out += '\\';
    out += c == '\n' ? 'n' : c;
    copied = at + 1;
  }
  out.append(text, copied, std::string_view::npos);
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

void AppendLabels(const LabelPair* begin, const LabelPair* end, std::string& out) {
  for (const LabelPair* label = begin; label != end; ++label) {
    if (label != begin) out += ',';
    AppendName(label->name, out);
    out += "=\"";
    AppendEscaped(label->value, QuoteEscape::kYes, out);
    out += '"';
  }
}

SeriesName::SeriesName(std::string_view name) {
  if (name.empty() || IsValidLegacyMetricName(name)) {
    text_ = name;
  } else {
    text_ = '{';
    AppendName(name, text_);
    separator_ = ',';
  }
}

void SeriesName::Append(const LabelSet& labels, std::string_view extra, double extra_value,
                        FloatStyle style, std::string& out) const {
  out += text_;
  char separator = separator_;
  if (!labels.empty()) {
    out += separator;
    if (const std::string_view ready = labels.text(); !ready.empty()) {
      out += ready;
    } else {
      AppendLabels(labels.begin(), labels.end(), out);
    }
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

void AppendSeries(std::string_view name, const LabelSet& labels, FloatStyle style,
                  std::string& out) {
  SeriesName(name).Append(labels, {}, 0, style, out);
}

void PrefetchLabels(const std::vector<Metric>& metrics, size_t at) {
  constexpr size_t kAhead = 8;
  if (at + kAhead >= metrics.size()) return;
  const char* const soon = static_cast<const char*>(metrics[at + kAhead].labels.address());
  __builtin_prefetch(soon);
  __builtin_prefetch(soon + 64);
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
