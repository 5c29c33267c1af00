// A page of metrics for any HTTP server: a request's headers in, an answer out.
//
//   MetricsHandler handler(registry);
//   HttpResponse response = handler.Handle(accept_header, accept_encoding_header);
//
// For Boost.Beast, or anything with messages of its shape, see adapters.h; for a server that is
// there already, exposer.h. Threads: Handle() from any, several at a time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "narthex/client/exposition.h"
#include "narthex/client/registry.h"

namespace narthex::client {

struct HttpRequest {
  std::string method = "GET";
  std::string path = "/";
  std::string query = {};  // After the question mark, as it was sent.
  Labels headers = {};

  // The first header of that name, whatever its case; empty when there is none.
  std::string_view Header(std::string_view name) const noexcept;
};

struct HttpResponse {
  int status = 200;
  Labels headers = {};
  std::string body = {};

  std::string_view Header(std::string_view name) const noexcept;
};

using HttpHandler = std::function<HttpResponse(const HttpRequest& request)>;

struct HandlerOptions {
  // What to do when collecting left something out.
  enum class OnError : unsigned char {
    kFail,      // 500 with the reasons.
    kContinue,  // What is good is shown; 500 only when there is nothing.
  };
  OnError on_error = OnError::kFail;
  bool open_metrics = true;
  bool created_lines = false;  // `_created` samples in OpenMetrics.
  bool gzip = true;            // For those who accept it.
  int in_flight_max = 0;       // More requests at a time get 503. 0: no limit.
  // Told what was left out. Any thread.
  std::function<void(const std::string& error)> log = {};
  // Where promhttp_metric_handler_requests_total and its like are declared; may be null.
  Registry* self_metrics = nullptr;
};

class MetricsHandler {
 public:
  // `source` and the registry for self metrics outlive the handler.
  explicit MetricsHandler(const Gatherable& source, HandlerOptions options = {});
  ~MetricsHandler();

  HttpResponse Handle(std::string_view accept, std::string_view accept_encoding);
  // The same, with the headers of a request; 405 for methods other than GET and HEAD.
  HttpResponse Handle(const HttpRequest& request);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace narthex::client
