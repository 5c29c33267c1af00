// XXH64, the hash that label sets carry on the outside (queries, sharding), and a fast hash for
// tables in memory.
#pragma once

#include <cstdint>
#include <string_view>

namespace narthex {

// XXH64 with seed 0: part of upstream-visible behaviour, never change it.
uint64_t XxHash64(std::string_view bytes);
// XXH3 in 64 bits: for memory only, may change between releases.
uint64_t FastHash64(std::string_view bytes);
// FNV-1a in 64 bits, as upstream uses for scrape offsets.
inline constexpr uint64_t kFnv1aOffset = 0xcbf29ce484222325;
constexpr uint64_t Fnv1a64(std::string_view bytes, uint64_t hash = kFnv1aOffset) {
  for (const char c : bytes) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return hash;
}

}  // namespace narthex
