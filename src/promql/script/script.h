// Runs PromQL test scripts (*.test): load series, evaluate queries, compare.
//
//   load 1m
//     requests_total{job="a"}  0+10x10
//   eval instant at 10m rate(requests_total[5m])
//     {job="a"} 0.16666666666666666
//
// Each instant evaluation also runs with fixed times (@) at other moments, and as a range query.
// The language, the comparison rules and the engine's settings are upstream's.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "util/status.h"

namespace narthex {
class ThreadPool;
}

namespace narthex::promql {

struct ScriptOptions {
  ThreadPool* pool = nullptr;  // Of the engine.
  // Stop at the first evaluation that fails.
  bool fail_fast = false;
  size_t samples_max = 10'000;  // A query.
};

struct ScriptFailure {
  size_t line = 0;  // Of the eval command, from 1.
  std::string query;
  std::string message;
};

struct ScriptReport {
  size_t passed = 0;  // eval commands.
  size_t failed = 0;
  std::vector<ScriptFailure> failures;
};

// Fails when the script cannot be read or its data not be loaded; failed evaluations are reported.
Result<ScriptReport> RunScript(std::string_view text, const ScriptOptions& options = {});
Result<ScriptReport> RunScriptFile(const std::string& path, const ScriptOptions& options = {});

}  // namespace narthex::promql
