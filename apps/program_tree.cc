#include "apps/program_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "apps/tool.h"
#include "util/file.h"

namespace narthex::apps {
namespace {

constexpr Subcommand kSubcommands[] = {
    {"server", &RunServer, &DeclareServer,
     "The monitoring server: scrapes, stores, answers PromQL, alerts."},
    {"up", &RunUp, &DeclareUp,
     "The whole stack on this machine with one command, no configuration needed."},
    {"exporter", &RunExporter, &DeclareExporter, "An exporter: `narthex exporter node`."},
    {"pushgateway", &RunPushgateway, &DeclarePushgateway,
     "Takes metrics pushed by jobs that end before a scrape."},
    {"query", &RunQuery, &DeclareQuery,
     "Asks a running server: `narthex query instant URL EXPRESSION`."},
    {"tool", &RunTool, &DeclareTool, "Checks, inspects and tests, as promtool does."},
    {"completion", &RunCompletion, &DeclareCompletion,
     "Prints a script that makes a shell complete these commands."},
    {"man", &RunManual, &DeclareManual, "Prints manual pages."},
};

struct ShellName {
  std::string_view name;
  Shell shell;
};
constexpr ShellName kShells[] = {
    {"bash", Shell::kBash}, {"zsh", Shell::kZsh}, {"fish", Shell::kFish}};

std::optional<Shell> FindShell(std::string_view name) {
  for (const ShellName& known : kShells) {
    if (known.name == name) return known.shell;
  }
  return std::nullopt;
}

// "bash" of "--completion-bash".
std::optional<Shell> ShellOf(std::string_view flag, std::string_view prefix) {
  if (!flag.starts_with(prefix)) return std::nullopt;
  return FindShell(flag.substr(prefix.size()));
}

struct CompletionOptions {
  std::string shell;
  std::string program = "narthex";
};

struct ManualOptions {
  std::vector<std::string> words;
  std::string folder;
};

CompletionOptions& DeclareCompletionOptions(Command& command) {
  CompletionOptions& options = command.Keep(std::make_shared<CompletionOptions>());
  command.ChoiceArgument("shell", &options.shell, {"bash", "zsh", "fish"},
                         "The shell to write for.");
  command.flags().String("program", &options.program,
                         "The name to complete for, where another one, as promtool, is a link to "
                         "this program.");
  return options;
}

ManualOptions& DeclareManualOptions(Command& command) {
  ManualOptions& options = command.Keep(std::make_shared<ManualOptions>());
  command.AddArgument({"command", "The words of the command to print the page of.", false, true,
                       [&options](std::string_view word) {
                         options.words.emplace_back(word);
                         return Status();
                       }});
  command.flags()
      .String("output-dir", &options.folder,
              "Write the pages of all commands into this folder instead.")
      .Placeholder("DIRECTORY");
  return options;
}

Status WriteManuals(const Command& root, const std::string& folder) {
  FileSystem& files = FileSystem::Posix();
  NARTHEX_RETURN_IF_ERROR(files.CreateDirectories(folder));
  NARTHEX_RETURN_IF_ERROR(
      files.WriteAtomically(JoinPath(folder, "narthex.1"), ManualOverview(root)));
  for (const auto& command : root.commands()) {
    const std::string name = "narthex-" + command->name();
    NARTHEX_RETURN_IF_ERROR(
        files.WriteAtomically(JoinPath(folder, name + ".1"), ManualPage(*command, name)));
  }
  return {};
}

int PrintManual(const ManualOptions& options) {
  const std::unique_ptr<Command> root = DescribeNarthex();
  if (!options.folder.empty()) return ReportError(WriteManuals(*root, options.folder));
  if (options.words.empty()) {
    PrintOut(ManualOverview(*root));
    return 0;
  }
  const Command* command = root.get();
  std::string name = "narthex";
  for (const std::string& word : options.words) {
    command = command->Find(word);
    if (command == nullptr) {
      return ReportError(MakeError(ErrorCode::kNotFound, "no command '{}' below '{}'", word, name));
    }
    name += "-" + word;
  }
  PrintOut(ManualPage(*command, name));
  return 0;
}

}  // namespace

std::span<const Subcommand> Subcommands() {
  return kSubcommands;
}

const Subcommand* FindSubcommand(std::string_view name) {
  for (const Subcommand& subcommand : kSubcommands) {
    if (subcommand.name == name) return &subcommand;
  }
  return nullptr;
}

std::unique_ptr<Command> DescribeNarthex() {
  auto root = std::make_unique<Command>("narthex", "The Prometheus ecosystem in one program.");
  for (const Subcommand& subcommand : kSubcommands) {
    subcommand.declare(
        root->AddCommand(std::string(subcommand.name), std::string(subcommand.help)));
  }
  return root;
}

std::unique_ptr<Command> DescribeProgram(const Subcommand& subcommand, const std::string& name) {
  auto root = std::make_unique<Command>(
      name, std::string(subcommand.run == &RunTool ? kToolHelp : subcommand.help));
  subcommand.declare(*root);
  return root;
}

std::optional<int> DescribeInstead(const Arguments& arguments,
                                   const std::function<std::unique_ptr<Command>()>& describe) {
  if (arguments.empty()) return std::nullopt;
  if (const auto shell = ShellOf(arguments.front(), "--completion-")) {
    PrintOut(CompletionWords(*shell, *describe(), {arguments.begin() + 1, arguments.end()}));
    return 0;
  }
  for (const std::string& argument : arguments) {
    if (argument == "--") break;
    if (argument == "--help-man") {
      const std::unique_ptr<Command> root = describe();
      PrintOut(ManualPage(*root, root->name()));
      return 0;
    }
    if (argument == "--help-long") {
      PrintOut(LongHelp(*describe()));
      return 0;
    }
    if (const auto shell = ShellOf(argument, "--completion-script-")) {
      PrintOut(CompletionScript(*shell, describe()->name()));
      return 0;
    }
  }
  return std::nullopt;
}

void DeclareQuery(Command& command) {
  DeclareQueryCommands(command, command.Keep(std::make_shared<ToolContext>()));
}

void DeclareTool(Command& command) {
  DeclareTool(command, command.Keep(std::make_shared<ToolContext>()));
}

void DeclareCompletion(Command& command) {
  DeclareCompletionOptions(command);
}

void DeclareManual(Command& command) {
  DeclareManualOptions(command);
}

int RunCompletion(const Arguments& arguments) {
  Command root("narthex completion", std::string(FindSubcommand("completion")->help));
  const CompletionOptions& options = DeclareCompletionOptions(root);
  root.OnRun([&options] {
    PrintOut(CompletionScript(*FindShell(options.shell), options.program));
    return 0;
  });
  return RunCommandLine(root, arguments, VersionText("narthex"), [] { return 0; });
}

int RunManual(const Arguments& arguments) {
  Command root("narthex man", std::string(FindSubcommand("man")->help));
  const ManualOptions& options = DeclareManualOptions(root);
  root.OnRun([&options] { return PrintManual(options); });
  return RunCommandLine(root, arguments, VersionText("narthex"), [] { return 0; });
}

}  // namespace narthex::apps
