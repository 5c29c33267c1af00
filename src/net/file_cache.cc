#include "net/file_cache.h"

#include "util/file.h"
#include "util/strings.h"

namespace narthex::net {
namespace {

bool SameTime(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool IsSame(const struct stat& a, const struct stat& b) {
  return a.st_ino == b.st_ino && a.st_dev == b.st_dev && a.st_size == b.st_size &&
         SameTime(a.st_mtim, b.st_mtim) && SameTime(a.st_ctim, b.st_ctim);
}

}  // namespace

Result<FileCache::Bytes> FileCache::Read(const std::string& path) {
  struct stat now{};
  const bool there = stat(path.c_str(), &now) == 0;
  const auto found = files_.find(path);
  if (there && found != files_.end() && IsSame(found->second.seen, now)) {
    return found->second.bytes;
  }
  NARTHEX_TRY(std::string text, FileSystem::Posix().ReadAll(path));
  if (files_.size() >= kFilesMax) files_.clear();
  Entry& entry = files_[path];
  entry.seen = now;
  entry.bytes = std::make_shared<const std::string>(std::move(text));
  return entry.bytes;
}

Result<std::string> FileCache::ReadTrimmed(const std::string& path) {
  NARTHEX_TRY(const Bytes bytes, Read(path));
  return std::string(TrimSpace(*bytes));
}

}  // namespace narthex::net
