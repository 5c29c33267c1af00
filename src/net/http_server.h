// An HTTP/1.1 server: keep-alive, TLS, streaming answers with back-pressure, bounds everywhere.
//
// The handler is called on the event loop for each request and must not block: it hands work to a
// pool and answers later, from any thread, through the exchange. A slow reader costs one bounded
// buffer: Write() blocks its producer until the buffer drains, or fails once the client is gone.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/event_loop.h"
#include "net/tls_server.h"
#include "util/status.h"

namespace narthex::net {

// Header fields in order; names compare without case.
class Headers {
 public:
  void Add(std::string name, std::string value) {
    fields_.emplace_back(std::move(name), std::move(value));
  }
  void Set(std::string name, std::string value);
  // The first value, or "".
  std::string_view Get(std::string_view name) const;
  bool Has(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>& fields() const { return fields_; }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

struct HttpRequest {
  std::string method;
  std::string path;   // Still percent-encoded.
  std::string query;  // Without '?'.
  Headers headers;
  std::string body;
  std::string remote_address;  // "127.0.0.1:40312"
};

struct HttpResponse {
  int status = 200;
  Headers headers;
  std::string body;
};
// "OK", "Not Found", …; "" when unknown.
std::string_view HttpStatusText(int status);

// One request and its answer. Exactly one of Respond and StartStream is called. If the last
// reference goes away without an answer, the client gets a 500.
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;
  virtual const HttpRequest& request() const = 0;
  // Stop is requested when the client goes away or the server stops.
  virtual std::stop_token stop_token() const = 0;

  virtual void Respond(HttpResponse response) = 0;

  // Chunked transfer. `response.body` is the first part. Then Write until Finish.
  virtual void StartStream(HttpResponse response) = 0;
  // Blocks while too much is waiting to be sent; not on the event loop. kCanceled: client gone.
  virtual Status Write(std::string part) = 0;
  // Like Write but never blocks: false when the buffer is full or the client gone.
  virtual bool TryWrite(std::string part) = 0;
  virtual void Finish() = 0;
};

struct HttpServerOptions {
  std::vector<std::string> listen_addresses;  // "host:port", ":port", "[::1]:port"; port 0: any.
  size_t connections_max = 512;               // More wait in the kernel's queue.
  int64_t read_timeout_nanos = 300'000'000'000;
  size_t body_bytes_max = 64 << 20;
  size_t header_bytes_max = 1 << 20;
  size_t stream_buffer_bytes = 1 << 20;
  // Asked at the start and for every handshake, on the loop; null: no TLS. An error at the start
  // ends it, a later one the connection.
  std::function<Result<TlsServerOptions>()> tls_source;
};

class HttpServer {
 public:
  using Handler = std::function<void(std::shared_ptr<HttpExchange>)>;

  // Binds and listens; requests come in on `loop`, which outlives the server. Errors in Go's words:
  // `listen tcp 127.0.0.1:9090: bind: address already in use`.
  static Result<std::unique_ptr<HttpServer>> Start(EventLoop& loop, HttpServerOptions options,
                                                   Handler handler);
  virtual ~HttpServer() = default;
  // The addresses bound, with real ports.
  virtual std::vector<std::string> addresses() const = 0;
  virtual size_t connection_count() const = 0;
  // Since the start.
  virtual uint64_t accepted_count() const = 0;
  // Stops accepting, requests stop of the exchanges in flight, closes what is idle, waits up to
  // the given time for answers, then closes everything.
  virtual void Stop(int64_t grace_nanos) = 0;
};

}  // namespace narthex::net
