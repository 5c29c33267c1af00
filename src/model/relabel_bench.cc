// Question: what does it cost to relabel the targets of a large service discovery, and the series
// of a scrape?
#include <benchmark/benchmark.h>

#include "model/relabel.h"
#include "util/check.h"

namespace narthex {
namespace {

RelabelConfig Rule(RelabelAction action, std::vector<std::string> sources, std::string_view regex,
                   std::string target = {}, std::string replacement = "$1") {
  RelabelConfig rule;
  rule.action = action;
  rule.source_labels = std::move(sources);
  if (!regex.empty()) rule.regex = *RelabelRegex::Compile(regex);
  rule.target_label = std::move(target);
  rule.replacement = std::move(replacement);
  return rule;
}

// The rules that a cluster's jobs carry, more or less.
std::vector<RelabelConfig> TargetRules() {
  std::vector<RelabelConfig> rules = {
      Rule(RelabelAction::kKeep, {"__meta_kubernetes_pod_annotation_prometheus_io_scrape"}, "true"),
      Rule(RelabelAction::kReplace, {"__meta_kubernetes_pod_annotation_prometheus_io_path"}, "(.+)",
           "__metrics_path__"),
      Rule(RelabelAction::kReplace,
           {"__address__", "__meta_kubernetes_pod_annotation_prometheus_io_port"},
           R"(([^:]+)(?::\d+)?;(\d+))", "__address__", "$1:$2"),
      Rule(RelabelAction::kLabelMap, {}, "__meta_kubernetes_pod_label_(.+)"),
      Rule(RelabelAction::kReplace, {"__meta_kubernetes_namespace"}, "", "namespace"),
      Rule(RelabelAction::kReplace, {"__meta_kubernetes_pod_name"}, "", "pod"),
      Rule(RelabelAction::kDrop, {"__meta_kubernetes_pod_phase"}, "Pending|Succeeded|Failed"),
  };
  for (RelabelConfig& rule : rules) NARTHEX_CHECK(rule.Validate(NameValidation::kUtf8).ok());
  return rules;
}

std::vector<Labels> MakeTargets(int64_t count) {
  std::vector<Labels> targets;
  for (int64_t i = 0; i < count; ++i) {
    const std::string pod = fmt::format("api-{}", i);
    targets.push_back(Labels{
        {"__address__", fmt::format("10.{}.{}.{}:8080", i >> 16 & 255, i >> 8 & 255, i & 255)},
        {"__meta_kubernetes_namespace", "shop"},
        {"__meta_kubernetes_pod_annotation_prometheus_io_path", "/metrics"},
        {"__meta_kubernetes_pod_annotation_prometheus_io_port", "9090"},
        {"__meta_kubernetes_pod_annotation_prometheus_io_scrape", "true"},
        {"__meta_kubernetes_pod_label_app", "api"},
        {"__meta_kubernetes_pod_label_team", "checkout"},
        {"__meta_kubernetes_pod_label_version", "1.2.3"},
        {"__meta_kubernetes_pod_name", pod},
        {"__meta_kubernetes_pod_node_name", "node-7"},
        {"__meta_kubernetes_pod_phase", "Running"},
        {"__meta_kubernetes_pod_ready", "true"},
        {"__metrics_path__", "/metrics"},
        {"__scheme__", "http"},
        {"job", "pods"}});
  }
  return targets;
}

void BM_RelabelTargets(benchmark::State& state) {
  const std::vector<Labels> targets = MakeTargets(state.range(0));
  const std::vector<RelabelConfig> rules = TargetRules();
  for (auto _ : state) {
    for (const Labels& target : targets) {
      bool dropped = false;
      benchmark::DoNotOptimize(Relabel(target, rules, &dropped));
    }
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_RelabelTargets)->Arg(1'000)->Arg(100'000)->Unit(benchmark::kMillisecond);

// metric_relabel_configs run once for every series that is new to the scrape cache.
void BM_RelabelSeries(benchmark::State& state) {
  std::vector<RelabelConfig> rules = {
      Rule(RelabelAction::kDrop, {"__name__"}, "go_.*"),
      Rule(RelabelAction::kDrop, {"__name__", "le"},
           "(apiserver_request_duration_seconds_bucket|etcd_.*_bucket);(0.15|0.2|0.3)"),
      Rule(RelabelAction::kLabelDrop, {}, "pod_template_hash|controller_revision_hash"),
  };
  for (RelabelConfig& rule : rules) NARTHEX_CHECK(rule.Validate(NameValidation::kUtf8).ok());
  const Labels series{{"__name__", "http_requests_total"}, {"code", "200"}, {"handler", "/api"},
                      {"instance", "10.0.0.1:9090"},       {"job", "api"},  {"method", "get"}};
  for (auto _ : state) {
    bool dropped = false;
    benchmark::DoNotOptimize(Relabel(series, rules, &dropped));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_RelabelSeries);

}  // namespace
}  // namespace narthex
