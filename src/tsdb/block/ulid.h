// ULIDs: the names of blocks. 26 characters of Crockford's base 32: 48 bits of milliseconds, then
// 80 random bits. Text order is order of time.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace narthex::tsdb {

class Ulid {
 public:
  Ulid() = default;  // All zeros, which names no block.
  // Strict: 26 characters of the alphabet in upper or lower case, no overflow.
  static std::optional<Ulid> Parse(std::string_view text);
  // Random bits from the system's cryptographic source.
  static Ulid Generate(int64_t now_ms);

  std::string ToString() const;
  int64_t time_ms() const;
  bool is_zero() const { return *this == Ulid(); }
  friend auto operator<=>(const Ulid&, const Ulid&) = default;

 private:
  std::array<uint8_t, 16> bytes_{};
};

}  // namespace narthex::tsdb
