#include "web/openapi.h"

#include <fmt/format.h>

#include <algorithm>

#include "util/strings.h"
#include "web/api.h"
#include "web/params.h"

namespace narthex::web {
namespace {

// ---- Parameters ----

struct ParameterType {
  std::string_view name;
  std::string_view schema;
  std::string_view text;
};
constexpr ParameterType kParameterTypes[] = {
    {"time", R"({"oneOf":[{"type":"string","format":"date-time"},{"type":"number"}]})",
     "RFC 3339, or Unix seconds with a fraction."},
    {"duration", R"({"oneOf":[{"type":"string"},{"type":"number"}]})",
     "A duration such as 1m30s, or seconds with a fraction."},
    {"string", R"({"type":"string"})", ""},
    {"strings", R"({"type":"array","items":{"type":"string"}})", "May be repeated."},
    {"selectors", R"({"type":"array","items":{"type":"string"}})",
     "Series selectors such as up{job=\\\"node\\\"}; may be repeated, then either may match."},
    {"integer", R"({"type":"integer"})", ""},
    {"count", R"({"type":"integer","minimum":0})", "0 means no limit."},
    {"boolean", R"({"type":"boolean"})", ""},
    {"state", R"({"type":"string","enum":["active","dropped","any"]})", ""},
    {"ruletype", R"({"type":"string","enum":["alert","record"]})", ""},
    {"fuzzalg", R"({"type":"string","enum":["subsequence","jarowinkler"]})", ""},
    {"sortby", R"({"type":"string","enum":["alpha","score"]})", ""},
    {"sortdir", R"({"type":"string","enum":["asc","dsc"]})", ""},
};

const OpenApiParameter kQuery = {"query", "string", true, "The PromQL expression."};
const OpenApiParameter kStart = {"start", "time", false, "First moment."};
const OpenApiParameter kEnd = {"end", "time", false, "Last moment."};
const OpenApiParameter kLimit = {"limit", "count", false, "Entries to answer at most."};
const OpenApiParameter kMatch = {"match[]", "selectors", false, ""};
const OpenApiParameter kMatchRequired = {"match[]", "selectors", true, ""};

std::vector<OpenApiParameter> QueryParameters(std::vector<OpenApiParameter> first) {
  for (const OpenApiParameter& parameter : std::initializer_list<OpenApiParameter>{
           kQuery,
           {"timeout", "duration", false, "Shortens the server's limit on time."},
           {"lookback_delta", "duration", false, "How far back a sample still counts."},
           {"stats", "string", false, "true or all: statistics of the query."},
           kLimit,
           {"max_series", "integer", false, "With query-cost: series that may be touched."},
           {"max_samples_read", "integer", false, "With query-cost: samples that may be read."},
           {"max_query_duration", "duration", false, "With query-cost: time that it may take."}}) {
    first.push_back(parameter);
  }
  return first;
}

std::vector<OpenApiParameter> SearchParameters(std::vector<OpenApiParameter> first) {
  for (const OpenApiParameter& parameter : std::initializer_list<OpenApiParameter>{
           kMatch,
           {"search[]", "strings", false, "What a name must contain; one of several suffices."},
           {"fuzz_threshold", "integer", false, "0 to 100: how well a name must fit."},
           {"fuzz_alg", "fuzzalg", false, "How names that do not contain a term are scored."},
           {"case_sensitive", "boolean", false, ""},
           {"sort_by", "sortby", false, ""},
           {"sort_dir", "sortdir", false, ""},
           {"include_score", "boolean", false, "Show how well each name fits."},
           kStart,
           kEnd,
           kLimit,
           {"batch_size", "integer", false, "Results a line."}}) {
    first.push_back(parameter);
  }
  return first;
}

// ---- Schemas of data ----

struct Schema {
  std::string_view name;
  std::string_view json;
};
constexpr Schema kSchemas[] =
    {
        {"Error",
         R"({"type":"object","required":["status","errorType","error"],"properties":{"status":{"const":"error"},"errorType":{"type":"string","enum":["bad_data","execution","canceled","timeout","internal","unavailable","not_found","not_acceptable","cost_limit"]},"error":{"type":"string"}}})"},
        {"Labels", R"({"type":"object","additionalProperties":{"type":"string"}})"},
        {"Strings", R"({"type":"array","items":{"type":"string"}})"},
        {"String", R"({"type":"string"})"},
        {"Yaml",
         R"({"type":"object","required":["yaml"],"properties":{"yaml":{"type":"string"}}})"},
        {"QueryData",
         R"({"type":"object","required":["resultType","result"],"properties":{"resultType":{"type":"string","enum":["vector","matrix","scalar","string"]},"result":{"type":"array"},"stats":{"type":"object"}}})"},
        {"Exemplars",
         R"({"type":"array","items":{"type":"object","properties":{"seriesLabels":{"$ref":"#/components/schemas/Labels"},"exemplars":{"type":"array","items":{"type":"object","properties":{"labels":{"$ref":"#/components/schemas/Labels"},"value":{"type":"string"},"timestamp":{"type":"number"}}}}}}})"},
        {"Explanation",
         R"({"type":"object","required":["query","resultType","steps","analyzed","plan"],"properties":{"query":{"type":"string"},"resultType":{"type":"string"},"steps":{"$ref":"#/components/schemas/Steps"},"analyzed":{"type":"boolean"},"analysis":{"type":"object","additionalProperties":{"type":"number"}},"plan":{"$ref":"#/components/schemas/PlanNode"}}})"},
        {"Steps",
         R"({"type":"object","required":["count"],"properties":{"count":{"type":"integer"},"start":{"type":"number"},"end":{"type":"number"},"step":{"type":"number"}}})"},
        {"PlanNode",
         R"({"type":"object","required":["type","expr","position","steps","children"],"properties":{"type":{"type":"string"},"name":{"type":"string"},"expr":{"type":"string"},"position":{"type":"object","required":["start","end"],"properties":{"start":{"type":"integer"},"end":{"type":"integer"}}},"steps":{"$ref":"#/components/schemas/Steps"},"once":{"type":"boolean"},"folds":{"type":"boolean"},"shared":{"type":"integer"},"select":{"type":"object"},"analysis":{"type":"object","required":["evaluations","streamed","totalSeconds","selfSeconds","threadSeconds","threads","batches","samplesRead","series","samples","bytes","windowPlans"],"properties":{"evaluations":{"type":"integer"},"streamed":{"type":"boolean"},"totalSeconds":{"type":"number"},"selfSeconds":{"type":"number"},"threadSeconds":{"type":"number"},"threads":{"type":"integer"},"batches":{"type":"integer"},"seriesSelected":{"type":"integer"},"samplesRead":{"type":"integer"},"series":{"type":"integer"},"samples":{"type":"integer"},"bytes":{"type":"integer"},"reused":{"type":"boolean"},"windowPlans":{"type":"object","properties":{"made":{"type":"integer"},"shared":{"type":"integer"}}}}},"children":{"type":"array","items":{"$ref":"#/components/schemas/PlanNode"}}}})"},
        {"SyntaxTree",
         R"({"type":"object","required":["type"],"properties":{"type":{"type":"string"}},"additionalProperties":true})"},
        {"SeriesList", R"({"type":"array","items":{"$ref":"#/components/schemas/Labels"}})"},
        {"Metadata",
         R"({"type":"object","additionalProperties":{"type":"array","items":{"type":"object","properties":{"type":{"type":"string"},"help":{"type":"string"},"unit":{"type":"string"}}}}})"},
        {"TargetMetadata",
         R"({"type":"array","items":{"type":"object","properties":{"target":{"$ref":"#/components/schemas/Labels"},"metric":{"type":"string"},"type":{"type":"string"},"help":{"type":"string"},"unit":{"type":"string"}}}})"},
        {"Targets",
         R"({"type":"object","required":["activeTargets","droppedTargets","droppedTargetCounts"],"properties":{"activeTargets":{"type":"array","items":{"type":"object","properties":{"discoveredLabels":{"$ref":"#/components/schemas/Labels"},"labels":{"$ref":"#/components/schemas/Labels"},"scrapePool":{"type":"string"},"scrapeUrl":{"type":"string"},"globalUrl":{"type":"string"},"lastError":{"type":"string"},"lastScrape":{"type":"string","format":"date-time"},"lastScrapeDuration":{"type":"number"},"health":{"type":"string","enum":["up","down","unknown"]},"scrapeInterval":{"type":"string"},"scrapeTimeout":{"type":"string"}}}},"droppedTargets":{"type":"array","items":{"type":"object"}},"droppedTargetCounts":{"type":["object","null"],"additionalProperties":{"type":"integer"}}}})"},
        {"ScrapePools",
         R"({"type":"object","required":["scrapePools"],"properties":{"scrapePools":{"$ref":"#/components/schemas/Strings"}}})"},
        {"RelabelSteps",
         R"({"type":"object","required":["steps"],"properties":{"steps":{"type":"array","items":{"type":"object","properties":{"rule":{"type":"object"},"output":{"$ref":"#/components/schemas/Labels"},"keep":{"type":"boolean"}}}}}})"},
        {"Alert",
         R"({"type":"object","properties":{"labels":{"$ref":"#/components/schemas/Labels"},"annotations":{"$ref":"#/components/schemas/Labels"},"state":{"type":"string","enum":["pending","firing"]},"activeAt":{"type":"string","format":"date-time"},"keepFiringSince":{"type":"string","format":"date-time"},"value":{"type":"string"}}})"},
        {"Alerts",
         R"({"type":"object","required":["alerts"],"properties":{"alerts":{"type":"array","items":{"$ref":"#/components/schemas/Alert"}}}})"},
        {"Rules",
         R"({"type":"object","required":["groups"],"properties":{"groups":{"type":"array","items":{"type":"object","required":["name","file","rules","interval","limit"],"properties":{"name":{"type":"string"},"file":{"type":"string"},"rules":{"type":"array","items":{"type":"object","required":["name","query","health","type"],"properties":{"type":{"type":"string","enum":["alerting","recording"]},"name":{"type":"string"},"query":{"type":"string"},"health":{"type":"string"},"labels":{"$ref":"#/components/schemas/Labels"}}}},"interval":{"type":"number"},"limit":{"type":"integer"},"evaluationTime":{"type":"number"},"lastEvaluation":{"type":"string","format":"date-time"}}}},"groupNextToken":{"type":"string"}}})"},
        {"Alertmanagers",
         R"({"type":"object","required":["activeAlertmanagers","droppedAlertmanagers"],"properties":{"activeAlertmanagers":{"type":"array","items":{"type":"object","properties":{"url":{"type":"string"}}}},"droppedAlertmanagers":{"type":"array","items":{"type":"object","properties":{"url":{"type":"string"}}}}}})"},
        {"RuntimeInfo", R"({"type":"object","properties":{"startTime":{"type":"string","format":"date-time"},"CWD":{"type":"string"},"hostname":{"type":"string"},"serverTime":{"type":"string","format":"date-time"},"reloadConfigSuccess":{"type":"boolean"},"lastConfigTime":{"type":"string","format":"date-time"},"corruptionCount":{"type":"integer"},"goroutineCount":{"type":"integer"},"GOMAXPROCS":{"type":"integer"},"GOMEMLIMIT":{"type":"integer"},"GOGC":{"type":"string"},"GODEBUG":{"type":"string"},"storageRetention":{"type":"string"}}})"},
        {"Counts",
         R"({"type":"array","items":{"type":"object","properties":{"name":{"type":"string"},"value":{"type":"integer"}}}})"},
        {"TsdbStatus",
         R"({"type":"object","properties":{"headStats":{"type":"object","properties":{"numSeries":{"type":"integer"},"numLabelPairs":{"type":"integer"},"chunkCount":{"type":"integer"},"minTime":{"type":"integer"},"maxTime":{"type":"integer"}}},"seriesCountByMetricName":{"$ref":"#/components/schemas/Counts"},"labelValueCountByLabelName":{"$ref":"#/components/schemas/Counts"},"memoryInBytesByLabelName":{"$ref":"#/components/schemas/Counts"},"seriesCountByLabelValuePair":{"$ref":"#/components/schemas/Counts"}}})"},
        {"Blocks",
         R"({"type":"object","required":["blocks"],"properties":{"blocks":{"type":"array","items":{"type":"object","properties":{"ulid":{"type":"string"},"minTime":{"type":"integer"},"maxTime":{"type":"integer"},"stats":{"type":"object"},"compaction":{"type":"object"},"version":{"type":"integer"}}}}}})"},
        {"WalReplay",
         R"({"type":"object","required":["min","max","current"],"properties":{"min":{"type":"integer"},"max":{"type":"integer"},"current":{"type":"integer"}}})"},
        {"MetricFamilies", R"({"type":"array","items":{"type":"object"}})"},
        {"Snapshot",
         R"({"type":"object","required":["name"],"properties":{"name":{"type":"string"}}})"},
        {"Notification",
         R"({"type":"object","required":["text","date","active"],"properties":{"text":{"type":"string"},"date":{"type":"string","format":"date-time"},"active":{"type":"boolean"}}})"},
        {"Notifications",
         R"({"type":"array","items":{"$ref":"#/components/schemas/Notification"}})"},
        {"Features",
         R"({"type":"object","additionalProperties":{"type":"object","additionalProperties":{"type":"boolean"}}})"},
};

struct Tag {
  std::string_view name;
  std::string_view text;
};
constexpr Tag kTags[] = {
    {"query", "Evaluate, format and take apart PromQL."},
    {"metadata", "Types, units and help texts of metrics."},
    {"labels", "Label names and values."},
    {"series", "Which series there are."},
    {"targets", "What is scraped, and how."},
    {"rules", "Recording and alerting rules."},
    {"alerts", "Active alerts and where they go."},
    {"status", "What this server is and does."},
    {"admin", "Changes to the database."},
    {"notifications", "What the server has to tell its users."},
    {"features", "Which abilities are switched on."},
};

// Answers that are not the JSON envelope.
constexpr std::string_view kLines = "ndjson";
constexpr std::string_view kEvents = "events";

std::string_view ParameterSchema(std::string_view type) {
  return std::find_if(std::begin(kParameterTypes), std::end(kParameterTypes),
                      [&](const ParameterType& t) { return t.name == type; })
      ->schema;
}

std::string ParameterText(const OpenApiParameter& parameter) {
  const auto type = std::find_if(std::begin(kParameterTypes), std::end(kParameterTypes),
                                 [&](const ParameterType& t) { return t.name == parameter.type; });
  std::string text(parameter.text);
  if (!text.empty() && !type->text.empty()) text.push_back(' ');
  return text.append(type->text);
}

// The form of a POST, which has the parameters of the GET.
void AppendForm(const OpenApiOperation& operation, std::string* out) {
  std::string required;
  *out +=
      "      requestBody:\n        content:\n          application/x-www-form-urlencoded:\n"
      "            schema:\n              type: object\n              properties:\n";
  for (const OpenApiParameter& parameter : operation.parameters) {
    *out += fmt::format("                \"{}\": {}\n", parameter.name,
                        ParameterSchema(parameter.type));
    if (parameter.required)
      required += fmt::format("{}\"{}\"", required.empty() ? "" : ", ", parameter.name);
  }
  if (!required.empty()) *out += fmt::format("              required: [{}]\n", required);
}

void AppendParameters(const OpenApiOperation& operation, std::string* out) {
  if (operation.parameters.empty()) return;
  *out += "      parameters:\n";
  for (const OpenApiParameter& parameter : operation.parameters) {
    const bool in_path =
        operation.path.find(fmt::format("{{{}}}", parameter.name)) != std::string_view::npos;
    *out += fmt::format(
        "        - name: \"{}\"\n          in: {}\n          description: \"{}\"\n"
        "          required: {}\n          schema: {}\n",
        parameter.name, in_path ? "path" : "query", ParameterText(parameter), parameter.required,
        ParameterSchema(parameter.type));
  }
}

void AppendResponses(const OpenApiOperation& operation, std::string* out) {
  *out += "      responses:\n";
  if (operation.data.empty()) {
    *out += "        \"204\":\n          description: Done.\n";
  } else if (operation.data == kLines) {
    *out +=
        "        \"200\":\n          description: Batches of results, one JSON object a line.\n"
        "          content:\n            application/x-ndjson:\n"
        "              schema: {\"type\":\"string\"}\n";
  } else if (operation.data == kEvents) {
    *out +=
        "        \"200\":\n          description: Server-sent events.\n          content:\n"
        "            text/event-stream:\n              itemSchema: {\"type\":\"object\","
        "\"required\":[\"data\"],\"properties\":{\"data\":{\"type\":\"string\","
        "\"contentMediaType\":\"application/json\"}}}\n";
  } else {
    *out += fmt::format(
        "        \"200\":\n          description: The answer.\n          content:\n"
        "            application/json:\n              schema: {{\"type\":\"object\","
        "\"required\":[\"status\",\"data\"],\"properties\":{{\"status\":{{\"const\":\"success\"}},"
        "\"data\":{{\"$ref\":\"#/components/schemas/{}\"}},"
        "\"warnings\":{{\"$ref\":\"#/components/schemas/Strings\"}},"
        "\"infos\":{{\"$ref\":\"#/components/schemas/Strings\"}}}}}}\n",
        operation.data);
  }
  *out +=
      "        default:\n          description: An error.\n          content:\n"
      "            application/json:\n"
      "              schema: {\"$ref\":\"#/components/schemas/Error\"}\n";
}

std::string OperationId(const OpenApiOperation& operation, std::string_view method) {
  if (operation.methods == "GET POST" && method == "POST")
    return std::string(operation.id) + "-post";
  if (operation.methods == "POST PUT") {
    return std::string(operation.id) + (method == "POST" ? "Post" : "Put");
  }
  return std::string(operation.id);
}

}  // namespace

std::span<const OpenApiOperation> OpenApiOperations() {
  static const auto& operations = *new std::vector<OpenApiOperation>{
      {"GET POST", "/query", "query", "query", "Evaluate an expression at one time",
       QueryParameters({{"time", "time", false, "When; now if missing."}}), "QueryData"},
      {"GET POST", "/query_range", "query-range", "query", "Evaluate an expression over time",
       QueryParameters({{"start", "time", true, "First moment."},
                        {"end", "time", true, "Last moment."},
                        {"step", "duration", true, "Distance of the moments."}}),
       "QueryData"},
      {"GET POST", "/query_explain", "query-explain", "query",
       "Show how an expression is evaluated, and what each operator does",
       QueryParameters({{"analyze", "boolean", false, "Run it and measure each operator."},
                        {"time", "time", false, "When; now if missing."},
                        {"start", "time", false, "First moment of a range query."},
                        {"end", "time", false, "Last moment."},
                        {"step", "duration", false, "Distance of the moments."}}),
       "Explanation"},
      {"GET POST",
       "/query_exemplars",
       "query-exemplars",
       "query",
       "Find exemplars of series",
       {kQuery, kStart, kEnd},
       "Exemplars"},
      {"GET POST",
       "/format_query",
       "format-query",
       "query",
       "Lay an expression out",
       {kQuery},
       "String"},
      {"GET POST",
       "/parse_query",
       "parse-query",
       "query",
       "Take an expression apart",
       {kQuery},
       "SyntaxTree"},
      {"GET POST",
       "/labels",
       "labels",
       "labels",
       "List label names",
       {kMatch, kStart, kEnd, kLimit},
       "Strings"},
      {"GET",
       "/label/{name}/values",
       "label-values",
       "labels",
       "List values of a label",
       {{"name", "string", true, "The label's name; U__… escapes what is no legacy name."},
        kMatch,
        kStart,
        kEnd,
        kLimit},
       "Strings"},
      {"GET POST", "/search/metric_names", "search-metric-names", "metadata", "Search metric names",
       SearchParameters({{"include_metadata", "boolean", false, "Show type, help and unit."}}),
       kLines},
      {"GET POST", "/search/label_names", "search-label-names", "labels", "Search label names",
       SearchParameters({}), kLines},
      {"GET POST", "/search/label_values", "search-label-values", "labels", "Search label values",
       SearchParameters({{"label", "string", true, "Whose values."}}), kLines},
      {"GET POST",
       "/series",
       "series",
       "series",
       "List series",
       {kMatchRequired, kStart, kEnd, kLimit},
       "SeriesList"},
      {"GET",
       "/metadata",
       "get-metadata",
       "metadata",
       "Metadata of metrics",
       {{"metric", "string", false, "Only of this metric."},
        {"limit", "integer", false, "Metrics at most."},
        {"limit_per_metric", "integer", false, "Entries of one metric at most."}},
       "Metadata"},
      {"GET",
       "/scrape_pools",
       "get-scrape-pools",
       "targets",
       "List scrape pools",
       {},
       "ScrapePools"},
      {"GET",
       "/scrape_pools/config",
       "get-scrape-pool-config",
       "targets",
       "Configuration of a scrape pool",
       {{"scrapePool", "string", true, "Its name."}},
       "Yaml"},
      {"GET",
       "/targets",
       "get-targets",
       "targets",
       "List targets",
       {{"scrapePool", "string", false, "Only of this pool."},
        {"state", "state", false, "Only active or only dropped ones."}},
       "Targets"},
      {"GET",
       "/targets/metadata",
       "get-targets-metadata",
       "targets",
       "Metadata of metrics by target",
       {{"match_target", "string", false, "A selector on labels of targets."},
        {"metric", "string", false, "Only of this metric."},
        {"limit", "integer", false, "Targets at most."}},
       "TargetMetadata"},
      {"GET",
       "/targets/relabel_steps",
       "get-targets-relabel-steps",
       "targets",
       "What each relabelling rule makes of labels",
       {{"scrapePool", "string", true, "Whose rules."},
        {"labels", "string", true, "A JSON object of labels."}},
       "RelabelSteps"},
      {"GET",
       "/rules",
       "rules",
       "rules",
       "List rules",
       {{"type", "ruletype", false, "Only of this kind."},
        {"rule_name[]", "strings", false, ""},
        {"rule_group[]", "strings", false, ""},
        {"file[]", "strings", false, ""},
        kMatch,
        {"exclude_alerts", "boolean", false, "Leave out the alerts of each rule."},
        {"group_limit", "integer", false, "Groups a page."},
        {"group_next_token", "string", false, "Where the page begins."}},
       "Rules"},
      {"GET", "/alerts", "alerts", "alerts", "List active alerts", {}, "Alerts"},
      {"GET",
       "/alertmanagers",
       "alertmanagers",
       "alerts",
       "List Alertmanagers",
       {},
       "Alertmanagers"},
      {"GET",
       "/status/config",
       "get-status-config",
       "status",
       "The configuration in force",
       {},
       "Yaml"},
      {"GET",
       "/status/runtimeinfo",
       "get-status-runtimeinfo",
       "status",
       "About this process",
       {},
       "RuntimeInfo"},
      {"GET",
       "/status/buildinfo",
       "get-status-buildinfo",
       "status",
       "About this build",
       {},
       "Labels"},
      {"GET", "/status/flags", "get-status-flags", "status", "Command-line flags", {}, "Labels"},
      {"GET",
       "/status/tsdb",
       "status-tsdb",
       "status",
       "What the head of the database holds",
       {{"limit", "integer", false, "Rows a table; at most 10000."}},
       "TsdbStatus"},
      {"GET",
       "/status/tsdb/blocks",
       "status-tsdb-blocks",
       "status",
       "Blocks of the database",
       {},
       "Blocks"},
      {"GET",
       "/status/walreplay",
       "get-status-walreplay",
       "status",
       "How far reading the log has come",
       {},
       "WalReplay"},
      {"GET",
       "/status/self_metrics",
       "get-status-self-metrics",
       "status",
       "This server's metrics",
       {{"metric_name_pattern", "string", false, "A regular expression for whole names."}},
       "MetricFamilies"},
      {"POST PUT",
       "/admin/tsdb/delete_series",
       "deleteSeries",
       "admin",
       "Delete series",
       {kMatchRequired, kStart, kEnd},
       ""},
      {"POST PUT",
       "/admin/tsdb/clean_tombstones",
       "cleanTombstones",
       "admin",
       "Free the space of what was deleted",
       {},
       ""},
      {"POST PUT",
       "/admin/tsdb/snapshot",
       "snapshot",
       "admin",
       "Copy the database",
       {{"skip_head", "boolean", false, "Leave out what is not in a block yet."}},
       "Snapshot"},
      {"GET",
       "/notifications",
       "get-notifications",
       "notifications",
       "List notifications",
       {},
       "Notifications"},
      {"GET",
       "/notifications/live",
       "notifications-live",
       "notifications",
       "Notifications as they come",
       {},
       kEvents},
      {"GET", "/features", "get-features", "features", "List features", {}, "Features"},
  };
  return operations;
}

std::string OpenApiYaml(std::string_view version, std::string_view server_url,
                        std::string_view api_version) {
  std::string out = fmt::format(
      "openapi: {}.0\ninfo:\n  title: Prometheus API\n"
      "  description: Queries, targets, rules and the state of a monitoring server.\n"
      "  version: \"{}\"\nservers:\n  - url: \"{}\"\ntags:\n",
      version, api_version, server_url);
  for (const Tag& tag : kTags) {
    out += fmt::format("  - name: {}\n    description: {}\n", tag.name, tag.text);
  }
  out += "paths:\n";
  for (const OpenApiOperation& operation : OpenApiOperations()) {
    if (operation.data == kEvents && version == "3.1") continue;
    out += fmt::format("  {}:\n", operation.path);
    for (const std::string_view method : Split(operation.methods, ' ')) {
      out += fmt::format(
          "    {}:\n      operationId: {}\n      tags: [{}]\n      summary: \"{}\"\n",
          ToLower(method), OperationId(operation, method), operation.tag, operation.summary);
      if (method == "POST" && operation.methods == "GET POST") {
        AppendForm(operation, &out);
      } else {
        AppendParameters(operation, &out);
      }
      AppendResponses(operation, &out);
    }
  }
  out += "components:\n  schemas:\n";
  for (const Schema& schema : kSchemas)
    out += fmt::format("    {}: {}\n", schema.name, schema.json);
  return out;
}

void Api::AddOpenApi(const std::string& prefix, Router& router) {
  router.Handle({"GET"}, prefix + "/api/v1/openapi.yaml",
                [this](std::shared_ptr<net::HttpExchange> exchange, const PathParameters&) {
                  if (RefuseUnready(*exchange)) return;
                  const net::FormValues query = ParseQuery(exchange->request());
                  std::string server = options_.external_url;
                  while (server.ends_with('/')) server.pop_back();
                  net::HttpResponse response;
                  response.headers.Add("Content-Type", "application/yaml; charset=utf-8");
                  response.headers.Add("Cache-Control", "no-cache, no-store, must-revalidate");
                  response.body =
                      OpenApiYaml(query.Get("openapi_version").starts_with("3.2") ? "3.2" : "3.1",
                                  server + "/api/v1", sources_.build_info.version);
                  exchange->Respond(std::move(response));
                });
}

}  // namespace narthex::web
