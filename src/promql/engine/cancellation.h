// Whether a query is to end early: the client has gone, or time is up.
//
// Long loops ask now and then, so that a query ends within some milliseconds wherever it is: an
// answer costs a look at an atomic and at the clock, some 25 ns.
//
// Threads: any.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string_view>

#include "util/status.h"

namespace narthex::promql {

struct Cancellation {
  std::stop_token stop;
  int64_t deadline_ns = 0;  // Of MonotonicNanos().

  // kCanceled or kTimeout; `where` ends the message.
  Status Check(std::string_view where) const;
};

}  // namespace narthex::promql
