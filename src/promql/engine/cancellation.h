// Whether a query is to end early: the client has gone, or time is up.
//
// And whether it takes so long that others should go first (ThreadPool::LowerPriority).
//
// Long loops ask now and then, so that a query ends within some milliseconds wherever it is: an
// answer costs a look at an atomic and at the clock, some 25 ns.
//
// Threads: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stop_token>
#include <string_view>
#include <thread>

#include "util/status.h"

namespace narthex::promql {

struct Cancellation {
  std::stop_token stop;
  int64_t deadline_ns = 0;  // Of MonotonicNanos().
  // From then on the query's thread works at lower priority; 0: never.
  int64_t yield_at_ns = 0;
  std::thread::id owner;  // That thread.

  // kCanceled or kTimeout; `where` ends the message.
  Status Check(std::string_view where) const;
};

// Asks now and then within a loop, by the work that was done: 1 is a nanosecond or some.
class CancelMeter {
 public:
  // Null: nothing cancels.
  explicit CancelMeter(const Cancellation* cancellation) : cancellation_(cancellation) {}

  Status Spend(size_t work) {
    spent_ += work;
    if (spent_ < kBudget || cancellation_ == nullptr) return {};
    spent_ = 0;
    return cancellation_->Check("expression evaluation");
  }

 private:
  static constexpr size_t kBudget = 128 * 1024;  // Far below the time to end in.

  const Cancellation* cancellation_;
  size_t spent_ = 0;
};

// The same within a loop over columns of `steps` values; `cost` is that of one value.
class CancelTicker {
 public:
  CancelTicker(const Cancellation& cancellation, size_t steps, size_t cost = 1)
      : meter_(&cancellation), weight_(kColumnCost + steps * cost) {}

  // After, or before, each column.
  Status Tick() { return meter_.Spend(weight_); }

 private:
  static constexpr size_t kColumnCost = 64;  // Labels are copied or hashed.

  CancelMeter meter_;
  size_t weight_;
};

}  // namespace narthex::promql
