#include "tsdb/compact/planner.h"

#include <algorithm>
#include <set>

namespace narthex::tsdb {
namespace {

constexpr int kRangeSteps = 10;
constexpr int64_t kRangeFactor = 3;
// A block is rewritten for its tombstones when more of its series than this carry one.
constexpr double kTombstoneShareMax = 0.05;

using Blocks = std::vector<BlockMeta>;

std::vector<Ulid> UlidsOf(std::span<const BlockMeta> blocks) {
  std::vector<Ulid> ulids;
  for (const BlockMeta& block : blocks) ulids.push_back(block.ulid);
  return ulids;
}

// The first run of blocks that overlap one another.
Blocks FirstOverlap(const Blocks& blocks) {
  Blocks group;
  int64_t end_ms = blocks.front().max_ms;
  for (size_t i = 1; i < blocks.size(); ++i) {
    if (blocks[i].min_ms < end_ms) {
      if (group.empty()) group.push_back(blocks[i - 1]);
      group.push_back(blocks[i]);
    } else if (!group.empty()) {
      break;
    }
    end_ms = std::max(end_ms, blocks[i].max_ms);
  }
  return group;
}

int64_t AlignedStart(int64_t t, int64_t range) {
  return t >= 0 ? range * (t / range) : range * ((t - range + 1) / range);
}

// Groups of blocks that lie within one aligned range.
std::vector<Blocks> SplitByRange(const Blocks& blocks, int64_t range) {
  std::vector<Blocks> groups;
  for (size_t i = 0; i < blocks.size();) {
    const int64_t end_ms = AlignedStart(blocks[i].min_ms, range) + range;
    if (blocks[i].max_ms > end_ms) {
      ++i;  // Does not fit: misaligned, or already larger.
      continue;
    }
    Blocks& group = groups.emplace_back();
    for (; i < blocks.size() && blocks[i].max_ms <= end_ms; ++i) group.push_back(blocks[i]);
  }
  return groups;
}

Blocks CompleteGroup(const Blocks& blocks, std::span<const int64_t> ranges) {
  if (ranges.size() < 2 || blocks.empty()) return {};
  const int64_t newest_start = blocks.back().min_ms;
  for (const int64_t range : ranges.subspan(1)) {
    for (const Blocks& group : SplitByRange(blocks, range)) {
      const bool failed = std::ranges::any_of(
          group, [](const BlockMeta& block) { return block.compaction.failed; });
      if (failed || group.size() < 2) continue;
      const int64_t start = group.front().min_ms;
      const int64_t end = group.back().max_ms;
      if (end - start == range || end <= newest_start) return group;
    }
  }
  return {};
}

std::vector<Ulid> PlanClass(Blocks blocks, const PlanOptions& options) {
  if (blocks.empty()) return {};
  std::ranges::stable_sort(blocks, {}, &BlockMeta::min_ms);
  if (options.allow_overlapping) {
    if (const Blocks group = FirstOverlap(blocks); !group.empty()) return UlidsOf(group);
  }
  blocks.pop_back();
  if (const Blocks group = CompleteGroup(blocks, options.ranges_ms); !group.empty()) {
    return UlidsOf(group);
  }
  if (options.ranges_ms.empty()) return {};
  const int64_t large = options.ranges_ms[options.ranges_ms.size() / 2];
  for (auto at = blocks.rbegin(); at != blocks.rend(); ++at) {
    const BlockStats& stats = at->stats;
    if (at->max_ms - at->min_ms < large) {
      // Too short to be worth it, unless everything in it is deleted.
      if (stats.tombstones > 0 && stats.tombstones >= stats.series) return {at->ulid};
      break;
    }
    if (static_cast<double>(stats.tombstones) / static_cast<double>(stats.series + 1) >
        kTombstoneShareMax) {
      return {at->ulid};
    }
  }
  return {};
}

}  // namespace

std::vector<int64_t> CompactionRanges(int64_t min_ms, int64_t max_ms) {
  std::vector<int64_t> ranges;
  int64_t range = min_ms;
  for (int i = 0; i < kRangeSteps && (i == 0 || range <= max_ms); ++i, range *= kRangeFactor) {
    ranges.push_back(range);
  }
  return ranges;
}

std::vector<Ulid> PlanCompaction(std::vector<BlockMeta> blocks, const PlanOptions& options) {
  if (options.exclude) {
    std::ranges::sort(blocks, {}, &BlockMeta::ulid);
    blocks.erase(std::ranges::find_if(blocks, options.exclude), blocks.end());
  }
  // Blocks of a part of the head must keep their hint, so classes never mix; ordinary blocks first.
  Blocks stale;
  Blocks selected;
  Blocks ordinary;
  for (BlockMeta& block : blocks) {
    if (block.compaction.HasHint(kHintFromStaleSeries)) {
      stale.push_back(std::move(block));
    } else if (block.compaction.HasHint(kHintFromSelectedSeries)) {
      selected.push_back(std::move(block));
    } else {
      ordinary.push_back(std::move(block));
    }
  }
  for (Blocks* group : {&ordinary, &stale, &selected}) {
    if (std::vector<Ulid> plan = PlanClass(std::move(*group), options); !plan.empty()) return plan;
  }
  return {};
}

BlockMeta CompactedMeta(std::span<const BlockMeta> parents, int64_t now_ms) {
  BlockMeta meta;
  meta.ulid = Ulid::Generate(now_ms);
  meta.min_ms = parents.front().min_ms;
  meta.max_ms = parents.front().max_ms;
  std::set<Ulid> sources;
  bool all_out_of_order = true;
  for (const BlockMeta& parent : parents) {
    meta.min_ms = std::min(meta.min_ms, parent.min_ms);
    meta.max_ms = std::max(meta.max_ms, parent.max_ms);
    meta.compaction.level = std::max(meta.compaction.level, parent.compaction.level);
    sources.insert(parent.compaction.sources.begin(), parent.compaction.sources.end());
    for (const std::string_view hint : {kHintFromStaleSeries, kHintFromSelectedSeries}) {
      if (parent.compaction.HasHint(hint)) meta.compaction.AddHint(hint);
    }
    all_out_of_order = all_out_of_order && parent.compaction.HasHint(kHintFromOutOfOrder);
    meta.compaction.parents.push_back({parent.ulid, parent.min_ms, parent.max_ms});
  }
  if (all_out_of_order) meta.compaction.AddHint(kHintFromOutOfOrder);
  ++meta.compaction.level;
  meta.compaction.sources.assign(sources.begin(), sources.end());
  return meta;
}

}  // namespace narthex::tsdb
