// The Pushgateway over HTTP: pushing, deleting, scraping, the JSON API and the pages.
//
// Threads: routes are served on two pools, so that scrapes and health checks answer while pushes
// wait for room in the store's queue. Specification: parity/pushgateway.md.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "narthex/client/counter.h"
#include "narthex/client/family.h"
#include "narthex/client/registry.h"
#include "narthex/client/summary.h"
#include "push/push_path.h"
#include "push/store.h"
#include "util/thread_pool.h"
#include "web/router.h"

namespace narthex::apps {

struct PushHttpOptions {
  std::string telemetry_path = "/metrics";
  std::string route_prefix;  // "" or "/prefix".
  bool check = true;
  bool utf8_names = false;
  bool aggregation = false;
  bool enable_lifecycle = false;
  bool enable_admin = false;
  size_t body_bytes_max = 64 << 20;  // After decompression.
  std::map<std::string, std::string> flags;
  std::function<void()> quit;
};

// Metrics under upstream's names; registered before the store is opened, which has to know them.
struct PushMetrics {
  explicit PushMetrics(client::Registry& registry);
  client::Family<client::Counter> requests;
  client::Family<client::Summary> sizes;
  client::Family<client::Summary> durations;
};

class PushHttp {
 public:
  PushHttp(PushHttpOptions options, client::Registry& registry, PushMetrics& metrics,
           push::Store& store);
  // Any thread.
  void Serve(std::shared_ptr<net::HttpExchange> exchange) const {
    router_.Serve(std::move(exchange));
  }
  // Every route that is left; a pool's tasks are done when this returns.
  ~PushHttp();

 private:
  using Exchange = std::shared_ptr<net::HttpExchange>;
  enum class Verb { kPut, kPost, kDelete };

  void AddPushRoutes();
  void AddPages();
  void AddApi();
  void AddLifecycle();
  // A route whose requests are counted under `handler`.
  void Add(std::vector<std::string> methods, const std::string& path, std::string handler,
           ThreadPool& pool,
           std::function<void(const Exchange&, const web::PathParameters&)> serve);
  void Push(const Exchange& exchange, const web::PathParameters& parameters, Verb verb,
            bool job_base64);
  void ServeMetrics(net::HttpExchange& exchange);
  Result<std::vector<client::MetricFamily>> ReadBody(const net::HttpRequest& request) const;

  const PushHttpOptions options_;
  client::Registry& registry_;
  PushMetrics& metrics_;
  push::Store& store_;
  const int64_t start_nanos_;
  web::Router router_;
  ThreadPool light_pool_{"web", 2};
  ThreadPool push_pool_{"push", 2};
};

}  // namespace narthex::apps
