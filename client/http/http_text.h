// The texts of HTTP/1.1 and its neighbours: request heads, base64, percent-encoding, compression.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "narthex/client/handler.h"

namespace narthex::client {

// Reads the head of a request, without the empty line at its end. Empty: no HTTP/1 request.
struct RequestHead {
  HttpRequest request;
  bool keep_alive = false;  // HTTP/1.1 without `Connection: close`, 1.0 with keep-alive.
  bool has_body = false;
};
std::optional<RequestHead> ParseRequestHead(std::string_view text);

std::string_view ReasonOf(int status) noexcept;
bool EqualsIgnoringCase(std::string_view a, std::string_view b) noexcept;
std::string_view FindHeader(const Labels& headers, std::string_view name) noexcept;

enum class Base64 : unsigned char { kStandard, kUrlWithoutPadding };
std::string EncodeBase64(std::string_view bytes, Base64 alphabet);
std::optional<std::string> DecodeBase64(std::string_view text);
// As Go's url.QueryEscape: letters, digits and -_.~ stay, a space becomes `+`.
std::string QueryEscape(std::string_view text);

// Whether an Accept-Encoding header prefers gzip to no compression.
bool PrefersGzip(std::string_view accept_encoding);
std::string Gzip(std::string_view text);

}  // namespace narthex::client
