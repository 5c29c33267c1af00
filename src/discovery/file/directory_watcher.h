// Tells of changes in folders, by inotify, on a thread that all of its users share.
//
// It is a help, not a promise: where the kernel refuses (no watches left, a network file system),
// users fall back on looking again from time to time.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "util/status.h"

namespace narthex {

class DirectoryWatcher {
 public:
  using Handle = uint64_t;

  static Result<std::unique_ptr<DirectoryWatcher>> Create();
  ~DirectoryWatcher();

  // Calls `changed` from the watcher's thread for whatever happens to the folder's entries, changes
  // of their mode excepted. `changed` must be quick and must not call the watcher.
  Result<Handle> Watch(const std::string& directory, std::function<void()> changed);
  // After it returns, `changed` is not called any more.
  void Unwatch(Handle handle);

 private:
  struct Listener {
    int watch = -1;
    std::function<void()> changed;
  };

  DirectoryWatcher(int inotify, int wake);
  void Run();
  void Dispatch(int watch);

  const int inotify_;
  const int wake_;  // An eventfd that ends the thread.
  std::mutex mutex_;
  std::map<Handle, Listener> listeners_;
  Handle next_handle_ = 1;
  std::thread thread_;
};

}  // namespace narthex
