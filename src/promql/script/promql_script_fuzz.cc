// Any text may come as a test script. It must be taken apart or refused with the line, and what it
// says must run to its end: an evaluation that differs is no failure of the runner.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

#include "promql/script/commands.h"
#include "promql/script/script.h"
#include "util/check.h"

using namespace narthex;          // NOLINT: one small program.
using namespace narthex::promql;  // NOLINT

namespace {

// Long repetitions, ranges and counts are legal and only cost time.
bool Costly(std::string_view text) {
  size_t digits = 0;
  for (const char c : text) {
    digits = c >= '0' && c <= '9' ? digits + 1 : 0;
    if (digits > 3) return true;
  }
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 2048) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (Costly(text)) return 0;
  const auto commands = script::ParseScript(text);
  if (!commands.ok()) {
    NARTHEX_CHECK(!commands.status().message().empty());
    return 0;
  }
  size_t evaluations = 0;
  for (const script::Command& command : *commands) {
    evaluations += std::holds_alternative<script::EvalCommand>(command) ? 1 : 0;
  }
  const Result<ScriptReport> report = RunScript(text, {.samples_max = 20'000});
  if (report.ok()) NARTHEX_CHECK(report->passed + report->failed >= evaluations);
  return 0;
}
