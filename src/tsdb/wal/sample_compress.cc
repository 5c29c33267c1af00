#include "tsdb/wal/sample_compress.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

#include "util/bytes.h"

namespace narthex::tsdb {
namespace {

constexpr size_t kRecordHeaderBytes = 1 + 8 + 8;
constexpr size_t kValueBytes = 8;
constexpr unsigned kTableBits = 10;
constexpr size_t kOffsetMax = 65'535;  // Of copies with two bytes of offset.
constexpr size_t kCopyMin = 4;
// Literals are copied in pieces of this size where the input has so much left.
constexpr size_t kStride = 16;

uint64_t LoadWord(const char* at) {
  uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

class Output {
 public:
  // Room for any literals of so many bytes, with a tag for each few of them, and a stride.
  Output(size_t bytes, std::string* out) : out_(out) {
    out->resize(kVarintBytesMax + bytes + bytes / 4 + 64);
    at_ = out->data() + StoreUvarint(out->data(), bytes);
  }
  void Literal(const char* from, size_t size, const char* input_end) {
    if (size == 0) return;
    if (size <= 60) [[likely]] {
      *at_++ = static_cast<char>((size - 1) << 2);
      if (static_cast<size_t>(input_end - from) >= kStride * 4) [[likely]] {
        size_t done = 0;
        do {
          std::memcpy(at_ + done, from + done, kStride);
          done += kStride;
        } while (done < size);
        at_ += size;
        return;
      }
    } else {
      *at_++ = static_cast<char>(63 << 2);  // Four bytes of length follow.
      const uint32_t length = static_cast<uint32_t>(size - 1);
      for (unsigned i = 0; i < 4; ++i) *at_++ = static_cast<char>(length >> (8 * i));
    }
    std::memcpy(at_, from, size);
    at_ += size;
  }
  void Copy(size_t offset, size_t size) {
    if (size <= 11 && offset < 2048) {
      *at_++ = static_cast<char>(1 | (size - 4) << 2 | (offset >> 8) << 5);
      *at_++ = static_cast<char>(offset);
      return;
    }
    *at_++ = static_cast<char>(2 | (size - 1) << 2);
    *at_++ = static_cast<char>(offset);
    *at_++ = static_cast<char>(offset >> 8);
  }
  void Finish() { out_->resize(static_cast<size_t>(at_ - out_->data())); }

 private:
  std::string* out_;
  char* at_;
};

// Behind the varint at `at`; `end` if there is none.
const char* SkipVarint(const char* at, const char* end) {
  while (at != end && (*at & 0x80) != 0) ++at;
  return at == end ? end : at + 1;
}

}  // namespace

void SnappyCompressSamples(std::string_view record, std::string* out) {
  Output output(record.size(), out);
  const char* const begin = record.data();
  const char* const end = begin + record.size();
  // Where a value with that hash was seen last, from the beginning; 0: nowhere.
  uint32_t table[1 << kTableBits] = {};
  const char* literal = begin;
  const char* at = begin + std::min(record.size(), kRecordHeaderBytes);
  const char* previous = nullptr;  // The value before.
  for (;;) {
    const char* const value = SkipVarint(SkipVarint(at, end), end);
    if (static_cast<size_t>(end - value) < kValueBytes) break;
    const uint64_t word = LoadWord(value);
    uint32_t& seen = table[word * 0x9e3779b97f4a7c15 >> (64 - kTableBits)];
    const char* const same = begin + seen;
    const bool known =
        seen != 0 && LoadWord(same) == word && static_cast<size_t>(value - same) <= kOffsetMax;
    seen = static_cast<uint32_t>(value - begin);
    if (known) {
      // The time is mostly the same too, and the upper part of the reference.
      const char* from = value;
      const char* source = same;
      while (from > literal && source > begin && value - from < 4 && from[-1] == source[-1]) {
        --from;
        --source;
      }
      output.Literal(literal, static_cast<size_t>(from - literal), end);
      output.Copy(static_cast<size_t>(value - same),
                  static_cast<size_t>(value - from) + kValueBytes);
      literal = value + kValueBytes;
    } else if (previous != nullptr) {
      // Values are big endian: the bytes that come last are the highest of a word.
      static_assert(std::endian::native == std::endian::little);
      const auto tail = static_cast<size_t>(std::countl_zero(word ^ LoadWord(previous))) / 8;
      if (tail >= kCopyMin) {
        const char* const from = value + kValueBytes - tail;
        output.Literal(literal, static_cast<size_t>(from - literal), end);
        output.Copy(static_cast<size_t>(value - previous), tail);
        literal = value + kValueBytes;
      }
    }
    previous = value;
    at = value + kValueBytes;
  }
  output.Literal(literal, static_cast<size_t>(end - literal), end);
  output.Finish();
}

}  // namespace narthex::tsdb
