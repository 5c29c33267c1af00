// One executable for everything: `narthex server`, `narthex tool`, … A symlink with the name of one
// of upstream's programs runs the subcommand that takes its place.
#include <cstdio>
#include <string_view>

#include "apps/command.h"
#include "apps/program_tree.h"
#include "util/file.h"

// jemalloc looks for this name before main begins; MALLOC_CONF in the environment goes before it.
// Queries take much memory for a moment. By default each of eight arenas (on two processors) keeps
// what it was given back for ten seconds, so that the peaks of successive queries add up: two
// arenas and one second halve the peak, and cost no time, since small pieces come from the threads'
// caches and what is used again soon is still warm.
extern "C" {
[[gnu::visibility("default"), gnu::used]] const char* malloc_conf =
    "narenas:2,dirty_decay_ms:1000,muzzy_decay_ms:0";
}

namespace narthex::apps {
namespace {

// Upstream's programs and what stands in for them: the subcommand's words.
struct Alias {
  std::string_view program;
  std::string_view subcommand;
  std::string_view first_argument;
};
constexpr Alias kAliases[] = {
    {"prometheus", "server", ""},
    {"promtool", "tool", ""},
    {"pushgateway", "pushgateway", ""},
    {"node_exporter", "exporter", "node"},
};

void PrintUsage(std::FILE* out) {
  std::fputs("usage: narthex <command> [<args> ...]\n\nCommands:\n", out);
  for (const Subcommand& command : Subcommands()) {
    std::fprintf(out, "  %-12s %s\n", command.name.data(), command.help.data());
  }
  std::fputs("\n`narthex <command> --help` tells more; `narthex --version` prints the version.\n",
             out);
}

int Main(int argc, char** argv) {
  Arguments arguments(argv + 1, argv + argc);
  const std::string program = BaseName(argc > 0 ? argv[0] : "narthex");
  for (const Alias& alias : kAliases) {
    if (alias.program != program) continue;
    const Subcommand& subcommand = *FindSubcommand(alias.subcommand);
    const auto describe = [&] { return DescribeProgram(subcommand, program); };
    if (const auto code = DescribeInstead(arguments, describe)) return *code;
    if (!alias.first_argument.empty()) arguments.emplace(arguments.begin(), alias.first_argument);
    return subcommand.run(arguments);
  }
  if (arguments.empty()) {
    PrintUsage(stderr);
    return 1;
  }
  const std::string name = arguments.front();
  if (name == "--version" || name == "version") {
    std::fputs(VersionText("narthex").c_str(), stdout);
    return 0;
  }
  if (name == "-h" || name == "--help" || name == "help") {
    PrintUsage(stdout);
    return 0;
  }
  if (name.starts_with("--")) {
    if (const auto code = DescribeInstead(arguments, &DescribeNarthex)) return *code;
  }
  const Subcommand* command = FindSubcommand(name);
  if (command == nullptr) {
    std::fprintf(stderr, "narthex: error: expected command but got \"%s\", try --help\n",
                 name.c_str());
    return 1;
  }
  arguments.erase(arguments.begin());
  const auto describe = [&] {
    return DescribeProgram(*command, name == "tool" ? "promtool" : "narthex-" + name);
  };
  if (const auto code = DescribeInstead(arguments, describe)) return *code;
  return command->run(arguments);
}

}  // namespace
}  // namespace narthex::apps

int main(int argc, char** argv) {
  return narthex::apps::Main(argc, argv);
}
