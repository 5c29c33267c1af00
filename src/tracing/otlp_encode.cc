#include "tracing/otlp_encode.h"

#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>
#include <type_traits>

#include "util/bytes.h"

namespace narthex::tracing {
namespace {

constexpr std::string_view kSchemaUrl = "https://opentelemetry.io/schemas/1.43.0";
constexpr int32_t kStatusError = 2;
constexpr uint32_t kFlagSampled = 1;

std::string BigEndian(uint64_t high, uint64_t low) {
  std::string bytes;
  ByteWriter writer(&bytes);
  writer.PutBigEndian64(high);
  writer.PutBigEndian64(low);
  return bytes;
}

std::string BigEndian(uint64_t value) {
  std::string bytes;
  ByteWriter(&bytes).PutBigEndian64(value);
  return bytes;
}

void AddAttribute(protozero::pbf_writer& message, protozero::pbf_tag_type tag, std::string_view key,
                  const SpanValue& value) {
  protozero::pbf_writer attribute(message, tag);
  attribute.add_string(1, key.data(), key.size());
  protozero::pbf_writer any(attribute, 2);
  std::visit(
      [&](const auto& v) {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, bool>) any.add_bool(2, v);
        if constexpr (std::is_same_v<T, int64_t>) any.add_int64(3, v);
        if constexpr (std::is_same_v<T, double>) any.add_double(4, v);
        if constexpr (std::is_same_v<T, std::string>) any.add_string(1, v);
      },
      value);
}

void AddSpan(protozero::pbf_writer& scope, const FinishedSpan& span) {
  protozero::pbf_writer out(scope, 2);
  out.add_bytes(1, BigEndian(span.context.trace_high, span.context.trace_low));
  out.add_bytes(2, BigEndian(span.context.span));
  if (span.parent != 0) out.add_bytes(4, BigEndian(span.parent));
  out.add_string(5, span.name);
  out.add_enum(6, static_cast<int32_t>(span.kind));
  out.add_fixed64(7, static_cast<uint64_t>(span.start_nanos));
  out.add_fixed64(8, static_cast<uint64_t>(span.end_nanos));
  for (const auto& [key, value] : span.attributes) AddAttribute(out, 9, key, value);
  if (span.failed) {
    protozero::pbf_writer status(out, 15);
    status.add_string(2, span.error);
    status.add_enum(3, kStatusError);
  }
  out.add_fixed32(16, kFlagSampled);
}

}  // namespace

std::string EncodeSpans(const OtlpResource& resource, std::span<const FinishedSpan> spans) {
  std::string bytes;
  protozero::pbf_writer request(bytes);
  protozero::pbf_writer resource_spans(request, 1);
  {
    protozero::pbf_writer attributes(resource_spans, 1);
    const auto add = [&](std::string_view key, std::string_view value) {
      AddAttribute(attributes, 1, key, std::string(value));
    };
    add("service.name", resource.service_name);
    add("service.version", resource.service_version);
    add("telemetry.sdk.language", "cpp");
    add("telemetry.sdk.name", "narthex");
    add("telemetry.sdk.version", resource.service_version);
  }
  {
    protozero::pbf_writer scope_spans(resource_spans, 2);
    {
      const protozero::pbf_writer scope(scope_spans, 1);
    }
    for (const FinishedSpan& span : spans) AddSpan(scope_spans, span);
  }
  resource_spans.add_string(3, kSchemaUrl.data(), kSchemaUrl.size());
  return bytes;
}

Result<OtlpRefusal> DecodeExportResponse(std::string_view bytes) {
  OtlpRefusal refusal;
  try {
    protozero::pbf_reader response(bytes.data(), bytes.size());
    while (response.next(1)) {
      protozero::pbf_reader partial = response.get_message();
      while (partial.next()) {
        switch (partial.tag()) {
          case 1: refusal.spans = partial.get_int64(); break;
          case 2: refusal.reason = partial.get_string(); break;
          default: partial.skip();
        }
      }
    }
  } catch (const protozero::exception& error) {
    return MakeError(ErrorCode::kCorruption, "malformed answer of the collector: {}", error.what());
  }
  return refusal;
}

std::string GrpcFrame(std::string_view message, bool compressed) {
  std::string frame;
  frame.reserve(message.size() + 5);
  frame.push_back(compressed ? '\1' : '\0');
  ByteWriter(&frame).PutBigEndian32(static_cast<uint32_t>(message.size()));
  frame.append(message);
  return frame;
}

Result<std::string_view> GrpcMessage(std::string_view stream) {
  if (stream.size() < 5) return Status(ErrorCode::kCorruption, "gRPC message is cut short");
  if (stream[0] != '\0') {
    return Status(ErrorCode::kCorruption, "gRPC message is compressed, which nobody asked for");
  }
  const uint32_t size = LoadBigEndian32(stream.data() + 1);
  if (stream.size() - 5 < size) return Status(ErrorCode::kCorruption, "gRPC message is cut short");
  return stream.substr(5, size);
}

}  // namespace narthex::tracing
