#include "util/thread_pool.h"

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <semaphore>
#include <system_error>
#include <utility>

#include "util/trace.h"

namespace narthex {

namespace {

// Added to the niceness of long tasks: about a tenth of the share of a normal thread.
constexpr int kNicer = 10;

thread_local ThreadPool* pool_of_thread = nullptr;

}  // namespace

ThreadPool::ThreadPool(const std::string& name, size_t threads)
    : name_(name.substr(0, 15)), thread_count_(threads) {  // The kernel keeps 15 characters.
  threads_.reserve(threads);
  for (size_t i = 0; i < threads; ++i) threads_.push_back(Start());
}

std::thread ThreadPool::Start() {
  std::thread thread([this] { Run(); });
  pthread_setname_np(thread.native_handle(), name_.c_str());
  return thread;
}

// A thread inherits the priority of the one that starts it: the successor is there before the
// priority falls, and waits until it is wanted.
struct ThreadPool::Successor {
  std::thread thread;
  std::binary_semaphore wanted{0};
  bool needed = true;  // Read after `wanted`.
};

thread_local std::shared_ptr<ThreadPool::Successor> ThreadPool::successor_;

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  // From here on no thread replaces itself.
  for (std::thread& thread : threads_) thread.join();
  for (std::thread& thread : replaced_) thread.join();
}

void ThreadPool::LowerPriority() {
  if (pool_of_thread == nullptr || successor_ != nullptr) return;
  auto successor = std::make_shared<Successor>();
  try {
    successor->thread = std::thread([pool = pool_of_thread, successor] {
      successor->wanted.acquire();
      if (successor->needed) pool->Run();
    });
  } catch (const std::system_error&) {
    return;  // No more threads to be had: this one goes on as it is.
  }
  pthread_setname_np(successor->thread.native_handle(), pool_of_thread->name_.c_str());
  successor_ = std::move(successor);
  const auto thread = static_cast<id_t>(gettid());
  setpriority(PRIO_PROCESS, thread, getpriority(PRIO_PROCESS, thread) + kNicer);
}

bool ThreadPool::HandOver() {
  const std::shared_ptr<Successor> successor = std::move(successor_);
  std::vector<std::thread> ended;
  {
    const std::lock_guard lock(mutex_);
    successor->needed = !stopping_;
    if (successor->needed) {
      const auto self = std::find_if(
          threads_.begin(), threads_.end(),
          [](const std::thread& thread) { return thread.get_id() == std::this_thread::get_id(); });
      ended.swap(replaced_);
      replaced_.push_back(std::exchange(*self, std::move(successor->thread)));
    }
  }
  successor->wanted.release();
  if (successor->thread.joinable()) successor->thread.join();
  for (std::thread& thread : ended) thread.join();
  return successor->needed;
}

void ThreadPool::Submit(std::function<void()> task) {
  if (const TraceContext& trace = CurrentTrace(); trace.valid()) {
    task = [trace, task = std::move(task)] {
      const TraceScope scope(trace);
      task();
    };
  }
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
  pool_of_thread = this;
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
    task = nullptr;
    if (successor_ != nullptr && HandOver()) return;
  }
}

void ThreadPool::ParallelFor(size_t count, const std::function<void(size_t)>& body) {
  if (count <= 1 || thread_count_ == 0) {
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
  const size_t helpers = std::min(thread_count_, count - 1);
  for (size_t i = 0; i < helpers; ++i) Submit([state] { state->Work(); });
  state->Work();
  std::unique_lock lock(state->mutex);
  state->all_done.wait(lock, [&] { return state->done == state->count; });
}

}  // namespace narthex
