#include "narthex/client/detail/cell.h"

#include <sched.h>

#include <algorithm>
#include <new>
#include <thread>

#include "narthex/client/detail/exemplar_slot.h"

namespace narthex::client::detail {

unsigned AssignThreadSlot() noexcept {
  static std::atomic<unsigned> next{0};
  // Never 0, which means "not assigned yet", also after wrapping around.
  return next.fetch_add(1, std::memory_order_relaxed) | 0x8000'0000u;
}

unsigned ShardCount() noexcept {
  // More cells than 64 would cost more at each scrape than they save.
  static const unsigned count = [] {
    const unsigned cores = std::clamp(std::thread::hardware_concurrency(), 1u, 64u);
    unsigned power = 1;
    while (power < cores) power *= 2;
    return power;
  }();
  return count;
}

void SpinLock::Pause() noexcept {
  sched_yield();
}

CounterCell::~CounterCell() {
  delete[] cells_.load(std::memory_order_relaxed);
}

void CounterCell::AddContended(uint64_t n) noexcept {
  NoteContention();
  whole_.fetch_add(n, std::memory_order_relaxed);
}

void CounterCell::AddFractionContended(double v) noexcept {
  NoteContention();
  AddDouble(fraction_, v);
}

void CounterCell::NoteContention() noexcept {
  // Exactly one thread sees the last step of the count and makes the cells.
  if (contention_.fetch_add(1, std::memory_order_relaxed) + 1 != kContentionMax) return;
  const unsigned count = ShardCount();
  if (count < 2) return;
  Cell* cells = new (std::nothrow) Cell[count];
  if (cells == nullptr) return;  // Slower, but right.
  mask_ = count - 1;
  cells_.store(cells, std::memory_order_release);
}

double CounterCell::Value() const noexcept {
  uint64_t whole = whole_.load(std::memory_order_relaxed);
  double fraction = fraction_.load(std::memory_order_relaxed);
  if (const Cell* cells = cells_.load(std::memory_order_acquire)) {
    for (uint32_t i = 0; i <= mask_; ++i) {
      whole += cells[i].whole.load(std::memory_order_relaxed);
      fraction += cells[i].fraction.load(std::memory_order_relaxed);
    }
  }
  return static_cast<double>(whole) + fraction;
}

}  // namespace narthex::client::detail
