#include "util/shortest_decimal.h"

#include <array>
#include <bit>
#include <cstring>
#include <vector>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace narthex {
namespace {

struct Word128 {
  uint64_t high = 0;
  uint64_t low = 0;
};

constexpr int kPowerMin = -292;
constexpr int kPowerMax = 324;

// floor(log10(2^e)), floor(log10(3/4 * 2^e)) and floor(log2(10^k)), exact for all exponents here.
constexpr int FloorLog10OfPower2(int e) {
  return static_cast<int>((int64_t{e} * 1262611) >> 22);
}
constexpr int FloorLog10OfThreeQuarters(int e) {
  return static_cast<int>((int64_t{e} * 1262611 - 524031) >> 22);
}
constexpr int FloorLog2OfPower10(int k) {
  return static_cast<int>((int64_t{k} * 1741647) >> 19);
}

// A natural number, least word first; as wide as the powers need.
using Natural = std::vector<uint32_t>;

void MultiplyBy(Natural* number, uint32_t factor) {
  uint64_t carry = 0;
  for (uint32_t& word : *number) {
    carry += uint64_t{word} * factor;
    word = static_cast<uint32_t>(carry);
    carry >>= 32;
  }
  if (carry != 0) number->push_back(static_cast<uint32_t>(carry));
}

int BitLength(const Natural& number) {
  size_t words = number.size();
  while (words > 0 && number[words - 1] == 0) --words;
  return words == 0 ? 0 : static_cast<int>(words * 32) - std::countl_zero(number[words - 1]);
}

bool BitAt(const Natural& number, int bit) {
  return bit >= 0 && (number[static_cast<size_t>(bit) / 32] >> (bit % 32) & 1) != 0;
}

void PushBit(Word128* word, bool bit) {
  word->high = word->high << 1 | word->low >> 63;
  word->low = word->low << 1 | (bit ? 1 : 0);
}

void Increment(Word128* word) {
  if (++word->low == 0) ++word->high;
}

// The leading 128 bits of a power of ten, rounded up.
Word128 LeadingBits(const Natural& power) {
  const int length = BitLength(power);
  Word128 leading;
  for (int i = 1; i <= 128; ++i) PushBit(&leading, BitAt(power, length - i));
  for (int i = 0; i < length - 128; ++i) {
    if (!BitAt(power, i)) continue;
    Increment(&leading);
    break;
  }
  return leading;
}

// The same of its inverse, by long division. A power of ten above one never divides a power of two.
Word128 LeadingBitsOfInverse(const Natural& power) {
  const int length = BitLength(power);
  // 2^length / power lies between one and two: its first bit is set.
  Natural rest(static_cast<size_t>(length) / 32 + 2);
  rest[static_cast<size_t>(length) / 32] = uint32_t{1} << (length % 32);
  Word128 leading;
  for (int i = 0; i < 128; ++i) {
    const auto at = [&](size_t j) { return j < power.size() ? power[j] : 0; };
    bool fits = true;
    for (size_t j = rest.size(); j-- > 0;) {
      if (rest[j] == at(j)) continue;
      fits = rest[j] > at(j);
      break;
    }
    PushBit(&leading, fits);
    if (fits) {
      uint64_t borrow = 0;
      for (size_t j = 0; j < rest.size(); ++j) {
        const uint64_t difference = uint64_t{rest[j]} - at(j) - borrow;
        rest[j] = static_cast<uint32_t>(difference);
        borrow = difference >> 63;
      }
    }
    MultiplyBy(&rest, 2);
  }
  Increment(&leading);
  return leading;
}

class Powers {
 public:
  Powers() {
    Natural power = {1};
    for (int k = 0; k <= kPowerMax; ++k) {
      table_[static_cast<size_t>(k - kPowerMin)] = LeadingBits(power);
      if (k > 0 && -k >= kPowerMin) {
        table_[static_cast<size_t>(-k - kPowerMin)] = LeadingBitsOfInverse(power);
      }
      MultiplyBy(&power, 10);
    }
  }
  const Word128& Of(int k) const { return table_[static_cast<size_t>(k - kPowerMin)]; }

 private:
  std::array<Word128, kPowerMax - kPowerMin + 1> table_;
};

const Powers& AllPowers() {
  static const Powers powers;
  return powers;
}

// The upper word of power * factor, its lowest bit set where something was cut off.
uint64_t RoundToOdd(const Word128& power, uint64_t factor) {
  using Wide = unsigned __int128;
  const auto low = static_cast<uint64_t>(Wide{power.low} * factor >> 64);
  const Wide product = Wide{power.high} * factor + low;
  return static_cast<uint64_t>(product >> 64) | (static_cast<uint64_t>(product) > 1 ? 1 : 0);
}

}  // namespace

ShortestDecimal ToShortestDecimal(double v) {
  constexpr int kMantissaBits = 52;
  constexpr int kBias = 1075;
  const auto bits = std::bit_cast<uint64_t>(v);
  const uint64_t fraction = bits & ((uint64_t{1} << kMantissaBits) - 1);
  const auto biased = static_cast<int>(bits >> kMantissaBits & 0x7ff);
  const uint64_t c = biased == 0 ? fraction : fraction | uint64_t{1} << kMantissaBits;
  const int e = biased == 0 ? 1 - kBias : biased - kBias;

  // The interval of reals that round to v, in quarters of its last place: its ends belong to it
  // where the mantissa is even.
  const bool open = (c & 1) != 0;
  const bool closer_below = fraction == 0 && biased > 1;
  const int k = closer_below ? FloorLog10OfThreeQuarters(e) : FloorLog10OfPower2(e);
  const int shift = e + FloorLog2OfPower10(-k) + 1;
  const Word128& power = AllPowers().Of(-k);
  const uint64_t middle = RoundToOdd(power, 4 * c << shift);
  const uint64_t low = RoundToOdd(power, (4 * c - 2 + (closer_below ? 1 : 0)) << shift) + open;
  const uint64_t high = RoundToOdd(power, (4 * c + 2) << shift) - open;

  const uint64_t s = middle / 4;
  if (s >= 10) {
    // One digit less, if exactly one such number lies inside.
    const uint64_t tens = s / 10;
    const bool below_inside = low <= 40 * tens;
    const bool above_inside = 40 * tens + 40 <= high;
    if (below_inside != above_inside) return {tens + (above_inside ? 1 : 0), k + 1};
  }
  const bool below_inside = low <= 4 * s;
  const bool above_inside = 4 * s + 4 <= high;
  if (below_inside != above_inside) return {s + (above_inside ? 1 : 0), k};
  const uint64_t half = 4 * s + 2;
  const bool up = middle > half || (middle == half && (s & 1) != 0);
  return {s + (up ? 1 : 0), k};
}

namespace {

constexpr std::array<char, 200> kPairs = [] {
  std::array<char, 200> pairs{};
  for (size_t i = 0; i < 100; ++i) {
    pairs[2 * i] = static_cast<char>('0' + i / 10);
    pairs[2 * i + 1] = static_cast<char>('0' + i % 10);
  }
  return pairs;
}();

void WriteEight(uint32_t number, char* to) {
  const uint32_t upper = number / 10000;
  const uint32_t lower = number % 10000;
  std::memcpy(to, &kPairs[size_t{upper / 100} * 2], 2);
  std::memcpy(to + 2, &kPairs[size_t{upper % 100} * 2], 2);
  std::memcpy(to + 4, &kPairs[size_t{lower / 100} * 2], 2);
  std::memcpy(to + 6, &kPairs[size_t{lower % 100} * 2], 2);
}

constexpr int kPlaces = 17;
constexpr size_t kPieceBytes = 24;

// Bit i: place i is not a zero. At least one is not.
uint32_t NonzeroPlaces(const char* text) {
#if defined(__SSE2__)
  const __m128i places = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text + 1));
  const int zeros = _mm_movemask_epi8(_mm_cmpeq_epi8(places, _mm_set1_epi8('0')));
  return (~static_cast<uint32_t>(zeros) & 0xffff) << 1 | (text[0] != '0' ? 1 : 0);
#else
  uint32_t nonzero = 0;
  for (int i = 0; i < kPlaces; ++i) nonzero |= uint32_t{text[i] != '0'} << i;
  return nonzero;
#endif
}

}  // namespace

char* WritePlainDecimal(double v, char* to) {
  if (std::bit_cast<uint64_t>(v) >> 63 != 0) *to++ = '-';
  const double magnitude = v < 0 ? -v : v;
  if (magnitude == 0) {
    *to++ = '0';
    return to;
  }
  const ShortestDecimal decimal = ToShortestDecimal(magnitude);
  // All of 17 places, the ones in front perhaps zeros. Pieces are copied at a fixed size, which is
  // cheaper than at their own, and what is too much is written over.
  constexpr uint64_t kEight = 100'000'000;
  char text[2 * kPieceBytes] = {};
  text[0] = static_cast<char>('0' + decimal.digits / (kEight * kEight));
  const uint64_t rest = decimal.digits % (kEight * kEight);
  WriteEight(static_cast<uint32_t>(rest / kEight), text + 1);
  WriteEight(static_cast<uint32_t>(rest % kEight), text + 9);
  const uint32_t nonzero = NonzeroPlaces(text);
  const int begin = std::countr_zero(nonzero);
  const int end = 32 - std::countl_zero(nonzero);
  // Where the point lies among the places.
  const int point = kPlaces + decimal.exponent;
  if (point <= begin) {
    // NOLINTNEXTLINE(bugprone-not-null-terminated-result): these are digits, not a C string.
    std::memcpy(to, "0.000000", 8);
    to += 2 + begin - point;
    std::memcpy(to, text + begin, kPieceBytes);
    return to + (end - begin);
  }
  std::memcpy(to, text + begin, kPieceBytes);
  if (point >= end) {
    for (int i = end; i < point; ++i) to[i - begin] = '0';
    return to + (point - begin);
  }
  to += point - begin;
  *to++ = '.';
  std::memcpy(to, text + point, kPieceBytes);
  return to + (end - point);
}

}  // namespace narthex
