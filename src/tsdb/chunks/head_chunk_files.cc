#include "tsdb/chunks/head_chunk_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "tsdb/chunks/segment_files.h"
#include "util/bytes.h"
#include "util/crc32c.h"

namespace narthex::tsdb {
namespace {

constexpr uint8_t kVersion = 1;
constexpr size_t kCrcBytes = 4;
constexpr size_t kFixedBytes = 8 + 8 + 8 + 1;
constexpr size_t kLengthBytesMax = 5;
constexpr size_t kMetaBytesMax = kFixedBytes + kLengthBytesMax + kCrcBytes;
// The newest file grows in steps of this, so that readers seldom need a new map of it.
constexpr uint64_t kGrowthBytes = 4 * 1024 * 1024;

// One entry, found at the start of `data`.
struct Entry {
  uint64_t series_ref;
  int64_t min_ms;
  int64_t max_ms;
  uint8_t encoding;
  std::string_view bytes;
  size_t size;  // All of it, checksum included.
};

// Empty on success, else what is wrong.
std::string ParseEntry(std::string_view data, uint64_t start, uint64_t file_end, uint32_t file,
                       Entry* entry) {
  ByteReader reader(data);
  entry->series_ref = reader.BigEndian64();
  entry->min_ms = static_cast<int64_t>(reader.BigEndian64());
  entry->max_ms = static_cast<int64_t>(reader.BigEndian64());
  entry->encoding = reader.Byte();
  ByteReader length_reader(reader.rest().substr(0, kLengthBytesMax));
  const uint64_t length = length_reader.Uvarint();
  if (reader.failed() || length_reader.failed()) return "reading chunk length failed with 0";
  const size_t header =
      kFixedBytes + std::min(reader.remaining(), kLengthBytesMax) - length_reader.remaining();
  if (length > data.size() || header + length + kCrcBytes > data.size()) {
    return fmt::format(
        "head chunk file doesn't include enough bytes to read the chunk header - required:{}, "
        "available:{}, file:{}",
        start + header + length + kCrcBytes, file_end, file);
  }
  const uint32_t crc = Crc32c(data.substr(0, header + length));
  const uint32_t want = LoadBigEndian32(data.data() + header + length);
  if (crc != want) {
    return fmt::format("checksum mismatch expected:{:x}, actual:{:x}", want, crc);
  }
  entry->bytes = data.substr(header, length);
  entry->size = header + length + kCrcBytes;
  return {};
}

// The header is not whole, and nothing follows it.
bool HasTornHeader(std::string_view data) {
  std::string header;
  ByteWriter writer(&header);
  writer.PutBigEndian32(kHeadChunksMagic);
  writer.PutByte(kVersion);
  const size_t same = static_cast<size_t>(
      std::ranges::mismatch(header, data.substr(0, kChunkFileHeaderBytes)).in1 - header.begin());
  return same < header.size() && data.find_first_not_of('\0', same) == std::string_view::npos;
}

}  // namespace

Result<std::unique_ptr<HeadChunkFiles>> HeadChunkFiles::Open(FileSystem& files,
                                                             const std::string& directory,
                                                             const HeadChunkOptions& options) {
  NARTHEX_RETURN_IF_ERROR(files.CreateDirectoriesDurably(directory));
  std::unique_ptr<HeadChunkFiles> opened(new HeadChunkFiles(files, directory, options));
  NARTHEX_RETURN_IF_ERROR(opened->MapExisting());
  return opened;
}

HeadChunkFiles::~HeadChunkFiles() {
  // Whoever wants to know whether the last chunks reached the disk calls Close.
  (void)Close();
}

Status HeadChunkFiles::MapExisting() {
  NARTHEX_TRY(const std::vector<FileInfo> infos, files_.List(directory_));
  for (const FileInfo& info : infos) {
    const bool is_number =
        !info.name.empty() && info.name.size() <= 9 &&
        std::ranges::all_of(info.name, [](char c) { return c >= '0' && c <= '9'; });
    if (!is_number || info.is_directory) continue;
    by_number_[static_cast<uint32_t>(std::stoul(info.name))].path = JoinPath(directory_, info.name);
  }
  const File* before = nullptr;
  uint32_t number_before = 0;
  for (auto at = by_number_.begin(); at != by_number_.end();) {
    File& file = at->second;
    NARTHEX_TRY(std::unique_ptr<MappedFile> map, files_.Map(file.path));
    file.map = std::move(map);
    const std::string_view data = file.map->data();
    const bool is_last = std::next(at) == by_number_.end();
    // A crash between creating the newest file and writing its header, or in the middle of that.
    if (is_last && (data.size() < sizeof(uint32_t) || LoadBigEndian32(data.data()) == 0 ||
                    HasTornHeader(data))) {
      NARTHEX_RETURN_IF_ERROR(files_.RemoveFile(file.path));
      at = by_number_.erase(at);
      continue;
    }
    if (before != nullptr && at->first != number_before + 1) {
      return MakeError(ErrorCode::kCorruption,
                       "found unsequential head chunk files {} (index: {}) and {} (index: {})",
                       before->path, number_before, file.path, at->first);
    }
    if (data.size() < kChunkFileHeaderBytes) {
      return MakeError(ErrorCode::kCorruption, "{}: invalid head chunk file header: invalid size",
                       file.path);
    }
    if (const uint32_t magic = LoadBigEndian32(data.data()); magic != kHeadChunksMagic) {
      return MakeError(ErrorCode::kCorruption, "{}: invalid magic number {:x}", file.path, magic);
    }
    if (static_cast<uint8_t>(data[4]) != kVersion) {
      return MakeError(ErrorCode::kCorruption, "{}: invalid chunk format version {}", file.path,
                       static_cast<uint8_t>(data[4]));
    }
    before = &file;
    number_before = at->first;
    ++at;
  }
  last_number_ = by_number_.empty() ? 0 : by_number_.rbegin()->first;
  return {};
}

Status HeadChunkFiles::FlushLocked() {
  std::shared_ptr<std::string> pending;
  {
    const std::shared_lock lock(map_mutex_);
    pending = buffer_;
  }
  if (file_ == nullptr || pending == nullptr || pending->empty()) return {};
  NARTHEX_RETURN_IF_ERROR(file_->WriteAt(flushed_, *pending));
  const std::unique_lock lock(map_mutex_);
  flushed_ += pending->size();
  // Readers that hold views into the old buffer keep it alive.
  buffer_ = std::make_shared<std::string>();
  buffer_->reserve(options_.write_buffer_bytes);
  return {};
}

Status HeadChunkFiles::FinalizeLocked() {
  if (file_ == nullptr) return {};
  NARTHEX_RETURN_IF_ERROR(FlushLocked());
  if (reserved_ > kHeadChunkPreallocationBytes) {
    NARTHEX_RETURN_IF_ERROR(file_->Truncate(std::max(flushed_, kHeadChunkPreallocationBytes)));
  }
  NARTHEX_RETURN_IF_ERROR(file_->Sync());
  NARTHEX_RETURN_IF_ERROR(file_->Close());
  file_.reset();
  NARTHEX_RETURN_IF_ERROR(files_.SyncDirectory(directory_));
  const std::unique_lock lock(map_mutex_);
  // The map of a file that was cut back ends where the file ends.
  by_number_[current_].map.reset();
  current_ = 0;
  return {};
}

Status HeadChunkFiles::CutLocked() {
  NARTHEX_RETURN_IF_ERROR(FinalizeLocked());
  const uint32_t number = last_number_ + 1;
  const std::string path = JoinPath(directory_, fmt::format("{:06}", number));
  NARTHEX_TRY(std::unique_ptr<WritableFile> file,
              files_.OpenForWrite(path, FileSystem::OpenMode::kTruncate));
  std::string header;
  ByteWriter writer(&header);
  writer.PutBigEndian32(kHeadChunksMagic);
  writer.PutByte(kVersion);
  writer.PutBytes(std::string_view("\0\0\0", 3));
  // Only a file that has its header counts: on a full disk the attempt leaves nothing behind.
  Status written = file->Preallocate(kHeadChunkPreallocationBytes);
  if (written.ok()) written = file->WriteAt(0, header);
  if (!written.ok()) {
    file.reset();
    static_cast<void>(files_.RemoveFile(path).ok());
    return written;
  }
  file_ = std::move(file);
  reserved_ = kHeadChunkPreallocationBytes;
  cut_next_ = false;

  const std::unique_lock lock(map_mutex_);
  current_ = number;
  last_number_ = number;
  flushed_ = header.size();
  buffer_ = std::make_shared<std::string>();
  buffer_->reserve(options_.write_buffer_bytes);
  by_number_[number] = {path, nullptr};
  return {};
}

Status HeadChunkFiles::ReserveLocked(uint64_t end) {
  if (end <= reserved_) return {};
  const uint64_t size =
      std::min(std::max(end, reserved_ + kGrowthBytes), std::max(end, options_.file_bytes_max));
  NARTHEX_RETURN_IF_ERROR(file_->Preallocate(size));
  reserved_ = size;
  return {};
}

Result<uint64_t> HeadChunkFiles::Write(uint64_t series_ref, int64_t min_ms, int64_t max_ms,
                                       ChunkEncoding encoding, bool is_out_of_order,
                                       std::string_view bytes) {
  const std::lock_guard lock(write_mutex_);
  if (closed_) return MakeError(ErrorCode::kUnavailable, "head chunk files are closed");
  const uint64_t size_max = kMetaBytesMax + bytes.size();
  if (file_ == nullptr || cut_next_ ||
      flushed_ + buffer_->size() + size_max > options_.file_bytes_max) {
    NARTHEX_RETURN_IF_ERROR(CutLocked());
  }
  // The buffer never reallocates: views into it stay good.
  if (buffer_->size() + size_max > buffer_->capacity()) {
    NARTHEX_RETURN_IF_ERROR(FlushLocked());
    if (size_max > buffer_->capacity()) buffer_->reserve(size_max);
  }
  NARTHEX_RETURN_IF_ERROR(ReserveLocked(flushed_ + buffer_->size() + size_max));

  const std::unique_lock map_lock(map_mutex_);
  const uint64_t offset = flushed_ + buffer_->size();
  const size_t start = buffer_->size();
  ByteWriter writer(buffer_.get());
  writer.PutBigEndian64(series_ref);
  writer.PutBigEndian64(static_cast<uint64_t>(min_ms));
  writer.PutBigEndian64(static_cast<uint64_t>(max_ms));
  writer.PutByte(static_cast<uint8_t>(static_cast<uint8_t>(encoding) |
                                      (is_out_of_order ? kOutOfOrderChunkBit : 0)));
  writer.PutUvarint(bytes.size());
  writer.PutBytes(bytes);
  writer.PutBigEndian32(Crc32c(std::string_view(*buffer_).substr(start)));
  return static_cast<uint64_t>(current_) << 32 | offset;
}

Result<HeadChunk> HeadChunkFiles::Read(uint64_t ref) const {
  const uint32_t number = HeadChunkFileNumber(ref);
  const uint64_t offset = ref & 0xffffffff;
  std::shared_ptr<const void> owner;
  std::string_view data;
  uint64_t file_end = 0;
  {
    std::shared_lock lock(map_mutex_);
    auto found = by_number_.find(number);
    if (found == by_number_.end()) {
      return MakeError(
          ErrorCode::kCorruption, "head chunk file index {} {}", number,
          number > last_number_ ? "more than current open file" : "does not exist on disk");
    }
    if (number == current_ && offset >= flushed_) {
      if (offset - flushed_ > buffer_->size()) {
        return MakeError(ErrorCode::kCorruption, "head chunk file {} has no chunk at {}", number,
                         offset);
      }
      owner = buffer_;
      data = std::string_view(*buffer_).substr(offset - flushed_);
    } else {
      // Of the file being written only what was flushed counts, and its map may be older than that.
      const bool is_current = number == current_;
      const auto too_short = [&](const File& file) {
        return file.map == nullptr || (is_current && file.map->data().size() < flushed_);
      };
      if (too_short(found->second)) {
        lock.unlock();
        const std::unique_lock exclusive(map_mutex_);
        found = by_number_.find(number);
        if (found == by_number_.end()) {
          return MakeError(ErrorCode::kCorruption,
                           "head chunk file index {} does not exist on disk", number);
        }
        if (too_short(found->second)) {
          NARTHEX_TRY(std::unique_ptr<MappedFile> map, files_.Map(found->second.path));
          found->second.map = std::move(map);
        }
        owner = found->second.map;
        data = found->second.map->data();
      } else {
        owner = found->second.map;
        data = found->second.map->data();
      }
      if (offset >= data.size() || data.size() - offset < kFixedBytes + kLengthBytesMax) {
        return MakeError(ErrorCode::kCorruption,
                         "head chunk file doesn't include enough bytes to read the chunk size "
                         "data field - required:{}, available:{}",
                         offset + kFixedBytes + kLengthBytesMax, data.size());
      }
      file_end = data.size();
      data.remove_prefix(offset);
    }
  }
  Entry entry;
  if (const std::string damage = ParseEntry(data, offset, file_end, number, &entry);
      !damage.empty()) {
    return MakeError(ErrorCode::kCorruption, "corruption in head chunk file {}: {}",
                     JoinPath(directory_, fmt::format("{:06}", number)), damage);
  }
  return HeadChunk{static_cast<ChunkEncoding>(entry.encoding & ~kOutOfOrderChunkBit),
                   (entry.encoding & kOutOfOrderChunkBit) != 0, entry.bytes, std::move(owner)};
}

Status HeadChunkFiles::ScanFile(uint32_t number, std::string_view data,
                                const std::function<Status(const HeadChunkMeta&)>& visit,
                                std::string* damage) {
  uint64_t offset = kChunkFileHeaderBytes;
  while (offset < data.size()) {
    const std::string_view rest = data.substr(offset);
    if (rest.size() < kMetaBytesMax) {
      if (rest.find_first_not_of('\0') == std::string_view::npos) break;
      *damage = fmt::format(
          "head chunk file has some unread data, but doesn't include enough bytes to read the "
          "chunk header - required:{}, available:{}, file:{}",
          offset + kMetaBytesMax, data.size(), number);
      return {};
    }
    // Zeros where an entry would begin: what was reserved and not used.
    if (rest.substr(0, 24).find_first_not_of('\0') == std::string_view::npos) break;
    Entry entry;
    *damage = ParseEntry(rest, offset, data.size(), number, &entry);
    if (!damage->empty()) return {};
    HeadChunkMeta meta;
    meta.series_ref = entry.series_ref;
    meta.chunk_ref = static_cast<uint64_t>(number) << 32 | offset;
    meta.min_ms = entry.min_ms;
    meta.max_ms = entry.max_ms;
    meta.encoding = static_cast<ChunkEncoding>(entry.encoding & ~kOutOfOrderChunkBit);
    meta.is_out_of_order = (entry.encoding & kOutOfOrderChunkBit) != 0;
    meta.bytes = entry.bytes;
    meta.sample_count = ChunkSampleCount(meta.encoding, entry.bytes);
    NARTHEX_RETURN_IF_ERROR(visit(meta));
    offset += entry.size;
  }
  return {};
}

Status HeadChunkFiles::ForEach(const std::function<Status(const HeadChunkMeta&)>& visit,
                               std::optional<HeadChunkCorruption>* corruption) {
  const std::lock_guard lock(write_mutex_);
  NARTHEX_RETURN_IF_ERROR(FlushLocked());
  std::vector<std::pair<uint32_t, std::string>> paths;
  {
    const std::shared_lock map_lock(map_mutex_);
    for (const auto& [number, file] : by_number_) paths.emplace_back(number, file.path);
  }
  for (const auto& [number, path] : paths) {
    NARTHEX_TRY(const std::unique_ptr<MappedFile> map, files_.Map(path));
    std::string damage;
    NARTHEX_RETURN_IF_ERROR(ScanFile(number, map->data(), visit, &damage));
    if (!damage.empty()) {
      if (corruption != nullptr) *corruption = HeadChunkCorruption{number, damage};
      return MakeError(ErrorCode::kCorruption, "corruption in head chunk file {}: {}", path,
                       damage);
    }
  }
  return {};
}

Status HeadChunkFiles::DeleteFrom(uint32_t file) {
  const std::lock_guard lock(write_mutex_);
  if (current_ >= file && file_ != nullptr) {
    NARTHEX_RETURN_IF_ERROR(file_->Close());
    file_.reset();
  }
  const std::unique_lock map_lock(map_mutex_);
  if (current_ >= file) current_ = 0;
  for (auto at = by_number_.lower_bound(file); at != by_number_.end();) {
    NARTHEX_RETURN_IF_ERROR(files_.RemoveFile(at->second.path));
    at = by_number_.erase(at);
  }
  last_number_ = by_number_.empty() ? 0 : by_number_.rbegin()->first;
  return {};
}

void HeadChunkFiles::CutNewFile() {
  const std::lock_guard lock(write_mutex_);
  cut_next_ = true;
}

Status HeadChunkFiles::Truncate(uint32_t first_kept) {
  const std::lock_guard lock(write_mutex_);
  // A file with chunks is not written on: it can go as a whole at a later truncation.
  if (file_ != nullptr && flushed_ + buffer_->size() > kChunkFileHeaderBytes) cut_next_ = true;
  const std::unique_lock map_lock(map_mutex_);
  for (auto at = by_number_.begin(); at != by_number_.end();) {
    if (at->first >= first_kept || at->first == current_) break;
    NARTHEX_RETURN_IF_ERROR(files_.RemoveFile(at->second.path));
    at = by_number_.erase(at);
  }
  if (by_number_.empty()) last_number_ = 0;
  return {};
}

Status HeadChunkFiles::Flush() {
  const std::lock_guard lock(write_mutex_);
  return FlushLocked();
}

Status HeadChunkFiles::Close() {
  const std::lock_guard lock(write_mutex_);
  if (closed_) return {};
  closed_ = true;
  return FinalizeLocked();
}

uint64_t HeadChunkFiles::SizeBytes() const {
  uint64_t bytes = 0;
  auto listed = files_.List(directory_);
  if (!listed.ok()) return 0;
  for (const FileInfo& info : *listed) bytes += info.size;
  return bytes;
}

uint32_t HeadChunkFiles::last_file() const {
  const std::shared_lock lock(map_mutex_);
  return last_number_;
}

}  // namespace narthex::tsdb
