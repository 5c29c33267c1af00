// What a query holds in memory, against --query.max-memory.
//
// Counted is what grows with the data: columns, the samples of range vectors, histograms, the
// tables of aggregations, handles of selected series. Who makes something takes its bytes before
// or while making it, and refuses the query when they are too many; a MemoryHold gives them back
// when the thing goes. What is small and bounded (label sets of a batch, the plan, buffers that are
// used again) is not counted, nor is what the store keeps for everybody.
//
// Without a limit and without analysis nothing is counted.
//
// Threads: any may take and give back.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "util/status.h"

namespace narthex::promql {

class MemoryAccount {
 public:
  // 0: no limit.
  void SetLimit(int64_t limit_bytes) { limit_bytes_ = limit_bytes; }
  void SetCounting() { counting_ = true; }
  bool counting() const { return counting_ || limit_bytes_ > 0; }
  int64_t peak_bytes() const { return peak_bytes_.load(std::memory_order_relaxed); }
  // Whether the limit refused something.
  bool refused() const { return refused_.load(std::memory_order_relaxed); }

  bool HasRoom(size_t bytes) const {
    return limit_bytes_ == 0 ||
           held_bytes_.load(std::memory_order_relaxed) + static_cast<int64_t>(bytes) <=
               limit_bytes_;
  }
  Status Take(int64_t bytes);
  void GiveBack(int64_t bytes) { held_bytes_.fetch_sub(bytes, std::memory_order_relaxed); }

 private:
  int64_t limit_bytes_ = 0;
  bool counting_ = false;
  // Only sums: no other memory is published through them.
  std::atomic<int64_t> held_bytes_{0};
  std::atomic<int64_t> peak_bytes_{0};
  std::atomic<bool> refused_{false};
};

// Bytes taken from an account, given back at the end of its life.
class MemoryHold {
 public:
  MemoryHold() = default;
  // Null: counts nothing.
  explicit MemoryHold(MemoryAccount* account)
      : account_(account != nullptr && account->counting() ? account : nullptr) {}
  MemoryHold(MemoryHold&& other) noexcept
      : account_(other.account_), bytes_(std::exchange(other.bytes_, 0)) {}
  MemoryHold& operator=(MemoryHold&& other) noexcept {
    if (this == &other) return *this;
    Release();
    account_ = other.account_;
    bytes_ = std::exchange(other.bytes_, 0);
    return *this;
  }
  ~MemoryHold() { Release(); }

  // Whether it is worth finding out how many bytes something has.
  bool counting() const { return account_ != nullptr; }
  int64_t bytes() const { return bytes_; }
  Status Grow(size_t bytes) {
    if (account_ == nullptr) return {};
    bytes_ += static_cast<int64_t>(bytes);
    return account_->Take(static_cast<int64_t>(bytes));
  }
  // Bytes that somebody has taken already.
  void Adopt(size_t bytes) {
    if (account_ != nullptr) bytes_ += static_cast<int64_t>(bytes);
  }
  void Shrink(size_t bytes) {
    if (account_ == nullptr) return;
    const int64_t less = std::min(bytes_, static_cast<int64_t>(bytes));
    bytes_ -= less;
    account_->GiveBack(less);
  }
  // The thing has this many bytes now.
  Status SetTo(size_t bytes) {
    if (static_cast<int64_t>(bytes) > bytes_) return Grow(bytes - static_cast<size_t>(bytes_));
    Shrink(static_cast<size_t>(bytes_) - bytes);
    return {};
  }

 private:
  void Release() {
    if (account_ != nullptr) account_->GiveBack(bytes_);
    bytes_ = 0;
  }

  MemoryAccount* account_ = nullptr;
  int64_t bytes_ = 0;
};

}  // namespace narthex::promql
