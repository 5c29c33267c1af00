#include "tsdb/chunks/chunk.h"

#include "tsdb/chunks/histogram_chunk.h"
#include "tsdb/chunks/xor.h"
#include "tsdb/chunks/xor2.h"
#include "util/bytes.h"

namespace narthex::tsdb {

std::string_view ChunkEncodingName(ChunkEncoding encoding) {
  switch (encoding) {
    case ChunkEncoding::kNone: return "none";
    case ChunkEncoding::kXor: return "XOR";
    case ChunkEncoding::kHistogram: return "histogram";
    case ChunkEncoding::kFloatHistogram: return "floathistogram";
    case ChunkEncoding::kXor2: return "XOR2";
    case ChunkEncoding::kHistogramSt: return "histogramST";
    case ChunkEncoding::kFloatHistogramSt: return "floathistogramST";
  }
  return "<unknown>";
}

Status InvalidEncodingError(ChunkEncoding encoding) {
  return MakeError(ErrorCode::kCorruption, "invalid chunk encoding \"{}\"",
                   ChunkEncodingName(encoding));
}

uint32_t ChunkSampleCount(ChunkEncoding encoding, std::string_view bytes) {
  if (bytes.size() < 2) return 0;
  const uint32_t count = LoadBigEndian16(bytes.data());
  const bool shares_bits =
      encoding == ChunkEncoding::kHistogramSt || encoding == ChunkEncoding::kFloatHistogramSt;
  return shares_bits ? count & kHistogramStSamplesMax : count;
}

Status DecodeChunk(ChunkEncoding encoding, std::string_view bytes, TimeRange range,
                   const DecodeOptions& options, storage::SampleColumns* out) {
  const uint32_t count = options.sample_count != kCountFromHeader
                             ? options.sample_count
                             : ChunkSampleCount(encoding, bytes);
  switch (encoding) {
    case ChunkEncoding::kXor: return DecodeXor(bytes, count, range, out);
    case ChunkEncoding::kXor2:
      return DecodeXor2(
          bytes, count,
          bytes.size() < kXor2HeaderBytes ? uint8_t{0} : static_cast<uint8_t>(bytes[2]), range,
          out);
    case ChunkEncoding::kHistogram:
    case ChunkEncoding::kFloatHistogram:
    case ChunkEncoding::kHistogramSt:
    case ChunkEncoding::kFloatHistogramSt:
      return DecodeHistograms(encoding, bytes, range, options, out);
    case ChunkEncoding::kNone: break;
  }
  return InvalidEncodingError(encoding);
}

}  // namespace narthex::tsdb
