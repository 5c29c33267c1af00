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

struct WriteBenchmarkOptions {
  std::string output = "benchout";  // Is emptied first; empty: a temporary folder.
  int64_t metrics = 10'000;
  int64_t scrapes = 3'000;
  std::string file = "../../tsdb/testdata/20kseries.json";
};
// Appends scrapes of the file's series to a new database and prints how long that takes. Writes no
// profiles beside it, which in upstream are those of Go's runtime.
Status BenchmarkWrites(const WriteBenchmarkOptions& options);

// A table of blocks.
std::string BlocksTable(const Blocks& blocks, bool header, bool human_readable);

// `create-blocks-from`, below `tsdb`.
void AddBackfillCommands(Command& tsdb, ToolContext& context);

// `verify` and `repair`, below `tsdb`.
void AddVerifyCommands(Command& tsdb);

}  // namespace narthex::apps
