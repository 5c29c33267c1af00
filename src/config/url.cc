#include "config/url.h"

#include <arpa/inet.h>

#include "util/strings.h"

namespace narthex {

namespace {

enum class Part { kPath, kUser, kHost, kZone, kFragment };

bool IsAlnum(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  if (lower >= 'a' && lower <= 'f') return lower - 'a' + 10;
  return -1;
}

// Whether a byte stands for itself in that part of a URL.
bool IsPlain(char c, Part part) {
  if (IsAlnum(c) || std::string_view("-_.~").find(c) != std::string_view::npos) return true;
  std::string_view others;
  switch (part) {
    case Part::kPath: others = "$&+,/:;=@"; break;
    case Part::kUser: others = "$&+,;="; break;
    case Part::kHost:
    case Part::kZone: others = "!$&'()*+,;=:[]<>\""; break;
    case Part::kFragment: others = "$&+,/:;=?@!()*"; break;
  }
  return others.find(c) != std::string_view::npos;
}

std::string Escape(std::string_view text, Part part) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (IsPlain(c, part)) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

Status Invalid(std::string text) {
  return Status(ErrorCode::kInvalidInput, std::move(text));
}

Result<std::string> Unescape(std::string_view text, Part part) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool in_host = part == Part::kHost || part == Part::kZone;
    if (c != '%') {
      if (in_host && static_cast<unsigned char>(c) < 0x80 && !IsPlain(c, part)) {
        return Invalid(fmt::format("invalid character {} in host name", GoQuote({&c, 1})));
      }
      out += c;
      continue;
    }
    const std::string_view escape = text.substr(i, 3);
    const bool good = escape.size() == 3 && HexValue(escape[1]) >= 0 && HexValue(escape[2]) >= 0;
    if (!good) return Invalid(fmt::format("invalid URL escape {}", GoQuote(escape)));
    const auto byte = static_cast<char>(HexValue(escape[1]) << 4 | HexValue(escape[2]));
    // A host may escape only what is not ASCII, a zone only what could stand there unescaped.
    const bool refused =
        escape != "%25" && ((part == Part::kHost && static_cast<unsigned char>(byte) < 0x80) ||
                            (part == Part::kZone && byte != ' ' && !IsPlain(byte, Part::kHost)));
    if (refused) return Invalid(fmt::format("invalid URL escape {}", GoQuote(escape)));
    out += byte;
    i += 2;
  }
  return out;
}

bool IsOptionalPort(std::string_view text) {
  if (text.empty()) return true;
  if (text.front() != ':') return false;
  return text.substr(1).find_first_not_of("0123456789") == std::string_view::npos;
}

Result<std::string> ParseBracketedHost(std::string_view host) {
  const size_t close = host.rfind(']');
  if (close == std::string_view::npos) return Invalid("missing ']' in host");
  const std::string_view port = host.substr(close + 1);
  if (!IsOptionalPort(port)) {
    return Invalid(fmt::format("invalid port {} after host", GoQuote(port)));
  }
  const std::string_view inside = host.substr(1, close - 1);
  const size_t zone = inside.find("%25");
  NARTHEX_TRY(std::string address, Unescape(inside.substr(0, zone), Part::kHost));
  in6_addr parsed{};
  if (inet_pton(AF_INET6, address.c_str(), &parsed) != 1) {
    return Invalid(
        fmt::format("invalid host: ParseAddr({}): unable to parse IP", GoQuote(address)));
  }
  if (zone != std::string_view::npos) {
    NARTHEX_TRY(const std::string name, Unescape(inside.substr(zone), Part::kZone));
    address += name;
  }
  return "[" + address + "]" + std::string(port);
}

Result<std::string> ParseHost(std::string_view scheme, std::string_view host) {
  const size_t bracket = host.rfind('[');
  if (bracket == 0) return ParseBracketedHost(host);
  if (bracket != std::string_view::npos) return Invalid("invalid IP-literal");
  // Database URLs list several hosts; only for the web is a second colon a mistake.
  const bool web = scheme == "http" || scheme == "https";
  const size_t colon = web ? host.find(':') : host.rfind(':');
  if (colon != std::string_view::npos && !IsOptionalPort(host.substr(colon))) {
    return Invalid(fmt::format("invalid port {} after host", GoQuote(host.substr(colon))));
  }
  return Unescape(host, Part::kHost);
}

Status ParseUser(std::string_view text, Url* url) {
  for (const char c : text) {
    if (!IsAlnum(c) && std::string_view("-._:~!$&'()*+,;=%@").find(c) == std::string_view::npos) {
      return Invalid("net/url: invalid userinfo");
    }
  }
  const size_t colon = text.find(':');
  url->has_user = true;
  NARTHEX_TRY(url->username, Unescape(text.substr(0, colon), Part::kUser));
  if (colon == std::string_view::npos) return {};
  url->has_password = true;
  NARTHEX_TRY(url->password, Unescape(text.substr(colon + 1), Part::kUser));
  return {};
}

// Cuts "scheme:" off the front.
Status TakeScheme(std::string_view* text, std::string* scheme) {
  for (size_t i = 0; i < text->size(); ++i) {
    const char c = (*text)[i];
    if (c == ':') {
      if (i == 0) return Invalid("missing protocol scheme");
      *scheme = ToLower(text->substr(0, i));
      text->remove_prefix(i + 1);
      return {};
    }
    const bool letter = IsAlnum(c) && !(c >= '0' && c <= '9');
    const bool later = (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
    if (!letter && !(later && i > 0)) return {};
  }
  return {};
}

Status ParseParts(std::string_view text, Url* url) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) {
      return Invalid("net/url: invalid control character in URL");
    }
  }
  if (text == "*") {
    url->path = "*";
    return {};
  }
  NARTHEX_RETURN_IF_ERROR(TakeScheme(&text, &url->scheme));
  const size_t question = text.find('?');
  if (question != std::string_view::npos) {
    url->raw_query = text.substr(question + 1);
    url->force_query = url->raw_query.empty();
    text = text.substr(0, question);
  }
  if (!text.starts_with('/')) {
    if (!url->scheme.empty()) {
      url->opaque = text;
      return {};
    }
    if (text.substr(0, text.find('/')).find(':') != std::string_view::npos) {
      return Invalid("first path segment in URL cannot contain colon");
    }
  }
  if ((!url->scheme.empty() || !text.starts_with("///")) && text.starts_with("//")) {
    text.remove_prefix(2);
    const std::string_view authority = text.substr(0, text.find('/'));
    text.remove_prefix(authority.size());
    const size_t at = authority.rfind('@');
    NARTHEX_TRY(url->host,
                ParseHost(url->scheme,
                          at == std::string_view::npos ? authority : authority.substr(at + 1)));
    if (at != std::string_view::npos) {
      NARTHEX_RETURN_IF_ERROR(ParseUser(authority.substr(0, at), url));
    }
  } else if (!url->scheme.empty() && text.starts_with('/')) {
    url->omit_host = true;
  }
  NARTHEX_TRY(url->path, Unescape(text, Part::kPath));
  if (Escape(url->path, Part::kPath) != text) url->raw_path = text;
  return {};
}

// Whether the escaping that was written can be printed again as it is.
bool IsValidRawPath(std::string_view text) {
  for (const char c : text) {
    if (std::string_view("!$&'()*+,;=:@[]%").find(c) != std::string_view::npos) continue;
    if (!IsPlain(c, Part::kPath)) return false;
  }
  return true;
}

std::string EscapedPath(const Url& url) {
  if (!url.raw_path.empty() && IsValidRawPath(url.raw_path)) return url.raw_path;
  return url.path == "*" ? url.path : Escape(url.path, Part::kPath);
}

}  // namespace

Result<Url> Url::Parse(std::string_view text) {
  Url url;
  const size_t hash = text.find('#');
  const std::string_view main = text.substr(0, hash);
  if (Status status = ParseParts(main, &url); !status.ok()) {
    return status.WithPrefix(fmt::format("parse {}: ", GoQuote(main)));
  }
  if (hash != std::string_view::npos) {
    Result<std::string> fragment = Unescape(text.substr(hash + 1), Part::kFragment);
    if (!fragment.ok()) {
      return fragment.status().WithPrefix(fmt::format("parse {}: ", GoQuote(text)));
    }
    url.fragment = *std::move(fragment);
  }
  return url;
}

std::string Url::Print(bool redact) const {
  std::string out;
  if (!scheme.empty()) out += scheme + ":";
  if (!opaque.empty()) {
    out += opaque;
  } else {
    const bool hidden = omit_host && host.empty() && !has_user;
    if (!hidden && (!host.empty() || has_user || (!scheme.empty() && !path.empty()))) {
      out += "//";
      if (has_user) {
        out += Escape(username, Part::kUser);
        if (has_password) out += ":" + (redact ? "xxxxx" : Escape(password, Part::kUser));
        out += "@";
      }
      out += Escape(host, Part::kHost);
    }
    const std::string escaped = EscapedPath(*this);
    if (!escaped.empty() && escaped.front() != '/' && !host.empty()) out += "/";
    if (out.empty() && escaped.substr(0, escaped.find('/')).find(':') != std::string::npos) {
      out += "./";
    }
    out += escaped;
  }
  if (force_query || !raw_query.empty()) out += "?" + raw_query;
  if (!fragment.empty()) out += "#" + Escape(fragment, Part::kFragment);
  return out;
}

std::string Url::hostname() const {
  if (host.starts_with('[')) return host.substr(1, host.find(']') - 1);
  return host.substr(0, host.find(':'));
}

std::string Url::port() const {
  const size_t colon = host.rfind(':');
  if (colon == std::string::npos) return "";
  const size_t bracket = host.rfind(']');
  if (bracket != std::string::npos && colon < bracket) return "";
  return host.substr(colon + 1);
}

bool Url::empty() const {
  return *this == Url{};
}

}  // namespace narthex
