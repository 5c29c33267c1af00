// Runs one group of unit tests: evaluates rules over input series, step by step, and compares.
#pragma once

#include <string>
#include <vector>

#include "apps/tool.h"
#include "apps/tool_test_file.h"

namespace narthex::apps {

struct RuleTestOptions {
  std::vector<std::string> rule_files;
  int64_t evaluation_interval_nanos = 0;
  std::vector<std::string> group_eval_order;
  bool fuzzy_compare = false;
  bool diff = false;
  bool debug = false;
  bool ignore_unknown_fields = false;
};

// What went wrong, a text each; empty when every test passed.
std::vector<std::string> RunRuleTestGroup(const RuleTestGroup& group, const std::string& name,
                                          const RuleTestOptions& options,
                                          const ToolContext& context);

}  // namespace narthex::apps
