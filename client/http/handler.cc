#include "narthex/client/handler.h"

#include <atomic>

#include "http_text.h"
#include "narthex/client/counter.h"
#include "narthex/client/family.h"
#include "narthex/client/gauge.h"

namespace narthex::client {

struct MetricsHandler::Impl {
  Impl(const Gatherable& from, HandlerOptions handler_options)
      : source(from), options(std::move(handler_options)) {
    if (options.self_metrics == nullptr) return;
    Registry& registry = *options.self_metrics;
    // The names and words of promhttp.
    requests = {
        registry,
        {"promhttp_metric_handler_requests_total", "Total number of scrapes by HTTP status code."},
        {"code"}};
    running = {
        registry,
        {"promhttp_metric_handler_requests_in_flight", "Current number of scrapes being served."}};
    failures = {registry,
                {"promhttp_metric_handler_errors_total",
                 "Total number of internal errors encountered by the promhttp metric handler."},
                {"cause"}};
    for (const char* code : {"200", "500", "503"}) requests.WithLabels({code});
    for (const char* cause : {"gathering", "encoding"}) failures.WithLabels({cause});
  }

  HttpResponse Answer(std::string_view accept, std::string_view accept_encoding);

  const Gatherable& source;
  const HandlerOptions options;
  std::atomic<int> in_flight{0};
  Family<Counter> requests;
  Gauge running;
  Family<Counter> failures;
};

namespace {

HttpResponse Plain(int status, std::string text) {
  return {status,
          {{"Content-Type", "text/plain; charset=utf-8"}, {"X-Content-Type-Options", "nosniff"}},
          std::move(text)};
}

std::string Join(const std::vector<std::string>& errors) {
  if (errors.size() == 1) return errors[0];
  std::string out = std::to_string(errors.size()) + " error(s) occurred:";
  for (const std::string& error : errors) out += "\n* " + error;
  return out;
}

}  // namespace

HttpResponse MetricsHandler::Impl::Answer(std::string_view accept,
                                          std::string_view accept_encoding) {
  const Format format =
      Negotiate(accept, options.open_metrics ? OpenMetricsFormats() : DefaultFormats());
  EncodedPage page = EncodePage(source, format, EncodeOptions{options.created_lines});
  if (options.self_metrics != nullptr) {
    if (!page.gathering_errors.empty()) failures.WithLabels({"gathering"}).Inc();
    failures.WithLabels({"encoding"}).Inc(static_cast<double>(page.encoding_errors.size()));
  }
  std::vector<std::string> errors = std::move(page.gathering_errors);
  errors.insert(errors.end(), page.encoding_errors.begin(), page.encoding_errors.end());
  std::string body = std::move(page.body);
  if (!errors.empty()) {
    const std::string joined = Join(errors);
    if (options.log) options.log(joined);
    if (options.on_error == HandlerOptions::OnError::kFail || page.family_count == 0) {
      return Plain(500, "An error has occurred while serving metrics:\n\n" + joined + "\n");
    }
  }
  HttpResponse response{200, {{"Content-Type", format.ContentType()}}, {}};
  response.headers.push_back({"Vary", "Accept, Accept-Encoding"});
  if (options.gzip && PrefersGzip(accept_encoding)) {
    if (std::string packed = Gzip(body); !packed.empty()) {
      response.headers.push_back({"Content-Encoding", "gzip"});
      body = std::move(packed);
    }
  }
  response.body = std::move(body);
  return response;
}

MetricsHandler::MetricsHandler(const Gatherable& source, HandlerOptions options)
    : impl_(std::make_unique<Impl>(source, std::move(options))) {}

MetricsHandler::~MetricsHandler() = default;

HttpResponse MetricsHandler::Handle(std::string_view accept, std::string_view accept_encoding) {
  const int limit = impl_->options.in_flight_max;
  const bool refused = impl_->in_flight.fetch_add(1) >= limit && limit > 0;
  HttpResponse response;
  if (refused) {
    response = Plain(503, "Limit of concurrent requests reached (" + std::to_string(limit) +
                              "), try again later.\n");
  } else {
    const auto running = impl_->running.Track();
    response = impl_->Answer(accept, accept_encoding);
  }
  impl_->in_flight.fetch_sub(1);
  if (impl_->options.self_metrics != nullptr) {
    impl_->requests.WithLabels({std::to_string(response.status)}).Inc();
  }
  return response;
}

HttpResponse MetricsHandler::Handle(const HttpRequest& request) {
  if (request.method != "GET" && request.method != "HEAD") {
    HttpResponse response = Plain(405, "Method Not Allowed\n");
    response.headers.push_back({"Allow", "GET, HEAD"});
    return response;
  }
  return Handle(request.Header("Accept"), request.Header("Accept-Encoding"));
}

}  // namespace narthex::client
