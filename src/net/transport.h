// One exchange of the HTTP client: a request with all its fields goes out, one answer comes back.
// Who asks, redirects and everything else that makes several exchanges one request lie above, in
// http_client.cc. Two transports share this interface:
//
//   PlainTransport   HTTP/1.1 over TCP and unix sockets, our own: what nearly every scrape is
//   CurlTransport    TLS, HTTP/2 and proxies, over libcurl
//
// Threads: the reactor's alone.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "net/aws_signer.h"
#include "net/http_client.h"
#include "net/url.h"
#include "util/status.h"

namespace narthex::net {

inline constexpr size_t kHeaderBytesMax = 10 << 20;  // Go's limit for an answer's.
// How much is set aside for a body on the word of its Content-Length.
inline constexpr uint64_t kReserveBytesMax = 8 << 20;

using Bytes = std::shared_ptr<const std::string>;

struct ExchangeRequest {
  std::string method;
  Url url;
  HeaderFields fields;  // Without Host, unless it is to differ from the URL's.
  std::shared_ptr<const HeaderFields> shared_fields;  // More; may be null.
  // Both outlive the exchange.
  std::string_view body;
  const std::function<bool(std::string_view)>* on_data = nullptr;
  int64_t deadline_nanos = 0;  // Monotonic.
  size_t body_bytes_max = 0;
  std::string unix_socket;
  // For libcurl only.
  std::shared_ptr<const HttpClientOptions> options;
  std::string proxy;
  Bytes ca, certificate, key;  // PEM; null: none.
};

struct ExchangeResult {
  // As HttpClientResponse::error, without the URL in front.
  Status error;
  bool error_names_url = true;  // False for errors while reading the body.
  HttpClientResponse response;
};

// The answer, or what went wrong. May be called from within Start, as the last thing it does.
using ExchangeDone = std::function<void(ExchangeResult)>;

class Transport {
 public:
  virtual ~Transport() = default;
  virtual void Start(uint64_t id, ExchangeRequest request, ExchangeDone done) = 0;
  // Ends it without a call of `done`. Unknown ids are passed over.
  virtual void Cancel(uint64_t id) = 0;
};

// Memory of bodies between two answers. Strings keep their length, so that setting another one
// writes no zeros over memory that an answer fills anyway.
class BodyBuffers {
 public:
  // At least `bytes` long; what is in it is left over from another answer.
  std::string Take(size_t bytes);
  void Give(std::string buffer);

 private:
  static constexpr size_t kBytesMin = 4 << 10;
  static constexpr size_t kBytesMax = 4 << 20;
  static constexpr size_t kBuffersMax = 16;
  std::mutex mutex_;
  std::vector<std::string> free_;
};

std::unique_ptr<Transport> MakePlainTransport(class Reactor& reactor, BodyBuffers& buffers,
                                              size_t idle_connections_max);
std::unique_ptr<Transport> MakeCurlTransport(class Reactor& reactor, BodyBuffers& buffers,
                                             size_t idle_connections_max);

}  // namespace narthex::net
