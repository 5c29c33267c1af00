// What the server exposes about itself, under upstream's names (parity/self-metrics.md): metrics
// that the server counts here, and readings of what the engines count themselves.
//
// Threads: any.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "discovery/sd_metrics.h"
#include "narthex/client/counter.h"
#include "narthex/client/family.h"
#include "narthex/client/gauge.h"
#include "narthex/client/histogram.h"
#include "narthex/client/registry.h"
#include "narthex/client/summary.h"
#include "net/http_server.h"
#include "notifier/notifier.h"
#include "promql/engine/engine.h"
#include "rules/manager.h"
#include "scrape/metrics.h"
#include "tsdb/db/db.h"

namespace narthex::apps {

// Collects families one value at a time; equal names are gathered into one family.
class FamilyBuilder {
 public:
  explicit FamilyBuilder(std::vector<client::MetricFamily>& out) : out_(out) {}
  void Counter(const std::string& name, const std::string& help, double value,
               client::Labels labels = {});
  void Gauge(const std::string& name, const std::string& help, double value,
             client::Labels labels = {});
  void Histogram(const std::string& name, const std::string& help, client::HistogramValue value,
                 client::Labels labels = {});
  void Summary(const std::string& name, const std::string& help, client::SummaryValue value,
               client::Labels labels = {});

 private:
  client::MetricFamily& Family(const std::string& name, const std::string& help,
                               client::MetricType type);
  std::vector<client::MetricFamily>& out_;
};

class SelfMetrics {
  // First, since the metrics below register with it.
  client::Registry registry_;

 public:
  SelfMetrics();
  ~SelfMetrics();

  client::Registry& registry() { return registry_; }
  // Readings that are added once their source exists; called while a scrape runs.
  using Reading = std::function<void(FamilyBuilder& families)>;
  void AddReading(Reading reading);
  // Before the sources go away.
  void ClearReadings();

  // Before the first answer of a handler.
  void DeclareHandler(const std::string& handler);
  void ObserveHttp(const std::string& handler, int status, double seconds, size_t bytes);
  void ObserveQuery(std::string_view slice, double seconds);
  void ObserveRule(double seconds);
  void ObserveRuleGroup(double seconds);
  void ObserveNotification(const std::string& url, double seconds);
  void ForgetNotifications(const std::string& url);
  scrape::ScrapeObserver& scrape_observer();

  client::Gauge reload_successful;
  client::Gauge reload_success_time;
  client::Gauge ready;
  client::Counter template_expansions;
  client::Counter template_failures;
  client::Counter federation_errors;
  client::Counter federation_warnings;

  // The families whose names satisfy `wanted`, as a list in protobuf's JSON form.
  Result<std::string> Json(const std::function<bool(std::string_view)>& wanted) const;
  // Answers GET /metrics.
  void Serve(net::HttpExchange& exchange);

 private:
  struct ReadingCollector;
  class ScrapeDurations;

  std::shared_ptr<ReadingCollector> readings_;
  client::Family<client::Counter> http_requests_;
  client::Family<client::Counter> scrapes_;  // Of /metrics itself, by status.
  client::Gauge scrapes_in_flight_;
  client::Family<client::Histogram> http_seconds_;
  client::Family<client::Histogram> http_bytes_;
  client::Family<client::Summary> query_summary_;
  client::Family<client::Histogram> query_histogram_;
  client::Summary rule_summary_;
  client::Histogram rule_histogram_;
  client::Summary group_summary_;
  client::Histogram group_histogram_;
  client::Family<client::Summary> notification_summary_;
  client::Family<client::Histogram> notification_histogram_;
  std::unique_ptr<ScrapeDurations> scrape_durations_;
};

// Readings of single engines.
void ReadDb(const tsdb::Db& db, FamilyBuilder& families);
void ReadEngine(const promql::Engine& engine, size_t queries_max, FamilyBuilder& families);
void ReadRules(const rules::Manager& manager, FamilyBuilder& families);
void ReadNotifier(const notifier::Notifier& notifier, FamilyBuilder& families);
void ReadDiscovery(const SdMetrics& metrics, FamilyBuilder& families);

}  // namespace narthex::apps
