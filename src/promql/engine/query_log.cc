#include "promql/engine/query_log.h"

#include <fmt/format.h>

#include "util/numbers.h"
#include "util/strings.h"
#include "util/time.h"
#include "util/trace.h"

namespace narthex::promql {
namespace {

void AppendKey(std::string_view key, std::string* out) {
  if (!out->ends_with('{')) out->push_back(',');
  AppendJsonString(key, JsonEscape::kPlain, out);
  out->push_back(':');
}

void AppendMember(std::string_view key, std::string_view value, std::string* out) {
  AppendKey(key, out);
  AppendJsonString(value, JsonEscape::kPlain, out);
}

void AppendSeconds(std::string_view key, int64_t nanos, std::string* out) {
  AppendKey(key, out);
  AppendJsonFloat(static_cast<double>(nanos) / 1e9, out);
}

void AppendCount(std::string_view key, int64_t count, std::string* out) {
  AppendKey(key, out);
  out->append(fmt::format("{}", count));
}

void AppendSteps(std::string_view key, const StepSamples& steps, std::string* out) {
  if (steps.empty()) return;
  AppendKey(key, out);
  out->push_back('[');
  for (const auto& [time, samples] : steps) {
    if (!out->ends_with('[')) out->push_back(',');
    out->push_back('[');
    AppendJsonFloat(static_cast<double>(time) / 1000, out);
    out->append(fmt::format(",{}]", samples));
  }
  out->push_back(']');
}

}  // namespace

void AppendStatsJson(const QueryStats& stats, std::string* out) {
  out->append("{\"timings\":{");
  AppendSeconds("evalTotalTime", stats.timings.eval_total, out);
  AppendSeconds("resultSortTime", stats.timings.result_sort, out);
  AppendSeconds("queryPreparationTime", stats.timings.preparation, out);
  AppendSeconds("innerEvalTime", stats.timings.inner_eval, out);
  AppendSeconds("execQueueTime", stats.timings.queue, out);
  AppendSeconds("execTotalTime", stats.timings.exec_total, out);
  out->append("},\"samples\":{");
  AppendSteps("totalQueryableSamplesPerStep", stats.total_queryable_samples_per_step, out);
  AppendCount("totalQueryableSamples", stats.total_queryable_samples, out);
  AppendSteps("samplesReadPerStep", stats.samples_read_per_step, out);
  AppendCount("samplesRead", stats.samples_read, out);
  AppendCount("seriesTouched", stats.series_touched, out);
  AppendCount("peakSamples", stats.peak_samples, out);
  out->append("}}");
}

std::string QueryLogLine(const QueryLogEntry& entry, int64_t now_ns) {
  std::string line = "{";
  AppendMember("time", FormatRfc3339Nano(now_ns), &line);
  AppendMember("level", "INFO", &line);
  AppendMember("source", "query_log.cc:1", &line);
  AppendMember("msg", "promql query logged", &line);
  AppendKey("params", &line);
  line.push_back('{');
  AppendMember("end", FormatRfc3339Millis(entry.end_ms), &line);
  AppendMember("query", entry.query, &line);
  AppendMember("start", FormatRfc3339Millis(entry.start_ms), &line);
  AppendCount("step", entry.step_ms / kMillisPerSecond, &line);
  line.push_back('}');
  if (!entry.status.ok()) AppendMember("error", entry.status.message(), &line);
  AppendKey("stats", &line);
  AppendStatsJson(*entry.stats, &line);
  if (const TraceContext& trace = CurrentTrace(); trace.valid()) {
    AppendMember("spanID", trace.SpanText(), &line);
    AppendMember("traceID", trace.TraceText(), &line);
  }
  if (entry.origin != nullptr && !entry.origin->kind.empty()) {
    AppendKey(entry.origin->kind, &line);
    line.push_back('{');
    for (const auto& [key, value] : entry.origin->members) AppendMember(key, value, &line);
    line.push_back('}');
  }
  line.append("}\n");
  return line;
}

Result<std::unique_ptr<QueryLog>> QueryLog::Open(const std::string& path) {
  auto file = FileSystem::Posix().OpenForWrite(path, FileSystem::OpenMode::kAppend);
  if (!file.ok()) return file.status().WithPrefix("can't create json log file: ");
  return std::unique_ptr<QueryLog>(new QueryLog(*std::move(file)));
}

Status QueryLog::Write(const QueryLogEntry& entry) {
  const std::string line = QueryLogLine(entry, Clock::System().NowNanos());
  const std::lock_guard lock(mutex_);
  return file_->Append(line);
}

}  // namespace narthex::promql
