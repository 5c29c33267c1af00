// Parts of `tsdb` that have files of their own.
#pragma once

#include <string>

#include "apps/tool.h"

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

}  // namespace narthex::apps
