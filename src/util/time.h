// Time: clocks that tests can move, Prometheus durations, RFC 3339.
//
// Timestamps are int64 milliseconds since the Unix epoch, as everywhere in Prometheus; durations in
// configuration are int64 nanoseconds, since upstream prints and multiplies them as such.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "util/status.h"

namespace narthex {

inline constexpr int64_t kNanosPerMilli = 1'000'000;
inline constexpr int64_t kNanosPerSecond = 1'000'000'000;
inline constexpr int64_t kMillisPerSecond = 1'000;

// A closed range of milliseconds.
struct TimeRange {
  int64_t start_ms = 0;
  int64_t end_ms = 0;
  friend bool operator==(const TimeRange&, const TimeRange&) = default;
};

// The wall clock; threads: any.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual int64_t NowNanos() const = 0;
  int64_t NowMillis() const { return NowNanos() / kNanosPerMilli; }
  // The machine's clock; lives for ever.
  static Clock& System();
};

// Nanoseconds of the monotonic clock, for measuring spans.
int64_t MonotonicNanos();
// What the calling thread has used of a processor.
int64_t ThreadCpuNanos();

// model.ParseDuration: "1h30m", units ms s m h d w y in descending order, "0". Gives nanoseconds.
// Errors in upstream's words: `empty duration string`, `not a valid duration string: "x"`,
// `duration out of range`.
Result<int64_t> ParseDuration(std::string_view text);
// model.Duration.String(): "1h30m", "15s", "0s", years and weeks only when exact.
std::string FormatDuration(int64_t nanos);
// time.Duration.String(), Go's own: "1h30m0s", "1.5s", "2m0s", "100ms", "0s".
std::string FormatGoDuration(int64_t nanos);

// time.RFC3339Nano in UTC: "2026-01-01T00:00:00.5Z", trailing zeros of the fraction cut.
std::string FormatRfc3339Nano(int64_t nanos);
// time.RFC3339 or RFC3339Nano, with any offset.
Result<int64_t> ParseRfc3339(std::string_view text);
// "2006-01-02T15:04:05.000Z", the form of logs.
std::string FormatRfc3339Millis(int64_t millis);

}  // namespace narthex
