#include "web/web_server.h"

#include "util/file.h"
#include "util/strings.h"
#include "web/assets/assets.h"
#include "web/json_writer.h"
#include "web/response_writer.h"

namespace narthex::web {
namespace {

constexpr std::string_view kServerPages[] = {"/query", "/alerts", "/rules", "/tsdb-status",
                                             "/machine"};
constexpr std::string_view kAgentPages[] = {"/agent"};
constexpr std::string_view kCommonPages[] = {
    "/config", "/flags", "/service-discovery", "/alertmanager-discovery", "/status", "/targets"};

void ReplaceAll(std::string* text, std::string_view from, std::string_view to) {
  for (size_t at = text->find(from); at != std::string::npos;
       at = text->find(from, at + to.size())) {
    text->replace(at, from.size(), to);
  }
}

// Go's profiles have no meaning here; what people look for first is answered, the rest explained.
void ServeDebug(net::HttpExchange& exchange, std::string_view subpath) {
  if (subpath == "/pprof") {
    RespondRedirect(exchange, 301, exchange.request().path + "/");
    return;
  }
  if (!subpath.starts_with("/pprof/")) {
    RespondPlain(exchange, 404, "404 page not found");
    return;
  }
  if (subpath == "/pprof/cmdline") {
    const Result<std::string> line = FileSystem::Posix().ReadAll("/proc/self/cmdline");
    std::string text = line.ok() ? *line : std::string();
    if (text.ends_with('\0')) text.pop_back();
    RespondPlain(exchange, 200, text);
    return;
  }
  RespondPlain(exchange, 501,
               "this server is not a Go program and has no pprof profiles; "
               "profile its process with perf instead");
}

}  // namespace

WebServer::WebServer(WebOptions options, WebHooks hooks, Api& api, ThreadPool& light_pool,
                     ThreadPool& query_pool)
    : options_(std::move(options)),
      hooks_(std::move(hooks)),
      api_(api),
      light_pool_(light_pool),
      query_pool_(query_pool) {
  const std::string prefix = options_.route_prefix == "/" ? "" : options_.route_prefix;
  const auto handler_of = [prefix](const std::string& pattern) {
    return pattern.starts_with(prefix) ? pattern.substr(prefix.size()) : pattern;
  };
  if (hooks_.observe) {
    router_.SetObserver(
        [this, handler_of](const std::string& pattern, int status, double seconds, size_t bytes) {
          hooks_.observe(handler_of(pattern), status, seconds, bytes);
        });
  }
  AddLifecycle(prefix);
  AddPages(prefix);
  api_.Register(prefix, router_);
  if (!hooks_.declare) return;
  hooks_.declare("/api/v1/*path");  // As upstream counts preflight requests.
  for (const auto& [method, pattern] : router_.Routes()) {
    if (method != "OPTIONS") hooks_.declare(handler_of(pattern));
  }
}

void WebServer::AddLifecycle(const std::string& prefix) {
  const std::string name = options_.agent ? "Agent" : "Server";
  router_.Handle({"GET", "HEAD"}, prefix + "/-/healthy",
                 [name](std::shared_ptr<net::HttpExchange> exchange, const PathParameters&) {
                   RespondPlain(*exchange, 200, "Prometheus " + name + " is Healthy.\n");
                 });
  router_.Handle({"GET", "HEAD"}, prefix + "/-/ready",
                 [this, name](std::shared_ptr<net::HttpExchange> exchange, const PathParameters&) {
                   if (api_.RefuseUnready(*exchange)) return;
                   RespondPlain(*exchange, 200, "Prometheus " + name + " is Ready.\n");
                 });
  const auto lifecycle = [this](const std::string& path,
                                std::function<void(net::HttpExchange&)> action) {
    router_.Handle({"POST", "PUT"}, path,
                   [this, action = std::move(action)](std::shared_ptr<net::HttpExchange> exchange,
                                                      const PathParameters&) {
                     if (!options_.enable_lifecycle) {
                       RespondPlain(*exchange, 403, "Lifecycle API is not enabled.");
                       return;
                     }
                     light_pool_.Submit([exchange, &action] { action(*exchange); });
                   });
    router_.Handle({"GET"}, path,
                   [](std::shared_ptr<net::HttpExchange> exchange, const PathParameters&) {
                     net::HttpResponse response;
                     response.status = 405;
                     response.headers.Add("Content-Type", "text/plain; charset=utf-8");
                     response.body = "Only POST or PUT requests allowed";
                     exchange->Respond(std::move(response));
                   });
  };
  lifecycle(prefix + "/-/reload", [this](net::HttpExchange& exchange) {
    if (const Status status = hooks_.reload(); !status.ok()) {
      RespondPlain(exchange, 500, "failed to reload config: " + status.message());
    } else {
      RespondPlain(exchange, 200, "");
    }
  });
  lifecycle(prefix + "/-/quit", [this](net::HttpExchange& exchange) {
    RespondPlain(
        exchange, 200,
        hooks_.quit() ? "Requesting termination... Goodbye!" : "Termination already in progress.");
  });
  router_.Handle({"GET"}, prefix + "/metrics",
                 [this](std::shared_ptr<net::HttpExchange> exchange, const PathParameters&) {
                   light_pool_.Submit([this, exchange] { hooks_.metrics(*exchange); });
                 });
  if (hooks_.federate) {
    router_.Handle({"GET"}, prefix + "/federate",
                   [this](std::shared_ptr<net::HttpExchange> exchange, const PathParameters&) {
                     if (api_.RefuseUnready(*exchange)) return;
                     query_pool_.Submit([this, exchange] { hooks_.federate(exchange); });
                   });
  }
  if (hooks_.console) {
    router_.Handle(
        {"GET"}, prefix + "/consoles/*filepath",
        [this](std::shared_ptr<net::HttpExchange> exchange, const PathParameters& parameters) {
          if (api_.RefuseUnready(*exchange)) return;
          query_pool_.Submit([this, exchange, path = parameters[0].second] {
            exchange->Respond(hooks_.console(path, exchange->request().query));
          });
        });
  }
  router_.Handle({"GET", "POST"}, prefix + "/debug/*subpath",
                 [](std::shared_ptr<net::HttpExchange> exchange, const PathParameters& parameters) {
                   ServeDebug(*exchange, parameters[0].second);
                 });
  AddReceivers(prefix);
}

// Where remote writers and readers knock. Without a hook the answer says why nobody opens.
void WebServer::AddReceivers(const std::string& prefix) {
  struct Receiver {
    std::string path;
    bool enabled;
    std::string flag_text;
  };
  for (const Receiver& receiver :
       {Receiver{"/write", options_.remote_write_receiver,
                 "remote write receiver needs to be enabled with "
                 "--web.enable-remote-write-receiver"},
        Receiver{"/otlp/v1/metrics", options_.otlp_receiver,
                 "otlp write receiver needs to be enabled with --web.enable-otlp-receiver"},
        Receiver{"/read", true, ""}}) {
    router_.Handle(
        {"POST"}, prefix + "/api/v1" + receiver.path,
        [this, receiver](std::shared_ptr<net::HttpExchange> exchange, const PathParameters&) {
          if (api_.RefuseUnready(*exchange)) return;
          if (!receiver.enabled) {
            RespondPlain(*exchange, 404, receiver.flag_text);
            return;
          }
          RespondPlain(*exchange, 501, receiver.path + " is not supported yet");
        });
  }
}

void WebServer::AddPages(const std::string& prefix) {
  const auto redirect = [this](const std::string& path, const std::string& to) {
    router_.Handle({"GET"}, path,
                   [to](std::shared_ptr<net::HttpExchange> exchange, const PathParameters&) {
                     RespondRedirect(*exchange, 302, to);
                   });
  };
  const auto page = [&](std::string_view path) {
    router_.Handle({"GET"}, prefix + std::string(path),
                   [this](std::shared_ptr<net::HttpExchange> exchange, const PathParameters&) {
                     ServePage(*exchange);
                   });
  };
  if (!prefix.empty()) redirect("/", prefix);
  const std::string first = options_.agent ? "/agent" : options_.first_page;
  redirect(prefix + "/", options_.external_path + first);
  if (!prefix.empty()) redirect(prefix, options_.external_path + first);
  if (!options_.agent) {
    router_.Handle({"GET"}, prefix + "/graph",
                   [to = options_.external_path + "/query?"](
                       std::shared_ptr<net::HttpExchange> exchange, const PathParameters&) {
                     RespondRedirect(*exchange, 302, to + exchange->request().query);
                   });
    for (const std::string_view path : kServerPages) page(path);
  } else {
    for (const std::string_view path : kAgentPages) page(path);
  }
  for (const std::string_view path : kCommonPages) page(path);

  router_.Handle(
      {"GET"}, prefix + "/assets/*filepath",
      [this](std::shared_ptr<net::HttpExchange> exchange, const PathParameters& parameters) {
        ServeAsset(*exchange, "assets" + parameters[0].second);
      });
  for (const std::string file : {"favicon.svg", "favicon.ico", "manifest.json"}) {
    router_.Handle({"GET"}, prefix + "/" + file,
                   [this, file](std::shared_ptr<net::HttpExchange> exchange,
                                const PathParameters&) { ServeAsset(*exchange, file); });
  }
  if (!options_.user_assets.empty()) {
    router_.Handle(
        {"GET"}, prefix + "/user/*filepath",
        [this](std::shared_ptr<net::HttpExchange> exchange, const PathParameters& parameters) {
          light_pool_.Submit(
              [this, exchange, path = parameters[0].second] { ServeUserAsset(*exchange, path); });
        });
  }
  router_.Handle({"GET"}, prefix + "/version",
                 [this](std::shared_ptr<net::HttpExchange> exchange, const PathParameters&) {
                   net::HttpResponse response;
                   response.headers.Add("Content-Type", "text/plain; charset=utf-8");
                   response.body = BuildInfoJson(api_.build_info());
                   exchange->Respond(std::move(response));
                 });
}

void WebServer::ServePage(net::HttpExchange& exchange) const {
  const std::optional<Asset> index = FindAsset("index.html");
  if (!index) {
    RespondPlain(exchange, 500, "the web UI is not part of this build");
    return;
  }
  net::HttpResponse response;
  response.headers.Add("Content-Type", std::string(index->content_type));
  response.body = Unpack(*index);
  ReplaceAll(&response.body, "CONSOLES_LINK_PLACEHOLDER", HtmlEscape(options_.consoles_link));
  ReplaceAll(&response.body, "TITLE_PLACEHOLDER", HtmlEscape(options_.page_title));
  ReplaceAll(&response.body, "AGENT_MODE_PLACEHOLDER", options_.agent ? "true" : "false");
  ReplaceAll(&response.body, "READY_PLACEHOLDER", api_.ready() ? "true" : "false");
  ReplaceAll(&response.body, "LOOKBACKDELTA_PLACEHOLDER",
             FormatDuration(options_.lookback_delta_nanos));
  exchange.Respond(std::move(response));
}

void WebServer::ServeAsset(net::HttpExchange& exchange, std::string_view path) const {
  const std::optional<Asset> asset = FindAsset(path);
  if (!asset) {
    RespondPlain(exchange, 404, "404 page not found");
    return;
  }
  net::HttpResponse response;
  response.headers.Add("Content-Type", std::string(asset->content_type));
  response.headers.Add("Vary", "Accept-Encoding");
  // The names below assets/ carry a hash of the contents.
  if (path.starts_with("assets/")) {
    response.headers.Add("Cache-Control", "public, max-age=31536000, immutable");
  }
  const std::string_view accepted = exchange.request().headers.Get("Accept-Encoding");
  if (ChooseContentCoding(accepted) == ContentCoding::kGzip) {
    response.headers.Add("Content-Encoding", "gzip");
    response.body = asset->gzipped;
  } else {
    response.body = Unpack(*asset);
  }
  exchange.Respond(std::move(response));
}

}  // namespace narthex::web
