// Small files that every request looks at: tokens, passwords, certificates. A file is read again
// when its inode, size or times have changed, so that a look costs one system call.
//
// Threads: one at a time.
#pragma once

#include <sys/stat.h>

#include <memory>
#include <string>
#include <unordered_map>

#include "util/status.h"

namespace narthex::net {

class FileCache {
 public:
  using Bytes = std::shared_ptr<const std::string>;
  // Errors: `open FILE: no such file or directory`.
  Result<Bytes> Read(const std::string& path);
  // Likewise, without white space around it.
  Result<std::string> ReadTrimmed(const std::string& path);

 private:
  static constexpr size_t kFilesMax = 1024;  // Then all are forgotten.
  struct Entry {
    struct stat seen{};
    Bytes bytes;
  };
  std::unordered_map<std::string, Entry> files_;
};

}  // namespace narthex::net
