// The whole executable as one tree of commands, for those who describe commands instead of running
// them: shells that complete them, manual pages, --help-long. Each program declares its flags into
// the tree by the same function that it reads its own command line with, so that neither can fall
// behind the other.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "apps/tool_command.h"

namespace narthex::apps {

struct Subcommand {
  std::string_view name;
  int (*run)(const Arguments&);
  void (*declare)(Command&);
  std::string_view help;
};
std::span<const Subcommand> Subcommands();
const Subcommand* FindSubcommand(std::string_view name);

// `narthex` with every subcommand below it.
std::unique_ptr<Command> DescribeNarthex();
// One subcommand as a program that is called `name` ("promtool"); for "exporter node" it is the
// command below the subcommand.
std::unique_ptr<Command> DescribeProgram(const Subcommand& subcommand, const std::string& name);

// Answers --help-long, --help-man, --completion-script-bash (zsh, fish) and --completion-bash (zsh,
// fish) WORDS… in place of the program, as kingpin's programs answer the first few. No value: the
// line asks for none of them. `describe` makes the tree where one is needed.
std::optional<int> DescribeInstead(const Arguments& arguments,
                                   const std::function<std::unique_ptr<Command>()>& describe);

enum class Shell : uint8_t { kBash, kZsh, kFish };
// A script that makes the shell complete `program`, by asking the program itself.
std::string CompletionScript(Shell shell, const std::string& program);
// What may stand in place of the last of the words, one a line, with its help for shells that show
// it. Nothing: a file name, or any text.
std::string CompletionWords(Shell shell, const Command& root, Arguments words);

// A page for man, of section 1, about a command and all below it. `name` as in "narthex-tool".
std::string ManualPage(const Command& command, const std::string& name);
// The page of `narthex` itself, which names the others.
std::string ManualOverview(const Command& root);

void DeclareServer(Command& command);
void DeclareUp(Command& command);
void DeclareExporter(Command& command);
void DeclarePushgateway(Command& command);
void DeclareQuery(Command& command);
void DeclareTool(Command& command);
void DeclareCompletion(Command& command);
void DeclareManual(Command& command);

}  // namespace narthex::apps
