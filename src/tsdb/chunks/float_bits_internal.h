// What the two float encodings share.
#pragma once

#include <cstdint>
#include <cstring>

#include "tsdb/chunks/bit_stream.h"

namespace narthex::tsdb {

inline void PutBytewiseUvarint(uint8_t* buffer, uint32_t* position, uint64_t v) {
  while (v >= 0x80) {
    PutBits(buffer, position, (v & 0x7f) | 0x80, 8);
    v >>= 7;
  }
  PutBits(buffer, position, v, 8);
}

// Encodes one sample into a scratch buffer that starts with the last, partly filled byte, and
// copies it back only if it fits into `capacity`. `append(state, scratch)` is the unbounded
// appender.
template <size_t kSlack, typename State, typename Append>
bool AppendThroughScratch(State& state, uint8_t* buffer, size_t capacity, Append append) {
  const size_t whole = state.position_bits / 8;
  uint8_t scratch[kSlack + 16] = {};
  State moved = state;
  moved.position_bits = state.position_bits % 8;
  if (moved.position_bits != 0) scratch[0] = buffer[whole];
  append(moved, scratch);
  const size_t used = (moved.position_bits + 7) / 8;
  if (whole + used > capacity) return false;
  std::memcpy(buffer + whole, scratch, used);
  moved.position_bits += static_cast<uint32_t>(whole * 8);
  state = moved;
  return true;
}

}  // namespace narthex::tsdb
