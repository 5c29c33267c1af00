// Measures how long a scope or a function takes, in seconds of the monotonic clock, whether it ends
// by return or by exception.
//
//   const Timer timer(latency);                       // observes when it goes out of scope
//   const int answer = Timed(latency, [] { return Compute(); });
//
// Holds no thread-local state: a coroutine may resume elsewhere.
#pragma once

#include <chrono>
#include <type_traits>
#include <utility>

#include "narthex/client/counter.h"
#include "narthex/client/gauge.h"

namespace narthex::client {

// T: Histogram, Summary, or anything else with Observe(duration).
template <typename T>
class Timer {
 public:
  explicit Timer(T target) : target_(std::move(target)) {}
  ~Timer() {
    if (!done_) target_.Observe(elapsed());
  }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Observes now, and not at the end of the scope; gives the seconds.
  double ObserveNow() {
    const auto d = elapsed();
    if (!done_) target_.Observe(d);
    done_ = true;
    return std::chrono::duration<double>(d).count();
  }
  std::chrono::steady_clock::duration elapsed() const {
    return std::chrono::steady_clock::now() - start_;
  }

 private:
  const T target_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  bool done_ = false;
};

// Timer(GaugeTimer{gauge}): sets the gauge to the seconds that the scope took.
struct GaugeTimer {
  Gauge gauge;
  template <typename Rep, typename Period>
  void Observe(std::chrono::duration<Rep, Period> d) const noexcept {
    gauge.Set(std::chrono::duration<double>(d).count());
  }
};

template <typename T, typename F>
decltype(auto) Timed(const T& target, F&& function) {
  const Timer<T> timer(target);
  return std::forward<F>(function)();
}

// Calls the function and counts the exception that ends it, which goes on; with an exception type,
// only that type. Gives what the function returns.
//   CountFailures<std::system_error>(failures, [&] { Load(file); });
template <typename Exception = void, typename F>
decltype(auto) CountFailures(const Counter& counter, F&& function) {
  if constexpr (std::is_void_v<Exception>) {
    try {
      return std::forward<F>(function)();
    } catch (...) {
      counter.Inc();
      throw;
    }
  } else {
    try {
      return std::forward<F>(function)();
    } catch (const Exception&) {
      counter.Inc();
      throw;
    }
  }
}

}  // namespace narthex::client
