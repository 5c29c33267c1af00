#include "gotmpl/time_value.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "util/time.h"

namespace narthex::gotmpl {
namespace {

constexpr std::string_view kMonths[] = {"January",   "February", "March",    "April",
                                        "May",       "June",     "July",     "August",
                                        "September", "October",  "November", "December"};
constexpr std::string_view kWeekdays[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                          "Thursday", "Friday", "Saturday"};
constexpr int64_t kSecondsPerDay = 86'400;

struct Calendar {
  int64_t year = 0;
  int month = 0;  // From 1.
  int day = 0;
  int year_day = 0;  // From 1.
  int weekday = 0;   // From Sunday.
  int hour = 0;
  int minute = 0;
  int second = 0;
};

int64_t FloorDiv(int64_t a, int64_t b) {
  return a / b - (a % b < 0 ? 1 : 0);
}

// Days since the epoch of a date in the proleptic Gregorian calendar; any month number will do.
int64_t DaysOf(int64_t year, int64_t month, int64_t day) {
  year += FloorDiv(month - 1, 12);
  month = (month - 1) - FloorDiv(month - 1, 12) * 12 + 1;
  year -= month <= 2 ? 1 : 0;
  const int64_t era = FloorDiv(year, 400);
  const int64_t year_of_era = year - era * 400;
  const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146'097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
         719'468;
}

Calendar CalendarOf(const TimeValue& time) {
  const int64_t local = time.seconds + time.offset_seconds;
  const int64_t days = FloorDiv(local, kSecondsPerDay);
  const int64_t rest = local - days * kSecondsPerDay;
  const int64_t z = days + 719'468;
  const int64_t era = FloorDiv(z, 146'097);
  const int64_t day_of_era = z - era * 146'097;
  const int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t shifted = (5 * day_of_year + 2) / 153;
  Calendar calendar;
  calendar.month = static_cast<int>(shifted < 10 ? shifted + 3 : shifted - 9);
  calendar.year = year_of_era + era * 400 + (calendar.month <= 2 ? 1 : 0);
  calendar.day = static_cast<int>(day_of_year - (153 * shifted + 2) / 5 + 1);
  calendar.year_day = static_cast<int>(days - DaysOf(calendar.year, 1, 1)) + 1;
  calendar.weekday = static_cast<int>(((days + 4) % 7 + 7) % 7);
  calendar.hour = static_cast<int>(rest / 3600);
  calendar.minute = static_cast<int>(rest / 60 % 60);
  calendar.second = static_cast<int>(rest % 60);
  return calendar;
}

// -------------------------------------------------------------------------------------------------
// Layouts
// -------------------------------------------------------------------------------------------------

enum class Part : uint8_t {
  kNone,
  kLongMonth,
  kMonth,
  kNumMonth,
  kZeroMonth,
  kLongWeekday,
  kWeekday,
  kDay,
  kUnderDay,
  kZeroDay,
  kUnderYearDay,
  kZeroYearDay,
  kHour,
  kHour12,
  kZeroHour12,
  kMinute,
  kZeroMinute,
  kSecond,
  kZeroSecond,
  kLongYear,
  kYear,
  kPm,
  kLowerPm,
  kZone,
  kIsoZone,
  kIsoColonZone,
  kIsoSecondsZone,
  kIsoColonSecondsZone,
  kIsoShortZone,
  kNumZone,
  kNumColonZone,
  kNumSecondsZone,
  kNumColonSecondsZone,
  kNumShortZone,
  kFraction0,
  kFraction9,
};

struct LayoutWord {
  std::string_view text;
  Part part;
};
// Longer words stand before those that they begin with.
constexpr LayoutWord kWords[] = {
    {"January", Part::kLongMonth},
    {"Jan", Part::kMonth},
    {"Monday", Part::kLongWeekday},
    {"Mon", Part::kWeekday},
    {"MST", Part::kZone},
    {"002", Part::kZeroYearDay},
    {"01", Part::kZeroMonth},
    {"02", Part::kZeroDay},
    {"03", Part::kZeroHour12},
    {"04", Part::kZeroMinute},
    {"05", Part::kZeroSecond},
    {"06", Part::kYear},
    {"15", Part::kHour},
    {"1", Part::kNumMonth},
    {"2006", Part::kLongYear},
    {"2", Part::kDay},
    {"__2", Part::kUnderYearDay},
    {"_2006", Part::kNone},  // An underscore, then the year.
    {"_2", Part::kUnderDay},
    {"3", Part::kHour12},
    {"4", Part::kMinute},
    {"5", Part::kSecond},
    {"PM", Part::kPm},
    {"pm", Part::kLowerPm},
    {"-07:00:00", Part::kNumColonSecondsZone},
    {"-070000", Part::kNumSecondsZone},
    {"-07:00", Part::kNumColonZone},
    {"-0700", Part::kNumZone},
    {"-07", Part::kNumShortZone},
    {"Z07:00:00", Part::kIsoColonSecondsZone},
    {"Z070000", Part::kIsoSecondsZone},
    {"Z07:00", Part::kIsoColonZone},
    {"Z0700", Part::kIsoZone},
    {"Z07", Part::kIsoShortZone},
};

struct LayoutPart {
  Part part = Part::kNone;
  size_t bytes = 0;   // Of the layout.
  size_t digits = 0;  // Of a fraction.
  char separator = '.';
};

// The part that the layout begins with; kNone when it is a plain character.
LayoutPart TakePart(std::string_view layout) {
  if (layout[0] == '.' || layout[0] == ',') {
    // A fraction of a second: zeros or nines with no digit behind them.
    const char digit = layout.size() > 1 ? layout[1] : 0;
    if (digit == '0' || digit == '9') {
      const size_t end = std::min(layout.find_first_not_of(digit, 1), layout.size());
      const bool digit_behind = end < layout.size() && layout[end] >= '0' && layout[end] <= '9';
      if (!digit_behind) {
        return {digit == '0' ? Part::kFraction0 : Part::kFraction9, end, end - 1, layout[0]};
      }
    }
    return {};
  }
  for (const LayoutWord& word : kWords) {
    if (!layout.starts_with(word.text)) continue;
    // "Janet" holds no month.
    if (word.part == Part::kMonth && layout.size() > 3 && layout[3] >= 'a' && layout[3] <= 'z') {
      return {};
    }
    if (word.part == Part::kWeekday && layout.size() > 3 && layout[3] >= 'a' && layout[3] <= 'z') {
      return {};
    }
    return {word.part, word.text.size()};
  }
  return {};
}

void AppendZone(const TimeValue& time, Part part, std::string* out) {
  const bool iso = part >= Part::kIsoZone && part <= Part::kIsoShortZone;
  if (iso && time.offset_seconds == 0) {
    out->push_back('Z');
    return;
  }
  const int offset = std::abs(time.offset_seconds);
  const bool colon = part == Part::kIsoColonZone || part == Part::kIsoColonSecondsZone ||
                     part == Part::kNumColonZone || part == Part::kNumColonSecondsZone;
  const bool hours_only = part == Part::kIsoShortZone || part == Part::kNumShortZone;
  const bool seconds = part == Part::kIsoSecondsZone || part == Part::kIsoColonSecondsZone ||
                       part == Part::kNumSecondsZone || part == Part::kNumColonSecondsZone;
  const std::string_view separator = colon ? ":" : "";
  out->push_back(time.offset_seconds < 0 ? '-' : '+');
  out->append(fmt::format("{:02}", offset / 3600));
  if (hours_only) return;
  out->append(fmt::format("{}{:02}", separator, offset / 60 % 60));
  if (seconds) out->append(fmt::format("{}{:02}", separator, offset % 60));
}

void AppendFraction(const TimeValue& time, const LayoutPart& part, std::string* out) {
  std::string digits = fmt::format("{:09}", time.nanos).substr(0, std::min<size_t>(part.digits, 9));
  digits.append(part.digits - digits.size(), '0');
  if (part.part == Part::kFraction9) {
    digits.erase(digits.find_last_not_of('0') + 1);
    if (digits.empty()) return;
  }
  out->push_back(part.separator);
  out->append(digits);
}

std::string YearText(int64_t year) {
  return year < 0 ? fmt::format("-{:04}", -year) : fmt::format("{:04}", year);
}

void AppendPart(const TimeValue& time, const Calendar& at, const LayoutPart& part,
                std::string* out) {
  const auto add = [out](const std::string& text) { out->append(text); };
  const int hour12 = at.hour % 12 == 0 ? 12 : at.hour % 12;
  switch (part.part) {
    case Part::kNone: return;
    case Part::kLongMonth: out->append(kMonths[at.month - 1]); return;
    case Part::kMonth: out->append(kMonths[at.month - 1].substr(0, 3)); return;
    case Part::kNumMonth: return add(fmt::format("{}", at.month));
    case Part::kZeroMonth: return add(fmt::format("{:02}", at.month));
    case Part::kLongWeekday: out->append(kWeekdays[at.weekday]); return;
    case Part::kWeekday: out->append(kWeekdays[at.weekday].substr(0, 3)); return;
    case Part::kDay: return add(fmt::format("{}", at.day));
    case Part::kUnderDay: return add(fmt::format("{:>2}", at.day));
    case Part::kZeroDay: return add(fmt::format("{:02}", at.day));
    case Part::kUnderYearDay: return add(fmt::format("{:>3}", at.year_day));
    case Part::kZeroYearDay: return add(fmt::format("{:03}", at.year_day));
    case Part::kHour: return add(fmt::format("{:02}", at.hour));
    case Part::kHour12: return add(fmt::format("{}", hour12));
    case Part::kZeroHour12: return add(fmt::format("{:02}", hour12));
    case Part::kMinute: return add(fmt::format("{}", at.minute));
    case Part::kZeroMinute: return add(fmt::format("{:02}", at.minute));
    case Part::kSecond: return add(fmt::format("{}", at.second));
    case Part::kZeroSecond: return add(fmt::format("{:02}", at.second));
    case Part::kLongYear: return add(YearText(at.year));
    case Part::kYear: return add(fmt::format("{:02}", (at.year % 100 + 100) % 100));
    case Part::kPm: out->append(at.hour >= 12 ? "PM" : "AM"); return;
    case Part::kLowerPm: out->append(at.hour >= 12 ? "pm" : "am"); return;
    case Part::kZone:
      if (!time.zone.empty()) return add(time.zone);
      return AppendZone(
          time, time.offset_seconds % 3600 == 0 ? Part::kNumShortZone : Part::kNumZone, out);
    case Part::kFraction0:
    case Part::kFraction9: return AppendFraction(time, part, out);
    default: return AppendZone(time, part.part, out);
  }
}

// -------------------------------------------------------------------------------------------------
// Arithmetic and methods
// -------------------------------------------------------------------------------------------------

TimeValue Normalized(int64_t seconds, int64_t nanos, const TimeValue& zone) {
  TimeValue time = zone;
  const int64_t carry = FloorDiv(nanos, kNanosPerSecond);
  time.seconds = seconds + carry;
  time.nanos = static_cast<int32_t>(nanos - carry * kNanosPerSecond);
  return time;
}

// a - b, held inside what a duration can say.
int64_t Difference(const TimeValue& a, const TimeValue& b) {
  const __int128 nanos =
      static_cast<__int128>(a.seconds - b.seconds) * kNanosPerSecond + (a.nanos - b.nanos);
  return static_cast<int64_t>(std::clamp<__int128>(nanos, INT64_MIN, INT64_MAX));
}

int64_t UnixNanos(const TimeValue& time) {
  return static_cast<int64_t>(static_cast<uint64_t>(time.seconds) * uint64_t{kNanosPerSecond} +
                              static_cast<uint64_t>(time.nanos));
}

const TimeValue& TimeOf(const Value& value) {
  return value.struct_as<TimeValue>();
}

int64_t RoundDuration(int64_t nanos, int64_t unit) {
  if (unit <= 0) return nanos;
  const int64_t rest = std::abs(nanos % unit);
  const int64_t down = nanos - nanos % unit;
  if (rest + rest < unit) return down;
  return nanos < 0 ? down - unit : down + unit;
}

Value Word(const Type* type, int64_t v) {
  return Value::Int(v, type);
}

std::string MonthText(const Value& value) {
  const int64_t month = value.int_value();
  if (month < 1 || month > 12) return fmt::format("%!Month({})", month);
  return std::string(kMonths[month - 1]);
}
std::string WeekdayText(const Value& value) {
  const int64_t day = value.int_value();
  if (day < 0 || day > 6) return fmt::format("%!Weekday({})", day);
  return std::string(kWeekdays[day]);
}

const Type* MakeWordType(std::string name, std::string (*to_string)(const Value&)) {
  Type* const type = new Type{.name = std::move(name), .kind = Kind::kInt, .methods = {}};
  type->to_string = to_string;
  type->methods["String"] = {{}, false, [to_string](const Value& self, const Arguments&) {
                               return Result<Value>(Value::String(to_string(self)));
                             }};
  return type;
}

const Type* MonthType() {
  static const Type* const kType = MakeWordType("time.Month", MonthText);
  return kType;
}
const Type* WeekdayType() {
  static const Type* const kType = MakeWordType("time.Weekday", WeekdayText);
  return kType;
}

constexpr int64_t kYearOneSeconds = -62'135'596'800;

using Methods = std::map<std::string, Method, std::less<>>;

// Adds a method; `call` gives a Value.
template <typename Call>
void Add(Methods* methods, std::string name, std::vector<const Type*> parameters, Call call) {
  (*methods)[std::move(name)] = {
      std::move(parameters), false,
      [call](const Value& self, const Arguments& a) -> Result<Value> { return call(self, a); }};
}

void AddDurationMethods(Methods* m, const Type* duration) {
  const auto nanos = [](const Value& v) { return v.int_value(); };
  Add(m, "String", {},
      [=](const Value& v, const Arguments&) { return Value::String(FormatGoDuration(nanos(v))); });
  const auto part = [=](int64_t unit) {
    return [=](const Value& v, const Arguments&) {
      return Value::Float(static_cast<double>(nanos(v) / unit) +
                          static_cast<double>(nanos(v) % unit) / static_cast<double>(unit));
    };
  };
  Add(m, "Hours", {}, part(3600 * kNanosPerSecond));
  Add(m, "Minutes", {}, part(60 * kNanosPerSecond));
  Add(m, "Seconds", {}, part(kNanosPerSecond));
  const auto whole = [=](int64_t unit) {
    return [=](const Value& v, const Arguments&) {
      return Value::Int(nanos(v) / unit, types::Int64());
    };
  };
  Add(m, "Milliseconds", {}, whole(kNanosPerMilli));
  Add(m, "Microseconds", {}, whole(1000));
  Add(m, "Nanoseconds", {}, whole(1));
  Add(m, "Abs", {}, [=](const Value& v, const Arguments&) {
    return MakeDuration(nanos(v) == INT64_MIN ? INT64_MAX : std::abs(nanos(v)));
  });
  Add(m, "Truncate", {duration}, [=](const Value& v, const Arguments& a) {
    const int64_t unit = nanos(a[0]);
    return MakeDuration(unit <= 0 ? nanos(v) : nanos(v) - nanos(v) % unit);
  });
  Add(m, "Round", {duration}, [=](const Value& v, const Arguments& a) {
    return MakeDuration(RoundDuration(nanos(v), nanos(a[0])));
  });
}

void AddTimeReaders(Methods* m) {
  const auto field = [&](std::string name, auto read) {
    Add(m, std::move(name), {}, [read](const Value& v, const Arguments&) {
      return Value::Int(read(CalendarOf(TimeOf(v))));
    });
  };
  field("Year", [](const Calendar& c) { return c.year; });
  field("Day", [](const Calendar& c) { return c.day; });
  field("YearDay", [](const Calendar& c) { return c.year_day; });
  field("Hour", [](const Calendar& c) { return c.hour; });
  field("Minute", [](const Calendar& c) { return c.minute; });
  field("Second", [](const Calendar& c) { return c.second; });
  Add(m, "Nanosecond", {},
      [](const Value& v, const Arguments&) { return Value::Int(TimeOf(v).nanos); });
  Add(m, "Month", {}, [](const Value& v, const Arguments&) {
    return Word(MonthType(), CalendarOf(TimeOf(v)).month);
  });
  Add(m, "Weekday", {}, [](const Value& v, const Arguments&) {
    return Word(WeekdayType(), CalendarOf(TimeOf(v)).weekday);
  });
  const auto unix = [&](std::string name, int64_t per_second) {
    Add(m, std::move(name), {}, [per_second](const Value& v, const Arguments&) {
      const TimeValue& time = TimeOf(v);
      return Value::Int(time.seconds * per_second + time.nanos / (kNanosPerSecond / per_second),
                        types::Int64());
    });
  };
  unix("Unix", 1);
  unix("UnixMilli", 1000);
  unix("UnixMicro", 1'000'000);
  Add(m, "UnixNano", {}, [](const Value& v, const Arguments&) {
    return Value::Int(UnixNanos(TimeOf(v)), types::Int64());
  });
}

// How far a time lies behind the last multiple of `unit` since the year 1.
int64_t BehindMultiple(const TimeValue& time, int64_t unit) {
  __extension__ using Wide = __int128;
  const Wide nanos = (Wide{time.seconds} - kYearOneSeconds) * kNanosPerSecond + time.nanos;
  const auto behind = static_cast<int64_t>(nanos % unit);
  return behind < 0 ? behind + unit : behind;
}

void AddTimeMethods(Methods* m, const Type* time) {
  AddTimeReaders(m);
  Add(m, "String", {},
      [](const Value& v, const Arguments&) { return Value::String(TimeToString(TimeOf(v))); });
  Add(m, "Format", {types::String()}, [](const Value& v, const Arguments& a) {
    return Value::String(FormatTime(TimeOf(v), a[0].string_value()));
  });
  Add(m, "IsZero", {}, [](const Value& v, const Arguments&) {
    return Value::Bool(TimeOf(v).seconds == kYearOneSeconds && TimeOf(v).nanos == 0);
  });
  const auto utc = [](const Value& v, const Arguments&) {
    TimeValue shown = TimeOf(v);
    shown.offset_seconds = 0;
    shown.zone = "UTC";
    return MakeTime(std::move(shown));
  };
  Add(m, "UTC", {}, utc);
  Add(m, "Local", {}, utc);
  const auto moved = [](const TimeValue& from, int64_t nanos) {
    return MakeTime(Normalized(from.seconds + nanos / kNanosPerSecond,
                               from.nanos + nanos % kNanosPerSecond, from));
  };
  Add(m, "Add", {types::Duration()},
      [=](const Value& v, const Arguments& a) { return moved(TimeOf(v), a[0].int_value()); });
  Add(m, "Truncate", {types::Duration()}, [=](const Value& v, const Arguments& a) {
    const int64_t unit = a[0].int_value();
    return unit <= 0 ? v : moved(TimeOf(v), -BehindMultiple(TimeOf(v), unit));
  });
  Add(m, "Round", {types::Duration()}, [=](const Value& v, const Arguments& a) {
    const int64_t unit = a[0].int_value();
    if (unit <= 0) return v;
    const int64_t behind = BehindMultiple(TimeOf(v), unit);
    return moved(TimeOf(v), behind < unit - behind ? -behind : unit - behind);
  });
  Add(m, "AddDate", {types::Int(), types::Int(), types::Int()},
      [](const Value& v, const Arguments& a) {
        const TimeValue& from = TimeOf(v);
        const Calendar at = CalendarOf(from);
        const int64_t days = DaysOf(at.year + a[0].int_value(), at.month + a[1].int_value(),
                                    at.day + a[2].int_value());
        const int64_t local =
            days * kSecondsPerDay + at.hour * int64_t{3600} + at.minute * int64_t{60} + at.second;
        return MakeTime(Normalized(local - from.offset_seconds, from.nanos, from));
      });
  Add(m, "Sub", {time}, [](const Value& v, const Arguments& a) {
    return MakeDuration(Difference(TimeOf(v), TimeOf(a[0])));
  });
  const auto compare = [](const Value& v, const Arguments& a) {
    const auto key = [](const TimeValue& t) { return std::pair(t.seconds, t.nanos); };
    const auto x = key(TimeOf(v));
    const auto y = key(TimeOf(a[0]));
    return x < y ? -1 : x > y ? 1 : 0;
  };
  Add(m, "Compare", {time},
      [=](const Value& v, const Arguments& a) { return Value::Int(compare(v, a)); });
  Add(m, "Before", {time},
      [=](const Value& v, const Arguments& a) { return Value::Bool(compare(v, a) < 0); });
  Add(m, "After", {time},
      [=](const Value& v, const Arguments& a) { return Value::Bool(compare(v, a) > 0); });
  Add(m, "Equal", {time},
      [=](const Value& v, const Arguments& a) { return Value::Bool(compare(v, a) == 0); });
}

}  // namespace

namespace types {

const Type* Duration() {
  static const Type* const kType = [] {
    Type* const type = new Type{.name = "time.Duration", .kind = Kind::kInt, .methods = {}};
    type->to_string = [](const Value& v) { return FormatGoDuration(v.int_value()); };
    AddDurationMethods(&type->methods, type);
    return type;
  }();
  return kType;
}

const Type* DurationPointer() {
  static const Type* const kType =
      new Type{.name = "*time.Duration", .kind = Kind::kInt, .pointee = Duration(), .methods = {}};
  return kType;
}

const Type* Time() {
  static const Type* const kType = [] {
    Type* const type = new Type{.name = "time.Time", .kind = Kind::kStruct, .methods = {}};
    type->to_string = [](const Value& v) { return TimeToString(TimeOf(v)); };
    AddTimeMethods(&type->methods, type);
    return type;
  }();
  return kType;
}

const Type* TimePointer() {
  static const Type* const kType =
      new Type{.name = "*time.Time", .kind = Kind::kStruct, .pointee = Time(), .methods = {}};
  return kType;
}

}  // namespace types

Value MakeTime(int64_t unix_nanos, const Type* type) {
  TimeValue time;
  time.seconds = FloorDiv(unix_nanos, kNanosPerSecond);
  time.nanos = static_cast<int32_t>(unix_nanos - time.seconds * kNanosPerSecond);
  return MakeTime(std::move(time), type);
}

Value MakeTime(TimeValue time, const Type* type) {
  return Value::MakeStruct(std::make_shared<TimeValue>(std::move(time)), type);
}

Value MakeDuration(int64_t nanos, const Type* type) {
  return Value::Int(nanos, type);
}

std::string FormatTime(const TimeValue& time, std::string_view layout) {
  const Calendar at = CalendarOf(time);
  std::string out;
  while (!layout.empty()) {
    const LayoutPart part = TakePart(layout);
    if (part.part == Part::kNone) {
      out.push_back(layout[0]);
      layout.remove_prefix(1);
    } else {
      AppendPart(time, at, part, &out);
      layout.remove_prefix(part.bytes);
    }
  }
  return out;
}

std::string TimeToString(const TimeValue& time) {
  return FormatTime(time, "2006-01-02 15:04:05.999999999 -0700 MST");
}

}  // namespace narthex::gotmpl
