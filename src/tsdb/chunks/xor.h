// XOR: the float chunk encoding (encoding 1), timestamps as delta of deltas, values as xor with the
// value before.
//
//   [count u16 BE][varint t0][value0 64 bits][uvarint t1-t0][xor]{[dod][xor]}...
//
// The appender's state is a plain struct and the bytes lie in memory of the caller, so that the
// head keeps both in slabs without an object per series. The count in the header is not kept up to
// date (it would touch a second cache line a sample): StoreXorHeader writes it before the bytes are
// handed out, and DecodeOptions::sample_count replaces it for readers of an open chunk.
//
// Byte diagram: docs/formats/chunks.md. Threads: none of its own.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tsdb/chunks/chunk.h"

namespace narthex::tsdb {

struct XorState {
  int64_t last_ms = 0;
  uint64_t last_delta = 0;  // Modulo 2^64, as upstream computes.
  uint64_t last_value_bits = 0;
  uint32_t position_bits = 16;  // Behind the header.
  uint16_t count = 0;
  uint8_t leading = 0xff;  // 0xff: no window yet.
  uint8_t trailing = 0;

  size_t size_bytes() const { return (position_bits + 7) / 8; }
};
static_assert(sizeof(XorState) == 32);

inline constexpr size_t kChunkSamplesMax = 65535;
inline constexpr size_t kXorHeaderBytes = 2;
// Room behind size_bytes() that XorAppend may write to: a sample of 20 bytes and a whole word.
inline constexpr size_t kXorAppendBytesMax = 32;

// Appends one sample. `buffer` has room for state.size_bytes() + kXorAppendBytesMax; the count is
// below kChunkSamplesMax.
void XorAppend(XorState& state, uint8_t* buffer, int64_t timestamp_ms, double value);
// The same for a buffer of exactly `capacity` bytes, of which none behind it is touched. False, and
// nothing changed, when the sample does not fit.
bool TryXorAppend(XorState& state, uint8_t* buffer, size_t capacity, int64_t timestamp_ms,
                  double value);
// Writes the count into the header.
void StoreXorHeader(const XorState& state, uint8_t* buffer);

// A place inside a chunk from which decoding can go on: behind one of its samples.
struct XorResume {
  int64_t t_ms = 0;  // Of that sample, as is its value.
  uint64_t delta = 0;
  uint64_t value_bits = 0;
  uint32_t position_bits = 0;
  uint16_t samples = 0;  // Up to and with that one; 0: nothing is known.
  uint8_t trailing = 0;
  uint8_t significant = 64;
};
static_assert(sizeof(XorResume) == 32);

// Decodes `count` samples of the chunk `bytes` (header included). A `resume` that is not null may
// name a sample before which all are older than the range; it is set to the first sample that is
// not, or the last of the chunk. It must come from the same chunk, which may have grown since.
Status DecodeXor(std::string_view bytes, uint32_t count, TimeRange range,
                 storage::SampleColumns* out, XorResume* resume = nullptr);

}  // namespace narthex::tsdb
