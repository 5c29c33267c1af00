// Logging as Prometheus prints it: logfmt (or JSON) lines on stderr with time, level, source, msg
// and key=value fields.
//
//   LOG_INFO("WAL replay completed", {"total_replay_duration", FormatGoDuration(nanos)});
//
// Threads: any; a line is written whole.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace narthex {

enum class LogLevel : uint8_t { kDebug, kInfo, kWarn, kError };
enum class LogFormat : uint8_t { kLogfmt, kJson };

// A field's value, turned into text where it is logged.
struct LogField {
  std::string_view key;
  std::string value;

  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const char* v) : key(k), value(v) {}
  LogField(std::string_view k, std::string v) : key(k), value(std::move(v)) {}
  template <typename T>
    requires(std::is_arithmetic_v<T>)
  LogField(std::string_view k, T v) : key(k), value(fmt::format("{}", v)) {}
};

void SetLogLevel(LogLevel level);
void SetLogFormat(LogFormat format);
bool LogEnabled(LogLevel level);
// `source` is "file.cc:line".
void WriteLog(LogLevel level, std::string_view file, int line, std::string_view message,
              std::initializer_list<LogField> fields);

#define NARTHEX_LOG(level, message, ...)                                      \
  do {                                                                        \
    if (::narthex::LogEnabled(level))                                         \
      ::narthex::WriteLog(level, __FILE__, __LINE__, message, {__VA_ARGS__}); \
  } while (false)
#define LOG_DEBUG(...) NARTHEX_LOG(::narthex::LogLevel::kDebug, __VA_ARGS__)
#define LOG_INFO(...) NARTHEX_LOG(::narthex::LogLevel::kInfo, __VA_ARGS__)
#define LOG_WARN(...) NARTHEX_LOG(::narthex::LogLevel::kWarn, __VA_ARGS__)
#define LOG_ERROR(...) NARTHEX_LOG(::narthex::LogLevel::kError, __VA_ARGS__)

}  // namespace narthex
