#include "tsdb/compact/compactor.h"

#include "tsdb/compact/planner.h"

namespace narthex::tsdb {

Result<std::optional<Ulid>> Compactor::Compact(std::span<const std::shared_ptr<Block>> blocks,
                                               const BlockWriteOptions& options) {
  std::vector<BlockMeta> metas;
  std::vector<std::unique_ptr<BlockSource>> owned;
  std::vector<BlockSource*> sources;
  for (const std::shared_ptr<Block>& block : blocks) {
    metas.push_back(block->meta());
    owned.push_back(NewBlockSource(block));
    sources.push_back(owned.back().get());
  }
  BlockMeta meta = CompactedMeta(metas, clock_.NowMillis());
  if (Status status = WriteBlock(files_, directory_, sources, options, &meta); !status.ok()) {
    if (status.code() != ErrorCode::kCanceled) {
      for (const std::shared_ptr<Block>& block : blocks) {
        if (Status marked = block->SetCompactionFailed(); !marked.ok()) {
          return MakeError(status.code(), "{}; setting compaction failed for block: {}: {}",
                           status.message(), block->directory(), marked.message());
        }
      }
    }
    return status;
  }
  if (meta.stats.samples == 0) {
    for (const std::shared_ptr<Block>& block : blocks) {
      NARTHEX_RETURN_IF_ERROR(block->SetDeletable());
    }
    return std::optional<Ulid>();
  }
  return std::optional<Ulid>(meta.ulid);
}

Result<std::optional<Ulid>> Compactor::CleanTombstones(const std::shared_ptr<Block>& block,
                                                       const BlockWriteOptions& options,
                                                       bool* is_empty) {
  *is_empty = false;
  if (block->tombstones()->empty()) return std::optional<Ulid>();
  const BlockMeta base = block->meta();
  BlockMeta meta;
  meta.ulid = Ulid::Generate(clock_.NowMillis());
  meta.min_ms = base.min_ms;
  meta.max_ms = base.max_ms;
  // Upstream writes such a block like one of the head: level 1, with the old one as its parent.
  meta.compaction.level = 1;
  meta.compaction.sources = {meta.ulid};
  meta.compaction.hints = base.compaction.hints;
  meta.compaction.parents = {{base.ulid, base.min_ms, base.max_ms}};
  const std::unique_ptr<BlockSource> source = NewBlockSource(block);
  BlockSource* const sources[] = {source.get()};
  NARTHEX_RETURN_IF_ERROR(WriteBlock(files_, directory_, sources, options, &meta));
  if (meta.stats.samples == 0) {
    *is_empty = true;
    return std::optional<Ulid>();
  }
  return std::optional<Ulid>(meta.ulid);
}

}  // namespace narthex::tsdb
