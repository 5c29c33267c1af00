// HTTP as discovery needs it: one asynchronous request, bounded in time and size. The program hands
// in an implementation over its HTTP client; tests hand in a script.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/http_client_config.h"
#include "util/status.h"

namespace narthex {

struct FetchRequest {
  std::string method = "GET";
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  int64_t timeout_nanos = 0;
  uint64_t body_bytes_max = 0;  // A longer answer is an error of code kLimitExceeded.
  std::string unix_socket;      // Path; empty: TCP.
  // If set, the body of a 2xx answer goes here in parts as they arrive, from any thread, rather
  // than into the response, and is not bounded. False breaks off.
  std::function<bool(std::string_view part)> on_data;
  // Authentication, TLS, proxy, redirects. Never null.
  std::shared_ptr<const HttpClientConfig> client;
};

struct FetchResponse {
  int status_code = 0;
  std::string status;  // "404 Not Found".
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;  // Decoded if the server compressed it.

  // The first header of that name in any case, or "".
  std::string_view Header(std::string_view name) const;
};

class HttpFetcher {
 public:
  using RequestId = uint64_t;
  virtual ~HttpFetcher() = default;
  // Starts a request; calls `done` once, from any thread, possibly before Fetch returns. Errors are
  // those of the transport; an answer with status 500 is a response.
  virtual RequestId Fetch(FetchRequest request,
                          std::function<void(Result<FetchResponse>)> done) = 0;
  // `done` is still called, with kCanceled, unless it was already.
  virtual void Cancel(RequestId id) = 0;
};

}  // namespace narthex
