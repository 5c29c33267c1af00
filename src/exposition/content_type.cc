#include "exposition/content_type.h"

#include <algorithm>
#include <array>

#include "util/strings.h"

namespace narthex::exposition {
namespace {

constexpr std::string_view kTextType = "text/plain";
constexpr std::string_view kOpenMetricsType = "application/openmetrics-text";
constexpr std::string_view kProtobufType = "application/vnd.google.protobuf";
constexpr std::string_view kVersion2 = "2.0.0";

struct Protocol {
  std::string_view name;
  std::string_view media_type;
  std::string_view header;
  bool escaping;  // Understands the escaping parameter.
};

constexpr std::array<Protocol, 6> kProtocols = {{
    {kPrometheusProto, kProtobufType,
     "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
     false},
    {kPrometheusText004, kTextType, "text/plain;version=0.0.4", false},
    {kPrometheusText100, kTextType, "text/plain;version=1.0.0", true},
    {kOpenMetricsText001, kOpenMetricsType, "application/openmetrics-text;version=0.0.1", false},
    {kOpenMetricsText100, kOpenMetricsType, "application/openmetrics-text;version=1.0.0", true},
    {kOpenMetricsText200, kOpenMetricsType, "application/openmetrics-text;version=2.0.0", true},
}};

const Protocol* FindProtocol(std::string_view name) {
  const auto* found = std::find_if(kProtocols.begin(), kProtocols.end(),
                                   [name](const Protocol& p) { return p.name == name; });
  return found == kProtocols.end() ? nullptr : found;
}

bool IsTokenChar(char c) {
  return c > ' ' && c < 0x7f &&
         std::string_view("()<>@,;:\\\"/[]?=").find(c) == std::string_view::npos;
}

std::string_view TakeToken(std::string_view* text) {
  size_t size = 0;
  while (size < text->size() && IsTokenChar((*text)[size])) ++size;
  const std::string_view token = text->substr(0, size);
  text->remove_prefix(size);
  return token;
}

void TrimLeft(std::string_view* text) {
  while (!text->empty() && (text->front() == ' ' || text->front() == '\t')) {
    text->remove_prefix(1);
  }
}

// ;name=token or ;name="quoted". False when there is none of that form.
bool TakeParameter(std::string_view* text, std::string* name, std::string* value) {
  std::string_view rest = *text;
  TrimLeft(&rest);
  if (!rest.starts_with(';')) return false;
  rest.remove_prefix(1);
  TrimLeft(&rest);
  *name = ToLower(TakeToken(&rest));
  if (name->empty()) return false;
  TrimLeft(&rest);
  if (!rest.starts_with('=')) return false;
  rest.remove_prefix(1);
  TrimLeft(&rest);
  value->clear();
  if (!rest.starts_with('"')) {
    *value = TakeToken(&rest);
    if (value->empty()) return false;
    *text = rest;
    return true;
  }
  for (size_t i = 1; i < rest.size(); ++i) {
    if (rest[i] == '"') {
      *text = rest.substr(i + 1);
      return true;
    }
    if (rest[i] == '\\' && i + 1 < rest.size()) ++i;
    value->push_back(rest[i]);
  }
  return false;
}

Status MimeError(std::string_view text) {
  return MakeError(ErrorCode::kInvalidInput, "mime: {}", text);
}

}  // namespace

std::string AcceptHeader(const std::vector<std::string>& protocols, std::string_view escaping) {
  // Weights fall from a fixed one, so that the same protocol list always reads the same.
  size_t weight = kProtocols.size() + 1;
  std::string header;
  for (const std::string& name : protocols) {
    const Protocol* protocol = FindProtocol(name);
    if (protocol == nullptr) continue;
    header += protocol->header;
    if (protocol->escaping) header += ";escaping=" + std::string(escaping);
    header += ";q=0." + std::to_string(weight--) + ",";
  }
  return header + "*/*;q=0." + std::to_string(weight);
}

std::string_view ProtocolMediaType(std::string_view protocol) {
  const Protocol* found = FindProtocol(protocol);
  return found == nullptr ? std::string_view() : found->media_type;
}

Result<MediaType> ParseMediaType(std::string_view text) {
  MediaType media;
  const std::string_view base = text.substr(0, text.find(';'));
  media.type = ToLower(TrimSpace(base));
  std::string_view rest = media.type;
  if (TakeToken(&rest).empty()) return MimeError("no media type");
  if (!rest.empty()) {
    if (rest.front() != '/') return MimeError("expected slash after first token");
    rest.remove_prefix(1);
    if (TakeToken(&rest).empty()) return MimeError("expected token after slash");
    if (!rest.empty()) return MimeError("unexpected content after media subtype");
  }
  rest = text.substr(base.size());
  std::vector<std::string> seen;
  while (!rest.empty()) {
    TrimLeft(&rest);
    if (rest.empty()) break;
    std::string name;
    std::string value;
    if (!TakeParameter(&rest, &name, &value)) {
      // A trailing semicolon is ignored.
      if (TrimSpace(rest) == ";") break;
      return MimeError("invalid media parameter");
    }
    if (std::find(seen.begin(), seen.end(), name) != seen.end()) {
      return MimeError("duplicate parameter name");
    }
    if (name == "version") media.version = value;
    seen.push_back(std::move(name));
  }
  return media;
}

namespace {

// The fallback's media type was checked with the configuration.
Result<ContentType> Fallback(std::string_view media_type, Status warning) {
  ContentType result;
  result.warning = std::move(warning);
  if (media_type == kOpenMetricsType) {
    result.format = ContentType::Format::kOpenMetrics;
  } else if (media_type == kProtobufType) {
    result.format = ContentType::Format::kProtobuf;
  }
  return result;
}

}  // namespace

Result<ContentType> ChooseFormat(std::string_view content_type, const ContentTypeOptions& options) {
  const std::string_view fallback = options.fallback_media_type;
  const std::string quoted = GoQuote(content_type);
  // `without` and `with` are the endings for a missing and a present fallback.
  const auto refuse = [&](std::string text, std::string_view without, std::string_view with,
                          std::string_view cause) -> Result<ContentType> {
    const bool fails = fallback.empty();
    text += fails ? without : with;
    if (!fails) text += " " + GoQuote(fallback);
    if (!cause.empty()) text += "\n" + std::string(cause);
    Status status(ErrorCode::kInvalidInput, std::move(text));
    if (fails) return status;
    return Fallback(fallback, std::move(status));
  };
  constexpr std::string_view kNone = " and no fallback_scrape_protocol specified for target";
  constexpr std::string_view kUsing = ", using fallback_scrape_protocol";
  if (content_type.empty()) {
    return refuse("non-compliant scrape target sending blank Content-Type", kNone, kUsing, {});
  }
  const Result<MediaType> media = ParseMediaType(content_type);
  if (!media.ok()) {
    return refuse((fallback.empty() ? "cannot parse Content-Type "
                                    : "could not parse received Content-Type ") +
                      quoted,
                  " and no fallback_scrape_protocol for target", kUsing, media.status().message());
  }
  ContentType result;
  if (media->type == kOpenMetricsType) {
    if (media->version != kVersion2) {
      result.format = ContentType::Format::kOpenMetrics;
      return result;
    }
    if (options.openmetrics2) {
      result.format = ContentType::Format::kOpenMetrics2;
      return result;
    }
    return refuse("received OpenMetrics 2.0 Content-Type " + quoted +
                      ", but the openmetrics2 feature flag is not enabled",
                  kNone, kUsing, {});
  }
  if (media->type == kProtobufType) {
    result.format = ContentType::Format::kProtobuf;
    return result;
  }
  if (media->type == kTextType) return result;
  return refuse("received unsupported Content-Type " + quoted, kNone, kUsing, {});
}

std::unique_ptr<Parser> CreateParser(ContentType::Format format, std::string_view body,
                                     const ParserOptions& options) {
  std::unique_ptr<Parser> parser;
  switch (format) {
    case ContentType::Format::kProtobuf: return CreateProtobufParser(body, options);
    case ContentType::Format::kOpenMetrics2: return CreateOpenMetrics2Parser(body, options);
    case ContentType::Format::kOpenMetrics: parser = CreateOpenMetricsParser(body, options); break;
    case ContentType::Format::kText: parser = CreateTextParser(body, options); break;
  }
  if (!options.convert_classic_to_custom) return parser;
  return CreateConvertingParser(std::move(parser), options);
}

}  // namespace narthex::exposition
