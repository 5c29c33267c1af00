// The chunk files of a block: chunks/000001, 000002, … of at most 512 MiB.
//
//   [magic u32][version][3 zeros] { [uvarint length][encoding][data][crc u32] } ...
//
// A chunk's reference is its segment (counted from zero) in the upper and its offset in the lower
// 32 bits. Readers work on mapped files and give views; the checksum is verified at every read.
//
// Byte diagram: docs/formats/chunk-segments.md. Threads: a writer is one thread's; a reader is
// immutable once open.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tsdb/chunks/chunk.h"
#include "util/file.h"
#include "util/status.h"

namespace narthex::tsdb {

inline constexpr uint32_t kChunkSegmentMagic = 0x85BD40DD;
inline constexpr uint64_t kChunkSegmentBytesDefault = 512 * 1024 * 1024;
inline constexpr size_t kChunkFileHeaderBytes = 8;

struct ChunkView {
  ChunkEncoding encoding = ChunkEncoding::kNone;
  std::string_view bytes;
};

class ChunkSegmentWriter {
 public:
  // Makes the folder. Nothing else is written before the first chunk.
  static Result<std::unique_ptr<ChunkSegmentWriter>> Open(
      FileSystem& files, const std::string& directory,
      uint64_t segment_bytes = kChunkSegmentBytesDefault);
  ~ChunkSegmentWriter();

  // Writes one series' chunks; refs gets one reference a chunk.
  Status Write(std::span<const ChunkView> chunks, std::vector<uint64_t>* refs);
  // Syncs what was written. Write fails afterwards.
  Status Close();

 private:
  ChunkSegmentWriter(FileSystem& files, std::string directory, uint64_t segment_bytes)
      : files_(files), directory_(std::move(directory)), segment_bytes_(segment_bytes) {}
  Status Cut();
  Status FinishSegment();
  Status FlushBuffer();

  FileSystem& files_;
  std::string directory_;
  uint64_t segment_bytes_;
  std::unique_ptr<WritableFile> file_;
  uint32_t segments_ = 0;
  uint64_t offset_ = 0;  // Within the segment; 0: none open.
  std::string buffer_;
};

class ChunkSegmentReader {
 public:
  // A folder that is not there is an error; one without segments is not.
  static Result<ChunkSegmentReader> Open(FileSystem& files, const std::string& directory);

  // The view lives as long as the reader.
  Result<ChunkView> Read(uint64_t ref) const;
  uint64_t size_bytes() const;

 private:
  std::vector<std::unique_ptr<MappedFile>> segments_;
};

}  // namespace narthex::tsdb
