// One HTTP/2 connection of the server, over a TLS stream whose client chose "h2".
//
//   reader ─bytes─▶ nghttp2 ─headers, data─▶ Stream ─▶ Exchange ─▶ handler
//   writer ◀─bytes─ nghttp2 ◀─ parts of the answer, as windows allow ─┘
//
// Two coroutines on the loop: one reads, one writes whenever there is something to send. Handlers
// answer through the same Exchange as over HTTP/1.1; its buffer is freed as the client takes bytes,
// so that a slow reader of one stream blocks that stream's producer alone.
//
// Bounds: streams at a time, header fields and body of each, and idle time, as HttpServerOptions
// say.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "net/http_server.h"

namespace narthex::net {

class Http2Session {
 public:
  virtual ~Http2Session() = default;
  // Reads and writes until the connection ends, then calls `ended` on the loop. No handler's answer
  // is sent any more then.
  virtual void Start(std::function<void()> ended) = 0;
  // No more streams; with `force` the connection ends at once.
  virtual void Shutdown(bool force) = 0;
};

// `stream` is a beast::ssl_stream<beast::tcp_stream> after its handshake, `context` the loop's
// asio::io_context. All but the loop outlive the session's end.
std::shared_ptr<Http2Session> MakeHttp2Session(void* stream, void* context,
                                               const HttpServerOptions& options,
                                               const HttpServer::Handler& handler,
                                               std::string remote_address);

}  // namespace narthex::net
