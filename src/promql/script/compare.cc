#include "promql/script/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "model/float_histogram_ops.h"
#include "util/numbers.h"
#include "util/strings.h"

namespace narthex::promql::script {
namespace {

constexpr double kTolerance = 0.000001;

template <typename... Args>
Status Differs(fmt::format_string<Args...> format, Args&&... args) {
  return MakeError(ErrorCode::kInvalidInput, format, std::forward<Args>(args)...);
}

// Spans without those of length zero.
std::vector<Span> MergedSpans(const std::vector<Span>& spans) {
  std::vector<Span> merged;
  int32_t offset = 0;
  for (const Span& span : spans) {
    offset += span.offset;
    if (span.length == 0) continue;
    merged.push_back({offset, span.length});
    offset = 0;
  }
  return merged;
}

bool BucketsAlmostEqual(const std::vector<double>& a, const std::vector<double>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), AlmostEqual);
}

std::string ValueText(const SequenceValue& value) {
  if (value.omitted) return "_";
  return value.histogram != nullptr ? ToTestExpression(*value.histogram)
                                    : FormatFloatG(value.value);
}

std::string SampleText(double value, const HistogramPtr& histogram) {
  return histogram != nullptr ? ToTestExpression(*histogram) : FormatFloatG(value);
}

std::string PointsText(const storage::SampleColumns& samples) {
  std::string text;
  for (size_t i = 0; i < samples.size(); ++i) {
    text += fmt::format(
        "{}{} @[{}]", i == 0 ? "" : " ",
        SampleText(samples.values[i], samples.histograms.empty() ? nullptr : samples.histograms[i]),
        samples.timestamps_ms[i]);
  }
  return text;
}

const ExpectedSeries* FindExpected(const EvalCommand& command, const Labels& labels) {
  for (const ExpectedSeries& series : command.series) {
    if (series.labels == labels) return &series;
  }
  return nullptr;
}

Status ComparePoint(const Labels& labels, const SequenceValue& expected, double value,
                    const FloatHistogram* histogram) {
  const bool same = (expected.histogram != nullptr) == (histogram != nullptr) &&
                    (histogram == nullptr ? AlmostEqual(expected.value, value)
                                          : HistogramsAlmostEqual(*expected.histogram, *histogram,
                                                                  expected.hint_written));
  if (same) return {};
  return Differs("expected {} for {} but got {}", ValueText(expected), labels.ToMetricString(),
                 histogram != nullptr ? ToTestExpression(*histogram) : FormatFloatG(value));
}

Status CompareMatrixSeries(const EvalCommand& command, const ExpectedSeries& expected,
                           const storage::SampleColumns& samples) {
  const std::string name = expected.labels.ToMetricString();
  size_t at = 0;
  for (size_t i = 0; i < expected.values.size(); ++i) {
    const int64_t time = command.start_ms + static_cast<int64_t>(i) * command.step_ms;
    if (time > command.end_ms) {
      return Differs(
          "expected {} points for {}, but query time range cannot return this many points",
          expected.values.size(), name);
    }
    if (expected.values[i].omitted) continue;
    if (at >= samples.size() || samples.timestamps_ms[at] != time) {
      return Differs("expected {} for {} at {}, but result has {}", ValueText(expected.values[i]),
                     name, time, PointsText(samples));
    }
    const Status same = ComparePoint(expected.labels, expected.values[i], samples.values[at],
                                     samples.histogram(at));
    if (!same.ok()) {
      return Differs("{} at {} (result has {})", same.message(), time, PointsText(samples));
    }
    ++at;
  }
  if (at != samples.size()) {
    return Differs("expected {} points for {}, but result has {}", at, name, PointsText(samples));
  }
  return {};
}

Status CompareMatrix(const EvalCommand& command, const std::vector<RangeSeries>& matrix) {
  if (command.ordered) return Differs("expected ordered result, but query returned a matrix");
  if (command.scalar.has_value()) return Differs("expected scalar result, but got a matrix");
  NARTHEX_RETURN_IF_ERROR(CheckSorted(matrix));
  size_t found = 0;
  for (const RangeSeries& series : matrix) {
    const ExpectedSeries* expected = FindExpected(command, series.labels);
    if (expected == nullptr) {
      return Differs("unexpected metric {} in result, has {}", series.labels.ToMetricString(),
                     PointsText(series.samples));
    }
    ++found;
    NARTHEX_RETURN_IF_ERROR(CompareMatrixSeries(command, *expected, series.samples));
  }
  if (found == command.series.size()) return {};
  for (const ExpectedSeries& expected : command.series) {
    const bool present = std::any_of(
        matrix.begin(), matrix.end(),
        [&expected](const RangeSeries& series) { return series.labels == expected.labels; });
    if (!present) return Differs("expected metric {} not found", expected.labels.ToMetricString());
  }
  return Differs("result has series of equal labels");
}

}  // namespace

bool AlmostEqual(double a, double b) {
  if (IsStaleNan(a) || IsStaleNan(b)) return IsStaleNan(a) && IsStaleNan(b);
  if (std::isnan(a) && std::isnan(b)) return true;
  if (a == b) return true;
  constexpr double kSmallest = std::numeric_limits<double>::min();
  const double sum = std::abs(a) + std::abs(b);
  const double diff = std::abs(a - b);
  if (a == 0 || b == 0 || sum < kSmallest) return diff < kTolerance * kSmallest;
  return diff / std::min(sum, std::numeric_limits<double>::max()) < kTolerance;
}

bool HistogramsAlmostEqual(const FloatHistogram& expected, const FloatHistogram& actual,
                           bool with_hint) {
  FloatHistogram a = expected;
  FloatHistogram b = actual;
  CompactHistogram(&a, 0);
  CompactHistogram(&b, 0);
  return a.schema == b.schema && AlmostEqual(a.count, b.count) && AlmostEqual(a.sum, b.sum) &&
         (!a.uses_custom_buckets() || CustomBoundsMatch(a.custom_values, b.custom_values)) &&
         a.zero_threshold == b.zero_threshold && AlmostEqual(a.zero_count, b.zero_count) &&
         MergedSpans(a.positive_spans) == MergedSpans(b.positive_spans) &&
         MergedSpans(a.negative_spans) == MergedSpans(b.negative_spans) &&
         BucketsAlmostEqual(a.positive_buckets, b.positive_buckets) &&
         BucketsAlmostEqual(a.negative_buckets, b.negative_buckets) &&
         (!with_hint || a.counter_reset_hint == b.counter_reset_hint);
}

Status CheckSorted(const std::vector<RangeSeries>& matrix) {
  for (size_t i = 1; i < matrix.size(); ++i) {
    if (matrix[i].labels < matrix[i - 1].labels) {
      return Differs("matrix results should always be sorted by labels, but {} comes behind {}",
                     matrix[i].labels.ToMetricString(), matrix[i - 1].labels.ToMetricString());
    }
  }
  return {};
}

Status CompareVector(const EvalCommand& command, const std::vector<InstantSample>& vector,
                     bool ordered) {
  if (command.scalar.has_value()) return Differs("expected scalar result, but got a vector");
  for (size_t i = 0; i < vector.size(); ++i) {
    const InstantSample& sample = vector[i];
    const std::string name = sample.labels.ToMetricString();
    const ExpectedSeries* expected = FindExpected(command, sample.labels);
    if (expected == nullptr) {
      return Differs("unexpected metric {} in result, has value {}", name,
                     SampleText(sample.value, sample.histogram));
    }
    if (ordered && expected->position != i + 1) {
      return Differs("expected metric {} at position {} but was at {}", name, expected->position,
                     i + 1);
    }
    NARTHEX_RETURN_IF_ERROR(
        ComparePoint(sample.labels, expected->values.at(0), sample.value, sample.histogram.get()));
  }
  for (const ExpectedSeries& expected : command.series) {
    const auto count = std::count_if(
        vector.begin(), vector.end(),
        [&expected](const InstantSample& sample) { return sample.labels == expected.labels; });
    if (count == 0) {
      return Differs("expected metric {} with {} not found", expected.labels.ToMetricString(),
                     ValueText(expected.values.at(0)));
    }
    if (count > 1) return Differs("result has series of equal labels");
  }
  return {};
}

Status CompareScalar(const EvalCommand& command, double scalar) {
  if (!command.scalar.has_value()) {
    return Differs("expected vector or matrix result, but got scalar {}", FormatFloatG(scalar));
  }
  if (AlmostEqual(*command.scalar, scalar)) return {};
  return Differs("expected scalar {} but got {}", FormatFloatG(*command.scalar),
                 FormatFloatG(scalar));
}

Status CompareResult(const EvalCommand& command, const QueryResult& result) {
  switch (result.type) {
    case ValueType::kMatrix: return CompareMatrix(command, result.matrix);
    case ValueType::kVector: return CompareVector(command, result.vector, command.ordered);
    case ValueType::kScalar: return CompareScalar(command, result.scalar);
    case ValueType::kString:
      if (result.string == command.string) return {};
      return Differs("expected string {} but got {}", GoQuote(command.string),
                     GoQuote(result.string));
    case ValueType::kNone: break;
  }
  return Differs("the query gave no value");
}

Status CheckAnnotations(const EvalCommand& command, const QueryResult& result) {
  for (const Annotation kind : {Annotation::kWarn, Annotation::kInfo}) {
    const bool warn = kind == Annotation::kWarn;
    const std::string_view name = warn ? "warn" : "info";
    const std::vector<std::string>& actual = warn ? result.warnings : result.infos;
    const std::vector<Expectation>& expected = command.annotations[static_cast<size_t>(kind)];
    if (command.any_annotation[static_cast<size_t>(kind)] && actual.empty()) {
      return Differs("expected {} annotations but got none", name);
    }
    if (command.no_annotation[static_cast<size_t>(kind)] && !actual.empty()) {
      return Differs("unexpected {} annotations: {}", name, Join(actual, "; "));
    }
    if (expected.empty()) continue;
    if (actual.empty()) return Differs("expected {} annotations but none were found", name);
    for (const Expectation& expectation : expected) {
      const bool found = std::any_of(
          actual.begin(), actual.end(),
          [&expectation](const std::string& text) { return expectation.Matches(text); });
      if (!found) {
        return Differs("expected {} annotation matching {} but found: {}", name,
                       GoQuote(expectation.text), Join(actual, "; "));
      }
    }
    for (const std::string& text : actual) {
      const bool wanted = std::any_of(
          expected.begin(), expected.end(),
          [&text](const Expectation& expectation) { return expectation.Matches(text); });
      if (!wanted) return Differs("unexpected {} annotation {} found", name, GoQuote(text));
    }
  }
  return {};
}

}  // namespace narthex::promql::script
