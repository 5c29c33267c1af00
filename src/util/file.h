// The file-system door: everything that reaches the disk goes through here, so that tests can break
// it and errors read alike ("open wal/00000001: no such file or directory").
//
// The default implementation is POSIX. Publishing is always: write a temporary file, Sync, Rename,
// SyncDir.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "util/status.h"

namespace narthex {

// An append-only or positional writer. One thread at a time. Closing twice is harmless.
class WritableFile {
 public:
  virtual ~WritableFile() = default;
  virtual Status Append(std::string_view bytes) = 0;
  virtual Status WriteAt(uint64_t offset, std::string_view bytes) = 0;
  virtual Status Sync() = 0;  // fdatasync
  virtual Status Truncate(uint64_t size) = 0;
  // Reserves space without changing what reads see beyond the written end (zeros).
  virtual Status Preallocate(uint64_t size) = 0;
  virtual Status Close() = 0;
};

// A file mapped read-only; the view lives as long as the object.
class MappedFile {
 public:
  virtual ~MappedFile() = default;
  virtual std::string_view data() const = 0;
};

struct FileInfo {
  std::string name;  // Without the folder.
  bool is_directory = false;
  uint64_t size = 0;
};

// Safe from any thread. Not-found has the code kNotFound, everything else kIo.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  enum class OpenMode { kTruncate, kAppend, kExisting };
  virtual Result<std::unique_ptr<WritableFile>> OpenForWrite(const std::string& path,
                                                             OpenMode mode) = 0;
  virtual Result<std::unique_ptr<MappedFile>> Map(const std::string& path) = 0;
  virtual Result<std::string> ReadAll(const std::string& path) = 0;
  virtual Result<std::vector<FileInfo>> List(const std::string& directory) = 0;  // Sorted by name.
  virtual Result<FileInfo> Stat(const std::string& path) = 0;
  virtual Status CreateDirectories(const std::string& path) = 0;
  virtual Status Rename(const std::string& from, const std::string& to) = 0;
  virtual Status RemoveFile(const std::string& path) = 0;  // Missing is fine.
  virtual Status RemoveAll(const std::string& path) = 0;   // Missing is fine.
  virtual Status HardLink(const std::string& from, const std::string& to) = 0;
  virtual Status SyncDirectory(const std::string& path) = 0;

  bool Exists(const std::string& path) { return Stat(path).ok(); }
  // Makes what is missing of the path and syncs the folders that hold it, so that a loss of power
  // does not take away what is put there afterwards.
  Status CreateDirectoriesDurably(const std::string& path);
  // Temporary file, sync, rename, sync of the folder.
  Status WriteAtomically(const std::string& path, std::string_view contents);

  // The real one; lives for ever.
  static FileSystem& Posix();
};

// "a/b" of "a" and "b".
std::string JoinPath(std::string_view folder, std::string_view name);
std::string BaseName(std::string_view path);
std::string DirName(std::string_view path);
// "no such file or directory" of ENOENT, as Go spells errno texts.
std::string ErrnoText(int error);

// A fresh folder below $TMPDIR that is removed with everything in it at the end of its life.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace narthex
