#include "tsdb/head/resume_cache.h"

#include <cstdlib>

namespace narthex::tsdb {

ResumeCache::~ResumeCache() {
  std::free(entries_.load());
}

size_t ResumeCache::PairOf(uint64_t ref, int64_t chunk_min_ms) {
  // Series of one metric are often numbered at even distances; the product spreads them.
  const uint64_t mixed =
      (ref ^ static_cast<uint64_t>(chunk_min_ms) << 40) * uint64_t{0x9e3779b97f4a7c15};
  return static_cast<size_t>(mixed >> (64 - kEntryBits + 1)) * 2;
}

bool ResumeCache::Find(uint64_t ref, int64_t chunk_min_ms, int64_t start_ms,
                       XorResume* resume) const {
  const Entry* const entries = entries_.load(std::memory_order_acquire);
  if (entries == nullptr) return false;
  const size_t pair = PairOf(ref, chunk_min_ms);
  const std::lock_guard lock(mutexes_[pair / 2 % kMutexes]);
  for (size_t i = pair; i < pair + 2; ++i) {
    const Entry& entry = entries[i];
    if (entry.ref != ref || entry.chunk_min_ms != chunk_min_ms) continue;
    if (entry.start_ms > start_ms) return false;
    *resume = entry.resume;
    return true;
  }
  return false;
}

void ResumeCache::Store(uint64_t ref, int64_t chunk_min_ms, int64_t start_ms,
                        const XorResume& resume) {
  if (entries_.load(std::memory_order_acquire) == nullptr) {
    const std::lock_guard lock(make_mutex_);
    if (entries_.load(std::memory_order_relaxed) == nullptr) {
      // Fresh pages of zeros, which take no memory before they are written to.
      entries_.store(static_cast<Entry*>(std::calloc(size_t{1} << kEntryBits, sizeof(Entry))),
                     std::memory_order_release);
    }
  }
  Entry* const entries = entries_.load(std::memory_order_acquire);
  if (entries == nullptr) return;
  const size_t pair = PairOf(ref, chunk_min_ms);
  const std::lock_guard lock(mutexes_[pair / 2 % kMutexes]);
  Entry* chosen = &entries[pair];
  Entry* const other = &entries[pair + 1];
  const auto is_same = [&](const Entry& entry) {
    return entry.ref == ref && entry.chunk_min_ms == chunk_min_ms;
  };
  if (is_same(*other)) {
    chosen = other;
  } else if (!is_same(*chosen) && chosen->ref != 0 &&
             (other->ref == 0 || other->start_ms < chosen->start_ms)) {
    chosen = other;
  }
  *chosen = {ref, chunk_min_ms, start_ms, resume};
}

}  // namespace narthex::tsdb
