// `test`: unit tests of rules.
#include "apps/tool.h"

namespace narthex::apps {

void AddTestCommands(Command& root, ToolContext&) {
  Command& test = root.AddCommand("test", "Unit testing.");
  Command& rules = test.AddCommand("rules", "Unit tests for rules.");
  rules.AddArgument({"test-rule-file", "The unit test file.", true, true,
                     [](std::string_view) { return Status(); }});
  rules.OnRun(
      [] { return ReportError(Status(ErrorCode::kUnsupported, "test rules: not supported yet")); });
}

}  // namespace narthex::apps
