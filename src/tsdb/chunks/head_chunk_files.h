// The completed chunks of the head on disk: chunks_head/000001, 000002, … of at most 128 MiB.
//
//   [magic u32][version][3 zeros]
//   { [series ref u64][min time i64][max time i64][encoding, bit 7: out of order][uvarint length]
//     [data][crc u32] } ... [zeros]
//
// Files are reserved in steps, so the tail of the newest one is zeros; an entry that begins with a
// zero reference and zero times is the end. A chunk's reference is its file number (counted from
// one) in the upper and its offset in the lower 32 bits.
//
// Writes go through a buffer; a chunk can be read from the moment Write returns. Opening never
// appends to an existing file.
//
// Byte diagram: docs/formats/head-chunks.md. Threads: everything may be called from any thread;
// writers exclude one another, readers do not wait for disk writes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>

#include "tsdb/chunks/chunk.h"
#include "util/file.h"
#include "util/status.h"

namespace narthex::tsdb {

inline constexpr uint32_t kHeadChunksMagic = 0x0130BC91;
inline constexpr uint64_t kHeadChunkFileBytesMax = 128 * 1024 * 1024;
inline constexpr uint64_t kHeadChunkPreallocationBytes = 128 * 1024;
inline constexpr uint8_t kOutOfOrderChunkBit = 0x80;

struct HeadChunkOptions {
  // Between 64 KiB and 8 MiB.
  size_t write_buffer_bytes = 4 * 1024 * 1024;
  uint64_t file_bytes_max = kHeadChunkFileBytesMax;
};

inline uint32_t HeadChunkFileNumber(uint64_t ref) {
  return static_cast<uint32_t>(ref >> 32);
}

struct HeadChunkMeta {
  uint64_t series_ref = 0;
  uint64_t chunk_ref = 0;
  int64_t min_ms = 0;
  int64_t max_ms = 0;
  uint32_t sample_count = 0;
  ChunkEncoding encoding = ChunkEncoding::kNone;
  bool is_out_of_order = false;
  std::string_view bytes;  // As long as it is being visited.
};

// A chunk that stays readable as long as this lives, also when its file is deleted meanwhile.
struct HeadChunk {
  ChunkEncoding encoding = ChunkEncoding::kNone;
  bool is_out_of_order = false;
  std::string_view bytes;
  std::shared_ptr<const void> owner;
};

struct HeadChunkCorruption {
  uint32_t file = 0;
  std::string reason;
};

class HeadChunkFiles {
 public:
  // Maps what is there. A last file that never got its header is deleted.
  // `found unsequential head chunk files …`, `<path>: invalid magic number %x`, ….
  static Result<std::unique_ptr<HeadChunkFiles>> Open(FileSystem& files,
                                                      const std::string& directory,
                                                      const HeadChunkOptions& options = {});
  ~HeadChunkFiles();

  // Gives the chunk's reference.
  Result<uint64_t> Write(uint64_t series_ref, int64_t min_ms, int64_t max_ms,
                         ChunkEncoding encoding, bool is_out_of_order, std::string_view bytes);
  Result<HeadChunk> Read(uint64_t ref) const;

  // Calls `visit` for every chunk in order of files and offsets. Stops at its first error, and at
  // damage: `corruption in head chunk file <path>: …`, with the place in `corruption`.
  Status ForEach(const std::function<Status(const HeadChunkMeta&)>& visit,
                 std::optional<HeadChunkCorruption>* corruption);
  // The chunks of one file of that number. What is wrong with the file, if anything, stands in
  // `damage`; the status is the visitor's.
  static Status ScanFile(uint32_t number, std::string_view data,
                         const std::function<Status(const HeadChunkMeta&)>& visit,
                         std::string* damage);
  // Deletes the file and all behind it.
  Status DeleteFrom(uint32_t file);

  // The next chunk goes into a new file.
  void CutNewFile();
  // Deletes the files below `first_kept` except the one being written, and lets the next chunk
  // begin a new file.
  Status Truncate(uint32_t first_kept);
  // Hands buffered chunks to the file system.
  Status Flush();
  Status Close();
  uint64_t SizeBytes() const;
  // Number of the newest file; 0: none.
  uint32_t last_file() const;

 private:
  struct File {
    std::string path;
    std::shared_ptr<MappedFile> map;  // Null, or too short, for what was written since.
  };

  HeadChunkFiles(FileSystem& files, std::string directory, const HeadChunkOptions& options)
      : files_(files), directory_(std::move(directory)), options_(options) {}
  Status MapExisting();
  Status CutLocked();
  Status FinalizeLocked();
  Status FlushLocked();
  Status ReserveLocked(uint64_t end);

  FileSystem& files_;
  const std::string directory_;
  const HeadChunkOptions options_;

  std::mutex write_mutex_;  // Taken before map_mutex_.
  std::unique_ptr<WritableFile> file_;
  uint64_t reserved_ = 0;
  bool cut_next_ = false;
  bool closed_ = false;

  mutable std::shared_mutex map_mutex_;
  mutable std::map<uint32_t, File> by_number_;
  uint32_t current_ = 0;                 // The file being written; 0: none.
  uint32_t last_number_ = 0;             // The next file is one higher.
  uint64_t flushed_ = 0;                 // Bytes of the current file that reached it.
  std::shared_ptr<std::string> buffer_;  // What follows them.
};

}  // namespace narthex::tsdb
