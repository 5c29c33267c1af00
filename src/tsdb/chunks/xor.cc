#include "tsdb/chunks/xor.h"

#include <bit>
#include <cstring>

#include "tsdb/chunks/bit_stream.h"
#include "tsdb/chunks/columns_internal.h"
#include "tsdb/chunks/float_bits_internal.h"

namespace narthex::tsdb {
namespace {

// The delta of deltas by the four bits it begins with: length of the prefix, width of the payload,
// and the bounds of the sign rule. Decoding by table has no branch that jitter could mispredict.
struct DodCode {
  uint8_t prefix_bits;
  uint8_t width;  // 64: the payload does not fit into what was ensured.
  uint32_t positive_max;
  uint32_t modulus;
};
constexpr DodCode kDodZero = {1, 0, 0, 0};
constexpr DodCode kDod14 = {2, 14, 1 << 13, 1 << 14};
constexpr DodCode kDod17 = {3, 17, 1 << 16, 1 << 17};
constexpr DodCode kDod20 = {4, 20, 1 << 19, 1 << 20};
constexpr DodCode kDod64 = {4, 64, 0, 0};
constexpr DodCode kDodCodes[16] = {kDodZero, kDodZero, kDodZero, kDodZero, kDodZero, kDodZero,
                                   kDodZero, kDodZero, kDod14,   kDod14,   kDod14,   kDod14,
                                   kDod17,   kDod17,   kDod20,   kDod64};

inline void PutDod(uint8_t* buffer, uint32_t* position, int64_t dod) {
  if (dod == 0) {
    PutBits(buffer, position, 0, 1);
  } else if (FitsAsymmetric(dod, 14)) {
    PutBits(buffer, position, uint64_t{0b10} << 14 | LowBits(static_cast<uint64_t>(dod), 14), 16);
  } else if (FitsAsymmetric(dod, 17)) {
    PutBits(buffer, position, uint64_t{0b110} << 17 | LowBits(static_cast<uint64_t>(dod), 17), 20);
  } else if (FitsAsymmetric(dod, 20)) {
    PutBits(buffer, position, uint64_t{0b1110} << 20 | LowBits(static_cast<uint64_t>(dod), 20), 24);
  } else {
    PutBits(buffer, position, 0b1111, 4);
    PutBits(buffer, position, static_cast<uint64_t>(dod), 64);
  }
}

inline void PutValueXor(XorState& state, uint8_t* buffer, uint32_t* position, uint64_t bits) {
  const uint64_t x = bits ^ state.last_value_bits;
  if (x == 0) {
    PutBits(buffer, position, 0, 1);
    return;
  }
  unsigned leading = static_cast<unsigned>(std::countl_zero(x));
  if (leading > 31) leading = 31;
  const unsigned trailing = static_cast<unsigned>(std::countr_zero(x));
  if (state.leading != 0xff && leading >= state.leading && trailing >= state.trailing) {
    PutBits(buffer, position, 0b10, 2);
    PutBits(buffer, position, x >> state.trailing, 64u - state.leading - state.trailing);
    return;
  }
  state.leading = static_cast<uint8_t>(leading);
  state.trailing = static_cast<uint8_t>(trailing);
  const unsigned significant = 64 - leading - trailing;
  PutBits(buffer, position, uint64_t{0b11} << 11 | leading << 6 | (significant & 63), 13);
  PutBits(buffer, position, x >> trailing, significant);
}

}  // namespace

void XorAppend(XorState& state, uint8_t* buffer, int64_t timestamp_ms, double value) {
  const uint64_t bits = std::bit_cast<uint64_t>(value);
  uint32_t position = state.position_bits;
  const uint64_t delta = static_cast<uint64_t>(timestamp_ms) - static_cast<uint64_t>(state.last_ms);
  if (state.count >= 2) [[likely]] {
    PutDod(buffer, &position, static_cast<int64_t>(delta - state.last_delta));
    PutValueXor(state, buffer, &position, bits);
    state.last_delta = delta;
  } else if (state.count == 1) {
    PutBytewiseUvarint(buffer, &position, delta);
    PutValueXor(state, buffer, &position, bits);
    state.last_delta = delta;
  } else {
    PutBytewiseUvarint(buffer, &position, ZigZagEncode(timestamp_ms));
    PutBits(buffer, &position, bits, 64);
  }
  state.last_ms = timestamp_ms;
  state.last_value_bits = bits;
  state.position_bits = position;
  ++state.count;
}

bool TryXorAppend(XorState& state, uint8_t* buffer, size_t capacity, int64_t timestamp_ms,
                  double value) {
  if (state.size_bytes() + kXorAppendBytesMax <= capacity) {
    XorAppend(state, buffer, timestamp_ms, value);
    return true;
  }
  return AppendThroughScratch<kXorAppendBytesMax>(
      state, buffer, capacity,
      [&](XorState& moved, uint8_t* scratch) { XorAppend(moved, scratch, timestamp_ms, value); });
}

void StoreXorHeader(const XorState& state, uint8_t* buffer) {
  StoreBigEndian16(reinterpret_cast<char*>(buffer), state.count);
}

Status DecodeXor(std::string_view bytes, uint32_t count, TimeRange range,
                 storage::SampleColumns* out) {
  if (bytes.size() < kXorHeaderBytes) {
    return MakeError(ErrorCode::kCorruption, "XOR chunk of {} bytes is too short", bytes.size());
  }
  if (count == 0) return {};
  // Each sample after the first takes two bits at least; a count beyond that is made up.
  if (count > bytes.size() * 8) {
    return MakeError(ErrorCode::kCorruption, "XOR chunk of {} bytes claims {} samples",
                     bytes.size(), count);
  }
  ColumnsTail tail(out, count, /*with_start_timestamps=*/false);
  int64_t* const timestamps = tail.timestamps();
  double* const values = tail.values();
  size_t kept = 0;

  BitReader reader(bytes.substr(kXorHeaderBytes));
  uint64_t t = static_cast<uint64_t>(reader.ReadVarint());
  uint64_t value = reader.Read(64);
  uint64_t delta = 0;
  unsigned trailing = 0;
  unsigned significant = 64;
  for (uint32_t i = 0;;) {
    if (static_cast<int64_t>(t) > range.end_ms) break;
    timestamps[kept] = static_cast<int64_t>(t);
    values[kept] = std::bit_cast<double>(value);
    kept += static_cast<int64_t>(t) >= range.start_ms;
    if (++i == count) break;

    // Longest run without a refill: a dod of 24 bits and a value header of 13.
    reader.Ensure(37);
    if (i == 1) [[unlikely]] {
      delta = reader.ReadUvarint();
      reader.Ensure(13);
    } else if (reader.window() >> 62 == 0) {
      // Same distance, same value: most samples of most series.
      reader.Skip(2);
      t += delta;
      continue;
    } else {
      const uint64_t window = reader.window();
      const DodCode& code = kDodCodes[window >> 60];
      if (code.width == 64) [[unlikely]] {
        reader.Skip(4);
        delta += reader.Read(64);
        reader.Ensure(13);
      } else {
        const uint64_t raw = (window << code.prefix_bits) >> 1 >> (63 - code.width);
        reader.Skip(code.prefix_bits + code.width);
        delta += raw - (raw > code.positive_max ? code.modulus : 0);
      }
    }
    t += delta;

    if (reader.Take(1) != 0) {
      if (reader.Take(1) != 0) {
        const unsigned leading = static_cast<unsigned>(reader.Take(5));
        significant = static_cast<unsigned>(reader.Take(6));
        if (significant == 0) significant = 64;
        if (leading + significant > 64) {
          tail.Abandon();
          return MakeError(ErrorCode::kCorruption, "XOR chunk has an impossible value window");
        }
        trailing = 64 - leading - significant;
      }
      value ^= reader.Read(significant) << trailing;
    }
  }
  if (reader.overrun()) {
    tail.Abandon();
    return MakeError(ErrorCode::kCorruption, "XOR chunk ends before its {} samples", count);
  }
  tail.Finish(kept);
  return {};
}

}  // namespace narthex::tsdb
