#include "narthex/client/instrument.h"

#include <algorithm>
#include <cctype>

namespace narthex::client {
namespace {

// As client_golang: lower case, and one word for all methods that are none.
std::string MethodLabel(std::string_view method) {
  std::string lower(method);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const char* known :
       {"get", "put", "head", "post", "delete", "connect", "options", "notify", "trace", "patch"}) {
    if (lower == known) return lower;
  }
  return "unknown";
}

}  // namespace

HttpMetrics::HttpMetrics(Registry& registry, const std::string& prefix,
                         const HistogramOptions& duration)
    : requests_(registry,
                {prefix + "_requests_total", "HTTP requests by handler, method and status code."},
                {"handler", "method", "code"}),
      duration_(registry, {prefix + "_request_duration_seconds", "Time to answer HTTP requests."},
                {"handler", "method"}, duration),
      size_(registry, {prefix + "_response_size_bytes", "Size of the bodies of HTTP responses."},
            {"handler"}, HistogramOptions{}.WithBuckets(ExponentialBuckets(100, 10, 7))),
      in_flight_(registry, {prefix + "_requests_in_flight", "HTTP requests that run now."},
                 {"handler"}) {}

HttpMetrics::Call::Call(const HttpMetrics& metrics, std::string handler)
    : metrics_(metrics),
      handler_(std::move(handler)),
      in_flight_(metrics.in_flight_.WithLabels({handler_}).Track()) {}

void HttpMetrics::Call::End(std::string_view method, int status, size_t body_bytes) const {
  const std::string method_label = MethodLabel(method);
  metrics_.requests_.WithLabels({handler_, method_label, std::to_string(status)}).Inc();
  metrics_.duration_.WithLabels({handler_, method_label})
      .Observe(std::chrono::steady_clock::now() - start_);
  metrics_.size_.WithLabels({handler_}).Observe(static_cast<double>(body_bytes));
}

HttpHandler HttpMetrics::Wrap(std::string name, HttpHandler handler) const {
  return [this, name = std::move(name), handler = std::move(handler)](const HttpRequest& request) {
    const Call call = Begin(name);
    try {
      HttpResponse response = handler(request);
      call.End(request.method, response.status, response.body.size());
      return response;
    } catch (...) {
      call.End(request.method, 500, 0);
      throw;
    }
  };
}

}  // namespace narthex::client
