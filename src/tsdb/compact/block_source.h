// Where the series of a new block come from: other blocks, the head, a tool's list in memory.
//
// Threads: one writer uses a source at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/labels.h"
#include "tsdb/block/block.h"
#include "tsdb/chunks/chunk.h"
#include "util/status.h"
#include "util/time.h"

namespace narthex::tsdb {

// A chunk of the current series. `bytes` holds until the iterator moves on.
struct SourceChunk {
  int64_t min_ms = 0;
  int64_t max_ms = 0;  // Included.
  ChunkEncoding encoding = ChunkEncoding::kNone;
  std::string_view bytes;
};

class SourceSeriesIterator {
 public:
  virtual ~SourceSeriesIterator() = default;
  // Series ascend by labels, each once. False at the end and on an error.
  virtual bool Next() = 0;
  virtual const Labels& labels() const = 0;
  // By time. A source whose chunks overlap (out-of-order data) is merged like several sources.
  // Samples outside the wanted range or deleted are already gone; a series with no chunk is left
  // out of the block.
  virtual std::span<const SourceChunk> chunks() const = 0;
  virtual Status status() const = 0;
};

class BlockSource {
 public:
  virtual ~BlockSource() = default;
  // Every name and value, ascending, each once. May hold more than the series need.
  virtual Status ForEachSymbol(const std::function<Status(std::string_view)>& visit) = 0;
  // Series with chunks within `range` (both ends included), chunks cut to it.
  virtual std::unique_ptr<SourceSeriesIterator> Series(TimeRange range) = 0;
};

// All series of a block without what its tombstones delete.
std::unique_ptr<BlockSource> NewBlockSource(std::shared_ptr<const Block> block);

// Series that a caller has in memory: backfill, tests, small heads. Sorted by labels.
struct MemorySeries {
  Labels labels;
  std::vector<EncodedChunk> chunks;
};
std::unique_ptr<BlockSource> NewMemorySource(std::vector<MemorySeries> series);

// The part of a chunk within `range` and outside `deleted`, encoded anew in the same encoding.
// A chunk of which nothing is left has an empty `bytes`.
Result<EncodedChunk> TrimChunk(const SourceChunk& chunk, TimeRange range,
                               std::span<const TimeRange> deleted);

}  // namespace narthex::tsdb
