// The list of a series' full chunks in head chunk files, as a byte string in the pool:
//
//   [uvarint count] {[varint ref - previous ref][varint min - previous max][uvarint max - min]
//                    [uvarint sample count][encoding]}
//
// Each entry is a handful of varints relative to the entry before (about 14 bytes a chunk instead
// of 32); lists are short and are decoded whole.
#pragma once

#include <cstdint>
#include <vector>

#include "tsdb/chunks/chunk.h"
#include "tsdb/head/slab_pool.h"

namespace narthex::tsdb {

// A chunk in a head chunk file.
struct MappedChunk {
  uint64_t file_ref = 0;
  int64_t min_ms = 0;
  int64_t max_ms = 0;
  uint16_t sample_count = 0;
  ChunkEncoding encoding = ChunkEncoding::kNone;
};

// Appends the chunks of `list` (kNoSlab: none) to `out`.
void ReadMappedChunks(const SlabPool& pool, SlabRef list, std::vector<MappedChunk>* out);
// Replaces the list; kNoSlab for an empty one. Frees `old`.
SlabRef StoreMappedChunks(SlabPool* pool, SlabRef old, const std::vector<MappedChunk>& chunks);

}  // namespace narthex::tsdb
