// Which commits a reader sees: each whole or not at all.
//
// Commits get ascending numbers when they start to write to memory. A reader keeps the highest
// number of that moment and the numbers then under way; a sample is hidden from it if its commit is
// newer or was under way. Series remember the number of their newest commit; older numbers are kept
// only while a reader or commit below the low watermark needs them, so a head without long queries
// keeps none.
//
// Series store 32 bits of the number; 2^31 commits lie between a number and its reuse, and 0 means
// "seen by everybody".
//
// Threads: any.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <vector>

#include "util/time.h"

namespace narthex::tsdb {

class Isolation {
 public:
  struct Commit {
    uint64_t id = 0;
    uint64_t low_watermark = 0;  // Every commit below it is seen by every reader, now and later.
  };

  // What one reader sees, from construction by OpenReader to CloseReader.
  struct Snapshot {
    uint64_t newest = 0;               // Highest number when the reader was opened.
    uint64_t low_watermark = 0;        // Lowest number that may be hidden.
    std::vector<uint32_t> incomplete;  // Few; ascending by age.
    TimeRange range;
    uint64_t number = 0;  // Readers are counted.
    // It was waited for long enough: samples that it may ask for are being dropped. Whoever reads
    // looks here after having read.
    std::atomic<bool> expired{false};

    bool Hides(uint32_t id) const {
      if (id == 0) return false;
      if (static_cast<int32_t>(id - static_cast<uint32_t>(newest)) > 0) return true;
      for (const uint32_t running : incomplete) {
        if (running == id) return true;
      }
      return false;
    }
  };

  Commit BeginCommit();
  void EndCommit(uint64_t id);

  // Lives until CloseReader.
  Snapshot* OpenReader(TimeRange range);
  void CloseReader(Snapshot* snapshot);
  // The reader found that it will look at less.
  void NarrowReader(Snapshot* snapshot, TimeRange range);
  // Whether a reader that may look at times below `time_ms` is open, and has not expired.
  bool HasReaderBelow(int64_t time_ms) const;
  // Makes them expire; gives their number.
  size_t ExpireReadersBelow(int64_t time_ms);

  // The number that the next reader gets; whether one with a lower number is open and has not
  // expired.
  uint64_t NextReader() const;
  bool HasReaderBefore(uint64_t number) const;
  size_t ExpireReadersBefore(uint64_t number);

  uint64_t low_watermark() const;
  uint64_t high_watermark() const;

 private:
  uint64_t LowLocked() const;
  template <typename Wanted>
  size_t Expire(Wanted&& wanted);

  mutable std::mutex mutex_;
  uint64_t last_id_ = 0;
  uint64_t next_reader_ = 1;
  std::vector<uint64_t> running_;  // Ascending.
  std::list<Snapshot> readers_;    // Oldest first: their low watermarks ascend.
};

}  // namespace narthex::tsdb
