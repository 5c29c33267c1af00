#include "net/reactor.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <queue>
#include <thread>
#include <vector>

#include "util/check.h"
#include "util/time.h"

namespace narthex::net {
namespace {

constexpr int kEventsMax = 256;
constexpr int kWaitMillisMax = 60'000;

}  // namespace

struct Reactor::Impl {
  // A timer's function lies in a slot. The heap holds only when, and which slot in which of its
  // lives; an entry whose slot has moved on is dropped when its time comes.
  struct Slot {
    std::function<void()> function;
    uint32_t life = 0;
  };
  struct Due {
    int64_t nanos;
    uint32_t slot;
    uint32_t life;
    bool operator>(const Due& other) const { return nanos > other.nanos; }
  };

  int epoll = epoll_create1(EPOLL_CLOEXEC);
  int wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  std::thread thread;
  std::atomic<std::thread::id> thread_id{};

  std::mutex mutex;
  std::vector<std::function<void()>> posted;
  std::vector<Slot> slots;
  std::vector<uint32_t> free_slots;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due;
  int64_t waits_until = 0;  // 0: not waiting. Whoever brings something earlier wakes the thread.
  bool stopping = false;

  // On the thread only.
  std::array<epoll_event, kEventsMax> events{};
  int event_count = 0;

  void Wake() const {
    const uint64_t one = 1;
    // A full counter wakes just as well.
    [[maybe_unused]] const ssize_t written = write(wake, &one, sizeof one);
  }

  // Under the lock. Returns the nanoseconds until the next timer, or -1.
  int64_t UntilNext(int64_t now) {
    while (!due.empty() && slots[due.top().slot].life != due.top().life) due.pop();
    return due.empty() ? -1 : std::max<int64_t>(due.top().nanos - now, 0);
  }

  void RunDue() {
    const int64_t now = MonotonicNanos();
    for (;;) {
      std::function<void()> function;
      {
        const std::lock_guard lock(mutex);
        if (const int64_t wait = UntilNext(now); wait != 0) return;
        Slot& slot = slots[due.top().slot];
        function = std::move(slot.function);
        slot.function = nullptr;
        ++slot.life;
        free_slots.push_back(due.top().slot);
        due.pop();
      }
      function();
    }
  }

  // False once the reactor stops.
  bool RunPosted() {
    std::vector<std::function<void()>> functions;
    bool stop = false;
    {
      const std::lock_guard lock(mutex);
      functions.swap(posted);
      stop = stopping && functions.empty();
    }
    for (auto& function : functions) function();
    return !stop;
  }

  void Wait() {
    int millis = kWaitMillisMax;
    {
      const std::lock_guard lock(mutex);
      const int64_t now = MonotonicNanos();
      const int64_t next = UntilNext(now);
      if (next >= 0) {
        millis = static_cast<int>(
            std::min<int64_t>((next + kNanosPerMilli - 1) / kNanosPerMilli, kWaitMillisMax));
      }
      if (!posted.empty() || stopping) millis = 0;
      waits_until = now + millis * kNanosPerMilli;
    }
    event_count = std::max(epoll_wait(epoll, events.data(), kEventsMax, millis), 0);
    {
      const std::lock_guard lock(mutex);
      waits_until = 0;
    }
    for (int i = 0; i < event_count; ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      if (event.data.ptr == nullptr) continue;
      if (event.data.ptr == this) {
        uint64_t count = 0;
        [[maybe_unused]] const ssize_t got = read(wake, &count, sizeof count);
        continue;
      }
      static_cast<Watcher*>(event.data.ptr)->OnReady(event.events);
    }
    event_count = 0;
  }

  void Run() {
    thread_id = std::this_thread::get_id();
    pthread_setname_np(pthread_self(), "reactor");
    while (RunPosted()) {
      Wait();
      RunDue();
    }
  }
};

Reactor::Reactor() : impl_(std::make_unique<Impl>()) {
  NARTHEX_CHECK(impl_->epoll >= 0 && impl_->wake >= 0);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = impl_.get();
  NARTHEX_CHECK(epoll_ctl(impl_->epoll, EPOLL_CTL_ADD, impl_->wake, &event) == 0);
  impl_->thread = std::thread([this] { impl_->Run(); });
}

Reactor::~Reactor() {
  Stop();
  close(impl_->wake);
  close(impl_->epoll);
}

void Reactor::Stop() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->Wake();
  if (impl_->thread.joinable()) impl_->thread.join();
}

void Reactor::Post(std::function<void()> function) {
  bool wake = false;
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->posted.push_back(std::move(function));
    wake = impl_->waits_until != 0;
    impl_->waits_until = 0;
  }
  if (wake) impl_->Wake();
}

Reactor::TimerId Reactor::RunAfter(int64_t delay_nanos, std::function<void()> function) {
  const int64_t when = MonotonicNanos() + std::max<int64_t>(delay_nanos, 0);
  bool wake = false;
  TimerId id = 0;
  {
    const std::lock_guard lock(impl_->mutex);
    uint32_t index = 0;
    if (impl_->free_slots.empty()) {
      index = static_cast<uint32_t>(impl_->slots.size());
      impl_->slots.emplace_back();
    } else {
      index = impl_->free_slots.back();
      impl_->free_slots.pop_back();
    }
    Impl::Slot& slot = impl_->slots[index];
    slot.function = std::move(function);
    impl_->due.push({when, index, slot.life});
    id = uint64_t{slot.life} << 32 | (index + 1);
    wake = when < impl_->waits_until;
    if (wake) impl_->waits_until = 0;
  }
  if (wake) impl_->Wake();
  return id;
}

bool Reactor::Cancel(TimerId id) {
  std::function<void()> dropped;  // Goes after the lock: it may own anything.
  const std::lock_guard lock(impl_->mutex);
  const auto index = static_cast<uint32_t>(id) - 1;
  if (index >= impl_->slots.size()) return false;
  Impl::Slot& slot = impl_->slots[index];
  if (slot.life != id >> 32 || !slot.function) return false;
  dropped = std::move(slot.function);
  slot.function = nullptr;
  ++slot.life;
  impl_->free_slots.push_back(index);
  return true;
}

bool Reactor::OnThread() const {
  return impl_->thread_id == std::this_thread::get_id();
}

void Reactor::Watch(int fd, uint32_t events, Watcher* watcher) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = watcher;
  epoll_ctl(impl_->epoll, EPOLL_CTL_ADD, fd, &event);
}

void Reactor::Rewatch(int fd, uint32_t events, Watcher* watcher) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = watcher;
  epoll_ctl(impl_->epoll, EPOLL_CTL_MOD, fd, &event);
}

void Reactor::Unwatch(int fd, Watcher* watcher) {
  epoll_ctl(impl_->epoll, EPOLL_CTL_DEL, fd, nullptr);
  // Of this round's events none may reach it any more.
  for (int i = 0; i < impl_->event_count; ++i) {
    epoll_event& event = impl_->events[static_cast<size_t>(i)];
    if (event.data.ptr == watcher) event.data.ptr = nullptr;
  }
}

}  // namespace narthex::net
