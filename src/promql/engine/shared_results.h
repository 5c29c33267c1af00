// Results of parts that stand in a query more than once, and series that several selectors share.
//
// The first evaluation keeps a copy, the others take it, the last one for good. What was counted
// while evaluating (samples in memory, statistics) is counted again for each, so that limits and
// statistics are those of a query without sharing. Not kept is what is large, since columns that
// stream through an aggregation need no memory, and what left an annotation, since those carry the
// position of the part.
//
// Threads: the query's thread only.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "promql/engine/column_source.h"
#include "promql/engine/sample_stats.h"
#include "promql/engine/value.h"

namespace narthex::promql {

// Values, one a series and step, up to which a result is kept.
inline constexpr size_t kSharedValuesMax = 2 * 1024 * 1024;

struct SharedResult {
  std::optional<Value> value;  // Empty: not evaluated yet, or not worth keeping.
  StepGrid grid;
  uint32_t uses_left = 0;
  SampleStats stats;
  int64_t held_samples = 0;      // What evaluating added to the samples in memory,
  int64_t peak_above_start = 0;  // and at most had added on the way.
};

struct SharedSelection {
  SeriesList list;
  bool known = false;
  bool latest_only = false;
};

struct SharedResults {
  std::vector<SharedResult> results;        // By the plan's numbers.
  std::vector<SharedSelection> selections;  // Likewise.
};

}  // namespace narthex::promql
