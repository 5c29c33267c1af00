// Decoding UTF-8 the way Go's range loop does: a byte that starts no valid sequence is one U+FFFD.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace narthex::client {

struct Rune {
  char32_t code = 0xFFFD;
  size_t size = 1;  // Bytes used.
  bool valid = false;
};

// `at` must be inside of `text`.
Rune DecodeRune(std::string_view text, size_t at) noexcept;
size_t CountRunes(std::string_view text) noexcept;
// Invalid bytes replaced by U+FFFD.
std::string ToValidUtf8(std::string_view text);
// As Go's %q: quoted, with escapes for what is not printable.
std::string Quote(std::string_view text);

}  // namespace narthex::client
