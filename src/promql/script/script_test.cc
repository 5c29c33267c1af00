#include "promql/script/script.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <iostream>

#include "testing/conformance.h"
#include "util/thread_pool.h"

namespace narthex::promql {
namespace {

// Upstream's scripts, each run with and without threads.
TEST(Conformance, EveryEvaluationOfEveryScript) {
  const std::filesystem::path folder = testing::ConformancePath("promql");
  std::error_code missing;
  std::vector<std::filesystem::path> scripts;
  for (const auto& entry : std::filesystem::directory_iterator(folder, missing)) {
    if (entry.path().extension() == ".test") scripts.push_back(entry.path());
  }
  if (scripts.empty()) GTEST_SKIP() << testing::kNoConformanceData;
  std::sort(scripts.begin(), scripts.end());

  ThreadPool pool("script", 2);
  ScriptReport total;
  for (const std::filesystem::path& path : scripts) {
    SCOPED_TRACE(path.filename().string());
    const Result<ScriptReport> report = RunScriptFile(path.string(), {.pool = &pool});
    if (!report.ok()) {
      ADD_FAILURE() << report.status().message();
      continue;
    }
    std::cout << path.filename().string() << ": " << report->passed << " passed, " << report->failed
              << " failed\n";
    total.passed += report->passed;
    total.failed += report->failed;
    for (const ScriptFailure& failure : report->failures) {
      ADD_FAILURE() << path.filename().string() << ":" << failure.line << ": " << failure.query
                    << "\n  " << failure.message;
    }
  }
  std::cout << "all: " << total.passed << " passed, " << total.failed << " failed\n";
}

}  // namespace
}  // namespace narthex::promql
