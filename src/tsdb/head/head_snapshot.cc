// Writing a chunk snapshot at shutdown and starting from one; see chunk_snapshot.h.
#include <bit>
#include <cstring>
#include <utility>

#include "tsdb/chunks/xor2.h"
#include "tsdb/head/chunk_snapshot.h"
#include "tsdb/head/head_replay.h"
#include "util/bytes.h"
#include "util/log.h"
#include "util/numbers.h"
#include "util/time.h"

namespace narthex::tsdb {
namespace {

constexpr size_t kFlushBytes = 10 << 20;

// Records that are written together.
class RecordBatch {
 public:
  explicit RecordBatch(Wal* log) : log_(*log) {}
  std::string* bytes() { return &bytes_; }
  Status EndRecord() {
    ends_.push_back(bytes_.size());
    return bytes_.size() < kFlushBytes ? Status() : Flush();
  }
  Status Flush() {
    records_.clear();
    size_t begin = 0;
    for (const size_t end : ends_) {
      records_.push_back(std::string_view(bytes_).substr(begin, end - begin));
      begin = end;
    }
    Status status = log_.Log(records_);
    bytes_.clear();
    ends_.clear();
    return status.WithPrefix("flush records: ");
  }

 private:
  Wal& log_;
  std::string bytes_;
  std::vector<size_t> ends_;
  std::vector<std::string_view> records_;
};

Result<WalPosition> EndOfLog(FileSystem& files, const std::string& directory) {
  NARTHEX_TRY(const std::vector<WalSegment> segments, ListWalSegments(files, directory));
  if (segments.empty()) return Status(ErrorCode::kNotFound, "the WAL has no segments");
  return WalPosition{segments.back().index, segments.back().size};
}

}  // namespace

Status Head::WriteSnapshotRecords(Wal* log) const {
  RecordBatch batch(log);
  SnapshotSeries series;
  std::string labels;
  std::string chunk;
  for (uint32_t number = 0; number < store_.slab_count(); ++number) {
    Slab& slab = store_.slab_at(number);
    for (uint32_t i = 0; i < kSlotsPerSlab; ++i) {
      const uint16_t index = static_cast<uint16_t>(i);
      const std::lock_guard lock(slab.mutex);
      if (slab.cold[index].ref == 0) continue;
      series.ref = slab.cold[index].ref;
      labels.clear();
      AppendWalLabels(store_.LabelsOf(index_, number * kSlotsPerSlab + i), &labels);
      series.labels = labels;
      if (const auto aliases = aliases_.find(series.ref); aliases != aliases_.end()) {
        // Chunk files may know the series by them. The chunk comes last: it is the newest.
        series.encoding = ChunkEncoding::kNone;
        EncodeSnapshotSeries(series, batch.bytes());
        NARTHEX_RETURN_IF_ERROR(batch.EndRecord());
        for (const uint64_t alias : aliases->second) {
          series.ref = alias;
          EncodeSnapshotSeries(series, batch.bytes());
          NARTHEX_RETURN_IF_ERROR(batch.EndRecord());
        }
        series.ref = slab.cold[index].ref;
      }
      OpenChunkView view;
      series.encoding = ChunkEncoding::kNone;
      if (CopyOpenChunk(pool_, slab, index, &view, &chunk)) {
        series.encoding = view.encoding;
        series.min_ms = view.min_ms;
        series.max_ms = view.max_ms;
        series.chunk = chunk;
        series.last_value = std::bit_cast<double>(slab.hot[index].xor_state.last_value_bits);
        const ValueKind kind = KindOf(view.encoding);
        if (kind != ValueKind::kFloat) {
          const HistogramSeries& last = *slab.histograms.find(index)->second;
          if (kind == ValueKind::kHistogram) series.last_histogram = *last.last_integer;
          if (kind == ValueKind::kFloatHistogram) series.last_float_histogram = *last.last_float;
        }
      }
      EncodeSnapshotSeries(series, batch.bytes());
      NARTHEX_RETURN_IF_ERROR(batch.EndRecord());
    }
  }
  std::vector<SnapshotTombstone> stones;
  {
    const std::lock_guard lock(tombstones_mutex_);
    for (const auto& [ref, intervals] : tombstones_) {
      for (const auto& [min_ms, max_ms] : intervals) stones.push_back({ref, min_ms, max_ms});
    }
  }
  EncodeSnapshotTombstones(stones, batch.bytes());
  NARTHEX_RETURN_IF_ERROR(batch.EndRecord());
  NARTHEX_RETURN_IF_ERROR(batch.Flush());

  std::vector<WalExemplar> exemplars;
  std::vector<std::string> texts;
  const auto flush = [&]() -> Status {
    if (exemplars.empty()) return {};
    for (size_t i = 0; i < exemplars.size(); ++i) exemplars[i].labels = texts[i];
    std::string record;
    EncodeExemplars(exemplars, &record);
    record[0] = static_cast<char>(SnapshotRecordType::kExemplars);
    exemplars.clear();
    texts.clear();
    return log->Log(record).WithPrefix("log exemplars: ");
  };
  Status status;
  exemplars_.ForEach([&](const Labels& owner, const Exemplar& exemplar) {
    const SlotId slot = store_.FindLabels(index_, owner, owner.Hash());
    if (slot == kNoSeries || !status.ok()) return;
    exemplars.push_back(
        {store_.cold(slot).ref, exemplar.timestamp_ms, exemplar.value, std::string_view()});
    AppendWalLabels(exemplar.labels, &texts.emplace_back());
    if (exemplars.size() == kSnapshotExemplarsPerRecord) status = flush();
  });
  NARTHEX_RETURN_IF_ERROR(std::move(status));
  return flush();
}

Status Head::WriteSnapshot() {
  if (options_.wal == nullptr) {
    LOG_WARN("skipping chunk snapshotting as WAL is disabled");
    return {};
  }
  const std::lock_guard maintenance(maintenance_mutex_);
  const std::shared_lock lock(index_mutex_);
  FileSystem& files = *options_.file_system;
  const std::string& directory = options_.directory;
  LOG_INFO("creating chunk snapshot");
  const int64_t start = MonotonicNanos();
  NARTHEX_TRY(const WalPosition position, EndOfLog(files, options_.wal->directory()));
  NARTHEX_TRY(const auto before, FindLastChunkSnapshot(files, directory));
  if (before.has_value() && before->position.segment == position.segment &&
      before->position.offset == position.offset) {
    return {};  // Nothing was written since.
  }
  const std::string path = ChunkSnapshotPath(directory, position);
  const std::string temporary = path + ".tmp";
  const auto write = [&]() -> Status {
    NARTHEX_RETURN_IF_ERROR(files.RemoveAll(temporary));
    WalOptions log_options;
    log_options.compression = options_.wal->compression();
    NARTHEX_TRY(const std::unique_ptr<Wal> log, Wal::Open(files, temporary, log_options));
    NARTHEX_RETURN_IF_ERROR(WriteSnapshotRecords(log.get()));
    NARTHEX_RETURN_IF_ERROR(log->Close().WithPrefix("close chunk snapshot: "));
    NARTHEX_RETURN_IF_ERROR(files.SyncDirectory(temporary));
    NARTHEX_RETURN_IF_ERROR(files.Rename(temporary, path));
    return files.SyncDirectory(directory);
  };
  if (Status status = write(); !status.ok()) {
    static_cast<void>(files.RemoveAll(temporary));
    return status.WithPrefix("chunk snapshot: ");
  }
  if (const Status status = DeleteChunkSnapshots(files, directory, position); !status.ok()) {
    LOG_ERROR("delete old chunk snapshots", {"err", status.message()});
  }
  LOG_INFO("chunk snapshot complete", {"duration", FormatGoDuration(MonotonicNanos() - start)},
           {"num_series", store_.size()}, {"dir", path});
  return {};
}

// --- Loading
// --------------------------------------------------------------------------------------

void HeadReplay::RestoreChunk(SlotId slot, const SnapshotSeries& series) {
  Slab& slab = head_.store_.slab(slot);
  const uint16_t index = SeriesStore::IndexOf(slot);
  const std::lock_guard lock(slab.mutex);
  SeriesHot& hot = slab.hot[index];
  // The chunk was completed after the snapshot was taken, and stands in a file.
  if ((hot.flags & kHasSamples) && hot.xor_state.last_ms >= series.min_ms) return;
  const ValueKind kind = KindOf(series.encoding);
  const bool xor2 = series.encoding == ChunkEncoding::kXor2;
  const size_t front = xor2 ? sizeof(Xor2State) : 0;
  const SlabRef piece = head_.pool_.Allocate(front + series.chunk.size());
  std::memcpy(head_.pool_.At(piece) + front, series.chunk.data(), series.chunk.size());
  const uint16_t count = LoadBigEndian16(series.chunk.data());
  const uint32_t bits = static_cast<uint32_t>(series.chunk.size() * 8);
  AppendTally tally;
  tally.chunks_created = 1;
  bool stale = IsStaleNan(series.last_value);
  hot.chunk_min_ms = series.min_ms;
  // The next sample begins a chunk: where the bits of this one end is not known.
  hot.next_cut_ms = series.max_ms;
  if (kind == ValueKind::kFloat) {
    hot.encoding = series.encoding;
    hot.open_chunk = piece;
    hot.xor_state = XorState{};
    hot.xor_state.position_bits = bits;
    hot.xor_state.last_value_bits = std::bit_cast<uint64_t>(series.last_value);
    hot.xor_state.count = count;
    if (xor2) {
      Xor2State state;
      state.last_ms = series.max_ms;
      state.position_bits = bits;
      state.count = count;
      state.start_header = static_cast<uint8_t>(series.chunk[2]);
      std::memcpy(head_.pool_.At(piece), &state, sizeof state);
    }
  } else {
    // Complete already, as far as appending goes.
    PendingChunk pending{};
    pending.index = index;
    pending.sample_count = static_cast<uint16_t>(ChunkSampleCount(series.encoding, series.chunk));
    pending.encoding = series.encoding;
    pending.data = piece;
    pending.size = static_cast<uint32_t>(series.chunk.size());
    pending.ref = slab.cold[index].ref;
    pending.min_ms = series.min_ms;
    pending.max_ms = series.max_ms;
    slab.pending.push_back(pending);
    tally.pending_bytes = pending.size;
    auto last = std::make_unique<HistogramSeries>();
    if (kind == ValueKind::kHistogram) {
      last->last_integer = std::make_unique<Histogram>(series.last_histogram);
      stale = IsStaleNan(series.last_histogram.sum);
    } else {
      last->last_float = std::make_unique<FloatHistogram>(series.last_float_histogram);
      stale = IsStaleNan(series.last_float_histogram.sum);
    }
    tally.histogram_series = 1;
    tally.histogram_buckets = static_cast<int64_t>(last->BucketCount());
    slab.histograms[index] = std::move(last);
    hot.flags |= kHistogramLast;
  }
  hot.xor_state.last_ms = series.max_ms;
  hot.flags |= kHasSamples;
  if (stale) {
    hot.flags |= kStale;
    tally.stale_series = 1;
  }
  head_.AddTally(tally);
  head_.WidenTimes(series.min_ms, series.max_ms);
}

Status HeadReplay::RestoreExemplars(std::string_view record) {
  if (!head_.exemplars_.enabled()) return {};
  std::string body(record);
  body[0] = static_cast<char>(RecordType::kExemplars);
  return OnExemplars(body);
}

Status HeadReplay::ReadSnapshot(const std::string& path) {
  NARTHEX_TRY(WalReader reader, OpenWalReader(*head_.options_.file_system, path));
  ReplayLoader loader(&reader, ReplayLoader::Records::kSnapshot);
  std::vector<SnapshotTombstone> stones;
  while (LoadedRecord* const record = loader.Next()) {
    NARTHEX_RETURN_IF_ERROR(record->status.WithPrefix("decode loop: "));
    switch (static_cast<SnapshotRecordType>(record->bytes[0])) {
      case SnapshotRecordType::kSeries: {
        const std::unique_lock lock(head_.index_mutex_);
        const SlotId slot = OnOneSeries(record->series.front());
        if (record->snapshot.encoding != ChunkEncoding::kNone) {
          RestoreChunk(slot, record->snapshot);
        }
        break;
      }
      case SnapshotRecordType::kTombstones:
        stones.clear();
        NARTHEX_RETURN_IF_ERROR(DecodeSnapshotTombstones(record->bytes, &stones));
        for (const SnapshotTombstone& stone : stones) {
          head_.AddTombstone(stone.ref, {stone.min_ms, stone.max_ms});
        }
        break;
      case SnapshotRecordType::kExemplars:
        NARTHEX_RETURN_IF_ERROR(RestoreExemplars(record->bytes).WithPrefix("decode loop: "));
        break;
    }
    if (head_.pending_bytes_.load(std::memory_order_relaxed) > kReplayPendingBytesMax) {
      NARTHEX_RETURN_IF_ERROR(head_.MapFullChunksLocked());
    }
  }
  // Records of their samples may stand in segments that are kept.
  for (const auto& [alias, ref] : aliases_) NoteAlias(alias, head_.max_time_ms());
  return reader.status().WithPrefix("read records: ");
}

// Everything but the series themselves: those without samples go with the next collection.
void HeadReplay::ForgetLoaded() {
  for (uint32_t number = 0; number < head_.store_.slab_count(); ++number) {
    Slab& slab = head_.store_.slab_at(number);
    const std::lock_guard lock(slab.mutex);
    for (uint32_t i = 0; i < kSlotsPerSlab; ++i) {
      if (slab.cold[i].ref == 0) continue;
      SeriesHot& hot = slab.hot[i];
      DropOpenChunk(&head_.pool_, slab, static_cast<uint16_t>(i));
      head_.pool_.Free(hot.mapped);
      hot.mapped = kNoSlab;
      hot.xor_state = XorState{};
      hot.flags = kLogged;
    }
    for (const PendingChunk& chunk : slab.pending) head_.pool_.Free(chunk.data);
    slab.pending.clear();
    slab.histograms.clear();
    slab.out_of_order.clear();
    slab.exemplar_times.clear();
  }
  HeadCounters& counters = head_.counters_;
  counters.stale_series = 0;
  counters.histogram_series = 0;
  counters.histogram_buckets = 0;
  counters.chunks_removed = counters.chunks_created.load();
  head_.pending_bytes_ = 0;
  head_.min_time_ms_ = INT64_MAX;
  head_.max_time_ms_ = INT64_MIN;
  head_.min_late_ms_ = INT64_MAX;
  head_.max_late_ms_ = INT64_MIN;
  head_.exemplars_.Clear();
  const std::lock_guard lock(head_.tombstones_mutex_);
  head_.tombstones_.clear();
}

Status HeadReplay::LoadSnapshot(int last_segment, std::optional<WalPosition>* position) {
  FileSystem& files = *head_.options_.file_system;
  const std::string& directory = head_.options_.directory;
  LOG_INFO("Chunk snapshot is enabled, replaying from the snapshot");
  const Result<std::optional<ChunkSnapshotInfo>> found = FindLastChunkSnapshot(files, directory);
  Status status = found.ok() ? Status() : found.status();
  if (found.ok()) {
    if (!found->has_value()) return {};
    if ((*found)->position.segment > last_segment) {
      LOG_WARN("Last WAL file is behind snapshot, removing snapshots");
      if (status = DeleteChunkSnapshots(files, directory, std::nullopt); !status.ok()) {
        LOG_ERROR("Error while deleting snapshot directories", {"err", status.message()});
      }
      return {};
    }
    const int64_t start = MonotonicNanos();
    status = ReadSnapshot((*found)->path);
    hints_.clear();
    if (status.ok()) {
      *position = (*found)->position;
      LOG_INFO("chunk snapshot loaded", {"dir", (*found)->path},
               {"num_series", head_.store_.size()},
               {"duration", FormatGoDuration(MonotonicNanos() - start)});
      return {};
    }
  }
  head_.counters_.snapshot_replay_errors.fetch_add(1, std::memory_order_relaxed);
  LOG_ERROR("Failed to load chunk snapshot", {"err", status.message()});
  ForgetLoaded();
  return LoadMappedChunks();  // The series took theirs already.
}

}  // namespace narthex::tsdb
