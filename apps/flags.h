// Command lines in the manner of upstream's tools: `--flag=value`, `--flag value`, `--switch`,
// `--no-switch`, repeated flags where a list is meant, `@file` for arguments from a file.
//
//   FlagSet flags("prometheus", "The Prometheus monitoring server");
//   flags.String("config.file", &options.config_file, "Prometheus configuration file path.");
//   NARTHEX_RETURN_IF_ERROR(flags.Parse(arguments));
//
// The targets hold the defaults; flags keep pointers to them, so that Values() tells what is in
// force after start-up has completed them. Specification: parity/cli.md.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "util/status.h"

namespace narthex::apps {

class FlagSet {
 public:
  FlagSet(std::string program, std::string description)
      : program_(std::move(program)), description_(std::move(description)) {}

  // Behind each, chained: .Hidden() leaves the flag out of --help.
  struct Flag {
    std::string name;
    std::string help;
    std::string placeholder;           // Empty for a switch.
    char short_name = 0;               // 'o' of -o.
    std::vector<std::string> choices;  // Of an Enum.
    bool repeatable = false;
    bool required = false;  // Enforced by commands (tool_command.h), not by Parse.
    bool hidden = false;
    bool seen = false;
    std::function<Status(std::string_view)> set;
    std::function<std::string()> print;

    Flag& Hidden() {
      hidden = true;
      return *this;
    }
    Flag& Short(char name_of_one) {
      short_name = name_of_one;
      return *this;
    }
    Flag& Required() {
      required = true;
      return *this;
    }
    Flag& Placeholder(std::string text) {
      placeholder = std::move(text);
      return *this;
    }
  };
  Flag& Bool(std::string name, bool* target, std::string help);
  Flag& String(std::string name, std::string* target, std::string help);
  // The first use replaces the default, later ones add.
  Flag& Strings(std::string name, std::vector<std::string>* target, std::string help);
  Flag& Int(std::string name, int64_t* target, std::string help);
  Flag& Float(std::string name, double* target, std::string help);
  // Prometheus durations; the target is nanoseconds.
  Flag& Duration(std::string name, int64_t* target_nanos, std::string help);
  // Go durations ("2ms", "1.5h"); the target is nanoseconds.
  Flag& GoDuration(std::string name, int64_t* target_nanos, std::string help);
  // "512MB", "1GiB" (both in powers of 1024, as upstream reads them).
  Flag& Bytes(std::string name, int64_t* target, std::string help);
  // One of a list.
  Flag& Enum(std::string name, std::string* target, std::vector<std::string> choices,
             std::string help);
  // Any other kind. `placeholder` is not empty.
  Flag& Custom(std::string name, std::string placeholder, std::string help,
               std::function<Status(std::string_view)> set, std::function<std::string()> print) {
    return Add(std::move(name), std::move(help), std::move(placeholder), std::move(set),
               std::move(print));
  }
  // Null when there is none of that name.
  Flag* Find(std::string_view name);
  const std::vector<std::unique_ptr<Flag>>& flags() const { return flags_; }

  // Positional arguments: as many as come, handed out by arguments(). `help` is for --help.
  void Arguments(std::string name, std::string help) {
    arguments_name_ = std::move(name);
    arguments_help_ = std::move(help);
  }
  const std::vector<std::string>& arguments() const { return arguments_; }

  // Errors in kingpin's words: `unknown long flag '--x'`, `flag 'x' cannot be repeated`,
  // `unexpected x`, `expected argument for flag '--x'`.
  Status Parse(const std::vector<std::string>& arguments);
  bool help_requested() const { return help_; }
  bool version_requested() const { return version_; }
  bool seen(std::string_view name) const;

  std::string HelpText() const;
  // Every flag, hidden ones too, with its value in force.
  std::map<std::string, std::string> Values() const;

 private:
  Flag& Add(std::string name, std::string help, std::string placeholder,
            std::function<Status(std::string_view)> set, std::function<std::string()> print);

  std::string program_;
  std::string description_;
  std::vector<std::unique_ptr<Flag>> flags_;
  std::string arguments_name_;
  std::string arguments_help_;
  std::vector<std::string> arguments_;
  bool help_ = false;
  bool version_ = false;
};

// Go's time.ParseDuration; nanoseconds.
Result<int64_t> ParseGoDuration(std::string_view text);

}  // namespace narthex::apps
