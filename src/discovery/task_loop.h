// The thread that all discovery runs on, and its timers.
//
// Mechanisms are plain objects without locks: everything they do happens in tasks of one loop.
// Whatever finishes elsewhere (a fetch, a DNS answer) posts its result. Tests use ManualTaskLoop,
// where time stands still until they move it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "util/time.h"

namespace narthex {

class TaskLoop {
 public:
  using Task = std::function<void()>;
  using TimerId = uint64_t;  // 0 is never given out.

  virtual ~TaskLoop() = default;
  // Any thread. Tasks run one at a time, in order of their due time.
  void Post(Task task) { PostAfter(0, std::move(task)); }
  virtual TimerId PostAfter(int64_t delay_nanos, Task task) = 0;
  // From the loop: the task does not run any more. From elsewhere it may just be running.
  virtual void Cancel(TimerId id) = 0;
  // Runs the task on the loop and returns when it is done; straight away when called on the loop.
  virtual void RunAndWait(Task task) = 0;
  // The loop's idea of time, monotonic.
  virtual int64_t NowNanos() const = 0;
};

// Runs tasks on a thread of its own. The destructor drops what is queued and joins.
class ThreadTaskLoop : public TaskLoop {
 public:
  explicit ThreadTaskLoop(std::string name);
  ~ThreadTaskLoop() override;
  TimerId PostAfter(int64_t delay_nanos, Task task) override;
  void Cancel(TimerId id) override;
  void RunAndWait(Task task) override;
  int64_t NowNanos() const override { return MonotonicNanos(); }

 private:
  void Run();

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::map<std::pair<int64_t, TimerId>, Task> queue_;  // By due time, then order of posting.
  std::map<TimerId, int64_t> due_;
  TimerId next_id_ = 1;
  bool stopping_ = false;
  std::thread thread_;
};

// Runs tasks when told, on the caller's thread.
class ManualTaskLoop : public TaskLoop {
 public:
  TimerId PostAfter(int64_t delay_nanos, Task task) override;
  void Cancel(TimerId id) override;
  void RunAndWait(Task task) override { task(); }
  int64_t NowNanos() const override;
  // Moves time forward and runs everything that falls due on the way, in order.
  void Advance(int64_t nanos);
  // Runs what is due now.
  void RunDue() { Advance(0); }
  size_t pending() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::pair<int64_t, TimerId>, Task> queue_;
  std::map<TimerId, int64_t> due_;
  TimerId next_id_ = 1;
  int64_t now_nanos_ = 0;
};

}  // namespace narthex
