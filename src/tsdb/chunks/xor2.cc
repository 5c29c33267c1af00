#include "tsdb/chunks/xor2.h"

#include <algorithm>
#include <bit>

#include "tsdb/chunks/bit_stream.h"
#include "tsdb/chunks/columns_internal.h"
#include "tsdb/chunks/float_bits_internal.h"
#include "tsdb/chunks/varbit.h"
#include "util/numbers.h"

namespace narthex::tsdb {
namespace {

inline bool FitsTwosComplement(int64_t v, unsigned bits) {
  return v >= -(int64_t{1} << (bits - 1)) && v < int64_t{1} << (bits - 1);
}
inline int64_t SignExtend(uint64_t raw, unsigned bits) {
  return static_cast<int64_t>(raw << (64 - bits)) >> (64 - bits);
}

void PutVarbitIntAt(uint8_t* buffer, uint32_t* position, int64_t v) {
  if (v == 0) {
    PutBits(buffer, position, 0, 1);
    return;
  }
  unsigned ones = 1;
  while (ones < 8 && !FitsAsymmetric(v, kVarbitWidths[ones])) ++ones;
  if (ones < 8) {
    PutBits(buffer, position, (uint64_t{2} << ones) - 2, ones + 1);
  } else {
    PutBits(buffer, position, 0xff, 8);
  }
  PutBits(buffer, position, LowBits(static_cast<uint64_t>(v), kVarbitWidths[ones]),
          kVarbitWidths[ones]);
}

// Costs of upstream's 3.16 rule: how many bits a reused window may waste, and how many a widened
// one, for the two value codes.
struct WindowCosts {
  unsigned reuse_waste_max;
  unsigned widen_waste_max;
};
constexpr WindowCosts kFull = {12, 6};         // varbit_xor2
constexpr WindowCosts kNonZeroOnly = {11, 5};  // varbit_xor2_nn

// Writes the payload of the changed value `x` after choosing its window: `reuse_code` of
// `reuse_bits`, or `fresh_code` with the window.
void PutWindowed(Xor2State& state, uint8_t* buffer, uint32_t* position, uint64_t x,
                 const WindowCosts& costs, uint64_t reuse_code, unsigned reuse_bits,
                 uint64_t fresh_code, unsigned fresh_bits) {
  unsigned leading = std::min(31u, static_cast<unsigned>(std::countl_zero(x)));
  unsigned trailing = static_cast<unsigned>(std::countr_zero(x));
  if (state.leading != 0xff) {
    const unsigned had_leading = state.leading;
    const unsigned had_trailing = state.trailing;
    if (leading >= had_leading && trailing >= had_trailing) {
      if (leading + trailing <= had_leading + had_trailing + costs.reuse_waste_max) {
        PutBits(buffer, position, reuse_code, reuse_bits);
        PutBits(buffer, position, x >> had_trailing, 64 - had_leading - had_trailing);
        return;
      }
    } else {
      const unsigned wide_leading = std::min(leading, had_leading);
      const unsigned wide_trailing = std::min(trailing, had_trailing);
      if (leading + trailing - wide_leading - wide_trailing <= costs.widen_waste_max) {
        leading = wide_leading;
        trailing = wide_trailing;
      }
    }
  }
  state.leading = static_cast<uint8_t>(leading);
  state.trailing = static_cast<uint8_t>(trailing);
  const unsigned significant = 64 - leading - trailing;
  PutBits(buffer, position, fresh_code << 11 | leading << 6 | (significant & 63), fresh_bits + 11);
  PutBits(buffer, position, x >> trailing, significant);
}

void PutXor2Value(Xor2State& state, uint8_t* buffer, uint32_t* position, uint64_t bits) {
  if (bits == kStaleNanBits) {
    PutBits(buffer, position, 0b111, 3);
    return;
  }
  const uint64_t x = bits ^ state.baseline_bits;
  if (x == 0) {
    PutBits(buffer, position, 0, 1);
    return;
  }
  PutWindowed(state, buffer, position, x, kFull, 0b10, 2, 0b110, 3);
  state.baseline_bits = bits;
}

void PutJoint(Xor2State& state, uint8_t* buffer, uint32_t* position, int64_t dod, uint64_t bits) {
  if (dod == 0) {
    if (bits == kStaleNanBits) {
      PutBits(buffer, position, 0b11111, 5);
    } else if (bits == state.baseline_bits) {
      PutBits(buffer, position, 0, 1);
    } else {
      PutBits(buffer, position, 0b10, 2);
      PutWindowed(state, buffer, position, bits ^ state.baseline_bits, kNonZeroOnly, 0, 1, 1, 1);
      state.baseline_bits = bits;
    }
    return;
  }
  if (FitsTwosComplement(dod, 13)) {
    PutBits(buffer, position, uint64_t{0b110} << 13 | LowBits(static_cast<uint64_t>(dod), 13), 16);
  } else if (FitsTwosComplement(dod, 20)) {
    PutBits(buffer, position, uint64_t{0b1110} << 20 | LowBits(static_cast<uint64_t>(dod), 20), 24);
  } else {
    PutBits(buffer, position, 0b11110, 5);
    PutBits(buffer, position, static_cast<uint64_t>(dod), 64);
  }
  PutXor2Value(state, buffer, position, bits);
}

// Start timestamp of the sample at `index` >= 1, whose predecessor has the time `previous_ms`.
void PutStart(Xor2State& state, uint8_t* buffer, uint32_t* position, uint16_t index,
              int64_t previous_ms, int64_t start_ms) {
  const uint8_t change_on = state.start_header & kStartChangeMax;
  const int64_t diff =
      static_cast<int64_t>(static_cast<uint64_t>(previous_ms) - static_cast<uint64_t>(start_ms));
  if (change_on == 0) {
    if (start_ms == state.last_start_ms && index != kStartChangeMax) return;
    state.start_header = static_cast<uint8_t>(state.start_header | index);
    PutVarbitIntAt(buffer, position, diff);
  } else {
    PutVarbitIntAt(buffer, position,
                   static_cast<int64_t>(static_cast<uint64_t>(diff) -
                                        static_cast<uint64_t>(state.last_start_diff)));
  }
  state.last_start_diff = diff;
}

}  // namespace

void Xor2Append(Xor2State& state, uint8_t* buffer, int64_t start_ms, int64_t timestamp_ms,
                double value) {
  const uint64_t bits = std::bit_cast<uint64_t>(value);
  uint32_t position = state.position_bits;
  const int64_t previous_ms = state.last_ms;
  const uint64_t delta = static_cast<uint64_t>(timestamp_ms) - static_cast<uint64_t>(previous_ms);
  if (state.count == 0) {
    PutBytewiseUvarint(buffer, &position, ZigZagEncode(timestamp_ms));
    PutBits(buffer, &position, bits, 64);
    if (bits != kStaleNanBits) state.baseline_bits = bits;
    if (start_ms != 0) {
      state.start_header = 0x80;
      PutBytewiseUvarint(buffer, &position,
                         ZigZagEncode(static_cast<int64_t>(static_cast<uint64_t>(timestamp_ms) -
                                                           static_cast<uint64_t>(start_ms))));
    }
  } else {
    if (state.count == 1) {
      PutBytewiseUvarint(buffer, &position, delta);
      PutXor2Value(state, buffer, &position, bits);
    } else {
      PutJoint(state, buffer, &position, static_cast<int64_t>(delta - state.last_delta), bits);
    }
    state.last_delta = delta;
    PutStart(state, buffer, &position, state.count, previous_ms, start_ms);
  }
  state.last_start_ms = start_ms;
  state.last_ms = timestamp_ms;
  state.position_bits = position;
  ++state.count;
}

bool TryXor2Append(Xor2State& state, uint8_t* buffer, size_t capacity, int64_t start_ms,
                   int64_t timestamp_ms, double value) {
  if (state.size_bytes() + kXor2AppendBytesMax <= capacity) {
    Xor2Append(state, buffer, start_ms, timestamp_ms, value);
    return true;
  }
  return AppendThroughScratch<kXor2AppendBytesMax>(
      state, buffer, capacity, [&](Xor2State& moved, uint8_t* scratch) {
        Xor2Append(moved, scratch, start_ms, timestamp_ms, value);
      });
}

void StoreXor2Header(const Xor2State& state, uint8_t* buffer) {
  StoreBigEndian16(reinterpret_cast<char*>(buffer), state.count);
  buffer[2] = state.start_header;
}

namespace {

// The value side of the decoder.
struct ValueReader {
  uint64_t baseline = 0;
  unsigned leading = 0xff;
  unsigned trailing = 0;
  bool bad = false;

  [[gnu::always_inline]] void FreshWindow(BitReader& reader) {
    leading = static_cast<unsigned>(reader.Take(5));
    unsigned significant = static_cast<unsigned>(reader.Take(6));
    if (significant == 0) significant = 64;
    if (leading + significant > 64) {
      bad = true;
      leading = trailing = 0;
      return;
    }
    trailing = 64 - leading - significant;
  }
  [[gnu::always_inline]] uint64_t Changed(BitReader& reader) {
    if (leading == 0xff) {
      bad = true;
      leading = trailing = 0;
    }
    baseline ^= reader.Read(64 - leading - trailing) << trailing;
    return baseline;
  }
  // varbit_xor2
  [[gnu::always_inline]] uint64_t Full(BitReader& reader) {
    reader.Ensure(14);
    if (reader.Take(1) == 0) return baseline;
    if (reader.Take(1) != 0) {
      if (reader.Take(1) != 0) return kStaleNanBits;
      FreshWindow(reader);
    }
    return Changed(reader);
  }
  // varbit_xor2_nn
  [[gnu::always_inline]] uint64_t NonZero(BitReader& reader) {
    reader.Ensure(12);
    if (reader.Take(1) != 0) FreshWindow(reader);
    return Changed(reader);
  }
};

}  // namespace

Status DecodeXor2(std::string_view bytes, uint32_t count, uint8_t start_header, TimeRange range,
                  storage::SampleColumns* out) {
  if (bytes.size() < kXor2HeaderBytes) {
    return MakeError(ErrorCode::kCorruption, "XOR2 chunk of {} bytes is too short", bytes.size());
  }
  if (count == 0) return {};
  if (count > bytes.size() * 8) {
    return MakeError(ErrorCode::kCorruption, "XOR2 chunk of {} bytes claims {} samples",
                     bytes.size(), count);
  }
  const uint32_t change_on = start_header & kStartChangeMax;
  ColumnsTail tail(out, count, /*with_start_timestamps=*/start_header != 0);
  int64_t* const timestamps = tail.timestamps();
  double* const values = tail.values();
  int64_t* const starts = tail.start_timestamps();
  size_t kept = 0;

  BitReader reader(bytes.substr(kXor2HeaderBytes));
  ValueReader value_reader;
  uint64_t t = static_cast<uint64_t>(reader.ReadVarint());
  uint64_t value = reader.Read(64);
  if (value != kStaleNanBits) value_reader.baseline = value;
  uint64_t start = 0;
  uint64_t start_diff = 0;
  if ((start_header & 0x80) != 0) start = t - static_cast<uint64_t>(reader.ReadVarint());
  uint64_t delta = 0;
  for (uint32_t i = 0;;) {
    if (static_cast<int64_t>(t) > range.end_ms) break;
    timestamps[kept] = static_cast<int64_t>(t);
    values[kept] = std::bit_cast<double>(value);
    if (starts != nullptr) starts[kept] = static_cast<int64_t>(start);
    kept += static_cast<int64_t>(t) >= range.start_ms;
    if (++i == count) break;

    const uint64_t previous_t = t;
    if (i == 1) [[unlikely]] {
      delta = reader.ReadUvarint();
      value = value_reader.Full(reader);
    } else {
      reader.Ensure(40);
      const unsigned ones = std::min(5u, static_cast<unsigned>(std::countl_one(reader.window())));
      reader.Skip(ones < 5 ? ones + 1 : 5);
      switch (ones) {
        case 0: value = value_reader.baseline; break;
        case 1: value = value_reader.NonZero(reader); break;
        case 2:
          delta += static_cast<uint64_t>(SignExtend(reader.Take(13), 13));
          value = value_reader.Full(reader);
          break;
        case 3:
          delta += static_cast<uint64_t>(SignExtend(reader.Take(20), 20));
          value = value_reader.Full(reader);
          break;
        case 4:
          delta += reader.Read(64);
          value = value_reader.Full(reader);
          break;
        default: value = kStaleNanBits;
      }
    }
    t += delta;
    if (change_on != 0 && i >= change_on) {
      const uint64_t read = static_cast<uint64_t>(ReadVarbitInt(reader));
      start_diff = i == change_on ? read : start_diff + read;
      start = previous_t - start_diff;
    }
  }
  if (reader.overrun() || value_reader.bad) {
    tail.Abandon();
    return MakeError(ErrorCode::kCorruption, "XOR2 chunk of {} samples {}", count,
                     value_reader.bad ? "has an impossible value window" : "ends before them");
  }
  tail.Finish(kept);
  return {};
}

}  // namespace narthex::tsdb
