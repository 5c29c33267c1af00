#include "exposition/openmetrics2_composite.h"

#include <charconv>
#include <cmath>
#include <limits>

#include "util/numbers.h"
#include "util/strings.h"

namespace narthex::exposition {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Counts from here on do not fit 64 bits.
constexpr double kIntegerLimit = 18446744073709551616.0;

Status Invalid(std::string text) {
  return {ErrorCode::kInvalidInput, std::move(text)};
}

Result<double> GoFloat(std::string_view text) {
  bool out_of_range = false;
  const std::optional<double> number = ParseFloat(text, &out_of_range);
  if (number && !out_of_range) return std::isnan(*number) ? NormalNan() : *number;
  return Invalid("strconv.ParseFloat: parsing " + GoQuote(text) +
                 (out_of_range ? ": value out of range" : ": invalid syntax"));
}

// strconv.ParseInt and ParseUint of a type's width.
template <typename T>
Result<T> GoInteger(std::string_view text) {
  T value = 0;
  std::string_view digits = text;
  if (std::is_signed_v<T> && digits.starts_with('+')) digits.remove_prefix(1);
  const bool sign_twice = digits.size() != text.size() && digits.starts_with('-');
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (!sign_twice && error == std::errc() && end == digits.data() + digits.size()) return value;
  const bool range =
      error == std::errc::result_out_of_range && end == digits.data() + digits.size();
  return Invalid(std::string("strconv.Parse") + (std::is_signed_v<T> ? "Int" : "Uint") +
                 ": parsing " + GoQuote(text) +
                 (range ? ": value out of range" : ": invalid syntax"));
}

// Calls visit(part) for each non-empty part of `[a,b,…]`; `what` begins the error of another form.
Status ForEachPart(std::string_view list, std::string_view what,
                   const std::function<Status(std::string_view)>& visit) {
  list = TrimSpace(list);
  if (list.empty() || list == "[]") return {};
  if (list.size() < 2 || list.front() != '[' || list.back() != ']') {
    return Invalid(std::string(what) + " must be wrapped in []: " + GoQuote(list));
  }
  for (const std::string_view raw : Split(list.substr(1, list.size() - 2), ',')) {
    const std::string_view part = TrimSpace(raw);
    if (!part.empty()) NARTHEX_RETURN_IF_ERROR(visit(part));
  }
  return {};
}

Result<std::vector<Span>> ParseSpans(std::string_view list) {
  std::vector<Span> spans;
  NARTHEX_RETURN_IF_ERROR(ForEachPart(list, "spans", [&](std::string_view part) -> Status {
    const size_t colon = part.find(':');
    if (colon == std::string_view::npos) return Invalid("span missing ':': " + GoQuote(part));
    const std::string_view before = part.substr(0, colon);
    const std::string_view after = part.substr(colon + 1);
    const Result<int32_t> offset = GoInteger<int32_t>(TrimSpace(before));
    if (!offset.ok()) {
      return offset.status().WithPrefix("invalid span offset " + GoQuote(before) + ": ");
    }
    const Result<uint32_t> length = GoInteger<uint32_t>(TrimSpace(after));
    if (!length.ok()) {
      return length.status().WithPrefix("invalid span length " + GoQuote(after) + ": ");
    }
    spans.push_back({*offset, *length});
    return {};
  }));
  return spans;
}

Result<std::vector<int64_t>> ParseDeltas(std::string_view list) {
  std::vector<int64_t> deltas;
  int64_t last = 0;
  NARTHEX_RETURN_IF_ERROR(ForEachPart(list, "buckets", [&](std::string_view part) -> Status {
    const Result<int64_t> count = GoInteger<int64_t>(part);
    if (!count.ok()) return count.status().WithPrefix("invalid bucket " + GoQuote(part) + ": ");
    // Wraps for hostile counts, which validation refuses.
    deltas.push_back(
        static_cast<int64_t>(static_cast<uint64_t>(*count) - static_cast<uint64_t>(last)));
    last = *count;
    return {};
  }));
  return deltas;
}

Result<std::vector<double>> ParseCounts(std::string_view list) {
  std::vector<double> counts;
  NARTHEX_RETURN_IF_ERROR(ForEachPart(list, "float buckets", [&](std::string_view part) -> Status {
    const Result<double> count = GoFloat(part);
    if (!count.ok()) {
      return count.status().WithPrefix("invalid float bucket " + GoQuote(part) + ": ");
    }
    counts.push_back(*count);
    return {};
  }));
  return counts;
}

// Floats are written with a point or an exponent.
bool HasFloats(std::string_view list) {
  return list.find_first_of(".eE") != std::string_view::npos;
}

template <typename T>
Status Named(const Result<T>& result, std::string_view name) {
  return result.status().WithPrefix("invalid " + std::string(name) + ": ");
}

struct NativeNumbers {
  int32_t schema = 0;
  double count = 0;
  double sum = 0;
  double zero_threshold = 0;
  double zero_count = 0;
};

Result<NativeNumbers> ReadNativeNumbers(const CompositeFields& fields, bool gauge) {
  NativeNumbers n;
  const Result<int64_t> schema = GoInteger<int64_t>(fields.text(CompositeField::kSchema));
  if (!schema.ok()) return Named(schema, "schema");
  if (*schema < kExponentialSchemaMin || *schema > kExponentialSchemaMax) {
    return Invalid("schema must be between -4 and 8, got " + std::to_string(*schema));
  }
  n.schema = static_cast<int32_t>(*schema);
  const CountAndSum names(gauge);
  NARTHEX_TRY(n.count, CompositeNumber(fields, names.count, names.count_name));
  if (n.count < 0) {
    return Invalid(std::string(names.count_name) + " must not be negative, got " +
                   FormatFloatG(n.count));
  }
  NARTHEX_TRY(n.sum, CompositeNumber(fields, names.sum, names.sum_name));
  NARTHEX_TRY(n.zero_threshold,
              CompositeNumber(fields, CompositeField::kZeroThreshold, "zero_threshold"));
  if (!std::isfinite(n.zero_threshold) || n.zero_threshold < 0) {
    return Invalid("zero_threshold must be a non-negative, finite number, got " +
                   FormatFloatG(n.zero_threshold));
  }
  NARTHEX_TRY(n.zero_count, CompositeNumber(fields, CompositeField::kZeroCount, "zero_count"));
  if (n.zero_count < 0) {
    return Invalid("zero_count must not be negative, got " + FormatFloatG(n.zero_count));
  }
  return n;
}

// Fields that both kinds have, and validation.
template <typename H>
Status Complete(const NativeNumbers& n, bool gauge, std::string_view invalid, H* h) {
  h->schema = n.schema;
  h->sum = n.sum;
  h->zero_threshold = n.zero_threshold;
  if (gauge) h->counter_reset_hint = CounterResetHint::kGauge;
  return h->Validate().WithPrefix(invalid);
}

}  // namespace

Result<double> CompositeNumber(const CompositeFields& fields, CompositeField field,
                               std::string_view name) {
  Result<double> number = GoFloat(fields.text(field));
  if (!number.ok()) return Named(number, name);
  return number;
}

Result<AnyHistogram> BuildNativeHistogram(const CompositeFields& fields, bool gauge) {
  NARTHEX_TRY(const NativeNumbers n, ReadNativeNumbers(fields, gauge));
  const std::string_view positive = fields.text(CompositeField::kPositiveBuckets);
  const std::string_view negative = fields.text(CompositeField::kNegativeBuckets);
  const bool is_float = n.count != std::trunc(n.count) ||
                        n.zero_count != std::trunc(n.zero_count) || n.count >= kIntegerLimit ||
                        n.zero_count >= kIntegerLimit || HasFloats(positive) || HasFloats(negative);
  Result<std::vector<Span>> positive_spans =
      ParseSpans(fields.text(CompositeField::kPositiveSpans));
  if (!positive_spans.ok()) return Named(positive_spans, "positive_spans");
  Result<std::vector<Span>> negative_spans =
      ParseSpans(fields.text(CompositeField::kNegativeSpans));
  if (!negative_spans.ok()) return Named(negative_spans, "negative_spans");

  AnyHistogram result;
  const auto fill = [&](auto* h, auto parse, std::string_view invalid) -> Status {
    h->positive_spans = *std::move(positive_spans);
    h->negative_spans = *std::move(negative_spans);
    auto positive_buckets = parse(positive);
    if (!positive_buckets.ok()) return Named(positive_buckets, "positive_buckets");
    auto negative_buckets = parse(negative);
    if (!negative_buckets.ok()) return Named(negative_buckets, "negative_buckets");
    h->positive_buckets = *std::move(positive_buckets);
    h->negative_buckets = *std::move(negative_buckets);
    return Complete(n, gauge, invalid, h);
  };
  if (is_float) {
    FloatHistogram& h = result.floating.emplace();
    h.count = n.count;
    h.zero_count = n.zero_count;
    NARTHEX_RETURN_IF_ERROR(fill(&h, ParseCounts, "invalid float histogram: "));
  } else {
    Histogram& h = result.integer.emplace();
    h.count = static_cast<uint64_t>(n.count);
    h.zero_count = static_cast<uint64_t>(n.zero_count);
    NARTHEX_RETURN_IF_ERROR(fill(&h, ParseDeltas, "invalid histogram: "));
  }
  return result;
}

Result<AnyHistogram> BuildCustomHistogram(const CompositeFields& fields, bool gauge) {
  const CountAndSum names(gauge);
  NARTHEX_TRY(const double count, CompositeNumber(fields, names.count, names.count_name));
  NARTHEX_TRY(const double sum, CompositeNumber(fields, names.sum, names.sum_name));
  ClassicHistogram parts;
  NARTHEX_RETURN_IF_ERROR(parts.SetCount(count));
  NARTHEX_RETURN_IF_ERROR(parts.SetSum(sum));
  if (fields.has(CompositeField::kBucket)) {
    bool has_infinity = false;
    NARTHEX_RETURN_IF_ERROR(
        ForEachBucket(fields.text(CompositeField::kBucket), [&](double bound, double n) {
          has_infinity = has_infinity || bound == kInfinity;
          return parts.SetBucket(bound, n);
        }));
    if (!has_infinity) return Invalid("classic histogram buckets must include a +Inf threshold");
  }
  NARTHEX_TRY(AnyHistogram result, parts.Convert());
  if (gauge) {
    if (result.integer) result.integer->counter_reset_hint = CounterResetHint::kGauge;
    if (result.floating) result.floating->counter_reset_hint = CounterResetHint::kGauge;
  }
  return result;
}

Status ForEachBucket(std::string_view list, const std::function<Status(double, double)>& visit) {
  bool first = true;
  double last = 0;
  Status visited;
  const Status status = ForEachPart(list, "bucket", [&](std::string_view part) -> Status {
    const size_t colon = part.rfind(':');
    if (colon == std::string_view::npos) return Invalid("bucket missing ':': " + GoQuote(part));
    const std::string_view count_text = part.substr(colon + 1);
    const std::string_view bound_text = TrimSpace(part.substr(0, colon));
    const Result<double> count = GoFloat(TrimSpace(count_text));
    if (!count.ok()) {
      return count.status().WithPrefix("invalid bucket count " + GoQuote(count_text) + ": ");
    }
    const Result<double> bound = GoFloat(bound_text);
    if (!bound.ok()) {
      return bound.status().WithPrefix("invalid bucket threshold " + GoQuote(bound_text) + ": ");
    }
    if (std::isnan(*bound)) {
      return Invalid("bucket threshold must not be NaN: " + GoQuote(part));
    }
    if (!first && *bound <= last) {
      return Invalid("classic histogram buckets must be sorted in increasing order: " +
                     GoQuote(part));
    }
    first = false;
    last = *bound;
    return visited = visit(*bound, *count);
  });
  return visited.ok() ? status.WithPrefix("invalid bucket: ") : visited;
}

Status ForEachQuantile(std::string_view list, const std::function<Status(double, double)>& visit) {
  double last = -kInfinity;
  return ForEachPart(
             list, "quantile",
             [&](std::string_view part) -> Status {
               const size_t colon = part.find(':');
               if (colon == std::string_view::npos) {
                 return Invalid("quantile missing ':': " + GoQuote(part));
               }
               const std::string_view value_text = part.substr(colon + 1);
               const std::string_view quantile_text = TrimSpace(part.substr(0, colon));
               const Result<double> value = GoFloat(TrimSpace(value_text));
               if (!value.ok()) {
                 return value.status().WithPrefix("invalid quantile value " + GoQuote(value_text) +
                                                  ": ");
               }
               const Result<double> quantile = GoFloat(quantile_text);
               if (!quantile.ok()) {
                 return quantile.status().WithPrefix("invalid quantile " + GoQuote(quantile_text) +
                                                     ": ");
               }
               if (std::isnan(*quantile)) {
                 return Invalid("quantile must not be NaN: " + GoQuote(part));
               }
               if (*quantile < 0 || *quantile > 1) {
                 return Invalid("quantile must be between 0.0 and 1.0, got " +
                                GoQuote(quantile_text));
               }
               if (*quantile <= last) {
                 return Invalid("quantiles must be sorted in increasing order: " + GoQuote(part));
               }
               last = *quantile;
               return visit(*quantile, *value);
             })
      .WithPrefix("invalid quantile: ");
}

}  // namespace narthex::exposition
