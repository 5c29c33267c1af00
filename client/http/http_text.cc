#include "http_text.h"

#include <zlib.h>

#include <algorithm>
#include <cstdlib>

namespace narthex::client {
namespace {

char Lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string_view Trim(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

// Cuts what comes before the separator off `rest`.
std::string_view Take(std::string_view& rest, std::string_view separator) {
  const size_t at = rest.find(separator);
  const std::string_view item = rest.substr(0, at);
  rest = at == std::string_view::npos ? std::string_view() : rest.substr(at + separator.size());
  return item;
}

bool IsToken(std::string_view s) {
  return !s.empty() && std::all_of(s.begin(), s.end(), [](char c) {
    return c > ' ' && c < 0x7F &&
           std::string_view("\"(),/:;<=>?@[\\]{}").find(c) == std::string_view::npos;
  });
}

// Whether a comma-separated header names this word.
bool HasWord(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    if (EqualsIgnoringCase(Trim(Take(list, ",")), word)) return true;
  }
  return false;
}

constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

bool EqualsIgnoringCase(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](char x, char y) { return Lower(x) == Lower(y); });
}

std::string_view FindHeader(const Labels& headers, std::string_view name) noexcept {
  for (const LabelPair& header : headers) {
    if (EqualsIgnoringCase(header.name, name)) return header.value;
  }
  return {};
}

std::string_view HttpRequest::Header(std::string_view name) const noexcept {
  return FindHeader(headers, name);
}

std::string_view HttpResponse::Header(std::string_view name) const noexcept {
  return FindHeader(headers, name);
}

std::optional<RequestHead> ParseRequestHead(std::string_view text) {
  RequestHead head;
  std::string_view line = Take(text, "\r\n");
  const std::string_view method = Take(line, " ");
  const std::string_view target = Take(line, " ");
  if (!IsToken(method) || target.empty() || target.front() != '/') return std::nullopt;
  if (line != "HTTP/1.1" && line != "HTTP/1.0") return std::nullopt;
  const size_t question = target.find('?');
  head.request.method = method;
  head.request.path = target.substr(0, question);
  if (question != std::string_view::npos) head.request.query = target.substr(question + 1);
  while (!text.empty()) {
    std::string_view value = Take(text, "\r\n");
    const std::string_view name = Take(value, ":");
    if (!IsToken(name)) return std::nullopt;
    head.request.headers.push_back({std::string(name), std::string(Trim(value))});
  }
  const std::string_view connection = head.request.Header("Connection");
  head.keep_alive =
      line == "HTTP/1.1" ? !HasWord(connection, "close") : HasWord(connection, "keep-alive");
  const std::string_view length = head.request.Header("Content-Length");
  head.has_body =
      (!length.empty() && length != "0") || !head.request.Header("Transfer-Encoding").empty();
  return head;
}

std::string_view ReasonOf(int status) noexcept {
  switch (status) {
    case 200: return "OK";
    case 204: return "No Content";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 413: return "Content Too Large";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 503: return "Service Unavailable";
    default: return "Status";
  }
}

std::string EncodeBase64(std::string_view bytes, Base64 alphabet) {
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  const auto append = [&](uint32_t sextet) {
    char c = kBase64[sextet & 63];
    if (alphabet == Base64::kUrlWithoutPadding) c = c == '+' ? '-' : c == '/' ? '_' : c;
    out += c;
  };
  for (const char byte : bytes) {
    bits = bits << 8 | static_cast<unsigned char>(byte);
    for (count += 8; count >= 6; count -= 6) append(bits >> (count - 6));
  }
  if (count > 0) append(bits << (6 - count));
  if (alphabet == Base64::kStandard) {
    while (out.size() % 4 != 0) out += '=';
  }
  return out;
}

std::optional<std::string> DecodeBase64(std::string_view text) {
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const size_t value = kBase64.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out += static_cast<char>(bits >> count & 0xFF);
    }
  }
  return out;
}

std::string QueryEscape(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
        c == '_' || c == '.' || c == '~') {
      out += c;
    } else if (c == ' ') {
      out += '+';
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

bool PrefersGzip(std::string_view accept_encoding) {
  double gzip = -1;
  double identity = -1;
  while (!accept_encoding.empty()) {
    std::string_view item = Take(accept_encoding, ",");
    const std::string_view coding = Trim(Take(item, ";"));
    double quality = 1;
    if (const size_t q = item.find("q="); q != std::string_view::npos) {
      quality = std::atof(std::string(item.substr(q + 2)).c_str());
    }
    if (EqualsIgnoringCase(coding, "gzip")) gzip = std::max(gzip, quality);
    // A star stands for what is offered first: no compression.
    if (EqualsIgnoringCase(coding, "identity") || coding == "*") {
      identity = std::max(identity, quality);
    }
  }
  return gzip > 0 && gzip > identity;
}

std::string Gzip(std::string_view text) {
  z_stream stream{};
  constexpr int kGzip = 15 + 16;  // The largest window, and gzip's header and trailer.
  // Pages are full of repetitions: the fastest level already leaves a tenth.
  if (deflateInit2(&stream, 1, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY) != Z_OK) return {};
  std::string out(deflateBound(&stream, static_cast<uLong>(text.size())), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int result = deflate(&stream, Z_FINISH);
  out.resize(result == Z_STREAM_END ? stream.total_out : 0);
  deflateEnd(&stream);
  return out;
}

}  // namespace narthex::client
