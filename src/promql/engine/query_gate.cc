#include "promql/engine/query_gate.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "util/file.h"
#include "util/log.h"
#include "util/strings.h"
#include "util/time.h"

namespace narthex::promql {
namespace {

constexpr size_t kEntryBytes = 1000;

std::string Entry(std::string_view query, int64_t seconds) {
  std::string entry = "{\"query\":";
  AppendJsonString(query, JsonEscape::kGo, &entry);
  entry += fmt::format(",\"timestamp_sec\":{}}}", seconds);
  return entry;
}

// At most `bytes` of the text, cut where a rune starts.
std::string_view TrimToBytes(std::string_view text, size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<uint8_t>(text[bytes]) & 0xc0) == 0x80) --bytes;
  return text.substr(0, bytes);
}

void LogUnfinished(std::string contents) {
  std::erase(contents, '\0');
  // An orderly end leaves nothing but the bracket.
  if (contents.size() <= 1) return;
  contents.back() = ']';
  LOG_INFO("These queries didn't finish in prometheus' last run:", {"queries", contents});
}

}  // namespace

QueryGate::QueryGate(size_t slots) : slots_(slots) {
  for (size_t i = slots; i > 0; --i) free_.push_back(i - 1);
}

Result<std::unique_ptr<QueryGate>> QueryGate::Open(const std::string& folder, size_t slots) {
  FileSystem& files = FileSystem::Posix();
  NARTHEX_RETURN_IF_ERROR(
      files.CreateDirectories(folder).WithPrefix("create active query log directory: "));
  const std::string path = JoinPath(folder, "queries.active");
  if (Result<std::string> left = files.ReadAll(path); left.ok()) LogUnfinished(*std::move(left));

  auto gate = std::make_unique<QueryGate>(slots);
  const size_t bytes = 1 + slots * kEntryBytes;
  const int fd = ::open(path.c_str(), O_CREAT | O_RDWR | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) {
    return MakeError(ErrorCode::kIo, "create mmap-ed active query log: open {}: {}", path,
                     ErrnoText(errno));
  }
  void* mapped = MAP_FAILED;
  if (::ftruncate(fd, static_cast<off_t>(bytes)) == 0) {
    mapped = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  }
  const int error = errno;
  ::close(fd);
  if (mapped == MAP_FAILED) {
    return MakeError(ErrorCode::kIo, "create mmap-ed active query log: {}", ErrnoText(error));
  }
  gate->mapped_ = static_cast<char*>(mapped);
  gate->mapped_bytes_ = bytes;
  gate->mapped_[0] = '[';
  return gate;
}

QueryGate::~QueryGate() {
  if (mapped_ != nullptr) ::munmap(mapped_, mapped_bytes_);
}

void QueryGate::Write(size_t slot, std::string_view query) {
  if (mapped_ == nullptr) return;
  const int64_t seconds = Clock::System().NowMillis() / kMillisPerSecond;
  const size_t room = kEntryBytes - (Entry("", seconds).size() + 1);
  // Escapes may make the entry longer than the slot; what does not fit is cut off.
  const std::string entry = Entry(TrimToBytes(query, room), seconds);
  char* at = mapped_ + 1 + slot * kEntryBytes;
  std::copy_n(entry.data(), std::min(entry.size(), kEntryBytes - 1), at);
  at[kEntryBytes - 1] = ',';
}

Result<size_t> QueryGate::Enter(std::string_view query, std::stop_token stop, int64_t deadline_ns) {
  size_t slot = 0;
  {
    std::unique_lock lock(mutex_);
    const auto wait =
        std::chrono::nanoseconds(std::max<int64_t>(0, deadline_ns - MonotonicNanos()));
    freed_.wait_for(lock, stop, wait, [this] { return !free_.empty(); });
    if (stop.stop_requested()) return Status(ErrorCode::kCanceled, "context canceled");
    if (free_.empty()) return Status(ErrorCode::kTimeout, "context deadline exceeded");
    slot = free_.back();
    free_.pop_back();
  }
  Write(slot, query);
  return slot;
}

void QueryGate::Leave(size_t slot) {
  if (mapped_ != nullptr) std::memset(mapped_ + 1 + slot * kEntryBytes, 0, kEntryBytes);
  {
    const std::lock_guard lock(mutex_);
    free_.push_back(slot);
  }
  freed_.notify_one();
}

}  // namespace narthex::promql
