// The blocks of a database: which are loaded, which must go, which are damaged.
//
// Reload looks at the directory: new blocks are opened, known ones kept; blocks that a loaded block
// replaces, that are marked as deletable or that retention lets go are renamed and removed. A block
// that cannot be opened is set aside: the rest is served, a log line and a metric tell, and the
// folder stays where it is for whoever can mend it (upstream refuses to start).
//
// Threads: Reload excludes itself through the caller's lock; Snapshot may be called from any
// thread. Queriers keep the blocks they read open, so nothing waits for them.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tsdb/block/block.h"
#include "util/file.h"
#include "util/status.h"

namespace narthex::tsdb {

struct RetentionLimits {
  int64_t duration_ms = 0;  // 0: off, as everywhere here.
  int64_t bytes = 0;
  double percentage = 0;  // Of the file system; wins over bytes.
};

class BlockList {
 public:
  using Blocks = std::vector<std::shared_ptr<Block>>;  // Ascending by first time.

  // `head_bytes` tells what WAL and head chunks occupy, which counts against the size limit.
  // One that removes nothing is for tools beside a running server.
  enum class Mode : uint8_t { kOwner, kReadOnly };
  BlockList(FileSystem& files, std::string directory, std::function<uint64_t()> head_bytes,
            Mode mode = Mode::kOwner);

  // Fails when the folder cannot be looked through; the list is then as before. What must go and
  // cannot be removed is tried again at the next call.
  Status Reload(const RetentionLimits& limits);
  // Takes a block's folder out of sight in one step, then removes it. For blocks not in the list.
  Status Remove(const std::string& path);
  std::shared_ptr<const Blocks> Snapshot() const;

  // End of the newest block that was cut from the head in order: samples before it need no replay.
  std::optional<int64_t> InOrderMaxTime() const;
  uint64_t size_bytes() const;
  size_t quarantined() const { return quarantined_.load(std::memory_order_relaxed); }
  uint64_t time_retentions() const { return time_retentions_.load(std::memory_order_relaxed); }
  uint64_t size_retentions() const { return size_retentions_.load(std::memory_order_relaxed); }
  uint64_t reloads() const { return reloads_.load(std::memory_order_relaxed); }
  uint64_t reload_failures() const { return reload_failures_.load(std::memory_order_relaxed); }

 private:
  struct Found {
    Blocks blocks;
    std::vector<std::string> damaged;  // Folders.
  };
  Status ReloadOnce(const RetentionLimits& limits);
  Result<Found> Scan() const;
  // Positions in `blocks` that must go.
  std::set<Ulid> Deletable(const Blocks& blocks, const RetentionLimits& limits);
  void RemoveHidden();
  void WarnOfOverlaps(const Blocks& blocks);

  FileSystem& files_;
  const std::string directory_;
  const std::function<uint64_t()> head_bytes_;
  const Mode mode_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Blocks> blocks_ = std::make_shared<Blocks>();
  std::set<std::string> reported_;  // Damaged blocks that were logged.
  bool overlaps_reported_ = false;
  std::atomic<size_t> quarantined_{0};
  std::atomic<uint64_t> time_retentions_{0}, size_retentions_{0}, reloads_{0}, reload_failures_{0};
};

// A block that holds the samples of its time in part says nothing about what the head may drop.
bool IsPartialBlock(const BlockMeta& meta);
// Size of the file system that holds `path`; 0 when it cannot be told.
uint64_t FileSystemBytes(const std::string& path);
// Bytes of all files below `path`; 0 when there is nothing.
uint64_t DirectoryBytes(FileSystem& files, const std::string& path);

}  // namespace narthex::tsdb
