// The monitoring server: owns every engine, joins them, and knows in which order they start and
// stop. `narthex server` runs one; `narthex up` runs one with options of its own.
//
// Start: flags → configuration → port open (answers "not ready") → storage, replay → engines →
// configuration applied → ready. Stop, in reverse: not ready → rules → scraping → notifier (drains)
// → queries → storage → port.
#pragma once

#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>

#include "apps/http_adapters.h"
#include "apps/self_metrics.h"
#include "apps/server_options.h"
#include "apps/tracing.h"
#include "config/config.h"
#include "discovery/discoverer.h"
#include "discovery/manager.h"
#include "net/event_loop.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "notifier/notifier.h"
#include "promql/engine/engine.h"
#include "promql/engine/query_gate.h"
#include "rules/manager.h"
#include "scrape/scrape_manager.h"
#include "tsdb/db/db.h"
#include "util/log.h"
#include "util/thread_pool.h"
#include "web/api.h"
#include "web/web_server.h"

namespace narthex::apps {

class Server {
 public:
  // `flags` declares `options`; both outlive the server. `config` replaces the configuration file
  // when set (narthex up without one).
  Server(ServerOptions& options, const FlagSet& flags, Features features);
  ~Server();

  // Text instead of a configuration file.
  void UseEmbeddedConfig(std::string yaml) { embedded_config_ = std::move(yaml); }
  // Told once everything answers.
  void OnReady(std::function<void(const std::string& url)> callback) {
    on_ready_ = std::move(callback);
  }

  // Runs until SIGINT, SIGTERM or /-/quit. SIGHUP reloads. Gives the exit code.
  int Run();

 private:
  Status LoadConfig(std::shared_ptr<const Config>* config) const;
  Status ApplyConfig(const Config& config);
  Status ApplyQueryLog(const Config& config);
  Status Reload();
  bool ComputeUrls(std::string* error);
  Status OpenPort();
  Status OpenStorage(const Config& config);
  Status StartEngines(const Config& config);
  void RegisterReadings();
  void WaitForEnd();
  void Stop();

  tsdb::DbReloadableOptions StorageOptions(const Config& config) const;
  rules::RuleEnvironment MakeRuleEnvironment();
  web::ApiSources MakeSources();
  web::RuntimeInfo ReadRuntimeInfo() const;
  Labels ExternalLabels() const;

  // What the main thread waits for.
  void RequestReload(std::shared_ptr<std::promise<Status>> done);
  bool RequestQuit();

  ServerOptions& options_;
  const FlagSet& flags_;
  const Features features_;
  std::string embedded_config_;
  std::function<void(const std::string&)> on_ready_;
  std::string external_url_;
  std::string external_path_;
  int64_t start_nanos_ = 0;

  // In the order of construction, which destruction reverses.
  TracingManager tracing_;
  SelfMetrics metrics_;
  SdMetrics sd_metrics_;
  web::Notifications notifications_;
  std::shared_ptr<tsdb::WalReplayProgress> replay_;
  net::EventLoop loop_;
  net::HttpClient http_client_;    // Discovery and notifications.
  net::HttpClient scrape_client_;  // Alone: small pages are read on its thread.
  ReactorTimers timers_;
  ScrapeFetcher scrape_fetcher_;
  DiscoveryFetcher discovery_fetcher_;
  std::unique_ptr<DnsResolver> dns_;
  DiscoveryRegistry discovery_registry_;
  std::unique_ptr<ThreadTaskLoop> discovery_loop_;

  std::unique_ptr<tsdb::Db> db_;
  std::unique_ptr<promql::QueryGate> gate_;
  // Workers of queries and scrapes: as many as there are processors.
  ThreadPool work_pool_;
  std::unique_ptr<promql::Engine> engine_;
  std::unique_ptr<notifier::Notifier> notifier_;
  ThreadPool rule_pool_;
  // For rules of one group that run together; with the feature concurrent-rule-eval only.
  std::unique_ptr<ThreadPool> concurrent_rule_pool_;
  std::unique_ptr<rules::Manager> rules_;
  std::unique_ptr<scrape::ScrapeManager> scrape_;
  std::unique_ptr<DiscoveryManager> scrape_discovery_;
  std::unique_ptr<DiscoveryManager> notify_discovery_;

  ThreadPool light_pool_;
  ThreadPool query_pool_;
  std::unique_ptr<web::Api> api_;
  std::unique_ptr<web::WebServer> web_;
  std::unique_ptr<net::HttpServer> http_server_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool quitting_ = false;
  std::vector<std::shared_ptr<std::promise<Status>>> reloads_;
  std::shared_ptr<const Config> config_;  // In force.
  bool last_reload_ok_ = true;
  int64_t last_reload_nanos_ = 0;
};

// This machine's name, or "localhost".
std::string HostName();

}  // namespace narthex::apps
