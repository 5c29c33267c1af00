#include "tsdb/head/head_replay.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "tsdb/head/intervals.h"
#include "tsdb/head/out_of_order.h"
#include "tsdb/wal/checkpoint.h"
#include "util/log.h"
#include "util/numbers.h"

namespace narthex::tsdb {
namespace {

constexpr std::pair<int64_t, int64_t> kEverything{INT64_MIN, INT64_MAX};

}  // namespace

// --- Records
// --------------------------------------------------------------------------------------

void HeadReplay::NoteAlias(uint64_t ref, int64_t t) {
  if (!aliases_.contains(ref)) return;
  int64_t& until = alias_expiry_.try_emplace(ref, t).first->second;
  until = std::max(until, t);
}

SlotId HeadReplay::SlotOf(uint64_t ref, int64_t t) {
  if (!aliases_.empty()) [[unlikely]]
    NoteAlias(ref, t);
  // Only the reader changes the tables while a replay runs.
  return head_.store_.FindRef(ref);
}

void HeadReplay::AttachMapped(SlotId slot, uint64_t ref, bool is_new) {
  const auto found = mapped_.find(ref);
  if (found == mapped_.end()) return;
  if (!is_new) {
    // A second incarnation of a series, with full chunks of its own. What the log held of the first
    // one was before them.
    Drain();
  }
  Slab& slab = head_.store_.slab(slot);
  const uint16_t index = SeriesStore::IndexOf(slot);
  const std::lock_guard lock(slab.mutex);
  SeriesHot& hot = slab.hot[index];
  std::vector<MappedChunk> list;
  ReadMappedChunks(head_.pool_, hot.mapped, &list);
  if (!is_new) {
    if (hot.encoding != ChunkEncoding::kNone) {
      DropOpenChunk(&head_.pool_, slab, index);
      head_.counters_.chunks_removed.fetch_add(1, std::memory_order_relaxed);
    }
    std::erase_if(slab.pending, [&](const PendingChunk& chunk) {
      if (chunk.index != index) return false;
      head_.pool_.Free(chunk.data);
      return true;
    });
    hot.xor_state.last_ms = INT64_MIN;
  }
  for (const MappedChunk& chunk : found->second) {
    const bool overlaps = std::any_of(list.begin(), list.end(), [&](const MappedChunk& other) {
      return other.min_ms <= chunk.max_ms && chunk.min_ms <= other.max_ms;
    });
    if (!overlaps) list.push_back(chunk);
  }
  std::sort(list.begin(), list.end(),
            [](const MappedChunk& a, const MappedChunk& b) { return a.min_ms < b.min_ms; });
  hot.mapped = StoreMappedChunks(&head_.pool_, hot.mapped, list);
  hot.flags |= kHasSamples;
  hot.xor_state.last_ms = list.back().max_ms;
  head_.counters_.chunks_created.fetch_add(found->second.size(), std::memory_order_relaxed);
  head_.WidenTimes(list.front().min_ms, list.back().max_ms);
  mapped_.erase(found);
}

SlotId HeadReplay::InsertSeries(uint64_t ref, uint64_t hash) {
  head_.counters_.series_created.fetch_add(1, std::memory_order_relaxed);
  return head_.store_.Insert(ref, hash, pairs_, kLogged);
}

SlotId HeadReplay::SlotForSeries(const LoadedSeries& series, bool* is_new) {
  LabelIndex& index = head_.index_;
  SeriesStore& store = head_.store_;
  pairs_.clear();
  if (!series.plain) {
    const Labels labels = DecodeWalLabels(series.labels);
    const uint64_t hash = labels.Hash();
    SlotId slot = store.FindLabels(index, labels, hash);
    *is_new = slot == kNoSeries;
    if (!*is_new) return slot;
    for (const LabelView& label : labels) {
      pairs_.push_back(index.Intern(label.name, label.value, kNoId));
    }
    return InsertSeries(series.ref, hash);
  }

  // Each visit gets the label and its bytes.
  const auto for_each_label = [&](auto visit) {
    const char* at = series.labels.data();
    size_t i = 0;
    for (unsigned left = static_cast<uint8_t>(*at++); left > 0; --left) {
      const char* const begin = at;
      const std::string_view name(at + 1, static_cast<uint8_t>(*at));
      at += 1 + name.size();
      const std::string_view value(at + 1, static_cast<uint8_t>(*at));
      at += 1 + value.size();
      if (!visit(i++, LabelView{name, value}, std::string_view(begin, at))) return false;
    }
    return true;
  };
  const SlotId known = store.FindHash(series.hash, [&](SlotId slot) {
    const std::span<const PairId> pairs = store.PairsOf(slot);
    return pairs.size() == static_cast<uint8_t>(series.labels[0]) &&
           for_each_label([&](size_t i, const LabelView& label, std::string_view) {
             return index.View(pairs[i]) == label;
           });
  });
  *is_new = known == kNoSeries;
  if (!*is_new) return known;
  for_each_label([&](size_t i, const LabelView& label, std::string_view bytes) {
    if (i == hints_.size()) hints_.push_back({});
    Hint& hint = hints_[i];
    if (hint.bytes != bytes) {
      hint.bytes = bytes;
      hint.pair = index.Intern(label.name, label.value, kNoId);
    }
    pairs_.push_back(hint.pair);
    return true;
  });
  return InsertSeries(series.ref, series.hash);
}

void HeadReplay::OnSeries(const LoadedRecord& record) {
  hints_.clear();  // What they name may be gone since the record before.
  const std::unique_lock lock(head_.index_mutex_);
  for (const LoadedSeries& s : record.series) OnOneSeries(s);
}

// With index_mutex_ held.
SlotId HeadReplay::OnOneSeries(const LoadedSeries& s) {
  if (head_.last_ref_.load(std::memory_order_relaxed) < s.ref) {
    head_.last_ref_.store(s.ref, std::memory_order_relaxed);
  }
  bool is_new = false;
  const SlotId slot = SlotForSeries(s, &is_new);
  if (!is_new) {
    if (const uint64_t known = head_.store_.cold(slot).ref; known != s.ref) {
      if (aliases_.emplace(s.ref, known).second) {
        head_.store_.AddAlias(s.ref, slot);
        head_.aliases_[known].push_back(s.ref);
      }
    }
  }
  if (!mapped_.empty()) AttachMapped(slot, s.ref, is_new);
  if (!mapped_late_.empty()) AttachLate(slot, s.ref);
  return slot;
}

// Two threads, of which each adds to its half of the pairs.
void HeadReplay::BuildPostings() {
  const std::unique_lock lock(head_.index_mutex_);
  const std::vector<uint64_t> refs = head_.store_.AllRefs();
  const auto build = [&](PairId half) {
    SeriesStore::RefCursor cursor(head_.store_);
    for (const uint64_t ref : refs) {
      for (const PairId pair : head_.store_.PairsOf(cursor.Find(ref))) {
        if ((pair & 1) == half) head_.index_.AddPosting(pair, ref);
      }
    }
  };
  std::thread other(build, 1);
  build(0);
  other.join();
  // Only eviction leaves pairs without series.
  if (evicted_) head_.index_.SweepUnused();
}

void HeadReplay::OnSamples(const LoadedRecord& record) {
  const int64_t min_valid = head_.min_valid_ms();
  SeriesStore::RefCursor cursor(head_.store_);
  for (const WalSample& s : record.samples) {
    if (s.timestamp_ms < min_valid) continue;
    if (!aliases_.empty()) [[unlikely]]
      NoteAlias(s.ref, s.timestamp_ms);
    const SlotId slot = cursor.Find(s.ref);
    if (slot == kNoSeries) [[unlikely]] {
      ++unknown_samples_;
      unknown_.emplace(s.ref, uint8_t{0});
      continue;
    }
    Applier& applier = ApplierOf(slot);
    Push(applier, Kind::kFloat);
    applier.filling->floats.push_back({s.timestamp_ms, s.start_ms, s.value, slot});
  }
}

template <typename H>
void HeadReplay::OnHistograms(std::vector<WalHistogramOf<H>>& samples) {
  const int64_t min_valid = head_.min_valid_ms();
  for (auto& s : samples) {
    if (s.timestamp_ms < min_valid) continue;
    const SlotId slot = SlotOf(s.ref, s.timestamp_ms);
    if (slot == kNoSeries) {
      ++unknown_histograms_;
      unknown_.emplace(s.ref, uint8_t{0});
      continue;
    }
    Applier& applier = ApplierOf(slot);
    if constexpr (std::is_same_v<H, Histogram>) {
      Push(applier, Kind::kHistogram);
      applier.filling->histograms.push_back(std::move(s));
      applier.filling->histogram_slots.push_back(slot);
    } else {
      Push(applier, Kind::kFloatHistogram);
      applier.filling->float_histograms.push_back(std::move(s));
      applier.filling->float_histogram_slots.push_back(slot);
    }
  }
}

Status HeadReplay::OnTombstones(std::string_view record) {
  std::vector<WalTombstone> stones;
  NARTHEX_RETURN_IF_ERROR(DecodeTombstones(record, &stones).WithPrefix("decode tombstones: "));
  for (const WalTombstone& stone : stones) {
    // The series record may be gone already: its number must not be given out again.
    if (head_.last_ref_.load(std::memory_order_relaxed) < stone.ref) {
      head_.last_ref_.store(stone.ref, std::memory_order_relaxed);
    }
    const bool whole_series =
        std::pair(stone.min_ms, stone.max_ms) == kEverything;  // It was evicted here.
    if (whole_series) {
      Drain();
      head_.EvictReplayed(stone.ref);
      evicted_ = true;
      aliases_.erase(stone.ref);
      continue;
    }
    if (stone.max_ms < head_.min_valid_ms()) continue;
    const SlotId slot = SlotOf(stone.ref, stone.max_ms);
    if (slot == kNoSeries) {
      ++unknown_tombstones_;
      unknown_.emplace(stone.ref, uint8_t{0});
      continue;
    }
    head_.AddTombstone(head_.store_.cold(slot).ref, {stone.min_ms, stone.max_ms});
  }
  return {};
}

Status HeadReplay::OnExemplars(std::string_view record) {
  std::vector<WalExemplar> exemplars;
  NARTHEX_RETURN_IF_ERROR(DecodeExemplars(record, &exemplars).WithPrefix("decode exemplars: "));
  for (const WalExemplar& e : exemplars) {
    if (e.timestamp_ms < head_.min_valid_ms()) continue;
    const SlotId slot = SlotOf(e.ref, e.timestamp_ms);
    if (slot == kNoSeries) {
      ++unknown_exemplars_;
      unknown_.emplace(e.ref, uint8_t{0});
      continue;
    }
    Exemplar exemplar;
    exemplar.labels = DecodeWalLabels(e.labels);
    exemplar.value = e.value;
    exemplar.timestamp_ms = e.timestamp_ms;
    exemplar.has_timestamp = true;
    const Status added = head_.exemplars_.Add(head_.store_.LabelsOf(head_.index_, slot), exemplar);
    if (added.ok()) {
      Slab& slab = head_.store_.slab(slot);
      const std::lock_guard lock(slab.mutex);
      int64_t& newest =
          slab.exemplar_times.try_emplace(SeriesStore::IndexOf(slot), INT64_MIN).first->second;
      newest = std::max(newest, e.timestamp_ms);
    } else if (added.code() == ErrorCode::kOutOfOrderExemplar) {
      LOG_WARN("Unexpected error when replaying WAL on exemplar record", {"err", added.message()});
    }
  }
  return {};
}

Status HeadReplay::OnMetadata(std::string_view record) {
  std::vector<WalMetadata> metadata;
  NARTHEX_RETURN_IF_ERROR(DecodeMetadata(record, &metadata).WithPrefix("decode metadata: "));
  for (const WalMetadata& m : metadata) {
    const SlotId slot = SlotOf(m.ref, INT64_MIN);
    if (slot == kNoSeries) {
      ++unknown_metadata_;
      unknown_.emplace(m.ref, uint8_t{0});
      continue;
    }
    const std::lock_guard lock(head_.metadata_mutex_);
    head_.metadata_[head_.store_.cold(slot).ref] =
        Metadata{m.type, std::string(m.unit), std::string(m.help)};
  }
  return {};
}

Status HeadReplay::Dispatch(LoadedRecord& record) {
  NARTHEX_RETURN_IF_ERROR(record.status);
  skipped_schemas_ += record.skipped_schemas;
  switch (record.type) {
    case RecordType::kSeries: OnSeries(record); break;
    case RecordType::kSamples:
    case RecordType::kSamplesV2: OnSamples(record); break;
    case RecordType::kHistogramSamples:
    case RecordType::kCustomBucketsHistogramSamples:
    case RecordType::kHistogramSamplesV2: OnHistograms<Histogram>(record.histograms); break;
    case RecordType::kFloatHistogramSamples:
    case RecordType::kCustomBucketsFloatHistogramSamples:
    case RecordType::kFloatHistogramSamplesV2:
      OnHistograms<FloatHistogram>(record.float_histograms);
      break;
    case RecordType::kTombstones: return OnTombstones(record.bytes);
    case RecordType::kExemplars: return OnExemplars(record.bytes);
    case RecordType::kMetadata: return OnMetadata(record.bytes);
    case RecordType::kMmapMarkers:
    case RecordType::kMinValidTime:
    case RecordType::kUnknown:
      break;  // Records of later versions are skipped, so that going back works.
  }
  return {};
}

Status HeadReplay::ReadSegments(WalReader& reader, std::optional<WalCorruption>* corruption) {
  ReplayLoader loader(&reader);
  while (LoadedRecord* const record = loader.Next()) {
    if (Status status = Dispatch(*record); !status.ok()) {
      corruption->emplace();
      (*corruption)->segment = record->segment;
      (*corruption)->offset = record->begin_offset;
      (*corruption)->reason = status.message();
      return status;
    }
    if (head_.pending_bytes_.load(std::memory_order_relaxed) > kReplayPendingBytesMax) {
      NARTHEX_RETURN_IF_ERROR(head_.MapFullChunksLocked());
    }
  }
  if (const WalCorruption* found = reader.corruption(); found != nullptr) *corruption = *found;
  return reader.status();
}

// --- Start-up
// -------------------------------------------------------------------------------------

Status HeadReplay::LoadMappedChunks() {
  mapped_.clear();
  mapped_late_.clear();
  const int64_t min_valid = head_.min_valid_ms();
  last_mapped_ref_ = 0;
  const auto visit = [&](const HeadChunkMeta& meta) -> Status {
    last_mapped_ref_ = std::max(last_mapped_ref_, meta.chunk_ref);
    if (!IsValidChunkEncoding(meta.encoding)) return {};
    const MappedChunk chunk{meta.chunk_ref, meta.min_ms, meta.max_ms,
                            static_cast<uint16_t>(meta.sample_count), meta.encoding};
    if (meta.is_out_of_order) {
      mapped_late_[meta.series_ref].push_back(chunk);
      return {};
    }
    if (meta.max_ms < min_valid) return {};
    std::vector<MappedChunk>& list = mapped_[meta.series_ref];
    if (!list.empty() && list.back().max_ms >= meta.min_ms) {
      return MakeError(ErrorCode::kCorruption,
                       "out of sequence m-mapped chunk for series ref {}, last chunk: [{}, {}], "
                       "new: [{}, {}]",
                       meta.series_ref, list.back().min_ms, list.back().max_ms, meta.min_ms,
                       meta.max_ms);
    }
    list.push_back(chunk);
    return {};
  };
  std::optional<HeadChunkCorruption> damage;
  Status status = head_.head_chunks_->ForEach(visit, &damage);
  if (status.ok()) return {};
  if (status.code() != ErrorCode::kCorruption) return status;
  // The WAL still has what stood in the damaged file and behind it.
  head_.counters_.mapped_chunk_corruptions.fetch_add(1, std::memory_order_relaxed);
  mapped_damaged_ = true;
  LOG_ERROR("Loading on-disk chunks failed", {"err", status.message()});
  LOG_INFO("Deleting mmapped chunk files");
  NARTHEX_RETURN_IF_ERROR(head_.head_chunks_->DeleteFrom(damage.has_value() ? damage->file : 1));
  mapped_.clear();
  mapped_late_.clear();
  last_mapped_ref_ = 0;
  damage.reset();
  status = head_.head_chunks_->ForEach(visit, &damage);
  if (status.ok()) return {};
  LOG_ERROR("Loading on-disk chunks failed, discarding chunk files completely",
            {"err", status.message()});
  mapped_.clear();
  mapped_late_.clear();
  last_mapped_ref_ = 0;
  return head_.head_chunks_->DeleteFrom(1);
}

Status HeadReplay::Run(std::optional<WalCorruption>* corruption) {
  const std::string directory = head_.options_.wal != nullptr ? head_.options_.wal->directory()
                                                              : head_.options_.wal_directory;
  if (directory.empty()) {
    LOG_INFO("WAL not found");
    return {};
  }
  FileSystem& files = *head_.options_.file_system;
  const int64_t start = MonotonicNanos();
  LOG_INFO("Replaying on-disk memory mappable chunks if any");
  NARTHEX_RETURN_IF_ERROR(LoadMappedChunks());
  const int64_t mapped_at = MonotonicNanos();
  LOG_INFO("On-disk memory mappable chunks replay completed",
           {"duration", FormatGoDuration(mapped_at - start)});

  NARTHEX_TRY(const std::vector<WalSegment> segments, ListWalSegments(files, directory));
  const int last = segments.empty() ? -1 : segments.back().index;
  std::optional<WalPosition> snapshot;
  // What stood in damaged files is only in the log.
  if (head_.options_.load_snapshot && !mapped_damaged_) {
    NARTHEX_RETURN_IF_ERROR(LoadSnapshot(last, &snapshot));
  }
  const int64_t snapshot_at = MonotonicNanos();

  LOG_INFO("Replaying WAL, this may take a while");
  NARTHEX_TRY(const std::optional<CheckpointInfo> checkpoint, FindLastCheckpoint(files, directory));
  int first = segments.empty() ? 0 : segments.front().index;
  const auto progress = [&](int64_t current) {
    if (head_.options_.on_replay_progress) head_.options_.on_replay_progress(first, last, current);
  };
  if (checkpoint.has_value() && (!snapshot.has_value() || checkpoint->index >= snapshot->segment)) {
    first = checkpoint->index;
    progress(first);
    NARTHEX_TRY(WalReader reader, OpenWalReader(files, checkpoint->path));
    std::optional<WalCorruption> damage;
    if (Status status = ReadSegments(reader, &damage); !status.ok()) {
      // Not repaired by dropping: the segments that it stood for are gone, and what follows it is
      // healthy.
      return status.WithPrefix("backfill checkpoint: ");
    }
    ++first;
    LOG_INFO("WAL checkpoint loaded");
  }
  const int64_t checkpoint_at = MonotonicNanos();
  if (snapshot.has_value()) first = std::max(first, snapshot->segment);
  Status status;
  for (const WalSegment& segment : segments) {
    if (segment.index < first) continue;
    const int64_t segment_start = MonotonicNanos();
    const bool in_snapshot = snapshot.has_value() && segment.index == snapshot->segment;
    WalReader reader(files, {segment}, in_snapshot ? snapshot->offset : 0);
    std::optional<WalCorruption> damage;
    status = ReadSegments(reader, &damage);
    if (!status.ok()) {
      if (damage.has_value()) {
        damage->directory = directory;
        damage->segment = segment.index;
        *corruption = *damage;
      }
      break;
    }
    LOG_INFO("WAL segment loaded", {"segment", segment.index}, {"maxSegment", last},
             {"duration", FormatGoDuration(MonotonicNanos() - segment_start)});
    progress(segment.index);
  }
  Drain();
  Stop();
  BuildPostings();
  const int64_t wal_at = MonotonicNanos();
  if (status.ok()) {
    status = ReadWbl(corruption);
  } else if (corruption->has_value()) {
    // One repair at a time; what the WBL holds needs no more than the series that were found.
    std::optional<WalCorruption> ignored;
    static_cast<void>(ReadWbl(&ignored));
  }
  {
    const std::lock_guard lock(head_.expiry_mutex_);
    for (const auto& [ref, until] : alias_expiry_) head_.wal_expiry_[ref] = until;
  }
  LogUnknown();
  if (skipped_schemas_ > 0) {
    LOG_WARN("Samples of histograms with unknown schemas were skipped",
             {"samples", skipped_schemas_});
  }
  const int64_t end = MonotonicNanos();
  head_.counters_.replay_nanos.store(end - start, std::memory_order_relaxed);
  if (status.ok()) {
    LOG_INFO("WAL replay completed",
             {"checkpoint_replay_duration", FormatGoDuration(checkpoint_at - snapshot_at)},
             {"wal_replay_duration", FormatGoDuration(wal_at - checkpoint_at)},
             {"wbl_replay_duration", FormatGoDuration(end - wal_at)},
             {"chunk_snapshot_load_duration", FormatGoDuration(snapshot_at - mapped_at)},
             {"mmap_chunk_replay_duration", FormatGoDuration(mapped_at - start)},
             {"total_replay_duration", FormatGoDuration(end - start)});
  }
  return status;
}

Status Head::Replay(int64_t min_valid_ms, std::optional<WalCorruption>* corruption) {
  const std::lock_guard maintenance(maintenance_mutex_);
  set_min_valid_ms(min_valid_ms);
  NARTHEX_TRY(head_chunks_, HeadChunkFiles::Open(*options_.file_system,
                                                 JoinPath(options_.directory, "chunks_head")));
  Status status;
  {
    HeadReplay replay(this);
    status = replay.Run(corruption);
  }
  if (!status.ok() && !corruption->has_value()) return status;
  // Mapped chunks may reach back behind what blocks hold already.
  if (initialized() && min_time_ms() < min_valid_ms) min_time_ms_.store(min_valid_ms);
  readable_from_ms_.store(min_valid_ms, std::memory_order_release);
  if (Status mapped = MapFullChunksLocked(); !mapped.ok()) return mapped;
  if (Status collected = CollectGarbage(); !collected.ok()) return collected;
  return status;
}

void Head::EvictReplayed(uint64_t ref) {
  const std::unique_lock lock(index_mutex_);
  const SlotId slot = store_.FindRef(ref);
  if (slot == kNoSeries) return;
  Slab& slab = store_.slab(slot);
  const uint16_t index = SeriesStore::IndexOf(slot);
  const uint64_t main_ref = store_.cold(slot).ref;
  {
    const std::lock_guard slab_lock(slab.mutex);
    SeriesHot& hot = slab.hot[index];
    DropOpenChunk(&pool_, slab, index);
    pool_.Free(hot.mapped);
    hot.mapped = kNoSlab;
    std::erase_if(slab.pending, [&](const PendingChunk& chunk) {
      if (chunk.index != index) return false;
      pool_.Free(chunk.data);
      return true;
    });
    // A series with late samples is not evicted: what the chunk files still have stands in blocks.
    if (hot.flags & kHasOutOfOrder) {
      slab.out_of_order.erase(index);
      hot.flags = static_cast<uint8_t>(hot.flags & ~kHasOutOfOrder);
    }
  }
  std::vector<uint64_t> dead;
  std::vector<std::pair<PairId, uint64_t>> dead_postings;
  RemoveIfDead(slot, /*oldest_open=*/1, &dead, &dead_postings);
  // Late postings of the series may still wait; they must not outlive it.
  index_.MergeLatePostings();
  for (const auto& [pair, gone] : dead_postings) {
    index_.RemovePostings(pair, std::span<const uint64_t>(&gone, 1));
  }
  index_.Sweep(SIZE_MAX);
  {
    const std::lock_guard tombstones_lock(tombstones_mutex_);
    tombstones_.erase(main_ref);
  }
  counters_.series_removed.fetch_add(1, std::memory_order_relaxed);
}

void Head::AddTombstone(uint64_t ref, std::pair<int64_t, int64_t> interval) {
  const std::lock_guard lock(tombstones_mutex_);
  AddInterval(interval, &tombstones_[ref]);
}

void HeadReplay::LogUnknown() {
  if (unknown_.empty()) return;
  LOG_WARN("Unknown series references", {"series", unknown_.size()}, {"samples", unknown_samples_},
           {"exemplars", unknown_exemplars_}, {"histograms", unknown_histograms_},
           {"metadata", unknown_metadata_}, {"tombstones", unknown_tombstones_});
  HeadCounters& c = head_.counters_;
  c.unknown_refs_series += unknown_.size();
  c.unknown_refs_samples += unknown_samples_;
  c.unknown_refs_histograms += unknown_histograms_;
  c.unknown_refs_exemplars += unknown_exemplars_;
  c.unknown_refs_metadata += unknown_metadata_;
  c.unknown_refs_tombstones += unknown_tombstones_;
  unknown_.clear();
}

}  // namespace narthex::tsdb
