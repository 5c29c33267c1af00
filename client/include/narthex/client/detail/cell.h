// The number inside a counter. Each part of it is written by one thread alone, with a plain load
// and a plain store: no locked instruction, and nothing that other cores wait for.
//
//   calm     owner_ | own_ | shared_              one thread owns own_, all others add to shared_
//   spread   cells_ -> [ 0 ][ 1 ][ 2 ] …          each thread owns the cell of its number
//
// The first thread that counts becomes the owner. When other threads come often (thousands of times
// in a few milliseconds) the counter spreads: it gets cells, one cache line each, and everyone
// moves to a cell of his own. A program has thousands of counters and a handful that several cores
// fight over; only those pay for lines. More threads than cells: cells for all are made, up to
// kCellsMax; threads beyond that, and those that are ending, add to shared parts.
//
// Threads get small numbers, and give them back when they end. Whoever gets the number next owns
// what it stands for; the lock of the numbers orders the two.
//
// Adding is wait-free for whole numbers; fractions in shared parts need a compare-and-swap loop.
// Not for signal handlers: one that interrupts an addition to the same counter could lose it.
#pragma once

#include <atomic>
#include <cstdint>

namespace narthex::client::detail {

// Numbers of threads are 1, 2, …; these two never own anything.
inline constexpr uint32_t kSlotUnassigned = 0xFFFF'FFFE;
inline constexpr uint32_t kSlotNone = 0xFFFF'FFFF;  // The thread is ending.

// The calling thread's number, as far as it has one.
inline uint32_t& SlotOfThread() noexcept {
  static thread_local uint32_t slot = kSlotUnassigned;
  return slot;
}
uint32_t AssignThreadSlot() noexcept;
inline uint32_t ThreadSlot() noexcept {
  const uint32_t slot = SlotOfThread();
  return slot != kSlotUnassigned ? slot : AssignThreadSlot();
}
// A power of two, at least the number of cores up to a limit.
unsigned ShardCount() noexcept;

inline void AddDouble(std::atomic<double>& target, double v) noexcept {
  double seen = target.load(std::memory_order_relaxed);
  while (!target.compare_exchange_weak(seen, seen + v, std::memory_order_relaxed)) {
  }
}

class CounterCell {
 public:
  CounterCell() = default;
  ~CounterCell();
  CounterCell(const CounterCell&) = delete;
  CounterCell& operator=(const CounterCell&) = delete;

  void Add(uint64_t n) noexcept {
    if (owner_.load(std::memory_order_relaxed) == SlotOfThread()) {
      own_.AddAlone(n);
    } else {
      AddElsewhere(n);
    }
  }
  void AddFraction(double v) noexcept {
    if (owner_.load(std::memory_order_relaxed) == SlotOfThread()) {
      own_.AddAlone(v);
    } else {
      AddElsewhere(v);
    }
  }
  // Includes everything that happened before; never less than an earlier reader saw.
  double Value() const noexcept;
  bool spread() const noexcept { return cells_.load(std::memory_order_relaxed) != nullptr; }

 private:
  static constexpr uint32_t kCellsMax = 256;
  static constexpr uint32_t kNobody = 0;  // No thread has come yet.
  static constexpr uint32_t kMovedToCells = UINT32_MAX - 2;

  struct Parts {
    std::atomic<uint64_t> whole{0};
    std::atomic<double> fraction{0};

    // By the one thread that writes here.
    void AddAlone(uint64_t n) noexcept {
      whole.store(whole.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
    void AddAlone(double v) noexcept {
      fraction.store(fraction.load(std::memory_order_relaxed) + v, std::memory_order_relaxed);
    }
    // By any.
    void AddShared(uint64_t n) noexcept { whole.fetch_add(n, std::memory_order_relaxed); }
    void AddShared(double v) noexcept { AddDouble(fraction, v); }
  };
  struct Generation;  // Cells that were made at one time.

  template <typename T>
  void AddElsewhere(T v) noexcept;
  // Counts an addition to a shared part; spreads when they come often.
  void NoteShared() noexcept;
  void Spread() noexcept;

  std::atomic<uint32_t> owner_{kNobody};
  // Additions to shared parts, roughly: lost updates do not matter.
  std::atomic<uint32_t> shared_count_{0};
  std::atomic<uint32_t> shared_since_ms_{0};
  std::atomic<bool> spreading_{false};  // A lock that nobody waits for.
  Parts own_;
  Parts shared_;
  std::atomic<Generation*> cells_{nullptr};  // The newest; the others hang on it.
};

}  // namespace narthex::client::detail
