#include "tsdb/chunks/chunk.h"

#include <algorithm>

#include "tsdb/chunks/columns_internal.h"
#include "tsdb/chunks/histogram_chunk.h"
#include "tsdb/chunks/xor.h"
#include "tsdb/chunks/xor2.h"
#include "tsdb/chunks/xor_pair.h"
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

namespace {

uint32_t CountOf(const ChunkInput& chunk) {
  return chunk.sample_count != kCountFromHeader ? chunk.sample_count
                                                : ChunkSampleCount(chunk.encoding, chunk.bytes);
}

// False, and `out` is as it was: the chunks are to be decoded one by one.
bool TryDecodePair(const ChunkInput& first, const ChunkInput& second, TimeRange range,
                   storage::SampleColumns* out) {
  if (first.encoding != ChunkEncoding::kXor || second.encoding != ChunkEncoding::kXor) return false;
  const size_t first_count = CountOf(first);
  const size_t second_count = CountOf(second);
  // Any sample takes two bits at least; a count beyond that is made up.
  if (first_count > first.bytes.size() * 8 || second_count > second.bytes.size() * 8) return false;
  ColumnsTail tail(out, first_count + second_count, /*with_start_timestamps=*/false);
  const bool decoded = DecodeXorPair(
      {first.bytes, static_cast<uint32_t>(first_count), tail.timestamps(), tail.values()},
      {second.bytes, static_cast<uint32_t>(second_count), tail.timestamps() + first_count,
       tail.values() + first_count});
  // Time mostly ascends, and then what is out of range lies at the ends.
  size_t count = first_count + second_count;
  if (!decoded || !std::is_sorted(tail.timestamps(), tail.timestamps() + count)) {
    tail.Abandon();
    return false;
  }
  while (count > 0 && tail.timestamps()[count - 1] > range.end_ms) --count;
  tail.Finish(tail.DropBefore(range.start_ms, count));
  return true;
}

}  // namespace

Status DecodeChunks(std::span<const ChunkInput> chunks, TimeRange range,
                    const DecodeOptions& options, storage::SampleColumns* out) {
  while (!chunks.empty()) {
    if (chunks.size() > 1 && TryDecodePair(chunks[0], chunks[1], range, out)) {
      chunks = chunks.subspan(2);
      continue;
    }
    DecodeOptions own = options;
    own.sample_count = chunks[0].sample_count;
    NARTHEX_RETURN_IF_ERROR(DecodeChunk(chunks[0].encoding, chunks[0].bytes, range, own, out));
    chunks = chunks.subspan(1);
  }
  return {};
}

}  // namespace narthex::tsdb
