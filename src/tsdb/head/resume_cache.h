// Where queries for the newest minutes may begin to decode.
//
// An alert looks at the last five minutes of a chunk that spans an hour: most of the work is to
// decode what is too old. Whoever passed the old samples of a chunk leaves here how far it came,
// and the next one, whose window does not begin earlier, goes on from there.
//
// A table of fixed size, two places to a chunk; what does not find a place drives the entry out
// whose window is older. Chunks only grow and times of a series ascend, so an entry stays true for
// as long as there is a chunk of that series and begin.
//
// Cost: 56 bytes an entry, 1.8 MiB at most, of which only what is used is ever touched. Threads:
// any.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "tsdb/chunks/xor.h"

namespace narthex::tsdb {

class ResumeCache {
 public:
  ResumeCache() = default;
  ~ResumeCache();
  ResumeCache(const ResumeCache&) = delete;
  ResumeCache& operator=(const ResumeCache&) = delete;

  // A place before which all samples of the chunk are older than `start_ms`. The chunk is that of
  // series `ref` which begins at `chunk_min_ms`. False: none is known.
  bool Find(uint64_t ref, int64_t chunk_min_ms, int64_t start_ms, XorResume* resume) const;
  void Store(uint64_t ref, int64_t chunk_min_ms, int64_t start_ms, const XorResume& resume);

 private:
  struct Entry {
    uint64_t ref;  // 0: free.
    int64_t chunk_min_ms;
    int64_t start_ms;
    XorResume resume;
  };
  static constexpr size_t kEntryBits = 15;
  static constexpr size_t kMutexes = 64;

  // The first of two neighbouring entries.
  static size_t PairOf(uint64_t ref, int64_t chunk_min_ms);

  mutable std::array<std::mutex, kMutexes> mutexes_;  // Of pairs whose numbers agree modulo that.
  std::mutex make_mutex_;
  std::atomic<Entry*> entries_{nullptr};  // Made when first stored to.
};

}  // namespace narthex::tsdb
