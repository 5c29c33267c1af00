// `narthex pushgateway`: takes metrics from jobs that end before anybody could scrape them.
#include <unistd.h>

#include <filesystem>
#include <utility>

#include "apps/command.h"
#include "apps/exporter.h"
#include "apps/flags.h"
#include "apps/program.h"
#include "apps/program_tree.h"
#include "apps/pushgateway_http.h"
#include "apps/web_config_server.h"
#include "narthex/client/callback.h"
#include "narthex/client/gauge.h"
#include "narthex/client/process_collector.h"
#include "net/url.h"
#include "util/log.h"

namespace narthex::apps {
namespace {

constexpr int64_t kStopGraceNanos = 2 * kNanosPerSecond;

struct PushgatewayOptions {
  std::vector<std::string> addresses = {":9091"};
  std::string web_config_file;
  std::string external_url;
  std::string route_prefix;
  LogFlags log;
  bool disable_check = false;
  int64_t group_series_max = 0;
  int64_t series_max = 0;
  int64_t body_bytes_max = 64 << 20;
  PushHttpOptions http;
  push::StoreOptions store;
};

void AddFlags(PushgatewayOptions* o, FlagSet* flags) {
  flags->Strings("web.listen-address", &o->addresses,
                 "Addresses on which to expose metrics and web interface. Repeatable.");
  flags->String("web.config.file", &o->web_config_file,
                "Path to configuration file that can enable TLS or authentication.");
  flags->String("web.telemetry-path", &o->http.telemetry_path,
                "Path under which to expose metrics.");
  flags->String("web.external-url", &o->external_url,
                "The URL under which the Pushgateway is externally reachable.");
  flags->String("web.route-prefix", &o->route_prefix,
                "Prefix for the internal routes of web endpoints. Defaults to the path of "
                "--web.external-url.");
  flags->Bool("web.enable-lifecycle", &o->http.enable_lifecycle,
              "Enable shutdown via HTTP request.");
  flags->Bool("web.enable-admin-api", &o->http.enable_admin,
              "Enable API endpoints for admin control actions.");
  flags->String("persistence.file", &o->store.file,
                "File to persist metrics; every push is in its journal before it is answered. If "
                "empty, metrics are only kept in memory.");
  flags->GoDuration("persistence.interval", &o->store.interval_nanos,
                    "The minimum interval at which to write out the persistence file.");
  flags->Bool("push.disable-consistency-check", &o->disable_check,
              "Do not check consistency of pushed metrics. DANGEROUS.");
  flags->Bool("push.enable-utf8-names", &o->http.utf8_names,
              "Allow UTF-8 characters in metric and label names.");
  flags->Duration("push.ttl", &o->store.ttl_nanos,
                  "Delete groups that were not pushed to for this long; 0 keeps them. The header "
                  "X-Push-TTL of a push takes its place for that group.");
  flags->Int("push.max-group-series", &o->group_series_max,
             "Refuse pushes that would give a group more series; 0 is no limit.");
  flags->Int("push.max-series", &o->series_max,
             "Refuse pushes that would give all groups together more series; 0 is no limit.");
  flags->Bytes("push.max-body-size", &o->body_bytes_max,
               "Refuse larger bodies, also after decompression.");
  flags->Bool("push.enable-aggregation", &o->http.aggregation,
              "Allow pushes with ?mode=aggregate, whose counters and histograms are added to what "
              "the group has.");
  o->log.Declare(*flags);
}

// "" or "/prefix". An empty prefix is the path of the external URL.
Result<std::string> RoutePrefix(std::string prefix, const std::string& external_url) {
  if (prefix.empty() && !external_url.empty()) {
    NARTHEX_TRY(const net::Url url, net::ParseUrl(external_url));
    prefix = url.path;
  }
  if (prefix.empty() || prefix == "/") return std::string();
  if (!prefix.starts_with('/')) prefix.insert(prefix.begin(), '/');
  if (prefix.ends_with('/')) prefix.pop_back();
  return prefix;
}

double ThreadCount() {
  std::error_code error;
  double count = 0;
  for (auto it = std::filesystem::directory_iterator("/proc/self/task", error);
       it != std::filesystem::directory_iterator(); it.increment(error)) {
    ++count;
  }
  return count;
}

// The registry with what the gateway says of itself.
struct OwnMetrics {
  client::Registry registry;
  PushMetrics http{registry};
  client::Family<client::Gauge> build_info{
      registry,
      {"pushgateway_build_info",
       "A metric with a constant '1' value labeled by version, revision, branch and compiler."},
      {"branch", "goarch", "goos", "goversion", "revision", "tags", "version"}};
  // Under the name that dashboards know; threads, as we have no goroutines.
  client::GaugeFunc threads{
      registry, {"go_goroutines", "Number of threads that currently exist."}, &ThreadCount};

  OwnMetrics() {
    build_info.WithLabels({"", "amd64", "linux", CompilerText(), Revision(), "", Version()}).Set(1);
    static_cast<void>(registry.Register(client::MakeProcessCollector()));
  }
};

Status Run(PushgatewayOptions options) {
  OwnMetrics own;
  options.store.check = options.http.check = !options.disable_check;
  options.store.group_series_max =
      static_cast<size_t>(std::max<int64_t>(0, options.group_series_max));
  options.store.series_max = static_cast<size_t>(std::max<int64_t>(0, options.series_max));
  options.http.body_bytes_max = static_cast<size_t>(options.body_bytes_max);
  NARTHEX_TRY(const std::unique_ptr<push::Store> store,
              push::Store::Open(options.store, own.registry.Gather().families));
  options.http.quit = [] {
    LOG_WARN("received termination request via web service, exiting gracefully...");
    ::kill(::getpid(), SIGTERM);
  };
  net::HttpServerOptions server_options;
  server_options.listen_addresses = options.addresses;
  server_options.body_bytes_max = options.http.body_bytes_max;
  Status stopped;
  {
    PushHttp http(std::move(options.http), own.registry, own.http, *store);
    net::EventLoop loop;
    NARTHEX_TRY(const std::unique_ptr<net::HttpServer> server,
                StartWebServer(loop, std::move(server_options), options.web_config_file,
                               [&http](std::shared_ptr<net::HttpExchange> exchange) {
                                 http.Serve(std::move(exchange));
                               }));
    WaitForEndSignal();
    LOG_INFO("received SIGINT/SIGTERM; exiting gracefully...");
    server->Stop(kStopGraceNanos);
    stopped = store->Stop();
  }
  return stopped;
}

}  // namespace

void DeclarePushgateway(Command& command) {
  AddFlags(&command.Keep(std::make_shared<PushgatewayOptions>()), &command.flags());
}

int RunPushgateway(const Arguments& arguments) {
  PushgatewayOptions options;
  FlagSet flags("narthex pushgateway", "The Pushgateway");
  AddFlags(&options, &flags);
  if (const auto code = BeginProgram("pushgateway", arguments, flags, options.log)) return *code;
  const Result<std::string> prefix = RoutePrefix(options.route_prefix, options.external_url);
  if (!prefix.ok()) return ReportUsageError("pushgateway", prefix.status().message());
  options.http.route_prefix = *prefix;
  options.http.flags = flags.Values();
  LOG_INFO("starting pushgateway", {"version", Version()});
  if (const Status status = Run(std::move(options)); !status.ok()) {
    LOG_ERROR("Fatal error", {"err", status.message()});
    return 1;
  }
  return 0;
}

}  // namespace narthex::apps
