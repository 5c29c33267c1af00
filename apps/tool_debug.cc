// `debug` and `push`: not there yet, and they say so.
#include <string>

#include "apps/tool.h"

namespace narthex::apps {
namespace {

void AddUnsupported(Command& parent, std::string name, std::string help) {
  Command& command = parent.AddCommand(std::move(name), std::move(help));
  Command* target = &command;
  command.AddArgument(
      {"server", "Prometheus server.", true, true, [](std::string_view) { return Status(); }});
  command.OnRun([target] {
    return ReportError(Status(ErrorCode::kUnsupported, target->path() + ": not supported yet"));
  });
}

}  // namespace

void AddDebugCommands(Command& root, ToolContext&) {
  Command& debug = root.AddCommand("debug", "Fetch debug information.");
  AddUnsupported(debug, "pprof", "Fetch profiling debug information.");
  AddUnsupported(debug, "metrics", "Fetch metrics debug information.");
  AddUnsupported(debug, "all", "Fetch all debug information.");
}

void AddPushCommands(Command& root, ToolContext&) {
  Command& push = root.AddCommand("push", "Push to a Prometheus server.");
  AddUnsupported(push, "metrics",
                 "Push metrics to a prometheus remote write (for testing purpose only).");
}

}  // namespace narthex::apps
