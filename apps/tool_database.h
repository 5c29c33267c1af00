// A data directory opened by the tools, for reading only, also while a server writes to it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tsdb/block/block.h"
#include "tsdb/db/read_only_db.h"
#include "util/status.h"

namespace narthex::apps {

using Blocks = std::vector<std::shared_ptr<tsdb::Block>>;

// Ascending by first time. `opening the db dir: …`; `corrupted block <ulid>: …`, a line each, when
// one is damaged that no other block replaces.
Result<Blocks> OpenBlocks(const std::string& directory);
// `invalid block ID …`. An empty name: the newest, or `no blocks found`.
Result<std::shared_ptr<tsdb::Block>> OpenBlock(const std::string& directory, std::string ulid);
// Blocks and head. Refuses damaged blocks as OpenBlocks does.
Result<std::unique_ptr<tsdb::ReadOnlyDb>> OpenDatabase(const std::string& directory,
                                                       const std::string& sandbox_root);

}  // namespace narthex::apps
