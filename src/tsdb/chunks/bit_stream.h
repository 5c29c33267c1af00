// Bit streams of chunks: most significant bit first, unused low bits of the last byte are zero.
//
// The reader keeps a 64-bit window that one unaligned load refills to at least 56 bits, so that a
// sample costs one or two refills and no loop over bits. Past the end it gives zeros and remembers
// that it did: a decoder checks overrun() once at its end instead of at every field.
//
// The writers store eight bytes at a time. PutBits works on memory of the caller and may touch up
// to 8 bytes past the last bit written (with zeros).
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "util/bytes.h"

namespace narthex::tsdb {

inline int64_t SignExtendAsymmetric(uint64_t raw, unsigned bits) {
  // Upstream's rule: 2^(bits-1) itself is positive.
  return raw > (uint64_t{1} << (bits - 1)) ? static_cast<int64_t>(raw - (uint64_t{1} << bits))
                                           : static_cast<int64_t>(raw);
}
inline bool FitsAsymmetric(int64_t v, unsigned bits) {
  return v >= -((int64_t{1} << (bits - 1)) - 1) && v <= int64_t{1} << (bits - 1);
}
inline uint64_t LowBits(uint64_t v, unsigned bits) {
  return bits == 64 ? v : v & ((uint64_t{1} << bits) - 1);
}

class BitReader {
 public:
  explicit BitReader(std::string_view bytes)
      : p_(bytes.data()), end_(bytes.data() + bytes.size()), size_bits_(bytes.size() * 8) {}

  // At least 56 bits in the window.
  [[gnu::always_inline]] void Refill() {
    if (end_ - p_ >= 8) [[likely]] {
      window_ |= LoadBigEndian64(p_) >> valid_;
      p_ += (63 - valid_) >> 3;
      valid_ |= 56;
    } else {
      while (valid_ < 56) {
        if (p_ != end_) {
          window_ |= static_cast<uint64_t>(static_cast<uint8_t>(*p_++)) << (56 - valid_);
        } else {
          past_bits_ += 8;
        }
        valid_ += 8;
      }
    }
  }
  [[gnu::always_inline]] void Ensure(unsigned bits) {
    if (valid_ < bits) Refill();
  }

  // For loops that ask once a sample whether the end is far: whatever a sample reads (at most 24
  // bytes) then needs no check of its own.
  bool is_far_from_end() const { return end_ - p_ >= 32; }
  template <bool kFar>
  [[gnu::always_inline]] void Ensure(unsigned bits) {
    if (valid_ >= bits) return;
    if constexpr (kFar) {
      window_ |= LoadBigEndian64(p_) >> valid_;
      p_ += (63 - valid_) >> 3;
      valid_ |= 56;
    } else {
      Refill();
    }
  }
  // 1 to 64 bits.
  template <bool kFar>
  [[gnu::always_inline]] uint64_t Read(unsigned bits) {
    if (bits <= 56) {
      Ensure<kFar>(bits);
      return Take(bits);
    }
    Ensure<kFar>(32);
    const uint64_t high = Take(32);
    Ensure<kFar>(32);
    return high << (bits - 32) | Take(bits - 32);
  }
  // The following bits, left-aligned. Only as many as ensured are meaningful.
  uint64_t window() const { return window_; }
  // Only of ensured bits; 1 to 56 at once.
  [[gnu::always_inline]] uint64_t Take(unsigned bits) {
    const uint64_t v = window_ >> (64 - bits);
    Skip(bits);
    return v;
  }
  [[gnu::always_inline]] void Skip(unsigned bits) {
    window_ <<= bits;
    valid_ -= bits;
  }
  // 1 to 64 bits, refilling as needed.
  [[gnu::always_inline]] uint64_t Read(unsigned bits) {
    Ensure(bits <= 56 ? bits : 32);
    if (bits <= 56) return Take(bits);
    const uint64_t high = Take(32);
    Refill();
    return high << (bits - 32) | Take(bits - 32);
  }
  // Inlined everywhere: a reader whose address is taken cannot live in registers.
  [[gnu::always_inline]] uint64_t ReadUvarint() {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
      const uint64_t byte = Read(8);
      v |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (shift == 63 && byte > 1) malformed_ = true;
        return v;
      }
    }
    malformed_ = true;
    return 0;
  }
  [[gnu::always_inline]] int64_t ReadVarint() { return ZigZagDecode(ReadUvarint()); }

  // More was read than there was, or a varint had no end.
  bool overrun() const { return malformed_ || valid_ < past_bits_; }
  size_t bits_left() const {
    const size_t left = static_cast<size_t>(end_ - p_) * 8 + valid_;
    return left > past_bits_ ? left - past_bits_ : 0;
  }
  size_t size_bits() const { return size_bits_; }

 private:
  const char* p_;
  const char* end_;
  uint64_t window_ = 0;
  unsigned valid_ = 0;      // Bits of the window that count.
  uint64_t past_bits_ = 0;  // Zeros that were made up behind the end.
  size_t size_bits_;
  bool malformed_ = false;
};

// Writes the low `bits` (1 to 64) of `v`, which has no others set, at bit `*position`.
inline void PutBits(uint8_t* buffer, uint32_t* position, uint64_t v, unsigned bits) {
  uint8_t* at = buffer + (*position >> 3);
  const unsigned offset = *position & 7;
  uint64_t word = 0;
  if (offset != 0) word = static_cast<uint64_t>(*at & (0xff00u >> offset & 0xff)) << 56;
  char* bytes = reinterpret_cast<char*>(at);
  if (offset + bits <= 64) {
    StoreBigEndian64(bytes, word | v << (64 - offset - bits));
  } else {
    const unsigned spill = offset + bits - 64;
    StoreBigEndian64(bytes, word | v >> spill);
    at[8] = static_cast<uint8_t>(v << (8 - spill));
  }
  *position += bits;
}

// A growing bit stream of its own.
class BitWriter {
 public:
  BitWriter() = default;
  explicit BitWriter(std::string header) : bytes_(std::move(header)) {
    position_ = static_cast<uint32_t>(bytes_.size() * 8);
  }

  void Put(uint64_t v, unsigned bits) {
    const size_t need = (position_ + bits) / 8 + 10;
    if (bytes_.size() < need) bytes_.resize(need + need / 2);
    PutBits(reinterpret_cast<uint8_t*>(bytes_.data()), &position_, v, bits);
  }
  void PutVarint(int64_t v) {
    char buffer[kVarintBytesMax];
    const size_t size = StoreUvarint(buffer, ZigZagEncode(v));
    for (size_t i = 0; i < size; ++i) Put(static_cast<uint8_t>(buffer[i]), 8);
  }
  size_t size_bytes() const { return (position_ + 7) / 8; }
  std::string_view bytes() const { return {bytes_.data(), size_bytes()}; }
  char* data() { return bytes_.data(); }

 private:
  std::string bytes_;
  uint32_t position_ = 0;
};

}  // namespace narthex::tsdb
