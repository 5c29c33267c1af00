// The file that keeps two processes from opening one data directory.
//
// An flock, so that a crash releases it; a file that is still there at start tells of that crash.
#pragma once

#include <memory>
#include <string>

#include "util/status.h"

namespace narthex::tsdb {

class LockFile {
 public:
  // What was found, as prometheus_tsdb_clean_start reports it.
  enum class Start : int { kDisabled = -1, kReplaced = 0, kClean = 1 };

  // `lock DB directory: …`
  static Result<std::unique_ptr<LockFile>> Acquire(const std::string& path);
  ~LockFile();
  LockFile(const LockFile&) = delete;
  LockFile& operator=(const LockFile&) = delete;

  Start start() const { return start_; }

 private:
  LockFile(std::string path, int descriptor, Start start)
      : path_(std::move(path)), descriptor_(descriptor), start_(start) {}

  std::string path_;
  int descriptor_;
  Start start_;
};

}  // namespace narthex::tsdb
