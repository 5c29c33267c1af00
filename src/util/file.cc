#include "util/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "util/check.h"

namespace narthex {
namespace {

constexpr mode_t kFileMode = 0666;  // The umask narrows it, as for upstream's files.
constexpr mode_t kDirectoryMode = 0777;

Status ErrnoError(std::string_view operation, std::string_view path) {
  const int error = errno;
  return MakeError(error == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo, "{} {}: {}", operation,
                   path, ErrnoText(error));
}

// Owns a descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

class PosixWritableFile : public WritableFile {
 public:
  PosixWritableFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  ~PosixWritableFile() override {
    if (fd_ >= 0) ::close(fd_);
  }

  Status Append(std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
      if (n < 0) {
        if (errno == EINTR) continue;
        return ErrnoError("write", path_);
      }
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return {};
  }
  Status WriteAt(uint64_t offset, std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t n = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (n < 0) {
        if (errno == EINTR) continue;
        return ErrnoError("write", path_);
      }
      bytes.remove_prefix(static_cast<size_t>(n));
      offset += static_cast<uint64_t>(n);
    }
    return {};
  }
  Status Sync() override {
    if (::fdatasync(fd_) != 0) return ErrnoError("sync", path_);
    return {};
  }
  Status Truncate(uint64_t size) override {
    if (::ftruncate(fd_, static_cast<off_t>(size)) != 0) return ErrnoError("truncate", path_);
    return {};
  }
  Status Preallocate(uint64_t size) override {
    // Where the file system cannot reserve, a sparse extension gives the same contents.
    if (::fallocate(fd_, 0, 0, static_cast<off_t>(size)) == 0) return {};
    if (errno != EOPNOTSUPP && errno != ENOSYS) return ErrnoError("preallocate", path_);
    return Truncate(size);
  }
  Status Close() override {
    if (fd_ < 0) return {};
    const int fd = std::exchange(fd_, -1);
    if (::close(fd) != 0) return ErrnoError("close", path_);
    return {};
  }

 private:
  int fd_;
  std::string path_;
};

class PosixMappedFile : public MappedFile {
 public:
  PosixMappedFile(void* address, size_t size) : address_(address), size_(size) {}
  ~PosixMappedFile() override {
    if (size_ > 0) ::munmap(address_, size_);
  }
  std::string_view data() const override { return {static_cast<const char*>(address_), size_}; }

 private:
  void* address_;
  size_t size_;
};

class PosixFileSystem : public FileSystem {
 public:
  Result<std::unique_ptr<WritableFile>> OpenForWrite(const std::string& path,
                                                     OpenMode mode) override {
    int flags = O_WRONLY | O_CLOEXEC;
    if (mode == OpenMode::kTruncate) flags |= O_CREAT | O_TRUNC;
    if (mode == OpenMode::kAppend) flags |= O_CREAT | O_APPEND;
    const int fd = ::open(path.c_str(), flags, kFileMode);
    if (fd < 0) return ErrnoError("open", path);
    return std::unique_ptr<WritableFile>(std::make_unique<PosixWritableFile>(fd, path));
  }

  Result<std::unique_ptr<MappedFile>> Map(const std::string& path) override {
    const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (fd.get() < 0) return ErrnoError("open", path);
    struct stat info;
    if (::fstat(fd.get(), &info) != 0) return ErrnoError("stat", path);
    const auto size = static_cast<size_t>(info.st_size);
    void* address = nullptr;
    if (size > 0) {
      address = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0);
      if (address == MAP_FAILED) return ErrnoError("mmap", path);
    }
    return std::unique_ptr<MappedFile>(std::make_unique<PosixMappedFile>(address, size));
  }

  Result<std::string> ReadAll(const std::string& path) override {
    const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (fd.get() < 0) return ErrnoError("open", path);
    struct stat info;
    if (::fstat(fd.get(), &info) != 0) return ErrnoError("stat", path);
    // Files of /proc say 0 bytes, so the size is a hint and the end of file decides.
    std::string contents;
    size_t filled = 0;
    constexpr size_t kReadBytes = 16 * 1024;
    contents.resize(static_cast<size_t>(std::max<off_t>(info.st_size, 0)) + kReadBytes);
    for (;;) {
      if (filled == contents.size()) contents.resize(contents.size() * 2);
      const ssize_t n = ::read(fd.get(), contents.data() + filled, contents.size() - filled);
      if (n < 0) {
        if (errno == EINTR) continue;
        return ErrnoError("read", path);
      }
      if (n == 0) break;
      filled += static_cast<size_t>(n);
    }
    contents.resize(filled);
    return contents;
  }

  Result<std::vector<FileInfo>> List(const std::string& directory) override {
    DIR* handle = ::opendir(directory.c_str());
    if (handle == nullptr) return ErrnoError("open", directory);
    std::vector<FileInfo> entries;
    while (const dirent* entry = ::readdir(handle)) {
      const std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      // An entry that vanished between the two calls is not an error of the listing.
      if (Result<FileInfo> info = Stat(JoinPath(directory, name)); info.ok()) {
        entries.push_back(*std::move(info));
      }
    }
    ::closedir(handle);
    std::sort(entries.begin(), entries.end(),
              [](const FileInfo& a, const FileInfo& b) { return a.name < b.name; });
    return entries;
  }

  Result<FileInfo> Stat(const std::string& path) override {
    struct stat info;
    if (::stat(path.c_str(), &info) != 0) return ErrnoError("stat", path);
    return FileInfo{BaseName(path), S_ISDIR(info.st_mode), static_cast<uint64_t>(info.st_size)};
  }

  Status CreateDirectories(const std::string& path) override {
    for (size_t at = 1; at <= path.size(); ++at) {
      if (at < path.size() && path[at] != '/') continue;
      const std::string part = path.substr(0, at);
      if (::mkdir(part.c_str(), kDirectoryMode) != 0 && errno != EEXIST) {
        return ErrnoError("mkdir", part);
      }
    }
    return {};
  }

  Status Rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return ErrnoError("rename", from + " " + to);
    return {};
  }
  Status RemoveFile(const std::string& path) override {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return ErrnoError("remove", path);
    return {};
  }
  Status RemoveAll(const std::string& path) override {
    struct stat info;
    if (::lstat(path.c_str(), &info) != 0) {
      if (errno == ENOENT) return {};
      return ErrnoError("stat", path);
    }
    if (!S_ISDIR(info.st_mode)) return RemoveFile(path);
    NARTHEX_TRY(const std::vector<FileInfo> entries, List(path));
    for (const FileInfo& entry : entries) {
      NARTHEX_RETURN_IF_ERROR(RemoveAll(JoinPath(path, entry.name)));
    }
    if (::rmdir(path.c_str()) != 0 && errno != ENOENT) return ErrnoError("remove", path);
    return {};
  }
  Status HardLink(const std::string& from, const std::string& to) override {
    if (::link(from.c_str(), to.c_str()) != 0) return ErrnoError("link", from + " " + to);
    return {};
  }
  Status SyncDirectory(const std::string& path) override {
    const Descriptor fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd.get() < 0) return ErrnoError("open", path);
    if (::fsync(fd.get()) != 0) return ErrnoError("sync", path);
    return {};
  }
};

}  // namespace

FileSystem& FileSystem::Posix() {
  static PosixFileSystem file_system;
  return file_system;
}

Status FileSystem::CreateDirectoriesDurably(const std::string& path) {
  std::string trimmed = path;
  while (trimmed.size() > 1 && trimmed.back() == '/') trimmed.pop_back();
  if (trimmed.empty() || Exists(trimmed)) return {};
  const std::string parent = DirName(trimmed);
  NARTHEX_RETURN_IF_ERROR(CreateDirectoriesDurably(parent));
  NARTHEX_RETURN_IF_ERROR(CreateDirectories(trimmed));
  return SyncDirectory(parent);
}

Status FileSystem::WriteAtomically(const std::string& path, std::string_view contents) {
  const std::string temporary = path + ".tmp";
  {
    NARTHEX_TRY(const std::unique_ptr<WritableFile> file,
                OpenForWrite(temporary, OpenMode::kTruncate));
    NARTHEX_RETURN_IF_ERROR(file->Append(contents));
    NARTHEX_RETURN_IF_ERROR(file->Sync());
    NARTHEX_RETURN_IF_ERROR(file->Close());
  }
  NARTHEX_RETURN_IF_ERROR(Rename(temporary, path));
  return SyncDirectory(DirName(path));
}

std::string JoinPath(std::string_view folder, std::string_view name) {
  std::string path(folder);
  if (!path.empty() && path.back() != '/') path.push_back('/');
  path.append(name);
  return path;
}

std::string BaseName(std::string_view path) {
  return std::string(path.substr(path.find_last_of('/') + 1));
}

std::string DirName(std::string_view path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string_view::npos) return ".";
  return std::string(path.substr(0, std::max<size_t>(slash, 1)));
}

std::string ErrnoText(int error) {
  char buffer[256];
  std::string text = strerror_r(error, buffer, sizeof buffer);
  // Go's texts are the C library's with a lower first letter, unless it starts an acronym.
  const auto is_upper = [](char c) { return c >= 'A' && c <= 'Z'; };
  if (text.size() > 1 && is_upper(text[0]) && !is_upper(text[1])) {
    text[0] = static_cast<char>(text[0] | 0x20);
  }
  return text;
}

TemporaryDirectory::TemporaryDirectory() {
  const char* base = std::getenv("TMPDIR");
  path_ = JoinPath(base != nullptr ? base : "/tmp", "narthex-XXXXXX");
  NARTHEX_CHECK(::mkdtemp(path_.data()) != nullptr);
}

TemporaryDirectory::~TemporaryDirectory() {
  // Nothing to do about a failure: the folder is below the system's temporary one.
  (void)FileSystem::Posix().RemoveAll(path_).ok();
}

}  // namespace narthex
