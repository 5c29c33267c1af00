#include "promql/script/script.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <iostream>

#include "testing/conformance.h"
#include "util/thread_pool.h"

namespace narthex::promql {
namespace {

std::vector<std::filesystem::path> ScriptsIn(const std::filesystem::path& folder) {
  std::error_code missing;
  std::vector<std::filesystem::path> scripts;
  for (const auto& entry : std::filesystem::directory_iterator(folder, missing)) {
    if (entry.path().extension() == ".test") scripts.push_back(entry.path());
  }
  std::sort(scripts.begin(), scripts.end());
  return scripts;
}

void RunAll(const std::vector<std::filesystem::path>& scripts) {
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

TEST(Conformance, EveryEvaluationOfEveryScript) {
  const auto scripts = ScriptsIn(testing::ConformancePath("promql"));
  if (scripts.empty()) GTEST_SKIP() << testing::kNoConformanceData;
  RunAll(scripts);
}

// Ours: what upstream's scripts leave out, mostly found by comparing answers.
TEST(OurScripts, EveryEvaluationOfEveryScript) {
  const auto scripts = ScriptsIn(std::filesystem::path(NARTHEX_SOURCE_DIR) / "tests/promql");
  ASSERT_FALSE(scripts.empty());
  RunAll(scripts);
}

constexpr std::string_view kLoad =
    "load 1m\n"
    "  m{a=\"x\"} 0+1x10\n"
    "  m{a=\"y\"} 5 _ stale\n"
    "  h {{schema:0 count:3 sum:4 buckets:[1 2]}}x3\n"
    "\n";

struct Case {
  std::string_view name;
  std::string_view eval;
  std::string_view failure;  // Part of the message; empty: passes.
};

TEST(RunScript, ToldWhatIsWrong) {
  const Case cases[] = {
      {"equal", "eval instant at 2m m\n  m{a=\"x\"} 2\n", ""},
      {"other value", "eval instant at 2m m\n  m{a=\"x\"} 3\n",
       "expected 3 for m{a=\"x\"} but got 2"},
      {"within the tolerance", "eval instant at 2m m / 3\n  {a=\"x\"} 0.6666669\n", ""},
      {"missing", "eval instant at 0 m\n  m{a=\"x\"} 0\n", "unexpected metric m{a=\"y\"}"},
      {"too many expected", "eval instant at 2m m\n  m{a=\"x\"} 2\n  m{a=\"z\"} 1\n",
       "expected metric m{a=\"z\"} with 1 not found"},
      {"nothing expected", "eval instant at 2m m\n", "unexpected metric"},
      {"scalar", "eval instant at 2m 1 + 1\n  3\n", "expected scalar 3 but got 2"},
      {"string", "eval instant at 2m \"a\"\n  expect string \"b\"\n",
       "expected string \"b\" but got \"a\""},
      {"order", "eval instant at 0 sort(m)\n  expect ordered\n  m{a=\"y\"} 5\n  m{a=\"x\"} 0\n",
       "at position 2 but was at 1"},
      {"range", "eval range from 0 to 2m step 1m m{a=\"x\"}\n  m{a=\"x\"} 0 1 2\n", ""},
      {"range gap", "eval range from 0 to 2m step 1m m{a=\"x\"}\n  m{a=\"x\"} 0 _ 2\n",
       "expected 2 for m{a=\"x\"} at 120000"},
      {"range vector",
       "eval instant at 2m m[2m]\n  expect range vector from 1m to 2m step 1m\n  m{a=\"x\"} 1 2\n",
       ""},
      {"fails", "eval instant at 0 m + on() m\n  expect fail regex: many-to-many\n", ""},
      {"fails otherwise", "eval instant at 0 m + on() m\n  expect fail msg: other\n",
       "expected error \"other\" but got: found duplicate series"},
      {"does not fail", "eval instant at 0 m\n  expect fail\n", "expected error but got none"},
      {"warns", "eval instant at 2m rate(m[1m] offset 5m) + quantile(2, m)\n  expect no_warn\n",
       "unexpected warn annotations"},
      {"no warning", "eval instant at 2m m\n  expect warn\n  m{a=\"x\"} 2\n",
       "expected warn annotations but none were found"},
      {"histogram", "eval instant at 2m h\n  h {{schema:0 count:3 sum:4 buckets:[1 2]}}\n", ""},
      {"other bucket", "eval instant at 2m h\n  h {{schema:0 count:3 sum:4 buckets:[2 1]}}\n",
       "expected {{"},
      {"hint",
       "eval instant at 2m h\n  h {{schema:0 count:3 sum:4 buckets:[1 2] "
       "counter_reset_hint:reset}}\n",
       "counter_reset_hint"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const Result<ScriptReport> report = RunScript(std::string(kLoad) + std::string(c.eval));
    ASSERT_TRUE(report.ok()) << report.status().message();
    if (c.failure.empty()) {
      EXPECT_EQ(report->failed, 0u) << report->failures[0].message;
      EXPECT_EQ(report->passed, 1u);
      continue;
    }
    ASSERT_EQ(report->failed, 1u);
    EXPECT_EQ(report->failures[0].line, 6u);
    EXPECT_NE(report->failures[0].message.find(c.failure), std::string::npos)
        << report->failures[0].message;
  }
}

TEST(RunScript, RefusesWhatItCannotRead) {
  for (const std::string_view text :
       {"lode 5m\n", "load\n", "load 5x\n", "eval instant at 5m\n", "eval instant at 5x m\n",
        "eval instant at 5m m +\n", "eval range from 5m to 1m step 1m m\n",
        "eval instant at 5m m\n  expect nothing\n", "eval instant at 5m m\n  m 1 2\n",
        "eval instant at 5m m\n  m\n", "eval instant at 5m m\n  expect fail\n  expect fail\n",
        "eval instant at 5m m\n  expect warn\n  expect no_warn\n", "load 5m\n  m@st -1m\n\n",
        "load 5m\n  m@st -1m -1m\n  m 1\n"}) {
    SCOPED_TRACE(text);
    EXPECT_FALSE(RunScript(text).ok());
  }
}

}  // namespace
}  // namespace narthex::promql
