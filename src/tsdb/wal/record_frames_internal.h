// What sample and histogram records share.
#pragma once

#include <cstdint>
#include <string_view>

#include "util/bytes.h"
#include "util/status.h"

namespace narthex::tsdb {

// Marker bytes before a start timestamp in V2 records.
inline constexpr uint8_t kNoStart = 0;
inline constexpr uint8_t kSameStart = 1;
inline constexpr uint8_t kExplicitStart = 2;

inline Status WrongType() {
  return MakeError(ErrorCode::kCorruption, "invalid record type");
}

// Upstream's word for a record that ends too early.
inline Status CheckEnd(const ByteReader& reader) {
  if (reader.failed()) return MakeError(ErrorCode::kCorruption, "invalid size");
  return {};
}
inline Status CheckEnd(const ByteReader& reader, size_t decoded, std::string_view what) {
  if (!reader.failed()) return {};
  return MakeError(ErrorCode::kCorruption, "decode error after {} {}: invalid size", decoded, what);
}

// The frame of the V2 records: reference to the one before, time and start to the first.
class FrameReaderV2 {
 public:
  template <typename Sample>
  void Read(ByteReader& reader, Sample* sample) {
    if (is_first_) {
      is_first_ = false;
      ref_ = static_cast<uint64_t>(reader.Varint());
      first_t_ = static_cast<uint64_t>(reader.Varint());
      first_start_ = static_cast<uint64_t>(reader.Varint());
      sample->timestamp_ms = static_cast<int64_t>(first_t_);
      start_ = first_start_;
    } else {
      ref_ += static_cast<uint64_t>(reader.Varint());
      sample->timestamp_ms =
          static_cast<int64_t>(first_t_ + static_cast<uint64_t>(reader.Varint()));
      const uint8_t marker = reader.Byte();
      if (marker == kNoStart) {
        start_ = 0;
      } else if (marker != kSameStart) {
        start_ = first_start_ + static_cast<uint64_t>(reader.Varint());
      }
    }
    sample->ref = ref_;
    sample->start_ms = static_cast<int64_t>(start_);
  }

 private:
  bool is_first_ = true;
  uint64_t ref_ = 0;
  uint64_t first_t_ = 0;
  uint64_t first_start_ = 0;
  uint64_t start_ = 0;
};

class FrameWriterV2 {
 public:
  template <typename Sample>
  void Write(const Sample& sample, ByteWriter& writer) {
    const auto t = static_cast<uint64_t>(sample.timestamp_ms);
    const auto start = static_cast<uint64_t>(sample.start_ms);
    if (is_first_) {
      is_first_ = false;
      writer.PutVarint(static_cast<int64_t>(sample.ref));
      writer.PutVarint(sample.timestamp_ms);
      writer.PutVarint(sample.start_ms);
      first_t_ = t;
      first_start_ = start;
    } else {
      writer.PutVarint(static_cast<int64_t>(sample.ref - ref_));
      writer.PutVarint(static_cast<int64_t>(t - first_t_));
      if (start == 0) {
        writer.PutByte(kNoStart);
      } else if (start == start_) {
        writer.PutByte(kSameStart);
      } else {
        writer.PutByte(kExplicitStart);
        writer.PutVarint(static_cast<int64_t>(start - first_start_));
      }
    }
    ref_ = sample.ref;
    start_ = start;
  }

 private:
  bool is_first_ = true;
  uint64_t ref_ = 0;
  uint64_t first_t_ = 0;
  uint64_t first_start_ = 0;
  uint64_t start_ = 0;
};

}  // namespace narthex::tsdb
