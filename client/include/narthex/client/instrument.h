// Measuring the handlers of an HTTP server.
//
//   HttpMetrics metrics(registry, "http");
//   options.handlers["/api"] = metrics.Wrap("/api", handler);
//
// or, in a server of one's own, around each request:
//
//   const auto call = metrics.Begin("/api");
//   …
//   call.End("GET", 200, response.size());
//
// Declares, with the prefix `http`:
//   http_requests_total{handler,method,code}   http_request_duration_seconds{handler,method}
//   http_response_size_bytes{handler}          http_requests_in_flight{handler}
//
// Methods that HTTP does not know count as `unknown`, so that clients cannot make series. Threads:
// all.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "narthex/client/counter.h"
#include "narthex/client/family.h"
#include "narthex/client/gauge.h"
#include "narthex/client/handler.h"
#include "narthex/client/histogram.h"

namespace narthex::client {

class HttpMetrics {
 public:
  // `duration`: the buckets of the duration; the default ones when left out.
  HttpMetrics(Registry& registry, const std::string& prefix, const HistogramOptions& duration = {});

  // One request. In flight until it is destroyed.
  class Call {
   public:
    // Once. `body_bytes`: of the response.
    void End(std::string_view method, int status, size_t body_bytes) const;

   private:
    friend class HttpMetrics;
    Call(const HttpMetrics& metrics, std::string handler);

    const HttpMetrics& metrics_;
    const std::string handler_;
    const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
    const Gauge::Tracker in_flight_;
  };
  Call Begin(std::string handler) const { return Call(*this, std::move(handler)); }

  // The same handler, measured. The metrics outlive it.
  HttpHandler Wrap(std::string name, HttpHandler handler) const;

 private:
  Family<Counter> requests_;
  Family<Histogram> duration_;
  Family<Histogram> size_;
  Family<Gauge> in_flight_;
};

}  // namespace narthex::client
