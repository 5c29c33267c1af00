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

constexpr size_t kBatchSamples = 8192;
constexpr size_t kBatchesQueued = 16;
// Full chunks go to files while the log is read, so that a long log fits into memory.
constexpr uint64_t kPendingBytesMax = 64 << 20;
constexpr std::pair<int64_t, int64_t> kEverything{INT64_MIN, INT64_MAX};

}  // namespace

void HeadReplay::Batch::Clear() {
  floats.clear();
  float_slots.clear();
  histograms.clear();
  histogram_slots.clear();
  float_histograms.clear();
  float_histogram_slots.clear();
}

HeadReplay::HeadReplay(Head* head) : head_(*head) {
  const size_t count = std::max<size_t>(1, head_.options_.replay_threads);
  for (size_t i = 0; i < count; ++i) {
    appliers_.push_back(std::make_unique<Applier>());
    Applier* applier = appliers_.back().get();
    applier->filling = std::make_unique<Batch>();
    applier->thread = std::thread([this, applier] { Apply(applier); });
  }
}

HeadReplay::~HeadReplay() {
  Stop();
}

void HeadReplay::Stop() {
  for (auto& applier : appliers_) {
    {
      const std::lock_guard lock(applier->mutex);
      applier->stopping = true;
    }
    applier->changed.notify_all();
  }
  for (auto& applier : appliers_) {
    if (applier->thread.joinable()) applier->thread.join();
  }
}

// --- Appliers
// -------------------------------------------------------------------------------------

void HeadReplay::Submit(Applier& applier) {
  if (applier.filling->size() == 0) return;
  std::unique_lock lock(applier.mutex);
  applier.changed.wait(lock, [&] { return applier.queue.size() < kBatchesQueued; });
  applier.queue.push_back(std::move(applier.filling));
  if (applier.spare.empty()) {
    applier.filling = std::make_unique<Batch>();
  } else {
    applier.filling = std::move(applier.spare.back());
    applier.spare.pop_back();
  }
  lock.unlock();
  applier.changed.notify_all();
}

void HeadReplay::Drain() {
  for (auto& applier : appliers_) Submit(*applier);
  for (auto& applier : appliers_) {
    std::unique_lock lock(applier->mutex);
    applier->changed.wait(lock, [&] { return applier->queue.empty() && !applier->busy; });
  }
}

void HeadReplay::Apply(Applier* applier) {
  SeriesAppender appender(&head_.pool_, head_.rules(), Isolation::Commit{});
  for (;;) {
    std::unique_ptr<Batch> batch;
    {
      std::unique_lock lock(applier->mutex);
      applier->changed.wait(lock, [&] { return applier->stopping || !applier->queue.empty(); });
      if (applier->queue.empty()) return;
      batch = std::move(applier->queue.front());
      applier->queue.pop_front();
      applier->busy = true;
    }
    applier->changed.notify_all();
    ApplyBatch(*batch, appender);
    head_.AddTally(appender.TakeTally());
    batch->Clear();
    {
      const std::lock_guard lock(applier->mutex);
      applier->busy = false;
      applier->spare.push_back(std::move(batch));
    }
    applier->changed.notify_all();
  }
}

void HeadReplay::ApplyBatch(const Batch& batch, SeriesAppender& appender) {
  int64_t min_ms = INT64_MAX;
  int64_t max_ms = INT64_MIN;
  Slab* slab = nullptr;
  std::unique_lock<std::mutex> lock;
  const auto enter = [&](SlotId slot) {
    Slab* wanted = &head_.store_.slab(slot);
    if (wanted == slab) return;
    lock = {};
    slab = wanted;
    lock = std::unique_lock(slab->mutex);
  };
  const auto note = [&](int64_t t) {
    min_ms = std::min(min_ms, t);
    max_ms = std::max(max_ms, t);
  };
  for (size_t i = 0; i < batch.floats.size(); ++i) {
    const WalSample& s = batch.floats[i];
    enter(batch.float_slots[i]);
    const uint16_t index = SeriesStore::IndexOf(batch.float_slots[i]);
    const SeriesHot& hot = slab->hot[index];
    const uint64_t ref = slab->cold[index].ref;
    if (IsStaleNan(s.value)) [[unlikely]] {
      // As at commit: a histogram series goes stale with a histogram. Its newest value may stand
      // in a file only.
      Kind newest = Kind::kFloat;
      if (hot.flags & kHistogramLast) {
        newest = slab->histograms.find(index)->second->last_integer != nullptr
                     ? Kind::kHistogram
                     : Kind::kFloatHistogram;
      } else if (hot.encoding == ChunkEncoding::kNone && hot.mapped != kNoSlab) {
        std::vector<MappedChunk> mapped;
        ReadMappedChunks(head_.pool_, hot.mapped, &mapped);
        const ValueKind kind = KindOf(mapped.back().encoding);
        if (kind == ValueKind::kHistogram) newest = Kind::kHistogram;
        if (kind == ValueKind::kFloatHistogram) newest = Kind::kFloatHistogram;
      }
      if (newest == Kind::kHistogram) {
        Histogram stale;
        stale.sum = s.value;
        if (appender.AppendHistogram(*slab, index, ref, s.start_ms, s.timestamp_ms, stale)) {
          note(s.timestamp_ms);
        }
        continue;
      }
      if (newest == Kind::kFloatHistogram) {
        FloatHistogram stale;
        stale.sum = s.value;
        if (appender.AppendHistogram(*slab, index, ref, s.start_ms, s.timestamp_ms, stale)) {
          note(s.timestamp_ms);
        }
        continue;
      }
    }
    if (appender.AppendFloat(*slab, index, ref, s.start_ms, s.timestamp_ms, s.value)) {
      note(s.timestamp_ms);
    }
  }
  const auto apply = [&](const auto& samples, const std::vector<SlotId>& slots) {
    for (size_t i = 0; i < samples.size(); ++i) {
      const auto& s = samples[i];
      enter(slots[i]);
      const uint16_t index = SeriesStore::IndexOf(slots[i]);
      if (appender.AppendHistogram(*slab, index, slab->cold[index].ref, s.start_ms, s.timestamp_ms,
                                   s.histogram)) {
        note(s.timestamp_ms);
      }
    }
  };
  apply(batch.histograms, batch.histogram_slots);
  apply(batch.float_histograms, batch.float_histogram_slots);
  lock = {};
  if (min_ms <= max_ms) head_.WidenTimes(min_ms, max_ms);
}

// A batch applies its kinds one after the other, so a series must not change kind within it.
void HeadReplay::Push(Applier& applier, Kind kind) {
  const Batch& batch = *applier.filling;
  const bool other_kind = (kind != Kind::kFloat && !batch.floats.empty()) ||
                          (kind != Kind::kHistogram && !batch.histograms.empty()) ||
                          (kind != Kind::kFloatHistogram && !batch.float_histograms.empty());
  if (other_kind || batch.size() >= kBatchSamples) Submit(applier);
}

// --- Records
// --------------------------------------------------------------------------------------

SlotId HeadReplay::SlotOf(uint64_t ref, int64_t t) {
  if (!aliases_.empty()) [[unlikely]] {
    if (aliases_.contains(ref)) {
      int64_t& until = alias_expiry_.try_emplace(ref, t).first->second;
      until = std::max(until, t);
    }
  }
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

Status HeadReplay::OnSeries(std::string_view record) {
  series_.clear();
  NARTHEX_RETURN_IF_ERROR(DecodeSeries(record, &series_).WithPrefix("decode series: "));
  for (const WalSeries& s : series_) {
    const Labels labels = DecodeWalLabels(s.labels);
    const uint64_t hash = labels.Hash();
    if (head_.last_ref_.load(std::memory_order_relaxed) < s.ref) {
      head_.last_ref_.store(s.ref, std::memory_order_relaxed);
    }
    SlotId slot;
    bool is_new = false;
    {
      const std::unique_lock lock(head_.index_mutex_);
      slot = head_.store_.FindLabels(head_.index_, labels, hash);
      if (slot == kNoSeries) {
        is_new = true;
        slot = head_.CreateLocked(s.ref, labels, hash);
      } else if (const uint64_t known = head_.store_.cold(slot).ref; known != s.ref) {
        if (aliases_.emplace(s.ref, known).second) {
          head_.store_.AddAlias(s.ref, slot);
          head_.aliases_[known].push_back(s.ref);
        }
      }
    }
    AttachMapped(slot, s.ref, is_new);
    AttachLate(slot, s.ref);
    if (is_new) {
      Slab& slab = head_.store_.slab(slot);
      const std::lock_guard lock(slab.mutex);
      slab.hot[SeriesStore::IndexOf(slot)].flags |= kLogged;
    }
  }
  return {};
}

Status HeadReplay::OnSamples(std::string_view record) {
  samples_.clear();
  NARTHEX_RETURN_IF_ERROR(DecodeSamples(record, &samples_).WithPrefix("decode samples: "));
  const int64_t min_valid = head_.min_valid_ms();
  for (const WalSample& s : samples_) {
    if (s.timestamp_ms < min_valid) continue;
    const SlotId slot = SlotOf(s.ref, s.timestamp_ms);
    if (slot == kNoSeries) [[unlikely]] {
      ++unknown_samples_;
      unknown_.emplace(s.ref, uint8_t{0});
      continue;
    }
    Applier& applier = ApplierOf(slot);
    Push(applier, Kind::kFloat);
    applier.filling->floats.push_back(s);
    applier.filling->float_slots.push_back(slot);
  }
  return {};
}

template <typename H>
Status HeadReplay::OnHistograms(std::string_view record) {
  constexpr bool kInteger = std::is_same_v<H, Histogram>;
  auto& decoded = [this]() -> auto& {
    if constexpr (kInteger) {
      return histograms_;
    } else {
      return float_histograms_;
    }
  }();
  decoded.clear();
  NARTHEX_RETURN_IF_ERROR(
      DecodeHistogramSamples(record, &decoded, &skipped_schemas_)
          .WithPrefix(kInteger ? "decode histograms: " : "decode float histograms: "));
  const int64_t min_valid = head_.min_valid_ms();
  for (auto& s : decoded) {
    if (s.timestamp_ms < min_valid) continue;
    const SlotId slot = SlotOf(s.ref, s.timestamp_ms);
    if (slot == kNoSeries) {
      ++unknown_histograms_;
      unknown_.emplace(s.ref, uint8_t{0});
      continue;
    }
    Applier& applier = ApplierOf(slot);
    if constexpr (kInteger) {
      Push(applier, Kind::kHistogram);
      applier.filling->histograms.push_back(std::move(s));
      applier.filling->histogram_slots.push_back(slot);
    } else {
      Push(applier, Kind::kFloatHistogram);
      applier.filling->float_histograms.push_back(std::move(s));
      applier.filling->float_histogram_slots.push_back(slot);
    }
  }
  return {};
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

Status HeadReplay::Dispatch(std::string_view record) {
  switch (TypeOfRecord(record)) {
    case RecordType::kSeries: return OnSeries(record);
    case RecordType::kSamples:
    case RecordType::kSamplesV2: return OnSamples(record);
    case RecordType::kHistogramSamples:
    case RecordType::kCustomBucketsHistogramSamples:
    case RecordType::kHistogramSamplesV2: return OnHistograms<Histogram>(record);
    case RecordType::kFloatHistogramSamples:
    case RecordType::kCustomBucketsFloatHistogramSamples:
    case RecordType::kFloatHistogramSamplesV2: return OnHistograms<FloatHistogram>(record);
    case RecordType::kTombstones: return OnTombstones(record);
    case RecordType::kExemplars: return OnExemplars(record);
    case RecordType::kMetadata: return OnMetadata(record);
    case RecordType::kMmapMarkers:
    case RecordType::kMinValidTime:
    case RecordType::kUnknown:
      break;  // Records of later versions are skipped, so that going back works.
  }
  return {};
}

Status HeadReplay::ReadSegments(WalReader& reader, std::optional<WalCorruption>* corruption) {
  int segment = -1;
  uint64_t before = 0;
  while (reader.Next()) {
    if (reader.segment() != segment) {
      segment = reader.segment();
      before = 0;
    }
    if (Status status = Dispatch(reader.record()); !status.ok()) {
      corruption->emplace();
      (*corruption)->segment = segment;
      (*corruption)->offset = before;
      (*corruption)->reason = status.message();
      return status;
    }
    before = reader.offset();
    if (head_.pending_bytes_.load(std::memory_order_relaxed) > kPendingBytesMax) {
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

  LOG_INFO("Replaying WAL, this may take a while");
  NARTHEX_TRY(const std::optional<CheckpointInfo> checkpoint, FindLastCheckpoint(files, directory));
  NARTHEX_TRY(const std::vector<WalSegment> segments, ListWalSegments(files, directory));
  const int last = segments.empty() ? -1 : segments.back().index;
  int first = segments.empty() ? 0 : segments.front().index;
  const auto progress = [&](int64_t current) {
    if (head_.options_.on_replay_progress) head_.options_.on_replay_progress(first, last, current);
  };
  if (checkpoint.has_value()) {
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
  Status status;
  for (const WalSegment& segment : segments) {
    if (segment.index < first) continue;
    const int64_t segment_start = MonotonicNanos();
    WalReader reader(files, {segment});
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
  {
    const std::unique_lock lock(head_.index_mutex_);
    head_.index_.MergeLatePostings();
  }
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
             {"checkpoint_replay_duration", FormatGoDuration(checkpoint_at - mapped_at)},
             {"wal_replay_duration", FormatGoDuration(wal_at - checkpoint_at)},
             {"wbl_replay_duration", FormatGoDuration(end - wal_at)},
             {"chunk_snapshot_load_duration", FormatGoDuration(0)},
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
  }
  std::vector<uint64_t> dead;
  HashMap<PairId, std::vector<uint64_t>> dead_by_pair;
  RemoveIfDead(slot, /*oldest_open=*/1, &dead, &dead_by_pair);
  // Late postings of the series may still wait; they must not outlive it.
  index_.MergeLatePostings();
  for (auto& [pair, refs] : dead_by_pair) index_.RemovePostings(pair, refs);
  index_.Sweep();
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
