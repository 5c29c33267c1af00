#include "tsdb/chunks/sample_reader.h"

#include <limits>

#include "util/check.h"

namespace narthex::tsdb {
namespace {

constexpr TimeRange kAllTime = {std::numeric_limits<int64_t>::min(),
                                std::numeric_limits<int64_t>::max()};

}  // namespace

ChunkSampleReader::ChunkSampleReader(ChunkEncoding encoding, std::string_view bytes)
    : kind_(KindOf(encoding)) {
  if (kind_ == ValueKind::kFloat) {
    status_ = DecodeChunk(encoding, bytes, kAllTime, {}, &floats_);
  } else if (kind_ != ValueKind::kNone) {
    histograms_.emplace(encoding, bytes);
  } else {
    status_ = InvalidEncodingError(encoding);
  }
}

bool ChunkSampleReader::Next(AnySample* sample) {
  if (!status_.ok()) return false;
  sample->kind = kind_;
  if (!histograms_) {
    if (next_float_ == floats_.size()) return false;
    const size_t i = next_float_++;
    sample->timestamp_ms = floats_.timestamps_ms[i];
    sample->value = floats_.values[i];
    sample->start_ms = floats_.start_timestamps_ms.empty() ? 0 : floats_.start_timestamps_ms[i];
    return true;
  }
  if (!histograms_->Next()) {
    status_ = histograms_->status();
    return false;
  }
  sample->timestamp_ms = histograms_->timestamp_ms();
  sample->start_ms = histograms_->start_ms();
  if (kind_ == ValueKind::kHistogram) {
    histograms_->Get(&sample->histogram);
  } else {
    histograms_->Get(&sample->float_histogram);
  }
  return true;
}

FloatChunkEncoder::FloatChunkEncoder(ChunkEncoding encoding) : encoding_(encoding) {
  NARTHEX_CHECK(KindOf(encoding) == ValueKind::kFloat);
  buffer_.resize(256);
}

void FloatChunkEncoder::Append(int64_t start_ms, int64_t timestamp_ms, double value) {
  NARTHEX_CHECK(sample_count() < kChunkSamplesMax);
  const size_t need = size_bytes() + kXor2AppendBytesMax;
  if (buffer_.size() < need) buffer_.resize(need * 2);
  auto* buffer = reinterpret_cast<uint8_t*>(buffer_.data());
  if (encoding_ == ChunkEncoding::kXor) {
    XorAppend(xor_, buffer, timestamp_ms, value);
  } else {
    Xor2Append(xor2_, buffer, start_ms, timestamp_ms, value);
  }
}

uint32_t FloatChunkEncoder::sample_count() const {
  return encoding_ == ChunkEncoding::kXor ? xor_.count : xor2_.count;
}

size_t FloatChunkEncoder::size_bytes() const {
  return encoding_ == ChunkEncoding::kXor ? xor_.size_bytes() : xor2_.size_bytes();
}

std::string FloatChunkEncoder::Bytes() {
  auto* buffer = reinterpret_cast<uint8_t*>(buffer_.data());
  if (encoding_ == ChunkEncoding::kXor) {
    StoreXorHeader(xor_, buffer);
  } else {
    StoreXor2Header(xor2_, buffer);
  }
  return buffer_.substr(0, size_bytes());
}

}  // namespace narthex::tsdb
