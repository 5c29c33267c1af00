// An HTTP client for scraping, discovery, notifications: libcurl's multi interface on a thread of
// its own. Connections are kept and reused.
//
// Threads: Fetch from any; callbacks run on the client's thread and must not block.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/http_server.h"
#include "util/status.h"

namespace narthex::net {

// How to connect and who to be. Shared by all requests of a scrape pool.
struct HttpClientOptions {
  bool follow_redirects = true;
  bool enable_http2 = true;
  // Basic: "user:password" when user is not empty. Otherwise `authorization` is the whole header
  // value ("Bearer …"). Neither goes to another host by a redirect.
  std::string basic_user;
  std::string basic_password;
  std::string basic_password_file;
  std::string authorization_type = "Bearer";
  std::string authorization_credentials;
  std::string authorization_credentials_file;  // Read anew for each request.
  // TLS.
  std::string ca_file, ca_pem;
  std::string certificate_file, certificate_pem;
  std::string key_file, key_pem;
  std::string server_name;
  bool insecure_skip_verify = false;
  std::string tls_min_version, tls_max_version;  // "TLS10" … "TLS13"; empty: the default.
  // Proxy.
  std::string proxy_url;
  std::string no_proxy;
  bool proxy_from_environment = false;
  std::vector<std::pair<std::string, std::string>> proxy_connect_headers;
  // More header fields of every request.
  std::vector<std::pair<std::string, std::string>> headers;
};

struct HttpClientRequest {
  std::string method = "GET";
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  int64_t timeout_nanos = 30'000'000'000;  // The whole exchange.
  size_t body_bytes_max = 0;               // 0: no bound. Counts bytes as they arrive.
  std::string unix_socket;                 // Path; empty: TCP.
  // If set, the body of a 2xx answer goes here in parts as they arrive, on the client's thread,
  // and neither into the response nor against body_bytes_max. False breaks off (kCanceled).
  std::function<bool(std::string_view part)> on_data;
  std::shared_ptr<const HttpClientOptions> options;  // Null: defaults.
};

struct HttpClientResponse {
  // Not ok when no whole answer came. Texts follow Go: `Get "http://h:1/": dial tcp 127.0.0.1:1:
  // connect: connection refused`, `… context deadline exceeded`. kLimitExceeded: body too large.
  Status error;
  int status = 0;
  std::string status_text;  // "200 OK", as received.
  Headers headers;
  std::string body;  // Still encoded as Content-Encoding says.
};

class HttpClient {
 public:
  using Callback = std::function<void(HttpClientResponse)>;
  using RequestId = uint64_t;

  explicit HttpClient(size_t idle_connections_max = 4096);
  // Cancels what is in flight (each callback runs with kCanceled), then joins.
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  RequestId Fetch(HttpClientRequest request, Callback done);
  // The callback still runs, with kCanceled, unless the answer was already on its way.
  void Cancel(RequestId id);
  // Fetch and wait; for tools and tests.
  HttpClientResponse FetchSync(HttpClientRequest request);
  // Takes the memory of an answer's body back, for those to come: large bodies cost more to
  // allocate than to receive. A few are kept.
  void Recycle(std::string body);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace narthex::net
