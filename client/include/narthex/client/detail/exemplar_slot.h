// The newest exemplar of one counter or bucket. Most metrics never get one, so an empty slot is two
// words.
#pragma once

#include <atomic>
#include <memory>

#include "narthex/client/metric_family.h"

namespace narthex::client::detail {

// Guards a few instructions. Waiting yields, because the holder may have been preempted.
class SpinLock {
 public:
  bool try_lock() noexcept {
    return !locked_.load(std::memory_order_relaxed) &&
           !locked_.exchange(true, std::memory_order_acquire);
  }
  void lock() noexcept {
    while (!try_lock()) Pause();
  }
  void unlock() noexcept { locked_.store(false, std::memory_order_release); }

 private:
  static void Pause() noexcept;
  std::atomic<bool> locked_{false};
};

class ExemplarSlot {
 public:
  void Set(ExemplarPtr exemplar) {
    lock_.lock();
    exemplar_.swap(exemplar);
    filled_.store(exemplar_ != nullptr, std::memory_order_release);
    lock_.unlock();  // The one before is freed outside of the lock.
  }
  ExemplarPtr Get() const {
    if (!filled_.load(std::memory_order_acquire)) return nullptr;  // Nearly always.
    lock_.lock();
    ExemplarPtr copy = exemplar_;
    lock_.unlock();
    return copy;
  }

 private:
  mutable SpinLock lock_;
  std::atomic<bool> filled_{false};
  ExemplarPtr exemplar_;
};

}  // namespace narthex::client::detail
