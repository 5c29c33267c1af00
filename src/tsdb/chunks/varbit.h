// The prefix code of histogram chunks and start timestamps: short codes for small numbers.
// Byte diagram: docs/formats/chunks.md.
#pragma once

#include <bit>
#include <cstdint>

#include "tsdb/chunks/bit_stream.h"

namespace narthex::tsdb {

// Payload width after a prefix of n ones (and a zero, for n < 8).
inline constexpr uint8_t kVarbitWidths[9] = {0, 3, 6, 9, 12, 18, 25, 56, 64};

inline uint64_t ReadVarbitRaw(BitReader& reader, unsigned* width) {
  reader.Ensure(34);  // The longest prefix and the widest payload that comes in one take.
  unsigned ones = static_cast<unsigned>(std::countl_one(reader.window()));
  if (ones > 8) ones = 8;
  reader.Skip(ones < 8 ? ones + 1 : 8);
  *width = kVarbitWidths[ones];
  if (ones == 0) return 0;
  return ones < 7 ? reader.Take(*width) : reader.Read(*width);
}

inline int64_t ReadVarbitInt(BitReader& reader) {
  unsigned width = 0;
  const uint64_t raw = ReadVarbitRaw(reader, &width);
  if (width == 0) return 0;
  return width == 64 ? static_cast<int64_t>(raw) : SignExtendAsymmetric(raw, width);
}

inline uint64_t ReadVarbitUint(BitReader& reader) {
  unsigned width = 0;
  return ReadVarbitRaw(reader, &width);
}

inline void PutVarbitPrefix(BitWriter& writer, unsigned ones) {
  if (ones < 8) {
    writer.Put((uint64_t{2} << ones) - 2, ones + 1);
  } else {
    writer.Put(0xff, 8);
  }
}

inline void PutVarbitInt(BitWriter& writer, int64_t v) {
  if (v == 0) {
    writer.Put(0, 1);
    return;
  }
  unsigned ones = 1;
  while (ones < 8 && !FitsAsymmetric(v, kVarbitWidths[ones])) ++ones;
  PutVarbitPrefix(writer, ones);
  writer.Put(LowBits(static_cast<uint64_t>(v), kVarbitWidths[ones]), kVarbitWidths[ones]);
}

inline void PutVarbitUint(BitWriter& writer, uint64_t v) {
  if (v == 0) {
    writer.Put(0, 1);
    return;
  }
  unsigned ones = 1;
  while (ones < 8 && v >> kVarbitWidths[ones] != 0) ++ones;
  PutVarbitPrefix(writer, ones);
  writer.Put(v, kVarbitWidths[ones]);
}

// A value stored as the xor with the value before it, inside a window of significant bits.
struct XorWindow {
  uint64_t bits = 0;
  uint8_t leading = 0xff;  // 0xff: no window yet.
  uint8_t trailing = 0;
};

inline void PutXor(BitWriter& writer, XorWindow& state, uint64_t bits) {
  const uint64_t x = bits ^ state.bits;
  state.bits = bits;
  if (x == 0) {
    writer.Put(0, 1);
    return;
  }
  unsigned leading = static_cast<unsigned>(std::countl_zero(x));
  if (leading > 31) leading = 31;
  const unsigned trailing = static_cast<unsigned>(std::countr_zero(x));
  if (state.leading != 0xff && leading >= state.leading && trailing >= state.trailing) {
    writer.Put(2, 2);
    writer.Put(x >> state.trailing, 64u - state.leading - state.trailing);
    return;
  }
  state.leading = static_cast<uint8_t>(leading);
  state.trailing = static_cast<uint8_t>(trailing);
  const unsigned significant = 64 - leading - trailing;
  writer.Put(3u << 11 | leading << 6 | (significant & 63), 13);
  writer.Put(x >> trailing, significant);
}

// The reader's window starts as 0/0, as upstream's does. False when the window is impossible.
inline bool ReadXor(BitReader& reader, XorWindow& state) {
  reader.Ensure(13);
  if (reader.Take(1) == 0) return true;
  if (reader.Take(1) != 0) {
    const unsigned leading = static_cast<unsigned>(reader.Take(5));
    unsigned significant = static_cast<unsigned>(reader.Take(6));
    if (significant == 0) significant = 64;
    if (leading + significant > 64) return false;
    state.leading = static_cast<uint8_t>(leading);
    state.trailing = static_cast<uint8_t>(64 - leading - significant);
  }
  state.bits ^= reader.Read(64u - state.leading - state.trailing) << state.trailing;
  return true;
}

}  // namespace narthex::tsdb
