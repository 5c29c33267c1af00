#include "util/thread_pool.h"

#include <pthread.h>

#include <atomic>
#include <memory>

namespace narthex {

ThreadPool::ThreadPool(const std::string& name, size_t threads) {
  threads_.reserve(threads);
  for (size_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { Run(); });
    // The kernel keeps 15 characters.
    pthread_setname_np(threads_.back().native_handle(), name.substr(0, 15).c_str());
  }
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::Submit(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  wake_.notify_one();
}

size_t ThreadPool::queued() const {
  const std::lock_guard lock(mutex_);
  return tasks_.size();
}

void ThreadPool::Run() {
  for (;;) {
    std::function<void()> task;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
}

void ThreadPool::ParallelFor(size_t count, const std::function<void(size_t)>& body) {
  if (count <= 1 || threads_.empty()) {
    for (size_t i = 0; i < count; ++i) body(i);
    return;
  }
  // Helpers that start late find no index left and only drop their share of the state; the caller
  // returns as soon as every index is done, whether or not all helpers ever ran.
  struct State {
    const std::function<void(size_t)>* body;
    size_t count;
    std::atomic<size_t> next{0};
    std::mutex mutex;
    std::condition_variable all_done;
    size_t done = 0;

    void Work() {
      size_t finished = 0;
      for (size_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) {
        (*body)(i);
        ++finished;
      }
      if (finished == 0) return;
      const std::lock_guard lock(mutex);
      done += finished;
      if (done == count) all_done.notify_all();
    }
  };
  const auto state = std::make_shared<State>();
  state->body = &body;
  state->count = count;
  const size_t helpers = std::min(threads_.size(), count - 1);
  for (size_t i = 0; i < helpers; ++i) Submit([state] { state->Work(); });
  state->Work();
  std::unique_lock lock(state->mutex);
  state->all_done.wait(lock, [&] { return state->done == state->count; });
}

}  // namespace narthex
