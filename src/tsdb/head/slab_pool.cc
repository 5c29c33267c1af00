#include "tsdb/head/slab_pool.h"

#include <sys/mman.h>

#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>

#include "util/check.h"

namespace narthex::tsdb {
namespace {

constexpr uint16_t kNoSlot = 0xffff;

void* Reserve(size_t bytes) {
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) throw std::bad_alloc();
  return at;
}

}  // namespace

SlabPool::SlabPool() {
  pages_ = static_cast<Page*>(Reserve(kPagesMax * sizeof(Page)));
}

SlabPool::~SlabPool() {
  for (uint32_t i = 1; i < next_page_; ++i) {
    if (pages_[i].piece_bytes > kSmallMax && pages_[i].base != nullptr) std::free(pages_[i].base);
  }
  for (void* arena : arenas_) munmap(arena, kArenaPages * kPageBytes);
  munmap(pages_, kPagesMax * sizeof(Page));
}

size_t SlabPool::ClassOf(size_t bytes) {
  if (bytes <= 16) return 0;
  if (bytes <= 128) return (bytes + 7) / 8 - 2;
  // Four steps between powers of two: the two bits below the leading one choose the step.
  const size_t top = static_cast<size_t>(std::bit_width(bytes - 1)) - 1;
  const size_t step = (bytes - 1) >> (top - 2) & 3;
  return 15 + (top - 7) * 4 + step;
}

size_t SlabPool::ClassBytes(size_t size_class) {
  if (size_class < 15) return (size_class + 2) * 8;
  const size_t top = 7 + (size_class - 15) / 4;
  const size_t step = (size_class - 15) % 4 + 1;
  return (size_t{1} << top) + (step << (top - 2));
}

void SlabPool::Link(Class& c, uint32_t page) {
  Page& p = pages_[page];
  p.in_list = true;
  p.previous = kNoPage;
  p.next = c.first_with_room;
  if (p.next != kNoPage) pages_[p.next].previous = page;
  c.first_with_room = page;
}

void SlabPool::Unlink(Class& c, uint32_t page) {
  Page& p = pages_[page];
  if (p.previous != kNoPage) {
    pages_[p.previous].next = p.next;
  } else {
    c.first_with_room = p.next;
  }
  if (p.next != kNoPage) pages_[p.next].previous = p.previous;
  p.in_list = false;
}

uint32_t SlabPool::TakePage() {
  const std::lock_guard lock(page_mutex_);
  std::vector<uint32_t>* from = nullptr;
  if (!resident_free_.empty()) {
    from = &resident_free_;
  } else if (!released_.empty()) {
    from = &released_;
    resident_bytes_.fetch_add(kPageBytes, std::memory_order_relaxed);
  } else {
    char* arena = static_cast<char*>(Reserve(kArenaPages * kPageBytes));
    arenas_.push_back(arena);
    NARTHEX_CHECK(next_page_ + kArenaPages <= kPagesMax);
    for (size_t i = 0; i < kArenaPages; ++i) {
      const uint32_t page = next_page_++;
      pages_[page].base = arena + i * kPageBytes;
      released_.push_back(page);
    }
    from = &released_;
    resident_bytes_.fetch_add(kPageBytes, std::memory_order_relaxed);
  }
  const uint32_t page = from->back();
  from->pop_back();
  return page;
}

void SlabPool::ReturnPage(uint32_t page) {
  const std::lock_guard lock(page_mutex_);
  if (resident_free_.size() < kReservePages) {
    resident_free_.push_back(page);
    return;
  }
  madvise(pages_[page].base, kPageBytes, MADV_DONTNEED);
  resident_bytes_.fetch_sub(kPageBytes, std::memory_order_relaxed);
  released_.push_back(page);
}

SlabRef SlabPool::AllocateLarge(size_t bytes) {
  char* base = static_cast<char*>(std::malloc(bytes));
  if (base == nullptr) throw std::bad_alloc();
  const std::lock_guard lock(page_mutex_);
  uint32_t page;
  if (!large_numbers_.empty()) {
    page = large_numbers_.back();
    large_numbers_.pop_back();
  } else {
    NARTHEX_CHECK(next_page_ < kPagesMax);
    page = next_page_++;
  }
  pages_[page].base = base;
  pages_[page].piece_bytes = bytes;
  resident_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  return page << kSlotBits;
}

SlabRef SlabPool::Allocate(size_t bytes) {
  if (bytes > kSmallMax) return AllocateLarge(bytes);
  const size_t size_class = ClassOf(bytes);
  Class& c = classes_[size_class];
  const std::lock_guard lock(c.mutex);
  uint32_t number = c.first_with_room;
  if (number == kNoPage) {
    number = TakePage();
    Page& page = pages_[number];
    page.piece_bytes = ClassBytes(size_class);
    page.size_class = static_cast<uint8_t>(size_class);
    page.used = 0;
    page.fresh = 0;
    page.free_slot = kNoSlot;
    Link(c, number);
  }
  Page& page = pages_[number];
  uint16_t slot = page.free_slot;
  if (slot != kNoSlot) {
    std::memcpy(&page.free_slot, page.base + slot * page.piece_bytes, sizeof page.free_slot);
  } else {
    slot = page.fresh++;
  }
  ++page.used;
  if (page.free_slot == kNoSlot && (page.fresh + 1u) * page.piece_bytes > kPageBytes) {
    Unlink(c, number);
  }
  return number << kSlotBits | slot;
}

void SlabPool::Free(SlabRef ref) {
  if (ref == kNoSlab) return;
  const uint32_t number = ref >> kSlotBits;
  Page& page = pages_[number];
  if (page.piece_bytes > kSmallMax) {
    std::free(page.base);
    const std::lock_guard lock(page_mutex_);
    resident_bytes_.fetch_sub(page.piece_bytes, std::memory_order_relaxed);
    page.base = nullptr;
    large_numbers_.push_back(number);
    return;
  }
  Class& c = classes_[page.size_class];
  const std::lock_guard lock(c.mutex);
  const uint16_t slot = static_cast<uint16_t>(ref & kSlotMask);
  std::memcpy(page.base + slot * page.piece_bytes, &page.free_slot, sizeof page.free_slot);
  page.free_slot = slot;
  if (!page.in_list) Link(c, number);
  if (--page.used == 0) {
    Unlink(c, number);
    ReturnPage(number);
  }
}

SlabRef SlabPool::Grow(SlabRef ref, size_t used, size_t bytes) {
  if (ref != kNoSlab && Capacity(ref) >= bytes) return ref;
  const SlabRef grown = Allocate(bytes);
  if (ref != kNoSlab) {
    std::memcpy(At(grown), At(ref), used);
    Free(ref);
  }
  return grown;
}

}  // namespace narthex::tsdb
