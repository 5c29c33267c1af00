#include "tsdb/head/mapped_chunks.h"

#include <cstring>
#include <string>

#include "util/bytes.h"

namespace narthex::tsdb {

void ReadMappedChunks(const SlabPool& pool, SlabRef list, std::vector<MappedChunk>* out) {
  if (list == kNoSlab) return;
  ByteReader reader(std::string_view(pool.At(list), pool.Capacity(list)));
  const uint64_t count = reader.Uvarint();
  uint64_t ref = 0;
  int64_t previous_max = 0;
  for (uint64_t i = 0; i < count; ++i) {
    MappedChunk chunk;
    ref += static_cast<uint64_t>(reader.Varint());
    chunk.file_ref = ref;
    chunk.min_ms = static_cast<int64_t>(static_cast<uint64_t>(previous_max) +
                                        static_cast<uint64_t>(reader.Varint()));
    chunk.max_ms = static_cast<int64_t>(static_cast<uint64_t>(chunk.min_ms) + reader.Uvarint());
    chunk.sample_count = static_cast<uint16_t>(reader.Uvarint());
    chunk.encoding = static_cast<ChunkEncoding>(reader.Byte());
    previous_max = chunk.max_ms;
    out->push_back(chunk);
  }
}

SlabRef StoreMappedChunks(SlabPool* pool, SlabRef old, const std::vector<MappedChunk>& chunks) {
  if (chunks.empty()) {
    pool->Free(old);
    return kNoSlab;
  }
  std::string bytes;
  ByteWriter writer(&bytes);
  writer.PutUvarint(chunks.size());
  uint64_t ref = 0;
  int64_t previous_max = 0;
  for (const MappedChunk& chunk : chunks) {
    writer.PutVarint(static_cast<int64_t>(chunk.file_ref - ref));
    writer.PutVarint(static_cast<int64_t>(static_cast<uint64_t>(chunk.min_ms) -
                                          static_cast<uint64_t>(previous_max)));
    writer.PutUvarint(static_cast<uint64_t>(chunk.max_ms) - static_cast<uint64_t>(chunk.min_ms));
    writer.PutUvarint(chunk.sample_count);
    writer.PutByte(static_cast<uint8_t>(chunk.encoding));
    ref = chunk.file_ref;
    previous_max = chunk.max_ms;
  }
  if (old == kNoSlab || pool->Capacity(old) < bytes.size() ||
      pool->Capacity(old) > bytes.size() * 2) {
    pool->Free(old);
    old = pool->Allocate(bytes.size());
  }
  std::memcpy(pool->At(old), bytes.data(), bytes.size());
  return old;
}

}  // namespace narthex::tsdb
