// A data directory opened for reading only, also while a server writes to it.
//
// Replaying the log may cut chunk files and opening a log begins a segment, so the head works in a
// sandbox: a temporary folder with hard links (copies, across file systems) of the log and of the
// head's chunks. It is removed with the object.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "storage/storage.h"
#include "tsdb/block/block.h"
#include "tsdb/head/head.h"
#include "tsdb/wal/wal.h"
#include "util/status.h"
#include "util/time.h"

namespace narthex::apps {

class ReadOnlyDatabase : public storage::Queryable {
 public:
  using Blocks = std::vector<std::shared_ptr<tsdb::Block>>;

  // `opening the db dir: …`, `setting up sandbox dir: …`. An empty root: the data directory.
  static Result<std::unique_ptr<ReadOnlyDatabase>> Open(const std::string& directory,
                                                        const std::string& sandbox_root);
  ~ReadOnlyDatabase() override;

  // Ascending by first time. `corrupted block <ulid>: …`.
  Result<Blocks> OpenBlocks() const;
  // `invalid block ID …`; an empty name: the newest.
  Result<std::shared_ptr<tsdb::Block>> OpenBlock(std::string ulid) const;
  // Blocks, and the head where they end before `range`. The database outlives the querier.
  Result<std::unique_ptr<storage::Querier>> OpenQuerier(TimeRange range) override;

 private:
  ReadOnlyDatabase(std::string directory, std::string sandbox)
      : directory_(std::move(directory)), sandbox_(std::move(sandbox)) {}
  Status OpenHead(int64_t min_valid_ms);

  const std::string directory_;
  const std::string sandbox_;
  std::unique_ptr<tsdb::Wal> wal_;
  std::unique_ptr<tsdb::Wal> wbl_;
  std::unique_ptr<tsdb::Head> head_;
};

}  // namespace narthex::apps
