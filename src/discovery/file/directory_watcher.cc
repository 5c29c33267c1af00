#include "discovery/file/directory_watcher.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "util/file.h"

namespace narthex {

namespace {

constexpr uint32_t kEvents = IN_CREATE | IN_DELETE | IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_FROM |
                             IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF;

Status SystemError(std::string_view what) {
  return MakeError(ErrorCode::kIo, "{}: {}", what, ErrnoText(errno));
}

}  // namespace

Result<std::unique_ptr<DirectoryWatcher>> DirectoryWatcher::Create() {
  const int inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (inotify < 0) return SystemError("inotify_init");
  const int wake = eventfd(0, EFD_CLOEXEC);
  if (wake < 0) {
    const Status status = SystemError("eventfd");
    close(inotify);
    return status;
  }
  return std::unique_ptr<DirectoryWatcher>(new DirectoryWatcher(inotify, wake));
}

DirectoryWatcher::DirectoryWatcher(int inotify, int wake)
    : inotify_(inotify), wake_(wake), thread_([this] { Run(); }) {}

DirectoryWatcher::~DirectoryWatcher() {
  const uint64_t one = 1;
  // An eventfd takes a one unless 2^64 of them wait.
  [[maybe_unused]] const ssize_t written = write(wake_, &one, sizeof(one));
  thread_.join();
  close(inotify_);
  close(wake_);
}

Result<DirectoryWatcher::Handle> DirectoryWatcher::Watch(const std::string& directory,
                                                         std::function<void()> changed) {
  const std::lock_guard lock(mutex_);
  // The same folder gets the same watch again.
  const int watch = inotify_add_watch(inotify_, directory.c_str(), kEvents);
  if (watch < 0) return SystemError(directory);
  const Handle handle = next_handle_++;
  listeners_[handle] = Listener{watch, std::move(changed)};
  return handle;
}

void DirectoryWatcher::Unwatch(Handle handle) {
  const std::lock_guard lock(mutex_);
  const auto found = listeners_.find(handle);
  if (found == listeners_.end()) return;
  const int watch = found->second.watch;
  listeners_.erase(found);
  const bool shared = std::any_of(listeners_.begin(), listeners_.end(),
                                  [&](const auto& entry) { return entry.second.watch == watch; });
  // Fails harmlessly where the folder, and the watch with it, is gone.
  if (!shared) inotify_rm_watch(inotify_, watch);
}

void DirectoryWatcher::Dispatch(int watch) {
  const std::lock_guard lock(mutex_);
  for (const auto& [handle, listener] : listeners_) {
    if (listener.watch == watch) listener.changed();
  }
}

void DirectoryWatcher::Run() {
  alignas(inotify_event) char buffer[16 << 10];
  while (true) {
    pollfd polled[] = {{inotify_, POLLIN, 0}, {wake_, POLLIN, 0}};
    if (poll(polled, 2, -1) < 0 && errno != EINTR) return;
    if (polled[1].revents != 0) return;
    const ssize_t size = read(inotify_, buffer, sizeof(buffer));
    for (ssize_t at = 0; at < size;) {
      inotify_event event;
      std::memcpy(&event, buffer + at, sizeof(event));
      at += static_cast<ssize_t>(sizeof(event)) + static_cast<ssize_t>(event.len);
      if ((event.mask & IN_IGNORED) == 0) Dispatch(event.wd);
    }
  }
}

}  // namespace narthex
