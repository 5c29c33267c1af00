#include "util/strings.h"

#include <fmt/format.h>

#include <algorithm>

namespace narthex {
namespace {

constexpr char32_t kReplacementRune = 0xfffd;

// Whether Go's unicode.IsPrint would print the rune as it is. Only control, surrogate, private-use
// and separator ranges matter for the texts that occur.
bool IsPrintable(char32_t rune) {
  if (rune < 0x20 || rune == 0x7f) return false;
  if (rune < 0x7f) return true;
  if (rune < 0xa1 || rune == 0xad) return false;
  if (rune == 0x1680 || (rune >= 0x2000 && rune <= 0x200f)) return false;
  if ((rune >= 0x2028 && rune <= 0x202f) || (rune >= 0x205f && rune <= 0x206f)) return false;
  if (rune == 0x3000 || rune == 0xfeff) return false;
  if (rune >= 0xd800 && rune <= 0xf8ff) return false;  // Surrogates and private use.
  if (rune >= 0xfff0 && rune <= 0xfffb) return false;
  if ((rune & 0xfffe) == 0xfffe) return false;
  return rune < 0xe0000;
}

void AppendEscapedRune(char32_t rune, char quote, std::string* out) {
  if (rune == static_cast<char32_t>(quote) || rune == '\\') {
    out->push_back('\\');
    out->push_back(static_cast<char>(rune));
    return;
  }
  if (IsPrintable(rune)) {
    AppendRune(rune, out);
    return;
  }
  switch (rune) {
    case '\a': out->append("\\a"); return;
    case '\b': out->append("\\b"); return;
    case '\f': out->append("\\f"); return;
    case '\n': out->append("\\n"); return;
    case '\r': out->append("\\r"); return;
    case '\t': out->append("\\t"); return;
    case '\v': out->append("\\v"); return;
    default: break;
  }
  const auto code = static_cast<uint32_t>(rune);
  if (rune < ' ' || rune == 0x7f) {
    out->append(fmt::format("\\x{:02x}", code));
  } else if (rune < 0x10000) {
    out->append(fmt::format("\\u{:04x}", code));
  } else {
    out->append(fmt::format("\\U{:08x}", code));
  }
}

}  // namespace

std::string GoQuote(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    size_t size = 0;
    const char32_t rune = DecodeRune(text, &size);
    if (rune == kReplacementRune && size == 1) {
      out.append(fmt::format("\\x{:02x}", static_cast<uint8_t>(text[0])));
    } else {
      AppendEscapedRune(rune, '"', &out);
    }
    text.remove_prefix(size);
  }
  out.push_back('"');
  return out;
}

std::string GoQuoteRune(char32_t rune) {
  std::string out = "'";
  AppendEscapedRune(rune, '\'', &out);
  out.push_back('\'');
  return out;
}

char32_t DecodeRune(std::string_view text, size_t* size) {
  *size = 1;
  if (text.empty()) {
    *size = 0;
    return kReplacementRune;
  }
  const auto first = static_cast<uint8_t>(text[0]);
  if (first < 0x80) return first;
  size_t length = 0;
  char32_t rune = 0;
  char32_t smallest = 0;
  if (first >= 0xc2 && first < 0xe0) {
    length = 2, rune = first & 0x1f, smallest = 0x80;
  } else if (first >= 0xe0 && first < 0xf0) {
    length = 3, rune = first & 0x0f, smallest = 0x800;
  } else if (first >= 0xf0 && first < 0xf5) {
    length = 4, rune = first & 0x07, smallest = 0x10000;
  } else {
    return kReplacementRune;
  }
  if (text.size() < length) return kReplacementRune;
  for (size_t i = 1; i < length; ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    if ((byte & 0xc0) != 0x80) return kReplacementRune;
    rune = (rune << 6) | (byte & 0x3f);
  }
  if (rune < smallest || rune > 0x10ffff || (rune >= 0xd800 && rune < 0xe000)) {
    return kReplacementRune;
  }
  *size = length;
  return rune;
}

void AppendRune(char32_t rune, std::string* out) {
  const auto put = [out](char32_t byte) { out->push_back(static_cast<char>(byte)); };
  if (rune < 0x80) {
    put(rune);
  } else if (rune < 0x800) {
    put(0xc0 | (rune >> 6));
    put(0x80 | (rune & 0x3f));
  } else if (rune < 0x10000) {
    put(0xe0 | (rune >> 12));
    put(0x80 | ((rune >> 6) & 0x3f));
    put(0x80 | (rune & 0x3f));
  } else {
    put(0xf0 | (rune >> 18));
    put(0x80 | ((rune >> 12) & 0x3f));
    put(0x80 | ((rune >> 6) & 0x3f));
    put(0x80 | (rune & 0x3f));
  }
}

bool IsValidUtf8(std::string_view text) {
  while (!text.empty()) {
    if (static_cast<uint8_t>(text[0]) < 0x80) {
      text.remove_prefix(1);
      continue;
    }
    size_t size = 0;
    DecodeRune(text, &size);
    if (size == 1) return false;
    text.remove_prefix(size);
  }
  return true;
}

size_t CountRunes(std::string_view text) {
  size_t count = 0;
  while (!text.empty()) {
    size_t size = 0;
    DecodeRune(text, &size);
    text.remove_prefix(size);
    ++count;
  }
  return count;
}

bool IsLegacyMetricName(std::string_view name) {
  if (name.empty()) return false;
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':';
    if (!letter && !(i > 0 && c >= '0' && c <= '9')) return false;
  }
  return true;
}

bool IsLegacyLabelName(std::string_view name) {
  return name.find(':') == std::string_view::npos && IsLegacyMetricName(name);
}

std::string Join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string out;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) out.append(separator);
    out.append(parts[i]);
  }
  return out;
}

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::string_view TrimSpace(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n\v\f\r";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

bool IsAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

std::string ToLower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  }
  return out;
}

std::string ToUpper(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c & ~0x20);
  }
  return out;
}

void AppendJsonString(std::string_view text, JsonEscape escape, std::string* out) {
  out->push_back('"');
  size_t clean = 0;  // Start of what needs no escape and is not yet copied.
  const auto flush = [&](size_t end) { out->append(text.substr(clean, end - clean)); };
  for (size_t i = 0; i < text.size();) {
    const auto c = static_cast<uint8_t>(text[i]);
    if (c >= 0x80) {
      size_t size = 0;
      const char32_t rune = DecodeRune(text.substr(i), &size);
      if (size == 1) {
        flush(i);
        out->append("\\ufffd");
        clean = i + 1;
      } else if (escape == JsonEscape::kGo && (rune == 0x2028 || rune == 0x2029)) {
        flush(i);
        out->append(rune == 0x2028 ? "\\u2028" : "\\u2029");
        clean = i + size;
      }
      i += size;
      continue;
    }
    const bool html = escape == JsonEscape::kGo && (c == '<' || c == '>' || c == '&');
    if (c >= 0x20 && c != '"' && c != '\\' && !html) {
      ++i;
      continue;
    }
    flush(i);
    switch (c) {
      case '"': out->append("\\\""); break;
      case '\\': out->append("\\\\"); break;
      case '\n': out->append("\\n"); break;
      case '\r': out->append("\\r"); break;
      case '\t': out->append("\\t"); break;
      case '\b': out->append("\\b"); break;
      case '\f': out->append("\\f"); break;
      default: out->append(fmt::format("\\u{:04x}", c)); break;
    }
    clean = ++i;
  }
  flush(text.size());
  out->push_back('"');
}

}  // namespace narthex
