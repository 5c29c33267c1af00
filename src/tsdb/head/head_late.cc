// The head's part in samples out of order: taking them, writing them to files, handing them to
// compaction.
#include <algorithm>
#include <chrono>
#include <iterator>
#include <thread>
#include <utility>

#include "tsdb/head/head.h"
#include "tsdb/head/out_of_order.h"
#include "util/log.h"

namespace narthex::tsdb {
Result<std::vector<uint64_t>> Head::MapLateSamples(Slab& slab, uint16_t index, uint64_t ref) {
  OutOfOrderSeries& late = *slab.out_of_order.find(index)->second;
  std::vector<uint64_t> refs;
  const ChunkRules chunk_rules = rules();
  NARTHEX_TRY(const std::vector<EncodedChunk> chunks,
              EncodeLate(late.open, chunk_rules.xor2, chunk_rules.histogram_st));
  std::vector<MappedChunk> written;
  for (const EncodedChunk& chunk : chunks) {
    NARTHEX_TRY(const uint64_t chunk_ref,
                head_chunks_->Write(ref, chunk.min_ms, chunk.max_ms, chunk.encoding,
                                    /*is_out_of_order=*/true, chunk.bytes));
    refs.push_back(chunk_ref);
    written.push_back({chunk_ref, chunk.min_ms, chunk.max_ms,
                       static_cast<uint16_t>(ChunkSampleCount(chunk.encoding, chunk.bytes)),
                       chunk.encoding});
  }
  late.mapped.insert(late.mapped.end(), written.begin(), written.end());
  late.open.clear();
  return refs;
}

Result<bool> Head::AppendLate(Slab& slab, uint16_t index, uint64_t ref, OutOfOrderSample sample,
                              WblBatch* wbl) {
  const int64_t t = sample.timestamp_ms;
  std::unique_ptr<OutOfOrderSeries>& entry = slab.out_of_order[index];
  const bool first = entry == nullptr;
  if (first) {
    entry = std::make_unique<OutOfOrderSeries>();
    slab.hot[index].flags |= kHasOutOfOrder;
  }
  if (entry->open.size() >= kLateSamplesMax && head_chunks_ != nullptr) {
    const Result<std::vector<uint64_t>> refs = MapLateSamples(slab, index, ref);
    if (refs.ok()) {
      if (wbl != nullptr) wbl->AddMarkers(ref, *refs);
      counters_.chunks_created.fetch_add(1, std::memory_order_relaxed);
    } else if (entry->open.size() >= kLateSamplesBound) {
      return refs.status();
    }  // Else a full disk: they stay in memory, and the next sample tries again.
  } else if (first) {
    // Not when all its samples went into files just now: if those do not reach the disk, the log's
    // are needed, and this marker would tell replay to forget them.
    if (wbl != nullptr) wbl->AddMarkers(ref, {});
    counters_.chunks_created.fetch_add(1, std::memory_order_relaxed);
  }
  if (!InsertLate(std::move(sample), &entry->open)) return false;
  int64_t seen = min_late_ms_.load();
  while (t < seen && !min_late_ms_.compare_exchange_weak(seen, t)) {
  }
  seen = max_late_ms_.load();
  while (t > seen && !max_late_ms_.compare_exchange_weak(seen, t)) {
  }
  return true;
}

Status Head::LogLate(std::vector<std::string> records) {
  Wal* wbl = wbl_.load();
  if (wbl == nullptr) return {};
  const std::lock_guard lock(late_log_mutex_);
  // As many as there are late samples in memory: those bound it.
  late_unlogged_.insert(late_unlogged_.end(), std::make_move_iterator(records.begin()),
                        std::make_move_iterator(records.end()));
  if (late_unlogged_.empty()) return {};
  const std::vector<std::string_view> views(late_unlogged_.begin(), late_unlogged_.end());
  NARTHEX_RETURN_IF_ERROR(wbl->Log(views));
  late_unlogged_.clear();
  return {};
}

Result<Head::LateSnapshot> Head::PrepareLateCompaction() {
  const std::lock_guard maintenance(maintenance_mutex_);
  LateSnapshot snapshot;
  if (Wal* wbl = wbl_.load(); wbl != nullptr) {
    NARTHEX_RETURN_IF_ERROR(LogLate({}));
    // What is logged from here on belongs to samples that this compaction does not take.
    NARTHEX_TRY(snapshot.wbl_segment, wbl->NextSegment());
  }
  WblBatch markers(LateFormat());
  for (uint32_t number = 0; number < store_.slab_count(); ++number) {
    Slab& slab = store_.slab_at(number);
    const std::lock_guard lock(slab.mutex);
    for (auto& [index, late] : slab.out_of_order) {
      if (!late->open.empty() && head_chunks_ != nullptr) {
        const uint64_t ref = slab.cold[index].ref;
        NARTHEX_TRY(const std::vector<uint64_t> refs, MapLateSamples(slab, index, ref));
        markers.AddMarkers(ref, refs);
      }
      for (const MappedChunk& chunk : late->mapped) {
        snapshot.min_ms = std::min(snapshot.min_ms, chunk.min_ms);
        snapshot.max_ms = std::max(snapshot.max_ms, chunk.max_ms);
        snapshot.last_chunk = std::max(snapshot.last_chunk, chunk.file_ref);
      }
    }
  }
  NARTHEX_RETURN_IF_ERROR(LogLate(markers.Take()));
  return snapshot;
}

Status Head::RewriteLateLog() {
  Wal* wbl = wbl_.load();
  if (wbl == nullptr || !late_log_stale_) return {};
  const std::lock_guard maintenance(maintenance_mutex_);
  NARTHEX_TRY(const int segment, wbl->NextSegment());
  WblBatch batch(LateFormat());
  for (uint32_t number = 0; number < store_.slab_count(); ++number) {
    Slab& slab = store_.slab_at(number);
    const std::lock_guard lock(slab.mutex);
    for (const auto& [index, late] : slab.out_of_order) {
      const uint64_t ref = slab.cold[index].ref;
      for (const OutOfOrderSample& s : late->open) {
        if (s.histogram != nullptr) {
          batch.Add(WalHistogram{ref, s.timestamp_ms, s.start_ms, *s.histogram});
        } else if (s.float_histogram != nullptr) {
          batch.Add(WalFloatHistogram{ref, s.timestamp_ms, s.start_ms, *s.float_histogram});
        } else {
          batch.Add(WalSample{ref, s.timestamp_ms, s.start_ms, s.value});
        }
      }
    }
  }
  NARTHEX_RETURN_IF_ERROR(LogLate(batch.Take()));
  NARTHEX_RETURN_IF_ERROR(wbl->Sync());
  // The old segments also held what stands in chunk files, and those may not be on the disk yet.
  FileSystem& files = *options_.file_system;
  const std::string folder = JoinPath(options_.directory, "chunks_head");
  NARTHEX_TRY(const std::vector<FileInfo> infos, files.List(folder));
  for (const FileInfo& info : infos) {
    NARTHEX_TRY(const auto file,
                files.OpenForWrite(JoinPath(folder, info.name), FileSystem::OpenMode::kExisting));
    NARTHEX_RETURN_IF_ERROR(file->Sync());
  }
  NARTHEX_RETURN_IF_ERROR(files.SyncDirectory(folder));
  late_log_stale_ = false;
  return wbl->Truncate(segment);
}

Status Head::TruncateLate(const LateSnapshot& snapshot) {
  if (snapshot.last_chunk != 0) {
    // Readers that were opened before the blocks were listed still need the chunks.
    const uint64_t reader = isolation_.NextReader();
    WaitForReaders([&] { return isolation_.HasReaderBefore(reader); },
                   [&] { return isolation_.ExpireReadersBefore(reader); });
  }
  const std::lock_guard maintenance(maintenance_mutex_);
  Status status;
  if (snapshot.last_chunk != 0) {
    late_dropped_until_ = std::max(late_dropped_until_, snapshot.last_chunk);
    status = CollectGarbage();
  }
  if (Wal* wbl = wbl_.load(); wbl != nullptr && status.ok()) {
    status = wbl->Truncate(snapshot.wbl_segment);
  }
  return status;
}

Status Head::ReadLateRange(const SortedSeries::Entry& entry, TimeRange range, uint64_t last_chunk,
                           RangeSeries* out) const {
  out->chunks.clear();
  out->deleted.clear();
  SeriesCopy copy;
  constexpr int64_t kNothingInOrder = INT64_MAX;
  if (!CopySeries(entry.slot, entry.ref, range, kNothingInOrder, nullptr, &copy)) return {};
  for (const ChunkCopy& chunk : copy.late_chunks) {
    if (chunk.file_ref > last_chunk) continue;
    std::shared_ptr<const void> owner;
    NARTHEX_TRY(const std::string_view bytes, ChunkBytes(chunk, &owner));
    out->chunks.push_back({chunk.min_ms, chunk.max_ms, chunk.encoding, std::string(bytes)});
  }
  if (out->chunks.empty()) return {};
  const std::shared_lock lock(index_mutex_);
  out->labels = store_.LabelsOf(index_, entry.slot);
  return {};
}

}  // namespace narthex::tsdb
