#include "apps/server_views.h"

#include <unistd.h>

#include <thread>

#include "apps/command.h"
#include "apps/feature_map.h"
#include "apps/server.h"
#include "util/strings.h"
#include "web/json_writer.h"

namespace narthex::apps {
namespace {

web::AlertView ViewAlert(const rules::Alert& alert) {
  web::AlertView view;
  view.labels = alert.labels;
  view.annotations = alert.annotations;
  view.state = rules::AlertStateName(alert.state);
  view.active_at_nanos = alert.active_at_nanos;
  if (alert.keep_firing_since_nanos != 0) {
    view.keep_firing_since_nanos = alert.keep_firing_since_nanos;
  }
  view.value = alert.value;
  return view;
}

web::RuleView ViewRule(const rules::Rule& rule) {
  web::RuleView view;
  view.alerting = rule.alerting();
  view.name = rule.name();
  view.query = rule.query();
  view.labels = rule.labels();
  const rules::Rule::Health health = rule.health();
  view.health = health.status;
  view.last_error = health.error;
  view.evaluation_seconds = health.seconds;
  view.last_evaluation_nanos = health.at_nanos;
  if (!view.alerting) return view;
  const auto& alerting = static_cast<const rules::AlertingRule&>(rule);
  view.state = rules::AlertStateName(alerting.state());
  view.duration_seconds = static_cast<double>(alerting.options().hold_nanos) / 1e9;
  view.keep_firing_for_seconds =
      static_cast<double>(alerting.options().keep_firing_for_nanos) / 1e9;
  view.annotations = alerting.options().annotations;
  for (const rules::Alert& alert : alerting.ActiveAlerts()) {
    view.alerts.push_back(ViewAlert(alert));
  }
  return view;
}

std::string WorkingDirectory() {
  char path[4096];
  return getcwd(path, sizeof path) != nullptr ? path : "";
}

// "15d or 1GiB or 80%"
std::string RetentionText(const Config& config) {
  std::vector<std::string> parts;
  if (config.storage.tsdb && config.storage.tsdb->retention) {
    const RetentionConfig& retention = *config.storage.tsdb->retention;
    if (retention.time.nanos > 0) parts.push_back(retention.time.ToString());
    if (retention.size.bytes > 0) parts.push_back(retention.size.ToString());
    if (retention.percentage > 0) {
      parts.push_back(FormatFloatG(retention.percentage) + "%");
    }
  }
  return Join(parts, " or ");
}

}  // namespace

promql::ParserOptions ParserOptionsOf(const Features& features) {
  promql::ParserOptions options;
  options.experimental_functions = features.Has("promql-experimental-functions");
  options.binop_fill_modifiers = features.Has("promql-binop-fill-modifiers");
  options.unquoted_utf8_names = features.Has("promql-unquoted-utf8-names");
  return options;
}

std::vector<web::RuleGroupView> ViewRules(const rules::Manager& manager) {
  std::vector<web::RuleGroupView> groups;
  for (const auto& group : manager.Groups()) {
    web::RuleGroupView view;
    view.name = group->options().name;
    view.file = group->options().file;
    view.interval_seconds = static_cast<double>(group->options().interval_nanos) / 1e9;
    view.limit = group->options().limit;
    view.evaluation_seconds =
        static_cast<double>(group->counters().last_duration_nanos.load()) / 1e9;
    view.last_evaluation_nanos = group->counters().last_evaluation_nanos.load();
    for (const auto& rule : group->rules()) view.rules.push_back(ViewRule(*rule));
    groups.push_back(std::move(view));
  }
  return groups;
}

web::TargetsView ViewTargets(const scrape::ScrapeManager& manager) {
  web::TargetsView view;
  for (const auto& [name, pool] : manager.pools()) {
    for (const auto& loop : pool->loops()) {
      const scrape::Target& target = *loop->target();
      const scrape::Target::State state = target.state();
      web::TargetView entry;
      entry.discovered_labels = target.origin().discovered_labels();
      entry.labels = target.public_labels();
      entry.scrape_pool = name;
      entry.scrape_url = target.url();
      entry.last_error = state.last_error;
      entry.last_scrape_nanos = state.last_scrape_nanos;
      entry.last_scrape_seconds = state.last_scrape_seconds;
      entry.health = scrape::TargetHealthName(state.health);
      entry.scrape_interval = FormatDuration(loop->interval_nanos());
      entry.scrape_timeout = FormatDuration(loop->timeout_nanos());
      view.active.push_back(std::move(entry));
    }
    for (const scrape::TargetOrigin& dropped : pool->dropped()) {
      view.dropped.push_back({dropped.discovered_labels(), name});
    }
    view.dropped_counts[name] = pool->counts().dropped;
  }
  return view;
}

std::vector<web::TargetMetadataView> ViewTargetMetadata(const scrape::ScrapeManager& manager) {
  std::vector<web::TargetMetadataView> entries;
  for (const auto& [name, pool] : manager.pools()) {
    for (const auto& loop : pool->loops()) {
      for (const auto& family : loop->ListMetadata()) {
        entries.push_back({loop->target()->public_labels(), family->family, family->metadata});
      }
    }
  }
  return entries;
}

std::string RelabelStepsJson(const ScrapeConfig& config, const Labels& labels) {
  std::string out;
  web::JsonWriter json(&out);
  json.BeginObject().Key("steps").BeginArray();
  LabelsBuilder builder(labels);
  bool keep = true;
  for (const RelabelConfig& rule : config.relabel_configs) {
    if (keep) keep = Relabel(builder, {&rule, 1});
    json.BeginObject().Key("rule").BeginObject();
    if (!rule.source_labels.empty()) {
      json.Key("source_labels").BeginArray();
      for (const std::string& label : rule.source_labels) json.String(label);
      json.EndArray();
    }
    json.Key("separator").String(rule.separator);
    json.Key("regex").String(rule.regex.text());
    if (rule.modulus != 0) json.Key("modulus").Int(static_cast<int64_t>(rule.modulus));
    if (!rule.target_label.empty()) json.Key("target_label").String(rule.target_label);
    json.Key("replacement").String(rule.replacement);
    json.Key("action").String(RelabelActionName(rule.action));
    json.EndObject();
    json.Key("output").LabelObject(keep ? builder.Build() : Labels());
    json.Key("keep").Bool(keep).EndObject();
  }
  json.EndArray().EndObject();
  return out;
}

void ReadScrape(const scrape::ScrapeManager& manager, FamilyBuilder& families) {
  const scrape::ScrapeMetrics& metrics = manager.metrics();
  const auto counter = [&](const char* name, const char* help,
                           const scrape::ScrapeMetrics::Counter& value) {
    families.Counter(std::string("prometheus_target_") + name, help,
                     static_cast<double>(value.load(std::memory_order_relaxed)));
  };
  counter("scrape_pools_total", "Total number of scrape pool creation attempts.",
          metrics.pools_total);
  counter("scrape_pools_failed_total", "Total number of scrape pool creations that failed.",
          metrics.pools_failed_total);
  counter("scrape_pool_reloads_total", "Total number of scrape pool reloads.",
          metrics.pool_reloads_total);
  counter("scrape_pool_reloads_failed_total", "Total number of failed scrape pool reloads.",
          metrics.pool_reloads_failed_total);
  counter("scrape_pool_exceeded_target_limit_total",
          "Total number of times scrape pools hit the target limit, during sync or config reload.",
          metrics.exceeded_target_limit_total);
  counter("scrape_pool_exceeded_label_limits_total",
          "Total number of times scrape pools hit the label limits, during sync or config reload.",
          metrics.exceeded_label_limits_total);
  counter("scrapes_exceeded_body_size_limit_total",
          "Total number of scrapes that hit the body size limit",
          metrics.exceeded_body_size_limit_total);
  counter("scrapes_exceeded_sample_limit_total",
          "Total number of scrapes that hit the sample limit and were rejected.",
          metrics.exceeded_sample_limit_total);
  counter("scrapes_exceeded_native_histogram_bucket_limit_total",
          "Total number of scrapes that hit the native histogram bucket limit and were rejected.",
          metrics.exceeded_bucket_limit_total);
  counter("scrapes_cache_flush_forced_total",
          "How many times a scrape cache was flushed due to getting big while scrapes are failing.",
          metrics.cache_flush_forced_total);
  counter("scrapes_sample_duplicate_timestamp_total",
          "Total number of samples rejected due to duplicate timestamps but different values.",
          metrics.sample_duplicate_total);
  counter("scrapes_sample_out_of_order_total",
          "Total number of samples rejected due to not being out of the expected order.",
          metrics.sample_out_of_order_total);
  counter("scrapes_sample_out_of_bounds_total",
          "Total number of samples rejected due to timestamp falling outside of the time bounds.",
          metrics.sample_out_of_bounds_total);
  counter("scrapes_exemplar_out_of_order_total",
          "Total number of exemplar rejected due to not being out of the expected order.",
          metrics.exemplar_out_of_order_total);
  for (const auto& [name, pool] : manager.pools()) {
    const client::Labels labels = {{"scrape_job", name}};
    const scrape::ScrapePool::Counts counts = pool->counts();
    families.Counter("prometheus_target_scrape_pool_sync_total",
                     "Total number of syncs that were executed on a scrape pool.",
                     static_cast<double>(counts.syncs), labels);
    families.Counter("prometheus_target_sync_failed_total", "Total number of target sync failures.",
                     static_cast<double>(counts.failed_targets), labels);
    families.Gauge("prometheus_target_scrape_pool_targets",
                   "Current number of targets in this scrape pool.",
                   static_cast<double>(counts.targets), labels);
    families.Gauge("prometheus_target_scrape_pool_target_limit",
                   "Maximum number of targets allowed in this scrape pool.",
                   static_cast<double>(counts.target_limit), labels);
    // Pools have no tables of symbols of their own, as in upstream's usual build.
    families.Gauge("prometheus_target_scrape_pool_symboltable_items",
                   "Current number of symbols in table for this scrape pool.", 0, labels);
    size_t entries = 0;
    size_t bytes = 0;
    for (const auto& loop : pool->loops()) {
      const auto size = loop->metadata_size();
      entries += size.count;
      bytes += size.text_bytes;
    }
    families.Gauge("prometheus_target_metadata_cache_entries",
                   "Total number of metric metadata entries in the cache",
                   static_cast<double>(entries), labels);
    families.Gauge("prometheus_target_metadata_cache_bytes",
                   "The number of bytes that are currently used for storing metric metadata in the "
                   "cache",
                   static_cast<double>(bytes), labels);
  }
}

web::RuntimeInfo Server::ReadRuntimeInfo() const {
  web::RuntimeInfo info;
  info.start_time_nanos = start_nanos_;
  info.working_directory = WorkingDirectory();
  info.hostname = HostName();
  info.processor_count = std::max(1u, std::thread::hardware_concurrency());
  if (const auto threads = FileSystem::Posix().List("/proc/self/task"); threads.ok()) {
    info.thread_count = threads->size();
  }
  if (db_ != nullptr) {
    for (const tsdb::MetricValue& metric : db_->Metrics()) {
      if (metric.name == "prometheus_tsdb_wal_corruptions_total") {
        info.corruption_count = static_cast<uint64_t>(metric.value);
      }
    }
  }
  const std::lock_guard lock(mutex_);
  info.reload_config_success = last_reload_ok_;
  info.last_config_nanos = last_reload_nanos_;
  if (config_ != nullptr) {
    info.storage_retention = RetentionText(*config_);
    info.gogc = config_->runtime.gogc;
  }
  return info;
}

web::ApiSources Server::MakeSources() {
  web::ApiSources sources;
  sources.targets = [this] { return ViewTargets(*scrape_); };
  sources.targets_metadata = [this] { return ViewTargetMetadata(*scrape_); };
  sources.scrape_pools = [this] { return scrape_->pool_names(); };
  const auto pool_config =
      [this](const std::string& name) -> Result<std::shared_ptr<const ScrapeConfig>> {
    const auto pool = scrape_->pool(name);
    if (pool == nullptr) {
      return MakeError(ErrorCode::kNotFound, "scrape pool {} not found", GoQuote(name));
    }
    return pool->config();
  };
  sources.scrape_pool_config = [pool_config](const std::string& name) -> Result<std::string> {
    NARTHEX_TRY(const auto config, pool_config(name));
    return PrintScrapeConfig(*config);
  };
  sources.relabel_steps = [pool_config](const std::string& name,
                                        const Labels& labels) -> Result<std::string> {
    NARTHEX_TRY(const auto config, pool_config(name));
    return RelabelStepsJson(*config, labels);
  };
  sources.alertmanagers = [this] {
    notifier::Notifier::Urls urls = notifier_->Alertmanagers();
    return web::AlertmanagersView{std::move(urls.active), std::move(urls.dropped)};
  };
  sources.rule_groups = [this] { return ViewRules(*rules_); };
  sources.config_yaml = [this] {
    std::shared_ptr<const Config> config;
    {
      const std::lock_guard lock(mutex_);
      config = config_;
    }
    return config == nullptr ? std::string() : PrintConfig(*config);
  };
  sources.self_metrics = [this](const std::function<bool(std::string_view)>& wanted) {
    return metrics_.Json(wanted);
  };
  sources.runtime_info = [this] { return ReadRuntimeInfo(); };
  sources.flags = flags_.Values();
  sources.build_info = {std::string(kReferenceVersion),
                        std::string(Revision()),
                        "main",
                        "",
                        std::string(BuildDate()),
                        "narthex " + std::string(Version()) + " (" + CompilerText() + ")"};
  sources.features = DescribeFeatures(options_, features_, discovery_registry_);
  return sources;
}

}  // namespace narthex::apps
