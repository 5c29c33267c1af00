// Chunks: compressed runs of samples of one series, the unit that moves between head, files and
// queries. This header decodes any of them; xor.h, xor2.h and histogram_chunk.h encode.
//
// Byte diagrams: docs/formats/chunks.md.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "storage/storage.h"
#include "util/status.h"
#include "util/time.h"

namespace narthex::tsdb {

enum class ChunkEncoding : uint8_t {
  kNone = 0,
  kXor = 1,
  kHistogram = 2,
  kFloatHistogram = 3,
  kXor2 = 4,
  kHistogramSt = 5,
  kFloatHistogramSt = 6,
};

enum class ValueKind : uint8_t { kNone = 0, kFloat = 1, kHistogram = 2, kFloatHistogram = 3 };

// "XOR", "histogram", … as upstream prints them; "<unknown>" for anything else.
std::string_view ChunkEncodingName(ChunkEncoding encoding);
inline bool IsValidChunkEncoding(ChunkEncoding encoding) {
  return encoding >= ChunkEncoding::kXor && encoding <= ChunkEncoding::kFloatHistogramSt;
}
inline ValueKind KindOf(ChunkEncoding encoding) {
  switch (encoding) {
    case ChunkEncoding::kXor:
    case ChunkEncoding::kXor2: return ValueKind::kFloat;
    case ChunkEncoding::kHistogram:
    case ChunkEncoding::kHistogramSt: return ValueKind::kHistogram;
    case ChunkEncoding::kFloatHistogram:
    case ChunkEncoding::kFloatHistogramSt: return ValueKind::kFloatHistogram;
    case ChunkEncoding::kNone: break;
  }
  return ValueKind::kNone;
}
inline bool CarriesStartTimestamps(ChunkEncoding encoding) {
  return encoding >= ChunkEncoding::kXor2 && encoding <= ChunkEncoding::kFloatHistogramSt;
}
// The encoding of new chunks of `kind`; `start_timestamps` chooses the variants that carry them.
inline ChunkEncoding EncodingFor(ValueKind kind, bool start_timestamps) {
  switch (kind) {
    case ValueKind::kFloat: return start_timestamps ? ChunkEncoding::kXor2 : ChunkEncoding::kXor;
    case ValueKind::kHistogram:
      return start_timestamps ? ChunkEncoding::kHistogramSt : ChunkEncoding::kHistogram;
    case ValueKind::kFloatHistogram:
      return start_timestamps ? ChunkEncoding::kFloatHistogramSt : ChunkEncoding::kFloatHistogram;
    case ValueKind::kNone: break;
  }
  return ChunkEncoding::kNone;
}
// kCorruption: `invalid chunk encoding "<name>"`.
Status InvalidEncodingError(ChunkEncoding encoding);

// The count in the chunk's header; 0 for a chunk that is too short to have one.
uint32_t ChunkSampleCount(ChunkEncoding encoding, std::string_view bytes);

inline constexpr uint32_t kCountFromHeader = 0xffffffff;

struct DecodeOptions {
  // Histograms need only count, sum, schema and hint: buckets are decoded only for the first and
  // the last sample of the chunk, where a reader has to compare across chunks by itself.
  bool histogram_stats = false;
  // Number of samples to decode when the caller knows better than the header: open chunks of the
  // head keep their count outside the chunk.
  uint32_t sample_count = kCountFromHeader;
};

// Appends the samples within `range` to `out`. On an error `out` is as it was.
Status DecodeChunk(ChunkEncoding encoding, std::string_view bytes, TimeRange range,
                   const DecodeOptions& options, storage::SampleColumns* out);

// One of the chunks of a series.
struct ChunkInput {
  ChunkEncoding encoding = ChunkEncoding::kNone;
  std::string_view bytes;
  uint32_t sample_count = kCountFromHeader;
};
// DecodeChunk of each in turn, up to the first error; neighbours are decoded together where that
// is faster. For `sample_count` each chunk's own counts.
Status DecodeChunks(std::span<const ChunkInput> chunks, TimeRange range,
                    const DecodeOptions& options, storage::SampleColumns* out);

// A finished chunk with its time bounds, as writers and the compactor pass it on.
struct EncodedChunk {
  int64_t min_ms = 0;
  int64_t max_ms = 0;
  ChunkEncoding encoding = ChunkEncoding::kNone;
  std::string bytes;
  friend bool operator==(const EncodedChunk&, const EncodedChunk&) = default;
};

}  // namespace narthex::tsdb
