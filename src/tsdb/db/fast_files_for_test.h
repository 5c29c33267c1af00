// The real file system without waiting for the disk: tests that reopen databases hundreds of times
// are about the order of writes, not about power failures.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "util/file.h"

namespace narthex::tsdb {

class FastFiles : public FileSystem {
 public:
  // Set to refuse every write, as a full disk does.
  bool full = false;

  Result<std::unique_ptr<WritableFile>> OpenForWrite(const std::string& path,
                                                     OpenMode mode) override {
    NARTHEX_TRY(std::unique_ptr<WritableFile> file, real_.OpenForWrite(path, mode));
    return std::unique_ptr<WritableFile>(std::make_unique<File>(this, std::move(file)));
  }
  Result<std::unique_ptr<MappedFile>> Map(const std::string& path) override {
    return real_.Map(path);
  }
  Result<std::string> ReadAll(const std::string& path) override { return real_.ReadAll(path); }
  Result<std::vector<FileInfo>> List(const std::string& directory) override {
    return real_.List(directory);
  }
  Result<FileInfo> Stat(const std::string& path) override { return real_.Stat(path); }
  Status CreateDirectories(const std::string& path) override {
    return real_.CreateDirectories(path);
  }
  Status Rename(const std::string& from, const std::string& to) override {
    return real_.Rename(from, to);
  }
  Status RemoveFile(const std::string& path) override { return real_.RemoveFile(path); }
  Status RemoveAll(const std::string& path) override { return real_.RemoveAll(path); }
  Status HardLink(const std::string& from, const std::string& to) override {
    return real_.HardLink(from, to);
  }
  Status SyncDirectory(const std::string&) override { return {}; }

 private:
  class File : public WritableFile {
   public:
    File(const FastFiles* owner, std::unique_ptr<WritableFile> real)
        : owner_(owner), real_(std::move(real)) {}
    Status Append(std::string_view bytes) override {
      NARTHEX_RETURN_IF_ERROR(Room());
      return real_->Append(bytes);
    }
    Status WriteAt(uint64_t offset, std::string_view bytes) override {
      NARTHEX_RETURN_IF_ERROR(Room());
      return real_->WriteAt(offset, bytes);
    }
    Status Sync() override { return {}; }
    Status Truncate(uint64_t size) override { return real_->Truncate(size); }
    Status Preallocate(uint64_t size) override { return real_->Preallocate(size); }
    Status Close() override { return real_->Close(); }

   private:
    Status Room() const {
      if (!owner_->full) return {};
      return Status(ErrorCode::kIo, "no space left on device");
    }
    const FastFiles* owner_;
    std::unique_ptr<WritableFile> real_;
  };

  FileSystem& real_ = FileSystem::Posix();
};

}  // namespace narthex::tsdb
