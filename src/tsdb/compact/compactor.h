// Merges blocks into one, and cleans tombstones out of a block.
//
// Threads: one compaction at a time a folder; blocks may be queried meanwhile.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "tsdb/block/block.h"
#include "tsdb/compact/block_writer.h"
#include "util/file.h"
#include "util/status.h"
#include "util/time.h"

namespace narthex::tsdb {

class Compactor {
 public:
  Compactor(FileSystem& files, const Clock& clock, std::string directory)
      : files_(files), clock_(clock), directory_(std::move(directory)) {}

  // Writes the block that `blocks` (by start time) become and gives its name; the caller reloads
  // and removes the parents. Nothing when no sample is left: the parents are then marked deletable.
  // On a failure other than cancellation they are marked as failed.
  Result<std::optional<Ulid>> Compact(std::span<const std::shared_ptr<Block>> blocks,
                                      const BlockWriteOptions& options);

  // Writes the block anew without its deleted samples, when it has tombstones. Gives the name of
  // the new block; nothing when there was nothing to do (`*is_empty` false) or nothing is left
  // (`*is_empty` true).
  Result<std::optional<Ulid>> CleanTombstones(const std::shared_ptr<Block>& block,
                                              const BlockWriteOptions& options, bool* is_empty);

 private:
  FileSystem& files_;
  const Clock& clock_;
  const std::string directory_;
};

}  // namespace narthex::tsdb
