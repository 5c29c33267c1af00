// Where the head's series live: arrays instead of objects.
//
//   slot      index of a series in the arrays; reused after the series is gone
//   slab      1024 slots:  mutex | hot[1024], 64 bytes each | cold[1024], 16 bytes each | side data
//   ref       the series' number in WAL, files and interfaces; grows for ever, never reused
//
//   ref  --pages of 256-->  slot        labels --hash table of {hash, slot}-->  slot
//
// Hot is all that an append touches besides the bytes of the open chunk: one cache line. What only
// few series have (histogram state, samples of commits that some reader must not see yet, full
// chunks that wait for the disk) lies beside the arrays, per slab.
//
// Locks: the head's index lock guards slot tables, a slab's mutex its hot state and side data. Cold
// state is written under both and read under either. Order: index lock, then slab mutex. Nobody
// holds two slabs.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "model/labels.h"
#include "storage/storage.h"
#include "tsdb/chunks/chunk.h"
#include "tsdb/chunks/xor.h"
#include "tsdb/head/id_table.h"
#include "tsdb/head/label_index.h"
#include "tsdb/head/slab_pool.h"
#include "util/hash_map.h"

namespace narthex::tsdb {

using SlotId = uint32_t;
inline constexpr SlotId kNoSeries = 0;
inline constexpr uint32_t kSlotsPerSlab = 1024;

struct HistogramSeries;   // series_append.h
struct OutOfOrderSeries;  // out_of_order.h

struct alignas(64) SeriesHot {
  // Of the open XOR chunk. last_ms and last_value_bits hold for every series that ever got a
  // sample, whatever its chunks are; the values of histogram series stand in HistogramSeries.
  XorState xor_state;
  int64_t chunk_min_ms;    // First time of the open chunk.
  int64_t next_cut_ms;     // The open chunk takes samples below this.
  SlabRef open_chunk;      // Bytes of the open chunk; in front of XOR2 bytes stands Xor2State.
  SlabRef mapped;          // Encoded list of chunks in files, see mapped_chunks.h.
  uint32_t commit_id;      // Of the newest sample; 0: seen by everybody.
  uint16_t touch_epoch;    // Of the newest appender that resolved the series.
  ChunkEncoding encoding;  // Of the open chunk; kNone: there is none.
  uint8_t flags;
};
static_assert(sizeof(SeriesHot) == 64);

inline constexpr uint8_t kHasSamples = 1;      // xor_state.last_ms means something.
inline constexpr uint8_t kLogged = 2;          // Its series record is in the WAL.
inline constexpr uint8_t kStale = 4;           // The newest sample is a stale marker.
inline constexpr uint8_t kEndEstimated = 8;    // next_cut_ms of a histogram chunk was computed.
inline constexpr uint8_t kHistogramLast = 16;  // The newest sample is a histogram of some kind.
inline constexpr uint8_t kHasOutOfOrder = 64;  // There is an entry in Slab::out_of_order.
inline constexpr uint8_t kHasOlder = 128;      // There may be entries in Slab::older_commits.

struct SeriesCold {
  uint64_t ref;    // 0: the slot is free.
  SlabRef labels;  // PairIds in label order.
  uint16_t label_count;
  uint16_t unused;
};
static_assert(sizeof(SeriesCold) == 16);

// Samples from `first_ms` on were written by commit `id` or later ones; kept while some reader must
// not see it.
struct OlderCommit {
  uint32_t id;
  int64_t first_ms;
};

// A full chunk in memory, on its way to the head chunk files.
struct PendingChunk {
  uint16_t index;
  uint16_t sample_count;
  ChunkEncoding encoding;
  SlabRef data;
  uint32_t size;
  uint64_t ref;
  int64_t min_ms;
  int64_t max_ms;
};

struct Slab {
  Slab();
  ~Slab();

  std::mutex mutex;
  std::vector<PendingChunk> pending;  // Of one series: ascending.
  HashMap<uint16_t, std::vector<OlderCommit>> older_commits;
  HashMap<uint16_t, std::unique_ptr<HistogramSeries>> histograms;
  HashMap<uint16_t, std::unique_ptr<OutOfOrderSeries>> out_of_order;
  HashMap<uint16_t, int64_t> exemplar_times;  // Newest exemplar; keeps the series from going.
  SeriesHot hot[kSlotsPerSlab];
  SeriesCold cold[kSlotsPerSlab];
};

class SeriesStore {
 public:
  explicit SeriesStore(SlabPool* pool);
  ~SeriesStore();
  SeriesStore(const SeriesStore&) = delete;
  SeriesStore& operator=(const SeriesStore&) = delete;

  Slab& slab(SlotId slot) const { return *slabs_[slot / kSlotsPerSlab]; }
  Slab& slab_at(uint32_t number) const { return *slabs_[number]; }
  static uint16_t IndexOf(SlotId slot) { return static_cast<uint16_t>(slot % kSlotsPerSlab); }
  // Slabs are only added; slot 0 is never used.
  uint32_t slab_count() const { return slab_count_.load(std::memory_order_acquire); }

  // Guarded by the index lock from here on ------------------------------------------------------

  // kNoSeries when unknown.
  SlotId FindRef(uint64_t ref) const {
    const auto found = ref_pages_.find(ref / kRefsPerPage);
    return found == ref_pages_.end() ? kNoSeries : found->second->slots[ref % kRefsPerPage];
  }
  // Remembers the page of the reference before: neighbours in a page of samples were made
  // together. Good for one hold of the index lock.
  class RefCursor {
   public:
    explicit RefCursor(const SeriesStore& store) : store_(store) {}
    SlotId Find(uint64_t ref) {
      const uint64_t number = ref / kRefsPerPage;
      if (number != number_) [[unlikely]] {
        const auto found = store_.ref_pages_.find(number);
        number_ = number;
        slots_ = found == store_.ref_pages_.end() ? nullptr : found->second->slots;
      }
      return slots_ == nullptr ? kNoSeries : slots_[ref % kRefsPerPage];
    }

   private:
    const SeriesStore& store_;
    uint64_t number_ = UINT64_MAX;
    const SlotId* slots_ = nullptr;
  };
  SlotId FindLabels(const LabelIndex& index, const Labels& labels, uint64_t hash) const {
    return FindHash(hash, [&](SlotId slot) { return SameLabels(index, slot, labels); });
  }
  // The series of that hash for which `same` is true; it is asked for few others.
  template <typename Same>
  SlotId FindHash(uint64_t hash, Same&& same) const {
    return by_hash_.Find(hash, same);
  }
  // Makes a series that is not there yet; `flags` are those of its hot state.
  SlotId Insert(uint64_t ref, uint64_t hash, std::span<const PairId> pairs, uint8_t flags = 0);
  // `ref` names the series too (duplicate records of a WAL).
  void AddAlias(uint64_t ref, SlotId slot);
  // Takes the series out of all tables; its slot may be issued again at once. Hot state must have
  // been released.
  void Remove(SlotId slot, uint64_t hash);
  void RemoveAlias(uint64_t ref);

  const SeriesCold& cold(SlotId slot) const {
    return slabs_[slot / kSlotsPerSlab]->cold[slot % kSlotsPerSlab];
  }
  std::span<const PairId> PairsOf(SlotId slot) const {
    const SeriesCold& c = cold(slot);
    return {reinterpret_cast<const PairId*>(pool_->At(c.labels)), c.label_count};
  }
  Labels LabelsOf(const LabelIndex& index, SlotId slot) const;
  // All references, ascending; aliases are left out.
  std::vector<uint64_t> AllRefs() const;
  size_t size() const { return size_.load(std::memory_order_relaxed); }

 private:
  static constexpr uint64_t kRefsPerPage = 256;
  static constexpr size_t kSlabsMax = 1u << 18;
  struct RefPage {
    uint32_t live = 0;
    SlotId slots[kRefsPerPage] = {};
  };
  SlotId TakeSlot();
  bool SameLabels(const LabelIndex& index, SlotId slot, const Labels& labels) const;

  SlabPool* pool_;
  std::unique_ptr<std::unique_ptr<Slab>[]> slabs_;
  std::atomic<uint32_t> slab_count_{0};
  std::vector<SlotId> free_slots_;
  IdTable by_hash_{kNoSeries};
  HashMap<uint64_t, std::unique_ptr<RefPage>> ref_pages_;
  std::atomic<size_t> size_{0};
};

}  // namespace narthex::tsdb
