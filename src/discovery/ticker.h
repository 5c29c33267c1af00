// Lets a coroutine run once an interval: `co_await ticker.Next()`. A turn that took longer is
// followed by the next one at once, as with Go's tickers.
#pragma once

#include <algorithm>
#include <cstdint>

#include "discovery/async.h"
#include "discovery/task_loop.h"

namespace narthex {

class Ticker {
 public:
  Ticker(TaskLoop& loop, int64_t interval_nanos)
      : loop_(loop),
        interval_nanos_(interval_nanos),
        next_nanos_(loop.NowNanos() + interval_nanos) {}

  SleepOn Next() {
    const int64_t now = loop_.NowNanos();
    const int64_t wait = std::max<int64_t>(next_nanos_ - now, 0);
    next_nanos_ = std::max(next_nanos_, now) + interval_nanos_;
    return {loop_, wait};
  }

 private:
  TaskLoop& loop_;
  const int64_t interval_nanos_;
  int64_t next_nanos_;
};

}  // namespace narthex
