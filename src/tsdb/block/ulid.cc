#include "tsdb/block/ulid.h"

#include <sys/random.h>

#include "util/check.h"

namespace narthex::tsdb {
namespace {

constexpr std::string_view kAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr size_t kTextSize = 26;
constexpr size_t kTimeBytes = 6;

}  // namespace

std::optional<Ulid> Ulid::Parse(std::string_view text) {
  // 26 characters have 130 bits: the first may only use three of its five.
  if (text.size() != kTextSize || text[0] > '7') return std::nullopt;
  Ulid ulid;
  unsigned __int128 bits = 0;
  for (char c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    const size_t digit = kAlphabet.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    bits = bits << 5 | digit;
  }
  for (size_t i = 0; i < ulid.bytes_.size(); ++i) {
    ulid.bytes_[i] = static_cast<uint8_t>(bits >> (120 - 8 * i));
  }
  return ulid;
}

Ulid Ulid::Generate(int64_t now_ms) {
  Ulid ulid;
  for (size_t i = 0; i < kTimeBytes; ++i) {
    ulid.bytes_[i] = static_cast<uint8_t>(static_cast<uint64_t>(now_ms) >> (40 - 8 * i));
  }
  size_t filled = kTimeBytes;
  while (filled < ulid.bytes_.size()) {
    const ssize_t got = ::getrandom(ulid.bytes_.data() + filled, ulid.bytes_.size() - filled, 0);
    if (got > 0) filled += static_cast<size_t>(got);
  }
  return ulid;
}

std::string Ulid::ToString() const {
  unsigned __int128 bits = 0;
  for (const uint8_t byte : bytes_) bits = bits << 8 | byte;
  std::string text(kTextSize, '0');
  for (size_t i = kTextSize; i-- > 0; bits >>= 5) {
    text[i] = kAlphabet[static_cast<size_t>(bits & 31)];
  }
  return text;
}

int64_t Ulid::time_ms() const {
  int64_t ms = 0;
  for (size_t i = 0; i < kTimeBytes; ++i) ms = ms << 8 | bytes_[i];
  return ms;
}

}  // namespace narthex::tsdb
