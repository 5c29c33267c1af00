// Letting go: full chunks to files, old chunks out of memory, dead series out of the tables, old
// WAL segments into checkpoints.
#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "tsdb/head/head.h"
#include "tsdb/head/out_of_order.h"
#include "tsdb/wal/checkpoint.h"
#include "util/log.h"

namespace narthex::tsdb {
namespace {

constexpr auto kReaderPoll = std::chrono::milliseconds(5);
// Garbage collection holds the index lock so long, and then leaves it alone for a moment: appends
// of new series and queries wait for one hold. Without the gap the same thread gets the lock again
// before those who wait for it have woken up, for as long as the collection takes.
constexpr int64_t kHoldNanos = 1'000'000;
constexpr auto kGapBetweenHolds = std::chrono::microseconds(100);
constexpr size_t kPairsPerStep = 64;
constexpr size_t kEvictionsPerStep = 128;
// Longer lists are rewritten beside the lock.
constexpr uint32_t kListBesideLock = 16'384;

}  // namespace

Status Head::MapFullChunks() {
  {
    // Epochs pass with the ticks, so that garbage collection can tell what the appenders of this
    // minute have found from what those before them had.
    const std::lock_guard lock(epoch_mutex_);
    ++epoch_;
  }
  NARTHEX_RETURN_IF_ERROR(LogLate({}));
  const std::lock_guard maintenance(maintenance_mutex_);
  return MapFullChunksLocked();
}

Status Head::Close() {
  Status status = LogLate({});
  const std::lock_guard maintenance(maintenance_mutex_);
  if (Status mapped = MapFullChunksLocked(); status.ok()) status = std::move(mapped);
  if (head_chunks_ != nullptr) {
    if (Status closed = head_chunks_->Close(); status.ok()) status = std::move(closed);
  }
  return status;
}

Status Head::MapFullChunksLocked() {
  if (head_chunks_ == nullptr) return {};
  std::vector<PendingChunk> todo;
  std::vector<MappedChunk> written;
  std::vector<MappedChunk> list;
  for (uint32_t number = 0; number < store_.slab_count(); ++number) {
    Slab& slab = store_.slab_at(number);
    {
      const std::lock_guard lock(slab.mutex);
      if (slab.pending.empty()) continue;
      todo = slab.pending;
    }
    // The bytes stay where they are: only maintenance frees full chunks.
    written.clear();
    Status status;
    uint64_t bytes = 0;
    for (const PendingChunk& chunk : todo) {
      Result<uint64_t> ref =
          head_chunks_->Write(chunk.ref, chunk.min_ms, chunk.max_ms, chunk.encoding, false,
                              std::string_view(pool_.At(chunk.data), chunk.size));
      if (!ref.ok()) {
        status = std::move(ref).status();
        break;
      }
      bytes += chunk.size;
      written.push_back({*ref, chunk.min_ms, chunk.max_ms, chunk.sample_count, chunk.encoding});
    }
    {
      const std::lock_guard lock(slab.mutex);
      for (size_t i = 0; i < written.size(); ++i) {
        SeriesHot& hot = slab.hot[todo[i].index];
        list.clear();
        ReadMappedChunks(pool_, hot.mapped, &list);
        list.push_back(written[i]);
        hot.mapped = StoreMappedChunks(&pool_, hot.mapped, list);
        pool_.Free(todo[i].data);
      }
      slab.pending.erase(slab.pending.begin(),
                         slab.pending.begin() + static_cast<std::ptrdiff_t>(written.size()));
      if (slab.pending.empty()) slab.pending.shrink_to_fit();
    }
    pending_bytes_.fetch_sub(std::min<uint64_t>(bytes, pending_bytes_.load()),
                             std::memory_order_relaxed);
    counters_.chunks_mapped.fetch_add(written.size(), std::memory_order_relaxed);
    NARTHEX_RETURN_IF_ERROR(std::move(status));
  }
  return {};
}

Status Head::TruncateMemory(int64_t mint_ms) {
  const bool was_initialized = initialized();
  if (was_initialized && min_time_ms() >= mint_ms) return {};
  // Readers opened from now on leave older times to the blocks; those opened before are waited for,
  // outside of maintenance: full chunks must reach the disk meanwhile.
  int64_t readable_from = readable_from_ms_.load(std::memory_order_relaxed);
  while (readable_from < mint_ms &&
         !readable_from_ms_.compare_exchange_weak(readable_from, mint_ms)) {
  }
  if (was_initialized) {
    WaitForReaders([&] { return isolation_.HasReaderBelow(mint_ms); },
                   [&] { return isolation_.ExpireReadersBelow(mint_ms); });
  }
  const std::lock_guard maintenance(maintenance_mutex_);
  min_time_ms_.store(mint_ms, std::memory_order_release);
  min_valid_ms_.store(mint_ms, std::memory_order_release);
  int64_t newest = max_time_ms_.load();
  while (newest < mint_ms && !max_time_ms_.compare_exchange_weak(newest, mint_ms)) {
  }
  compactable_told_.store(false, std::memory_order_relaxed);
  if (!was_initialized) return {};
  counters_.truncations.fetch_add(1, std::memory_order_relaxed);
  Status status = CollectGarbage();
  if (!status.ok()) counters_.truncations_failed.fetch_add(1, std::memory_order_relaxed);
  return status;
}

void Head::WaitForReaders(const std::function<bool()>& any, const std::function<size_t()>& expire) {
  const int64_t until = MonotonicNanos() + options_.reader_wait_max_ms * kNanosPerMilli;
  while (any()) {
    if (MonotonicNanos() >= until) {
      const size_t expired = expire();
      LOG_WARN("Queries run for so long that the head lets go of samples they may still ask for",
               {"queries", expired},
               {"waited", FormatGoDuration(options_.reader_wait_max_ms * kNanosPerMilli)});
      return;
    }
    std::this_thread::sleep_for(kReaderPoll);
  }
}

Status Head::CollectGarbage() {
  const int64_t start = MonotonicNanos();
  const int64_t newest = max_time_ms();
  std::vector<SlotId> empty;
  const GcResult result = DropOldChunks(min_time_ms(), &empty);
  int64_t actual_min = result.actual_min_ms;
  if (actual_min == INT64_MAX) actual_min = min_time_ms();
  const size_t removed = RemoveSeries(empty, actual_min);
  {
    const int64_t mint = min_time_ms();
    const std::lock_guard lock(tombstones_mutex_);
    for (auto& [ref, intervals] : tombstones_) {
      std::erase_if(intervals, [&](const auto& interval) { return interval.second < mint; });
    }
    erase_if(tombstones_, [](const auto& entry) { return entry.second.empty(); });
  }
  if (actual_min > min_time_ms()) {
    // Data begins later than asked for; appends may still reach back half a chunk range.
    const int64_t appendable = std::max(
        min_valid_ms(), newest == INT64_MIN ? INT64_MIN : newest - options_.chunk_range_ms / 2);
    const int64_t floor = std::min(actual_min, appendable);
    min_time_ms_.store(floor, std::memory_order_release);
    min_valid_ms_.store(floor, std::memory_order_release);
  }
  // Late samples may have come in meanwhile, as far back as the window reaches.
  const int64_t window = out_of_order_window_ms_.load(std::memory_order_relaxed);
  int64_t min_late = result.min_late_ms;
  if (window > 0 && newest != INT64_MIN) min_late = std::min(min_late, newest - window);
  min_late_ms_.store(min_late, std::memory_order_release);
  Status status;
  if (head_chunks_ != nullptr) status = head_chunks_->Truncate(result.smallest_file);
  const int64_t took = MonotonicNanos() - start;
  counters_.gc_count.fetch_add(1, std::memory_order_relaxed);
  counters_.gc_nanos.fetch_add(static_cast<uint64_t>(took), std::memory_order_relaxed);
  LOG_INFO("Head GC completed", {"duration", FormatGoDuration(took)}, {"series_removed", removed});
  return status;
}

Head::GcResult Head::DropOldChunks(int64_t mint_ms, std::vector<SlotId>* empty) {
  GcResult result;
  uint64_t chunks_removed = 0;
  const uint32_t low = static_cast<uint32_t>(isolation_.low_watermark());
  std::vector<MappedChunk> mapped;
  std::vector<int64_t> pending_min(kSlotsPerSlab);
  for (uint32_t number = 0; number < store_.slab_count(); ++number) {
    Slab& slab = store_.slab_at(number);
    const std::lock_guard lock(slab.mutex);
    // Of each slot the first time of what waits for the disk.
    std::fill(pending_min.begin(), pending_min.end(), INT64_MAX);
    size_t kept = 0;
    for (const PendingChunk& chunk : slab.pending) {
      if (chunk.max_ms < mint_ms) {
        pool_.Free(chunk.data);
        ++chunks_removed;
        continue;
      }
      pending_min[chunk.index] = std::min(pending_min[chunk.index], chunk.min_ms);
      slab.pending[kept++] = chunk;
    }
    slab.pending.resize(kept);
    for (uint16_t i = 0; i < kSlotsPerSlab; ++i) {
      if (slab.cold[i].ref == 0) continue;
      SeriesHot& hot = slab.hot[i];
      if (hot.commit_id != 0 && (hot.flags & kHasOlder) == 0 &&
          static_cast<int32_t>(hot.commit_id - low) < 0) {
        hot.commit_id = 0;
      }
      if (hot.encoding != ChunkEncoding::kNone && hot.xor_state.last_ms < mint_ms) {
        DropOpenChunk(&pool_, slab, i);
        ++chunks_removed;
      }
      int64_t series_min = pending_min[i];
      bool has_chunks = series_min != INT64_MAX;
      bool has_late = false;
      if (hot.mapped != kNoSlab) {
        mapped.clear();
        ReadMappedChunks(pool_, hot.mapped, &mapped);
        const size_t before = mapped.size();
        std::erase_if(mapped, [&](const MappedChunk& chunk) { return chunk.max_ms < mint_ms; });
        if (mapped.size() != before) {
          chunks_removed += before - mapped.size();
          hot.mapped = StoreMappedChunks(&pool_, hot.mapped, mapped);
        }
        for (const MappedChunk& chunk : mapped) {
          has_chunks = true;
          series_min = std::min(series_min, chunk.min_ms);
          result.smallest_file =
              std::min(result.smallest_file, HeadChunkFileNumber(chunk.file_ref));
        }
      }
      if (hot.encoding != ChunkEncoding::kNone) {
        has_chunks = true;
        series_min = std::min(series_min, hot.chunk_min_ms);
      }
      if (hot.flags & kHasOutOfOrder) {
        OutOfOrderSeries& late = *slab.out_of_order.find(i)->second;
        chunks_removed += std::erase_if(late.mapped, [&](const MappedChunk& chunk) {
          return chunk.file_ref <= late_dropped_until_;
        });
        for (const MappedChunk& chunk : late.mapped) {
          result.min_late_ms = std::min(result.min_late_ms, chunk.min_ms);
          result.smallest_file =
              std::min(result.smallest_file, HeadChunkFileNumber(chunk.file_ref));
        }
        if (!late.open.empty()) {
          result.min_late_ms = std::min(result.min_late_ms, late.open.front().timestamp_ms);
        }
        if (late.mapped.empty() && late.open.empty()) {
          slab.out_of_order.erase(i);
          hot.flags = static_cast<uint8_t>(hot.flags & ~kHasOutOfOrder);
        } else {
          has_late = true;
        }
      }
      if (has_late) {
        // Keeps the series, but says nothing about where samples in order begin.
        if (has_chunks) result.actual_min_ms = std::min(result.actual_min_ms, series_min);
        continue;
      }
      if (has_chunks) {
        result.actual_min_ms = std::min(result.actual_min_ms, series_min);
        continue;
      }
      const auto exemplar = slab.exemplar_times.find(i);
      if (exemplar != slab.exemplar_times.end() && exemplar->second >= mint_ms) continue;
      empty->push_back(number * kSlotsPerSlab + i);
    }
  }
  counters_.chunks_removed.fetch_add(chunks_removed, std::memory_order_relaxed);
  return result;
}

template <typename Step>
void Head::InIndexHolds(Step&& step) {
  for (bool more = true; more;) {
    {
      const std::unique_lock index_lock(index_mutex_);
      const int64_t start = ThreadCpuNanos();
      const int64_t until = MonotonicNanos() + kHoldNanos;
      do {
        more = step();
      } while (more && MonotonicNanos() < until);
      const int64_t held = ThreadCpuNanos() - start;
      if (held > counters_.gc_hold_nanos_max.load(std::memory_order_relaxed)) {
        counters_.gc_hold_nanos_max.store(held, std::memory_order_relaxed);
      }
    }
    std::this_thread::sleep_for(kGapBetweenHolds);
  }
}

void Head::RemovePostings(std::vector<std::pair<PairId, uint64_t>> dead) {
  std::sort(dead.begin(), dead.end());
  std::vector<uint64_t> refs;
  size_t next = 0;
  // The dead of one pair, in `refs`.
  const auto take_pair = [&] {
    refs.clear();
    const PairId pair = dead[next].first;
    for (; next < dead.size() && dead[next].first == pair; ++next) {
      refs.push_back(dead[next].second);
    }
    return pair;
  };
  const auto is_long = [&] { return index_.PostingCount(dead[next].first) > kListBesideLock; };
  while (next < dead.size()) {
    bool long_list = false;
    InIndexHolds([&] {
      long_list = is_long();
      if (!long_list) {
        const PairId pair = take_pair();
        index_.RemovePostings(pair, refs);
      }
      return !long_list && next < dead.size();
    });
    if (!long_list) continue;
    const PairId pair = take_pair();
    LabelIndex::ShorterList shorter;
    {
      const std::shared_lock index_lock(index_mutex_);
      shorter = index_.ReadList(pair);
    }
    LabelIndex::Shorten(refs, &shorter);
    const std::unique_lock index_lock(index_mutex_);
    index_.ReplaceList(pair, shorter);
  }
}

size_t Head::RemoveSeries(const std::vector<SlotId>& candidates, int64_t actual_min_ms) {
  if (candidates.empty()) return 0;
  // A series that an open appender has resolved stays: its sample is on the way.
  const uint64_t oldest_open = OldestOpenEpoch();
  std::vector<uint64_t> dead;
  std::vector<std::pair<PairId, uint64_t>> dead_postings;
  // Nothing grows by copying while the lock is held.
  dead.reserve(candidates.size());
  size_t postings = 0;
  for (const SlotId slot : candidates) postings += store_.cold(slot).label_count;
  dead_postings.reserve(postings);
  size_t next = 0;
  InIndexHolds([&] {
    RemoveIfDead(candidates[next++], static_cast<uint16_t>(oldest_open), &dead, &dead_postings);
    return next < candidates.size();
  });
  ForgetDead(dead, std::move(dead_postings), actual_min_ms);
  return dead.size();
}

uint64_t Head::OldestOpenEpoch() {
  const std::lock_guard lock(epoch_mutex_);
  ++epoch_;
  return open_epochs_.empty() ? epoch_ : open_epochs_.begin()->first;
}

void Head::ForgetDead(const std::vector<uint64_t>& dead,
                      std::vector<std::pair<PairId, uint64_t>> dead_postings, int64_t expiry_ms) {
  RemovePostings(std::move(dead_postings));
  InIndexHolds([&] { return index_.Sweep(kPairsPerStep); });
  {
    const std::lock_guard lock(tombstones_mutex_);
    if (!tombstones_.empty()) {
      for (const uint64_t ref : dead) tombstones_.erase(ref);
    }
  }
  {
    const std::lock_guard lock(metadata_mutex_);
    if (!metadata_.empty()) {
      for (const uint64_t ref : dead) metadata_.erase(ref);
    }
  }
  if (options_.wal != nullptr) {
    // The checkpoint keeps their series records so long.
    const std::lock_guard lock(expiry_mutex_);
    for (const uint64_t ref : dead) {
      int64_t& until = wal_expiry_.try_emplace(ref, INT64_MIN).first->second;
      until = std::max(until, expiry_ms);
    }
  }
  counters_.series_removed.fetch_add(dead.size(), std::memory_order_relaxed);
}

bool Head::ReleaseStale(const SortedSeries::Entry& entry, int64_t last_ms, uint16_t oldest_open,
                        bool* keep) {
  Slab& slab = store_.slab(entry.slot);
  const uint16_t index = SeriesStore::IndexOf(entry.slot);
  const std::lock_guard lock(slab.mutex);
  SeriesHot& hot = slab.hot[index];
  const bool waits = std::any_of(slab.pending.begin(), slab.pending.end(),
                                 [&](const PendingChunk& chunk) { return chunk.index == index; });
  if (slab.cold[index].ref != entry.ref || (hot.flags & kStale) == 0 ||
      (hot.flags & kHasOutOfOrder) != 0 || hot.xor_state.last_ms != last_ms || waits ||
      static_cast<int16_t>(hot.touch_epoch - oldest_open) >= 0) {
    return false;
  }
  uint64_t chunks = 0;
  if (hot.encoding != ChunkEncoding::kNone) {
    DropOpenChunk(&pool_, slab, index);
    ++chunks;
  }
  if (hot.mapped != kNoSlab) {
    std::vector<MappedChunk> mapped;
    ReadMappedChunks(pool_, hot.mapped, &mapped);
    chunks += mapped.size();
    pool_.Free(hot.mapped);
    hot.mapped = kNoSlab;
  }
  counters_.chunks_removed.fetch_add(chunks, std::memory_order_relaxed);
  const auto exemplar = slab.exemplar_times.find(index);
  *keep = exemplar != slab.exemplar_times.end() && exemplar->second >= min_valid_ms();
  return true;
}

Result<size_t> Head::EvictStale(const StaleSelection& selection) {
  const std::vector<SortedSeries::Entry>& series = selection.sorted.series;
  if (series.empty()) return size_t{0};
  // Readers that were opened before the blocks were listed find the samples here alone.
  const uint64_t reader = isolation_.NextReader();
  WaitForReaders([&] { return isolation_.HasReaderBefore(reader); },
                 [&] { return isolation_.ExpireReadersBefore(reader); });
  const std::lock_guard maintenance(maintenance_mutex_);
  NARTHEX_RETURN_IF_ERROR(MapFullChunksLocked());
  const auto oldest_open = static_cast<uint16_t>(OldestOpenEpoch());
  std::vector<uint64_t> dead;
  std::vector<std::pair<PairId, uint64_t>> dead_postings;
  dead.reserve(series.size());
  std::vector<WalTombstone> stones;
  std::string record;
  Status logged;
  size_t next = 0;
  // The log says that a series is gone before anybody can make one of the same labels again: a
  // replay gives one slot to both, and would drop what came after.
  InIndexHolds([&] {
    stones.clear();
    for (const size_t end = std::min(next + kEvictionsPerStep, series.size()); next < end; ++next) {
      bool keep = false;
      if (!ReleaseStale(series[next], selection.last_ms[next], oldest_open, &keep) || keep) {
        continue;
      }
      const size_t before = dead.size();
      RemoveIfDead(series[next].slot, oldest_open, &dead, &dead_postings);
      for (size_t i = before; i < dead.size(); ++i) {
        stones.push_back({dead[i], INT64_MIN, INT64_MAX});
      }
    }
    if (!stones.empty() && options_.wal != nullptr) {
      record.clear();
      EncodeTombstones(stones, &record);
      logged = options_.wal->Log(record);
    }
    return logged.ok() && next < series.size();
  });
  ForgetDead(dead, std::move(dead_postings), max_time_ms());
  // A replay of what could not be logged brings series back that blocks hold, too: no harm.
  NARTHEX_RETURN_IF_ERROR(std::move(logged));
  return dead.size();
}

void Head::RemoveIfDead(SlotId slot, uint16_t oldest_open, std::vector<uint64_t>* dead,
                        std::vector<std::pair<PairId, uint64_t>>* dead_postings) {
  Slab& slab = store_.slab(slot);
  const uint16_t index = SeriesStore::IndexOf(slot);
  uint64_t ref;
  {
    const std::lock_guard lock(slab.mutex);
    SeriesHot& hot = slab.hot[index];
    ref = slab.cold[index].ref;
    if (ref == 0 || hot.encoding != ChunkEncoding::kNone || hot.mapped != kNoSlab ||
        (hot.flags & kHasOutOfOrder) || static_cast<int16_t>(hot.touch_epoch - oldest_open) >= 0) {
      return;
    }
    // Cut and appended again since the look at it.
    if (std::any_of(slab.pending.begin(), slab.pending.end(),
                    [&](const PendingChunk& chunk) { return chunk.index == index; })) {
      return;
    }
    if (hot.flags & kStale) counters_.stale_series.fetch_sub(1, std::memory_order_relaxed);
    if (hot.flags & kHistogramLast) {
      counters_.histogram_series.fetch_sub(1, std::memory_order_relaxed);
      const auto found = slab.histograms.find(index);
      counters_.histogram_buckets.fetch_sub(static_cast<int64_t>(found->second->BucketCount()),
                                            std::memory_order_relaxed);
    }
    slab.histograms.erase(index);
    slab.older_commits.erase(index);
    slab.exemplar_times.erase(index);
  }
  const uint64_t hash = store_.LabelsOf(index_, slot).Hash();
  dead->push_back(ref);
  for (const PairId pair : store_.PairsOf(slot)) dead_postings->emplace_back(pair, ref);
  if (const auto found = aliases_.find(ref); found != aliases_.end()) {
    for (const uint64_t alias : found->second) {
      store_.RemoveAlias(alias);
      dead->push_back(alias);
    }
    aliases_.erase(found);
  }
  store_.Remove(slot, hash);
}

Status Head::TruncateWal(int64_t mint_ms) {
  const std::lock_guard maintenance(maintenance_mutex_);
  Wal* wal = options_.wal;
  if (wal == nullptr || mint_ms <= last_wal_truncation_ms_) return {};
  const int64_t start = MonotonicNanos();
  last_wal_truncation_ms_ = mint_ms;
  counters_.wal_truncations.fetch_add(1, std::memory_order_relaxed);
  const Status status = TruncateWalLocked(mint_ms);
  if (!status.ok()) counters_.wal_truncations_failed.fetch_add(1, std::memory_order_relaxed);
  counters_.wal_truncate_count.fetch_add(1, std::memory_order_relaxed);
  counters_.wal_truncate_nanos.fetch_add(static_cast<uint64_t>(MonotonicNanos() - start),
                                         std::memory_order_relaxed);
  return status;
}

Status Head::TruncateWalLocked(int64_t mint_ms) {
  const int64_t start = MonotonicNanos();
  Wal* wal = options_.wal;
  FileSystem& files = *options_.file_system;
  NARTHEX_TRY(const std::vector<WalSegment> segments, ListWalSegments(files, wal->directory()));
  // A new segment, so that a quiet database does not keep more log than it needs.
  NARTHEX_RETURN_IF_ERROR(wal->NextSegment().status());
  if (segments.empty()) return {};
  const int first = segments.front().index;
  int last = segments.back().index - 1;  // Never the one that was just written to.
  if (last < 0) return {};
  // The older two thirds hold mostly what blocks hold by now.
  last = first + (last - first) * 2 / 3;
  if (last <= first) return {};

  counters_.checkpoints_created.fetch_add(1, std::memory_order_relaxed);
  HashMap<uint64_t, int64_t> expiry;
  {
    const std::lock_guard lock(expiry_mutex_);
    expiry = wal_expiry_;
  }
  CheckpointOptions options;
  options.first_segment = first;
  options.last_segment = last;
  options.min_ms = mint_ms;
  options.format = options_.start_timestamp_storage ? SampleFormat::kV2 : SampleFormat::kV1;
  // A series seen here once stays wanted: the answer for one reference must not change.
  options.keep = [&](uint64_t ref) {
    const std::shared_lock lock(index_mutex_);
    const SlotId slot = store_.FindRef(ref);
    if (slot != kNoSeries && store_.cold(slot).ref == ref) return true;
    const auto until = expiry.find(ref);
    return until != expiry.end() && until->second >= mint_ms;
  };
  if (Result<CheckpointStats> created = CreateCheckpoint(files, *wal, options); !created.ok()) {
    counters_.checkpoints_failed.fetch_add(1, std::memory_order_relaxed);
    if (created.status().code() == ErrorCode::kCorruption) {
      counters_.wal_corruptions.fetch_add(1, std::memory_order_relaxed);
    }
    return std::move(created).status().WithPrefix("create checkpoint: ");
  }
  if (const Status truncated = wal->Truncate(last + 1); !truncated.ok()) {
    // The checkpoint stands for them; the next one tries again.
    LOG_ERROR("truncating segments failed", {"err", truncated.message()});
  }
  {
    const std::lock_guard lock(expiry_mutex_);
    erase_if(wal_expiry_, [&](const auto& entry) { return entry.second < mint_ms; });
  }
  counters_.checkpoints_deleted.fetch_add(1, std::memory_order_relaxed);
  if (const Status deleted = DeleteCheckpoints(files, wal->directory(), last); !deleted.ok()) {
    counters_.checkpoint_deletions_failed.fetch_add(1, std::memory_order_relaxed);
    LOG_ERROR("delete old checkpoints", {"err", deleted.message()});
  }
  LOG_INFO("WAL checkpoint complete", {"first", first}, {"last", last},
           {"duration", FormatGoDuration(MonotonicNanos() - start)});
  return {};
}

}  // namespace narthex::tsdb
