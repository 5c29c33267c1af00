// `test rules`: unit tests of rules, from files.
#include <fmt/format.h>
#include <re2/re2.h>

#include <memory>
#include <set>
#include <utility>

#include "apps/tool.h"
#include "apps/tool_test_file.h"
#include "apps/tool_test_run.h"
#include "config/config.h"
#include "model/go_regex.h"
#include "promql/script/script.h"
#include "util/file.h"
#include "util/log.h"
#include "util/strings.h"
#include "util/time.h"

namespace narthex::apps {
namespace {

constexpr int64_t kRegexBytesMax = 64 << 20;

struct TestOptions {
  std::string junit;
  std::vector<std::string> files;
  std::vector<std::string> run;
  bool debug = false;
  bool diff = false;
  bool ignore_unknown_fields = false;
};

struct CaseReport {
  std::string name;
  std::vector<std::string> failures;
};

// What became of one file.
struct SuiteReport {
  std::string file;
  std::string timestamp;
  std::string error;  // The file could not be read.
  std::vector<CaseReport> cases;
};

std::string EscapeXml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '"': out += "&#34;"; break;
      case '\'': out += "&#39;"; break;
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '\t': out += "&#x9;"; break;
      case '\n': out += "&#xA;"; break;
      case '\r': out += "&#xD;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string JunitXml(const std::vector<SuiteReport>& suites) {
  std::string out = "<testsuites>";
  for (const SuiteReport& suite : suites) {
    size_t failures = 0;
    for (const CaseReport& test : suite.cases) failures += test.failures.size();
    // A file that could not be read counts as a case of unknown name.
    const size_t tests = suite.error.empty() ? suite.cases.size() : 1;
    out += fmt::format(
        R"(<testsuite name="{}" tests="{}" failures="{}" errors="{}" skipped="0" timestamp="{}">)",
        EscapeXml(suite.file), tests, failures, suite.error.empty() ? 0 : 1, suite.timestamp);
    if (!suite.error.empty()) {
      out += "<testcase name=\"unknown\"><error>" + EscapeXml(suite.error) + "</error></testcase>";
    }
    for (const CaseReport& test : suite.cases) {
      out += "<testcase name=\"" + EscapeXml(test.name) + "\">";
      for (const std::string& failure : test.failures) {
        out += "<failure>" + EscapeXml(failure) + "</failure>";
      }
      out += "</testcase>";
    }
    out += "</testsuite>";
  }
  return out + "</testsuites>";
}

// Joined to the file's folder, and replaced by the files that match.
Result<std::vector<std::string>> FindRuleFiles(const std::vector<std::string>& patterns,
                                               const std::string& folder) {
  std::vector<std::string> files;
  for (const std::string& pattern : patterns) {
    const bool relative = !pattern.empty() && !pattern.starts_with('/');
    const std::string joined = relative && folder != "." ? JoinPath(folder, pattern) : pattern;
    NARTHEX_TRY(const std::vector<std::string> matches, GlobFiles(joined));
    if (matches.empty()) PrintError("  WARNING: no file match pattern " + joined + "\n");
    files.insert(files.end(), matches.begin(), matches.end());
  }
  return files;
}

Result<RuleTestFile> ReadTestFile(const std::string& path) {
  NARTHEX_TRY(const std::string text, FileSystem::Posix().ReadAll(path));
  NARTHEX_TRY(RuleTestFile file, ParseRuleTestFile(text));
  NARTHEX_TRY(file.rule_files, FindRuleFiles(file.rule_files, DirName(path)));
  if (file.evaluation_interval.nanos == 0) file.evaluation_interval = Minutes(1);
  std::set<std::string> names;
  for (const std::string& name : file.group_eval_order) {
    if (names.insert(name).second) continue;
    return Status(ErrorCode::kInvalidInput, "group name repeated in evaluation order: " + name);
  }
  return file;
}

SuiteReport RunFile(const std::string& path, const TestOptions& options, const re2::RE2* run,
                    const ToolContext& context) {
  SuiteReport report;
  report.file = path;
  Result<RuleTestFile> file = ReadTestFile(path);
  if (!file.ok()) {
    report.error = file.status().message();
    return report;
  }
  report.timestamp = FormatRfc3339Millis(Clock::System().NowMillis()).substr(0, 19);
  RuleTestOptions test_options;
  test_options.rule_files = file->rule_files;
  test_options.evaluation_interval_nanos = file->evaluation_interval.nanos;
  test_options.group_eval_order = file->group_eval_order;
  test_options.fuzzy_compare = file->fuzzy_compare;
  test_options.diff = options.diff;
  test_options.debug = options.debug;
  test_options.ignore_unknown_fields = options.ignore_unknown_fields;
  for (size_t i = 0; i < file->tests.size(); ++i) {
    RuleTestGroup& group = file->tests[i];
    if (run != nullptr && !re2::RE2::PartialMatch(group.name, *run)) continue;
    if (group.interval.nanos == 0) group.interval = file->evaluation_interval;
    const std::string name = group.name.empty() ? fmt::format("unnamed#{}", i) : group.name;
    report.cases.push_back({name, RunRuleTestGroup(group, name, test_options, context)});
  }
  return report;
}

// Gives whether everything passed.
bool PrintReport(const SuiteReport& report) {
  std::vector<std::string> errors;
  if (!report.error.empty()) errors.push_back(report.error);
  for (const CaseReport& test : report.cases) {
    errors.insert(errors.end(), test.failures.begin(), test.failures.end());
  }
  if (errors.empty()) {
    PrintOut("  SUCCESS\n\n");
    return true;
  }
  PrintError("  FAILED:\n");
  for (const std::string& error : errors) {
    PrintError(error + "\n");
    PrintOut("\n");
  }
  PrintOut("\n");
  return false;
}

int TestRules(const TestOptions& options, const ToolContext& context) {
  // A rule that fails is an error of the test and printed as such.
  SetLogLevel(LogLevel::kError);
  std::unique_ptr<const re2::RE2> run;
  if (!options.run.empty()) {
    auto compiled = CompileGoRegex(Join(options.run, "|"), kRegexBytesMax);
    if (!compiled.ok()) return ReportError(compiled.status());
    run = *std::move(compiled);
  }
  std::vector<SuiteReport> reports;
  bool passed = true;
  for (const std::string& file : options.files) {
    PrintOut("Processing test file: " + file + "\n");
    reports.push_back(RunFile(file, options, run.get(), context));
    passed = PrintReport(reports.back()) && passed;
  }
  if (!options.junit.empty()) {
    const Status written = FileSystem::Posix().WriteAtomically(options.junit, JunitXml(reports));
    if (!written.ok()) PrintError("failed to write JUnit XML: " + written.message() + "\n");
  }
  return passed ? 0 : 1;
}

// Upstream has no such command; its scripts run inside its own test suite only.
int TestPromql(const std::vector<std::string>& files) {
  int code = 0;
  for (const std::string& file : files) {
    PrintOut("Processing test script: " + file + "\n");
    const Result<promql::ScriptReport> report = promql::RunScriptFile(file);
    if (!report.ok()) {
      PrintError("  FAILED: " + report.status().message() + "\n");
      code = 1;
      continue;
    }
    for (const promql::ScriptFailure& failure : report->failures) {
      PrintError(fmt::format("  FAILED: {}:{}: {}: {}\n", file, failure.line, failure.query,
                             failure.message));
      code = 1;
    }
    if (report->failed == 0) {
      PrintOut(fmt::format("  SUCCESS: {} evaluations\n", report->passed));
    }
  }
  return code;
}

}  // namespace

void AddTestCommands(Command& root, ToolContext& context) {
  const auto options = std::make_shared<TestOptions>();
  Command& test = root.AddCommand("test", "Unit testing.");
  test.flags()
      .String("junit", &options->junit, "File path to store JUnit XML test results.")
      .Placeholder("JUNIT");
  Command& rules = test.AddCommand("rules", "Unit tests for rules.");
  rules.flags()
      .Strings("run", &options->run,
               "If set, will only run test groups whose names match the regular expression. Can be "
               "specified multiple times.")
      .Placeholder("RUN ...");
  rules.FileArguments("test-rule-file", &options->files, Presence::kRequired,
                      "The unit test file.");
  rules.flags().Bool("debug", &options->debug, "Enable unit test debugging.");
  rules.flags().Bool(
      "diff", &options->diff,
      "[Experimental] Print colored differential output between expected & received output.");
  rules.flags().Bool("ignore-unknown-fields", &options->ignore_unknown_fields,
                     "Ignore unknown fields in the test files. This is useful when you want to "
                     "extend rule files with custom metadata. Ensure that those fields are "
                     "removed before loading them into the Prometheus server as it performs "
                     "strict checks by default.");
  rules.OnRun([&context, options] { return TestRules(*options, context); });

  const auto scripts = std::make_shared<std::vector<std::string>>();
  Command& promql = test.AddCommand("promql", "Run PromQL test scripts (*.test).");
  promql.FileArguments("script-file", scripts.get(), Presence::kRequired, "The test script.");
  promql.OnRun([scripts] { return TestPromql(*scripts); });
}

}  // namespace narthex::apps
