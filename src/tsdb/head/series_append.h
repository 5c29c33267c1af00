// Appending to one series: whether a sample may go in, where chunks are cut, how bytes grow.
//
// The rules are upstream's to the sample, since they decide which chunks stand in blocks
// (parity/storage.md, section 15). The caller holds the slab's mutex.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "model/histogram.h"
#include "tsdb/chunks/histogram_chunk.h"
#include "tsdb/head/isolation.h"
#include "tsdb/head/series_store.h"

namespace narthex::tsdb {

// The open chunk and the newest value of a series whose newest sample is a histogram.
struct HistogramSeries {
  // One of the two, of the open chunk's kind; none when the newest chunk is already in a file.
  std::unique_ptr<IntHistogramAppender> integer;
  std::unique_ptr<FloatHistogramAppender> floating;
  // One of the two.
  std::unique_ptr<Histogram> last_integer;
  std::unique_ptr<FloatHistogram> last_float;

  size_t BucketCount() const;
};

struct ChunkRules {
  int64_t chunk_range_ms = 2LL * 3600 * 1000;
  int samples_per_chunk = 120;
  bool xor2 = false;
  bool histogram_st = false;
  bool start_timestamp_storage = false;
};

// What appends changed, summed up by the caller and added to the head's counters once.
struct AppendTally {
  int64_t chunks_created = 0;
  int64_t stale_series = 0;      // Change of the number of stale series.
  int64_t histogram_series = 0;  // Change of the number of series whose newest value is one.
  int64_t histogram_buckets = 0;
  size_t pending_bytes = 0;
};

struct AppendBounds {
  int64_t min_valid_ms = INT64_MIN;
  int64_t head_max_ms = INT64_MIN;
  int64_t out_of_order_window_ms = 0;
};

enum class Verdict : uint8_t {
  kInOrder,
  kOutOfOrderAccepted,  // Belongs to the out-of-order chunk.
  kOutOfOrder,
  kOutOfBounds,
  kTooOld,
  kDuplicate,
};

// Start of the chunk range after the one that holds `t`; division truncates toward zero as
// upstream.
inline int64_t RangeEnd(int64_t t, int64_t chunk_range_ms) {
  return t / chunk_range_ms * chunk_range_ms + chunk_range_ms;
}

// Where the next sample of the series goes, for fetching it ahead.
inline const char* EndOfOpenChunk(const SlabPool& pool, const SeriesHot& hot) {
  return pool.At(hot.open_chunk) + hot.xor_state.position_bits / 8;
}

class SeriesAppender {
 public:
  SeriesAppender(SlabPool* pool, const ChunkRules& rules, Isolation::Commit commit)
      : pool_(pool), rules_(rules), commit_(commit) {}

  // False: not newer than what the series holds, dropped.
  bool AppendFloat(Slab& slab, uint16_t index, uint64_t ref, int64_t start_ms, int64_t t, double v);
  bool AppendHistogram(Slab& slab, uint16_t index, uint64_t ref, int64_t start_ms, int64_t t,
                       const Histogram& histogram);
  bool AppendHistogram(Slab& slab, uint16_t index, uint64_t ref, int64_t start_ms, int64_t t,
                       const FloatHistogram& histogram);
  const AppendTally& tally() const { return tally_; }
  AppendTally TakeTally();

 private:
  void Cut(Slab& slab, uint16_t index, uint64_t ref);
  void OpenFloatChunk(SeriesHot& hot, int64_t t, ChunkEncoding encoding);
  void MarkCommit(Slab& slab, uint16_t index, SeriesHot& hot);
  void NoteSample(SeriesHot& hot, int64_t t, bool stale, bool is_histogram);
  void PutXor(SeriesHot& hot, int64_t t, double v);
  void PutXor2(SeriesHot& hot, int64_t start_ms, int64_t t, double v);
  template <typename H>
  bool AppendHistogramOf(Slab& slab, uint16_t index, uint64_t ref, int64_t start_ms, int64_t t,
                         const H& histogram);

  SlabPool* pool_;
  ChunkRules rules_;
  Isolation::Commit commit_;
  AppendTally tally_;
};

// Whether a sample may be appended; see section 15.
Verdict JudgeOldFloat(const SeriesHot& hot, int64_t t, double v, const AppendBounds& bounds);
inline Verdict JudgeFloat(const SeriesHot& hot, int64_t t, double v, const AppendBounds& bounds) {
  if (t >= bounds.min_valid_ms &&
      (hot.encoding == ChunkEncoding::kNone || t > hot.xor_state.last_ms)) [[likely]] {
    return Verdict::kInOrder;
  }
  return JudgeOldFloat(hot, t, v, bounds);
}
Verdict JudgeHistogram(const Slab& slab, uint16_t index, int64_t t, const Histogram& histogram,
                       const AppendBounds& bounds);
Verdict JudgeHistogram(const Slab& slab, uint16_t index, int64_t t, const FloatHistogram& histogram,
                       const AppendBounds& bounds);

// Closes the open chunk into slab.pending (at shutdown and for tests of chunk files).
void CloseOpenChunk(SlabPool* pool, Slab& slab, uint16_t index, uint64_t ref);
// Frees the open chunk without keeping it.
void DropOpenChunk(SlabPool* pool, Slab& slab, uint16_t index);
// A finished copy of the open chunk. Its sample count is in the header.
struct OpenChunkView {
  ChunkEncoding encoding = ChunkEncoding::kNone;
  int64_t min_ms = 0;
  int64_t max_ms = 0;
  uint32_t sample_count = 0;
};
// False when the series has no open chunk.
bool CopyOpenChunk(const SlabPool& pool, const Slab& slab, uint16_t index, OpenChunkView* view,
                   std::string* bytes);

}  // namespace narthex::tsdb
