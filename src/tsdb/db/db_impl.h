// The inside of Db, shared by its source files.
//
// Locks, in this order: compaction_mutex (one of compaction, reload, deletion at a time),
// blocks_mutex (the list of blocks, held for moments only). The head has its own.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tsdb/db/db.h"
#include "tsdb/db/lock_file.h"
#include "tsdb/head/head.h"

namespace narthex::tsdb {

struct Db::Impl {
  explicit Impl(DbOptions db_options);
  ~Impl();

  Status Open();
  Status Close();
  void RunBackground();
  void Wake();
  Status Tick();

  DbOptions options;
  FileSystem& files;
  Clock& clock;
  std::string wal_directory;

  std::unique_ptr<LockFile> lock;
  std::unique_ptr<Wal> wal;
  std::unique_ptr<Head> head;

  std::mutex compaction_mutex;

  std::mutex background_mutex;
  std::condition_variable background_changed;
  bool stopping = false;
  bool full_chunks = false;
  bool closed = false;
  std::thread background;
};

}  // namespace narthex::tsdb
