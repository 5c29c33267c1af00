// Which blocks to merge next.
//
// Blocks grow by powers of three: 2h, 6h, 18h, … up to a maximum. Overlapping blocks come first,
// then the oldest aligned group that is complete, then blocks with many tombstones. The newest
// block is left alone so that backfill beside it needs no vertical merge.
//
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "tsdb/block/block_meta.h"

namespace narthex::tsdb {

// min, min*3, min*9, … (ten steps) as far as max allows; at least min.
std::vector<int64_t> CompactionRanges(int64_t min_ms, int64_t max_ms);

struct PlanOptions {
  std::vector<int64_t> ranges_ms;
  bool allow_overlapping = true;
  // Blocks are taken in order of their names up to the first for which this is true: a shipper has
  // not uploaded it yet. Null: all blocks.
  std::function<bool(const BlockMeta&)> exclude;
};

// Ulids of the blocks to compact into one, by start time. Empty: nothing to do.
std::vector<Ulid> PlanCompaction(std::vector<BlockMeta> blocks, const PlanOptions& options);

// The meta of the block that the given ones become, statistics empty.
BlockMeta CompactedMeta(std::span<const BlockMeta> parents, int64_t now_ms);

}  // namespace narthex::tsdb
