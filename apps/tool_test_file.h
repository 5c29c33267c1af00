// A file of unit tests for rules, as `test rules` reads it (parity/cli.md section 5).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/values.h"
#include "util/status.h"

namespace narthex::apps {

struct InputSeries {
  std::string series;
  std::string values;
};

struct ExpectedAlert {
  TextMap labels;
  TextMap annotations;
};

struct AlertTest {
  Duration eval_time;
  std::string alertname;
  std::vector<ExpectedAlert> alerts;
};

struct ExpectedSample {
  std::string labels;
  double value = 0;
  std::string histogram;  // Not empty: takes the place of `value`.
};

struct ExprTest {
  std::string expr;
  Duration eval_time;
  std::vector<ExpectedSample> samples;
};

// RFC 3339, or seconds since 1970.
struct TestStart {
  int64_t ms = 0;
};

struct RuleTestGroup {
  Duration interval;
  std::vector<InputSeries> input_series;
  std::vector<AlertTest> alert_tests;
  std::vector<ExprTest> expr_tests;
  TextMap external_labels;
  std::string external_url;
  std::string name;
  TestStart start;

  // The last time that a test asks about, from the start.
  int64_t LastEvalNanos() const;
};

struct RuleTestFile {
  std::vector<std::string> rule_files;
  Duration evaluation_interval;
  std::vector<std::string> group_eval_order;
  std::vector<RuleTestGroup> tests;
  bool fuzzy_compare = false;
};

// Strict. Errors in the words of Go's yaml library.
Result<RuleTestFile> ParseRuleTestFile(std::string_view yaml);

}  // namespace narthex::apps
