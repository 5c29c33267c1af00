#include "net/event_loop.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>

namespace narthex::net {
namespace asio = boost::asio;

// Timers lie in one ordered map with a single asio timer armed for the first of them: thousands of
// scrape loops cost a map node each, not an asio object.
struct EventLoop::Impl {
  using Deadline = std::chrono::steady_clock::time_point;
  using Key = std::pair<Deadline, TimerId>;

  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> guard{context.get_executor()};
  asio::steady_timer alarm{context};

  std::mutex mutex;
  std::map<Key, std::function<void()>> timers;
  std::unordered_map<TimerId, Deadline> deadlines;
  TimerId last_id = 0;

  std::thread thread;

  // On the loop's thread: waits for the earliest timer.
  void Arm() {
    {
      const std::lock_guard lock(mutex);
      if (timers.empty()) return;
      alarm.expires_at(timers.begin()->first.first);
    }
    alarm.async_wait([this](const boost::system::error_code& error) {
      if (!error) RunDue();
    });
  }

  void RunDue() {
    for (;;) {
      std::function<void()> function;
      {
        const std::lock_guard lock(mutex);
        if (timers.empty() || timers.begin()->first.first > std::chrono::steady_clock::now()) break;
        auto first = timers.begin();
        function = std::move(first->second);
        deadlines.erase(first->first.second);
        timers.erase(first);
      }
      function();
    }
    Arm();
  }
};

EventLoop::EventLoop() : impl_(std::make_unique<Impl>()) {
  impl_->thread = std::thread([this] { impl_->context.run(); });
}

EventLoop::~EventLoop() {
  Stop();
}

void EventLoop::Stop() {
  impl_->guard.reset();
  impl_->context.stop();
  if (impl_->thread.joinable()) impl_->thread.join();
}

void EventLoop::Post(std::function<void()> function) {
  asio::post(impl_->context, std::move(function));
}

EventLoop::TimerId EventLoop::RunAfter(int64_t delay_nanos, std::function<void()> function) {
  const auto deadline = std::chrono::steady_clock::now() +
                        std::chrono::nanoseconds(std::max<int64_t>(delay_nanos, 0));
  TimerId id = 0;
  bool earliest = false;
  {
    const std::lock_guard lock(impl_->mutex);
    id = ++impl_->last_id;
    const auto [at, inserted] = impl_->timers.emplace(Impl::Key{deadline, id}, std::move(function));
    impl_->deadlines.emplace(id, deadline);
    earliest = at == impl_->timers.begin();
  }
  // Setting a new expiry cancels the wait in flight, whose handler then does nothing.
  if (earliest) asio::post(impl_->context, [this] { impl_->Arm(); });
  return id;
}

bool EventLoop::Cancel(TimerId id) {
  const std::lock_guard lock(impl_->mutex);
  const auto found = impl_->deadlines.find(id);
  if (found == impl_->deadlines.end()) return false;
  impl_->timers.erase({found->second, id});
  impl_->deadlines.erase(found);
  return true;
}

void* EventLoop::native_context() {
  return &impl_->context;
}

}  // namespace narthex::net
