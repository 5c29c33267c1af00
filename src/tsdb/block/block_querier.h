// Queries over one block.
#pragma once

#include <memory>

#include "storage/storage.h"
#include "tsdb/block/block.h"
#include "util/time.h"

namespace narthex::tsdb {

// A querier over the part of the block within `range`. It keeps the block open and sees the
// tombstones of now.
std::unique_ptr<storage::Querier> NewBlockQuerier(std::shared_ptr<const Block> block,
                                                  TimeRange range);

}  // namespace narthex::tsdb
