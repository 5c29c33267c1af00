// `query`: asks a running server.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "apps/tool.h"
#include "apps/tool_api_client.h"
#include "apps/tool_query.h"
#include "net/url.h"
#include "util/numbers.h"
#include "util/strings.h"
#include "util/time.h"

namespace narthex::apps {
namespace {

constexpr int64_t kMinuteMs = 60'000;
constexpr int64_t kFarAwayMs = 9999LL * 60 * kMinuteMs;

struct QueryOptions {
  std::string format = "promql";
  AnalyzeQueryOptions analyze;
  Url server;
  std::string expression;
  std::string name;
  std::string time;
  std::string start;
  std::string end;
  int64_t step_nanos = 0;
  std::vector<std::string> match;
  ApiClient::Values headers;

  bool json() const { return format == "json"; }
};

ApiClient MakeClient(const QueryOptions& options, const ToolContext& context) {
  return ApiClient(options.server, context.http, options.headers);
}

int Fail(std::string_view text) {
  PrintError(std::string(text) + "\n");
  return 1;
}

int PrintAnswer(const Result<ApiAnswer>& answer,
                Result<std::string> (*print)(const std::string& data), std::string_view ending) {
  if (!answer.ok()) return Fail("query error: " + answer.status().message());
  const Result<std::string> text = print(answer->data);
  if (!text.ok()) return Fail("query error: " + text.status().message());
  PrintOut(*text + std::string(ending));
  return 0;
}

int QueryInstant(const QueryOptions& options, const ToolContext& context) {
  int64_t time_ms = Clock::System().NowMillis();
  if (!options.time.empty()) {
    const Result<int64_t> time = ParseToolTime(options.time);
    if (!time.ok()) return Fail("error parsing evaluation time: " + time.status().message());
    time_ms = *time;
  }
  ApiClient client = MakeClient(options, context);
  return PrintAnswer(client.Post("/api/v1/query",
                                 {{"query", options.expression}, {"time", FormatApiTime(time_ms)}}),
                     options.json() ? QueryResultJson : QueryResultText, "\n");
}

int QueryRange(const QueryOptions& options, const ToolContext& context) {
  int64_t end_ms = Clock::System().NowMillis();
  if (!options.end.empty()) {
    const Result<int64_t> end = ParseToolTime(options.end);
    if (!end.ok()) return Fail("error parsing end time: " + end.status().message());
    end_ms = *end;
  }
  int64_t start_ms = end_ms - 5 * kMinuteMs;
  if (!options.start.empty()) {
    const Result<int64_t> start = ParseToolTime(options.start);
    if (!start.ok()) return Fail("error parsing start time: " + start.status().message());
    start_ms = *start;
  }
  if (start_ms >= end_ms) return Fail("start time is not before end time");
  double step_seconds = static_cast<double>(options.step_nanos) / 1e9;
  if (options.step_nanos == 0) {
    step_seconds = static_cast<double>(std::max<int64_t>((end_ms - start_ms) / 1000 / 250, 1));
  }
  ApiClient client = MakeClient(options, context);
  return PrintAnswer(client.Post("/api/v1/query_range", {{"query", options.expression},
                                                         {"start", FormatApiTime(start_ms)},
                                                         {"end", FormatApiTime(end_ms)},
                                                         {"step", FormatFloatF(step_seconds)}}),
                     options.json() ? QueryResultJson : QueryResultText, "\n");
}

// start, end and match[] as the metadata endpoints take them; by default everything.
Result<ApiClient::Values> SelectionParameters(const QueryOptions& options) {
  const int64_t now_ms = Clock::System().NowMillis();
  int64_t start_ms = now_ms - kFarAwayMs;
  int64_t end_ms = now_ms + kFarAwayMs;
  if (!options.start.empty()) {
    const Result<int64_t> start = ParseToolTime(options.start);
    if (!start.ok()) return start.status().WithPrefix("error parsing start time: ");
    start_ms = *start;
  }
  if (!options.end.empty()) {
    const Result<int64_t> end = ParseToolTime(options.end);
    if (!end.ok()) return end.status().WithPrefix("error parsing end time: ");
    end_ms = *end;
  }
  ApiClient::Values values = {{"start", FormatApiTime(start_ms)}, {"end", FormatApiTime(end_ms)}};
  for (const std::string& match : options.match) values.emplace_back("match[]", match);
  return values;
}

int QuerySeries(const QueryOptions& options, const ToolContext& context) {
  const Result<ApiClient::Values> parameters = SelectionParameters(options);
  if (!parameters.ok()) return Fail(parameters.status().message());
  ApiClient client = MakeClient(options, context);
  return PrintAnswer(client.Post("/api/v1/series", *parameters),
                     options.json() ? SeriesJson : SeriesText, "");
}

int QueryLabels(const QueryOptions& options, const ToolContext& context) {
  const Result<ApiClient::Values> parameters = SelectionParameters(options);
  if (!parameters.ok()) return Fail(parameters.status().message());
  ApiClient client = MakeClient(options, context);
  const Result<ApiAnswer> answer =
      client.Get("/api/v1/label/" + net::PathEscape(options.name) + "/values", *parameters);
  if (answer.ok()) {
    for (const std::string& warning : answer->warnings) {
      PrintError("query warning: " + warning + "\n");
    }
  }
  return PrintAnswer(answer, options.json() ? LabelValuesJson : LabelValuesText, "");
}

int QueryAnalyze(const QueryOptions& options, const ToolContext& context) {
  ApiClient client = MakeClient(options, context);
  return ReportError(AnalyzeQueries(client, options.analyze));
}

constexpr char kServerHelp[] = "Prometheus server to query.";

std::function<Status(std::string_view)> SetServer(QueryOptions& options) {
  return [target = &options](std::string_view text) -> Status {
    Result<Url> url = Url::Parse(text);
    if (!url.ok()) return url.status().WithPrefix("invalid URL: ");
    target->server = *std::move(url);
    return {};
  };
}

void DeclareServer(Command& command, QueryOptions& options) {
  command.AddArgument({"server", kServerHelp, true, false, SetServer(options)});
}

FlagSet::Flag& DeclareText(Command& command, std::string name, std::string* target,
                           std::string help) {
  std::string placeholder = ToUpper(name);
  return command.flags()
      .String(std::move(name), target, std::move(help))
      .Placeholder(std::move(placeholder));
}

FlagSet::Flag& DeclareMatch(Command& command, std::vector<std::string>* target) {
  return command.flags()
      .Strings("match", target, "Series selector. Can be specified multiple times.")
      .Placeholder("MATCH ...");
}

using Run = int (*)(const QueryOptions&, const ToolContext&);

}  // namespace

void DeclareQueryCommands(Command& query, ToolContext& context) {
  const auto options = std::make_shared<QueryOptions>();
  query.flags()
      .Enum("format", &options->format, {"promql", "json"}, "Output format of the query.")
      .Short('o');
  DeclareHttpConfigFlag(query, context);
  const auto run = [&context, options](Run command) {
    return [&context, options, command] {
      if (!context.http_config_file.empty() && !options->server.username.empty()) {
        return Fail(
            "promtool: error: Cannot set base auth in the server URL and use a http.config.file at "
            "the same time");
      }
      return command(*options, context);
    };
  };

  Command& instant = query.AddCommand("instant", "Run instant query.");
  DeclareServer(instant, *options);
  instant.TextArgument("expr", &options->expression, Presence::kRequired,
                       "PromQL query expression.");
  DeclareText(instant, "time", &options->time,
              "Query evaluation time (RFC3339 or Unix timestamp).");
  instant.MapFlag("header", &options->headers, "HEADER ...", "Extra headers to send to server.");
  instant.OnRun(run(&QueryInstant));

  Command& range = query.AddCommand("range", "Run range query.");
  DeclareServer(range, *options);
  range.TextArgument("expr", &options->expression, Presence::kRequired, "PromQL query expression.");
  range.MapFlag("header", &options->headers, "HEADER ...", "Extra headers to send to server.");
  DeclareText(range, "start", &options->start,
              "Query range start time (RFC3339 or Unix timestamp).");
  DeclareText(range, "end", &options->end, "Query range end time (RFC3339 or Unix timestamp).");
  range.flags()
      .GoDuration("step", &options->step_nanos, "Query step size (duration).")
      .Placeholder("STEP");
  range.OnRun(run(&QueryRange));

  Command& series = query.AddCommand("series", "Run series query.");
  DeclareServer(series, *options);
  DeclareMatch(series, &options->match).Required();
  DeclareText(series, "start", &options->start, "Start time (RFC3339 or Unix timestamp).");
  DeclareText(series, "end", &options->end, "End time (RFC3339 or Unix timestamp).");
  series.OnRun(run(&QuerySeries));

  Command& labels = query.AddCommand("labels", "Run labels query.");
  DeclareServer(labels, *options);
  labels.TextArgument("name", &options->name, Presence::kRequired,
                      "Label name to provide label values for.");
  DeclareText(labels, "start", &options->start, "Start time (RFC3339 or Unix timestamp).");
  DeclareText(labels, "end", &options->end, "End time (RFC3339 or Unix timestamp).");
  DeclareMatch(labels, &options->match);
  labels.OnRun(run(&QueryLabels));

  Command& analyze = query.AddCommand(
      "analyze",
      "Run queries against your Prometheus to analyze the usage pattern of certain metrics.");
  analyze.flags()
      .Custom("server", "SERVER", kServerHelp, SetServer(*options),
              [options] { return options->server.ToString(); })
      .Required();
  DeclareText(analyze, "type", &options->analyze.type, "Type of metric: histogram.").Required();
  analyze.flags()
      .GoDuration("duration", &options->analyze.duration_nanos, "Time frame to analyze.")
      .Placeholder("1h");
  DeclareText(analyze, "time", &options->analyze.time,
              "Query time (RFC3339 or Unix timestamp), defaults to now.");
  DeclareMatch(analyze, &options->analyze.match).Required();
  analyze.OnRun(run(&QueryAnalyze));
}

void AddQueryCommands(Command& root, ToolContext& context) {
  DeclareQueryCommands(root.AddCommand("query", std::string(kQueryHelp)), context);
}

}  // namespace narthex::apps
