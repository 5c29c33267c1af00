// Everything behind the server's port: the UI, the API, lifecycle and health endpoints, /metrics,
// federation (parity/api.md section 12).
//
// The port opens before the storage is ready: /metrics, /-/healthy and the UI answer at once, the
// rest says 503 until Api::SetReady.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "net/http_server.h"
#include "util/status.h"
#include "util/thread_pool.h"
#include "web/api.h"
#include "web/router.h"

namespace narthex::web {

struct WebOptions {
  std::string page_title = "Prometheus Time Series Collection and Processing Server";
  std::string route_prefix = "/";     // "/" or "/prefix", never with a slash at its end.
  std::string external_path = "";     // Path of the external URL without its last slash.
  std::string user_assets;            // Folder served below /user/; empty: none.
  std::string first_page = "/query";  // Where / leads.
  bool enable_lifecycle = false;
  bool agent = false;
  bool remote_write_receiver = false;
  bool otlp_receiver = false;
  // The page that the UI links as "Consoles"; empty: none.
  std::string consoles_link;
  int64_t lookback_delta_nanos = 0;
};

// Called on pool threads.
struct WebHooks {
  std::function<Status()> reload;
  // False when the server is ending already.
  std::function<bool()> quit;
  // Answers /metrics.
  std::function<void(net::HttpExchange&)> metrics;
  // Answers /federate once ready.
  std::function<void(std::shared_ptr<net::HttpExchange>)> federate;
  // A console template: path below /consoles ("/node.html") and the URL's query.
  std::function<net::HttpResponse(const std::string& path, const std::string& query)> console;
  // Told of every route once, so that its metrics are there before its first request.
  std::function<void(const std::string& handler)> declare;
  // Told of every answer: the route's pattern below the prefix, status, seconds, bytes. Any thread.
  std::function<void(const std::string& handler, int status, double seconds, size_t bytes)> observe;
};

class WebServer {
 public:
  WebServer(WebOptions options, WebHooks hooks, Api& api, ThreadPool& light_pool,
            ThreadPool& query_pool);

  // The entry point for net::HttpServer.
  void Serve(std::shared_ptr<net::HttpExchange> exchange) const {
    router_.Serve(std::move(exchange));
  }

 private:
  void AddLifecycle(const std::string& prefix);
  void AddPages(const std::string& prefix);
  void AddReceivers(const std::string& prefix);
  void ServePage(net::HttpExchange& exchange) const;
  void ServeAsset(net::HttpExchange& exchange, std::string_view path) const;
  void ServeUserAsset(net::HttpExchange& exchange, std::string_view path) const;

  const WebOptions options_;
  const WebHooks hooks_;
  Api& api_;
  ThreadPool& light_pool_;
  ThreadPool& query_pool_;
  Router router_;
};

}  // namespace narthex::web
