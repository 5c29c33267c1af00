// Checks of configuration and rule files, for `check` and its tests.
#pragma once

#include <string>
#include <vector>

#include "apps/tool.h"

namespace narthex::apps {

struct RuleLint {
  bool duplicate_rules = false;
  bool fatal = false;
  bool ignore_unknown_fields = false;

  // Of --lint; unknown names are warned of.
  static RuleLint Parse(std::string_view options, bool fatal, bool ignore_unknown_fields);
};

struct CheckOutcome {
  bool failed = false;
  bool has_errors = false;  // Others than of linting.

  void Add(const CheckOutcome& other) {
    failed = failed || other.failed;
    has_errors = has_errors || other.has_errors;
  }
  int ExitCode(bool lint_fatal) const;
};

// Prints what it finds.
CheckOutcome CheckRuleFiles(const std::vector<std::string>& files, const RuleLint& lint,
                            const ToolContext& context);

struct CheckConfigOptions {
  std::vector<std::string> files;
  std::string lint = "duplicate-rules";
  bool syntax_only = false;
  bool lint_fatal = false;
  bool ignore_unknown_fields = false;
  bool agent = false;
  int64_t lookback_nanos = 0;
};
int CheckConfigFiles(const CheckConfigOptions& options, const ToolContext& context);

// Lints an exposition, prints its largest metrics; reads standard input.
int CheckMetrics(bool extended, const std::string& lint);

// Runs service discovery of a job for a while and prints the targets as JSON.
int CheckServiceDiscovery(const std::string& config_file, const std::string& job,
                          int64_t timeout_nanos);

}  // namespace narthex::apps
