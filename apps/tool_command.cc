#include "apps/tool_command.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "util/file.h"
#include "util/strings.h"

namespace narthex::apps {
namespace {

using Flag = FlagSet::Flag;

Status Usage(std::string text) {
  return Status(ErrorCode::kInvalidInput, std::move(text));
}

// One command line while it is read.
class Line {
 public:
  Line(Command& root, std::string version_text) : version_text_(std::move(version_text)) {
    Enter(root);
  }

  Status Read(const Arguments& arguments);
  bool help() const { return help_; }
  bool version() const { return version_; }
  Command& command() const { return *chain_.back(); }
  // Applies what was read.
  Status Finish();

 private:
  void Enter(Command& command) {
    chain_.push_back(&command);
    next_argument_ = 0;
  }
  Flag* FindLong(std::string_view name) const;
  Flag* FindShort(char name) const;
  Status ReadLong(const std::string& word, const Arguments& words, size_t* at);
  Status ReadShort(const std::string& word, const Arguments& words, size_t* at);
  Status ReadWord(const std::string& word);
  void Set(Flag* flag, std::string value) {
    settings_.push_back({flag, nullptr, std::move(value)});
  }

  struct Setting {
    Flag* flag;
    const Command::Argument* argument;
    std::string value;
  };
  std::string version_text_;
  std::vector<Command*> chain_;
  size_t next_argument_ = 0;
  std::vector<Setting> settings_;
  bool help_ = false;
  bool help_command_ = false;
  bool version_ = false;
};

Flag* Line::FindLong(std::string_view name) const {
  for (Command* command : chain_) {
    if (Flag* flag = command->flags().Find(name)) return flag;
  }
  return nullptr;
}

Flag* Line::FindShort(char name) const {
  for (Command* command : chain_) {
    for (const auto& flag : command->flags().flags()) {
      if (flag->short_name == name) return flag.get();
    }
  }
  return nullptr;
}

bool IsFlagWord(const std::string& word) {
  return word.size() > 1 && word.starts_with('-');
}

Status Line::ReadLong(const std::string& word, const Arguments& words, size_t* at) {
  const size_t equals = word.find('=');
  const bool has_value = equals != std::string::npos;
  const std::string name = word.substr(2, has_value ? equals - 2 : equals);
  if (name == "help" || name == "help-long" || name == "help-man") {
    help_ = true;
    return {};
  }
  if (name == "version") {
    version_ = true;
    return {};
  }
  Flag* flag = FindLong(name);
  bool value = true;
  if (flag == nullptr && name.starts_with("no-")) {
    flag = FindLong(std::string_view(name).substr(3));
    if (flag != nullptr && !flag->placeholder.empty()) flag = nullptr;
    value = false;
  }
  if (flag == nullptr) return Usage("unknown long flag '--" + name + "'");
  if (flag->placeholder.empty()) {
    Set(flag, value ? "true" : "false");
    // A switch takes no value: kingpin reads what follows the sign as an argument.
    return has_value ? ReadWord(word.substr(equals + 1)) : Status();
  }
  if (has_value) {
    Set(flag, word.substr(equals + 1));
  } else if (*at + 1 < words.size() && !IsFlagWord(words[*at + 1])) {
    Set(flag, words[++*at]);
  } else {
    return Usage("expected argument for flag '--" + name + "'");
  }
  return {};
}

Status Line::ReadShort(const std::string& word, const Arguments& words, size_t* at) {
  for (size_t i = 1; i < word.size(); ++i) {
    if (word[i] == 'h') {
      help_ = true;
      continue;
    }
    Flag* flag = FindShort(word[i]);
    if (flag == nullptr) return Usage(fmt::format("unknown short flag '-{}'", word[i]));
    if (flag->placeholder.empty()) {
      Set(flag, "true");
      continue;
    }
    if (i + 1 < word.size()) {
      Set(flag, word.substr(i + 1));
    } else if (*at + 1 < words.size() && !IsFlagWord(words[*at + 1])) {
      Set(flag, words[++*at]);
    } else {
      return Usage(fmt::format("expected argument for flag '-{}'", word[i]));
    }
    return {};
  }
  return {};
}

Status Line::ReadWord(const std::string& word) {
  Command& current = command();
  if (!current.commands().empty()) {
    if (chain_.size() == 1 && word == "help" && !help_command_) {
      help_command_ = help_ = true;
      return {};
    }
    Command* next = current.Find(word);
    if (next == nullptr) return Usage("expected command but got " + GoQuote(word));
    Enter(*next);
    return {};
  }
  if (next_argument_ >= current.arguments().size()) {
    // `help check rules more` explains `check rules`.
    return help_command_ ? Status() : Usage("unexpected " + word);
  }
  const Command::Argument& argument = current.arguments()[next_argument_];
  if (!argument.repeatable) ++next_argument_;
  settings_.push_back({nullptr, &argument, word});
  return {};
}

Status Line::Read(const Arguments& arguments) {
  Arguments words;
  for (const std::string& word : arguments) {
    if (!word.starts_with('@') || word.size() == 1) {
      words.push_back(word);
      continue;
    }
    const std::string file = word.substr(1);
    auto text = FileSystem::Posix().ReadAll(file);
    if (!text.ok()) {
      return Usage(fmt::format("failed to open arguments file {}: {}", GoQuote(file),
                               text.status().message()));
    }
    for (const std::string_view line : Split(*text, '\n')) {
      if (!line.empty() && !line.starts_with('#')) words.emplace_back(line);
    }
  }
  bool only_words = false;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (only_words || !IsFlagWord(word)) {
      NARTHEX_RETURN_IF_ERROR(ReadWord(word));
    } else if (word == "--") {
      only_words = true;
    } else if (word.starts_with("--")) {
      NARTHEX_RETURN_IF_ERROR(ReadLong(word, words, &i));
    } else {
      NARTHEX_RETURN_IF_ERROR(ReadShort(word, words, &i));
    }
  }
  return {};
}

Status Line::Finish() {
  size_t arguments_given = 0;
  const Command::Argument* last = nullptr;
  for (const Setting& setting : settings_) {
    if (setting.flag != nullptr) {
      Flag& flag = *setting.flag;
      if (flag.seen && !flag.repeatable) {
        return Usage("flag '" + flag.name + "' cannot be repeated");
      }
      flag.seen = true;
      NARTHEX_RETURN_IF_ERROR(flag.set(setting.value));
    } else {
      if (setting.argument != last) ++arguments_given;
      last = setting.argument;
      NARTHEX_RETURN_IF_ERROR(setting.argument->set(setting.value));
    }
  }
  const Command& current = command();
  if (!current.commands().empty()) {
    return Usage("must select a subcommand of '" + current.path() + "'");
  }
  std::string missing;
  for (const Command* link : chain_) {
    for (const auto& flag : link->flags().flags()) {
      if (!flag->required || flag->seen) continue;
      missing += (missing.empty() ? "'--" : ", '--") + flag->name + "'";
    }
  }
  if (!missing.empty()) return Usage("required flag(s) " + missing + " not provided");
  for (size_t i = arguments_given; i < current.arguments().size(); ++i) {
    const Command::Argument& argument = current.arguments()[i];
    if (argument.required) return Usage("required argument '" + argument.name + "' not provided");
  }
  return {};
}

}  // namespace

Command::Command(std::string name, std::string help)
    : name_(std::move(name)), help_(std::move(help)), flags_(name_, help_) {}

Command& Command::AddCommand(std::string name, std::string help) {
  commands_.push_back(std::make_unique<Command>(std::move(name), std::move(help)));
  commands_.back()->parent_ = this;
  return *commands_.back();
}

void Command::TextArgument(std::string name, std::string* target, Presence presence,
                           std::string help) {
  AddArgument({std::move(name),
               std::move(help),
               presence == Presence::kRequired,
               false,
               [target](std::string_view text) {
                 *target = text;
                 return Status();
               },
               {}});
}

void Command::ChoiceArgument(std::string name, std::string* target,
                             std::vector<std::string> choices, std::string help) {
  const auto set = [target, choices](std::string_view text) -> Status {
    if (std::find(choices.begin(), choices.end(), text) == choices.end()) {
      return MakeError(ErrorCode::kInvalidInput, "enum value must be one of {}, got '{}'",
                       Join(choices, ","), text);
    }
    *target = text;
    return {};
  };
  AddArgument({std::move(name), std::move(help), true, false, set, std::move(choices)});
}

void Command::FileArgument(std::string name, std::string* target, Presence presence,
                           std::string help) {
  AddArgument({std::move(name),
               std::move(help),
               presence == Presence::kRequired,
               false,
               [target](std::string_view text) {
                 *target = text;
                 return CheckExistingFile(text);
               },
               {}});
}

void Command::FileArguments(std::string name, std::vector<std::string>* targets, Presence presence,
                            std::string help) {
  AddArgument({std::move(name),
               std::move(help),
               presence == Presence::kRequired,
               true,
               [targets](std::string_view text) {
                 targets->emplace_back(text);
                 return CheckExistingFile(text);
               },
               {}});
}

void Command::MapFlag(std::string name, std::vector<std::pair<std::string, std::string>>* target,
                      std::string placeholder, std::string help) {
  Flag& flag = flags_.Custom(
      std::move(name), std::move(placeholder), std::move(help),
      [target](std::string_view text) -> Status {
        // Kingpin takes both signs.
        const size_t sign = text.find_first_of(":=");
        if (sign == std::string_view::npos) {
          return MakeError(ErrorCode::kInvalidInput, "expected KEY=VALUE got '{}'", text);
        }
        target->emplace_back(text.substr(0, sign), text.substr(sign + 1));
        return {};
      },
      [] { return std::string(); });
  flag.repeatable = true;
}

std::string Command::path() const {
  if (parent_ == nullptr) return "";
  const std::string above = parent_->path();
  return above.empty() ? name_ : above + " " + name_;
}

Command* Command::Find(std::string_view name) const {
  for (const auto& command : commands_) {
    if (command->name_ == name) return command.get();
  }
  return nullptr;
}

Status CheckExistingFile(std::string_view path) {
  struct stat info = {};
  if (::stat(std::string(path).c_str(), &info) != 0) {
    return MakeError(ErrorCode::kNotFound, "path '{}' does not exist", path);
  }
  if (S_ISDIR(info.st_mode)) {
    return MakeError(ErrorCode::kInvalidInput, "'{}' is a directory",
                     BaseName(path.ends_with('/') ? path.substr(0, path.size() - 1) : path));
  }
  return {};
}

int RunCommandLine(Command& root, const Arguments& arguments, const std::string& version_text,
                   const std::function<int()>& before_run) {
  Line line(root, version_text);
  const Status read = line.Read(arguments);
  if (line.help()) {
    std::fputs(CommandHelp(line.command()).c_str(), stdout);
    return 0;
  }
  if (line.version()) {
    std::fputs(version_text.c_str(), stdout);
    return 0;
  }
  const bool names_no_command = line.command().parent() == nullptr && !root.commands().empty();
  if (read.ok() && names_no_command) {
    std::fputs(CommandHelp(root).c_str(), stdout);
    return 0;
  }
  const Status status = read.ok() ? line.Finish() : read;
  if (!status.ok()) {
    std::fprintf(stderr, "%s: error: %s, try --help\n", root.name().c_str(),
                 status.message().c_str());
    return 1;
  }
  if (const int code = before_run(); code != 0) return code;
  return line.command().run()();
}

}  // namespace narthex::apps
