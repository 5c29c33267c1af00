#include "apps/self_metrics.h"

#include <mutex>

#include "apps/command.h"
#include "narthex/client/exposition.h"
#include "narthex/client/process_collector.h"
#include "util/compress.h"
#include "web/response_writer.h"

namespace narthex::apps {
namespace {

using client::Family;
using client::HistogramOptions;
using client::MetricOptions;
using client::SummaryOptions;

const std::vector<double> kDurationBuckets = {.01, .1, 1, 10};
constexpr double kNativeFactor = 1.1;
constexpr uint32_t kNativeBucketsMax = 100;
constexpr auto kNativeMinReset = std::chrono::hours(1);

HistogramOptions WithNative(std::vector<double> buckets) {
  return HistogramOptions{}
      .WithBuckets(std::move(buckets))
      .WithNative(kNativeFactor, kNativeBucketsMax, kNativeMinReset);
}

SummaryOptions Quantiles(std::vector<client::Objective> objectives) {
  SummaryOptions options;
  options.objectives = std::move(objectives);
  return options;
}

SummaryOptions CommonQuantiles() {
  return Quantiles({{.5, .05}, {.9, .01}, {.99, .001}});
}

SummaryOptions WideQuantiles() {
  return Quantiles({{.01, .001}, {.05, .005}, {.5, .05}, {.90, .01}, {.99, .001}});
}

std::vector<double> ExponentialBuckets(double start, double factor, int count) {
  std::vector<double> buckets;
  for (int i = 0; i < count; ++i, start *= factor) buckets.push_back(start);
  return buckets;
}

}  // namespace

client::MetricFamily& FamilyBuilder::Family(const std::string& name, const std::string& help,
                                            client::MetricType type) {
  // Values of a family come one after the other, so the last one is nearly always it.
  for (auto family = out_.rbegin(); family != out_.rend(); ++family) {
    if (family->name == name) return *family;
  }
  client::MetricFamily family;
  family.name = name;
  family.help = help;
  family.type = type;
  out_.push_back(std::move(family));
  return out_.back();
}

void FamilyBuilder::Counter(const std::string& name, const std::string& help, double value,
                            client::Labels labels) {
  client::Metric metric;
  metric.labels = std::move(labels);
  metric.value = client::CounterValue{value, nullptr, std::nullopt};
  Family(name, help, client::MetricType::kCounter).metrics.push_back(std::move(metric));
}

void FamilyBuilder::Gauge(const std::string& name, const std::string& help, double value,
                          client::Labels labels) {
  client::Metric metric;
  metric.labels = std::move(labels);
  metric.value = client::GaugeValue{value};
  Family(name, help, client::MetricType::kGauge).metrics.push_back(std::move(metric));
}

void FamilyBuilder::Histogram(const std::string& name, const std::string& help,
                              client::HistogramValue value, client::Labels labels) {
  client::Metric metric;
  metric.labels = std::move(labels);
  metric.value = std::make_shared<const client::HistogramValue>(std::move(value));
  Family(name, help, client::MetricType::kHistogram).metrics.push_back(std::move(metric));
}

void FamilyBuilder::Summary(const std::string& name, const std::string& help,
                            client::SummaryValue value, client::Labels labels) {
  client::Metric metric;
  metric.labels = std::move(labels);
  metric.value = std::make_shared<const client::SummaryValue>(std::move(value));
  Family(name, help, client::MetricType::kSummary).metrics.push_back(std::move(metric));
}

// Asks every reading; which families it delivers is not known beforehand.
struct SelfMetrics::ReadingCollector : client::Collector {
  std::mutex mutex;
  std::vector<Reading> readings;

  void Describe(std::vector<client::Description>&) const override {}
  void Collect(std::vector<client::MetricFamily>& out) override {
    const std::lock_guard lock(mutex);
    FamilyBuilder families(out);
    for (const Reading& reading : readings) reading(families);
  }
};

// Durations of the scraper.
class SelfMetrics::ScrapeDurations : public scrape::ScrapeObserver {
 public:
  explicit ScrapeDurations(client::Registry& registry)
      : interval_summary_(
            registry,
            {"prometheus_target_interval_length_seconds", "Actual intervals between scrapes."},
            {"interval"}, WideQuantiles()),
        interval_histogram_(registry,
                            {"prometheus_target_interval_length_histogram_seconds",
                             "Actual intervals between scrapes."},
                            {"interval"}, WithNative(kDurationBuckets)),
        reload_summary_(registry,
                        {"prometheus_target_reload_length_seconds",
                         "Actual interval to reload the scrape pool with a given configuration."},
                        {"interval"}, WideQuantiles()),
        sync_summary_(
            registry,
            {"prometheus_target_sync_length_seconds", "Actual interval to sync the scrape pool."},
            {"scrape_job"}, WideQuantiles()),
        sync_histogram_(registry,
                        {"prometheus_target_sync_length_histogram_seconds",
                         "Actual interval to sync the scrape pool."},
                        {"scrape_job"}, WithNative(kDurationBuckets)),
        scrape_histogram_(
            registry,
            MetricOptions{
                "prometheus_target_scrape_duration_seconds",
                "Total duration of the scrape from start to commit completion in seconds."},
            WithNative({})) {}

  void ObserveInterval(std::string_view interval, double seconds) override {
    interval_summary_.WithLabels({interval}).Observe(seconds);
    interval_histogram_.WithLabels({interval}).Observe(seconds);
  }
  void ObserveReload(std::string_view interval, double seconds) override {
    reload_summary_.WithLabels({interval}).Observe(seconds);
  }
  void ObserveSync(std::string_view job, double seconds) override {
    sync_summary_.WithLabels({job}).Observe(seconds);
    sync_histogram_.WithLabels({job}).Observe(seconds);
  }
  void ObserveScrape(double seconds) override { scrape_histogram_.Observe(seconds); }

 private:
  Family<client::Summary> interval_summary_;
  Family<client::Histogram> interval_histogram_;
  Family<client::Summary> reload_summary_;
  Family<client::Summary> sync_summary_;
  Family<client::Histogram> sync_histogram_;
  client::Histogram scrape_histogram_;
};

SelfMetrics::SelfMetrics()
    : reload_successful(registry_,
                        MetricOptions{"prometheus_config_last_reload_successful",
                                      "Whether the last configuration reload attempt was "
                                      "successful."}),
      reload_success_time(registry_,
                          MetricOptions{"prometheus_config_last_reload_success_timestamp_seconds",
                                        "Timestamp of the last successful configuration reload."}),
      ready(registry_, MetricOptions{"prometheus_ready",
                                     "Whether Prometheus startup was fully completed and the "
                                     "server is ready for normal operation."}),
      template_expansions(registry_,
                          MetricOptions{"prometheus_template_text_expansions_total",
                                        "The total number of template text expansions."}),
      template_failures(registry_,
                        MetricOptions{"prometheus_template_text_expansion_failures_total",
                                      "The total number of template text expansion failures."}),
      federation_errors(registry_,
                        MetricOptions{"prometheus_web_federation_errors_total",
                                      "Total number of errors that occurred while sending "
                                      "federation responses."}),
      federation_warnings(registry_,
                          MetricOptions{"prometheus_web_federation_warnings_total",
                                        "Total number of warnings that occurred while sending "
                                        "federation responses."}),
      readings_(std::make_shared<ReadingCollector>()),
      http_requests_(registry_, {"prometheus_http_requests_total", "Counter of HTTP requests."},
                     {"handler", "code"}),
      scrapes_(registry_,
               {"promhttp_metric_handler_requests_total",
                "Total number of scrapes by HTTP status code."},
               {"code"}),
      scrapes_in_flight_(registry_, MetricOptions{"promhttp_metric_handler_requests_in_flight",
                                                  "Current number of scrapes being served."}),
      http_seconds_(
          registry_,
          {"prometheus_http_request_duration_seconds", "Histogram of latencies for HTTP requests."},
          {"handler"}, WithNative({.1, .2, .4, 1, 3, 8, 20, 60, 120})),
      http_bytes_(
          registry_,
          {"prometheus_http_response_size_bytes", "Histogram of response size for HTTP requests."},
          {"handler"}, HistogramOptions{}.WithBuckets(ExponentialBuckets(100, 10, 8))),
      query_summary_(registry_, {"prometheus_engine_query_duration_seconds", "Query timings"},
                     {"slice"}, CommonQuantiles()),
      query_histogram_(registry_,
                       {"prometheus_engine_query_duration_histogram_seconds",
                        "The duration of various parts of PromQL query execution."},
                       {"slice"}, WithNative(kDurationBuckets)),
      rule_summary_(registry_,
                    MetricOptions{"prometheus_rule_evaluation_duration_seconds",
                                  "The duration for a rule to execute."},
                    CommonQuantiles()),
      rule_histogram_(registry_,
                      MetricOptions{"prometheus_rule_evaluation_duration_histogram_seconds",
                                    "The duration for a rule to execute."},
                      WithNative(kDurationBuckets)),
      group_summary_(registry_,
                     MetricOptions{"prometheus_rule_group_duration_seconds",
                                   "The duration of rule group evaluations."},
                     WideQuantiles()),
      group_histogram_(registry_,
                       MetricOptions{"prometheus_rule_group_duration_histogram_seconds",
                                     "The duration of rule group evaluations."},
                       WithNative(kDurationBuckets)),
      notification_summary_(registry_,
                            {"prometheus_notifications_latency_seconds",
                             "Latency quantiles for sending alert notifications."},
                            {"alertmanager"}, CommonQuantiles()),
      notification_histogram_(registry_,
                              {"prometheus_notifications_latency_histogram_seconds",
                               "Latency histogram for sending alert notifications."},
                              {"alertmanager"}, WithNative(kDurationBuckets)) {
  for (const std::string_view code : {"200", "500", "503"}) scrapes_.WithLabels({code});
  // A second registration of the same collector is the only way this fails.
  static_cast<void>(registry_.Register(readings_));
  static_cast<void>(registry_.Register(client::MakeProcessCollector()));
  scrape_durations_ = std::make_unique<ScrapeDurations>(registry_);
  client::Family<client::Gauge>(
      registry_,
      {"prometheus_build_info",
       "A metric with a constant '1' value labeled by version, revision, branch, goversion from "
       "which prometheus was built, and the goos and goarch for the build."},
      {"branch", "goarch", "goos", "goversion", "revision", "tags", "version"})
      .WithLabels(
          {"main", "amd64", "linux", CompilerText(), Revision(), "unknown", kReferenceVersion})
      .Set(1);
}

SelfMetrics::~SelfMetrics() = default;

void SelfMetrics::AddReading(Reading reading) {
  const std::lock_guard lock(readings_->mutex);
  readings_->readings.push_back(std::move(reading));
}

void SelfMetrics::ClearReadings() {
  const std::lock_guard lock(readings_->mutex);
  readings_->readings.clear();
}

void SelfMetrics::DeclareHandler(const std::string& handler) {
  http_requests_.WithLabels({handler, "200"});
}

void SelfMetrics::ObserveHttp(const std::string& handler, int status, double seconds,
                              size_t bytes) {
  http_requests_.WithLabels({handler, std::to_string(status)}).Inc();
  http_seconds_.WithLabels({handler}).Observe(seconds);
  http_bytes_.WithLabels({handler}).Observe(static_cast<double>(bytes));
}

void SelfMetrics::ObserveQuery(std::string_view slice, double seconds) {
  query_summary_.WithLabels({slice}).Observe(seconds);
  query_histogram_.WithLabels({slice}).Observe(seconds);
}

void SelfMetrics::ObserveRule(double seconds) {
  rule_summary_.Observe(seconds);
  rule_histogram_.Observe(seconds);
}

void SelfMetrics::ObserveRuleGroup(double seconds) {
  group_summary_.Observe(seconds);
  group_histogram_.Observe(seconds);
}

void SelfMetrics::ObserveNotification(const std::string& url, double seconds) {
  notification_summary_.WithLabels({url}).Observe(seconds);
  notification_histogram_.WithLabels({url}).Observe(seconds);
}

void SelfMetrics::ForgetNotifications(const std::string& url) {
  notification_summary_.Remove({url});
  notification_histogram_.Remove({url});
}

scrape::ScrapeObserver& SelfMetrics::scrape_observer() {
  return *scrape_durations_;
}

void SelfMetrics::Serve(net::HttpExchange& exchange) {
  const net::HttpRequest& request = exchange.request();
  scrapes_in_flight_.Inc();
  client::ScrapeResponse page = client::Scrape(registry_, request.headers.Get("Accept"));
  scrapes_in_flight_.Dec();
  scrapes_.WithLabels({"200"}).Inc();
  net::HttpResponse response;
  response.headers.Add("Content-Type", std::move(page.content_type));
  response.body = std::move(page.body);
  if (web::ChooseContentCoding(request.headers.Get("Accept-Encoding")) ==
      web::ContentCoding::kGzip) {
    response.headers.Add("Content-Encoding", "gzip");
    response.body = GzipCompress(response.body);
  }
  exchange.Respond(std::move(response));
}

void ReadDb(const tsdb::Db& db, FamilyBuilder& families) {
  for (const tsdb::MetricValue& metric : db.Metrics()) {
    client::Labels labels;
    if (!metric.label_name.empty()) labels.push_back({metric.label_name, metric.label_value});
    switch (metric.kind) {
      case tsdb::MetricValue::Kind::kCounter:
        families.Counter(metric.name, metric.help, metric.value, std::move(labels));
        break;
      case tsdb::MetricValue::Kind::kGauge:
        families.Gauge(metric.name, metric.help, metric.value, std::move(labels));
        break;
      case tsdb::MetricValue::Kind::kHistogram: {
        client::HistogramValue histogram;
        histogram.sample_count = metric.count;
        histogram.sample_sum = metric.value;
        for (const auto& [bound, count] : metric.points) {
          client::Bucket& bucket = histogram.buckets.emplace_back();
          bucket.upper_bound = bound;
          bucket.cumulative_count = static_cast<uint64_t>(count);
        }
        families.Histogram(metric.name, metric.help, std::move(histogram));
        break;
      }
      case tsdb::MetricValue::Kind::kSummary: {
        client::SummaryValue summary;
        summary.sample_count = metric.count;
        summary.sample_sum = metric.value;
        for (const auto& [quantile, value] : metric.points) {
          summary.quantiles.push_back({quantile, value});
        }
        families.Summary(metric.name, metric.help, std::move(summary));
        break;
      }
    }
  }
}

void ReadEngine(const promql::Engine& engine, size_t queries_max, FamilyBuilder& families) {
  const promql::EngineCounters& counters = engine.counters();
  families.Gauge("prometheus_engine_queries",
                 "The current number of queries being executed or waiting.",
                 static_cast<double>(counters.queries.load()));
  families.Gauge("prometheus_engine_queries_concurrent_max",
                 "The max number of concurrent queries.", static_cast<double>(queries_max));
  families.Gauge("prometheus_engine_query_log_enabled", "State of the query log.",
                 engine.query_log_enabled() ? 1 : 0);
  families.Counter("prometheus_engine_query_log_failures_total",
                   "The number of query log failures.",
                   static_cast<double>(counters.log_failures_total.load()));
  families.Counter("prometheus_engine_query_samples_total",
                   "The total number of samples loaded by all queries (full window per step for "
                   "range-vector).",
                   static_cast<double>(counters.samples_total.load()));
  families.Counter("prometheus_engine_query_samples_read_total",
                   "The total number of samples read by all queries (only new points per step for "
                   "range-vector).",
                   static_cast<double>(counters.samples_read_total.load()));
  families.Counter("narthex_engine_query_memory_refusals_total",
                   "The total number of queries refused by --query.max-memory.",
                   static_cast<double>(counters.memory_refusals_total.load()));
}

void ReadRules(const rules::Manager& manager, FamilyBuilder& families) {
  const auto seconds = [](int64_t nanos) { return static_cast<double>(nanos) / 1e9; };
  for (const auto& group : manager.Groups()) {
    const rules::GroupOptions& options = group->options();
    const rules::GroupCounters& counters = group->counters();
    const client::Labels labels = {{"rule_group", options.file + ";" + options.name}};
    families.Counter("prometheus_rule_evaluations_total", "The total number of rule evaluations.",
                     static_cast<double>(counters.evaluations.load()), labels);
    families.Counter("prometheus_rule_evaluation_failures_total",
                     "The total number of rule evaluation failures.",
                     static_cast<double>(counters.failures.load()), labels);
    families.Counter("prometheus_rule_group_iterations_total",
                     "The total number of scheduled rule group evaluations, whether executed or "
                     "missed.",
                     static_cast<double>(counters.iterations.load()), labels);
    families.Counter("prometheus_rule_group_iterations_missed_total",
                     "The total number of rule group evaluations missed due to slow rule group "
                     "evaluation.",
                     static_cast<double>(counters.iterations_missed.load()), labels);
    families.Gauge("prometheus_rule_group_interval_seconds", "The interval of a rule group.",
                   seconds(options.interval_nanos), labels);
    families.Gauge("prometheus_rule_group_last_duration_seconds",
                   "The duration of the last rule group evaluation.",
                   seconds(counters.last_duration_nanos.load()), labels);
    families.Gauge(
        "prometheus_rule_group_last_rule_duration_sum_seconds",
        "The sum of time in seconds it took to evaluate each rule in the group regardless of "
        "concurrency. This should be higher than the group duration if rules are evaluated "
        "concurrently.",
        seconds(counters.last_rule_duration_sum_nanos.load()), labels);
    families.Gauge(
        "prometheus_rule_group_last_restore_duration_seconds",
        "The duration of the last alert rules alerts restoration using the `ALERTS_FOR_STATE` "
        "series.",
        seconds(counters.last_restore_nanos.load()), labels);
    families.Gauge("prometheus_rule_group_last_evaluation_timestamp_seconds",
                   "The timestamp of the last rule group evaluation in seconds.",
                   seconds(counters.last_evaluation_nanos.load()), labels);
    families.Gauge("prometheus_rule_group_last_evaluation_samples",
                   "The number of samples returned during the last rule group evaluation.",
                   static_cast<double>(counters.last_samples.load()), labels);
    families.Gauge("prometheus_rule_group_rules", "The number of rules.",
                   static_cast<double>(group->rules().size()), labels);
  }
}

void ReadNotifier(const notifier::Notifier& notifier, FamilyBuilder& families) {
  families.Gauge("prometheus_notifications_alertmanagers_discovered",
                 "The number of alertmanagers discovered and active.",
                 static_cast<double>(notifier.Alertmanagers().active.size()));
  families.Gauge("prometheus_notifications_queue_capacity",
                 "The capacity of the alert notifications queue.",
                 static_cast<double>(notifier.queue_capacity()));
  for (const auto& [url, counters] : notifier.Counters()) {
    const client::Labels labels = {{"alertmanager", url}};
    families.Counter("prometheus_notifications_sent_total", "Total number of alerts sent.",
                     static_cast<double>(counters.sent), labels);
    families.Counter("prometheus_notifications_errors_total",
                     "Total number of sent alerts affected by errors.",
                     static_cast<double>(counters.errors), labels);
    families.Counter("prometheus_notifications_dropped_total",
                     "Total number of alerts dropped due to errors when sending to Alertmanager.",
                     static_cast<double>(counters.dropped), labels);
    families.Gauge("prometheus_notifications_queue_length",
                   "The number of alert notifications in the queue.",
                   static_cast<double>(counters.queue_length), labels);
  }
}

namespace {

std::string DiscoveryHelp(std::string_view name) {
  constexpr std::pair<std::string_view, std::string_view> kHelp[] = {
      {"failed_configs", "Current number of service discovery configurations that failed to load."},
      {"discovered_targets", "Current number of discovered targets."},
      {"received_updates_total", "Total number of update events received from the SD providers."},
      {"updates_delayed_total", "Total number of update events that couldn't be sent immediately."},
      {"updates_total", "Total number of update events sent to the SD consumers."},
      {"last_update_timestamp_seconds", "Timestamp of the last update sent to the SD consumers."},
      {"refresh_failures_total", "Number of refresh failures for the given SD mechanism."},
      {"refresh_duration_seconds",
       "The duration of a refresh in seconds for the given SD mechanism."},
      {"refresh_duration_histogram_seconds",
       "The duration of a refresh for the given SD mechanism."},
      {"file_mtime_seconds",
       "Timestamp (mtime) of files read by FileSD. Timestamp is set at read time."},
      {"file_read_errors_total", "The number of File-SD read errors."},
      {"file_scan_duration_seconds", "The duration of the File-SD scan in seconds."},
      {"file_watcher_errors_total",
       "The number of File-SD errors caused by filesystem watch failures."},
      {"http_failures_total", "Number of HTTP service discovery refresh failures."},
      {"dns_lookups_total", "The number of DNS-SD lookups."},
      {"dns_lookup_failures_total", "The number of DNS-SD lookup failures."},
      {"consul_rpc_failures_total", "The number of Consul RPC call failures."},
      {"consul_rpc_duration_seconds", "The duration of a Consul RPC call in seconds."},
      {"kubernetes_events_total", "The number of Kubernetes events handled."},
      {"kubernetes_failures_total", "The number of failed WATCH/LIST requests."},
      {"kubernetes_http_request_total",
       "Total number of HTTP requests to the Kubernetes API by status code."},
      {"linode_failures_total", "Number of Linode service discovery refresh failures."},
      {"nomad_failures_total", "Number of nomad service discovery refresh failures."},
      {"azure_failures_total", "Number of Azure service discovery refresh failures."},
      {"azure_cache_hit_total", "Number of cache hit during refresh."},
      {"kuma_fetch_failures_total", "The number of Kuma MADS fetch call failures."},
      {"kuma_fetch_skipped_updates_total",
       "The number of Kuma MADS fetch calls that result in no updates to the targets."},
      {"kuma_fetch_duration_seconds", "The duration of a Kuma MADS fetch call."},
  };
  constexpr std::string_view kPrefix = "prometheus_sd_";
  if (name.starts_with(kPrefix)) {
    for (const auto& [suffix, help] : kHelp) {
      if (name.substr(kPrefix.size()) == suffix) return std::string(help);
    }
  }
  return "Service discovery.";
}

}  // namespace

void ReadDiscovery(const SdMetrics& metrics, FamilyBuilder& families) {
  for (SdMetrics::Point& point : metrics.Collect(MonotonicNanos())) {
    const std::string help = DiscoveryHelp(point.name);
    client::Labels labels;
    for (const auto& [name, value] : point.labels) labels.push_back({name, value});
    switch (point.kind) {
      case SdMetrics::Kind::kCounter:
        families.Counter(point.name, help, point.value, std::move(labels));
        break;
      case SdMetrics::Kind::kGauge:
        families.Gauge(point.name, help, point.value, std::move(labels));
        break;
      case SdMetrics::Kind::kSummary: {
        client::SummaryValue summary{point.count, point.value, {}, {}};
        for (const auto& [q, value] : point.points) summary.quantiles.push_back({q, value});
        families.Summary(point.name, help, std::move(summary), std::move(labels));
        break;
      }
      case SdMetrics::Kind::kHistogram: {
        client::HistogramValue histogram;
        histogram.sample_count = point.count;
        histogram.sample_sum = point.value;
        for (const auto& [bound, count] : point.points) {
          histogram.buckets.push_back({bound, static_cast<uint64_t>(count)});
        }
        families.Histogram(point.name, help, std::move(histogram), std::move(labels));
        break;
      }
    }
  }
}

}  // namespace narthex::apps
