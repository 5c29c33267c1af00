#include "tsdb/head/series_append.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "model/float_histogram_ops.h"
#include "tsdb/chunks/xor2.h"
#include "util/numbers.h"

namespace narthex::tsdb {
namespace {

// Upstream's soft limit of a float chunk, taken before a sample of at most 19 bytes goes in.
constexpr size_t kFloatChunkBytesMax = 1005;
constexpr size_t kHistogramChunkBytes = 1024;
constexpr uint32_t kHistogramSamplesMin = 10;
// A first sample takes 16 bytes with its header, most second ones less than 8.
constexpr size_t kFirstChunkBytes = 24;

// Estimates where the open chunk should end so that the chunks of its range come out equally long,
// the range being 1/ratio_to_full full.
int64_t EstimateChunkEnd(int64_t start, int64_t now, int64_t range_end, double ratio_to_full) {
  const double left = static_cast<double>(range_end - start);
  const double chunks = left / (static_cast<double>(now - start + 1) * ratio_to_full);
  if (chunks <= 1) return range_end;
  return static_cast<int64_t>(static_cast<double>(start) + left / std::floor(chunks));
}

Xor2State LoadXor2(const SlabPool& pool, SlabRef chunk) {
  Xor2State state;
  std::memcpy(&state, pool.At(chunk), sizeof state);
  return state;
}

// The bounds part of the verdict, once the sample is known not to be in order.
Verdict JudgeLate(int64_t t, const AppendBounds& bounds) {
  if (bounds.out_of_order_window_ms > 0) {
    return t >= bounds.head_max_ms - bounds.out_of_order_window_ms ? Verdict::kOutOfOrderAccepted
                                                                   : Verdict::kTooOld;
  }
  return t < bounds.min_valid_ms ? Verdict::kOutOfBounds : Verdict::kOutOfOrder;
}

const HistogramSeries* FindHistogramSeries(const Slab& slab, uint16_t index) {
  const auto found = slab.histograms.find(index);
  return found == slab.histograms.end() ? nullptr : found->second.get();
}

template <typename H>
Verdict JudgeHistogramOf(const Slab& slab, uint16_t index, int64_t t, const H& histogram,
                         const AppendBounds& bounds) {
  const SeriesHot& hot = slab.hot[index];
  if (t >= bounds.min_valid_ms) {
    if (hot.encoding == ChunkEncoding::kNone || t > hot.xor_state.last_ms) {
      return Verdict::kInOrder;
    }
    if (t == hot.xor_state.last_ms) {
      const HistogramSeries* series = FindHistogramSeries(slab, index);
      if (series == nullptr || (hot.flags & kHistogramLast) == 0) return Verdict::kDuplicate;
      const H* last;
      if constexpr (std::is_same_v<H, Histogram>) {
        last = series->last_integer.get();
      } else {
        last = series->last_float.get();
      }
      const bool same = last != nullptr && HistogramsEqual(*last, histogram);
      return same ? Verdict::kInOrder : Verdict::kDuplicate;
    }
  }
  return JudgeLate(t, bounds);
}

}  // namespace

size_t HistogramSeries::BucketCount() const {
  if (last_integer != nullptr) {
    return last_integer->positive_buckets.size() + last_integer->negative_buckets.size();
  }
  if (last_float != nullptr) {
    return last_float->positive_buckets.size() + last_float->negative_buckets.size();
  }
  return 0;
}

Verdict JudgeOldFloat(const SeriesHot& hot, int64_t t, double v, const AppendBounds& bounds) {
  if (t >= bounds.min_valid_ms && t == hot.xor_state.last_ms) {
    const bool same = (hot.flags & kHistogramLast) == 0 &&
                      hot.xor_state.last_value_bits == std::bit_cast<uint64_t>(v);
    return same ? Verdict::kInOrder : Verdict::kDuplicate;
  }
  return JudgeLate(t, bounds);
}

Verdict JudgeHistogram(const Slab& slab, uint16_t index, int64_t t, const Histogram& histogram,
                       const AppendBounds& bounds) {
  return JudgeHistogramOf(slab, index, t, histogram, bounds);
}

Verdict JudgeHistogram(const Slab& slab, uint16_t index, int64_t t, const FloatHistogram& histogram,
                       const AppendBounds& bounds) {
  return JudgeHistogramOf(slab, index, t, histogram, bounds);
}

void CloseOpenChunk(SlabPool* pool, Slab& slab, uint16_t index, uint64_t ref) {
  SeriesHot& hot = slab.hot[index];
  PendingChunk pending{};
  pending.index = index;
  pending.encoding = hot.encoding;
  pending.ref = ref;
  pending.min_ms = hot.chunk_min_ms;
  pending.max_ms = hot.xor_state.last_ms;
  switch (hot.encoding) {
    case ChunkEncoding::kNone: return;
    case ChunkEncoding::kXor:
      StoreXorHeader(hot.xor_state, reinterpret_cast<uint8_t*>(pool->At(hot.open_chunk)));
      pending.data = hot.open_chunk;
      pending.size = static_cast<uint32_t>(hot.xor_state.size_bytes());
      pending.sample_count = hot.xor_state.count;
      break;
    case ChunkEncoding::kXor2: {
      const Xor2State state = LoadXor2(*pool, hot.open_chunk);
      pending.size = static_cast<uint32_t>(state.size_bytes());
      pending.data = pool->Allocate(pending.size);
      std::memcpy(pool->At(pending.data), pool->At(hot.open_chunk) + sizeof state, pending.size);
      StoreXor2Header(state, reinterpret_cast<uint8_t*>(pool->At(pending.data)));
      pending.sample_count = state.count;
      pool->Free(hot.open_chunk);
      break;
    }
    default: {
      HistogramSeries& series = *slab.histograms.find(index)->second;
      const bool integer = series.integer != nullptr;
      const std::string_view bytes = integer ? series.integer->bytes() : series.floating->bytes();
      pending.size = static_cast<uint32_t>(bytes.size());
      pending.data = pool->Allocate(bytes.size());
      std::memcpy(pool->At(pending.data), bytes.data(), bytes.size());
      pending.sample_count = static_cast<uint16_t>(integer ? series.integer->sample_count()
                                                           : series.floating->sample_count());
      break;
    }
  }
  slab.pending.push_back(pending);
  hot.open_chunk = kNoSlab;
  hot.encoding = ChunkEncoding::kNone;
}

void DropOpenChunk(SlabPool* pool, Slab& slab, uint16_t index) {
  SeriesHot& hot = slab.hot[index];
  if (hot.encoding == ChunkEncoding::kNone) return;
  pool->Free(hot.open_chunk);
  hot.open_chunk = kNoSlab;
  if (const auto found = slab.histograms.find(index); found != slab.histograms.end()) {
    found->second->integer.reset();
    found->second->floating.reset();
  }
  hot.encoding = ChunkEncoding::kNone;
}

bool CopyOpenChunk(const SlabPool& pool, const Slab& slab, uint16_t index, OpenChunkView* view,
                   std::string* bytes) {
  const SeriesHot& hot = slab.hot[index];
  view->encoding = hot.encoding;
  view->min_ms = hot.chunk_min_ms;
  view->max_ms = hot.xor_state.last_ms;
  switch (hot.encoding) {
    case ChunkEncoding::kNone: return false;
    case ChunkEncoding::kXor:
      bytes->assign(pool.At(hot.open_chunk), hot.xor_state.size_bytes());
      StoreXorHeader(hot.xor_state, reinterpret_cast<uint8_t*>(bytes->data()));
      view->sample_count = hot.xor_state.count;
      return true;
    case ChunkEncoding::kXor2: {
      const Xor2State state = LoadXor2(pool, hot.open_chunk);
      bytes->assign(pool.At(hot.open_chunk) + sizeof state, state.size_bytes());
      StoreXor2Header(state, reinterpret_cast<uint8_t*>(bytes->data()));
      view->sample_count = state.count;
      return true;
    }
    default: {
      const HistogramSeries& series = *slab.histograms.find(index)->second;
      const bool integer = series.integer != nullptr;
      bytes->assign(integer ? series.integer->bytes() : series.floating->bytes());
      view->sample_count =
          integer ? series.integer->sample_count() : series.floating->sample_count();
      return true;
    }
  }
}

AppendTally SeriesAppender::TakeTally() {
  const AppendTally tally = tally_;
  tally_ = {};
  return tally;
}

void SeriesAppender::Cut(Slab& slab, uint16_t index, uint64_t ref) {
  CloseOpenChunk(pool_, slab, index, ref);
  tally_.pending_bytes += slab.pending.back().size;
}

void SeriesAppender::OpenFloatChunk(SeriesHot& hot, int64_t t, ChunkEncoding encoding) {
  hot.encoding = encoding;
  hot.chunk_min_ms = t;
  hot.next_cut_ms = RangeEnd(t, rules_.chunk_range_ms);
  hot.xor_state = XorState{};
  if (encoding == ChunkEncoding::kXor) {
    hot.open_chunk = pool_->Allocate(kFirstChunkBytes);
  } else {
    const Xor2State state;
    hot.open_chunk = pool_->Allocate(sizeof state + kFirstChunkBytes);
    std::memcpy(pool_->At(hot.open_chunk), &state, sizeof state);
  }
  ++tally_.chunks_created;
}

void SeriesAppender::PutXor(SeriesHot& hot, int64_t t, double v) {
  while (!TryXorAppend(hot.xor_state, reinterpret_cast<uint8_t*>(pool_->At(hot.open_chunk)),
                       pool_->Capacity(hot.open_chunk), t, v)) {
    const size_t used = hot.xor_state.size_bytes();
    hot.open_chunk = pool_->Grow(hot.open_chunk, used, pool_->Capacity(hot.open_chunk) * 5 / 4 + 8);
  }
}

void SeriesAppender::PutXor2(SeriesHot& hot, int64_t start_ms, int64_t t, double v) {
  Xor2State state = LoadXor2(*pool_, hot.open_chunk);
  for (;;) {
    char* const piece = pool_->At(hot.open_chunk);
    const size_t capacity = pool_->Capacity(hot.open_chunk) - sizeof state;
    if (TryXor2Append(state, reinterpret_cast<uint8_t*>(piece + sizeof state), capacity, start_ms,
                      t, v)) {
      std::memcpy(piece, &state, sizeof state);
      break;
    }
    hot.open_chunk = pool_->Grow(hot.open_chunk, sizeof state + state.size_bytes(),
                                 sizeof state + capacity * 5 / 4 + 8);
  }
  hot.xor_state.last_ms = t;
  hot.xor_state.last_value_bits = std::bit_cast<uint64_t>(v);
  hot.xor_state.count = state.count;
}

void SeriesAppender::MarkCommit(Slab& slab, uint16_t index, SeriesHot& hot) {
  if (commit_.id == 0) return;
  const uint32_t id = static_cast<uint32_t>(commit_.id);
  if (hot.flags & kHasOlder) [[unlikely]] {
    // Forget what every reader sees by now.
    const auto found = slab.older_commits.find(index);
    std::erase_if(found->second, [&](const OlderCommit& older) {
      return older.id != id &&
             static_cast<int32_t>(older.id - static_cast<uint32_t>(commit_.low_watermark)) < 0;
    });
    if (found->second.empty()) {
      slab.older_commits.erase(found);
      hot.flags = static_cast<uint8_t>(hot.flags & ~kHasOlder);
    }
  }
  if (hot.commit_id != 0 && (hot.flags & kHasSamples)) {
    const bool second = hot.commit_id == id;
    const bool hidden_from_some =
        static_cast<int32_t>(hot.commit_id - static_cast<uint32_t>(commit_.low_watermark)) >= 0;
    if (second || hidden_from_some) {
      std::vector<OlderCommit>& older = slab.older_commits[index];
      if (older.empty() || older.back().id != hot.commit_id) {
        older.push_back({hot.commit_id, hot.xor_state.last_ms});
      }
      hot.flags |= kHasOlder;
    }
  }
  hot.commit_id = id;
}

void SeriesAppender::NoteSample(SeriesHot& hot, int64_t t, bool stale, bool is_histogram) {
  tally_.stale_series += int{stale} - int{(hot.flags & kStale) != 0};
  tally_.histogram_series += int{is_histogram} - int{(hot.flags & kHistogramLast) != 0};
  unsigned flags = hot.flags & ~unsigned{kStale | kHistogramLast};
  flags |= kHasSamples;
  if (stale) flags |= kStale;
  if (is_histogram) flags |= kHistogramLast;
  hot.flags = static_cast<uint8_t>(flags);
  hot.xor_state.last_ms = t;
}

bool SeriesAppender::AppendFloat(Slab& slab, uint16_t index, uint64_t ref, int64_t start_ms,
                                 int64_t t, double v) {
  SeriesHot& hot = slab.hot[index];
  const ChunkEncoding wanted = rules_.xor2 ? ChunkEncoding::kXor2 : ChunkEncoding::kXor;
  if ((hot.flags & kHasSamples) && t <= hot.xor_state.last_ms) return false;
  // Before the chunk may be opened anew, which forgets the last time.
  MarkCommit(slab, index, hot);

  bool cut = hot.encoding == ChunkEncoding::kNone;
  if (!cut) {
    const bool float_chunk = KindOf(hot.encoding) == ValueKind::kFloat;
    if (!float_chunk || (hot.encoding != wanted && rules_.start_timestamp_storage)) {
      cut = true;
    } else {
      const size_t bytes = hot.encoding == ChunkEncoding::kXor
                               ? hot.xor_state.size_bytes()
                               : LoadXor2(*pool_, hot.open_chunk).size_bytes();
      const int count = hot.xor_state.count;
      if (bytes > kFloatChunkBytesMax) {
        cut = true;
      } else {
        if (count == rules_.samples_per_chunk / 4) {
          hot.next_cut_ms =
              EstimateChunkEnd(hot.chunk_min_ms, hot.xor_state.last_ms, hot.next_cut_ms, 4);
        }
        cut = t >= hot.next_cut_ms || count >= rules_.samples_per_chunk * 2;
      }
    }
  }
  if (cut) [[unlikely]] {
    if (hot.encoding != ChunkEncoding::kNone) Cut(slab, index, ref);
    OpenFloatChunk(hot, t, wanted);
  }
  if (hot.flags & kHistogramLast) [[unlikely]] {
    const auto found = slab.histograms.find(index);
    tally_.histogram_buckets -= static_cast<int64_t>(found->second->BucketCount());
    slab.histograms.erase(found);
  }
  if (hot.encoding == ChunkEncoding::kXor) {
    PutXor(hot, t, v);
  } else {
    PutXor2(hot, start_ms, t, v);
  }
  NoteSample(hot, t, IsStaleNan(v), false);
  return true;
}

template <typename H>
bool SeriesAppender::AppendHistogramOf(Slab& slab, uint16_t index, uint64_t ref, int64_t start_ms,
                                       int64_t t, const H& histogram) {
  constexpr bool kInteger = std::is_same_v<H, Histogram>;
  using Appender = HistogramChunkAppender<H>;
  SeriesHot& hot = slab.hot[index];
  if ((hot.flags & kHasSamples) && t <= hot.xor_state.last_ms) return false;
  const ChunkEncoding wanted = EncodingFor(
      kInteger ? ValueKind::kHistogram : ValueKind::kFloatHistogram, rules_.histogram_st);
  MarkCommit(slab, index, hot);

  std::unique_ptr<HistogramSeries>& series_slot = slab.histograms[index];
  if (series_slot == nullptr) series_slot = std::make_unique<HistogramSeries>();
  HistogramSeries& series = *series_slot;
  std::unique_ptr<Appender>* open;
  if constexpr (kInteger) {
    open = &series.integer;
  } else {
    open = &series.floating;
  }

  bool cut = hot.encoding != wanted;
  if (!cut) {
    const size_t bytes = (*open)->bytes().size();
    const bool estimated = (hot.flags & kEndEstimated) != 0;
    const int64_t range_end =
        estimated ? RangeEnd(hot.chunk_min_ms, rules_.chunk_range_ms) : hot.next_cut_ms;
    if (!estimated && bytes >= kHistogramChunkBytes / 4) {
      hot.next_cut_ms =
          EstimateChunkEnd(hot.chunk_min_ms, hot.xor_state.last_ms, hot.next_cut_ms,
                           static_cast<double>(kHistogramChunkBytes) / static_cast<double>(bytes));
      hot.flags |= kEndEstimated;
    }
    cut = (t >= hot.next_cut_ms || bytes >= kHistogramChunkBytes * 2) &&
          ((*open)->sample_count() >= kHistogramSamplesMin || t >= range_end);
  }
  // The appender of the chunk before, which the first sample of a new chunk is compared with.
  std::unique_ptr<Appender> previous;
  if (cut) {
    if (hot.encoding != ChunkEncoding::kNone) Cut(slab, index, ref);
    previous = std::move(*open);
    series.integer.reset();
    series.floating.reset();
    *open = std::make_unique<Appender>(wanted);
    hot.encoding = wanted;
    hot.chunk_min_ms = t;
    hot.next_cut_ms = RangeEnd(t, rules_.chunk_range_ms);
    hot.flags = static_cast<uint8_t>(hot.flags & ~kEndEstimated);
    ++tally_.chunks_created;
  }
  auto outcome = (*open)->Append(previous.get(), start_ms, t, histogram);
  if (!outcome.ok()) {
    // Only a histogram that was not validated gets here; an empty chunk must not stay open.
    if ((*open)->sample_count() == 0) {
      open->reset();
      hot.encoding = ChunkEncoding::kNone;
    }
    return false;
  }
  if (outcome->kind == HistogramAppendKind::kNewChunk) {
    Cut(slab, index, ref);
    *open = std::move(outcome->next);
    hot.encoding = wanted;
    hot.chunk_min_ms = t;
    hot.next_cut_ms = RangeEnd(t, rules_.chunk_range_ms);
    ++tally_.chunks_created;
  }
  const size_t buckets_before = (hot.flags & kHistogramLast) ? series.BucketCount() : 0;
  series.last_integer.reset();
  series.last_float.reset();
  if constexpr (kInteger) {
    series.last_integer = std::make_unique<Histogram>(histogram);
  } else {
    series.last_float = std::make_unique<FloatHistogram>(histogram);
  }
  tally_.histogram_buckets +=
      static_cast<int64_t>(series.BucketCount()) - static_cast<int64_t>(buckets_before);
  NoteSample(hot, t, IsStaleNan(histogram.sum), true);
  return true;
}

bool SeriesAppender::AppendHistogram(Slab& slab, uint16_t index, uint64_t ref, int64_t start_ms,
                                     int64_t t, const Histogram& histogram) {
  return AppendHistogramOf(slab, index, ref, start_ms, t, histogram);
}

bool SeriesAppender::AppendHistogram(Slab& slab, uint16_t index, uint64_t ref, int64_t start_ms,
                                     int64_t t, const FloatHistogram& histogram) {
  return AppendHistogramOf(slab, index, ref, start_ms, t, histogram);
}

}  // namespace narthex::tsdb
