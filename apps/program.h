// What every long-running program of the executable begins and ends with: its command line, the
// log as its flags say, and the signals that end it.
#pragma once

#include <signal.h>

#include <optional>
#include <string>
#include <string_view>

#include "apps/command.h"
#include "apps/flags.h"
#include "util/log.h"

namespace narthex::apps {

struct LogFlags {
  std::string level = "info";
  std::string format = "logfmt";
  void Declare(FlagSet& flags);
};

// Reads the command line of `program`, which is the name users of the original know it by, sets
// the log up and keeps SIGINT, SIGTERM and SIGHUP from threads that are started later. A value
// ends the process with that code: --help and --version were answered, or a bad flag was reported
// as `<program>: error: …, try --help`.
std::optional<int> BeginProgram(std::string_view program, const Arguments& arguments,
                                FlagSet& flags, const LogFlags& log);
// The same for a command line that was read without an error.
std::optional<int> BeginParsedProgram(std::string_view program, const FlagSet& flags,
                                      const LogFlags& log);
// Reports on standard error, as above; 1.
int ReportUsageError(std::string_view program, std::string_view message);

// "debug", "info", "warn", "error".
LogLevel ParseLogLevel(std::string_view name);

// SIGINT, SIGTERM and SIGHUP.
sigset_t HandledSignals();
// Blocks until SIGINT or SIGTERM.
void WaitForEndSignal();

}  // namespace narthex::apps
