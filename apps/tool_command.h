// Commands with subcommands, flags and arguments, as upstream's tools read and explain them.
//
//   Command root("promtool", "Tooling for …");
//   Command& check = root.AddCommand("check", "Check the resources for validity.");
//   Command& rules = check.AddCommand("rules", "Check if the rule files are valid or not.");
//   rules.flags().Bool("lint-fatal", &options->fatal, "Make lint errors exit with exit code 3.");
//   rules.FileArguments("rule-files", &options->files, kOptional, "The rule files to check, …");
//   rules.OnRun([options] { return CheckRules(*options); });
//   return RunCommandLine(root, arguments, …);
//
// A flag may stand anywhere behind the command that declares it. Values are set when the whole line
// was read. Messages and --help are kingpin's, byte for byte.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "apps/command.h"
#include "apps/flags.h"
#include "util/status.h"

namespace narthex::apps {

enum class Presence : uint8_t { kOptional, kRequired };

class Command {
 public:
  struct Argument {
    std::string name;
    std::string help;
    bool required = false;
    bool repeatable = false;  // Takes all that follow.
    std::function<Status(std::string_view)> set;
    std::vector<std::string> choices = {};  // Empty: any text.
  };

  Command(std::string name, std::string help);

  Command& AddCommand(std::string name, std::string help);
  FlagSet& flags() { return flags_; }
  void AddArgument(Argument argument) { arguments_.push_back(std::move(argument)); }
  void TextArgument(std::string name, std::string* target, Presence presence, std::string help);
  // One of a list.
  void ChoiceArgument(std::string name, std::string* target, std::vector<std::string> choices,
                      std::string help);
  // Files that exist.
  void FileArgument(std::string name, std::string* target, Presence presence, std::string help);
  void FileArguments(std::string name, std::vector<std::string>* targets, Presence presence,
                     std::string help);
  // A list of KEY=VALUE; `ellipsis` is the placeholder ("HEADER ...").
  void MapFlag(std::string name, std::vector<std::pair<std::string, std::string>>* target,
               std::string placeholder, std::string help);
  void OnRun(std::function<int()> run) { run_ = std::move(run); }
  // Left out of --help.
  void Hide() { hidden_ = true; }
  // Keeps what flags and arguments write to for as long as the command lives.
  template <typename T>
  T& Keep(std::shared_ptr<T> targets) {
    kept_.push_back(targets);
    return *targets;
  }

  // "check rules"; empty for the program itself.
  std::string path() const;
  const std::string& name() const { return name_; }
  const std::string& help() const { return help_; }
  const FlagSet& flags() const { return flags_; }
  const std::vector<Argument>& arguments() const { return arguments_; }
  const std::vector<std::unique_ptr<Command>>& commands() const { return commands_; }
  const Command* parent() const { return parent_; }
  bool hidden() const { return hidden_; }
  const std::function<int()>& run() const { return run_; }
  Command* Find(std::string_view name) const;

 private:
  const std::string name_;
  const std::string help_;
  FlagSet flags_;
  std::vector<Argument> arguments_;
  std::vector<std::unique_ptr<Command>> commands_;
  Command* parent_ = nullptr;
  bool hidden_ = false;
  std::vector<std::shared_ptr<void>> kept_;
  std::function<int()> run_;
};

// What --help prints for a command, and --help-long for the program.
std::string CommandHelp(const Command& command);
std::string LongHelp(const Command& root);
// " --match=MATCH [<flags>] <server>": what stands behind the command's name.
std::string CommandSummary(const Command& command);

// Reads the line and runs what it names; `before_run` comes in between. Gives the exit code: 1
// after an error on the line (`promtool: error: …, try --help`).
int RunCommandLine(Command& root, const Arguments& arguments, const std::string& version_text,
                   const std::function<int()>& before_run);

// The path of an existing file that is no folder, in kingpin's words otherwise.
Status CheckExistingFile(std::string_view path);

}  // namespace narthex::apps
