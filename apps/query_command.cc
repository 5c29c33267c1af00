// `narthex query`: asks a running server from the command line.
#include <string>

#include "apps/command.h"
#include "apps/tool.h"

namespace narthex::apps {

int RunQuery(const Arguments& arguments) {
  ToolContext context;
  Command root("narthex query", std::string(kQueryHelp));
  DeclareQueryCommands(root, context);
  return RunCommandLine(root, arguments, VersionText("narthex"),
                        [&context] { return PrepareTool(context); });
}

}  // namespace narthex::apps
