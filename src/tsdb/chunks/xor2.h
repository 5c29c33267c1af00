// XOR2: the float chunk encoding with start timestamps (encoding 4).
//
//   [count u16 BE][st header][varint t0][value0 64 bits]([varint t0-st0])
//   [uvarint t1-t0][xor2]([varbit t0-st1]) {[joint control][value]([varbit st])}...
//
// One joint control covers "same distance, same value" with a single bit. Stale markers cost two
// bits and leave the value they interrupt as the baseline. The window of significant bits is chosen
// by the rule of version 3.16.
//
// Like XorState, the state is plain and the bytes belong to the caller; sample count and start
// timestamp header live in the state until StoreXor2Header writes them.
//
// Byte diagram: docs/formats/chunks.md.
#pragma once

#include <cstdint>
#include <string_view>

#include "tsdb/chunks/chunk.h"

namespace narthex::tsdb {

struct Xor2State {
  int64_t last_ms = 0;
  uint64_t last_delta = 0;
  uint64_t baseline_bits = 0;   // The last value that was not stale.
  int64_t last_start_ms = 0;    // Start timestamp of the last sample.
  int64_t last_start_diff = 0;  // Previous sample's time minus start timestamp.
  uint32_t position_bits = 24;  // Behind the header.
  uint16_t count = 0;
  uint8_t leading = 0xff;
  uint8_t trailing = 0;
  uint8_t start_header = 0;  // Bit 7: sample 0 has one. Low bits: first sample that carries data.
  uint8_t unused_[7] = {};

  size_t size_bytes() const { return (position_bits + 7) / 8; }
};

inline constexpr size_t kXor2HeaderBytes = 3;
// Room behind size_bytes() that Xor2Append may write to: up to 30 bytes and a whole word.
inline constexpr size_t kXor2AppendBytesMax = 48;
// The last index that the start timestamp header can name.
inline constexpr uint16_t kStartChangeMax = 127;

// As XorAppend; start_ms 0: unknown.
void Xor2Append(Xor2State& state, uint8_t* buffer, int64_t start_ms, int64_t timestamp_ms,
                double value);
bool TryXor2Append(Xor2State& state, uint8_t* buffer, size_t capacity, int64_t start_ms,
                   int64_t timestamp_ms, double value);
void StoreXor2Header(const Xor2State& state, uint8_t* buffer);

// `start_header` replaces the byte in the chunk's header, which an open chunk does not have yet.
Status DecodeXor2(std::string_view bytes, uint32_t count, uint8_t start_header, TimeRange range,
                  storage::SampleColumns* out);

}  // namespace narthex::tsdb
