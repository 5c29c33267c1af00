// Go's time.Time and time.Duration as template values, with their methods and layouts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "gotmpl/value.h"

namespace narthex::gotmpl {

// A moment and the zone that it is shown in.
struct TimeValue : Struct {
  int64_t seconds = 0;  // Since the epoch.
  int32_t nanos = 0;    // 0..999,999,999
  int32_t offset_seconds = 0;
  std::string zone = "UTC";
};

namespace types {
const Type* Time();             // time.Time
const Type* TimePointer();      // *time.Time
const Type* Duration();         // time.Duration
const Type* DurationPointer();  // *time.Duration
}  // namespace types

Value MakeTime(int64_t unix_nanos, const Type* type = types::Time());
Value MakeTime(TimeValue time, const Type* type = types::Time());
Value MakeDuration(int64_t nanos, const Type* type = types::Duration());

// time.Format: the layout shows the reference time Mon Jan 2 15:04:05 MST 2006.
std::string FormatTime(const TimeValue& time, std::string_view layout);
// time.String(): "2006-01-02 15:04:05.999999999 -0700 MST".
std::string TimeToString(const TimeValue& time);

}  // namespace narthex::gotmpl
