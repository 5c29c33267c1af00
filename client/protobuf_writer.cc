// io.prometheus.client.MetricFamily on the wire and as text, from one description of its fields.
//
// EmitFamily() walks a family and calls a sink: WireSink writes protobuf's wire format, TextSink
// the text form that people and error messages see. Field numbers stand here and nowhere else.
//
//   delimited page   ( varint length | MetricFamily )*
#include <charconv>
#include <cmath>
#include <cstring>
#include <vector>

#include "narthex/client/exposition.h"
#include "text_parts.h"

namespace narthex::client {
namespace {

struct Field {
  uint32_t number;
  std::string_view name;
};

void AppendVarint(uint64_t v, std::string& out) {
  if (v < 0x80) {
    out += static_cast<char>(v);
    return;
  }
  while (v >= 0x80) {
    out += static_cast<char>(v | 0x80);
    v >>= 7;
  }
  out += static_cast<char>(v);
}

uint64_t ZigZag(int64_t v) {
  return (static_cast<uint64_t>(v) << 1) ^ static_cast<uint64_t>(v >> 63);
}

class WireSink {
 public:
  explicit WireSink(std::string& out) : out_(out) {}

  // Lengths stand before contents whose size is not known yet. One byte is kept for them, which is
  // nearly always enough; otherwise the content moves up once its size is known.
  void Begin(Field field) {
    Tag(field, 2);
    starts_.push_back(out_.size());
    out_ += '\0';
  }
  void End() {
    const size_t start = starts_.back();
    starts_.pop_back();
    const size_t size = out_.size() - start - 1;
    if (size < 0x80) {
      out_[start] = static_cast<char>(size);
      return;
    }
    std::string length;
    AppendVarint(size, length);
    out_.replace(start, 1, length);
  }
  void Double(Field field, double v) {
    Tag(field, 1);
    uint64_t bits;
    std::memcpy(&bits, &v, sizeof bits);
    char bytes[8];
    for (int i = 0; i < 8; ++i) bytes[i] = static_cast<char>(bits >> (8 * i));
    out_.append(bytes, sizeof bytes);
  }
  void Unsigned(Field field, uint64_t v) {
    Tag(field, 0);
    AppendVarint(v, out_);
  }
  void Signed(Field field, int64_t v) { Unsigned(field, static_cast<uint64_t>(v)); }
  void ZigZagged(Field field, int64_t v) { Unsigned(field, ZigZag(v)); }
  void Enum(Field field, uint64_t v, std::string_view) { Unsigned(field, v); }
  void Text(Field field, std::string_view v) {
    Tag(field, 2);
    AppendVarint(v.size(), out_);
    out_ += v;
  }

 private:
  void Tag(Field field, uint32_t wire_type) { AppendVarint(field.number << 3 | wire_type, out_); }

  std::string& out_;
  std::vector<size_t> starts_;
};

class TextSink {
 public:
  enum class Layout : unsigned char { kLines, kOneLine };
  TextSink(Layout layout, std::string& out) : layout_(layout), out_(out) {}

  void Begin(Field field) {
    Indent();
    out_ += field.name;
    out_ += layout_ == Layout::kLines ? ": {\n" : ":{";
    ++depth_;
    separate_ = false;
  }
  void End() {
    --depth_;
    if (layout_ == Layout::kLines) Indent();
    out_ += '}';
    EndField();
  }
  void Double(Field field, double v) {
    Name(field);
    if (std::isnan(v)) {
      out_ += "nan";
    } else if (std::isinf(v)) {
      out_ += v > 0 ? "inf" : "-inf";
    } else {
      AppendFloat(v, out_);
    }
    EndField();
  }
  void Unsigned(Field field, uint64_t v) {
    Name(field);
    out_ += std::to_string(v);
    EndField();
  }
  void Signed(Field field, int64_t v) {
    Name(field);
    out_ += std::to_string(v);
    EndField();
  }
  void ZigZagged(Field field, int64_t v) { Signed(field, v); }
  void Enum(Field field, uint64_t, std::string_view word) {
    Name(field);
    out_ += word;
    EndField();
  }
  void Text(Field field, std::string_view v) {
    Name(field);
    out_ += '"';
    for (const char c : v) {
      switch (c) {
        case '\n': out_ += "\\n"; break;
        case '\r': out_ += "\\r"; break;
        case '\t': out_ += "\\t"; break;
        case '"': out_ += "\\\""; break;
        case '\\': out_ += "\\\\"; break;
        default: out_ += c;
      }
    }
    out_ += '"';
    EndField();
  }

 private:
  void Indent() {
    if (layout_ == Layout::kLines) {
      out_.append(2 * static_cast<size_t>(depth_), ' ');
    } else if (separate_) {
      out_ += ' ';
    }
  }
  void Name(Field field) {
    Indent();
    out_ += field.name;
    out_ += layout_ == Layout::kLines ? ": " : ":";
  }
  void EndField() {
    if (layout_ == Layout::kLines) out_ += '\n';
    separate_ = true;
  }

  const Layout layout_;
  std::string& out_;
  int depth_ = 0;
  bool separate_ = false;
};

template <typename Sink>
void EmitLabels(Sink& sink, const LabelSet& labels) {
  for (const LabelPair& label : labels) {
    sink.Begin({1, "label"});
    sink.Text({1, "name"}, label.name);
    sink.Text({2, "value"}, label.value);
    sink.End();
  }
}

template <typename Sink>
void EmitTimestamp(Sink& sink, Field field, const std::optional<Timestamp>& t) {
  if (!t) return;
  sink.Begin(field);
  if (t->seconds != 0) sink.Signed({1, "seconds"}, t->seconds);
  if (t->nanos != 0) sink.Signed({2, "nanos"}, t->nanos);
  sink.End();
}

template <typename Sink>
void EmitExemplar(Sink& sink, Field field, const ExemplarPtr& exemplar) {
  if (exemplar == nullptr) return;
  sink.Begin(field);
  EmitLabels(sink, exemplar->labels);
  sink.Double({2, "value"}, exemplar->value);
  EmitTimestamp(sink, {3, "timestamp"}, exemplar->timestamp);
  sink.End();
}

template <typename Sink>
void EmitSpans(Sink& sink, Field field, const std::vector<BucketSpan>& spans) {
  for (const BucketSpan& span : spans) {
    sink.Begin(field);
    sink.ZigZagged({1, "offset"}, span.offset);
    sink.Unsigned({2, "length"}, span.length);
    sink.End();
  }
}

template <typename Sink>
void EmitNative(Sink& sink, const NativeBuckets& native) {
  sink.ZigZagged({5, "schema"}, native.schema);
  sink.Double({6, "zero_threshold"}, native.zero_threshold);
  if (native.zero_count_float != 0) {
    sink.Double({8, "zero_count_float"}, native.zero_count_float);
  } else {
    sink.Unsigned({7, "zero_count"}, native.zero_count);
  }
  EmitSpans(sink, {9, "negative_span"}, native.negative_spans);
  for (const int64_t v : native.negative_deltas) sink.ZigZagged({10, "negative_delta"}, v);
  for (const double v : native.negative_counts) sink.Double({11, "negative_count"}, v);
  EmitSpans(sink, {12, "positive_span"}, native.positive_spans);
  for (const int64_t v : native.positive_deltas) sink.ZigZagged({13, "positive_delta"}, v);
  for (const double v : native.positive_counts) sink.Double({14, "positive_count"}, v);
}

template <typename Sink>
void EmitHistogram(Sink& sink, const HistogramValue& histogram) {
  if (histogram.sample_count_float != 0) {
    sink.Double({4, "sample_count_float"}, histogram.sample_count_float);
  } else {
    sink.Unsigned({1, "sample_count"}, histogram.sample_count);
  }
  sink.Double({2, "sample_sum"}, histogram.sample_sum);
  for (const Bucket& bucket : histogram.buckets) {
    sink.Begin({3, "bucket"});
    if (bucket.cumulative_count_float != 0) {
      sink.Double({4, "cumulative_count_float"}, bucket.cumulative_count_float);
    } else {
      sink.Unsigned({1, "cumulative_count"}, bucket.cumulative_count);
    }
    sink.Double({2, "upper_bound"}, bucket.upper_bound);
    EmitExemplar(sink, {3, "exemplar"}, bucket.exemplar);
    sink.End();
  }
  if (histogram.native) EmitNative(sink, *histogram.native);
  EmitTimestamp(sink, {15, "created_timestamp"}, histogram.created);
  if (histogram.native) {
    for (const ExemplarPtr& e : histogram.native->exemplars)
      EmitExemplar(sink, {16, "exemplars"}, e);
  }
}

template <typename Sink>
void EmitSummary(Sink& sink, const SummaryValue& summary) {
  sink.Unsigned({1, "sample_count"}, summary.sample_count);
  sink.Double({2, "sample_sum"}, summary.sample_sum);
  for (const Quantile& q : summary.quantiles) {
    sink.Begin({3, "quantile"});
    sink.Double({1, "quantile"}, q.quantile);
    sink.Double({2, "value"}, q.value);
    sink.End();
  }
  EmitTimestamp(sink, {4, "created_timestamp"}, summary.created);
}

template <typename Sink>
void EmitMetric(Sink& sink, const Metric& metric) {
  EmitLabels(sink, metric.labels);
  if (const auto* gauge = std::get_if<GaugeValue>(&metric.value)) {
    sink.Begin({2, "gauge"});
    sink.Double({1, "value"}, gauge->value);
    sink.End();
  } else if (const auto* counter = std::get_if<CounterValue>(&metric.value)) {
    sink.Begin({3, "counter"});
    sink.Double({1, "value"}, counter->value);
    EmitExemplar(sink, {2, "exemplar"}, counter->exemplar);
    EmitTimestamp(sink, {3, "created_timestamp"}, counter->created);
    sink.End();
  } else if (const auto* s = std::get_if<std::shared_ptr<const SummaryValue>>(&metric.value)) {
    sink.Begin({4, "summary"});
    if (*s != nullptr) EmitSummary(sink, **s);
    sink.End();
  } else if (const auto* untyped = std::get_if<UntypedValue>(&metric.value)) {
    sink.Begin({5, "untyped"});
    sink.Double({1, "value"}, untyped->value);
    sink.End();
  } else if (const auto* h = std::get_if<std::shared_ptr<const HistogramValue>>(&metric.value)) {
    sink.Begin({7, "histogram"});
    if (*h != nullptr) EmitHistogram(sink, **h);
    sink.End();
  }
  if (metric.timestamp_ms) sink.Signed({6, "timestamp_ms"}, *metric.timestamp_ms);
}

struct TypeEntry {
  uint64_t number;
  std::string_view word;
};

TypeEntry WireType(MetricType type) {
  switch (type) {
    case MetricType::kCounter: return {0, "COUNTER"};
    case MetricType::kSummary: return {2, "SUMMARY"};
    case MetricType::kUntyped: return {3, "UNTYPED"};
    case MetricType::kHistogram: return {4, "HISTOGRAM"};
    case MetricType::kGaugeHistogram: return {5, "GAUGE_HISTOGRAM"};
    case MetricType::kGauge:
    case MetricType::kInfo:
    case MetricType::kStateSet: return {1, "GAUGE"};
  }
  return {3, "UNTYPED"};
}

template <typename Sink>
void EmitFamily(Sink& sink, const MetricFamily& family) {
  if (!family.name.empty()) sink.Text({1, "name"}, family.name);
  if (family.help) sink.Text({2, "help"}, *family.help);
  const TypeEntry type = WireType(family.type);
  sink.Enum({3, "type"}, type.number, type.word);
  for (size_t i = 0; i < family.metrics.size(); ++i) {
    PrefetchLabels(family.metrics, i);
    sink.Begin({4, "metric"});
    EmitMetric(sink, family.metrics[i]);
    sink.End();
  }
  if (family.unit) sink.Text({5, "unit"}, *family.unit);
}

}  // namespace

void WriteProtobufDelimited(const MetricFamily& family, std::string& out) {
  std::string message;
  // Not exact: so that a large family does not grow by doubling.
  if (family.metrics.size() > 1) {
    WireSink first(message);
    EmitMetric(first, family.metrics[0]);
    const size_t size = message.size() + 8;
    message.clear();
    message.reserve(size * family.metrics.size());
  }
  WireSink sink(message);
  EmitFamily(sink, family);
  AppendVarint(message.size(), out);
  out += message;
}

void WriteProtobufText(const MetricFamily& family, std::string& out) {
  TextSink sink(TextSink::Layout::kLines, out);
  EmitFamily(sink, family);
  out += '\n';
}

void WriteProtobufCompact(const MetricFamily& family, std::string& out) {
  TextSink sink(TextSink::Layout::kOneLine, out);
  EmitFamily(sink, family);
  out += '\n';
}

void WriteProtobufCompactMetric(const Metric& metric, std::string& out) {
  TextSink sink(TextSink::Layout::kOneLine, out);
  EmitMetric(sink, metric);
}

}  // namespace narthex::client
