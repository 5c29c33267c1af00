#include "util/time.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <iterator>
#include <limits>
#include <optional>

#include "util/numbers.h"
#include "util/strings.h"

namespace narthex {
namespace {

class SystemClock : public Clock {
 public:
  int64_t NowNanos() const override {
    timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * kNanosPerSecond + now.tv_nsec;
  }
};

struct DurationUnit {
  std::string_view name;
  int64_t nanos;
};
// From the largest to the smallest, the only order that a duration may use.
constexpr DurationUnit kUnits[] = {
    {"y", 365 * 24 * 3600 * kNanosPerSecond},
    {"w", 7 * 24 * 3600 * kNanosPerSecond},
    {"d", 24 * 3600 * kNanosPerSecond},
    {"h", 3600 * kNanosPerSecond},
    {"m", 60 * kNanosPerSecond},
    {"s", kNanosPerSecond},
    {"ms", kNanosPerMilli},
};

// Days since 1970-01-01 of a date in the proleptic Gregorian calendar.
int64_t DaysFromCivil(int64_t year, int64_t month, int64_t day) {
  year -= month <= 2;
  const int64_t era = (year >= 0 ? year : year - 399) / 400;
  const int64_t year_of_era = year - era * 400;
  const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  const int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146097 + day_of_era - 719468;
}

struct CivilTime {
  int64_t year, month, day, hour, minute, second;
};

CivilTime CivilFromSeconds(int64_t seconds) {
  int64_t days = seconds / 86400;
  int64_t rest = seconds % 86400;
  if (rest < 0) rest += 86400, --days;
  const int64_t z = days + 719468;
  const int64_t era = (z >= 0 ? z : z - 146096) / 146097;
  const int64_t day_of_era = z - era * 146097;
  const int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t shifted_month = (5 * day_of_year + 2) / 153;
  const int64_t month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
  return {year_of_era + era * 400 + (month <= 2),
          month,
          day_of_year - (153 * shifted_month + 2) / 5 + 1,
          rest / 3600,
          rest / 60 % 60,
          rest % 60};
}

bool TakeDigits(std::string_view* text, size_t count, int64_t* value) {
  if (text->size() < count) return false;
  *value = 0;
  for (size_t i = 0; i < count; ++i) {
    const char c = (*text)[i];
    if (c < '0' || c > '9') return false;
    *value = *value * 10 + (c - '0');
  }
  text->remove_prefix(count);
  return true;
}

bool TakeChar(std::string_view* text, char c) {
  if (!text->starts_with(c)) return false;
  text->remove_prefix(1);
  return true;
}

}  // namespace

Clock& Clock::System() {
  static SystemClock clock;
  return clock;
}

int64_t MonotonicNanos() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * kNanosPerSecond + now.tv_nsec;
}

int64_t ThreadCpuNanos() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec * kNanosPerSecond + now.tv_nsec;
}

Result<int64_t> ParseDuration(std::string_view text) {
  if (text == "0") return int64_t{0};
  if (text.empty()) return MakeError(ErrorCode::kInvalidInput, "empty duration string");
  const auto malformed = [&] {
    return MakeError(ErrorCode::kInvalidInput, "not a valid duration string: {}", GoQuote(text));
  };
  const auto out_of_range = [] {
    return MakeError(ErrorCode::kInvalidInput, "duration out of range");
  };
  constexpr uint64_t kMax = std::numeric_limits<int64_t>::max();
  uint64_t total = 0;
  size_t next_unit = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const size_t digits = std::min(rest.find_first_not_of("0123456789"), rest.size());
    const std::optional<uint64_t> count = ParseUint(rest.substr(0, digits));
    if (!count) return malformed();
    rest.remove_prefix(digits);
    const size_t letters = std::min(rest.find_first_of("0123456789"), rest.size());
    if (letters == 0) return malformed();
    const std::string_view name = rest.substr(0, letters);
    rest.remove_prefix(letters);
    size_t unit = 0;
    while (unit < std::size(kUnits) && kUnits[unit].name != name) ++unit;
    if (unit == std::size(kUnits)) {
      return MakeError(ErrorCode::kInvalidInput, "unknown unit {} in duration {}", GoQuote(name),
                       GoQuote(text));
    }
    if (unit < next_unit) return malformed();
    next_unit = unit + 1;
    const auto nanos = static_cast<uint64_t>(kUnits[unit].nanos);
    if (*count > kMax / nanos || total > kMax - *count * nanos) return out_of_range();
    total += *count * nanos;
  }
  return static_cast<int64_t>(total);
}

std::string FormatDuration(int64_t nanos) {
  int64_t rest = nanos / kNanosPerMilli;
  if (rest == 0) return "0s";
  std::string out;
  if (rest < 0) out = "-", rest = -rest;
  for (const DurationUnit& unit : kUnits) {
    const int64_t unit_ms = unit.nanos / kNanosPerMilli;
    // Years and weeks say how long something is only when nothing is left over.
    const bool exact_only = unit.name == "y" || unit.name == "w";
    if (exact_only && rest % unit_ms != 0) continue;
    if (const int64_t count = rest / unit_ms; count > 0) {
      out += fmt::format("{}{}", count, unit.name);
      rest -= count * unit_ms;
    }
  }
  return out;
}

std::string FormatGoDuration(int64_t nanos) {
  if (nanos == 0) return "0s";
  const bool negative = nanos < 0;
  const uint64_t magnitude =
      negative ? 0 - static_cast<uint64_t>(nanos) : static_cast<uint64_t>(nanos);
  const auto with_fraction = [](uint64_t value, uint64_t unit, std::string_view suffix) {
    std::string out = fmt::format("{}", value / unit);
    if (uint64_t fraction = value % unit; fraction != 0) {
      std::string digits;
      for (uint64_t place = unit / 10; place > 0; place /= 10) {
        digits.push_back(static_cast<char>('0' + fraction / place % 10));
      }
      digits.erase(digits.find_last_not_of('0') + 1);
      out += "." + digits;
    }
    return out + std::string(suffix);
  };
  std::string out;
  if (magnitude < 1'000) {
    out = fmt::format("{}ns", magnitude);
  } else if (magnitude < 1'000'000) {
    out = with_fraction(magnitude, 1'000, "µs");
  } else if (magnitude < 1'000'000'000) {
    out = with_fraction(magnitude, 1'000'000, "ms");
  } else {
    constexpr uint64_t kMinute = 60 * static_cast<uint64_t>(kNanosPerSecond);
    const uint64_t minutes = magnitude / kMinute;
    if (minutes >= 60) out += fmt::format("{}h", minutes / 60);
    if (minutes > 0) out += fmt::format("{}m", minutes % 60);
    out += with_fraction(magnitude % kMinute, kNanosPerSecond, "s");
  }
  return negative ? "-" + out : out;
}

std::string FormatRfc3339Nano(int64_t nanos) {
  int64_t seconds = nanos / kNanosPerSecond;
  int64_t fraction = nanos % kNanosPerSecond;
  if (fraction < 0) fraction += kNanosPerSecond, --seconds;
  const CivilTime c = CivilFromSeconds(seconds);
  std::string out = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", c.year, c.month, c.day,
                                c.hour, c.minute, c.second);
  if (fraction != 0) {
    std::string digits = fmt::format("{:09}", fraction);
    digits.erase(digits.find_last_not_of('0') + 1);
    out += "." + digits;
  }
  return out + "Z";
}

std::string FormatRfc3339Millis(int64_t millis) {
  int64_t seconds = millis / kMillisPerSecond;
  int64_t fraction = millis % kMillisPerSecond;
  if (fraction < 0) fraction += kMillisPerSecond, --seconds;
  const CivilTime c = CivilFromSeconds(seconds);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", c.year, c.month, c.day, c.hour,
                     c.minute, c.second, fraction);
}

Result<int64_t> ParseRfc3339(std::string_view text) {
  const auto malformed = [&] {
    return MakeError(ErrorCode::kInvalidInput, "cannot parse {} as RFC 3339", GoQuote(text));
  };
  std::string_view rest = text;
  CivilTime c{};
  if (!TakeDigits(&rest, 4, &c.year) || !TakeChar(&rest, '-') || !TakeDigits(&rest, 2, &c.month) ||
      !TakeChar(&rest, '-') || !TakeDigits(&rest, 2, &c.day) || !TakeChar(&rest, 'T') ||
      !TakeDigits(&rest, 2, &c.hour) || !TakeChar(&rest, ':') || !TakeDigits(&rest, 2, &c.minute) ||
      !TakeChar(&rest, ':') || !TakeDigits(&rest, 2, &c.second)) {
    return malformed();
  }
  const bool leap = c.year % 4 == 0 && (c.year % 100 != 0 || c.year % 400 == 0);
  constexpr int64_t kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (c.month < 1 || c.month > 12 || c.hour > 23 || c.minute > 59 || c.second > 59 || c.day < 1 ||
      c.day > kDays[c.month - 1] + (leap && c.month == 2)) {
    return malformed();
  }
  int64_t fraction = 0;
  if (rest.starts_with('.') || rest.starts_with(',')) {
    rest.remove_prefix(1);
    int64_t place = kNanosPerSecond / 10;
    size_t digits = 0;
    for (; digits < rest.size() && rest[digits] >= '0' && rest[digits] <= '9'; ++digits) {
      fraction += (rest[digits] - '0') * place;
      place /= 10;
    }
    if (digits == 0) return malformed();
    rest.remove_prefix(digits);
  }
  int64_t offset_seconds = 0;
  if (rest != "Z") {
    if (rest.empty() || (rest[0] != '+' && rest[0] != '-')) return malformed();
    const int64_t sign = rest[0] == '-' ? -1 : 1;
    rest.remove_prefix(1);
    int64_t hours = 0;
    int64_t minutes = 0;
    if (!TakeDigits(&rest, 2, &hours) || !TakeChar(&rest, ':') || !TakeDigits(&rest, 2, &minutes) ||
        !rest.empty() || hours > 23 || minutes > 59) {
      return malformed();
    }
    offset_seconds = sign * (hours * 3600 + minutes * 60);
  }
  const int64_t seconds = DaysFromCivil(c.year, c.month, c.day) * 86400 + c.hour * 3600 +
                          c.minute * 60 + c.second - offset_seconds;
  // Nanoseconds in 64 bits reach from 1677 to 2262.
  if (seconds > std::numeric_limits<int64_t>::max() / kNanosPerSecond - 1 ||
      seconds < std::numeric_limits<int64_t>::min() / kNanosPerSecond + 1) {
    return malformed();
  }
  return seconds * kNanosPerSecond + fraction;
}

}  // namespace narthex
