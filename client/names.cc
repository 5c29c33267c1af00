#include "narthex/client/names.h"

#include <array>

#include "utf8.h"

namespace narthex::client {
namespace {

constexpr bool IsLegacyChar(char32_t c, bool first, bool colon) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c == ':' && colon) ||
         (c >= '0' && c <= '9' && !first);
}

bool IsLegacy(std::string_view name, bool colon) noexcept {
  if (name.empty()) return false;
  for (size_t i = 0; i < name.size(); ++i) {
    if (!IsLegacyChar(static_cast<unsigned char>(name[i]), i == 0, colon)) return false;
  }
  return true;
}

void AppendHex(char32_t code, std::string& out) {
  std::array<char, 8> digits{};
  size_t count = 0;
  do {
    digits[count++] = "0123456789abcdef"[code & 15];
    code >>= 4;
  } while (code != 0);
  while (count > 0) out += digits[--count];
}

}  // namespace

Rune DecodeRune(std::string_view text, size_t at) noexcept {
  const auto byte = [&](size_t i) -> char32_t { return static_cast<unsigned char>(text[i]); };
  const char32_t lead = byte(at);
  if (lead < 0x80) return {lead, 1, true};
  size_t size = 0;
  char32_t code = 0;
  char32_t code_min = 0;  // Below it the sequence is longer than need be, hence invalid.
  if (lead >= 0xC2 && lead < 0xE0) {
    size = 2, code = lead & 0x1F, code_min = 0x80;
  } else if (lead >= 0xE0 && lead < 0xF0) {
    size = 3, code = lead & 0x0F, code_min = 0x800;
  } else if (lead >= 0xF0 && lead < 0xF5) {
    size = 4, code = lead & 0x07, code_min = 0x10000;
  } else {
    return {};
  }
  if (at + size > text.size()) return {};
  for (size_t i = 1; i < size; ++i) {
    const char32_t next = byte(at + i);
    if ((next & 0xC0) != 0x80) return {};
    code = code << 6 | (next & 0x3F);
  }
  if (code < code_min || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return {};
  return {code, size, true};
}

size_t CountRunes(std::string_view text) noexcept {
  size_t count = 0;
  for (size_t at = 0; at < text.size(); at += DecodeRune(text, at).size) ++count;
  return count;
}

std::string ToValidUtf8(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const Rune rune = DecodeRune(text, at);
    out += rune.valid ? text.substr(at, rune.size) : std::string_view("\xEF\xBF\xBD");
    at += rune.size;
  }
  return out;
}

std::string Quote(std::string_view text) {
  std::string out = "\"";
  for (size_t at = 0; at < text.size();) {
    const Rune rune = DecodeRune(text, at);
    const auto c = static_cast<unsigned char>(text[at]);
    if (!rune.valid || c < 0x20 || c == 0x7F) {
      switch (c) {
        case '\n': out += "\\n"; break;
        case '\r': out += "\\r"; break;
        case '\t': out += "\\t"; break;
        case '\a': out += "\\a"; break;
        case '\b': out += "\\b"; break;
        case '\f': out += "\\f"; break;
        case '\v': out += "\\v"; break;
        default:
          out += "\\x";
          out += "0123456789abcdef"[c >> 4];
          out += "0123456789abcdef"[c & 15];
      }
    } else {
      if (c == '"' || c == '\\') out += '\\';
      out += text.substr(at, rune.size);
    }
    at += rune.size;
  }
  return out += '"';
}

bool IsValidLegacyMetricName(std::string_view name) noexcept {
  return IsLegacy(name, true);
}
bool IsValidLegacyLabelName(std::string_view name) noexcept {
  return IsLegacy(name, false);
}

bool IsValidUtf8(std::string_view text) noexcept {
  for (size_t at = 0; at < text.size();) {
    const Rune rune = DecodeRune(text, at);
    if (!rune.valid) return false;
    at += rune.size;
  }
  return true;
}

bool IsValidMetricName(std::string_view name, NameValidation validation) noexcept {
  if (validation == NameValidation::kLegacy) return IsValidLegacyMetricName(name);
  return !name.empty() && IsValidUtf8(name);
}

bool IsValidLabelName(std::string_view name, NameValidation validation) noexcept {
  if (validation == NameValidation::kLegacy) return IsValidLegacyLabelName(name);
  return !name.empty() && IsValidUtf8(name);
}

std::string_view EscapingSchemeName(EscapingScheme scheme) noexcept {
  switch (scheme) {
    case EscapingScheme::kAllowUtf8: return "allow-utf-8";
    case EscapingScheme::kUnderscores: return "underscores";
    case EscapingScheme::kDots: return "dots";
    case EscapingScheme::kValues: return "values";
  }
  return "";
}

std::optional<EscapingScheme> ParseEscapingScheme(std::string_view name) noexcept {
  for (const EscapingScheme scheme : {EscapingScheme::kAllowUtf8, EscapingScheme::kUnderscores,
                                      EscapingScheme::kDots, EscapingScheme::kValues}) {
    if (EscapingSchemeName(scheme) == name) return scheme;
  }
  return std::nullopt;
}

std::string EscapeName(std::string_view name, EscapingScheme scheme) {
  // Dots escaping doubles underscores even in legacy names.
  if (scheme == EscapingScheme::kAllowUtf8 ||
      (scheme != EscapingScheme::kDots && IsValidLegacyMetricName(name))) {
    return std::string(name);
  }
  std::string out;
  if (name.empty()) return out;
  if (scheme == EscapingScheme::kValues) out = "U__";
  for (size_t at = 0; at < name.size();) {
    const Rune rune = DecodeRune(name, at);
    const bool legacy = IsLegacyChar(rune.code, at == 0, true);
    if (scheme == EscapingScheme::kUnderscores) {
      out += legacy ? static_cast<char>(rune.code) : '_';
    } else if (rune.code == '_') {
      out += "__";
    } else if (legacy) {
      out += static_cast<char>(rune.code);
    } else if (scheme == EscapingScheme::kDots) {
      out += rune.code == '.' ? "_dot_" : "__";
    } else {
      out += '_';
      AppendHex(rune.code, out);
      out += '_';
    }
    at += rune.size;
  }
  return out;
}

std::string BuildName(std::string_view name_space, std::string_view subsystem,
                      std::string_view name) {
  if (name.empty()) return {};
  std::string out;
  for (const std::string_view part : {name_space, subsystem}) {
    if (!part.empty()) (out += part) += '_';
  }
  return out += name;
}

}  // namespace narthex::client
