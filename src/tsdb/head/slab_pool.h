// Memory for the head's many small, variable pieces: open chunks, label lists, postings, texts.
//
// A piece is named by 32 bits instead of a pointer and has no header: all pieces of one page are
// of one size class.
//
//   SlabRef   [ page: 20 bits | slot: 12 bits ]        0 names nothing
//   page      64 KiB, cut into slots of one class: 16 24 32 ... 128 160 192 224 256 320 ... 16384
//   larger    a page number of its own, memory from malloc
//
// A page whose last piece is freed goes back to a common list and serves any class; beyond a small
// reserve its memory is returned to the system. That matters: the open chunks of a whole head grow
// through the classes in step, and each class they leave would otherwise stay resident.
//
// Invariants: At(ref) stays the same from Allocate to Free; At never blocks.
// Threads: any. The caller orders use of a piece against its Free.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <vector>

namespace narthex::tsdb {

using SlabRef = uint32_t;
inline constexpr SlabRef kNoSlab = 0;

class SlabPool {
 public:
  SlabPool();
  ~SlabPool();
  SlabPool(const SlabPool&) = delete;
  SlabPool& operator=(const SlabPool&) = delete;

  // A piece of at least `bytes` (which may be 0). Its contents are undefined.
  SlabRef Allocate(size_t bytes);
  void Free(SlabRef ref);
  char* At(SlabRef ref) const {
    const Page& page = pages_[ref >> kSlotBits];
    return page.base + static_cast<size_t>(ref & kSlotMask) * page.piece_bytes;
  }
  size_t Capacity(SlabRef ref) const { return pages_[ref >> kSlotBits].piece_bytes; }
  // Gives a piece of at least `bytes` that starts with the first `used` bytes of `ref`, which is
  // freed if it moved.
  SlabRef Grow(SlabRef ref, size_t used, size_t bytes);

  // Memory held, free pieces included.
  uint64_t resident_bytes() const { return resident_bytes_.load(std::memory_order_relaxed); }

 private:
  static constexpr unsigned kSlotBits = 12;
  static constexpr uint32_t kSlotMask = (1u << kSlotBits) - 1;
  static constexpr size_t kPageBytes = 64 << 10;
  static constexpr size_t kPagesMax = 1u << 20;
  static constexpr size_t kArenaPages = 32;
  static constexpr size_t kSmallMax = 16 << 10;
  static constexpr size_t kReservePages = 64;
  static constexpr size_t kClassCount = 15 + 7 * 4;  // 16..128 by 8, then four a doubling.
  static constexpr uint32_t kNoPage = 0;

  // base and piece_bytes change only while no piece of the page is in use.
  struct Page {
    char* base;
    size_t piece_bytes;
    uint16_t used;       // Pieces handed out.
    uint16_t fresh;      // Slots from here on were never used.
    uint16_t free_slot;  // Head of the chain of freed slots, kept in the slots themselves.
    uint8_t size_class;
    bool in_list;   // Of its class' pages with room.
    uint32_t next;  // In that list (both ways).
    uint32_t previous;
  };
  struct Class {
    std::mutex mutex;
    uint32_t first_with_room = kNoPage;
  };

  static size_t ClassOf(size_t bytes);
  static size_t ClassBytes(size_t size_class);
  uint32_t TakePage();
  void ReturnPage(uint32_t page);
  SlabRef AllocateLarge(size_t bytes);
  void Link(Class& c, uint32_t page);
  void Unlink(Class& c, uint32_t page);

  Page* pages_ = nullptr;  // kPagesMax entries of reserved address space; touched as used.
  std::array<Class, kClassCount> classes_;

  std::mutex page_mutex_;
  uint32_t next_page_ = 1;               // Guarded by page_mutex_, like the lists below.
  std::vector<uint32_t> resident_free_;  // Pages whose memory is kept.
  std::vector<uint32_t> released_;       // Pages whose memory went back to the system.
  std::vector<uint32_t> large_numbers_;  // Page numbers without memory, for large pieces.
  std::vector<void*> arenas_;
  std::atomic<uint64_t> resident_bytes_{0};
};

}  // namespace narthex::tsdb
