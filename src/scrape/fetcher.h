// What scraping needs of the network and of time: two small interfaces, so that it runs in tests
// without either. src/net implements them over libcurl and Asio; apps/ connects the two.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "config/http_client_config.h"
#include "util/status.h"

namespace narthex::scrape {

// How to connect and authenticate, prepared once for a pool. Opaque to scraping.
class HttpClientHandle {
 public:
  virtual ~HttpClientHandle() = default;
};

using FetchHeaders = std::vector<std::pair<std::string, std::string>>;

struct FetchRequest {
  std::string url;
  std::shared_ptr<const FetchHeaders> headers;  // The same for all scrapes of a target.
  std::string traceparent;                      // A header field of that name; empty: none.
  int64_t timeout_nanos = 0;                    // The whole exchange.
  size_t body_bytes_max = 0;                    // Of the body as it arrives; 0: no bound.
  std::string unix_socket;  // Path to connect to instead of the URL's host; empty: none.
  std::shared_ptr<const HttpClientHandle> client;
};

struct FetchResponse {
  // Not ok: no answer came, and this is why, in Go's words. kCanceled: Cancel() was called.
  // kLimitExceeded: the body was too large.
  Status error;
  int status = 0;
  std::string status_text;  // "500 Internal Server Error", as received.
  std::string content_type;
  std::string content_encoding;
  std::string body;  // Still encoded.
};

class Fetcher {
 public:
  using Callback = std::function<void(FetchResponse)>;
  using RequestId = uint64_t;
  virtual ~Fetcher() = default;

  // Errors are those of the configuration (certificates that cannot be read, …).
  virtual Result<std::shared_ptr<const HttpClientHandle>> CreateClient(
      const HttpClientConfig& config) = 0;
  // `done` runs exactly once, on a thread of the fetcher, perhaps before Fetch returns; it does
  // not block. Safe from any thread.
  virtual RequestId Fetch(FetchRequest request, Callback done) = 0;
  // Makes the callback come soon, with kCanceled unless the answer is there already.
  virtual void Cancel(RequestId id) = 0;
  // A body that was read: its memory may serve another.
  virtual void Recycle(std::string&& /*body*/) {}
};

class TimerService {
 public:
  using TimerId = uint64_t;
  virtual ~TimerService() = default;
  // Runs `function` once after the delay, on a thread of the service; it does not block. Ids are
  // never 0. Safe from any thread.
  virtual TimerId RunAfter(int64_t delay_nanos, std::function<void()> function) = 0;
  // After true the function will not run.
  virtual bool Cancel(TimerId id) = 0;
};

}  // namespace narthex::scrape
