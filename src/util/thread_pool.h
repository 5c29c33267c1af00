// A fixed set of threads for CPU work: queries, rule evaluation, scrape parsing, compaction.
//
// Threads: Submit from anywhere, also from a task. Destruction runs what is queued, then joins.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
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
  size_t thread_count() const { return threads_.size(); }
  size_t queued() const;

  // Runs body(0) … body(count-1), spread over the pool and the calling thread, and returns when
  // all are done. Safe to call from a task of the pool: the caller always makes progress itself.
  void ParallelFor(size_t count, const std::function<void(size_t)>& body);

 private:
  void Run();

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace narthex
