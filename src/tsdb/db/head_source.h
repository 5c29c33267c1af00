// The head as a source of blocks.
#pragma once

#include <memory>

#include "tsdb/compact/block_source.h"
#include "tsdb/head/head.h"

namespace narthex::tsdb {

// Samples that came in order, without deleted ones. `head` is not truncated while the source lives.
std::unique_ptr<BlockSource> NewHeadSource(const Head* head);
// The same of some series; `selected` outlives the source.
std::unique_ptr<BlockSource> NewSelectedSource(const Head* head,
                                               const Head::SortedSeries& selected);
// Samples that came out of order, as far as they are in chunk files.
std::unique_ptr<BlockSource> NewLateSource(const Head* head, const Head::LateSnapshot& snapshot);

}  // namespace narthex::tsdb
