// The database: a head in memory with its write-ahead log, blocks on disk, and the thread that
// moves data from the one to the other and lets old data go.
//
//   <path>/lock            held while open          <path>/<ULID>/        blocks
//   <path>/wal/            records, checkpoints     <path>/chunks_head/   full chunks of the head
//
// Life of a sample: NewAppender -> Append -> Commit writes one batch to the WAL and publishes it in
// the head -> its chunk fills and moves to chunks_head -> head compaction writes a block of two
// hours and truncates head and WAL -> blocks are merged into longer ones -> retention deletes.
//
// Threads: every method may be called from any thread. Destruction closes; queriers must be gone.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/matcher.h"
#include "storage/storage.h"
#include "tsdb/wal/wal.h"
#include "util/file.h"
#include "util/status.h"
#include "util/time.h"

namespace narthex::tsdb {

enum class FloatEncoding : uint8_t { kXor, kXor2 };

// What /api/v1/status/walreplay tells while Db::Open replays. Filled by Open, read by anybody.
struct WalReplayProgress {
  std::atomic<int64_t> min{0};
  std::atomic<int64_t> max{0};
  std::atomic<int64_t> current{0};
};

// The part of the options that a configuration reload changes.
struct DbReloadableOptions {
  int64_t retention_ms = 15LL * 24 * 3600 * 1000;  // 0: no limit by time.
  int64_t retention_bytes = 0;                     // 0: no limit by size.
  double retention_percentage = 0;                 // Of the file system; wins over bytes.
  int64_t out_of_order_window_ms = 0;
  int64_t exemplars_max = 0;  // 0: exemplar storage is off.
  FloatEncoding float_encoding = FloatEncoding::kXor;
  // A tick moves stale series into blocks when they are at least that share of all; 0: never.
  double stale_series_compaction_threshold = 0;
};

struct DbOptions {
  std::string path;
  DbReloadableOptions reloadable;

  WalCompression wal_compression = WalCompression::kSnappy;
  int64_t wal_segment_bytes = 128LL << 20;
  int64_t block_chunk_segment_bytes = 512LL << 20;
  int64_t min_block_duration_ms = 2LL * 3600 * 1000;
  int64_t max_block_duration_ms = 0;  // 0: min(31d, retention / 10).
  int64_t block_reload_interval_ms = 60'000;
  int samples_per_chunk = 120;
  bool no_lockfile = false;
  bool allow_overlapping_compaction = true;
  bool native_histograms = true;
  bool start_timestamp_storage = false;     // Feature st-storage: V2 records, XOR2 and ST chunks.
  bool histogram_start_timestamps = false;  // Feature histograms-st-encoding.
  bool snapshot_on_shutdown = false;        // Feature memory-snapshot-on-shutdown.
  // Path of a shipper's list of uploaded blocks; level-1 blocks not in it are not compacted.
  std::string delay_compact_file;
  // Feature delayed-compaction: the head is cut later by a random time of up to so many per cent of
  // its chunk range, drawn once, so that many servers do not compact at the same moment. 0: off.
  int compaction_delay_percent_max = 0;

  // Compaction, retention and mapping of full chunks run on a thread of the database; tests turn
  // it off and call Tick().
  bool background = true;
  bool auto_compaction = true;

  std::shared_ptr<WalReplayProgress> replay_progress;  // May be null.
  // Called after every WAL write, from the committing thread: wakes remote write.
  std::function<void()> on_wal_write;
  FileSystem* file_system = nullptr;  // Null: FileSystem::Posix().
  Clock* clock = nullptr;             // Null: Clock::System().
};

// A name with a count, for cardinality tables.
struct NamedCount {
  std::string name;
  uint64_t count = 0;
};

// /api/v1/status/tsdb.
struct HeadStatus {
  uint64_t series_count = 0;
  uint64_t label_pair_count = 0;
  uint64_t chunk_count = 0;
  int64_t min_time_ms = 0;
  int64_t max_time_ms = 0;
  std::vector<NamedCount> series_by_metric_name;
  std::vector<NamedCount> values_by_label_name;
  std::vector<NamedCount> memory_by_label_name;
  std::vector<NamedCount> series_by_label_pair;  // "name=value"
};

// One loaded block, as /api/v1/status/tsdb/blocks and retention see it.
struct BlockInfo {
  std::string ulid;
  int64_t min_time_ms = 0;
  int64_t max_time_ms = 0;  // Exclusive.
  uint64_t size_bytes = 0;
  std::string meta_json;
};

// Counters and gauges under upstream's names (prometheus_tsdb_…); `label` is "" or one label.
struct MetricValue {
  enum class Kind : uint8_t { kCounter, kGauge, kHistogram, kSummary };
  std::string name;
  Kind kind = Kind::kGauge;
  std::string label_name;
  std::string label_value;
  double value = 0;  // Of histograms and summaries: the sum.
  std::string help;
  uint64_t count = 0;
  // {upper bound, cumulative count} of a histogram, +Inf left out; {quantile, value} of a summary.
  std::vector<std::pair<double, double>> points;
};

class Db : public storage::Queryable,
           public storage::Appendable,
           public storage::ExemplarQueryable {
 public:
  // Opens or makes the directory, repairs what a crash left, replays the WAL. Errors carry
  // upstream's texts without the wrapper "opening storage failed: ".
  static Result<std::unique_ptr<Db>> Open(DbOptions options);
  ~Db() override;
  Db(const Db&) = delete;
  Db& operator=(const Db&) = delete;

  std::unique_ptr<storage::Appender> NewAppender() override;
  Result<std::unique_ptr<storage::Querier>> OpenQuerier(TimeRange range) override;
  Result<std::vector<storage::SeriesExemplars>> SelectExemplars(
      TimeRange range, const std::vector<std::vector<Matcher>>& matcher_sets) override;

  // Takes over a reloaded configuration.
  Status ApplyConfig(const DbReloadableOptions& options);

  // Marks samples within `range` of series that satisfy all of `matchers` as deleted.
  Status Delete(TimeRange range, std::span<const Matcher> matchers);
  // Rewrites every block that has tombstones.
  Status CleanTombstones();
  // Writes a copy into the existing or new folder `directory`: hard links of blocks, and the head
  // as one block when asked.
  Status Snapshot(const std::string& directory, bool with_head);

  // The `limit` largest entries of each table; 0 means 10 as upstream.
  HeadStatus ReadHeadStatus(size_t limit) const;
  std::vector<BlockInfo> Blocks() const;
  std::vector<MetricValue> Metrics() const;
  // The oldest timestamp in blocks and head; INT64_MAX when there is none.
  int64_t StartTimeMs() const;
  int64_t HeadMinTimeMs() const;
  int64_t HeadMaxTimeMs() const;
  const std::string& path() const;
  std::string wal_directory() const;

  // What the background thread does every block_reload_interval: map full chunks, reload blocks,
  // apply retention, and compact if due.
  Status Tick();
  // Compacts head and blocks as far as they are due.
  Status Compact();
  // Moves series that have ended into blocks of their own, at once.
  Status CompactStaleSeries();
  // Writes the whole head in blocks regardless of its age (tests, backfill).
  Status CompactHeadForTest(int64_t max_time_ms);
  Status MapFullChunksForTest();

  void EnableCompactions();
  void DisableCompactions();

  // Stops the background thread, maps full chunks, closes files and releases the lock. Idempotent.
  Status Close();

 private:
  struct Impl;
  explicit Db(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace narthex::tsdb
