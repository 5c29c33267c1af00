// A block: an immutable folder of series and chunks of a span of time.
//
//   <ULID>/meta.json  index  tombstones  chunks/000001...
//
// Data never changes; only meta.json (flags, number of tombstones) and tombstones are replaced, as
// whole files. Index and chunks are mapped and read where they lie.
//
// Threads: everything is safe from any thread; Delete and SetFlags exclude one another.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "model/matcher.h"
#include "tsdb/block/block_meta.h"
#include "tsdb/block/tombstones.h"
#include "tsdb/chunks/segment_files.h"
#include "tsdb/index/index_reader.h"
#include "util/file.h"
#include "util/status.h"
#include "util/time.h"

namespace narthex::tsdb {

class Block {
 public:
  // kCorruption when a part of it cannot be understood. The texts are upstream's, which name
  // neither block nor file: whoever opens puts `corrupted block <ulid>: ` in front.
  static Result<std::shared_ptr<Block>> Open(FileSystem& files, const std::string& directory);

  const std::string& directory() const { return directory_; }
  Ulid ulid() const { return ulid_; }
  int64_t min_ms() const { return min_ms_; }
  int64_t max_ms() const { return max_ms_; }  // Not included.
  BlockMeta meta() const;
  uint64_t size_bytes() const;
  bool Overlaps(TimeRange range) const {
    return min_ms_ <= range.end_ms && range.start_ms < max_ms_;
  }

  const IndexReader& index() const { return *index_; }
  const ChunkSegmentReader& chunks() const { return chunks_; }
  // As they are now; later deletions do not change what was returned.
  std::shared_ptr<const Tombstones> tombstones() const;

  // Marks the samples of matching series within `range` as deleted, on disk when it returns.
  Status Delete(TimeRange range, std::span<const Matcher> matchers);
  // Compaction of this block failed: it is not planned again.
  Status SetCompactionFailed();
  // Nothing of this block is left: it can be deleted.
  Status SetDeletable();

  // Copies the block by hard links into `directory`/<ULID>.
  Status Snapshot(const std::string& directory) const;

 private:
  Block(FileSystem& files, std::string directory)
      : files_(files), directory_(std::move(directory)) {}
  Status Init();
  template <typename Change>
  Status ChangeMeta(Change change);

  FileSystem& files_;
  const std::string directory_;
  Ulid ulid_;
  int64_t min_ms_ = 0;
  int64_t max_ms_ = 0;
  std::unique_ptr<IndexReader> index_;
  ChunkSegmentReader chunks_;

  mutable std::mutex mutex_;  // Guards what follows.
  BlockMeta meta_;
  std::shared_ptr<const Tombstones> tombstones_;
  uint64_t small_files_bytes_ = 0;
};

// Rewrites the index version of a block that an old version of upstream wrote with meta.json
// version 2, and sets that version to 1. Gives whether there was anything to do.
Result<bool> RepairBadIndexVersion(FileSystem& files, const std::string& block_directory);

}  // namespace narthex::tsdb
