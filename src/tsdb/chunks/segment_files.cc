#include "tsdb/chunks/segment_files.h"

#include <fmt/format.h>

#include <algorithm>

#include "util/bytes.h"
#include "util/crc32c.h"

namespace narthex::tsdb {
namespace {

constexpr uint8_t kVersion = 1;
constexpr size_t kLengthBytesMax = 5;
constexpr size_t kCrcBytes = 4;
constexpr size_t kBufferBytes = 1 << 20;

bool IsNumber(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

Result<std::unique_ptr<ChunkSegmentWriter>> ChunkSegmentWriter::Open(FileSystem& files,
                                                                     const std::string& directory,
                                                                     uint64_t segment_bytes) {
  NARTHEX_RETURN_IF_ERROR(files.CreateDirectories(directory));
  return std::unique_ptr<ChunkSegmentWriter>(
      new ChunkSegmentWriter(files, directory, segment_bytes));
}

ChunkSegmentWriter::~ChunkSegmentWriter() {
  // Without a Close the block is being given up; its files are removed by whoever started it.
  if (file_ != nullptr) (void)file_->Close();
}

Status ChunkSegmentWriter::FlushBuffer() {
  NARTHEX_RETURN_IF_ERROR(file_->Append(buffer_));
  buffer_.clear();
  return {};
}

Status ChunkSegmentWriter::FinishSegment() {
  if (file_ == nullptr) return {};
  NARTHEX_RETURN_IF_ERROR(FlushBuffer());
  // What was reserved and not used goes back.
  NARTHEX_RETURN_IF_ERROR(file_->Truncate(offset_));
  NARTHEX_RETURN_IF_ERROR(file_->Sync());
  NARTHEX_RETURN_IF_ERROR(file_->Close());
  file_.reset();
  offset_ = 0;
  return {};
}

Status ChunkSegmentWriter::Cut() {
  NARTHEX_RETURN_IF_ERROR(FinishSegment());
  ++segments_;
  NARTHEX_TRY(file_, files_.OpenForWrite(JoinPath(directory_, fmt::format("{:06}", segments_)),
                                         FileSystem::OpenMode::kTruncate));
  ByteWriter writer(&buffer_);
  writer.PutBigEndian32(kChunkSegmentMagic);
  writer.PutByte(kVersion);
  writer.PutBytes(std::string_view("\0\0\0", 3));
  offset_ = kChunkFileHeaderBytes;
  return {};
}

Status ChunkSegmentWriter::Write(std::span<const ChunkView> chunks, std::vector<uint64_t>* refs) {
  refs->clear();
  // Upstream plans a batch with the widest length field and cuts where the plan overflows.
  uint64_t planned = offset_;
  for (const ChunkView& chunk : chunks) {
    const uint64_t size = kLengthBytesMax + 1 + chunk.bytes.size() + kCrcBytes;
    if (file_ == nullptr || (planned > kChunkFileHeaderBytes && planned + size > segment_bytes_)) {
      NARTHEX_RETURN_IF_ERROR(Cut());
      planned = offset_;
    }
    planned += size;
    refs->push_back(static_cast<uint64_t>(segments_ - 1) << 32 | offset_);

    const size_t before = buffer_.size();
    ByteWriter writer(&buffer_);
    writer.PutUvarint(chunk.bytes.size());
    const size_t covered = buffer_.size();
    writer.PutByte(static_cast<uint8_t>(chunk.encoding));
    writer.PutBytes(chunk.bytes);
    writer.PutBigEndian32(Crc32c(std::string_view(buffer_).substr(covered)));
    offset_ += buffer_.size() - before;
    if (buffer_.size() >= kBufferBytes) NARTHEX_RETURN_IF_ERROR(FlushBuffer());
  }
  return {};
}

Status ChunkSegmentWriter::Close() {
  NARTHEX_RETURN_IF_ERROR(FinishSegment());
  return files_.SyncDirectory(directory_);
}

Result<ChunkSegmentReader> ChunkSegmentReader::Open(FileSystem& files,
                                                    const std::string& directory) {
  NARTHEX_TRY(const std::vector<FileInfo> infos, files.List(directory));
  ChunkSegmentReader reader;
  for (const FileInfo& info : infos) {
    if (info.is_directory || !IsNumber(info.name)) continue;
    NARTHEX_TRY(auto map, files.Map(JoinPath(directory, info.name)));
    const std::string_view data = map->data();
    const size_t index = reader.segments_.size();
    if (data.size() < kChunkFileHeaderBytes) {
      return MakeError(ErrorCode::kCorruption, "invalid segment header in segment {}: invalid size",
                       index);
    }
    if (const uint32_t magic = LoadBigEndian32(data.data()); magic != kChunkSegmentMagic) {
      return MakeError(ErrorCode::kCorruption, "invalid magic number {:x}", magic);
    }
    if (static_cast<uint8_t>(data[4]) != kVersion) {
      return MakeError(ErrorCode::kCorruption, "invalid chunk format version {}",
                       static_cast<uint8_t>(data[4]));
    }
    reader.segments_.push_back(std::move(map));
  }
  return reader;
}

uint64_t ChunkSegmentReader::size_bytes() const {
  uint64_t bytes = 0;
  for (const auto& segment : segments_) bytes += segment->data().size();
  return bytes;
}

Result<ChunkView> ChunkSegmentReader::Read(uint64_t ref) const {
  const uint64_t index = ref >> 32;
  const uint64_t start = ref & 0xffffffff;
  if (index >= segments_.size()) {
    return MakeError(ErrorCode::kCorruption, "segment index {} out of range", index);
  }
  const std::string_view data = segments_[index]->data();
  if (start + kLengthBytesMax > data.size()) {
    return MakeError(ErrorCode::kCorruption,
                     "segment doesn't include enough bytes to read the chunk size data field - "
                     "required:{}, available:{}",
                     start + kLengthBytesMax, data.size());
  }
  ByteReader length_reader(data.substr(start, kLengthBytesMax));
  const uint64_t length = length_reader.Uvarint();
  if (length_reader.failed()) {
    return MakeError(ErrorCode::kCorruption, "reading chunk length failed with {}", 0);
  }
  const uint64_t covered = start + kLengthBytesMax - length_reader.remaining();
  const uint64_t end = covered + 1 + length + kCrcBytes;
  if (length > data.size() || end > data.size()) {
    return MakeError(ErrorCode::kCorruption,
                     "segment doesn't include enough bytes to read the chunk - required:{}, "
                     "available:{}",
                     end, data.size());
  }
  const std::string_view body = data.substr(covered, 1 + length);
  const uint32_t want = LoadBigEndian32(data.data() + covered + 1 + length);
  if (const uint32_t crc = Crc32c(body); crc != want) {
    return MakeError(ErrorCode::kCorruption, "checksum mismatch expected:{:x}, actual:{:x}", want,
                     crc);
  }
  return ChunkView{static_cast<ChunkEncoding>(static_cast<uint8_t>(body[0])), body.substr(1)};
}

}  // namespace narthex::tsdb
