// Which format a target speaks: the Accept header that asks for one, and the parser for the answer.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "exposition/parser.h"
#include "util/status.h"

namespace narthex::exposition {

// Names of scrape_protocols in the configuration.
inline constexpr std::string_view kPrometheusProto = "PrometheusProto";
inline constexpr std::string_view kPrometheusText004 = "PrometheusText0.0.4";
inline constexpr std::string_view kPrometheusText100 = "PrometheusText1.0.0";
inline constexpr std::string_view kOpenMetricsText001 = "OpenMetricsText0.0.1";
inline constexpr std::string_view kOpenMetricsText100 = "OpenMetricsText1.0.0";
inline constexpr std::string_view kOpenMetricsText200 = "OpenMetricsText2.0.0";

// The Accept value for protocols in order of preference. `escaping` is a scheme's name:
// allow-utf-8, underscores, dots, values.
std::string AcceptHeader(const std::vector<std::string>& protocols, std::string_view escaping);

// "application/openmetrics-text" of "OpenMetricsText1.0.0"; empty for no or an unknown protocol.
std::string_view ProtocolMediaType(std::string_view protocol);

struct ContentTypeOptions {
  // Media type to take when the target's cannot be used; empty for none.
  std::string_view fallback_media_type;
  bool openmetrics2 = false;  // Feature flag.
};

struct ContentType {
  enum class Format : uint8_t { kText, kOpenMetrics, kOpenMetrics2, kProtobuf };
  Format format = Format::kText;
  // Not ok when the fallback had to be used: worth a debug log.
  Status warning;
};

// Chooses the format of a body by its Content-Type. Errors and warnings have upstream's texts.
Result<ContentType> ChooseFormat(std::string_view content_type, const ContentTypeOptions& options);

std::unique_ptr<Parser> CreateParser(ContentType::Format format, std::string_view body,
                                     const ParserOptions& options);

// mime.ParseMediaType: lower-case type, and the value of the parameter `version` (empty without).
struct MediaType {
  std::string type;
  std::string version;
};
Result<MediaType> ParseMediaType(std::string_view text);

}  // namespace narthex::exposition
