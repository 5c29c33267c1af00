// The head: the newest hours of all series, in memory, durable through the write-ahead log.
//
// Append -> Commit: one batch of records to the WAL, then the samples go into the open chunks, a
// slab at a time, and one publication makes all of them visible. Full chunks wait in memory until
// MapFullChunks writes them to chunks_head; Truncate lets go of what a block took over.
//
//   series_store.h    where series live            label_index.h     how they are found
//   series_append.h   what a sample does           isolation.h       what a reader sees
//   head_appender.h   batches and the WAL          head_querier.h    reading
//   head_replay.cc    start-up                     head_truncate.cc  letting go
//
// Locks, in this order: maintenance_mutex_ (one of MapFullChunks, truncation, replay at a time),
// index_mutex_ (shared to look up, exclusive to make or remove series), a slab's mutex. The plain
// mutexes are std ones because the thread sanitizer does not see into Debian's Abseil.
// Threads: any.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "model/matcher.h"
#include "storage/storage.h"
#include "tsdb/chunks/head_chunk_files.h"
#include "tsdb/head/exemplar_store.h"
#include "tsdb/head/isolation.h"
#include "tsdb/head/label_index.h"
#include "tsdb/head/mapped_chunks.h"
#include "tsdb/head/out_of_order.h"
#include "tsdb/head/resume_cache.h"
#include "tsdb/head/series_append.h"
#include "tsdb/head/series_store.h"
#include "tsdb/head/slab_pool.h"
#include "tsdb/wal/records.h"
#include "tsdb/wal/wal.h"
#include "util/file.h"
#include "util/status.h"

namespace narthex::tsdb {

struct HeadOptions {
  std::string directory;  // Holds wal/ and chunks_head/.
  int64_t chunk_range_ms = 2LL * 3600 * 1000;
  int samples_per_chunk = 120;
  bool start_timestamp_storage = false;
  bool histogram_start_timestamps = false;
  bool xor2 = false;
  int64_t out_of_order_window_ms = 0;
  int64_t exemplars_max = 0;
  size_t replay_threads = 2;
  // Truncation waits so long for readers of what it drops; those still open then get an error
  // instead of samples. Upstream waits for ever, and the head grows.
  int64_t reader_wait_max_ms = 10LL * 60 * 1000;
  // Start from a chunk snapshot if there is one; see WriteSnapshot.
  bool load_snapshot = false;
  FileSystem* file_system = nullptr;
  Wal* wal = nullptr;  // Owned by the database; null: nothing is durable.
  Wal* wbl = nullptr;
  // Without the logs above: folders to replay without writing to them (tools).
  std::string wal_directory;
  std::string wbl_directory;
  std::function<void()> on_wal_write;
  // Called when much memory waits in full chunks.
  std::function<void()> on_full_chunks;
  // Called by a commit after which a whole chunk range can be cut; rarely more often than once.
  std::function<void()> on_compactable;
  // Progress of Replay: first segment, last segment, current segment.
  std::function<void(int64_t, int64_t, int64_t)> on_replay_progress;
};

// Counters under upstream's names; read by the metrics page, written by whoever does the work.
struct HeadCounters {
  std::atomic<uint64_t> series_created{0}, series_removed{0}, series_not_found{0};
  std::atomic<uint64_t> chunks_created{0}, chunks_removed{0}, chunks_mapped{0};
  std::atomic<uint64_t> floats_appended{0}, histograms_appended{0};
  std::atomic<uint64_t> out_of_bound_floats{0}, out_of_bound_histograms{0};
  std::atomic<uint64_t> out_of_order_floats{0}, out_of_order_histograms{0};
  std::atomic<uint64_t> too_old_floats{0}, too_old_histograms{0};
  std::atomic<uint64_t> late_floats_appended{0}, late_histograms_appended{0};
  // How late samples came that were not in order, accepted or not; seconds in the sum.
  static constexpr int kLatenessBounds[] = {600, 1800, 3600, 7200, 10800, 21600, 43200};
  std::atomic<uint64_t> lateness_buckets[std::size(kLatenessBounds)]{};
  std::atomic<uint64_t> lateness_count{0};
  std::atomic<double> lateness_sum{0};
  void ObserveLateness(int64_t late_ms);
  std::atomic<uint64_t> appenders_created{0};
  std::atomic<int64_t> active_appenders{0};
  std::atomic<int64_t> stale_series{0}, histogram_series{0}, histogram_buckets{0};
  std::atomic<uint64_t> truncations{0}, truncations_failed{0};
  std::atomic<uint64_t> wal_truncations{0}, wal_truncations_failed{0}, wal_corruptions{0};
  std::atomic<uint64_t> checkpoints_created{0}, checkpoints_failed{0};
  std::atomic<uint64_t> checkpoints_deleted{0}, checkpoint_deletions_failed{0};
  std::atomic<uint64_t> mapped_chunk_corruptions{0};
  std::atomic<uint64_t> snapshot_replay_errors{0};
  std::atomic<uint64_t> unknown_refs_samples{0}, unknown_refs_histograms{0};
  std::atomic<uint64_t> unknown_refs_exemplars{0}, unknown_refs_metadata{0};
  std::atomic<uint64_t> unknown_refs_tombstones{0}, unknown_refs_series{0};
  std::atomic<uint64_t> gc_count{0}, gc_nanos{0};
  std::atomic<int64_t> gc_hold_nanos_max{0};  // The longest hold of the index lock, CPU time.
  std::atomic<uint64_t> wal_truncate_count{0}, wal_truncate_nanos{0};
  std::atomic<int64_t> replay_nanos{0};
};

struct HeadCardinality {
  struct Entry {
    std::string name;
    uint64_t count;
  };
  uint64_t series = 0;
  uint64_t label_pairs = 0;
  uint64_t chunks = 0;
  std::vector<Entry> series_by_metric_name;
  std::vector<Entry> values_by_label_name;
  std::vector<Entry> memory_by_label_name;
  std::vector<Entry> series_by_label_pair;
};

class HeadAppender;
class HeadQuerier;
class HeadReplay;
struct AppendBuffers;

class Head {
 public:
  explicit Head(HeadOptions options);
  ~Head();
  Head(const Head&) = delete;
  Head& operator=(const Head&) = delete;

  // Loads chunks_head, checkpoint, WAL (and WBL). Samples before `min_valid_ms` are in blocks
  // already. When the log is damaged everything before the damage is loaded and `corruption` tells
  // the place for Wal::Repair; the head is usable then.
  // A corruption of the WBL names its folder.
  Status Replay(int64_t min_valid_ms, std::optional<WalCorruption>* corruption);

  std::unique_ptr<storage::Appender> NewAppender();
  // Sees samples within `range`; times below the last truncation are in blocks.
  std::unique_ptr<storage::Querier> OpenQuerier(TimeRange range);

  // Maps what is full and closes the chunk files. Nothing is appended afterwards.
  Status Close();
  // After Close, and after the WAL was closed: writes the open chunks beside it, for a quick start.
  Status WriteSnapshot();
  // Writes full chunks to chunks_head and frees their memory.
  Status MapFullChunks();
  // Lets go of samples before `mint_ms`, which a block holds. Waits for readers of them.
  Status TruncateMemory(int64_t mint_ms);
  // Replaces the older WAL segments by a checkpoint.
  Status TruncateWal(int64_t mint_ms);
  // Marks samples as deleted, durably.
  Status Delete(TimeRange range, std::span<const Matcher> matchers);

  // INT64_MAX / INT64_MIN while nothing was ever appended.
  int64_t min_time_ms() const { return min_time_ms_.load(std::memory_order_acquire); }
  int64_t max_time_ms() const { return max_time_ms_.load(std::memory_order_acquire); }
  bool initialized() const { return min_time_ms() != INT64_MAX; }
  int64_t min_valid_ms() const { return min_valid_ms_.load(std::memory_order_acquire); }
  void set_min_valid_ms(int64_t t) { min_valid_ms_.store(t, std::memory_order_release); }
  // There is a whole chunk range that no appender will write to any more.
  bool compactable() const;
  // No running appender may still write before `time_ms`.
  bool HasAppenderBelow(int64_t time_ms) const;

  size_t series_count() const { return store_.size(); }
  const HeadCounters& counters() const { return counters_; }
  HeadCounters& counters() { return counters_; }
  const Isolation& isolation() const { return isolation_; }
  ExemplarStore& exemplars() { return exemplars_; }
  uint64_t symbol_bytes() const;
  uint64_t slab_bytes() const { return pool_.resident_bytes(); }
  HeadCardinality Cardinality(size_t limit) const;
  // All series of a moment in label order, and all texts of their labels, ascending. For the thread
  // that also truncates: what is named here stays only until the next truncation.
  struct SortedSeries {
    struct Entry {
      SlotId slot;
      uint64_t ref;
    };
    std::vector<Entry> series;
    std::vector<SlabRef> texts;
  };
  enum class Which : uint8_t { kAll, kLate, kStale };
  SortedSeries SortSeries(Which which) const;
  std::string_view TextOf(SlabRef text) const { return index_.TextAt(text); }
  // What a block takes of one series: whole chunks that touch `range`, and what is deleted.
  struct RangeSeries {
    Labels labels;
    std::vector<EncodedChunk> chunks;
    std::vector<std::pair<int64_t, int64_t>> deleted;
  };
  Status ReadRange(const SortedSeries::Entry& entry, TimeRange range, RangeSeries* out) const;

  // Compaction of samples out of order: writes all of them to chunk files and tells which there
  // are; the caller makes blocks of them and then lets the head drop them.
  struct LateSnapshot {
    int64_t min_ms = INT64_MAX;
    int64_t max_ms = INT64_MIN;
    uint64_t last_chunk = 0;  // 0: there are none.
    int wbl_segment = 0;      // Segments below it hold nothing that is still needed.
  };
  Result<LateSnapshot> PrepareLateCompaction();
  // After Replay: when the WBL names chunks that never reached their files, writes the samples that
  // are only there into new segments. Those names will be given to other chunks, and the next
  // replay would take the samples for written.
  Status RewriteLateLog();
  Status ReadLateRange(const SortedSeries::Entry& entry, TimeRange range, uint64_t last_chunk,
                       RangeSeries* out) const;
  Status TruncateLate(const LateSnapshot& snapshot);

  // Compaction of stale series: those whose newest sample is a stale marker and that hold nothing
  // out of order. The caller makes blocks of them, lists the blocks, and lets the head drop them.
  struct StaleSelection {
    SortedSeries sorted;
    std::vector<int64_t> last_ms;  // Of each series; in order, a later sample has a later time.
  };
  StaleSelection SelectStale() const;
  // Drops the series that nothing was appended to since the selection, and notes in the log that
  // they are gone. A series whose exemplars a replay still needs loses its chunks alone. Gives the
  // number of series that went. Waits for readers as TruncateLate does.
  Result<size_t> EvictStale(const StaleSelection& selection);
  // INT64_MAX: none since the last compaction of them.
  int64_t min_late_ms() const { return min_late_ms_.load(std::memory_order_acquire); }

  // `wbl` may come with the first window above zero; it outlives the head.
  void SetOutOfOrderWindow(int64_t window_ms, Wal* wbl);
  void SetXor2(bool xor2) { xor2_.store(xor2, std::memory_order_relaxed); }

 private:
  friend class HeadAppender;
  friend class HeadQuerier;
  friend class HeadSeriesReader;
  friend class HeadSeriesSet;
  friend class HeadReplay;

  struct SeriesAt {
    SlotId slot = kNoSeries;
    uint64_t ref = 0;
  };
  // What one series holds, taken under the slab's mutex in one go.
  struct ChunkCopy {
    ChunkEncoding encoding = ChunkEncoding::kNone;
    int64_t min_ms = 0;
    int64_t max_ms = 0;
    uint32_t sample_count = 0;
    uint64_t file_ref = 0;  // 0: `bytes` holds the chunk.
    std::string bytes;
  };
  struct SeriesCopy {
    std::vector<ChunkCopy> chunks;       // In order, ascending in time.
    std::vector<ChunkCopy> late_chunks;  // Of samples out of order.
    std::vector<OutOfOrderSample> late;
    int64_t hidden_from_ms = INT64_MAX;
  };

  ChunkRules rules() const;
  AppendBounds CurrentBounds() const;
  void NoteFirstTime(int64_t t);
  void WidenTimes(int64_t min_ms, int64_t max_ms);
  void AddTally(const AppendTally& tally);

  // Finds or makes the series and keeps it from being collected while the appender that was opened
  // in `epoch` lives.
  Result<SeriesAt> Locate(uint64_t ref, const Labels& labels, uint64_t epoch);
  // Finds only. kNoSeries when unknown.
  SeriesAt Find(uint64_t ref, const Labels& labels, uint64_t epoch);
  void Touch(SlotId slot, uint64_t epoch);
  // With index_mutex_ held exclusively.
  SlotId CreateLocked(uint64_t ref, const Labels& labels, uint64_t hash);

  // False when the slot holds another series by now.
  // What is in order is taken from `in_order_from_ms` on only: older times stand in blocks.
  bool CopySeries(SlotId slot, uint64_t ref, TimeRange range, int64_t in_order_from_ms,
                  const Isolation::Snapshot* snapshot, SeriesCopy* out) const;
  // With the slab's mutex held.
  bool HasChunkIn(const Slab& slab, uint16_t index, TimeRange range,
                  int64_t in_order_from_ms) const;
  bool HasTombstones() const;
  // With the slab's mutex held: writes the late samples in memory to files, and gives the
  // references of the chunks.
  Result<std::vector<uint64_t>> MapLateSamples(Slab& slab, uint16_t index, uint64_t ref);
  // Likewise. False: there is a sample of that time.
  Result<bool> AppendLate(Slab& slab, uint16_t index, uint64_t ref, OutOfOrderSample sample,
                          WblBatch* wbl);
  // The bytes of a chunk that may stand in a file, valid as long as `owner` and the copy.
  Result<std::string_view> ChunkBytes(const ChunkCopy& chunk,
                                      std::shared_ptr<const void>* owner) const;
  // While replaying: forgets the series and its samples.
  void EvictReplayed(uint64_t ref);
  void AddTombstone(uint64_t ref, std::pair<int64_t, int64_t> interval);

  // Writes records of late samples, those first that could not be written before.
  Status LogLate(std::vector<std::string> records);
  SampleFormat LateFormat() const {
    return options_.start_timestamp_storage ? SampleFormat::kV2 : SampleFormat::kV1;
  }

  uint64_t OpenEpoch();
  void CloseEpoch(uint64_t epoch);
  std::unique_ptr<AppendBuffers> TakeBuffers();
  void ReturnBuffers(std::unique_ptr<AppendBuffers> buffers);

  struct GcResult {
    int64_t actual_min_ms = INT64_MAX;
    int64_t min_late_ms = INT64_MAX;
    uint32_t smallest_file = UINT32_MAX;
  };
  Status MapFullChunksLocked();
  Status WriteSnapshotRecords(Wal* log) const;
  Status TruncateWalLocked(int64_t mint_ms);
  Status CollectGarbage();
  GcResult DropOldChunks(int64_t mint_ms, std::vector<SlotId>* empty);
  size_t RemoveSeries(const std::vector<SlotId>& candidates, int64_t actual_min_ms);
  // Epochs older than the result belong to no open appender; those opened from now on mark what
  // they resolve with a newer one.
  uint64_t OldestOpenEpoch();
  // What hangs on series that left the tables. Their samples may stand in the WAL until blocks
  // hold everything before `expiry_ms`.
  void ForgetDead(const std::vector<uint64_t>& dead,
                  std::vector<std::pair<PairId, uint64_t>> dead_postings, int64_t expiry_ms);
  // Whether the series is as it was selected and no appender has found it; frees its chunks then.
  // `keep` tells that it must stay without them.
  bool ReleaseStale(const SortedSeries::Entry& entry, int64_t last_ms, uint16_t oldest_open,
                    bool* keep);
  // With index_mutex_ held exclusively.
  void RemoveIfDead(SlotId slot, uint16_t oldest_open, std::vector<uint64_t>* dead,
                    std::vector<std::pair<PairId, uint64_t>>* dead_postings);
  // Takes the references out of the lists of the pairs.
  void RemovePostings(std::vector<std::pair<PairId, uint64_t>> dead);
  // Calls `step` until it says that there is no more, under the index lock in short exclusive
  // holds.
  template <typename Step>
  void InIndexHolds(Step&& step);
  // Until no reader is left, or for so long that `expire` must tell them.
  void WaitForReaders(const std::function<bool()>& any, const std::function<size_t()>& expire);
  std::vector<std::pair<int64_t, int64_t>> TombstonesOf(uint64_t ref) const;

  HeadOptions options_;
  SlabPool pool_;
  mutable std::shared_mutex index_mutex_;
  LabelIndex index_;
  SeriesStore store_;
  std::atomic<uint64_t> last_ref_{0};
  std::vector<PairId> pair_hints_;  // Labels of the series made last, by position.
  HashMap<uint64_t, std::vector<uint64_t>> aliases_;  // Of a reference; guarded by index_mutex_.
  Isolation isolation_;
  ExemplarStore exemplars_;
  HeadCounters counters_;
  mutable ResumeCache resume_cache_;

  std::atomic<int64_t> min_time_ms_{INT64_MAX};
  std::atomic<int64_t> max_time_ms_{INT64_MIN};
  std::atomic<int64_t> min_valid_ms_{INT64_MIN};
  std::atomic<int64_t> readable_from_ms_{INT64_MIN};  // Older times are left to blocks.
  std::atomic<int64_t> min_late_ms_{INT64_MAX};
  std::atomic<int64_t> max_late_ms_{INT64_MIN};
  std::atomic<int64_t> out_of_order_window_ms_{0};
  std::atomic<Wal*> wbl_{nullptr};
  std::atomic<bool> xor2_{false};
  std::atomic<uint64_t> pending_bytes_{0};
  std::atomic<bool> compactable_told_{false};  // Until the next truncation of memory.

  // Held while series records are written: of two commits that bring samples of a new series, the
  // first writes its record and the other sees that it did.
  std::mutex series_log_mutex_;
  std::mutex maintenance_mutex_;
  std::unique_ptr<HeadChunkFiles> head_chunks_;

  // Appenders by the epoch they were opened in; see CollectGarbage.
  mutable std::mutex epoch_mutex_;
  uint64_t epoch_ = 1;
  std::map<uint64_t, size_t> open_epochs_;
  std::map<int64_t, size_t> open_bounds_;  // Their min_valid_ms.

  std::mutex buffers_mutex_;
  std::vector<std::unique_ptr<AppendBuffers>> free_buffers_;

  mutable std::mutex tombstones_mutex_;
  HashMap<uint64_t, std::vector<std::pair<int64_t, int64_t>>> tombstones_;

  std::mutex late_log_mutex_;
  std::vector<std::string> late_unlogged_;  // Records that the WBL refused, in order.
  bool late_log_stale_ = false;             // Written by Replay, before anybody else is there.

  mutable std::mutex metadata_mutex_;
  HashMap<uint64_t, Metadata> metadata_;

  // References of series that are gone but may stand in WAL records up to the time given.
  std::mutex expiry_mutex_;
  HashMap<uint64_t, int64_t> wal_expiry_;
  // Guarded by maintenance_mutex_.
  int64_t last_wal_truncation_ms_ = INT64_MIN;
  uint64_t late_dropped_until_ = 0;  // Late chunks up to this reference are in blocks.
};

}  // namespace narthex::tsdb
