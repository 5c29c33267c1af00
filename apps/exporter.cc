#include "apps/exporter.h"

#include "apps/command.h"
#include "apps/flags.h"
#include "apps/program.h"
#include "apps/program_tree.h"
#include "apps/web_config_server.h"
#include "exporters/node/node_exporter.h"
#include "narthex/client/exposition.h"
#include "narthex/client/process_collector.h"
#include "util/compress.h"
#include "util/log.h"
#include "web/response_writer.h"
#include "web/router.h"

namespace narthex::apps {
namespace {

constexpr int64_t kStopGraceNanos = 2 * kNanosPerSecond;

constexpr char kNodeHelp[] = "Exposes this machine's metrics";

struct NodeExporterOptions {
  std::vector<std::string> addresses = {":9100"};
  std::string telemetry_path = "/metrics";
  bool disable_exporter_metrics = false;
  exporters::node::NodeOptions node;
  std::string web_config_file;
  LogFlags log;
  void Declare(FlagSet& flags);
};

void NodeExporterOptions::Declare(FlagSet& flags) {
  flags.Strings("web.listen-address", &addresses,
                "Addresses on which to expose metrics and web interface.");
  flags.String("web.telemetry-path", &telemetry_path, "Path under which to expose metrics.");
  flags.String("web.config.file", &web_config_file,
               "Path to configuration file that can enable TLS or authentication.");
  flags.Bool("web.disable-exporter-metrics", &disable_exporter_metrics,
             "Exclude metrics about the exporter itself (process_*).");
  flags.String("path.procfs", &node.procfs, "procfs mountpoint.");
  flags.String("path.rootfs", &node.rootfs, "rootfs mountpoint.");
  log.Declare(flags);
}

int RunNodeExporter(const Arguments& arguments) {
  NodeExporterOptions options;
  FlagSet flags("narthex exporter node", kNodeHelp);
  options.Declare(flags);
  if (const auto code = BeginProgram("node_exporter", arguments, flags, options.log)) return *code;
  net::EventLoop loop;
  Result<std::unique_ptr<ExporterServer>> server = ExporterServer::Start(
      loop, "Node Exporter", options.telemetry_path, options.addresses, options.web_config_file);
  if (!server.ok()) {
    LOG_ERROR("Fatal error", {"err", server.status().message()});
    return 1;
  }
  client::Registry& registry = (*server)->registry();
  static_cast<void>(
      registry.Register(std::make_shared<exporters::node::NodeCollector>(std::move(options.node))));
  if (!options.disable_exporter_metrics) {
    static_cast<void>(registry.Register(client::MakeProcessCollector()));
  }
  WaitForEndSignal();
  return 0;
}

}  // namespace

ExporterServer::ExporterServer(std::string title, std::string telemetry_path)
    : title_(std::move(title)), telemetry_path_(std::move(telemetry_path)) {}

ExporterServer::~ExporterServer() {
  if (server_) server_->Stop(kStopGraceNanos);
}

Result<std::unique_ptr<ExporterServer>> ExporterServer::Start(net::EventLoop& loop,
                                                              std::string title,
                                                              std::string telemetry_path,
                                                              std::vector<std::string> addresses,
                                                              const std::string& web_config_file) {
  std::unique_ptr<ExporterServer> exporter(
      new ExporterServer(std::move(title), std::move(telemetry_path)));
  net::HttpServerOptions options;
  options.listen_addresses = std::move(addresses);
  NARTHEX_TRY(exporter->server_,
              StartWebServer(loop, std::move(options), web_config_file,
                             [raw = exporter.get()](std::shared_ptr<net::HttpExchange> exchange) {
                               raw->pool_.Submit(
                                   [raw, exchange = std::move(exchange)] { raw->Serve(exchange); });
                             }));
  return exporter;
}

void ExporterServer::Serve(const std::shared_ptr<net::HttpExchange>& exchange) {
  const net::HttpRequest& request = exchange->request();
  net::HttpResponse response;
  if (request.path == telemetry_path_) {
    client::ScrapeResponse page = client::Scrape(registry_, request.headers.Get("Accept"));
    response.headers.Add("Content-Type", std::move(page.content_type));
    response.body = std::move(page.body);
    if (web::ChooseContentCoding(request.headers.Get("Accept-Encoding")) ==
        web::ContentCoding::kGzip) {
      response.headers.Add("Content-Encoding", "gzip");
      response.body = GzipCompress(response.body, 1);
    }
    exchange->Respond(std::move(response));
  } else if (request.path == "/") {
    response.headers.Add("Content-Type", "text/html; charset=utf-8");
    response.body = fmt::format(
        "<!doctype html><html lang=\"en\"><head><title>{0}</title></head><body><h1>{0}</h1>"
        "<p><a href=\"{1}\">Metrics</a></p></body></html>\n",
        title_, telemetry_path_);
    exchange->Respond(std::move(response));
  } else {
    web::RespondPlain(*exchange, 404, "404 page not found");
  }
}

void DeclareExporter(Command& command) {
  Command& node = command.AddCommand("node", kNodeHelp);
  node.Keep(std::make_shared<NodeExporterOptions>()).Declare(node.flags());
}

int RunExporter(const Arguments& arguments) {
  if (!arguments.empty() && arguments.front() == "node") {
    return RunNodeExporter({arguments.begin() + 1, arguments.end()});
  }
  const bool help = !arguments.empty() && (arguments[0] == "--help" || arguments[0] == "-h");
  fmt::print(help ? stdout : stderr,
             "usage: narthex exporter <name> [<flags>]\n\nExporters:\n"
             "  node       This machine: cpu, memory, disks, file systems, network, load.\n");
  return help ? 0 : 1;
}

}  // namespace narthex::apps
