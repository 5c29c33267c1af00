// The last N exemplars of all series, kept in one ring.
//
// One ring for everybody: memory stays bounded however many series carry exemplars, and the one
// that came in first, of whatever series, makes room.
//
//   slots_    [ e7 | e8 | e9 | e3 | e4 | e5 | e6 ]
//                             ^next_: overwritten by the next Add
//   series A  labels, slots by time: 4, 0, 2        series B  labels, slots by time: 3, 5, 6, 1
//
// Invariants: each occupied slot is listed by exactly one series; no listed series is empty.
// Cost: Add is O(1) but for exemplars that come late. Threads: any; one mutex.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "model/labels.h"
#include "model/matcher.h"
#include "model/sample.h"
#include "storage/storage.h"
#include "util/hash_map.h"
#include "util/status.h"

namespace narthex::tsdb {

class ExemplarStore {
 public:
  struct Stats {
    uint64_t appended = 0;
    uint64_t out_of_order = 0;
    size_t in_storage = 0;
    size_t series = 0;
    size_t max = 0;
    int64_t last_timestamp_ms = 0;  // Of the oldest in the ring, as upstream reports it.
  };

  explicit ExemplarStore(int64_t exemplars_max);

  bool enabled() const;
  // What Add would say.
  Status Validate(const Labels& series, const Exemplar& exemplar) const;
  // A duplicate of the newest is accepted and dropped.
  Status Add(const Labels& series, const Exemplar& exemplar);
  // Keeps what fits, dropping what came in first.
  void Resize(int64_t exemplars_max);
  void SetOutOfOrderWindow(int64_t window_ms);
  void Clear();
  // Calls visit(series, exemplar), in order of arrival.
  void ForEach(const std::function<void(const Labels&, const Exemplar&)>& visit) const;

  std::vector<storage::SeriesExemplars> Select(
      TimeRange range, const std::vector<std::vector<Matcher>>& matcher_sets) const;
  Stats stats() const;

 private:
  struct SeriesEntry {
    Labels labels;
    std::vector<uint32_t> slots;  // By time.
  };
  struct Slot {
    SeriesEntry* series = nullptr;  // Null: empty.
    Exemplar exemplar;
  };
  Status ValidateLocked(const SeriesEntry* series, const Exemplar& exemplar) const;
  void Evict(uint32_t slot);

  mutable std::mutex mutex_;
  size_t max_ = 0;
  int64_t window_ms_ = 0;
  std::vector<Slot> slots_;  // Grows up to max_.
  size_t next_ = 0;
  HashMap<Labels, std::unique_ptr<SeriesEntry>, LabelsHash> series_;
  uint64_t appended_ = 0;
  uint64_t out_of_order_ = 0;
};

}  // namespace narthex::tsdb
