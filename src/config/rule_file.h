// Rule files: groups of recording and alerting rules, read strictly, with line and column of what
// is wrong.
//
// Expressions and templates belong to higher layers, so their checks are handed in.
// Specification: parity/config.md section 14.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/values.h"
#include "model/relabel.h"
#include "util/file.h"
#include "util/status.h"

namespace narthex {

// Where a value stands in its file, from 1; 0:0 when it is not there.
struct FilePosition {
  int line = 0;
  int column = 0;
};

struct RuleConfig {
  std::string record;  // Exactly one of record and alert is set.
  std::string alert;
  std::string expr;
  Duration hold;  // `for`.
  Duration keep_firing_for;
  TextMap labels;
  TextMap annotations;

  FilePosition record_position;
  FilePosition alert_position;
  FilePosition expr_position;

  const std::string& name() const { return alert.empty() ? record : alert; }
  bool is_alert() const { return !alert.empty(); }
};

struct RuleGroupConfig {
  std::string name;
  Duration interval;  // 0: the global evaluation interval.
  std::optional<Duration> query_offset;
  int64_t limit = 0;  // 0: none.
  std::vector<RuleConfig> rules;
  TextMap labels;  // Added to every rule that does not set the same label.
};

struct RuleGroups {
  std::vector<RuleGroupConfig> groups;
  // A second YAML document follows, which is ignored; whoever loads logs it.
  bool has_second_document = false;
};

struct RuleFileOptions {
  bool ignore_unknown_fields = false;
  NameValidation name_validation = NameValidation::kUtf8;
  // Ok, or what the PromQL parser says ("1:6: parse error: …").
  std::function<Status(std::string_view expression)> check_expression;
  // Ok, or what the template parser says. `name` is "__alert_<alert>".
  std::function<Status(std::string_view name, std::string_view text)> check_template;
};

struct RuleFileResult {
  RuleGroups groups;
  // In upstream's words, each with the file in front; empty when the file is good. The groups are
  // meaningful only then.
  std::vector<Status> errors;
};

// `file` only names the source in errors.
RuleFileResult ParseRuleFile(const std::string& file, std::string_view yaml,
                             const RuleFileOptions& options);
RuleFileResult LoadRuleFile(const std::string& path, const RuleFileOptions& options,
                            FileSystem& files = FileSystem::Posix());

}  // namespace narthex
