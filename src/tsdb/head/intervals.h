// Closed time intervals that tombstones consist of: sorted, apart from one another by more than
// one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace narthex::tsdb {

using Interval = std::pair<int64_t, int64_t>;

// Merges overlapping and adjacent ones.
inline void AddInterval(Interval added, std::vector<Interval>* intervals) {
  std::vector<Interval> merged;
  bool placed = false;
  for (const Interval& interval : *intervals) {
    const bool before = interval.second != INT64_MAX && interval.second + 1 < added.first;
    const bool after = added.second != INT64_MAX && added.second + 1 < interval.first;
    if (before) {
      merged.push_back(interval);
    } else if (after) {
      if (!placed) merged.push_back(added);
      placed = true;
      merged.push_back(interval);
    } else {
      added.first = std::min(added.first, interval.first);
      added.second = std::max(added.second, interval.second);
    }
  }
  if (!placed) merged.push_back(added);
  *intervals = std::move(merged);
}

inline bool InIntervals(const std::vector<Interval>& intervals, int64_t t) {
  return std::any_of(intervals.begin(), intervals.end(), [t](const Interval& interval) {
    return t >= interval.first && t <= interval.second;
  });
}

}  // namespace narthex::tsdb
