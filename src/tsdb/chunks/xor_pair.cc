#include "tsdb/chunks/xor_pair.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "tsdb/chunks/bit_stream.h"
#include "tsdb/chunks/xor.h"

namespace narthex::tsdb {
namespace {

// The delta of deltas by the four bits it begins with: length of the prefix, width of the payload.
struct DodCode {
  uint8_t prefix_bits;
  uint8_t width;  // 64: the payload does not fit into what was loaded.
};
constexpr DodCode kDodCodes[16] = {{1, 0},  {1, 0},  {1, 0},  {1, 0},  {1, 0},  {1, 0},
                                   {1, 0},  {1, 0},  {2, 14}, {2, 14}, {2, 14}, {2, 14},
                                   {3, 17}, {3, 17}, {4, 20}, {4, 64}};

// What a sample may read behind the byte it begins in: 68 bits of time, 13 of the window, then nine
// bytes at once.
constexpr size_t kReachBytes = 24;

// Left-aligned; at least 57 bits are meaningful.
[[gnu::always_inline]] inline uint64_t LoadAt(const char* base, uint64_t position) {
  return LoadBigEndian64(base + (position >> 3)) << (position & 7);
}
// All 64 bits are.
[[gnu::always_inline]] inline uint64_t LoadWholeAt(const char* base, uint64_t position) {
  const char* at = base + (position >> 3);
  const unsigned offset = position & 7;
  return LoadBigEndian64(at) << offset | static_cast<uint8_t>(at[8]) >> (8 - offset);
}

// One of the two decoders: the state that a sample leaves to the next one.
struct Lane {
  const char* base;
  uint64_t position;  // In bits.
  uint64_t t;
  uint64_t delta;
  uint64_t value;
  // As the stream has it: five bits of leading zeros, six of significant bits, of which 64 is 0.
  uint64_t window = 0;
  uint64_t window_end = 0;  // Above 63 once a window was impossible.
  int64_t* timestamps;
  double* values;

  [[gnu::always_inline]] void Put() {
    *timestamps++ = static_cast<int64_t>(t);
    *values++ = std::bit_cast<double>(value);
  }
  // The time of a sample that begins with `w`. Gives what follows it; 33 bits are meaningful.
  [[gnu::always_inline]] uint64_t NextTime(uint64_t w) {
    if (w >> 63 == 0) {
      position += 1;
      t += delta;
      return w << 1;
    }
    const DodCode code = kDodCodes[w >> 60];
    if (code.width == 64) [[unlikely]] {
      delta += LoadWholeAt(base, position + 4);
      position += 68;
      t += delta;
      return LoadAt(base, position);
    }
    // Upstream's rule for signs: the highest bit alone is positive.
    const unsigned rest = 64u - code.width;
    const uint64_t raw = (w << code.prefix_bits) >> rest;
    delta += static_cast<uint64_t>(static_cast<int64_t>((raw - 1) << rest) >> rest) + 1;
    position += static_cast<uint64_t>(code.prefix_bits) + code.width;
    t += delta;
    return w << code.prefix_bits << code.width;
  }
  [[gnu::always_inline]] void NextValue(uint64_t w) {
    const bool changed = __builtin_unpredictable(w >> 63 != 0);
    const bool fresh = __builtin_unpredictable(w >> 62 == 3);
    window = fresh ? w >> 51 & 0x7ff : window;
    const uint64_t leading = window >> 6;
    const uint64_t below = (window - 1) & 63;  // One less than the significant bits.
    window_end = std::max(window_end, leading + below);
    const uint64_t trailing = (63 - leading - below) & 63;
    const uint64_t header = fresh ? 13 : 2;
    const uint64_t payload = LoadWholeAt(base, position + header);
    value ^= changed ? payload >> leading >> trailing << trailing : 0;
    position += changed ? header + below + 1 : 1;
  }
};

// Decodes `count` samples of both; stops early where one goes past its end.
[[gnu::always_inline]] inline void DecodeBoth(Lane* shared_a, Lane* shared_b, size_t count,
                                              uint64_t a_end, uint64_t b_end) {
  Lane a = *shared_a;
  Lane b = *shared_b;
  for (; count > 0 && a.position <= a_end && b.position <= b_end; --count) {
    uint64_t wa = LoadAt(a.base, a.position);
    uint64_t wb = LoadAt(b.base, b.position);
    if ((wa | wb) >> 62 == 0) {  // Same distance, same values.
      a.position += 2;
      b.position += 2;
      a.t += a.delta;
      b.t += b.delta;
    } else {
      wa = a.NextTime(wa);
      wb = b.NextTime(wb);
      a.NextValue(wa);
      b.NextValue(wb);
    }
    a.Put();
    b.Put();
  }
  *shared_a = a;
  *shared_b = b;
}

[[gnu::always_inline]] inline void DecodeRest(Lane* shared, size_t count, uint64_t end) {
  Lane lane = *shared;
  for (; count > 0 && lane.position <= end; --count) {
    lane.NextValue(lane.NextTime(LoadAt(lane.base, lane.position)));
    lane.Put();
  }
  *shared = lane;
}

[[gnu::always_inline]] inline void Decode(Lane* a, size_t a_left, uint64_t a_end, Lane* b,
                                          size_t b_left, uint64_t b_end) {
  const size_t both = std::min(a_left, b_left);
  DecodeBoth(a, b, both, a_end, b_end);
  DecodeRest(a, a_left - both, a_end);
  DecodeRest(b, b_left - both, b_end);
}

void DecodeAnyProcessor(Lane* a, size_t a_left, uint64_t a_end, Lane* b, size_t b_left,
                        uint64_t b_end) {
  Decode(a, a_left, a_end, b, b_left, b_end);
}

#if defined(__x86_64__)
// Shifts by variable amounts are most of the work, and BMI2 has cheap ones.
[[gnu::target("bmi,bmi2,lzcnt,movbe")]] void DecodeBmi2(Lane* a, size_t a_left, uint64_t a_end,
                                                        Lane* b, size_t b_left, uint64_t b_end) {
  Decode(a, a_left, a_end, b, b_left, b_end);
}
const bool kHasBmi2 = __builtin_cpu_supports("bmi2") != 0 && __builtin_cpu_supports("bmi") != 0;
#endif

bool Fits(const XorTask& task) {
  return task.count > 2 && task.bytes.size() <= kXorPairBytesMax &&
         task.bytes.size() > kXorHeaderBytes;
}

// Reads the first two samples, which are written out in full.
bool Begin(const XorTask& task, char* copy, Lane* lane) {
  std::memcpy(copy, task.bytes.data(), task.bytes.size());
  std::memset(copy + task.bytes.size(), 0, kReachBytes);
  BitReader reader(task.bytes.substr(kXorHeaderBytes));
  *lane = {};
  lane->base = copy;
  lane->timestamps = task.timestamps;
  lane->values = task.values;
  lane->t = static_cast<uint64_t>(reader.ReadVarint());
  lane->value = reader.Read(64);
  lane->Put();
  lane->delta = reader.ReadUvarint();
  if (reader.overrun()) return false;
  lane->t += lane->delta;
  lane->position = task.bytes.size() * 8 - reader.bits_left();
  lane->NextValue(LoadAt(copy, lane->position));
  lane->Put();
  return true;
}

}  // namespace

bool DecodeXorPair(const XorTask& a, const XorTask& b) {
  if (!Fits(a) || !Fits(b)) return false;
  char a_copy[kXorPairBytesMax + kReachBytes];
  char b_copy[kXorPairBytesMax + kReachBytes];
  Lane a_lane;
  Lane b_lane;
  if (!Begin(a, a_copy, &a_lane) || !Begin(b, b_copy, &b_lane)) return false;
  const uint64_t a_end = a.bytes.size() * 8;
  const uint64_t b_end = b.bytes.size() * 8;
#if defined(__x86_64__)
  const auto decode = kHasBmi2 ? DecodeBmi2 : DecodeAnyProcessor;
#else
  const auto decode = DecodeAnyProcessor;
#endif
  decode(&a_lane, a.count - 2, a_end, &b_lane, b.count - 2, b_end);
  const auto whole = [](const XorTask& task, const Lane& lane, uint64_t end) {
    return lane.timestamps == task.timestamps + task.count && lane.position <= end &&
           lane.window_end <= 63;
  };
  return whole(a, a_lane, a_end) && whole(b, b_lane, b_end);
}

}  // namespace narthex::tsdb
