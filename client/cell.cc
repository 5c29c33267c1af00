#include "narthex/client/detail/cell.h"

#include <sched.h>
#include <time.h>

#include <algorithm>
#include <mutex>
#include <new>
#include <queue>
#include <thread>
#include <vector>

#include "narthex/client/detail/exemplar_slot.h"

namespace narthex::client::detail {
namespace {

// The numbers of living threads. Small ones are given out first, so that they stay dense.
class SlotPool {
 public:
  uint32_t Take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) return ++highest_;
    const uint32_t slot = free_.top();
    free_.pop();
    return slot;
  }
  void Give(uint32_t slot) {
    const std::lock_guard lock(mutex_);
    free_.push(slot);
  }
  uint32_t highest() {
    const std::lock_guard lock(mutex_);
    return highest_;
  }

 private:
  std::mutex mutex_;
  uint32_t highest_ = 0;
  std::priority_queue<uint32_t, std::vector<uint32_t>, std::greater<>> free_;
};

SlotPool& Slots() {
  // Leaked: threads may end after the static objects are gone.
  static SlotPool* const pool = new SlotPool;
  return *pool;
}

struct SlotLease {
  ~SlotLease() {
    const uint32_t slot = SlotOfThread();
    SlotOfThread() = kSlotNone;  // Destructors that run later on this thread own nothing.
    Slots().Give(slot);
  }
};

uint32_t CoarseMillis() noexcept {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return static_cast<uint32_t>(now.tv_sec * 1000 + now.tv_nsec / 1'000'000);
}

}  // namespace

uint32_t AssignThreadSlot() noexcept {
  SlotOfThread() = Slots().Take();
  static thread_local const SlotLease lease;
  static_cast<void>(lease);
  return SlotOfThread();
}

unsigned ShardCount() noexcept {
  // More shards than 64 would cost more at each scrape than they save.
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

struct CounterCell::Generation {
  struct alignas(64) Cell {
    Parts own;     // Written by the thread of this number.
    Parts shared;  // By threads that have no cell.
  };

  explicit Generation(uint32_t cell_count) : cells(cell_count) {}
  std::vector<Cell> cells;  // A power of two.
  Generation* before = nullptr;
};

CounterCell::~CounterCell() {
  for (Generation* g = cells_.load(std::memory_order_relaxed); g != nullptr;) {
    delete std::exchange(g, g->before);
  }
}

template <typename T>
void CounterCell::AddElsewhere(T v) noexcept {
  const uint32_t slot = ThreadSlot();
  // Acquire pairs with the release in Spread: the cells are ready when seen.
  if (Generation* g = cells_.load(std::memory_order_acquire)) {
    const auto count = static_cast<uint32_t>(g->cells.size());
    if (slot < count) {
      g->cells[slot].own.AddAlone(v);
      return;
    }
    g->cells[slot & (count - 1)].shared.AddShared(v);
    NoteShared();
    return;
  }
  uint32_t nobody = kNobody;
  if (slot != kSlotNone &&
      (owner_.compare_exchange_strong(nobody, slot, std::memory_order_relaxed) || nobody == slot)) {
    own_.AddAlone(v);
    return;
  }
  shared_.AddShared(v);
  NoteShared();
}
template void CounterCell::AddElsewhere(uint64_t) noexcept;
template void CounterCell::AddElsewhere(double) noexcept;

void CounterCell::NoteShared() noexcept {
  constexpr uint32_t kLookEvery = 1024;
  constexpr uint32_t kOftenMs = 10;  // kLookEvery additions in less: 100,000 a second or more.
  const uint32_t count = shared_count_.load(std::memory_order_relaxed) + 1;
  shared_count_.store(count, std::memory_order_relaxed);
  if (count % kLookEvery != 0) return;
  const uint32_t now = CoarseMillis();
  const uint32_t since = shared_since_ms_.exchange(now, std::memory_order_relaxed);
  if (count > kLookEvery && now - since <= kOftenMs) Spread();
}

void CounterCell::Spread() noexcept {
  if (spreading_.exchange(true, std::memory_order_acquire)) return;
  Generation* const before = cells_.load(std::memory_order_relaxed);
  const size_t had = before == nullptr ? 0 : before->cells.size();
  // Room for twice the threads of now; cell 0 belongs to no thread.
  const uint32_t wanted = std::min(kCellsMax, 2 * (Slots().highest() + 1));
  uint32_t count = 8;
  while (count < wanted) count *= 2;
  if (count > had) {
    try {
      auto* g = new Generation(count);
      g->before = before;
      cells_.store(g, std::memory_order_release);
      owner_.store(kMovedToCells, std::memory_order_relaxed);
    } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch)
      // Slower, but right.
    }
  }
  spreading_.store(false, std::memory_order_release);
}

double CounterCell::Value() const noexcept {
  uint64_t whole = 0;
  double fraction = 0;
  const auto add = [&](const Parts& parts) {
    whole += parts.whole.load(std::memory_order_relaxed);
    fraction += parts.fraction.load(std::memory_order_relaxed);
  };
  add(own_);
  add(shared_);
  for (const Generation* g = cells_.load(std::memory_order_acquire); g != nullptr; g = g->before) {
    for (const Generation::Cell& cell : g->cells) {
      add(cell.own);
      add(cell.shared);
    }
  }
  return static_cast<double>(whole) + fraction;
}

}  // namespace narthex::client::detail
