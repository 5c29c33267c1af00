// The inside of Db, shared by its source files.
//
// Locks, in this order: compaction_mutex (one of compaction, reload, deletion at a time),
// blocks_mutex (the list of blocks, held for moments only). The head has its own.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "tsdb/compact/block_writer.h"
#include "tsdb/db/block_list.h"
#include "tsdb/db/db.h"
#include "tsdb/db/lock_file.h"
#include "tsdb/head/head.h"

namespace narthex::tsdb {

struct Db::Impl {
  explicit Impl(DbOptions db_options);
  ~Impl();

  Status Open();
  Status Close();
  Status PrepareDirectory();
  Status OpenHead();
  Status OpenWbl();
  Status ReplayHead();
  RetentionLimits Limits() const;
  int64_t MaxBlockDuration() const;
  uint64_t HeadBytes() const;

  // With compaction_mutex held.
  BlockWriteOptions WriteOptions();
  Status CompactHeadRange(int64_t mint_ms, int64_t maxt_ms);
  Status CompactLate();
  // Blocks of what `source` holds, one for each range that has any; all of them or none.
  Status WriteRanges(BlockSource* source, TimeRange times, std::string_view hint);
  Status CompactStale();
  Status CompactHead();
  // The head could be cut, but its delay has not passed.
  bool WaitingForDelay();
  std::vector<BlockMeta> PlannableBlocks();
  Status CompactBlocks();
  // Without.
  Status Compact();
  // Whether so many series are stale that they may go, and the head is not cut soon anyway.
  bool StaleSeriesDue();
  Status CompactStaleSeries();
  Status CleanTombstones();
  Status Snapshot(const std::string& directory, bool with_head);

  void RunBackground();
  void Wake(bool to_compact = false);
  Status Tick();
  bool Stopping();

  DbOptions options;
  FileSystem& files;
  Clock& clock;
  const std::string wal_directory;
  mutable std::mutex reloadable_mutex;
  DbReloadableOptions reloadable;  // Guarded by reloadable_mutex.

  std::unique_ptr<LockFile> lock;
  std::unique_ptr<Wal> wal;
  std::unique_ptr<Wal> wbl;  // Made with the first out-of-order window above zero.
  std::unique_ptr<Head> head;
  std::unique_ptr<BlockList> blocks;

  std::mutex compaction_mutex;
  std::atomic<bool> compactions_enabled{true};
  int64_t compaction_delay_ms = 0;
  std::optional<int64_t>
      delay_started_ms;  // Since when the head can be cut. With compaction_mutex.
  std::optional<int64_t> head_compacted_ms;  // The last time in this process. With it, too.
  std::stop_source stop_source;
  std::atomic<uint64_t> compactions{0}, compactions_failed{0}, compactions_triggered{0};
  std::atomic<uint64_t> compactions_skipped{0};
  std::atomic<uint64_t> vertical_compactions{0};
  std::atomic<uint64_t> stale_compactions_triggered{0}, stale_compactions_failed{0};
  std::atomic<bool> populating_block{false};
  ChunkDistributions chunk_distributions;
  Distribution compaction_seconds{1, 2, 14};
  Distribution stale_compaction_seconds{1, 2, 14};
  Distribution tombstone_cleanup_seconds{0, 0, 0};

  std::mutex background_mutex;
  std::condition_variable background_changed;
  bool stopping = false;
  bool woken = false;
  bool compaction_wanted = false;  // Told by a commit.
  bool replayed = false;           // The head is whole: it may be put into a snapshot.
  bool closed = false;
  std::thread background;
};

}  // namespace narthex::tsdb
