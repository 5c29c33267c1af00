// Histograms as text of test scripts and as classic series.
#include <algorithm>
#include <cmath>
#include <limits>

#include "model/float_histogram_ops.h"
#include "util/go_math.h"
#include "util/numbers.h"
#include "util/strings.h"

namespace narthex {

std::string FormatOpenMetricsFloat(double value) {
  if (std::isnan(value)) return "NaN";
  std::string text = FormatFloatG(value);
  if (!std::isinf(value) && text.find_first_of("e.") == std::string::npos) text += ".0";
  return text;
}

std::string ToTestExpression(const FloatHistogram& histogram) {
  FloatHistogram flat = histogram;
  CompactHistogram(&flat, std::numeric_limits<size_t>::max());
  std::vector<std::string> parts;
  const auto add_number = [&](std::string_view key, double value) {
    if (value != 0) parts.push_back(std::string(key) + ":" + FormatFloatG(value));
  };
  const auto list = [](const std::vector<double>& values) {
    std::vector<std::string> texts;
    for (const double value : values) texts.push_back(FormatFloatG(value));
    return "[" + Join(texts, " ") + "]";
  };
  if (flat.schema != 0) parts.push_back("schema:" + std::to_string(flat.schema));
  add_number("count", flat.count);
  add_number("sum", flat.sum);
  add_number("z_bucket", flat.zero_count);
  add_number("z_bucket_w", flat.zero_threshold);
  if (flat.uses_custom_buckets()) parts.push_back("custom_values:" + list(flat.custom_values));
  switch (flat.counter_reset_hint) {
    case CounterResetHint::kUnknown: break;
    case CounterResetHint::kReset: parts.emplace_back("counter_reset_hint:reset"); break;
    case CounterResetHint::kNotReset: parts.emplace_back("counter_reset_hint:not_reset"); break;
    case CounterResetHint::kGauge: parts.emplace_back("counter_reset_hint:gauge"); break;
  }
  const auto add_side = [&](std::string_view offset_key, std::string_view buckets_key,
                            const std::vector<Span>& spans, const std::vector<double>& buckets) {
    if (!spans.empty() && spans.front().offset != 0) {
      parts.push_back(std::string(offset_key) + ":" + std::to_string(spans.front().offset));
    }
    if (!buckets.empty()) parts.push_back(std::string(buckets_key) + ":" + list(buckets));
  };
  add_side("offset", "buckets", flat.positive_spans, flat.positive_buckets);
  add_side("n_offset", "n_buckets", flat.negative_spans, flat.negative_buckets);
  return "{{" + Join(parts, " ") + "}}";
}

int32_t SchemaForBucketFactor(double factor) {
  // The growth factor of the finest schema; what cannot be a factor asks for that.
  constexpr double kSmallestFactor = 1.00271;
  if (!(factor > 1)) factor = kSmallestFactor;
  const double schema = std::floor(-go::Log2(go::Log2(factor)));
  return static_cast<int32_t>(
      std::clamp<double>(schema, kExponentialSchemaMin, kExponentialSchemaMax));
}

namespace {

// `buckets` are absolute counts in span order.
Result<std::vector<ClassicSample>> ToClassic(const Labels& labels, const std::vector<Span>& spans,
                                             const std::vector<double>& buckets,
                                             const std::vector<double>& bounds, double count,
                                             double sum) {
  const std::string name(labels.metric_name());
  if (name.empty()) {
    return MakeError(ErrorCode::kInvalidInput, "metric name label '__name__' is missing");
  }
  std::vector<double> cumulative(bounds.size() + 1, 0.0);
  size_t at = 0;
  size_t bucket = 0;
  for (const Span& span : spans) {
    at += static_cast<size_t>(span.offset);
    for (uint32_t i = 0; i < span.length; ++i) cumulative[at++] = buckets[bucket++];
  }
  for (size_t i = 1; i < cumulative.size(); ++i) cumulative[i] += cumulative[i - 1];
  // A stale histogram is stale in all its series.
  if (IsStaleNan(sum)) {
    std::fill(cumulative.begin(), cumulative.end(), sum);
    count = sum;
  }
  std::vector<ClassicSample> samples;
  LabelsBuilder builder(labels);
  builder.Set(kMetricNameLabel, name + "_bucket");
  for (size_t i = 0; i < cumulative.size(); ++i) {
    const double bound = i < bounds.size() ? bounds[i] : std::numeric_limits<double>::infinity();
    builder.Set(kBucketLabel, FormatOpenMetricsFloat(bound));
    samples.push_back({builder.Build(), cumulative[i]});
  }
  builder.Reset(labels);
  builder.Set(kMetricNameLabel, name + "_count");
  samples.push_back({builder.Build(), count});
  builder.Set(kMetricNameLabel, name + "_sum");
  samples.push_back({builder.Build(), sum});
  return samples;
}

template <typename H>
Status CheckCustom(const H& histogram) {
  if (!histogram.uses_custom_buckets()) {
    return MakeError(ErrorCode::kInvalidInput, "unsupported histogram schema, not a NHCB");
  }
  return histogram.Validate();
}

}  // namespace

Result<std::vector<ClassicSample>> CustomBucketsToClassic(const Labels& labels,
                                                          const FloatHistogram& histogram) {
  NARTHEX_RETURN_IF_ERROR(CheckCustom(histogram));
  return ToClassic(labels, histogram.positive_spans, histogram.positive_buckets,
                   histogram.custom_values, histogram.count, histogram.sum);
}

Result<std::vector<ClassicSample>> CustomBucketsToClassic(const Labels& labels,
                                                          const Histogram& histogram) {
  NARTHEX_RETURN_IF_ERROR(CheckCustom(histogram));
  const FloatHistogram floats = histogram.ToFloat();
  return ToClassic(labels, floats.positive_spans, floats.positive_buckets, floats.custom_values,
                   floats.count, floats.sum);
}

}  // namespace narthex
