// A thread that does something once an interval, and a last time when it ends.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace narthex::client {

class Periodic {
 public:
  Periodic(std::chrono::milliseconds interval, std::function<void()> work)
      : work_(std::move(work)), thread_([this, interval] { Run(interval); }) {}
  ~Periodic() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }
  Periodic(const Periodic&) = delete;
  Periodic& operator=(const Periodic&) = delete;

 private:
  void Run(std::chrono::milliseconds interval) {
    // Fixed points in time, so that slow work does not make the rhythm drift; missed ones are left
    // out.
    auto next = std::chrono::steady_clock::now() + interval;
    for (;;) {
      bool last = false;
      {
        std::unique_lock lock(mutex_);
        last = wake_.wait_until(lock, next, [this] { return stopping_; });
      }
      work_();
      if (last) return;
      const auto now = std::chrono::steady_clock::now();
      while (next <= now) next += interval;
    }
  }

  const std::function<void()> work_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;  // Guarded by mutex_.
  std::thread thread_;     // Last: it uses everything above.
};

}  // namespace narthex::client
