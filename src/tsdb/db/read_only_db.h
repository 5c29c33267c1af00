// A data directory seen without changing it, also while a server has it open: for tools.
//
// Blocks are mapped where they are. The head is replayed from the log into memory, with hard links
// of the head chunk files in a folder of its own (tmp_dbro_sandbox…), so that files which the
// server deletes meanwhile stay readable. The folder goes when the object goes.
//
// Threads: any.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "storage/storage.h"
#include "tsdb/db/db.h"
#include "util/file.h"
#include "util/status.h"

namespace narthex::tsdb {

class ReadOnlyDb : public storage::Queryable {
 public:
  // The sandbox is made below `sandbox_root`; empty: below `path`.
  static Result<std::unique_ptr<ReadOnlyDb>> Open(const std::string& path,
                                                  const std::string& sandbox_root = {},
                                                  FileSystem* file_system = nullptr);
  ~ReadOnlyDb() override;

  Result<std::unique_ptr<storage::Querier>> OpenQuerier(TimeRange range) override;
  std::vector<BlockInfo> Blocks() const;

 private:
  struct Impl;
  explicit ReadOnlyDb(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace narthex::tsdb
