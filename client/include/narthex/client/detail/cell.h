// The number inside a counter: one word while one thread uses it, cells on lines of their own once
// several do.
//
//   calm        whole_ | fraction_                      16 bytes
//   contended   whole_ | fraction_  +  [ cell 0 ][ cell 1 ] … one cache line each, a thread's own
//
// A program has thousands of counters and a handful that several cores fight over; only those pay
// for lines. Losing a compare-and-swap kContentionMax times is the sign.
//
// Whole increments are one or two atomic instructions, never a loop (wait-free). Fractions need a
// compare-and-swap loop, which repeats only while two threads share a cell.
#pragma once

#include <atomic>
#include <cstdint>

namespace narthex::client::detail {

// A small number of the calling thread, from 1, handed out in turn.
unsigned AssignThreadSlot() noexcept;
inline unsigned ThreadSlot() noexcept {
  static thread_local unsigned slot = 0;
  if (slot == 0) slot = AssignThreadSlot();
  return slot;
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
    // Acquire pairs with the release in Spread: the cells and mask_ are ready when seen.
    if (Cell* cells = cells_.load(std::memory_order_acquire)) {
      cells[ThreadSlot() & mask_].whole.fetch_add(n, std::memory_order_relaxed);
      return;
    }
    uint64_t seen = whole_.load(std::memory_order_relaxed);
    if (!whole_.compare_exchange_strong(seen, seen + n, std::memory_order_relaxed)) {
      AddContended(n);
    }
  }
  void AddFraction(double v) noexcept {
    if (Cell* cells = cells_.load(std::memory_order_acquire)) {
      AddDouble(cells[ThreadSlot() & mask_].fraction, v);
      return;
    }
    double seen = fraction_.load(std::memory_order_relaxed);
    if (!fraction_.compare_exchange_strong(seen, seen + v, std::memory_order_relaxed)) {
      AddFractionContended(v);
    }
  }
  double Value() const noexcept;
  bool spread() const noexcept { return cells_.load(std::memory_order_relaxed) != nullptr; }

 private:
  static constexpr uint32_t kContentionMax = 16;
  struct alignas(64) Cell {
    std::atomic<uint64_t> whole{0};
    std::atomic<double> fraction{0};
  };

  void AddContended(uint64_t n) noexcept;
  void AddFractionContended(double v) noexcept;
  // Counts one lost race; moves to cells when there were enough of them.
  void NoteContention() noexcept;

  std::atomic<uint64_t> whole_{0};
  std::atomic<double> fraction_{0};
  std::atomic<Cell*> cells_{nullptr};  // Written once, by the thread that wins the upgrade.
  std::atomic<uint32_t> contention_{0};
  uint32_t mask_ = 0;  // Written before cells_ is published.
};

}  // namespace narthex::client::detail
