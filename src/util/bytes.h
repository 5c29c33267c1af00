// Reading and writing of the byte encodings that Prometheus' files use: big-endian integers and
// LEB128 varints (unsigned, and zig-zag signed), strings as uvarint length and bytes.
//
// ByteReader never reads past its end: the first short or malformed read sets failed() and every
// later read gives zero, so that a decoder checks once after a group of fields.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace narthex {

inline constexpr size_t kVarintBytesMax = 10;

inline uint16_t LoadBigEndian16(const char* p) {
  uint16_t v;
  std::memcpy(&v, p, sizeof v);
  return __builtin_bswap16(v);
}
inline uint32_t LoadBigEndian32(const char* p) {
  uint32_t v;
  std::memcpy(&v, p, sizeof v);
  return __builtin_bswap32(v);
}
inline uint64_t LoadBigEndian64(const char* p) {
  uint64_t v;
  std::memcpy(&v, p, sizeof v);
  return __builtin_bswap64(v);
}
inline void StoreBigEndian16(char* p, uint16_t v) {
  v = __builtin_bswap16(v);
  std::memcpy(p, &v, sizeof v);
}
inline void StoreBigEndian32(char* p, uint32_t v) {
  v = __builtin_bswap32(v);
  std::memcpy(p, &v, sizeof v);
}
inline void StoreBigEndian64(char* p, uint64_t v) {
  v = __builtin_bswap64(v);
  std::memcpy(p, &v, sizeof v);
}

inline uint64_t ZigZagEncode(int64_t v) {
  return (static_cast<uint64_t>(v) << 1) ^ static_cast<uint64_t>(v >> 63);
}
inline int64_t ZigZagDecode(uint64_t v) {
  return static_cast<int64_t>(v >> 1) ^ -static_cast<int64_t>(v & 1);
}

// Writes at most kVarintBytesMax bytes and returns how many.
inline size_t StoreUvarint(char* p, uint64_t v) {
  size_t n = 0;
  while (v >= 0x80) {
    p[n++] = static_cast<char>(v | 0x80);
    v >>= 7;
  }
  p[n++] = static_cast<char>(v);
  return n;
}

// Appends encoded fields to a string that it does not own.
class ByteWriter {
 public:
  explicit ByteWriter(std::string* out) : out_(out) {}

  void PutByte(uint8_t v) { out_->push_back(static_cast<char>(v)); }
  void PutBytes(std::string_view bytes) { out_->append(bytes); }
  void PutBigEndian16(uint16_t v) {
    char buffer[sizeof v];
    StoreBigEndian16(buffer, v);
    out_->append(buffer, sizeof v);
  }
  void PutBigEndian32(uint32_t v) {
    char buffer[sizeof v];
    StoreBigEndian32(buffer, v);
    out_->append(buffer, sizeof v);
  }
  void PutBigEndian64(uint64_t v) {
    char buffer[sizeof v];
    StoreBigEndian64(buffer, v);
    out_->append(buffer, sizeof v);
  }
  void PutDouble(double v) { PutBigEndian64(std::bit_cast<uint64_t>(v)); }
  void PutUvarint(uint64_t v) {
    char buffer[kVarintBytesMax];
    out_->append(buffer, StoreUvarint(buffer, v));
  }
  void PutVarint(int64_t v) { PutUvarint(ZigZagEncode(v)); }
  void PutUvarintString(std::string_view text) {
    PutUvarint(text.size());
    out_->append(text);
  }

 private:
  std::string* out_;
};

class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : p_(bytes.data()), end_(p_ + bytes.size()) {}

  bool failed() const { return failed_; }
  size_t remaining() const { return static_cast<size_t>(end_ - p_); }
  bool empty() const { return p_ == end_; }
  std::string_view rest() const { return {p_, remaining()}; }

  uint8_t Byte() { return Need(1) ? static_cast<uint8_t>(*p_++) : 0; }
  uint16_t BigEndian16() {
    if (!Need(2)) return 0;
    const uint16_t v = LoadBigEndian16(p_);
    p_ += 2;
    return v;
  }
  uint32_t BigEndian32() {
    if (!Need(4)) return 0;
    const uint32_t v = LoadBigEndian32(p_);
    p_ += 4;
    return v;
  }
  uint64_t BigEndian64() {
    if (!Need(8)) return 0;
    const uint64_t v = LoadBigEndian64(p_);
    p_ += 8;
    return v;
  }
  double Double() { return std::bit_cast<double>(BigEndian64()); }
  uint64_t Uvarint() {
    if (p_ < end_ && static_cast<uint8_t>(*p_) < 0x80) return static_cast<uint8_t>(*p_++);
    return UvarintSlow();
  }
  int64_t Varint() { return ZigZagDecode(Uvarint()); }
  std::string_view Bytes(size_t count) {
    if (!Need(count)) return {};
    const std::string_view bytes(p_, count);
    p_ += count;
    return bytes;
  }
  std::string_view UvarintString() { return Bytes(Uvarint()); }
  void Skip(size_t count) {
    if (Need(count)) p_ += count;
  }

 private:
  bool Need(size_t count) {
    if (remaining() >= count) return true;
    return Fail();
  }
  bool Fail() {
    failed_ = true;
    p_ = end_;
    return false;
  }
  uint64_t UvarintSlow() {
    uint64_t v = 0;
    for (unsigned shift = 0; p_ < end_; shift += 7) {
      const uint64_t byte = static_cast<uint8_t>(*p_++);
      if (shift == 63 && byte > 1) break;  // More than 64 bits.
      v |= (byte & 0x7f) << shift;
      if (byte < 0x80) return v;
      if (shift == 63) break;
    }
    Fail();
    return 0;
  }

  const char* p_;
  const char* end_;
  bool failed_ = false;
};

}  // namespace narthex
