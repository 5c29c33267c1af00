#include "apps/program.h"

#include <fmt/format.h>

#include "util/log.h"

namespace narthex::apps {
LogLevel ParseLogLevel(std::string_view name) {
  if (name == "debug") return LogLevel::kDebug;
  if (name == "warn") return LogLevel::kWarn;
  if (name == "error") return LogLevel::kError;
  return LogLevel::kInfo;
}

void LogFlags::Declare(FlagSet& flags) {
  flags.Enum("log.level", &level, {"debug", "info", "warn", "error"},
             "Only log messages with the given severity or above.");
  flags.Enum("log.format", &format, {"logfmt", "json"}, "Output format of log messages.");
}

std::optional<int> BeginProgram(std::string_view program, const Arguments& arguments,
                                FlagSet& flags, const LogFlags& log) {
  if (const Status status = flags.Parse(arguments); !status.ok()) {
    return ReportUsageError(program, status.message());
  }
  return BeginParsedProgram(program, flags, log);
}

std::optional<int> BeginParsedProgram(std::string_view program, const FlagSet& flags,
                                      const LogFlags& log) {
  if (flags.help_requested()) {
    fmt::print("{}", flags.HelpText());
    return 0;
  }
  if (flags.version_requested()) {
    fmt::print("{}", VersionText(program));
    return 0;
  }
  const sigset_t set = HandledSignals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
  SetLogFormat(log.format == "json" ? LogFormat::kJson : LogFormat::kLogfmt);
  SetLogLevel(ParseLogLevel(log.level));
  return std::nullopt;
}

int ReportUsageError(std::string_view program, std::string_view message) {
  fmt::print(stderr, "{}: error: {}, try --help\n", program, message);
  return 1;
}

sigset_t HandledSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, signal);
  return set;
}

void WaitForEndSignal() {
  sigset_t set = HandledSignals();
  sigdelset(&set, SIGHUP);
  int signal = 0;
  while (sigwait(&set, &signal) != 0) {
  }
}

}  // namespace narthex::apps
