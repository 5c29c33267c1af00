#include "discovery/task_loop.h"

#include <pthread.h>

#include <chrono>

namespace narthex {

ThreadTaskLoop::ThreadTaskLoop(std::string name) : thread_([this] { Run(); }) {
  constexpr size_t kThreadNameMax = 15;  // What the kernel keeps.
  name.resize(std::min(name.size(), kThreadNameMax));
  pthread_setname_np(thread_.native_handle(), name.c_str());
}

ThreadTaskLoop::~ThreadTaskLoop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

TaskLoop::TimerId ThreadTaskLoop::PostAfter(int64_t delay_nanos, Task task) {
  TimerId id = 0;
  {
    const std::lock_guard lock(mutex_);
    id = next_id_++;
    const int64_t due = NowNanos() + delay_nanos;
    queue_.emplace(std::pair(due, id), std::move(task));
    due_.emplace(id, due);
  }
  wake_.notify_all();
  return id;
}

void ThreadTaskLoop::Cancel(TimerId id) {
  Task dropped;  // Destroyed after the lock is gone: what it holds may call us.
  const std::lock_guard lock(mutex_);
  const auto found = due_.find(id);
  if (found == due_.end()) return;
  const auto queued = queue_.find({found->second, id});
  dropped = std::move(queued->second);
  queue_.erase(queued);
  due_.erase(found);
}

void ThreadTaskLoop::RunAndWait(Task task) {
  if (std::this_thread::get_id() == thread_.get_id()) return task();
  std::mutex mutex;
  std::condition_variable finished;
  bool done = false;
  Post([&] {
    task();
    // Notified under the lock: the waiter's variables die as soon as it sees `done`.
    const std::lock_guard lock(mutex);
    done = true;
    finished.notify_one();
  });
  std::unique_lock lock(mutex);
  finished.wait(lock, [&] { return done; });
}

void ThreadTaskLoop::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (queue_.empty()) {
      wake_.wait(lock);
      continue;
    }
    const auto next = queue_.begin();
    const int64_t wait_nanos = next->first.first - NowNanos();
    if (wait_nanos > 0) {
      wake_.wait_for(lock, std::chrono::nanoseconds(wait_nanos));
      continue;
    }
    Task task = std::move(next->second);
    due_.erase(next->first.second);
    queue_.erase(next);
    lock.unlock();
    task();
    task = nullptr;
    lock.lock();
  }
}

TaskLoop::TimerId ManualTaskLoop::PostAfter(int64_t delay_nanos, Task task) {
  const std::lock_guard lock(mutex_);
  const TimerId id = next_id_++;
  queue_.emplace(std::pair(now_nanos_ + delay_nanos, id), std::move(task));
  due_.emplace(id, now_nanos_ + delay_nanos);
  return id;
}

void ManualTaskLoop::Cancel(TimerId id) {
  Task dropped;
  const std::lock_guard lock(mutex_);
  const auto found = due_.find(id);
  if (found == due_.end()) return;
  const auto queued = queue_.find({found->second, id});
  dropped = std::move(queued->second);
  queue_.erase(queued);
  due_.erase(found);
}

int64_t ManualTaskLoop::NowNanos() const {
  const std::lock_guard lock(mutex_);
  return now_nanos_;
}

void ManualTaskLoop::Advance(int64_t nanos) {
  const int64_t end = NowNanos() + nanos;
  while (true) {
    Task task;
    {
      const std::lock_guard lock(mutex_);
      if (queue_.empty() || queue_.begin()->first.first > end) {
        now_nanos_ = end;
        return;
      }
      const auto next = queue_.begin();
      now_nanos_ = std::max(now_nanos_, next->first.first);
      task = std::move(next->second);
      due_.erase(next->first.second);
      queue_.erase(next);
    }
    task();
  }
}

size_t ManualTaskLoop::pending() const {
  const std::lock_guard lock(mutex_);
  return queue_.size();
}

}  // namespace narthex
