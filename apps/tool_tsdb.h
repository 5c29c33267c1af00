// Parts of `tsdb` that have files of their own.
#pragma once

#include <string>

#include "apps/tool.h"
#include "apps/tool_database.h"

namespace narthex::apps {

struct AnalyzeOptions {
  std::string path = "data/";
  std::string block;
  int64_t limit = 20;
  bool extended = false;
  std::string match;
};
// Prints what a block consists of and which labels cost most.
int AnalyzeBlock(const AnalyzeOptions& options, const ToolContext& context);

// A table of blocks.
std::string BlocksTable(const Blocks& blocks, bool header, bool human_readable);

// `create-blocks-from`, below `tsdb`.
void AddBackfillCommands(Command& tsdb, ToolContext& context);

// `verify` and `repair`, below `tsdb`.
void AddVerifyCommands(Command& tsdb);

}  // namespace narthex::apps
