#include "web/explain_json.h"

#include <algorithm>

namespace narthex::web {
namespace {

double Seconds(int64_t nanos) {
  return static_cast<double>(nanos) / 1e9;
}
double SecondsOfMillis(int64_t millis) {
  return static_cast<double>(millis) / 1e3;
}

void WriteGrid(const promql::StepGrid& grid, JsonWriter& json) {
  const size_t steps = grid.steps();
  json.Key("steps").BeginObject().Key("count").Int(static_cast<int64_t>(steps));
  if (steps > 0) {
    json.Key("start").Timestamp(grid.start_ms);
    json.Key("end").Timestamp(grid.TimeAt(steps - 1));
  }
  if (steps > 1) json.Key("step").Double(SecondsOfMillis(grid.interval_ms));
  json.EndObject();
}

void WriteSelect(const promql::ExplainSelect& select, JsonWriter& json) {
  json.Key("select").BeginObject();
  json.Key("start").Timestamp(select.range.start_ms).Key("end").Timestamp(select.range.end_ms);
  if (select.range_ms != 0) json.Key("range").Double(SecondsOfMillis(select.range_ms));
  if (select.offset_ms != 0) json.Key("offset").Double(SecondsOfMillis(select.offset_ms));
  if (select.at_ms.has_value()) json.Key("at").Timestamp(*select.at_ms);
  if (!select.function.empty()) json.Key("function").String(select.function);
  if (!select.grouping.empty()) {
    json.Key("grouping").BeginArray();
    for (const std::string& label : select.grouping) json.String(label);
    json.EndArray().Key("by").Bool(select.grouping_by);
  }
  json.Key("histogramStatsOnly").Bool(select.histogram_stats).EndObject();
}

bool IsSelector(const promql::ExplainNode& node) {
  return node.select.has_value();
}

void WriteProfile(const promql::ExplainNode& node, JsonWriter& json) {
  const promql::OperatorProfile& profile = *node.profile;
  // What lies below was measured by clocks of its own, so that the rest may come out negative.
  int64_t below_ns = 0;
  for (const promql::ExplainNode& child : node.children) {
    if (child.profile.has_value()) below_ns += child.profile->wall_ns;
  }
  json.Key("analysis").BeginObject();
  json.Key("evaluations").Int(profile.evaluations);
  json.Key("streamed").Bool(profile.streamed);
  json.Key("totalSeconds").Double(Seconds(profile.wall_ns));
  json.Key("selfSeconds").Double(Seconds(std::max<int64_t>(profile.wall_ns - below_ns, 0)));
  json.Key("threadSeconds").Double(Seconds(profile.busy_ns));
  json.Key("threads").Int(profile.threads);
  json.Key("batches").Int(profile.batches);
  if (IsSelector(node)) json.Key("seriesSelected").Int(profile.series_selected);
  json.Key("samplesRead").Int(profile.samples_read);
  json.Key("series").Int(profile.series);
  json.Key("samples").Int(profile.samples);
  json.Key("bytes").Int(profile.bytes);
  if (profile.reused) json.Key("reused").Bool(true);
  json.Key("windowPlans").BeginObject();
  json.Key("made").Int(profile.windows_made).Key("shared").Int(profile.windows_shared).EndObject();
  json.EndObject();
}

void WriteNode(const promql::ExplainNode& node, JsonWriter& json) {
  json.BeginObject().Key("type").String(node.type);
  if (!node.name.empty()) json.Key("name").String(node.name);
  json.Key("expr").String(node.expr);
  json.Key("position").BeginObject();
  json.Key("start").Int(static_cast<int64_t>(node.position.start));
  json.Key("end").Int(static_cast<int64_t>(node.position.end)).EndObject();
  WriteGrid(node.grid, json);
  if (node.once) json.Key("once").Bool(true);
  if (node.folds) json.Key("folds").Bool(true);
  if (node.shared.has_value()) json.Key("shared").Int(*node.shared);
  if (node.select.has_value()) WriteSelect(*node.select, json);
  if (node.profile.has_value()) WriteProfile(node, json);
  json.Key("children").BeginArray();
  for (const promql::ExplainNode& child : node.children) WriteNode(child, json);
  json.EndArray().EndObject();
}

}  // namespace

void WriteExplanation(std::string_view query, const promql::Explanation& explanation,
                      JsonWriter& json) {
  json.BeginObject().Key("query").String(query);
  json.Key("resultType").String(promql::ValueTypeTag(explanation.type));
  WriteGrid(explanation.grid, json);
  json.Key("analyzed").Bool(explanation.analyzed);
  if (explanation.analyzed) {
    const promql::QueryStats& stats = explanation.stats;
    json.Key("analysis").BeginObject();
    json.Key("queueSeconds").Double(Seconds(stats.timings.queue));
    json.Key("prepareSeconds").Double(Seconds(stats.timings.preparation));
    json.Key("evalSeconds").Double(Seconds(stats.timings.inner_eval));
    json.Key("sortSeconds").Double(Seconds(stats.timings.result_sort));
    json.Key("totalSeconds").Double(Seconds(stats.timings.exec_total));
    json.Key("seriesTouched").Int(stats.series_touched);
    json.Key("totalQueryableSamples").Int(stats.total_queryable_samples);
    json.Key("samplesRead").Int(stats.samples_read);
    json.Key("peakSamples").Int(stats.peak_samples);
    json.Key("peakBytes").Int(stats.peak_bytes);
    json.EndObject();
  }
  json.Key("plan");
  WriteNode(explanation.root, json);
  json.EndObject();
}

}  // namespace narthex::web
