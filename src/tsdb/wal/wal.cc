#include "tsdb/wal/wal.h"

#include <fmt/format.h>

#include <algorithm>

#include "tsdb/wal/records.h"
#include "tsdb/wal/sample_compress.h"
#include "tsdb/wal/wal_internal.h"
#include "util/bytes.h"
#include "util/compress.h"
#include "util/crc32c.h"
#include "util/time.h"

namespace narthex::tsdb {

Status WalCorruption::ToStatus() const {
  if (segment < 0) {
    return MakeError(ErrorCode::kCorruption, "corruption after {} bytes: {}", offset, reason);
  }
  return MakeError(ErrorCode::kCorruption, "corruption in segment {} at {}: {}",
                   WalSegmentPath(directory, segment), offset, reason);
}

std::string WalSegmentPath(const std::string& directory, int index) {
  return JoinPath(directory, fmt::format("{:08}", index));
}

Result<std::vector<WalSegment>> ListWalSegments(FileSystem& files, const std::string& directory) {
  std::vector<WalSegment> segments;
  auto listed = files.List(directory);
  if (!listed.ok()) {
    if (listed.status().code() == ErrorCode::kNotFound) return segments;
    return std::move(listed).status();
  }
  for (const FileInfo& info : *listed) {
    const bool is_number =
        !info.name.empty() && info.name.size() <= 9 &&
        std::ranges::all_of(info.name, [](char c) { return c >= '0' && c <= '9'; });
    if (is_number && !info.is_directory) {
      segments.push_back({std::stoi(info.name), JoinPath(directory, info.name), info.size});
    }
  }
  std::ranges::sort(segments, {}, &WalSegment::index);
  for (size_t i = 1; i < segments.size(); ++i) {
    if (segments[i].index != segments[i - 1].index + 1) {
      return MakeError(ErrorCode::kCorruption, "segments are not sequential");
    }
  }
  return segments;
}

Wal::Wal(FileSystem& files, std::string directory, WalOptions options)
    : files_(files), directory_(std::move(directory)), options_(options) {}

Result<std::unique_ptr<Wal>> Wal::Open(FileSystem& files, const std::string& directory,
                                       const WalOptions& options) {
  if (options.segment_bytes == 0 || options.segment_bytes % kWalPageBytes != 0) {
    return MakeError(ErrorCode::kInvalidInput, "invalid segment size");
  }
  NARTHEX_RETURN_IF_ERROR(files.CreateDirectoriesDurably(directory));
  NARTHEX_TRY(const std::vector<WalSegment> segments, ListWalSegments(files, directory));
  std::unique_ptr<Wal> wal(new Wal(files, directory, options));
  NARTHEX_RETURN_IF_ERROR(wal->OpenSegment(segments.empty() ? 0 : segments.back().index + 1));
  NARTHEX_RETURN_IF_ERROR(files.SyncDirectory(directory));
  return wal;
}

Wal::~Wal() {
  // Whoever wants to know whether the padding reached the disk calls Close.
  (void)Close();
}

Status Wal::OpenSegment(int index) {
  NARTHEX_TRY(auto file, files_.OpenForWrite(WalSegmentPath(directory_, index),
                                             FileSystem::OpenMode::kTruncate));
  file_ = std::move(file);
  segment_ = index;
  written_ = 0;
  pending_.clear();
  broken_ = {};
  return {};
}

Status Wal::Flush() {
  if (pending_.empty()) return {};
  const uint64_t pages_before = written_ / kWalPageBytes;
  // At its place: an attempt that failed in the middle has moved the end of the file.
  if (Status status = file_->WriteAt(written_, pending_); !status.ok()) {
    pending_.clear();
    // Part of it may be in the file; what follows it would be unreadable.
    if (Status cut = file_->Truncate(written_); !cut.ok()) {
      broken_ = cut.WithPrefix("write-ahead log is unusable after a failed write: ");
    }
    return status;
  }
  written_ += pending_.size();
  pending_.clear();
  ++stats_.page_flushes;
  stats_.completed_pages += written_ / kWalPageBytes - pages_before;
  return {};
}

Status Wal::PadPage() {
  if (const uint64_t used = page_used(); used != 0) {
    pending_.append(kWalPageBytes - used, '\0');
  }
  return {};
}

Status Wal::CutSegment() {
  NARTHEX_RETURN_IF_ERROR(PadPage());
  NARTHEX_RETURN_IF_ERROR(Flush());
  std::unique_ptr<WritableFile> finished = std::move(file_);
  if (Status status = OpenSegment(segment_ + 1); !status.ok()) {
    file_ = std::move(finished);
    return status;
  }
  SyncInBackground(std::move(finished));
  return {};
}

void Wal::SyncInBackground(std::unique_ptr<WritableFile> file) {
  // Commits do not wait for the sync of a whole segment; at most one is under way.
  JoinBackground();
  background_ = std::thread([this, done = std::shared_ptr<WritableFile>(std::move(file))] {
    Status status = SyncFile(*done);
    if (status.ok()) status = done->Close();
    // The name of the segment that follows.
    if (status.ok()) status = files_.SyncDirectory(directory_);
    background_status_ = std::move(status);
  });
}

void Wal::JoinBackground() {
  if (background_.joinable()) background_.join();
}

Status Wal::AppendRecord(std::string_view record) {
  std::string& compressed = compressed_;
  uint8_t flags = 0;
  if (!record.empty() && options_.compression != WalCompression::kNone) {
    const bool snappy = options_.compression == WalCompression::kSnappy;
    if (snappy && static_cast<uint8_t>(record[0]) == static_cast<uint8_t>(RecordType::kSamples)) {
      SnappyCompressSamples(record, &compressed);
    } else {
      compressed = snappy ? SnappyCompress(record) : ZstdCompress(record);
    }
    if (compressed.size() < record.size()) {
      stats_.record_bytes_saved += record.size() - compressed.size();
      record = compressed;
      flags = snappy ? kFragmentSnappy : kFragmentZstd;
    }
  }

  // Fewer bytes than a header end the page.
  if (kWalPageBytes - page_used() < kWalFragmentHeaderBytes) NARTHEX_RETURN_IF_ERROR(PadPage());
  const uint64_t pages = options_.segment_bytes / kWalPageBytes;
  const uint64_t done = (written_ + pending_.size()) / kWalPageBytes;
  constexpr uint64_t kPayload = kWalPageBytes - kWalFragmentHeaderBytes;
  const uint64_t left = done >= pages ? 0
                                      : kWalPageBytes - page_used() - kWalFragmentHeaderBytes +
                                            kPayload * (pages - done - 1);
  if (done >= pages || record.size() > left) NARTHEX_RETURN_IF_ERROR(CutSegment());

  bool is_first = true;
  do {
    if (kWalPageBytes - page_used() < kWalFragmentHeaderBytes) NARTHEX_RETURN_IF_ERROR(PadPage());
    const size_t room = kWalPageBytes - page_used() - kWalFragmentHeaderBytes;
    const std::string_view part = record.substr(0, std::min(room, record.size()));
    const bool is_last = part.size() == record.size();
    const uint8_t type = is_first && is_last ? kFragmentFull
                         : is_last           ? kFragmentLast
                         : is_first          ? kFragmentFirst
                                             : kFragmentMiddle;
    char header[kWalFragmentHeaderBytes];
    header[0] = static_cast<char>(type | flags);
    StoreBigEndian16(header + 1, static_cast<uint16_t>(part.size()));
    StoreBigEndian32(header + 3, Crc32c(part));
    pending_.append(header, sizeof header);
    pending_.append(part);
    ++stats_.record_part_writes;
    stats_.record_parts_bytes_written += part.size() + kWalFragmentHeaderBytes;
    record.remove_prefix(part.size());
    is_first = false;
  } while (!record.empty());
  if (kWalPageBytes - page_used() < kWalFragmentHeaderBytes && page_used() != 0) return PadPage();
  return {};
}

Status Wal::LogLocked(std::span<const std::string_view> records) {
  if (closed_) return MakeError(ErrorCode::kUnavailable, "write-ahead log is closed");
  if (!broken_.ok()) return broken_;
  for (const std::string_view record : records) {
    if (Status status = AppendRecord(record); !status.ok()) {
      pending_.clear();
      return status;
    }
  }
  return Flush();
}

Status Wal::Log(std::span<const std::string_view> records) {
  const std::lock_guard lock(mutex_);
  Status status = LogLocked(records);
  if (!status.ok()) ++stats_.writes_failed;
  return status;
}

Result<int> Wal::NextSegment() {
  const std::lock_guard lock(mutex_);
  if (closed_) return MakeError(ErrorCode::kUnavailable, "write-ahead log is closed");
  NARTHEX_RETURN_IF_ERROR(CutSegment());
  return segment_;
}

Status Wal::Truncate(int index) {
  const std::lock_guard lock(mutex_);
  NARTHEX_TRY(const std::vector<WalSegment> segments, ListWalSegments(files_, directory_));
  for (const WalSegment& segment : segments) {
    if (segment.index >= index) break;
    NARTHEX_RETURN_IF_ERROR(files_.RemoveFile(segment.path));
  }
  return {};
}

Status Wal::Repair(const WalCorruption& corruption) {
  const std::lock_guard lock(mutex_);
  if (corruption.segment < 0) {
    return MakeError(ErrorCode::kCorruption, "corruption error does not specify position");
  }
  if (corruption.directory != directory_) {
    return corruption.ToStatus().WithPrefix("cannot handle error: ");
  }
  JoinBackground();
  NARTHEX_RETURN_IF_ERROR(file_->Close());
  auto listed = files_.List(directory_);
  if (!listed.ok()) return listed.status().WithPrefix("list segments: ");
  NARTHEX_TRY(const std::vector<WalSegment> segments, ListWalSegments(files_, directory_));
  for (const WalSegment& segment : segments) {
    if (segment.index > corruption.segment) {
      NARTHEX_RETURN_IF_ERROR(files_.RemoveFile(segment.path));
    }
  }

  const std::string damaged = WalSegmentPath(directory_, corruption.segment);
  const std::string aside = damaged + ".repair";
  NARTHEX_RETURN_IF_ERROR(files_.Rename(damaged, aside));
  NARTHEX_RETURN_IF_ERROR(OpenSegment(corruption.segment));
  {
    WalReader reader(files_, {{corruption.segment, aside, 0}});
    while (reader.Next() && reader.offset() < corruption.offset) {
      const std::string_view record = reader.record();
      NARTHEX_RETURN_IF_ERROR(LogLocked(std::span(&record, 1)));
    }
  }
  NARTHEX_RETURN_IF_ERROR(PadPage());
  NARTHEX_RETURN_IF_ERROR(Flush());
  NARTHEX_RETURN_IF_ERROR(SyncFile(*file_));
  NARTHEX_RETURN_IF_ERROR(files_.RemoveFile(aside));
  NARTHEX_RETURN_IF_ERROR(file_->Close());
  return OpenSegment(corruption.segment + 1);
}

Status Wal::Sync() {
  const std::lock_guard lock(mutex_);
  if (closed_) return {};
  JoinBackground();
  NARTHEX_RETURN_IF_ERROR(background_status_);
  return SyncFile(*file_);
}

Status Wal::Close() {
  const std::lock_guard lock(mutex_);
  if (closed_) return {};
  closed_ = true;
  JoinBackground();
  if (file_ == nullptr) return {};
  NARTHEX_RETURN_IF_ERROR(PadPage());
  NARTHEX_RETURN_IF_ERROR(Flush());
  NARTHEX_RETURN_IF_ERROR(SyncFile(*file_));
  NARTHEX_RETURN_IF_ERROR(file_->Close());
  return background_status_;
}

WalPosition Wal::position() const {
  const std::lock_guard lock(mutex_);
  return {segment_, written_};
}

Result<uint64_t> Wal::Size() const {
  NARTHEX_TRY(const std::vector<FileInfo> infos, files_.List(directory_));
  uint64_t bytes = 0;
  for (const FileInfo& info : infos) {
    if (!info.is_directory) bytes += info.size;
  }
  return bytes;
}

Wal::Stats Wal::stats() const {
  const std::lock_guard lock(mutex_);
  Stats stats = stats_;
  const std::lock_guard fsync_lock(fsync_mutex_);
  stats.fsync = fsync_.Read(MonotonicNanos(), {0.5, 0.9, 0.99});
  return stats;
}

Status Wal::SyncFile(WritableFile& file) {
  const int64_t start = MonotonicNanos();
  Status status = file.Sync();
  const int64_t end = MonotonicNanos();
  const std::lock_guard lock(fsync_mutex_);
  fsync_.Observe(end, end - start);
  return status;
}

}  // namespace narthex::tsdb
