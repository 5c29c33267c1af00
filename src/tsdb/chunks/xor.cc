#include "tsdb/chunks/xor.h"

#include <algorithm>
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

// By way of a larger buffer.
bool TryXorAppendAny(XorState& state, uint8_t* buffer, size_t capacity, int64_t timestamp_ms,
                     double value);

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

namespace {

// Bits of one sample, put together in a register; at most 24 of time, 13 of the window and 64 of
// the value.
struct SampleBits {
  unsigned __int128 bits = 0;
  unsigned count = 0;
  [[gnu::always_inline]] void Put(uint64_t v, unsigned width) {
    bits = bits << width | v;
    count += width;
  }
};

// Stores the first `used` bytes of `word`, 1 to 8.
[[gnu::always_inline]] inline void StorePart(char* to, uint64_t word, size_t used) {
  if (used >= 4) {
    // Two stores that may overlap.
    StoreBigEndian32(to, static_cast<uint32_t>(word >> 32));
    StoreBigEndian32(to + used - 4, static_cast<uint32_t>(word >> (64 - 8 * used)));
    return;
  }
  for (size_t i = 0; i < used; ++i) to[i] = static_cast<char>(word >> (56 - 8 * i));
}

}  // namespace

// The path of nearly every sample: exact to the byte, so that small buffers that grow in small
// steps need no detour through a larger one.
bool TryXorAppend(XorState& state, uint8_t* buffer, size_t capacity, int64_t timestamp_ms,
                  double value) {
  const uint64_t value_bits = std::bit_cast<uint64_t>(value);
  const uint64_t delta = static_cast<uint64_t>(timestamp_ms) - static_cast<uint64_t>(state.last_ms);
  const auto dod = static_cast<int64_t>(delta - state.last_delta);
  if (state.count < 2 || !FitsAsymmetric(dod, 20)) [[unlikely]] {
    return TryXorAppendAny(state, buffer, capacity, timestamp_ms, value);
  }
  SampleBits out;
  if (dod == 0) {
    out.Put(0, 1);
  } else if (FitsAsymmetric(dod, 14)) {
    out.Put(uint64_t{0b10} << 14 | LowBits(static_cast<uint64_t>(dod), 14), 16);
  } else if (FitsAsymmetric(dod, 17)) {
    out.Put(uint64_t{0b110} << 17 | LowBits(static_cast<uint64_t>(dod), 17), 20);
  } else {
    out.Put(uint64_t{0b1110} << 20 | LowBits(static_cast<uint64_t>(dod), 20), 24);
  }
  const uint64_t x = value_bits ^ state.last_value_bits;
  unsigned leading = state.leading;
  unsigned trailing = state.trailing;
  if (x == 0) {
    out.Put(0, 1);
  } else {
    const unsigned x_leading = std::min(31u, static_cast<unsigned>(std::countl_zero(x)));
    const auto x_trailing = static_cast<unsigned>(std::countr_zero(x));
    if (leading != 0xff && x_leading >= leading && x_trailing >= trailing) {
      out.Put(0b10, 2);
    } else {
      leading = x_leading;
      trailing = x_trailing;
      out.Put(uint64_t{0b11} << 11 | leading << 6 | ((64 - leading - trailing) & 63), 13);
    }
    out.Put(x >> trailing, 64 - leading - trailing);
  }

  const size_t whole = state.position_bits / 8;
  const unsigned offset = state.position_bits % 8;
  const size_t used = (offset + out.count + 7) / 8;
  if (whole + used > capacity) return false;
  char* const to = reinterpret_cast<char*>(buffer) + whole;
  if (offset != 0)
    out.bits |= static_cast<unsigned __int128>(buffer[whole] >> (8 - offset)) << out.count;
  // Left-aligned, behind the bits of the byte that was begun.
  const unsigned __int128 aligned = out.bits << (128 - out.count - offset);
  const auto high = static_cast<uint64_t>(aligned >> 64);
  if (used <= 8) [[likely]] {
    StorePart(to, high, used);
  } else {
    StoreBigEndian64(to, high);
    StorePart(to + 8, static_cast<uint64_t>(aligned), used - 8);
  }
  state.last_ms = timestamp_ms;
  state.last_delta = delta;
  state.last_value_bits = value_bits;
  state.position_bits += out.count;
  ++state.count;
  state.leading = static_cast<uint8_t>(leading);
  state.trailing = static_cast<uint8_t>(trailing);
  return true;
}

namespace {

bool TryXorAppendAny(XorState& state, uint8_t* buffer, size_t capacity, int64_t timestamp_ms,
                     double value) {
  if (state.size_bytes() + kXorAppendBytesMax <= capacity) {
    XorAppend(state, buffer, timestamp_ms, value);
    return true;
  }
  return AppendThroughScratch<kXorAppendBytesMax>(
      state, buffer, capacity,
      [&](XorState& moved, uint8_t* scratch) { XorAppend(moved, scratch, timestamp_ms, value); });
}

}  // namespace

void StoreXorHeader(const XorState& state, uint8_t* buffer) {
  StoreBigEndian16(reinterpret_cast<char*>(buffer), state.count);
}

namespace {

// The state that a sample leaves to the next one.
struct XorDecoder {
  BitReader reader;
  uint64_t t;
  uint64_t delta = 0;
  uint64_t value;
  unsigned trailing = 0;
  unsigned significant = 64;
  bool bad_window = false;

  template <bool kFar>
  [[gnu::always_inline]] void NextValue() {
    if (reader.Take(1) == 0) return;
    if (reader.Take(1) != 0) {
      const unsigned leading = static_cast<unsigned>(reader.Take(5));
      significant = static_cast<unsigned>(reader.Take(6));
      if (significant == 0) significant = 64;
      if (leading + significant > 64) [[unlikely]] {
        bad_window = true;
        significant = 64 - leading;
      }
      trailing = 64 - leading - significant;
    }
    value ^= reader.Read<kFar>(significant) << trailing;
  }

  template <bool kFar>
  [[gnu::always_inline]] void Next() {
    // Longest run without a refill: a dod of 24 bits and a value header of 13.
    reader.Ensure<kFar>(37);
    const uint64_t window = reader.window();
    if (window >> 62 == 0) {  // Same distance, same value: most samples of most series.
      reader.Skip(2);
      t += delta;
      return;
    }
    const DodCode& code = kDodCodes[window >> 60];
    if (code.width == 64) [[unlikely]] {
      reader.Skip(4);
      delta += reader.Read<kFar>(64);
      reader.Ensure<kFar>(13);
    } else {
      const uint64_t raw = (window << code.prefix_bits) >> 1 >> (63 - code.width);
      reader.Skip(code.prefix_bits + code.width);
      delta += raw - (raw > code.positive_max ? code.modulus : 0);
    }
    t += delta;
    NextValue<kFar>();
  }
};

// What one run over a chunk is to do, and how far it came.
struct DecodeTask {
  uint32_t count;
  TimeRange range;
  int64_t* timestamps;
  double* values;
  uint32_t samples = 1;  // Decoded so far: the decoder holds the last of them.
  size_t kept = 0;
  XorResume* resume;
};

template <typename Decoder>
[[gnu::always_inline]] inline void NextOf(Decoder& decoder, uint32_t samples) {
  if (samples == 1) [[unlikely]] {
    decoder.delta = decoder.reader.ReadUvarint();
    decoder.t += decoder.delta;
    decoder.reader.Ensure(13);
    decoder.template NextValue<false>();
  } else if (decoder.reader.is_far_from_end()) [[likely]] {
    decoder.template Next<true>();
  } else {
    decoder.template Next<false>();
  }
}

// Passes samples that are too old, then writes samples until one is too new. The decoder is a copy
// so that it stays in registers.
[[gnu::always_inline]] inline void DecodeSamples(XorDecoder& shared, size_t size_bits,
                                                 DecodeTask& task) {
  XorDecoder decoder = shared;
  uint32_t samples = task.samples;
  const uint32_t count = task.count;
  const int64_t start_ms = task.range.start_ms;
  while (static_cast<int64_t>(decoder.t) < start_ms && samples < count) {
    NextOf(decoder, samples++);
  }
  if (task.resume != nullptr) {
    *task.resume = {.t_ms = static_cast<int64_t>(decoder.t),
                    .delta = decoder.delta,
                    .value_bits = decoder.value,
                    .position_bits = static_cast<uint32_t>(size_bits - decoder.reader.bits_left()),
                    .samples = static_cast<uint16_t>(samples),
                    .trailing = static_cast<uint8_t>(decoder.trailing),
                    .significant = static_cast<uint8_t>(decoder.significant)};
  }
  size_t kept = 0;
  if (static_cast<int64_t>(decoder.t) >= start_ms) {
    const int64_t end_ms = task.range.end_ms;
    int64_t* const timestamps = task.timestamps;
    double* const values = task.values;
    while (static_cast<int64_t>(decoder.t) <= end_ms) {
      timestamps[kept] = static_cast<int64_t>(decoder.t);
      values[kept] = std::bit_cast<double>(decoder.value);
      ++kept;
      if (samples == count) break;
      NextOf(decoder, samples++);
    }
  }
  task.samples = samples;
  task.kept = kept;
  shared = decoder;
}

void DecodeSamplesAnyProcessor(XorDecoder& decoder, size_t size_bits, DecodeTask& task) {
  DecodeSamples(decoder, size_bits, task);
}

#if defined(__x86_64__)
// Shifts by variable amounts are most of the work, and BMI2 has cheap ones.
[[gnu::target("bmi,bmi2,lzcnt")]] void DecodeSamplesBmi2(XorDecoder& decoder, size_t size_bits,
                                                         DecodeTask& task) {
  DecodeSamples(decoder, size_bits, task);
}
const bool kHasBmi2 = __builtin_cpu_supports("bmi2") != 0 && __builtin_cpu_supports("bmi") != 0;
#endif

}  // namespace

Status DecodeXor(std::string_view bytes, uint32_t count, TimeRange range,
                 storage::SampleColumns* out, XorResume* resume) {
  if (bytes.size() < kXorHeaderBytes) {
    return MakeError(ErrorCode::kCorruption, "XOR chunk of {} bytes is too short", bytes.size());
  }
  if (count == 0) return {};
  // Each sample after the first takes two bits at least; a count beyond that is made up.
  if (count > bytes.size() * 8) {
    return MakeError(ErrorCode::kCorruption, "XOR chunk of {} bytes claims {} samples",
                     bytes.size(), count);
  }
  const bool resumes = resume != nullptr && resume->samples > 0 && resume->samples <= count &&
                       resume->position_bits <= bytes.size() * 8;
  ColumnsTail tail(out, resumes ? count - resume->samples + 1 : count,
                   /*with_start_timestamps=*/false);
  DecodeTask task{.count = count,
                  .range = range,
                  .timestamps = tail.timestamps(),
                  .values = tail.values(),
                  .resume = resume};
  XorDecoder decoder{.reader = BitReader(bytes.substr(kXorHeaderBytes)), .t = 0, .value = 0};
  if (resumes) {
    decoder.reader = BitReader(bytes.substr(resume->position_bits / 8));
    if (resume->position_bits % 8 != 0) decoder.reader.Read(resume->position_bits % 8);
    decoder.t = static_cast<uint64_t>(resume->t_ms);
    decoder.delta = resume->delta;
    decoder.value = resume->value_bits;
    decoder.trailing = resume->trailing;
    decoder.significant = resume->significant;
    task.samples = resume->samples;
  } else {
    decoder.t = static_cast<uint64_t>(decoder.reader.ReadVarint());
    decoder.value = decoder.reader.Read(64);
  }
#if defined(__x86_64__)
  const auto decode = kHasBmi2 ? DecodeSamplesBmi2 : DecodeSamplesAnyProcessor;
#else
  const auto decode = DecodeSamplesAnyProcessor;
#endif
  decode(decoder, bytes.size() * 8, task);
  if (decoder.reader.overrun() || decoder.bad_window) {
    tail.Abandon();
    if (resume != nullptr) *resume = {};
    return MakeError(ErrorCode::kCorruption, "XOR chunk of {} samples {}", count,
                     decoder.bad_window ? "has an impossible value window" : "ends before them");
  }
  tail.Finish(task.kept);
  return {};
}

}  // namespace narthex::tsdb
