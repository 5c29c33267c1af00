#include "tracing/otlp_exporter.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "util/compress.h"
#include "util/log.h"
#include "util/numbers.h"
#include "util/time.h"

namespace narthex::tracing {
namespace {

constexpr size_t kQueueMax = 2048;
constexpr size_t kBatchMax = 512;
constexpr double kBackoffFactor = 1.5;
constexpr int64_t kBackoffMaxNanos = 30'000'000'000;
constexpr size_t kAnswerBytesMax = 64 << 10;
constexpr char kGrpcPath[] = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
constexpr char kHttpPath[] = "/v1/traces";

// As OpenTelemetry's TraceIDRatioBased: 63 bits of the name decide.
uint64_t SampledBelow(double fraction) {
  if (!(fraction > 0)) return 0;
  constexpr auto kEverything = uint64_t{1} << 63;
  return fraction >= 1 ? kEverything : static_cast<uint64_t>(std::ldexp(fraction, 63));
}

// Codes of gRPC after which OTLP allows another try.
bool MayRepeat(uint64_t grpc_status) {
  switch (grpc_status) {
    case 1:                // CANCELLED
    case 4:                // DEADLINE_EXCEEDED
    case 8:                // RESOURCE_EXHAUSTED
    case 10:               // ABORTED
    case 11:               // OUT_OF_RANGE
    case 14:               // UNAVAILABLE
    case 15: return true;  // DATA_LOSS
    default: return false;
  }
}

}  // namespace

OtlpExporter::OtlpExporter(OtlpOptions options, std::shared_ptr<SpanCounters> counters)
    : options_(std::move(options)),
      counters_(std::move(counters)),
      sampled_below_(SampledBelow(options_.sampling_fraction)) {
  auto client = options_.client != nullptr ? *options_.client : net::HttpClientOptions();
  client.follow_redirects = false;
  client.http2_prior_knowledge =
      options_.protocol == OtlpOptions::Protocol::kGrpc && options_.insecure;
  client_options_ = std::make_shared<const net::HttpClientOptions>(std::move(client));
  thread_ = std::thread([this] { Run(); });
}

OtlpExporter::~OtlpExporter() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    stop_at_nanos_ = MonotonicNanos() + options_.shutdown_nanos;
  }
  changed_.notify_all();
  thread_.join();
}

bool OtlpExporter::Samples(const TraceContext& context) {
  return context.trace_low >> 1 < sampled_below_;
}

void OtlpExporter::Record(FinishedSpan span) {
  size_t queued = 0;
  {
    const std::lock_guard lock(mutex_);
    if (queue_.size() >= kQueueMax) {
      counters_->dropped.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    queue_.push_back(std::move(span));
    queued = queue_.size();
  }
  if (queued == kBatchMax) changed_.notify_all();
}

void OtlpExporter::Run() {
  std::vector<FinishedSpan> batch;
  for (;;) {
    batch.clear();
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, std::chrono::nanoseconds(options_.batch_delay_nanos),
                        [this] { return stopping_ || queue_.size() >= kBatchMax; });
      const size_t count = std::min(queue_.size(), kBatchMax);
      if (count == 0) {
        if (stopping_) return;
        continue;
      }
      const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(count);
      std::move(queue_.begin(), end, std::back_inserter(batch));
      queue_.erase(queue_.begin(), end);
    }
    const Status status = Export(batch);
    if (status.ok()) continue;
    counters_->failed.fetch_add(batch.size(), std::memory_order_relaxed);
    LOG_ERROR("OpenTelemetry handler returned an error",
              {"err", "traces export: " + status.message()});
  }
}

Status OtlpExporter::Export(const std::vector<FinishedSpan>& batch) {
  std::string body = EncodeSpans(options_.resource, batch);
  if (options_.gzip) body = GzipCompress(body);
  if (options_.protocol == OtlpOptions::Protocol::kGrpc) body = GrpcFrame(body, options_.gzip);
  const int64_t give_up = MonotonicNanos() + options_.retry_max_nanos;
  int64_t delay = options_.retry_delay_nanos;
  for (;;) {
    bool again = false;
    Status status = Send(body, &again);
    if (status.ok()) {
      counters_->exported.fetch_add(batch.size(), std::memory_order_relaxed);
      return {};
    }
    std::unique_lock lock(mutex_);
    const int64_t until = stopping_ ? std::min(stop_at_nanos_, give_up) : give_up;
    if (!again || MonotonicNanos() + delay > until) return status;
    // The end of the exporter shortens the wait, and is the last try's time.
    changed_.wait_for(lock, std::chrono::nanoseconds(delay), [this] { return stopping_; });
    delay = std::min(static_cast<int64_t>(static_cast<double>(delay) * kBackoffFactor),
                     kBackoffMaxNanos);
  }
}

Status OtlpExporter::Send(const std::string& body, bool* again) {
  const bool grpc = options_.protocol == OtlpOptions::Protocol::kGrpc;
  net::HttpClientRequest request;
  request.method = "POST";
  request.url = std::string(options_.insecure ? "http://" : "https://") + options_.endpoint +
                (grpc ? kGrpcPath : kHttpPath);
  request.headers = options_.headers;
  const auto add = [&](const char* name, std::string value) {
    request.headers.emplace_back(name, std::move(value));
  };
  add("User-Agent", "narthex/" + options_.resource.service_version);
  if (grpc) {
    add("Content-Type", "application/grpc");
    add("TE", "trailers");
    if (options_.gzip) add("Grpc-Encoding", "gzip");
  } else {
    add("Content-Type", "application/x-protobuf");
    if (options_.gzip) add("Content-Encoding", "gzip");
  }
  request.body = body;
  request.timeout_nanos = options_.timeout_nanos;
  request.body_bytes_max = kAnswerBytesMax;
  request.options = client_options_;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) {
      request.timeout_nanos =
          std::clamp<int64_t>(stop_at_nanos_ - MonotonicNanos(), 1'000'000, options_.timeout_nanos);
    }
  }
  return CheckAnswer(client_.FetchSync(std::move(request)), again);
}

Status OtlpExporter::CheckAnswer(const net::HttpClientResponse& response, bool* again) {
  *again = true;
  if (!response.error.ok()) return response.error;
  *again = response.status == 429 || (response.status >= 502 && response.status <= 504);
  if (response.status / 100 != 2) {
    return MakeError(ErrorCode::kUnavailable, "failed to send to {}: {}", options_.endpoint,
                     response.status_text);
  }
  std::string_view message = response.body;
  if (options_.protocol == OtlpOptions::Protocol::kGrpc) {
    const uint64_t code = ParseUint(response.headers.Get("grpc-status")).value_or(2);
    if (code != 0) {
      *again = MayRepeat(code);
      return MakeError(ErrorCode::kUnavailable, "rpc error: code = {} desc = {}", code,
                       response.headers.Get("grpc-message"));
    }
    NARTHEX_TRY(message, GrpcMessage(response.body));
  }
  NARTHEX_TRY(const OtlpRefusal refusal, DecodeExportResponse(message));
  if (refusal.spans > 0 || !refusal.reason.empty()) {
    LOG_WARN("The collector did not take all spans", {"spans", refusal.spans},
             {"reason", refusal.reason});
  }
  return {};
}

}  // namespace narthex::tracing
