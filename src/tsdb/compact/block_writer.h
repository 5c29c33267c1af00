// Writes a block from sources: the one way in which blocks come to be, for head, compactor, tools.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>

#include "tsdb/block/block_meta.h"
#include "tsdb/chunks/segment_files.h"
#include "tsdb/compact/block_source.h"
#include "tsdb/compact/distribution.h"
#include "util/file.h"
#include "util/status.h"
#include "util/time.h"

namespace narthex::tsdb {

inline constexpr std::string_view kBlockCreationSuffix = ".tmp-for-creation";
inline constexpr std::string_view kBlockDeletionSuffix = ".tmp-for-deletion";

struct BlockWriteOptions {
  uint64_t segment_bytes = kChunkSegmentBytesDefault;
  // Of chunks that have to be encoded anew because sources overlap.
  ChunkEncoding float_encoding = ChunkEncoding::kXor;
  // Asked between series: a block that is given up leaves nothing behind (kCanceled).
  std::stop_token stop;
  // Counts the chunks of blocks of level 1. May be null.
  ChunkDistributions* chunks = nullptr;
};

// Writes <directory>/<meta.ulid> with the samples of all sources from meta.min_ms up to, not
// including, meta.max_ms. Fills meta.stats. Everything is synced, and the folder gets its name
// last. When there is no sample nothing is written and meta->stats.samples is 0.
Status WriteBlock(FileSystem& files, const std::string& directory,
                  std::span<BlockSource* const> sources, const BlockWriteOptions& options,
                  BlockMeta* meta);

// The meta of a new block of the head: level 1, its own source. With `hint` (one of the kHintFrom…)
// also the zero parent that marks out-of-order and stale blocks.
BlockMeta NewHeadBlockMeta(int64_t min_ms, int64_t max_ms, int64_t now_ms,
                           std::string_view hint = {});

}  // namespace narthex::tsdb
