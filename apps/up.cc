// `narthex up`: the whole stack on one machine with one command. Without a prometheus.yml in the
// folder it runs on a configuration of its own: it scrapes itself and, through the built-in node
// exporter, this machine, with rules and alerts for both.
#include <fmt/format.h>

#include "apps/command.h"
#include "apps/exporter.h"
#include "apps/program.h"
#include "apps/program_tree.h"
#include "apps/server.h"
#include "exporters/node/node_exporter.h"
#include "util/file.h"
#include "util/log.h"

namespace narthex::apps {
namespace {

constexpr std::string_view kDefaultRules =
    R"(# Written by `narthex up`; yours to edit, it is not written again.
groups:
  - name: machine
    rules:
      - record: instance:node_cpu_utilisation:rate1m
        expr: 1 - avg without (cpu) (sum without (mode) (rate(node_cpu_seconds_total{mode=~"idle|iowait|steal"}[1m])))
      - record: instance:node_memory_utilisation:ratio
        expr: 1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes
      - record: instance:node_load1_per_cpu:ratio
        expr: node_load1 / count without (cpu, mode) (node_cpu_seconds_total{mode="idle"})
      - record: instance:node_network_receive_bytes:rate1m
        expr: sum without (device) (rate(node_network_receive_bytes_total{device!="lo"}[1m]))
      - record: instance:node_network_transmit_bytes:rate1m
        expr: sum without (device) (rate(node_network_transmit_bytes_total{device!="lo"}[1m]))
  - name: alerts
    rules:
      - alert: TargetDown
        expr: up == 0
        for: 2m
        labels: {severity: critical}
        annotations:
          summary: '{{ $labels.job }} on {{ $labels.instance }} cannot be scraped'
      - alert: CpuSaturated
        expr: instance:node_cpu_utilisation:rate1m > 0.9
        for: 10m
        labels: {severity: warning}
        annotations:
          summary: 'the processors of {{ $labels.instance }} are {{ $value | humanizePercentage }} busy'
      - alert: MemoryLow
        expr: instance:node_memory_utilisation:ratio > 0.95
        for: 5m
        labels: {severity: warning}
        annotations:
          summary: '{{ $value | humanizePercentage }} of the memory of {{ $labels.instance }} is in use'
      - alert: FilesystemAlmostFull
        expr: node_filesystem_avail_bytes / node_filesystem_size_bytes < 0.05 and node_filesystem_readonly == 0
        for: 5m
        labels: {severity: critical}
        annotations:
          summary: 'only {{ $value | humanizePercentage }} is left on {{ $labels.mountpoint }} of {{ $labels.instance }}'
      - alert: FilesystemFullInADay
        expr: predict_linear(node_filesystem_avail_bytes[1h], 24 * 3600) < 0 and node_filesystem_avail_bytes / node_filesystem_size_bytes < 0.3 and count_over_time(node_filesystem_avail_bytes[1h]) > 360
        for: 30m
        labels: {severity: warning}
        annotations:
          summary: '{{ $labels.mountpoint }} of {{ $labels.instance }} is full within a day at this rate'
      - alert: ConfigurationReloadFailed
        expr: prometheus_config_last_reload_successful == 0
        for: 1m
        labels: {severity: critical}
        annotations:
          summary: 'the last reload of the configuration failed'
      - alert: RuleEvaluationFailing
        expr: increase(prometheus_rule_evaluation_failures_total[5m]) > 0
        for: 5m
        labels: {severity: warning}
        annotations:
          summary: 'rules of {{ $labels.rule_group }} fail'
)";

std::string DefaultConfig(const std::string& own_address, const std::string& node_address,
                          const std::string& rule_file) {
  return fmt::format(R"(global:
  scrape_interval: 5s
  evaluation_interval: 15s
rule_files: ['{}']
scrape_configs:
  - job_name: narthex
    static_configs: [{{targets: ['{}']}}]
  - job_name: node
    static_configs: [{{targets: ['{}']}}]
)",
                     rule_file, own_address, node_address);
}

// Port 9100, or any free one where that is taken.
Result<std::unique_ptr<ExporterServer>> StartNodeExporter(net::EventLoop& loop) {
  Result<std::unique_ptr<ExporterServer>> started =
      ExporterServer::Start(loop, "Node Exporter", "/metrics", {"127.0.0.1:9100"});
  if (started.ok()) return started;
  LOG_INFO("Port 9100 is taken, the node exporter uses another");
  return ExporterServer::Start(loop, "Node Exporter", "/metrics", {"127.0.0.1:0"});
}

ServerOptions DefaultOptions() {
  ServerOptions options;
  options.listen_addresses = {"127.0.0.1:9090"};
  options.storage_path = "data";
  options.enable_lifecycle = true;
  options.log.level = "warn";
  options.page_title = "narthex";
  options.first_page = "/machine";
  return options;
}

}  // namespace

void DeclareUp(Command& command) {
  DeclareServerFlags(command.flags(),
                     command.Keep(std::make_shared<ServerOptions>(DefaultOptions())));
}

int RunUp(const Arguments& arguments) {
  ServerOptions options = DefaultOptions();
  FlagSet flags(
      "narthex up",
      "Runs the whole stack on this machine: the server on 127.0.0.1:9090 with data under "
      "./data, scraping itself and this machine. Takes every flag of `narthex server`.");
  DeclareServerFlags(flags, options);
  if (const auto code = BeginProgram("narthex up", arguments, flags, options.log)) return *code;
  Result<Features> features = Features::Parse(options.feature_lists);
  if (!features.ok()) {
    fmt::print(stderr, "narthex up: error: {}\n", features.status().message());
    return 1;
  }

  FileSystem& files = FileSystem::Posix();
  const bool own_config = flags.seen("config.file") || files.Exists(options.config_file);
  net::EventLoop loop;
  std::unique_ptr<ExporterServer> node;
  std::string embedded;
  if (!own_config) {
    Result<std::unique_ptr<ExporterServer>> started = StartNodeExporter(loop);
    if (!started.ok()) {
      fmt::print(stderr, "narthex up: error: {}\n", started.status().message());
      return 1;
    }
    node = *std::move(started);
    static_cast<void>(
        node->registry().Register(std::make_shared<exporters::node::NodeCollector>()));
    const std::string rules = JoinPath(options.storage_path, "up-rules.yml");
    Status written = files.CreateDirectories(options.storage_path);
    if (written.ok() && !files.Exists(rules)) written = files.WriteAtomically(rules, kDefaultRules);
    if (!written.ok()) {
      fmt::print(stderr, "narthex up: error: {}\n", written.message());
      return 1;
    }
    // Listening on every address means reachable on this one.
    std::string own = options.listen_addresses.front();
    if (own.starts_with(':')) own = "127.0.0.1" + own;
    if (own.starts_with("0.0.0.0:")) own = "127.0.0.1" + own.substr(own.rfind(':'));
    embedded = DefaultConfig(own, node->addresses().front(), rules);
  }

  Server server(options, flags, *std::move(features));
  if (!embedded.empty()) server.UseEmbeddedConfig(embedded);
  server.OnReady([&](const std::string& url) {
    fmt::print("narthex is ready: {}\n  data       {}\n  config     {}\n", url,
               options.storage_path, own_config ? options.config_file : "built in");
    if (node) fmt::print("  machine    http://{}/metrics\n", node->addresses().front());
    fmt::print("Ctrl-C stops it.\n");
    std::fflush(stdout);
  });
  return server.Run();
}

}  // namespace narthex::apps
