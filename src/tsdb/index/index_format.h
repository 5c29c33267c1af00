// Constants of the index file; the layout is drawn in docs/formats/index.md.
#pragma once

#include <cstddef>
#include <cstdint>

namespace narthex::tsdb {

inline constexpr uint32_t kIndexMagic = 0xBAAAD700;
inline constexpr uint8_t kIndexVersionWritten = 2;
inline constexpr size_t kIndexHeaderBytes = 5;
// Six offsets and their checksum.
inline constexpr size_t kIndexTocBytes = 6 * 8 + 4;
// Series references are offsets in units of this (not in version 1).
inline constexpr uint64_t kSeriesAlignment = 16;
inline constexpr uint64_t kIndexBytesMax = uint64_t{64} << 30;

struct IndexToc {
  uint64_t symbols = 0;
  uint64_t series = 0;
  uint64_t label_indices = 0;  // No longer written; readers ignore both.
  uint64_t label_indices_table = 0;
  uint64_t postings = 0;
  uint64_t postings_table = 0;
};

// A chunk of a series as the index knows it. Both bounds are included.
struct ChunkMeta {
  int64_t min_ms = 0;
  int64_t max_ms = 0;
  uint64_t ref = 0;
  friend bool operator==(const ChunkMeta&, const ChunkMeta&) = default;
};

}  // namespace narthex::tsdb
