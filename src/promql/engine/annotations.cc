#include "promql/engine/annotations.h"

#include <fmt/format.h>

#include <algorithm>

#include "promql/engine/query_result.h"
#include "util/numbers.h"
#include "util/strings.h"
#include "util/time.h"

namespace narthex::promql {
namespace {

std::string_view OperationName(HistogramOperation operation) {
  switch (operation) {
    case HistogramOperation::kAddition: return "addition";
    case HistogramOperation::kSubtraction: return "subtraction";
    case HistogramOperation::kAggregation: return "aggregation";
  }
  return "";
}

std::string Rfc3339Seconds(int64_t time_ms) {
  // Go divides towards zero.
  return FormatRfc3339Nano(time_ms / 1000 * kNanosPerSecond);
}

std::string MonotonicityText(std::string_view metric) {
  return "PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see "
         "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)" +
         ForMetric(metric);
}

}  // namespace

std::string ForMetric(std::string_view metric) {
  return metric.empty() ? std::string() : " for metric name " + GoQuote(metric);
}

std::string LineColumn(std::string_view query, size_t offset) {
  if (query.empty()) return "unknown position";
  if (offset > query.size()) return "invalid position";
  const std::string_view before = query.substr(0, offset);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const size_t newline = before.rfind('\n');
  const size_t column = newline == std::string_view::npos ? offset + 1 : offset - newline;
  return fmt::format("{}:{}", line, column);
}

void Annotations::Add(std::string text, const Entry& entry) {
  ++additions_;
  const auto [at, inserted] = entries_.try_emplace(std::move(text), entry);
  if (inserted) return;
  Entry& old = at->second;
  if (entry.kind == Kind::kOverlap) {
    old.count += entry.count;
  } else if (entry.kind == Kind::kMonotonicity) {
    old.fix.Add(entry.fix);
  } else {
    old = entry;
  }
}

void Annotations::Warn(std::string text, PositionRange position) {
  Add("PromQL warning: " + std::move(text), {.warning = true, .position = position});
}

void Annotations::Info(std::string text, PositionRange position) {
  Add("PromQL info: " + std::move(text), {.warning = false, .position = position});
}

void Annotations::WarnPlain(std::string text) {
  Add(std::move(text), {.warning = true, .kind = Kind::kPlain});
}

void Annotations::MixedFloatsHistograms(std::string_view metric, PositionRange position) {
  Warn("encountered a mix of histograms and floats for metric name " + GoQuote(metric), position);
}

void Annotations::MixedExponentialCustom(std::string_view metric, PositionRange position) {
  Warn(
      "vector contains a mix of histograms with exponential and custom buckets schemas for metric "
      "name " +
          GoQuote(metric),
      position);
}

void Annotations::NotACounter(std::string_view metric, PositionRange position) {
  Warn("this native histogram metric is not a counter: " + GoQuote(metric), position);
}

void Annotations::NotAGauge(std::string_view metric, PositionRange position) {
  Warn("this native histogram metric is not a gauge: " + GoQuote(metric), position);
}

void Annotations::IgnoredHistogramsInRange(std::string_view metric, PositionRange position) {
  Info("ignored histograms in a range containing both floats and histograms for metric name " +
           GoQuote(metric),
       position);
}

void Annotations::CounterResetCollision(HistogramOperation operation, PositionRange position) {
  Warn(fmt::format("conflicting counter resets during histogram {}", OperationName(operation)),
       position);
}

void Annotations::MismatchedCustomBuckets(HistogramOperation operation, PositionRange position) {
  Info(fmt::format("mismatched custom buckets were reconciled during {}", OperationName(operation)),
       position);
}

void Annotations::InvalidQuantile(double quantile, PositionRange position) {
  Warn("quantile value should be between 0 and 1, got " + FormatFloatG(quantile), position);
}

void Annotations::StartTimeOverlap(std::string_view metric, PositionRange position) {
  Add("PromQL warning: sample has start time that overlaps with previous sample timestamp for "
      "metric " +
          GoQuote(metric),
      {.warning = true, .kind = Kind::kOverlap, .position = position, .count = 1});
}

void MonotonicityFix::Add(const MonotonicityFix& other) {
  samples += other.samples;
  time_min_ms = std::min(time_min_ms, other.time_min_ms);
  time_max_ms = std::max(time_max_ms, other.time_max_ms);
  bucket_min = std::min(bucket_min, other.bucket_min);
  bucket_max = std::max(bucket_max, other.bucket_max);
  diff_max = std::max(diff_max, other.diff_max);
}

void Annotations::ForcedMonotonicity(std::string_view metric, PositionRange position,
                                     const MonotonicityFix& fix) {
  Add(MonotonicityText(metric),
      {.warning = false, .kind = Kind::kMonotonicity, .position = position, .fix = fix});
}

bool Annotations::HasForcedMonotonicity(std::string_view metric) const {
  return entries_.contains(MonotonicityText(metric));
}

void Annotations::Merge(const Annotations& other) {
  for (const auto& [text, entry] : other.entries_) Add(text, entry);
}

std::vector<std::string> Annotations::Render(bool warnings, std::string_view query) const {
  std::vector<std::string> rendered;
  for (const auto& [text, entry] : entries_) {
    if (entry.warning != warnings) continue;
    if (entry.kind == Kind::kPlain || query.empty()) {
      rendered.push_back(text);
      continue;
    }
    std::string full = text;
    if (entry.kind == Kind::kMonotonicity) {
      full += fmt::format(
          ", from buckets {} to {}, with a max diff of {}, over {} samples from {} "
          "to {}",
          FormatFloatG(entry.fix.bucket_min), FormatFloatG(entry.fix.bucket_max),
          FormatFloatGPrecision(entry.fix.diff_max, 2), static_cast<int64_t>(entry.fix.samples),
          Rfc3339Seconds(entry.fix.time_min_ms), Rfc3339Seconds(entry.fix.time_max_ms));
    } else if (entry.kind == Kind::kOverlap && entry.count > 1) {
      full += fmt::format(" ({} occurrences)", entry.count);
    }
    rendered.push_back(fmt::format("{} ({})", full, LineColumn(query, entry.position.start)));
  }
  return rendered;
}

std::vector<std::string> Annotations::Warnings(std::string_view query) const {
  return Render(/*warnings=*/true, query);
}

std::vector<std::string> Annotations::Infos(std::string_view query) const {
  return Render(/*warnings=*/false, query);
}

std::vector<std::string> LimitAnnotations(std::vector<std::string> annotations,
                                          std::string_view kind, size_t limit) {
  if (annotations.size() <= limit) return annotations;
  const size_t omitted = annotations.size() - limit;
  annotations.resize(limit);
  annotations.push_back(fmt::format("{} more {} annotations omitted", omitted, kind));
  return annotations;
}

}  // namespace narthex::promql
