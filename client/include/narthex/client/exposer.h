// A small HTTP server that shows metrics, for programs that have none.
//
//   Result<std::unique_ptr<Exposer>> exposer = Exposer::Start(":8080", Registry::Default());
//   if (!exposer.ok()) return Fail(exposer.status().message());
//
// GET and HEAD of /metrics and of what else is in `handlers`; persistent connections; everything
// has a bound and a deadline. One thread for the sockets, `threads` that collect and compress.
// Destroying the object waits for requests that run. TLS comes with the component client_tls: see
// tls.h. Threads: all.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "narthex/client/channel.h"
#include "narthex/client/handler.h"

namespace narthex::client {

struct ExposerOptions {
  std::string path = "/metrics";
  HandlerOptions handler = {};
  // Further paths: health checks, other registries. Must not wait for long.
  std::map<std::string, HttpHandler> handlers = {};
  // Asked for all other paths; empty: they are 404.
  HttpHandler fallback = {};
  // Basic authentication, when not empty: whether this is a user's password. Any thread.
  std::function<bool(std::string_view user, std::string_view password)> authenticate = {};
  // Makes connections secure; null: plain.
  std::shared_ptr<ChannelFactory> channels = {};

  int threads = 1;
  // More connections than these wait until one ends; idle ones are closed for them.
  int connections_max = 64;
  size_t header_bytes_max = 16 * 1024;
  // For a whole request to arrive, counted from its first byte or from the connection.
  std::chrono::milliseconds read_timeout{10'000};
  std::chrono::milliseconds idle_timeout{60'000};
  std::chrono::milliseconds write_timeout{30'000};
  // A page that takes longer gets 503; so does one that takes longer than the scraper says it will
  // wait (X-Prometheus-Scrape-Timeout-Seconds). 0: no limit but the scraper's.
  std::chrono::milliseconds handler_timeout{0};
};

class Exposer {
 public:
  // `address`: `host:port`, `[v6]:port` or `:port` for all interfaces; port 0: any free one.
  // `source` outlives the exposer. Fails when the address cannot be had.
  static Result<std::unique_ptr<Exposer>> Start(const std::string& address,
                                                const Gatherable& source,
                                                ExposerOptions options = {});
  ~Exposer();
  Exposer(const Exposer&) = delete;
  Exposer& operator=(const Exposer&) = delete;

  uint16_t port() const noexcept;

 private:
  struct Impl;
  explicit Exposer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace narthex::client
