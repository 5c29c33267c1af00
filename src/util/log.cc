#include "util/log.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "util/strings.h"
#include "util/time.h"

namespace narthex {
namespace {

std::atomic<LogLevel> g_level{LogLevel::kInfo};
std::atomic<LogFormat> g_format{LogFormat::kLogfmt};

constexpr std::string_view kLevelNames[] = {"DEBUG", "INFO", "WARN", "ERROR"};

// slog's text handler quotes what would not read back as one token.
bool NeedsQuotes(std::string_view value) {
  return value.empty() || std::any_of(value.begin(), value.end(), [](char c) {
           return static_cast<uint8_t>(c) <= ' ' || c == '"' || c == '=' || c == '\\' ||
                  static_cast<uint8_t>(c) >= 0x7f;
         });
}

void AppendField(LogFormat format, std::string_view key, std::string_view value,
                 std::string* line) {
  if (format == LogFormat::kJson) {
    line->push_back(line->empty() ? '{' : ',');
    AppendJsonString(key, JsonEscape::kPlain, line);
    line->push_back(':');
    AppendJsonString(value, JsonEscape::kPlain, line);
    return;
  }
  if (!line->empty()) line->push_back(' ');
  line->append(key);
  line->push_back('=');
  line->append(NeedsQuotes(value) ? GoQuote(value) : std::string(value));
}

}  // namespace

void SetLogLevel(LogLevel level) {
  g_level.store(level, std::memory_order_relaxed);
}
void SetLogFormat(LogFormat format) {
  g_format.store(format, std::memory_order_relaxed);
}
bool LogEnabled(LogLevel level) {
  return level >= g_level.load(std::memory_order_relaxed);
}

void WriteLog(LogLevel level, std::string_view file, int line, std::string_view message,
              std::initializer_list<LogField> fields) {
  const LogFormat format = g_format.load(std::memory_order_relaxed);
  std::string text;
  AppendField(format, "time", FormatRfc3339Millis(Clock::System().NowMillis()), &text);
  AppendField(format, "level", kLevelNames[static_cast<size_t>(level)], &text);
  const std::string_view name = file.substr(file.find_last_of('/') + 1);
  AppendField(format, "source", fmt::format("{}:{}", name, line), &text);
  AppendField(format, "msg", message, &text);
  for (const LogField& field : fields) AppendField(format, field.key, field.value, &text);
  text.append(format == LogFormat::kJson ? "}\n" : "\n");
  // One write keeps the line whole; a closed stderr is nobody's error.
  if (write(STDERR_FILENO, text.data(), text.size()) < 0) return;
}

}  // namespace narthex
