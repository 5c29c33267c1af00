// Tombstones: deleted intervals of series, beside the data until a compaction drops both.
//
// Intervals are closed; a series' list is ascending, and neighbours are more than one millisecond
// apart (touching ones are merged).
//
// Byte diagram: docs/formats/tombstones.md. Threads: none of its own.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/storage.h"
#include "util/file.h"
#include "util/status.h"
#include "util/time.h"

namespace narthex::tsdb {

using TimeRanges = std::vector<TimeRange>;

// Adds an interval, merging what overlaps or touches it.
void AddTimeRange(TimeRange added, TimeRanges* ranges);
bool ContainsTime(std::span<const TimeRange> ranges, int64_t t);
// Whether one of the intervals holds all of `range`.
bool CoversRange(std::span<const TimeRange> ranges, TimeRange range);
bool OverlapsRange(std::span<const TimeRange> ranges, TimeRange range);
// Removes the samples from position `first` on that lie in one of the intervals.
void RemoveDeleted(std::span<const TimeRange> ranges, size_t first,
                   storage::SampleColumns* columns);

class Tombstones {
 public:
  void Add(uint64_t ref, TimeRange range) { AddTimeRange(range, &by_ref_[ref]); }
  // Empty when nothing of the series is deleted.
  std::span<const TimeRange> Of(uint64_t ref) const {
    const auto found = by_ref_.find(ref);
    if (found == by_ref_.end()) return {};
    return found->second;
  }
  bool empty() const { return by_ref_.empty(); }
  // Number of intervals.
  uint64_t count() const;
  const std::map<uint64_t, TimeRanges>& by_ref() const { return by_ref_; }

 private:
  std::map<uint64_t, TimeRanges> by_ref_;
};

inline constexpr std::string_view kTombstonesFileName = "tombstones";

std::string EncodeTombstonesFile(const Tombstones& tombstones);
Result<Tombstones> DecodeTombstonesFile(std::string_view bytes);
// The part between magic and checksum (format byte and entries), for chunk snapshots.
std::string EncodeTombstonesBody(const Tombstones& tombstones);
Result<Tombstones> DecodeTombstonesBody(std::string_view body);
// A missing file means none.
Result<Tombstones> ReadTombstones(FileSystem& files, const std::string& block_directory);
// Atomically.
Status WriteTombstones(FileSystem& files, const std::string& block_directory,
                       const Tombstones& tombstones);

}  // namespace narthex::tsdb
