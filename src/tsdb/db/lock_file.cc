#include "tsdb/db/lock_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "util/file.h"
#include "util/log.h"

namespace narthex::tsdb {

Result<std::unique_ptr<LockFile>> LockFile::Acquire(const std::string& path) {
  struct stat info;
  const bool existed = stat(path.c_str(), &info) == 0;
  if (existed) {
    LOG_WARN("A lockfile from a previous execution already existed. It was replaced",
             {"file", path});
  }
  const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) {
    return MakeError(ErrorCode::kIo, "lock DB directory: open {}: {}", path, ErrnoText(errno));
  }
  if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    close(descriptor);
    return MakeError(ErrorCode::kUnavailable, "lock DB directory: {}", ErrnoText(error));
  }
  return std::unique_ptr<LockFile>(
      new LockFile(path, descriptor, existed ? Start::kReplaced : Start::kClean));
}

LockFile::~LockFile() {
  // Removed while still held: nobody can lock the old file in between.
  unlink(path_.c_str());
  close(descriptor_);
}

}  // namespace narthex::tsdb
