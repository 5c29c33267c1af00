// An HTTP client for scraping, discovery and notifications, on a reactor's thread of its own.
//
//   Fetch ─▶ credentials, headers ─▶ a transport: one exchange ─▶ answer ─▶ callback
//              ▲  files read anew                                  │
//              └──────────── redirect, up to ten times ────────────┘
//
// Connections are kept and reused. Every redirect is an exchange of its own, so that it is signed
// anew and, from the first that leaves the host on, carries no credentials.
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

#include "net/aws_signer.h"
#include "net/http_server.h"
#include "net/proxy.h"
#include "util/status.h"

namespace narthex::net {

struct HttpClientRequest;
class HttpClient;
class Reactor;

// Finds what proves who asks where that takes more than reading a file: OAuth2 tokens, AWS
// signatures. One serves many requests at once.
class RequestAuthorizer {
 public:
  virtual ~RequestAuthorizer() = default;
  // The header fields to add. `client` is who will send `request`, which is as it will be sent and
  // valid during the call only; `done` runs once, on any thread, perhaps from within.
  virtual void Authorize(HttpClient& client, const HttpClientRequest& request,
                         std::function<void(Result<HeaderFields>)> done) = 0;
};

// A header field of every request: a fixed value, or a file's.
struct HeaderSource {
  std::string name;
  std::string value;
  std::string file;
};

// How to connect and who to be. Shared by all requests of a scrape pool. All files are looked at
// for each request, and read again when they have changed.
struct HttpClientOptions {
  bool follow_redirects = true;
  bool enable_http2 = true;
  bool http2_prior_knowledge = false;  // HTTP/2 without TLS, as gRPC servers speak it.
  // Who asks, the first of these that is set. None goes to another host by a redirect.
  std::string basic_user, basic_user_file;
  std::string basic_password, basic_password_file;
  bool use_authorization = false;  // Even with empty credentials.
  std::string authorization_type = "Bearer";
  std::string authorization_credentials;
  std::string authorization_credentials_file;
  std::shared_ptr<RequestAuthorizer> authorizer;
  // TLS.
  std::string ca_file, ca_pem;
  std::string certificate_file, certificate_pem;
  std::string key_file, key_pem;
  std::string server_name;
  bool insecure_skip_verify = false;
  std::string tls_min_version, tls_max_version;  // "TLS10" … "TLS13"; empty: the default.
  ProxySettings proxy;
  std::vector<std::pair<std::string, std::string>> proxy_connect_headers;
  std::vector<HeaderSource> headers;
};

// Upstream looks at certificates when it makes a client: `unable to use specified CA cert FILE`, ….
Status CheckTlsFiles(const HttpClientOptions& options);

struct HttpClientRequest {
  std::string method = "GET";
  std::string url;
  HeaderFields headers;
  // More of them, the same for many requests: not copied while nothing has to be changed.
  std::shared_ptr<const HeaderFields> shared_headers;
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

  // On the client's own thread `done` may run before Fetch returns.
  RequestId Fetch(HttpClientRequest request, Callback done);
  // The callback still runs, with kCanceled, unless the answer was already on its way; never
  // before Cancel returns.
  void Cancel(RequestId id);
  // Fetch and wait; for tools and tests.
  HttpClientResponse FetchSync(HttpClientRequest request);
  // Takes the memory of an answer's body back, for those to come: large bodies cost more to
  // allocate than to receive. A few are kept.
  void Recycle(std::string body);
  // The thread that requests run on; what starts them may do so too.
  Reactor& reactor();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace narthex::net
