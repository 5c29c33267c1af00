// One thread that waits for sockets, timers and posted functions: what the HTTP client runs on, and
// the timers of scraping, so that a due scrape is sent by the thread that noticed it.
//
//   epoll_wait ─▶ watchers of ready sockets ─▶ due timers ─▶ posted functions ─▶ epoll_wait
//
// Timers fire up to a millisecond late: those due within the same one share a wake-up.
//
// Threads: Post, RunAfter and Cancel from any; the rest on the reactor's own. Functions must not
// block for long: everything else here waits meanwhile.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace narthex::net {

class Reactor {
 public:
  using TimerId = uint64_t;

  // Is told when its socket is ready. `events` as epoll names them.
  class Watcher {
   public:
    virtual ~Watcher() = default;
    virtual void OnReady(uint32_t events) = 0;
  };

  Reactor();
  ~Reactor();
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  // Runs what was posted before, then nothing more; joins. Timers left are dropped.
  void Stop();

  void Post(std::function<void()> function);
  TimerId RunAfter(int64_t delay_nanos, std::function<void()> function);
  // After true the function will not run.
  bool Cancel(TimerId id);
  bool OnThread() const;

  // Once watched, a socket may change its events; it must be unwatched before it is closed. The
  // watcher may then be deleted at once.
  void Watch(int fd, uint32_t events, Watcher* watcher);
  void Rewatch(int fd, uint32_t events, Watcher* watcher);
  void Unwatch(int fd, Watcher* watcher);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace narthex::net
