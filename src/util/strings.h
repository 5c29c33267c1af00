// Text helpers with Go's spelling, since upstream's messages are compared byte by byte.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace narthex {

// strconv.Quote (what %q prints): double quotes, escapes, printable UTF-8 kept.
std::string GoQuote(std::string_view text);
// %q of a single rune: single quotes.
std::string GoQuoteRune(char32_t rune);

// Whether `text` is wholly valid UTF-8 (no surrogates, no overlong forms).
bool IsValidUtf8(std::string_view text);
// Decodes the first rune. Sets *size to its length in bytes; a malformed byte gives U+FFFD and 1.
char32_t DecodeRune(std::string_view text, size_t* size);
void AppendRune(char32_t rune, std::string* out);
// Number of runes; each malformed byte counts as one, as in Go.
size_t CountRunes(std::string_view text);

// [a-zA-Z_:][a-zA-Z0-9_:]* and [a-zA-Z_][a-zA-Z0-9_]*.
bool IsLegacyMetricName(std::string_view name);
bool IsLegacyLabelName(std::string_view name);

std::string Join(const std::vector<std::string>& parts, std::string_view separator);
std::vector<std::string_view> Split(std::string_view text, char separator);
std::string_view TrimSpace(std::string_view text);
bool IsAscii(std::string_view text);
std::string ToLower(std::string_view text);
std::string ToUpper(std::string_view text);

// Appends `text` as a JSON string with its quotes. `kGo` escapes <, >, & and U+2028/9 as
// encoding/json does; `kPlain` does not (label maps).
enum class JsonEscape { kGo, kPlain };
void AppendJsonString(std::string_view text, JsonEscape escape, std::string* out);

}  // namespace narthex
