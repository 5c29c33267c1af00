// Sends spans to an OTLP collector: batches of them, from a thread of its own.
//
// Specification: OTLP 1.x over HTTP (POST /v1/traces) and gRPC (TraceService/Export), with the
// defaults of upstream's exporter: a queue of 2,048 spans, batches of 512, every five seconds;
// ten seconds a request; what may be repeated is, for a minute.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "net/http_client.h"
#include "tracing/otlp_encode.h"
#include "util/trace.h"

namespace narthex::tracing {

struct OtlpOptions {
  enum class Protocol : uint8_t { kGrpc, kHttp };
  Protocol protocol = Protocol::kGrpc;
  std::string endpoint;   // "host:port"
  bool insecure = false;  // Without TLS.
  bool gzip = false;
  double sampling_fraction = 0;  // Of the traces that begin here.
  int64_t timeout_nanos = 10'000'000'000;
  net::HeaderFields headers;
  std::shared_ptr<const net::HttpClientOptions> client;  // TLS; null: defaults.
  OtlpResource resource;
  // Others than these are for tests.
  int64_t batch_delay_nanos = 5'000'000'000;
  int64_t retry_delay_nanos = 5'000'000'000;
  int64_t retry_max_nanos = 60'000'000'000;
  int64_t shutdown_nanos = 5'000'000'000;
};

// What became of spans; outlives the exporters that count here.
struct SpanCounters {
  std::atomic<uint64_t> exported{0};
  std::atomic<uint64_t> failed{0};   // The collector refused them, or was not there.
  std::atomic<uint64_t> dropped{0};  // The queue was full.
};

class OtlpExporter : public SpanRecorder {
 public:
  OtlpExporter(OtlpOptions options, std::shared_ptr<SpanCounters> counters);
  // Sends what is queued, for five seconds at most.
  ~OtlpExporter() override;
  OtlpExporter(const OtlpExporter&) = delete;
  OtlpExporter& operator=(const OtlpExporter&) = delete;

  bool Samples(const TraceContext& context) override;
  void Record(FinishedSpan span) override;

 private:
  void Run();
  // Until it is done or has failed for good.
  Status Export(const std::vector<FinishedSpan>& batch);
  // One try. *again: another may succeed.
  Status Send(const std::string& body, bool* again);
  Status CheckAnswer(const net::HttpClientResponse& response, bool* again);

  const OtlpOptions options_;
  const std::shared_ptr<SpanCounters> counters_;
  const uint64_t sampled_below_;  // Of the lower half of a trace's name, shifted by one.
  std::shared_ptr<const net::HttpClientOptions> client_options_;
  net::HttpClient client_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<FinishedSpan> queue_;  // Guarded by mutex_, as are the next two.
  bool stopping_ = false;
  int64_t stop_at_nanos_ = 0;  // Monotonic.
  std::thread thread_;
};

}  // namespace narthex::tracing
