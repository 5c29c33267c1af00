// An exporter's page over HTTP: its registry at /metrics, a landing page at /.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "narthex/client/registry.h"
#include "net/event_loop.h"
#include "net/http_server.h"
#include "util/status.h"
#include "util/thread_pool.h"

namespace narthex::apps {

class ExporterServer {
 public:
  // `title` heads the landing page ("Node Exporter"). `web_config_file` may be empty.
  static Result<std::unique_ptr<ExporterServer>> Start(net::EventLoop& loop, std::string title,
                                                       std::string telemetry_path,
                                                       std::vector<std::string> addresses,
                                                       const std::string& web_config_file = {});
  ~ExporterServer();

  client::Registry& registry() { return registry_; }
  std::vector<std::string> addresses() const { return server_->addresses(); }

 private:
  ExporterServer(std::string title, std::string telemetry_path);
  void Serve(const std::shared_ptr<net::HttpExchange>& exchange);

  const std::string title_;
  const std::string telemetry_path_;
  client::Registry registry_;
  ThreadPool pool_{"exporter", 1};
  std::unique_ptr<net::HttpServer> server_;
};

}  // namespace narthex::apps
