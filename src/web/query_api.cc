// Queries (parity/api.md section 3).
#include <charconv>
#include <limits>

#include "promql/engine/explain.h"
#include "promql/parser/parser.h"
#include "util/strings.h"
#include "util/trace.h"
#include "web/api.h"
#include "web/explain_json.h"
#include "web/json_writer.h"
#include "web/params.h"
#include "web/query_json.h"

namespace narthex::web {
namespace {

constexpr int64_t kPointsMax = 11'000;
constexpr std::string_view kTruncated = "results truncated due to limit";

// Errors of the engine before evaluation concern the query parameter.
Status QueryError(const Status& status) {
  if (status.code() == ErrorCode::kInvalidInput) return InvalidParameter("query", status);
  return status;
}

StatsLevel ReadStats(const net::FormValues& form, Api::Call& call) {
  const std::string_view value = form.Get("stats");
  if (value.empty()) return StatsLevel::kNone;
  if (value == "all") return StatsLevel::kPerStep;
  if (value != "true") {
    call.warnings.push_back(fmt::format(
        "value {} for parameter \"stats\" is deprecated and will be rejected in the next major "
        "release, use \"true\" or \"all\"",
        GoQuote(value)));
  }
  return StatsLevel::kBasic;
}

Status ReadCount(const net::FormValues& form, std::string_view name, uint64_t* count) {
  const std::string_view text = form.Get(name);
  if (text.empty()) return {};
  const auto end = text.data() + text.size();
  const auto [last, error] = std::from_chars(text.data(), end, *count);
  if (error == std::errc() && last == end) return {};
  return MakeError(ErrorCode::kInvalidInput, "error parsing {}: strconv.ParseUint: parsing {}: {}",
                   name, GoQuote(text),
                   error == std::errc::result_out_of_range && last == end ? "value out of range"
                                                                          : "invalid syntax");
}

// The limits that a request may set for itself with the feature query-cost.
Status ReadCostLimits(const net::FormValues& form, promql::QueryCostLimits* limits) {
  NARTHEX_RETURN_IF_ERROR(ReadCount(form, "max_series", &limits->series_max));
  NARTHEX_RETURN_IF_ERROR(ReadCount(form, "max_samples_read", &limits->samples_read_max));
  const std::string_view text = form.Get("max_query_duration");
  if (text.empty()) return {};
  const Result<int64_t> duration = ParseDurationParam(text);
  if (!duration.ok()) return duration.status().WithPrefix("error parsing max_query_duration: ");
  if (*duration < 0) {
    return MakeError(ErrorCode::kInvalidInput,
                     "error parsing max_query_duration: must not be negative, got {}",
                     FormatGoDuration(*duration));
  }
  limits->duration_max_ns = *duration;
  return {};
}

// timeout, lookback_delta, stats, and who asks.
Result<promql::QueryOptions> ReadOptions(const net::FormValues& form, const Api::Call& call,
                                         StatsLevel stats, bool query_cost) {
  promql::QueryOptions options;
  if (const std::string_view text = form.Get("timeout"); !text.empty()) {
    Result<int64_t> timeout = ParseDurationParam(text);
    if (!timeout.ok()) return InvalidParameter("timeout", timeout.status());
    if (*timeout <= 0) {
      return InvalidParameter(
          "timeout", MakeError(ErrorCode::kInvalidInput, "timeout must be positive, got {}",
                               FormatGoDuration(*timeout)));
    }
    options.timeout_ns = *timeout;
  }
  if (const std::string_view text = form.Get("lookback_delta"); !text.empty()) {
    Result<int64_t> lookback = ParseDurationParam(text);
    if (!lookback.ok()) {
      return lookback.status().WithPrefix("error parsing lookback delta duration: ");
    }
    options.lookback_delta_ms = *lookback / kNanosPerMilli;
  }
  if (const std::string_view text = call.request.headers.Get("X-Prometheus-Use-Start-Timestamps");
      !text.empty()) {
    options.use_start_timestamps = ParseBool(text);
    if (!options.use_start_timestamps) {
      return MakeError(ErrorCode::kInvalidInput,
                       "error parsing X-Prometheus-Use-Start-Timestamps header: "
                       "strconv.ParseBool: parsing {}: invalid syntax",
                       GoQuote(text));
    }
  }
  if (query_cost) NARTHEX_RETURN_IF_ERROR(ReadCostLimits(form, &options.cost));
  options.per_step_stats = stats == StatsLevel::kPerStep;
  options.stop = call.exchange.stop_token();
  options.yields = true;
  const std::string& remote = call.request.remote_address;
  options.origin.kind = "httpRequest";
  options.origin.members = {{"clientIP", remote.substr(0, remote.rfind(':'))},
                            {"method", call.request.method},
                            {"path", call.request.path}};
  return options;
}

Result<int64_t> ReadTime(const net::FormValues& form, std::string_view name) {
  Result<int64_t> time = ParseTime(form.Get(name));
  if (!time.ok()) return InvalidParameter(name, time.status());
  return time;
}

struct RangeTimes {
  int64_t start_ms = 0;
  int64_t end_ms = 0;
  int64_t step_ms = 0;
};

Result<RangeTimes> ReadRangeTimes(const net::FormValues& form) {
  NARTHEX_TRY(const int64_t start_ms, ReadTime(form, "start"));
  NARTHEX_TRY(const int64_t end_ms, ReadTime(form, "end"));
  if (end_ms < start_ms) {
    return InvalidParameter(
        "end", Status(ErrorCode::kInvalidInput, "end timestamp must not be before start time"));
  }
  Result<int64_t> step_nanos = ParseDurationParam(form.Get("step"));
  if (!step_nanos.ok()) return InvalidParameter("step", step_nanos.status());
  if (*step_nanos <= 0) {
    return InvalidParameter("step", Status(ErrorCode::kInvalidInput,
                                           "zero or negative query resolution step widths are not "
                                           "accepted. Try a positive integer"));
  }
  // In 128 bits, since start and end may lie at opposite ends of time.
  const auto span_nanos = (static_cast<__int128>(end_ms) - start_ms) * kNanosPerMilli;
  if (span_nanos / *step_nanos > kPointsMax) {
    return Status(ErrorCode::kInvalidInput,
                  "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the "
                  "query resolution (?step=XX)");
  }
  return RangeTimes{start_ms, end_ms, std::max<int64_t>(*step_nanos / kNanosPerMilli, 1)};
}

Status Render(promql::QueryResult result, size_t limit, StatsLevel stats, Api::Call& call) {
  bool truncated = false;
  NARTHEX_RETURN_IF_ERROR(WriteQueryResult(result, limit, stats, call.writer, &truncated));
  for (std::string& text : result.warnings) call.warnings.push_back(std::move(text));
  for (std::string& text : result.infos) call.infos.push_back(std::move(text));
  if (truncated) call.warnings.emplace_back(kTruncated);
  return {};
}

void SetQuery(const net::FormValues& form, TraceSpan& span) {
  span.Set("query", std::string(form.Get("query")));
  span.Set("timeout", std::string(form.Get("timeout")));
}

void SetResult(const promql::QueryResult& result, TraceSpan& span) {
  span.Set("result_series", static_cast<int64_t>(result.vector.size() + result.matrix.size() +
                                                 result.columns.size()));
  span.Set("total_samples", result.stats.total_queryable_samples);
}

}  // namespace

Status Api::Query(Call& call) {
  const net::FormValues form = ReadForm(call.request);
  NARTHEX_TRY(const size_t limit, ParseLimit(form));
  NARTHEX_TRY(const int64_t time_ms, ParseTimeParam(form, "time", clock_.NowMillis()));
  const StatsLevel stats = ReadStats(form, call);
  NARTHEX_TRY(const promql::QueryOptions options,
              ReadOptions(form, call, stats, options_.query_cost));
  ScopedSpan span("promqlInstantQuery");
  if (span->recording()) {
    SetQuery(form, *span);
    span->Set("time", FormatRfc3339Nano(time_ms * kNanosPerMilli));
  }
  Result<promql::QueryResult> result =
      storage_.engine->Instant(*storage_.queryable, form.Get("query"), time_ms, options);
  if (!result.ok()) return QueryError(result.status());
  if (span->recording()) SetResult(*result, *span);
  return Render(*std::move(result), limit, stats, call);
}

Status Api::QueryRange(Call& call) {
  const net::FormValues form = ReadForm(call.request);
  NARTHEX_TRY(const size_t limit, ParseLimit(form));
  NARTHEX_TRY(const RangeTimes times, ReadRangeTimes(form));
  const StatsLevel stats = ReadStats(form, call);
  NARTHEX_TRY(promql::QueryOptions options, ReadOptions(form, call, stats, options_.query_cost));
  options.columns = true;
  ScopedSpan span("promqlRangeQuery");
  if (span->recording()) {
    SetQuery(form, *span);
    span->Set("start", FormatRfc3339Nano(times.start_ms * kNanosPerMilli));
    span->Set("end", FormatRfc3339Nano(times.end_ms * kNanosPerMilli));
    span->Set("step", FormatGoDuration(times.step_ms * kNanosPerMilli));
  }
  Result<promql::QueryResult> result = storage_.engine->Range(
      *storage_.queryable, form.Get("query"), times.start_ms, times.end_ms, times.step_ms, options);
  if (!result.ok()) return QueryError(result.status());
  if (span->recording()) SetResult(*result, *span);
  return Render(*std::move(result), limit, stats, call);
}

Status Api::QueryExplain(Call& call) {
  const net::FormValues form = ReadForm(call.request);
  bool analyze = false;
  if (const std::string_view text = form.Get("analyze"); !text.empty()) {
    const std::optional<bool> value = ParseBool(text);
    if (!value.has_value()) {
      return InvalidParameter(
          "analyze", MakeError(ErrorCode::kInvalidInput,
                               "strconv.ParseBool: parsing {}: invalid syntax", GoQuote(text)));
    }
    analyze = *value;
  }
  // A range query is one that names any of its times.
  const bool range =
      !form.Get("start").empty() || !form.Get("end").empty() || !form.Get("step").empty();
  RangeTimes times;
  if (range) {
    NARTHEX_TRY(times, ReadRangeTimes(form));
  } else {
    NARTHEX_TRY(times.start_ms, ParseTimeParam(form, "time", clock_.NowMillis()));
    times.end_ms = times.start_ms;
  }
  NARTHEX_TRY(promql::QueryOptions options,
              ReadOptions(form, call, StatsLevel::kNone, options_.query_cost));
  // As /query_range runs it.
  options.columns = range;
  Result<promql::Explanation> explanation =
      storage_.engine->Explain(*storage_.queryable, form.Get("query"), times.start_ms, times.end_ms,
                               times.step_ms, analyze, options);
  if (!explanation.ok()) return QueryError(explanation.status());
  JsonWriter json(&call.writer.buffer());
  WriteExplanation(form.Get("query"), *explanation, json);
  for (std::string& text : explanation->warnings) call.warnings.push_back(std::move(text));
  for (std::string& text : explanation->infos) call.infos.push_back(std::move(text));
  return {};
}

Status Api::FormatQuery(Call& call) {
  const net::FormValues form = ReadForm(call.request);
  Result<promql::ExprPtr> expr = promql::ParseExpr(form.Get("query"), options_.parser);
  if (!expr.ok()) return InvalidParameter("query", expr.status());
  JsonWriter(&call.writer.buffer()).String(promql::PrettyPrint(**expr));
  return {};
}

Status Api::ParseQueryTree(Call& call) {
  const net::FormValues form = ReadForm(call.request);
  Result<promql::ExprPtr> expr = promql::ParseExpr(form.Get("query"), options_.parser);
  if (!expr.ok()) return InvalidParameter("query", expr.status());
  call.writer.buffer().append(promql::AstJson(**expr));
  return {};
}

Status Api::QueryExemplars(Call& call) {
  const net::FormValues form = ReadForm(call.request);
  NARTHEX_TRY(const int64_t start_ms, ParseTimeParam(form, "start", kMinTimeMs));
  NARTHEX_TRY(const int64_t end_ms, ParseTimeParam(form, "end", kMaxTimeMs));
  if (end_ms < start_ms) {
    return Status(ErrorCode::kInvalidInput, "end timestamp must not be before start timestamp");
  }
  NARTHEX_TRY(const promql::ExprPtr expr, promql::ParseExpr(form.Get("query"), options_.parser));
  std::vector<std::vector<Matcher>> sets;
  promql::WalkExpr(*expr, [&sets](const promql::Expr& node) {
    if (node.kind == promql::Expr::Kind::kVectorSelector) {
      sets.push_back(node.As<promql::VectorSelector>().matchers);
    }
  });
  if (sets.empty()) {
    call.no_content = true;
    return {};
  }
  Result<std::vector<storage::SeriesExemplars>> found =
      storage_.exemplars->SelectExemplars({start_ms, end_ms}, sets);
  if (!found.ok()) return Status(ErrorCode::kExecution, found.status().message());
  JsonWriter json(&call.writer.buffer());
  json.BeginArray();
  for (const storage::SeriesExemplars& series : *found) {
    json.BeginObject().Key("seriesLabels").LabelObject(series.series);
    json.Key("exemplars").BeginArray();
    for (const Exemplar& exemplar : series.exemplars) {
      json.BeginObject().Key("labels").LabelObject(exemplar.labels);
      json.Key("value").SampleValue(exemplar.value);
      json.Key("timestamp").Timestamp(exemplar.timestamp_ms).EndObject();
    }
    json.EndArray().EndObject();
    NARTHEX_RETURN_IF_ERROR(call.writer.Flush());
  }
  json.EndArray();
  return {};
}

}  // namespace narthex::web
