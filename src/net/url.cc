#include "net/url.h"

#include <algorithm>

#include "util/strings.h"

namespace narthex::net {
namespace {

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool IsUnreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.' || c == '~';
}

std::string Escape(std::string_view text, std::string_view also_kept, bool space_is_plus) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (IsUnreserved(c) || also_kept.find(c) != std::string_view::npos) {
      out.push_back(c);
    } else if (c == ' ' && space_is_plus) {
      out.push_back('+');
    } else {
      const auto byte = static_cast<uint8_t>(c);
      out.push_back('%');
      out.push_back(kHex[byte >> 4]);
      out.push_back(kHex[byte & 0xf]);
    }
  }
  return out;
}

}  // namespace

Result<std::string> UrlDecode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      const int high = i + 1 < text.size() ? HexValue(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? HexValue(text[i + 2]) : -1;
      if (high < 0 || low < 0) {
        return MakeError(ErrorCode::kInvalidInput, "invalid URL escape {}",
                         GoQuote(text.substr(i, 3)));
      }
      out.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    } else if (text[i] == '+' && plus_is_space) {
      out.push_back(' ');
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

std::string QueryEscape(std::string_view text) {
  return Escape(text, "", true);
}

std::string PathEscape(std::string_view text) {
  return Escape(text, "$&+:=@", false);
}

Status FormValues::Parse(std::string_view encoded) {
  Status first_error;
  const auto fail = [&](Status status) {
    if (first_error.ok()) first_error = std::move(status);
  };
  for (const std::string_view part : Split(encoded, '&')) {
    if (part.empty()) continue;
    if (part.find(';') != std::string_view::npos) {
      fail(MakeError(ErrorCode::kInvalidInput, "invalid semicolon separator in query"));
      continue;
    }
    const size_t equals = part.find('=');
    Result<std::string> name = UrlDecode(part.substr(0, equals), true);
    Result<std::string> value =
        equals == std::string_view::npos ? std::string() : UrlDecode(part.substr(equals + 1), true);
    if (!name.ok()) {
      fail(name.status());
    } else if (!value.ok()) {
      fail(value.status());
    } else {
      Add(*std::move(name), *std::move(value));
    }
  }
  return first_error;
}

std::string_view FormValues::Get(std::string_view name) const {
  for (const auto& [key, value] : pairs_) {
    if (key == name) return value;
  }
  return {};
}

bool FormValues::Has(std::string_view name) const {
  return std::any_of(pairs_.begin(), pairs_.end(),
                     [&](const auto& pair) { return pair.first == name; });
}

std::vector<std::string> FormValues::GetAll(std::string_view name) const {
  std::vector<std::string> values;
  for (const auto& [key, value] : pairs_) {
    if (key == name) values.push_back(value);
  }
  return values;
}

std::string FormValues::Encode() const {
  auto sorted = pairs_;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::string out;
  for (const auto& [name, value] : sorted) {
    if (!out.empty()) out.push_back('&');
    out += QueryEscape(name) + "=" + QueryEscape(value);
  }
  return out;
}

Result<Url> ParseUrl(std::string_view text) {
  const auto malformed = [&](std::string_view why) {
    return MakeError(ErrorCode::kInvalidInput, "parse {}: {}", GoQuote(text), why);
  };
  Url url;
  const size_t scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos || scheme_end == 0) {
    return malformed("missing protocol scheme");
  }
  url.scheme = ToLower(text.substr(0, scheme_end));
  std::string_view rest = text.substr(scheme_end + 3);
  if (const size_t hash = rest.find('#'); hash != std::string_view::npos)
    rest = rest.substr(0, hash);
  if (const size_t mark = rest.find('?'); mark != std::string_view::npos) {
    url.query = rest.substr(mark + 1);
    rest = rest.substr(0, mark);
  }
  if (const size_t slash = rest.find('/'); slash != std::string_view::npos) {
    url.path = rest.substr(slash);
    rest = rest.substr(0, slash);
  }
  if (const size_t at = rest.rfind('@'); at != std::string_view::npos) {
    url.user_info = rest.substr(0, at);
    rest = rest.substr(at + 1);
  }
  if (rest.starts_with('[')) {
    const size_t close = rest.find(']');
    if (close == std::string_view::npos) return malformed("missing ']' in host");
    url.host = rest.substr(1, close - 1);
    rest = rest.substr(close + 1);
  } else {
    const size_t colon = rest.rfind(':');
    url.host = rest.substr(0, colon);
    rest = colon == std::string_view::npos ? std::string_view() : rest.substr(colon);
  }
  if (!rest.empty()) {
    if (rest[0] != ':' || rest.find_first_not_of("0123456789", 1) != std::string_view::npos) {
      return malformed("invalid port " + GoQuote(rest) + " after host");
    }
    url.port = rest.substr(1);
  }
  return url;
}

}  // namespace narthex::net
