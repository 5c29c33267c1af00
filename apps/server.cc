#include "apps/server.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <thread>

#include "apps/alert_templates.h"
#include "apps/command.h"
#include "apps/console_templates.h"
#include "apps/federate.h"
#include "apps/program.h"
#include "apps/program_tree.h"
#include "apps/server_views.h"
#include "apps/web_config_server.h"
#include "discovery/dns/resolver.h"
#include "discovery/mechanisms/mechanisms.h"
#include "net/url.h"
#include "promql/engine/query_log.h"
#include "util/log.h"
#include "util/strings.h"

namespace narthex::apps {
namespace {

constexpr size_t kLightThreads = 2;
// Groups that are evaluated at the same time: as many as queries may run, so that a few slow ones
// do not delay the rest.
constexpr size_t kRuleThreads = 16;
constexpr int64_t kRuleThreadsMax = 64;
// Beyond those that evaluate queries: label and series requests are quick, but must not wait.
constexpr size_t kSpareQueryThreads = 2;
constexpr size_t kQueryThreadsMax = 32;
// Larger pages are read by the pool; these take less than a millisecond.
constexpr size_t kInlinePageBytesMax = 512 << 10;
constexpr size_t kScrapeConnectionsMax = 20'000;  // Kept between scrapes; upstream's number.
constexpr int64_t kStopGraceNanos = 5 * kNanosPerSecond;
constexpr int64_t kDefaultRetentionNanos = 15 * ServerOptions::kDay;

size_t ProcessorCount() {
  return std::max(1u, std::thread::hardware_concurrency());
}

std::string UserAgent() {
  return "Prometheus/" + std::string(kReferenceVersion);
}

// Every target needs a descriptor, and the soft limit is often 1,024; Go's runtime does the same.
void RaiseFileLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  if (limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
  }
  LOG_INFO("operational information",
           {"fd_limits", fmt::format("(soft={}, hard={})", limit.rlim_cur, limit.rlim_max)});
}

}  // namespace

Server::Server(ServerOptions& options, const FlagSet& flags, Features features)
    : options_(options),
      flags_(flags),
      features_(std::move(features)),
      notifications_(
          static_cast<size_t>(std::max<int64_t>(options.notification_subscribers_max, 0))),
      replay_(std::make_shared<tsdb::WalReplayProgress>()),
      scrape_client_(kScrapeConnectionsMax),
      timers_(scrape_client_.reactor()),
      scrape_fetcher_(scrape_client_),
      discovery_fetcher_(http_client_),
      work_pool_("work", ProcessorCount()),
      rule_pool_("rules", kRuleThreads),
      light_pool_("web", kLightThreads),
      query_pool_("query",
                  std::min(static_cast<size_t>(std::max<int64_t>(options.query_concurrency, 1)) +
                               kSpareQueryThreads,
                           kQueryThreadsMax)) {
  RegisterBuiltinMechanisms(discovery_registry_);
}

Server::~Server() = default;

Status Server::LoadConfig(std::shared_ptr<const Config>* config) const {
  ConfigLoadOptions load;
  load.defaults.prefer_protobuf =
      features_.Has("created-timestamp-zero-ingestion") || features_.Has("st-storage");
  load.defaults.extra_scrape_metrics = features_.Has("extra-scrape-metrics");
  load.defaults.log_level = options_.log.level;
  load.defaults.retention.time.nanos = options_.retention_time;
  load.defaults.retention.size.bytes = options_.retention_bytes;
  Result<Config> loaded = embedded_config_.empty() ? LoadConfigFile(options_.config_file, load)
                                                   : ParseConfig(embedded_config_, load);
  if (!loaded.ok()) return loaded.status();
  // The feature brings the section with its defaults.
  if (features_.Has("exemplar-storage") && !loaded->storage.exemplars) {
    loaded->storage.exemplars.emplace();
  }
  *config = std::make_shared<const Config>(*std::move(loaded));
  return {};
}

bool Server::ComputeUrls(std::string* error) {
  std::string url = options_.external_url;
  const auto fail = [&](std::string_view why) {
    *error = fmt::format("parse external URL {}: {}", GoQuote(url), why);
    return false;
  };
  if (url.empty()) {
    const std::string& address = options_.listen_addresses.front();
    const bool tls = WebConfigEnablesTls(options_.web_config_file);
    url = fmt::format("{}://{}:{}/", tls ? "https" : "http", HostName(),
                      address.substr(address.rfind(':') + 1));
  }
  if (url.starts_with('"') || url.starts_with('\'') || url.ends_with('"') || url.ends_with('\'')) {
    return fail("URL must not begin or end with quotes");
  }
  const Result<net::Url> parsed = net::ParseUrl(url);
  if (!parsed.ok()) return fail(parsed.status().message());
  std::string path = parsed->path;
  while (path.ends_with('/')) path.pop_back();
  const size_t authority = url.find("://") + 3;
  external_url_ = url.substr(0, std::min(url.find_first_of("/?#", authority), url.size())) + path;
  external_path_ = path;
  std::string prefix = options_.route_prefix.empty() ? path : options_.route_prefix;
  while (prefix.starts_with('/')) prefix.erase(0, 1);
  while (prefix.ends_with('/')) prefix.pop_back();
  options_.route_prefix = "/" + prefix;
  return true;
}

tsdb::DbReloadableOptions Server::StorageOptions(const Config& config) const {
  tsdb::DbReloadableOptions options;
  if (config.storage.tsdb) {
    const TsdbConfig& tsdb = *config.storage.tsdb;
    if (tsdb.retention) {
      options.retention_ms = tsdb.retention->time.millis();
      options.retention_bytes = tsdb.retention->size.bytes;
      options.retention_percentage = tsdb.retention->percentage;
    }
    options.out_of_order_window_ms = tsdb.out_of_order_time_window_ms;
    options.stale_series_compaction_threshold = tsdb.stale_series_compaction_threshold;
    const std::string& floats = tsdb.chunk_encoding.floats;
    const bool xor2 = floats.empty() ? features_.Has("xor2-encoding") || features_.Has("st-storage")
                                     : floats == "xor2";
    options.float_encoding = xor2 ? tsdb::FloatEncoding::kXor2 : tsdb::FloatEncoding::kXor;
  }
  if (features_.Has("exemplar-storage")) {
    options.exemplars_max =
        config.storage.exemplars ? config.storage.exemplars->max_exemplars : 100'000;
  }
  return options;
}

Status Server::OpenStorage(const Config& config) {
  tsdb::DbOptions options;
  options.path = options_.storage_path;
  options.reloadable = StorageOptions(config);
  options.wal_compression = !options_.wal_compression ? tsdb::WalCompression::kNone
                            : options_.wal_compression_type == "zstd"
                                ? tsdb::WalCompression::kZstd
                                : tsdb::WalCompression::kSnappy;
  if (options_.wal_segment_bytes > 0) options.wal_segment_bytes = options_.wal_segment_bytes;
  if (options_.block_chunk_segment_bytes > 0) {
    options.block_chunk_segment_bytes = options_.block_chunk_segment_bytes;
  }
  options.min_block_duration_ms = options_.min_block_duration / kNanosPerMilli;
  options.max_block_duration_ms = options_.max_block_duration / kNanosPerMilli;
  options.block_reload_interval_ms = options_.block_reload_interval / kNanosPerMilli;
  options.samples_per_chunk = static_cast<int>(options_.samples_per_chunk);
  options.no_lockfile = options_.no_lockfile;
  options.allow_overlapping_compaction = options_.allow_overlapping_compaction;
  options.start_timestamp_storage = features_.Has("st-storage");
  options.histogram_start_timestamps =
      features_.Has("histograms-st-encoding") || features_.Has("st-storage");
  options.snapshot_on_shutdown = features_.Has("memory-snapshot-on-shutdown");
  options.delay_compact_file = options_.delay_compact_file;
  if (features_.Has("delayed-compaction")) {
    constexpr int64_t kPercentDefault = 10;
    int64_t percent = options_.delayed_compaction_percent;
    if (percent < 1 || percent > 100) {
      LOG_WARN(
          "The --storage.tsdb.delayed-compaction.max-percent should have a value between 1 and "
          "100. Using default",
          {"default", kPercentDefault});
      percent = kPercentDefault;
    }
    options.compaction_delay_percent_max = static_cast<int>(percent);
  }
  options.replay_progress = replay_;
  LOG_INFO("Starting TSDB ...");
  NARTHEX_TRY(db_, tsdb::Db::Open(std::move(options)));
  LOG_INFO("TSDB started");
  return {};
}

Status Server::OpenPort() {
  web::ApiOptions api;
  api.enable_admin = options_.enable_admin_api;
  api.cors_origin = options_.cors_origin;
  api.per_step_stats = features_.Has("promql-per-step-stats");
  api.enable_search = features_.Has("search-api");
  api.search_limit_max = options_.search_limit_max;
  api.query_cost = features_.Has("query-cost");
  api.external_url = external_url_;
  api.listen_addresses = options_.listen_addresses;
  api.parser = ParserOptionsOf(features_);
  api_ = std::make_unique<web::Api>(std::move(api), MakeSources(), notifications_, light_pool_,
                                    query_pool_);
  api_->SetReplayProgress(replay_);

  web::WebOptions web;
  web.page_title = options_.page_title;
  web.route_prefix = options_.route_prefix;
  web.external_path = external_path_;
  web.user_assets = options_.user_assets;
  web.first_page = options_.first_page;
  web.enable_lifecycle = options_.enable_lifecycle;
  web.lookback_delta_nanos = options_.lookback_delta;
  web.remote_write_receiver = options_.enable_remote_write_receiver;
  web.otlp_receiver = options_.enable_otlp_receiver;
  const ConsoleOptions consoles{options_.console_templates, options_.console_libraries,
                                external_url_ + "/", external_path_};
  web.consoles_link = ConsolesLink(consoles, options_.user_assets);
  web::WebHooks hooks;
  hooks.console = [this, consoles](const std::string& path, const std::string& query) {
    return RenderConsole(consoles, *engine_, *db_, ExternalLabels(), path, query);
  };
  hooks.reload = [this] {
    auto done = std::make_shared<std::promise<Status>>();
    std::future<Status> result = done->get_future();
    RequestReload(std::move(done));
    return result.get();
  };
  hooks.quit = [this] { return RequestQuit(); };
  hooks.metrics = [this](net::HttpExchange& exchange) { metrics_.Serve(exchange); };
  hooks.federate = [this](std::shared_ptr<net::HttpExchange> exchange) {
    FederateOptions federate;
    federate.lookback_ms = options_.lookback_delta / kNanosPerMilli;
    federate.external_labels = ExternalLabels();
    federate.parser = ParserOptionsOf(features_);
    federate.on_error = [this] { metrics_.federation_errors.Inc(); };
    federate.on_warnings = [this](size_t count) {
      metrics_.federation_warnings.Inc(static_cast<double>(count));
    };
    Federate(exchange, *db_, federate);
  };
  hooks.declare = [this](const std::string& handler) { metrics_.DeclareHandler(handler); };
  hooks.observe = [this](const std::string& handler, int status, double seconds, size_t bytes) {
    metrics_.ObserveHttp(handler, status, seconds, bytes);
  };
  web_ = std::make_unique<web::WebServer>(std::move(web), std::move(hooks), *api_, light_pool_,
                                          query_pool_);

  net::HttpServerOptions http;
  http.listen_addresses = options_.listen_addresses;
  http.connections_max = static_cast<size_t>(std::max<int64_t>(options_.connections_max, 1));
  http.read_timeout_nanos = options_.read_timeout;
  LOG_INFO("Start listening for connections", {"address", Join(options_.listen_addresses, ",")});
  NARTHEX_TRY(http_server_, StartWebServer(loop_, std::move(http), options_.web_config_file,
                                           [this](std::shared_ptr<net::HttpExchange> exchange) {
                                             web_->Serve(std::move(exchange));
                                           }));
  return {};
}

Labels Server::ExternalLabels() const {
  const std::lock_guard lock(mutex_);
  return config_ == nullptr ? Labels() : config_->global.external_label_set();
}

Status Server::StartEngines(const Config& config) {
  Result<std::unique_ptr<promql::QueryGate>> gate = promql::QueryGate::Open(
      options_.storage_path, static_cast<size_t>(std::max<int64_t>(options_.query_concurrency, 1)));
  if (!gate.ok()) return gate.status().WithPrefix("failed to initialize active query tracker: ");
  gate_ = *std::move(gate);
  promql::EngineOptions engine;
  engine.samples_max = static_cast<size_t>(options_.query_samples_max);
  engine.memory_max_bytes = options_.query_memory_max;
  engine.timeout_ns = options_.query_timeout;
  engine.lookback_delta_ms = options_.lookback_delta / kNanosPerMilli;
  engine.delayed_name_removal = features_.Has("promql-delayed-name-removal");
  engine.type_and_unit_labels = features_.Has("type-and-unit-labels");
  engine.use_start_timestamps = features_.Has("use-start-timestamps");
  engine.per_step_stats = features_.Has("promql-per-step-stats");
  engine.query_cost = features_.Has("query-cost");
  engine.parser = ParserOptionsOf(features_);
  engine.pool = &work_pool_;
  engine.gate = gate_.get();
  engine.default_subquery_step_ms = [this](int64_t) {
    const std::lock_guard lock(mutex_);
    return config_ == nullptr ? int64_t{60'000} : config_->global.evaluation_interval.millis();
  };
  engine.on_duration = [this](std::string_view slice, double seconds) {
    metrics_.ObserveQuery(slice, seconds);
  };
  engine_ = std::make_unique<promql::Engine>(std::move(engine));

  notifier::NotifierOptions notifier;
  notifier.queue_capacity = static_cast<size_t>(options_.notification_queue_capacity);
  notifier.batch_size = static_cast<size_t>(options_.notification_batch_size);
  notifier.drain_on_shutdown = options_.drain_notifications;
  notifier_ =
      std::make_unique<notifier::Notifier>(notifier, MakeNotifierPost(http_client_, UserAgent()));
  notifier_->observe_latency = [this](const std::string& url, double seconds) {
    metrics_.ObserveNotification(url, seconds);
  };
  notifier_->forget_alertmanager = [this](const std::string& url) {
    metrics_.ForgetNotifications(url);
  };

  rules::ManagerOptions rules;
  rules.default_query_offset_nanos = config.global.rule_query_offset.nanos;
  rules.parser = ParserOptionsOf(features_);
  rules.check_template = CheckAlertTemplate;
  if (features_.Has("concurrent-rule-eval")) {
    const auto threads = std::clamp<int64_t>(options_.concurrent_evals_max, 1, kRuleThreadsMax);
    concurrent_rule_pool_ = std::make_unique<ThreadPool>("rule-eval", static_cast<size_t>(threads));
    rules.concurrency = concurrent_rule_pool_.get();
  }
  rules.observe_rule = [this](double seconds) { metrics_.ObserveRule(seconds); };
  rules.observe_group = [this](double seconds) { metrics_.ObserveRuleGroup(seconds); };
  rules_ =
      std::make_unique<rules::Manager>(std::move(rules), MakeRuleEnvironment(), loop_, rule_pool_);

  scrape::ScrapeEnvironment environment;
  environment.store = db_.get();
  environment.fetcher = &scrape_fetcher_;
  environment.timers = &timers_;
  environment.pool = &work_pool_;
  environment.inline_bytes_max = kInlinePageBytesMax;
  environment.clock = &Clock::System();
  environment.files = &FileSystem::Posix();
  environment.observer = &metrics_.scrape_observer();
  scrape::ScrapeOptions scrape;
  scrape.user_agent = UserAgent();
  scrape.fqdn = HostName();
  scrape.align_timestamps = options_.adjust_timestamps;
  scrape.timestamp_tolerance_nanos = options_.timestamp_tolerance;
  scrape.features.start_timestamps = features_.Has("st-storage");
  scrape.features.start_timestamp_zero_samples = features_.Has("created-timestamp-zero-ingestion");
  scrape.features.type_and_unit_labels = features_.Has("type-and-unit-labels");
  scrape.features.metadata_to_storage = features_.Has("metadata-wal-records");
  scrape.features.zstd = features_.Has("zstd-scrape");
  scrape_ = std::make_unique<scrape::ScrapeManager>(environment, std::move(scrape));

  discovery_loop_ = std::make_unique<ThreadTaskLoop>("discovery");
  if (Result<std::unique_ptr<DnsResolver>> dns = MakeDnsResolver({}); dns.ok()) {
    dns_ = *std::move(dns);
  } else {
    LOG_WARN("DNS service discovery is not available", {"err", dns.status().message()});
  }
  DiscoveryEnvironment discovery_environment;
  discovery_environment.loop = discovery_loop_.get();
  discovery_environment.http = &discovery_fetcher_;
  discovery_environment.dns = dns_.get();
  discovery_environment.metrics = &sd_metrics_;
  discovery_environment.user_agent = UserAgent();
  discovery_environment.refresh_jitter = 0.05;
  DiscoveryManagerOptions discovery{"scrape", options_.discovery_reload_interval};
  scrape_discovery_ = std::make_unique<DiscoveryManager>(
      discovery, discovery_registry_, discovery_environment,
      [this](const TargetSets& sets) { scrape_->UpdateTargets(sets); });
  discovery.name = "notify";
  notify_discovery_ = std::make_unique<DiscoveryManager>(
      discovery, discovery_registry_, discovery_environment,
      [this](const TargetSets& sets) { notifier_->ApplyTargets(sets); });
  RegisterReadings();
  return {};
}

void Server::RegisterReadings() {
  metrics_.AddReading([this](FamilyBuilder& families) {
    ReadDb(*db_, families);
    ReadEngine(*engine_, static_cast<size_t>(options_.query_concurrency), families);
    ReadRules(*rules_, families);
    ReadNotifier(*notifier_, families);
    ReadDiscovery(sd_metrics_, families);
    ReadScrape(*scrape_, families);
    if (http_server_ != nullptr) {
      const auto accepted = static_cast<double>(http_server_->accepted_count());
      const auto open = static_cast<double>(http_server_->connection_count());
      families.Counter("net_conntrack_listener_conn_accepted_total",
                       "Total number of connections opened to the listener of a given name.",
                       accepted, {{"listener_name", "http"}});
      families.Counter("net_conntrack_listener_conn_closed_total",
                       "Total number of connections closed that were made to the listener of a "
                       "given name.",
                       std::max(accepted - open, 0.0), {{"listener_name", "http"}});
    }
    const auto spans = [&](const char* result, const std::atomic<uint64_t>& count) {
      families.Counter("narthex_tracing_spans_total",
                       "Spans that ended, by what the collector of traces made of them.",
                       static_cast<double>(count.load()), {{"result", result}});
    };
    spans("exported", tracing_.counters().exported);
    spans("failed", tracing_.counters().failed);
    spans("dropped", tracing_.counters().dropped);
    families.Gauge("prometheus_api_notification_active_subscribers",
                   "The current number of active notification subscribers.",
                   static_cast<double>(notifications_.subscriber_count()));
    families.Counter("prometheus_api_notification_updates_sent_total",
                     "Total number of notification updates sent.",
                     static_cast<double>(notifications_.updates_sent()));
    families.Counter("prometheus_api_notification_updates_dropped_total",
                     "Total number of notification updates dropped.",
                     static_cast<double>(notifications_.updates_dropped()));
  });
}

rules::RuleEnvironment Server::MakeRuleEnvironment() {
  rules::RuleEnvironment environment;
  environment.query = [this](const promql::Expr& expr, std::string_view query, int64_t time_ms,
                             const std::pair<std::string, std::string>& group) {
    promql::QueryOptions options;
    options.origin = {"ruleGroup", {{"file", group.first}, {"name", group.second}}};
    return engine_->Instant(*db_, expr, query, time_ms, options);
  };
  environment.appendable = db_.get();
  environment.queryable = db_.get();
  environment.expand = [this](std::string_view name, std::string_view text,
                              const rules::TemplateData& data) {
    metrics_.template_expansions.Inc();
    Result<std::string> expanded = ExpandAlertTemplate(*engine_, *db_, name, text, data);
    if (!expanded.ok()) metrics_.template_failures.Inc();
    return expanded;
  };
  environment.send = [this](std::vector<rules::Alert> alerts, const std::string& expression) {
    std::vector<notifier::Alert> outgoing;
    for (rules::Alert& alert : alerts) {
      notifier::Alert sent;
      sent.labels = std::move(alert.labels);
      sent.annotations = std::move(alert.annotations);
      sent.starts_at_nanos = alert.fired_at_nanos;
      sent.ends_at_nanos =
          alert.resolved_at_nanos != 0 ? alert.resolved_at_nanos : alert.valid_until_nanos;
      sent.generator_url =
          external_url_ + "/graph?g0.expr=" + net::QueryEscape(expression) + "&g0.tab=1";
      outgoing.push_back(std::move(sent));
    }
    notifier_->Send(std::move(outgoing));
  };
  environment.resend_delay_nanos = options_.resend_delay;
  environment.outage_tolerance_nanos = options_.for_outage_tolerance;
  environment.grace_period_nanos = options_.for_grace_period;
  return environment;
}

Status Server::ApplyQueryLog(const Config& config) {
  if (config.global.query_log_file.empty()) {
    engine_->SetQueryLog(nullptr);
    return {};
  }
  NARTHEX_TRY(std::unique_ptr<promql::QueryLog> log,
              promql::QueryLog::Open(config.global.query_log_file));
  engine_->SetQueryLog(std::move(log));
  return {};
}

Status Server::ApplyConfig(const Config& config) {
  const int64_t started = MonotonicNanos();
  NARTHEX_TRY(const std::vector<ScrapeConfig> scrape_configs, ResolveScrapeConfigs(config));
  // Each engine takes what concerns it even when another fails, so that one bad part of a file
  // does not keep the rest from taking effect.
  Status failure;
  const auto attempt = [&](std::string_view what, const Status& status) {
    if (status.ok()) return;
    LOG_ERROR("Failed to apply configuration", {"component", what}, {"err", status.message()});
    failure = Status(ErrorCode::kInternal,
                     "one or more errors occurred while applying the new configuration "
                     "(--config.file=" +
                         GoQuote(options_.config_file) + ")");
  };
  attempt("db_storage", db_->ApplyConfig(StorageOptions(config)));
  attempt("query_engine", ApplyQueryLog(config));
  attempt("scrape", scrape_->ApplyConfig(scrape_configs, config.global.external_label_set()));
  scrape_discovery_->ApplyConfig(ScrapeDiscoverySets(scrape_configs));
  const Labels external_labels = config.global.external_label_set();
  notifier_->ApplyConfig(config.alerting, external_labels);
  notify_discovery_->ApplyConfig(AlertmanagerDiscoverySets(config.alerting));
  attempt("rules", rules_->Update(config.global.evaluation_interval.nanos, config.rule_files,
                                  external_labels, external_url_));
  attempt("tracing", tracing_.ApplyConfig(config.tracing));
  if (!failure.ok()) return failure;
  SetLogLevel(ParseLogLevel(config.runtime.log_level));
  LOG_INFO("Completed loading of configuration file", {"filename", options_.config_file},
           {"totalDuration", FormatGoDuration(MonotonicNanos() - started)});
  return {};
}

Status Server::Reload() {
  LOG_INFO("Loading configuration file", {"filename", options_.config_file});
  std::shared_ptr<const Config> config;
  Status status = LoadConfig(&config);
  if (!status.ok()) {
    status = status.WithPrefix(fmt::format("couldn't load configuration (--config.file={}): ",
                                           GoQuote(options_.config_file)));
  } else {
    status = ApplyConfig(*config);
  }
  const int64_t now = Clock::System().NowNanos();
  {
    const std::lock_guard lock(mutex_);
    last_reload_ok_ = status.ok();
    if (status.ok()) {
      config_ = config;
      last_reload_nanos_ = now;
    }
  }
  metrics_.reload_successful.Set(status.ok() ? 1 : 0);
  if (status.ok()) {
    metrics_.reload_success_time.Set(static_cast<double>(now) / 1e9);
    notifications_.Remove(web::kReloadFailedText);
    for (const std::string& section : InactiveSections(*config, discovery_registry_.names())) {
      LOG_WARN("This part of the configuration is valid but not active in this version yet",
               {"section", section});
    }
  } else {
    LOG_ERROR("Error reloading config", {"err", status.message()});
    notifications_.Add(web::kReloadFailedText);
  }
  return status;
}

void Server::RequestReload(std::shared_ptr<std::promise<Status>> done) {
  {
    const std::lock_guard lock(mutex_);
    if (!quitting_) {
      reloads_.push_back(std::move(done));
      wake_.notify_all();
      return;
    }
  }
  if (done) done->set_value(Status(ErrorCode::kUnavailable, "shutting down"));
}

bool Server::RequestQuit() {
  const std::lock_guard lock(mutex_);
  const bool first = !quitting_;
  quitting_ = true;
  wake_.notify_all();
  return first;
}

void Server::WaitForEnd() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return quitting_ || !reloads_.empty(); });
    if (quitting_) return;
    const auto waiting = std::exchange(reloads_, {});
    lock.unlock();
    const Status status = Reload();
    for (const auto& done : waiting) {
      if (done) done->set_value(status);
    }
    lock.lock();
  }
}

int Server::Run() {
  start_nanos_ = Clock::System().NowNanos();
  LOG_INFO("Starting Prometheus Server", {"mode", "server"},
           {"version", fmt::format("narthex {} (follows {})", Version(), kReferenceVersion)});
  RaiseFileLimit();
  for (const std::string& name : features_.inactive()) {
    LOG_WARN("This feature is known but not supported yet; the flag has no effect",
             {"feature", name});
  }
  std::string error;
  if (!ComputeUrls(&error)) {
    fmt::print(stderr, "{}\n", error);
    return 2;
  }
  if (options_.agent) {
    LOG_ERROR("Agent mode is not supported yet");
    return 1;
  }
  std::shared_ptr<const Config> config;
  if (const Status status = LoadConfig(&config); !status.ok()) {
    LOG_ERROR(fmt::format("Error loading config (--config.file={})", options_.config_file),
              {"err", status.message()});
    return 2;
  }
  if (Result<std::vector<ScrapeConfig>> scrapes = ResolveScrapeConfigs(*config); !scrapes.ok()) {
    LOG_ERROR(fmt::format("Error loading dynamic scrape config files from config "
                          "(--config.file={})",
                          GoQuote(options_.config_file)),
              {"err", scrapes.status().message()});
    return 2;
  }
  {
    const std::lock_guard lock(mutex_);
    config_ = config;
  }
  // What the flags page shows are the values in force.
  if (options_.retention_time == 0 && options_.retention_bytes == 0) {
    options_.retention_time = kDefaultRetentionNanos;
  }
  if (options_.max_block_duration == 0) {
    const int64_t tenth = options_.retention_time / 10;
    options_.max_block_duration =
        tenth > 0 ? std::min(tenth, 31 * ServerOptions::kDay) : 31 * ServerOptions::kDay;
    options_.max_block_duration =
        std::max(options_.max_block_duration, options_.min_block_duration);
  }

  std::thread signals([this] {
    const sigset_t set = HandledSignals();
    for (;;) {
      int signal = 0;
      if (sigwait(&set, &signal) != 0) continue;
      if (signal == SIGHUP) {
        RequestReload(nullptr);
        continue;
      }
      if (RequestQuit()) {
        LOG_WARN("Received an OS signal, exiting gracefully...",
                 {"signal", signal == SIGINT ? "interrupt" : "terminated"});
      }
      return;
    }
  });
  const auto end_signals = [&signals] {
    // Wakes the thread if it still waits; a signal that came already has ended it. The thread
    // fetches the signal with sigwait, so that nothing is terminated.
    // NOLINTNEXTLINE(bugprone-bad-signal-to-kill-thread)
    pthread_kill(signals.native_handle(), SIGTERM);
    signals.join();
  };

  notifications_.Add(web::kStartingText);
  int exit_code = 0;
  Status status = OpenPort();
  if (status.ok()) {
    status = OpenStorage(*config);
    if (!status.ok()) status = status.WithPrefix("opening storage failed: ");
  }
  if (status.ok()) status = StartEngines(*config);
  if (status.ok()) {
    // The first load is checked like a reload: a file that cannot be applied ends the start.
    status = Reload();
  }
  if (!status.ok()) {
    LOG_ERROR("Fatal error", {"err", status.message()});
    exit_code = 1;
    RequestQuit();
  } else {
    notifications_.Remove(web::kStartingText);
    api_->SetReady({db_.get(), db_.get(), db_.get(), engine_.get()});
    rules_->Start();
    metrics_.ready.Set(1);
    LOG_INFO("Server is ready to receive web requests.");
    if (on_ready_) on_ready_("http://" + http_server_->addresses().front());
    WaitForEnd();
  }
  Stop();
  end_signals();
  if (exit_code == 0) LOG_INFO("See you next time!");
  return exit_code;
}

void Server::Stop() {
  if (api_) api_->SetStopping();
  metrics_.ready.Set(0);
  notifications_.Add(web::kStoppingText);
  {
    const std::lock_guard lock(mutex_);
    for (const auto& done : reloads_) {
      if (done) done->set_value(Status(ErrorCode::kUnavailable, "shutting down"));
    }
    reloads_.clear();
  }
  // Managers run tasks on the loop until they are gone.
  scrape_discovery_.reset();
  notify_discovery_.reset();
  discovery_loop_.reset();
  if (rules_) rules_->Stop();
  if (scrape_) scrape_->Stop();
  if (notifier_) notifier_->Stop();
  if (http_server_) http_server_->Stop(kStopGraceNanos);
  metrics_.ClearReadings();
  if (db_) {
    if (const Status status = db_->Close(); !status.ok()) {
      LOG_ERROR("Closing storage failed", {"err", status.message()});
    }
  }
}

void DeclareServer(Command& command) {
  DeclareServerFlags(command.flags(), command.Keep(std::make_shared<ServerOptions>()));
}

int RunServer(const Arguments& arguments) {
  ServerOptions options;
  FlagSet flags("narthex server", "The Prometheus monitoring server");
  DeclareServerFlags(flags, options);
  if (const Status status = flags.Parse(arguments); !status.ok()) {
    fmt::print(stderr, "Error parsing command line arguments: {0}\nprometheus: error: {0}\n",
               status.message());
    return 1;
  }
  if (const auto code = BeginParsedProgram("prometheus", flags, options.log)) return *code;
  Result<Features> features = Features::Parse(options.feature_lists);
  if (!features.ok()) {
    fmt::print(stderr, "Error parsing feature list: {}\n", features.status().message());
    return 1;
  }
  Server server(options, flags, *std::move(features));
  return server.Run();
}

std::string HostName() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "localhost";
}

}  // namespace narthex::apps
