// Merging of one series' chunks from several sources.
#pragma once

#include <deque>
#include <vector>

#include "tsdb/chunks/chunk.h"
#include "tsdb/chunks/sample_reader.h"
#include "tsdb/compact/block_source.h"
#include "util/status.h"

namespace narthex::tsdb {

// A chunk that the compactor writes anew is cut behind this many samples.
inline constexpr size_t kRewrittenChunkSamplesMax = 120;

// Encodes samples in ascending time into chunks: a new one when the kind of value changes, behind
// kRewrittenChunkSamplesMax samples, at counter resets and changes of bucket layout, and where a
// start timestamp comes that the open chunk cannot hold.
class ChunkRewriter {
 public:
  // `floats` is the encoding of float chunks of now: kXor or kXor2. Samples with start timestamps
  // take encodings that carry them in any case.
  explicit ChunkRewriter(ChunkEncoding floats) : floats_(floats) {}

  Status Add(const AnySample& sample);
  // Takes the chunks; the rewriter is empty again.
  std::vector<EncodedChunk> Finish();

 private:
  template <typename H>
  Status AddHistogram(std::unique_ptr<HistogramChunkAppender<H>>& open, const AnySample& sample,
                      const H& histogram, ChunkEncoding wanted);
  void Close();

  const ChunkEncoding floats_;
  std::vector<EncodedChunk> done_;
  ValueKind kind_ = ValueKind::kNone;
  size_t samples_ = 0;
  int64_t min_ms_ = 0;
  int64_t max_ms_ = 0;
  std::unique_ptr<FloatChunkEncoder> float_chunk_;
  std::unique_ptr<IntHistogramAppender> histogram_chunk_;
  std::unique_ptr<FloatHistogramAppender> float_histogram_chunk_;
};

// Orders chunks of several sources by time. Those that overlap none are taken as they are; of
// identical ones one is kept; those that overlap are decoded, merged sample by sample (of equal
// times one sample stays) and encoded anew.
class ChunkMerger {
 public:
  explicit ChunkMerger(ChunkEncoding floats) : rewriter_(floats) {}

  // `chunks` may come in any order. The result holds until the next call.
  Result<std::span<const SourceChunk>> Merge(std::vector<SourceChunk> chunks);

 private:
  Status MergeGroup(std::span<const SourceChunk> group);

  ChunkRewriter rewriter_;
  std::vector<SourceChunk> merged_;
  std::deque<EncodedChunk> encoded_;
};

}  // namespace narthex::tsdb
