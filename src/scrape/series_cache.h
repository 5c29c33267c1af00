// What a target exposed last time, in the order of its page: the reason why a repeated scrape
// parses nothing but values.
//
//   page                               entries_
//   up_total{a="1"} 17      line i     [ hash | ref | length | flags ]   i
//   up_total{a="2"} 4                  [ ...                         ]   i+1
//
// From scrape to scrape a page keeps its lines in order, so line i is compared with entry i by
// length and a 64-bit hash of the series' bytes. While that holds the cache is only read. The first
// line that differs starts a rebuild: the new order is written beside the old one, and lines out of
// place are found through a hash table that lives only until the end of the scrape.
//
// Memory is 24 bytes an entry: neither texts nor labels are kept, since a stale marker needs only
// the reference, and labels can be read again from the page in the rare case that the store forgot
// the series.
//
// Invariants: within entries_ the same hash may repeat only as kDuplicate entries behind the first.
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <vector>

#include "storage/storage.h"

namespace narthex::scrape {

struct SeriesEntry {
  enum Flag : uint32_t {
    kDropped = 1,    // Relabelling drops it; ref is 0.
    kTracked = 2,    // Gets a stale marker when it goes.
    kDuplicate = 4,  // An earlier line of the page has the same text.
    kHistogram = 8,  // A native histogram: never taken by the fast path.
  };
  uint64_t hash = 0;
  storage::SeriesRef ref = 0;
  uint32_t length = 0;
  uint32_t flags = 0;

  bool Is(Flag flag) const { return (flags & flag) != 0; }
  void Set(Flag flag, bool on) { flags = on ? flags | flag : flags & ~uint32_t{flag}; }
};
static_assert(sizeof(SeriesEntry) == 24);

// Memory of a rebuild, lent by the worker so that targets do not each keep their own.
struct SeriesCacheScratch {
  std::vector<SeriesEntry> next;
  std::vector<uint8_t> seen;
  std::vector<uint32_t> table;
};

class SeriesCache {
 public:
  // The scrape begins. `scratch` must outlive it.
  void Begin(SeriesCacheScratch* scratch);

  // The entry that the next sample is expected to have; null when none is left.
  const SeriesEntry* Expected() const {
    return expected_ < entries_.size() ? &entries_[expected_] : nullptr;
  }
  // The next sample is Expected()'s. The entry may be changed until the next call.
  SeriesEntry& TakeExpected();
  // The next sample has this text: its entry from before, perhaps out of order, or null when it is
  // new. `*repeated` tells that an earlier line of this page has the same text; then the entry is
  // one of its own, marked kDuplicate, with the ref of the first.
  SeriesEntry* Take(uint64_t hash, uint32_t length, bool* repeated);
  // A new series, after Take gave null.
  SeriesEntry& Add(uint64_t hash, uint32_t length);
  // The position of the entry that was taken or added last; stays valid during the scrape.
  uint32_t position() const { return position_; }
  SeriesEntry& at(uint32_t position);

  // The scrape succeeded: calls stale(ref) for each tracked series that was not taken and whose
  // ref no taken series has, and forgets all that were not taken.
  template <typename Stale>
  void Commit(Stale&& stale);
  // The scrape failed after Begin: the cache is as it was, but for flags and refs of entries.
  void Abandon();

  // Calls stale(ref) for each tracked series and ends their tracking.
  template <typename Stale>
  void MarkAllStale(Stale&& stale) {
    for (SeriesEntry& entry : entries_) {
      if (!entry.Is(SeriesEntry::kTracked) || entry.ref == 0) continue;
      entry.Set(SeriesEntry::kTracked, false);
      stale(entry.ref);
    }
  }

  size_t size() const { return entries_.size(); }
  size_t bytes() const { return entries_.capacity() * sizeof(SeriesEntry); }

 private:
  static constexpr uint32_t kInNext = 1u << 31;  // Tags table values that mean `next`.

  void StartRebuild();
  void BuildTable();
  // The slot of the hash, or the free one where it belongs.
  uint32_t* FindSlot(uint64_t hash, uint32_t length);
  const SeriesEntry& Stored(uint32_t value) const;
  void SkipSeen();
  void CollectGone(std::vector<storage::SeriesRef>* gone) const;
  void Finish();

  std::vector<SeriesEntry> entries_;
  SeriesCacheScratch* scratch_ = nullptr;
  size_t expected_ = 0;
  uint32_t position_ = 0;
  bool rebuilding_ = false;
  bool has_table_ = false;
};

template <typename Stale>
void SeriesCache::Commit(Stale&& stale) {
  std::vector<storage::SeriesRef> gone;
  CollectGone(&gone);
  Finish();
  for (const storage::SeriesRef ref : gone) stale(ref);
}

}  // namespace narthex::scrape
