#include "apps/feature_map.h"

#include "promql/parser/ast.h"

namespace narthex::apps {

web::FeatureMap DescribeFeatures(const ServerOptions& options, const Features& features,
                                 const DiscoveryRegistry& discovery) {
  const bool experimental = features.Has("promql-experimental-functions");
  const bool fill = features.Has("promql-binop-fill-modifiers");
  const bool search = features.Has("search-api");
  web::FeatureMap map;
  map["api"] = {{"admin", options.enable_admin_api},
                {"exclude_alerts", true},
                {"label_values_match", true},
                {"lifecycle", options.enable_lifecycle},
                {"openapi_3.1", true},
                {"openapi_3.2", true},
                {"otlp_write_receiver", false},
                {"query_cost", features.Has("query-cost")},
                {"query_stats", true},
                {"query_warnings", true},
                {"remote_write_receiver", false},
                {"search", search},
                {"search_fuzz_alg_jarowinkler", search},
                {"search_fuzz_alg_subsequence", search},
                {"time_range_labels", true},
                {"time_range_series", true}};
  map["otlp_receiver"] = {{"delta_conversion", false}, {"native_delta_ingestion", false}};
  map["prometheus"] = {{"agent_mode", false},
                       {"auto_reload_config", options.config_auto_reload},
                       {"server_mode", true},
                       {"stringlabels", true}};
  map["promql"] = {{"anchored", true},
                   {"at_modifier", true},
                   {"bool", true},
                   {"by", true},
                   {"delayed_name_removal", features.Has("promql-delayed-name-removal")},
                   {"duration_expr", true},
                   {"fill", fill},
                   {"fill_left", fill},
                   {"fill_right", fill},
                   {"group_left", true},
                   {"group_right", true},
                   {"ignoring", true},
                   {"negative_offset", true},
                   {"offset", true},
                   {"on", true},
                   {"per_query_lookback_delta", true},
                   {"per_step_stats", features.Has("promql-per-step-stats")},
                   {"smoothed", true},
                   {"subqueries", true},
                   {"type_and_unit_labels", features.Has("type-and-unit-labels")},
                   {"unquoted_utf8_names", features.Has("promql-unquoted-utf8-names")},
                   {"without", true}};
  for (const promql::FunctionSignature& function : promql::AllFunctions()) {
    map["promql_functions"][std::string(function.name)] = !function.experimental || experimental;
  }
  for (const std::string_view name : {"!=",
                                      "!~",
                                      "%",
                                      "*",
                                      "+",
                                      "-",
                                      "/",
                                      "<",
                                      "</",
                                      "<=",
                                      "==",
                                      "=~",
                                      ">",
                                      ">/",
                                      ">=",
                                      "@",
                                      "^",
                                      "and",
                                      "avg",
                                      "atan2",
                                      "bottomk",
                                      "count",
                                      "count_values",
                                      "group",
                                      "max",
                                      "min",
                                      "or",
                                      "quantile",
                                      "stddev",
                                      "stdvar",
                                      "sum",
                                      "topk",
                                      "unless"}) {
    map["promql_operators"][std::string(name)] = true;
  }
  map["promql_operators"]["limitk"] = experimental;
  map["promql_operators"]["limit_ratio"] = experimental;
  map["rules"] = {{"concurrent_rule_eval", features.Has("concurrent-rule-eval")},
                  {"keep_firing_for", true},
                  {"query_offset", true}};
  map["scrape"] = {
      {"extra_scrape_metrics", true},
      {"openmetrics2", false},
      {"start_timestamp_zero_ingestion", features.Has("created-timestamp-zero-ingestion")},
      {"type_and_unit_labels", features.Has("type-and-unit-labels")}};
  for (const std::string& name : discovery.names()) {
    map["service_discovery_providers"][name] = true;
  }
  for (const std::string_view name : {"args",
                                      "externalURL",
                                      "first",
                                      "graphLink",
                                      "humanize",
                                      "humanize1024",
                                      "humanizeDuration",
                                      "humanizePercentage",
                                      "humanizeTimestamp",
                                      "label",
                                      "match",
                                      "now",
                                      "parseDuration",
                                      "pathPrefix",
                                      "query",
                                      "reReplaceAll",
                                      "safeHtml",
                                      "sortByLabel",
                                      "stripDomain",
                                      "stripPort",
                                      "strvalue",
                                      "tableLink",
                                      "title",
                                      "toDuration",
                                      "toLower",
                                      "toTime",
                                      "toUpper",
                                      "urlQueryEscape",
                                      "value"}) {
    map["templating_functions"][std::string(name)] = true;
  }
  map["tsdb"] = {{"delayed_compaction", features.Has("delayed-compaction")},
                 {"exemplar_storage", features.Has("exemplar-storage")},
                 {"histograms_st_encoding", features.Has("histograms-st-encoding")},
                 {"isolation", true},
                 {"native_histograms", true},
                 {"st_storage", features.Has("st-storage")},
                 {"use_uncached_io", false},
                 {"xor2_encoding", true}};
  map["ui"] = {{"ui_v2", false}, {"ui_v3", true}};
  return map;
}

}  // namespace narthex::apps
