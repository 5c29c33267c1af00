// A fixed set of threads for CPU work: queries, rule evaluation, scrape parsing, compaction.
//
// Threads: Submit from anywhere, also from a task. Destruction runs what is queued, then joins.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace narthex {

class ThreadPool {
 public:
  ThreadPool(const std::string& name, size_t threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  void Submit(std::function<void()> task);
  size_t thread_count() const { return thread_count_; }
  size_t queued() const;

  // The task that runs on this thread turned out long: to its end it runs at lower priority, so
  // that short ones go first. Then a new thread takes this one's place in the pool, since without
  // privileges nobody may raise a priority again. Does nothing outside a pool's thread.
  static void LowerPriority();

  // Runs body(0) … body(count-1), spread over the pool and the calling thread, and returns when
  // all are done. Safe to call from a task of the pool: the caller always makes progress itself.
  void ParallelFor(size_t count, const std::function<void(size_t)>& body);

 private:
  void Run();
  std::thread Start();
  // The successor of this thread takes its place. False: the pool is stopping, and this thread
  // helps with what is queued.
  struct Successor;
  bool HandOver();

  static thread_local std::shared_ptr<Successor> successor_;  // Set while the priority is low.

  const std::string name_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;
  bool stopping_ = false;
  const size_t thread_count_;
  std::vector<std::thread> threads_;   // Guarded by mutex_.
  std::vector<std::thread> replaced_;  // At their end, or about to be; guarded by mutex_.
};

}  // namespace narthex
