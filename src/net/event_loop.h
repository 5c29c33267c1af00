// One thread that runs timers and posted functions: the heart of everything asynchronous.
//
// Nothing posted here may block. Threads: all methods from any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace narthex::net {

class EventLoop {
 public:
  EventLoop();
  // Stops and joins. Functions still waiting are dropped.
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  void Post(std::function<void()> function);

  // Runs `function` once after the delay (nanoseconds of the monotonic clock). The id is never 0.
  using TimerId = uint64_t;
  TimerId RunAfter(int64_t delay_nanos, std::function<void()> function);
  // After it returns the function will not start; false when it already has, or never was.
  bool Cancel(TimerId id);

  // Ends the thread; idempotent, not from the loop itself.
  void Stop();

  // For the other files of this folder: the asio::io_context behind it.
  void* native_context();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace narthex::net
