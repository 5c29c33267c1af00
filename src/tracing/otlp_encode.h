// Spans as OTLP has them: opentelemetry.proto.collector.trace.v1.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "util/status.h"
#include "util/trace.h"

namespace narthex::tracing {

// Who the spans are of: attributes service.name, service.version, telemetry.sdk.*.
struct OtlpResource {
  std::string service_name;
  std::string service_version;
};

// ExportTraceServiceRequest.
std::string EncodeSpans(const OtlpResource& resource, std::span<const FinishedSpan> spans);

// The answer to it (ExportTraceServiceResponse): how many spans the collector refused, and why.
struct OtlpRefusal {
  int64_t spans = 0;
  std::string reason;
};
Result<OtlpRefusal> DecodeExportResponse(std::string_view bytes);

// One message of a gRPC stream: a byte that tells whether it is compressed, 32 bits of length.
std::string GrpcFrame(std::string_view message, bool compressed);
// The first message of a stream. kCorruption when it is cut short or compressed.
Result<std::string_view> GrpcMessage(std::string_view stream);

}  // namespace narthex::tracing
