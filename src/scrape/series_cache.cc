#include "scrape/series_cache.h"

#include <algorithm>
#include <bit>

#include "util/hash_map.h"

namespace narthex::scrape {
namespace {

constexpr uint32_t kFree = 0xffffffff;
// The table is at most half full while only old entries are in it.
constexpr size_t kTableSlotsMin = 16;
// Memory beyond this share of use is given back after a rebuild.
constexpr size_t kSlackMax = 8;

}  // namespace

void SeriesCache::Begin(SeriesCacheScratch* scratch) {
  scratch_ = scratch;
  expected_ = 0;
  rebuilding_ = false;
  has_table_ = false;
}

SeriesEntry& SeriesCache::TakeExpected() {
  SeriesEntry& entry = entries_[expected_];
  if (!rebuilding_) {
    position_ = static_cast<uint32_t>(expected_++);
    return entry;
  }
  scratch_->seen[expected_] = 1;
  position_ = static_cast<uint32_t>(scratch_->next.size());
  scratch_->next.push_back(entry);
  ++expected_;
  SkipSeen();
  return scratch_->next.back();
}

SeriesEntry& SeriesCache::at(uint32_t position) {
  return rebuilding_ ? scratch_->next[position] : entries_[position];
}

void SeriesCache::SkipSeen() {
  // Out of order nobody knows whether the first of a repeated series is there: no short cut.
  while (expected_ < entries_.size() &&
         (scratch_->seen[expected_] != 0 || entries_[expected_].Is(SeriesEntry::kDuplicate))) {
    ++expected_;
  }
}

// From here on the page's order is written anew; the entries taken so far are its beginning.
void SeriesCache::StartRebuild() {
  rebuilding_ = true;
  scratch_->next.assign(entries_.begin(), entries_.begin() + static_cast<ptrdiff_t>(expected_));
  scratch_->seen.assign(entries_.size(), 0);
  std::fill_n(scratch_->seen.begin(), expected_, uint8_t{1});
  SkipSeen();
}

const SeriesEntry& SeriesCache::Stored(uint32_t value) const {
  return (value & kInNext) != 0 ? scratch_->next[value & ~kInNext] : entries_[value];
}

uint32_t* SeriesCache::FindSlot(uint64_t hash, uint32_t length) {
  std::vector<uint32_t>& table = scratch_->table;
  const size_t mask = table.size() - 1;
  for (size_t slot = hash & mask;; slot = (slot + 1) & mask) {
    if (table[slot] == kFree) return &table[slot];
    const SeriesEntry& entry = Stored(table[slot]);
    if (entry.hash == hash && entry.length == length) return &table[slot];
  }
}

// Holds each text once: its first old entry, or its entry in `next` where it is new.
void SeriesCache::BuildTable() {
  has_table_ = true;
  const size_t wanted = 2 * (entries_.size() + scratch_->next.size() + kTableSlotsMin);
  scratch_->table.assign(std::bit_ceil(wanted), kFree);
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].Is(SeriesEntry::kDuplicate)) continue;
    *FindSlot(entries_[i].hash, entries_[i].length) = static_cast<uint32_t>(i);
  }
}

SeriesEntry* SeriesCache::Take(uint64_t hash, uint32_t length, bool* repeated) {
  *repeated = false;
  if (expected_ < entries_.size() && entries_[expected_].hash == hash &&
      entries_[expected_].length == length) {
    SeriesEntry& entry = TakeExpected();
    *repeated = entry.Is(SeriesEntry::kDuplicate);
    return &entry;
  }
  if (!rebuilding_) StartRebuild();
  if (!has_table_) BuildTable();
  const uint32_t* slot = FindSlot(hash, length);
  if (*slot == kFree) return nullptr;
  const bool is_new = (*slot & kInNext) != 0;
  if (is_new || scratch_->seen[*slot] != 0) {
    *repeated = true;
    SeriesEntry again = Stored(*slot);
    again.Set(SeriesEntry::kDuplicate, true);
    again.Set(SeriesEntry::kTracked, false);
    position_ = static_cast<uint32_t>(scratch_->next.size());
    scratch_->next.push_back(again);
    return &scratch_->next.back();
  }
  // Out of place: what follows it on the page probably follows it here, too.
  expected_ = *slot;
  return &TakeExpected();
}

SeriesEntry& SeriesCache::Add(uint64_t hash, uint32_t length) {
  std::vector<uint32_t>& table = scratch_->table;
  if (2 * (scratch_->next.size() + entries_.size()) > table.size()) {
    // Many new series, as on the first scrape: a larger table with all of them.
    BuildTable();
    for (size_t i = 0; i < scratch_->next.size(); ++i) {
      const SeriesEntry& entry = scratch_->next[i];
      uint32_t* slot = FindSlot(entry.hash, entry.length);
      if (*slot == kFree) *slot = static_cast<uint32_t>(i) | kInNext;
    }
  }
  position_ = static_cast<uint32_t>(scratch_->next.size());
  uint32_t* slot = FindSlot(hash, length);
  *slot = position_ | kInNext;
  return scratch_->next.emplace_back(SeriesEntry{hash, 0, length, 0});
}

// Only when something is gone are the refs of the page gathered: a series whose text changed but
// whose labels did not (say, in their order) is not gone.
void SeriesCache::CollectGone(std::vector<storage::SeriesRef>* gone) const {
  const auto taken = [&](size_t i) { return rebuilding_ ? scratch_->seen[i] != 0 : i < expected_; };
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (!taken(i) && entries_[i].Is(SeriesEntry::kTracked) && entries_[i].ref != 0) {
      gone->push_back(entries_[i].ref);
    }
  }
  if (gone->empty() || !rebuilding_) return;
  HashSet<storage::SeriesRef> present;
  for (const SeriesEntry& entry : scratch_->next) {
    if (entry.Is(SeriesEntry::kTracked)) present.insert(entry.ref);
  }
  std::erase_if(*gone, [&](storage::SeriesRef ref) { return present.contains(ref); });
}

void SeriesCache::Finish() {
  if (!rebuilding_) {
    // The page ended early: the rest is gone.
    entries_.resize(expected_);
    return;
  }
  rebuilding_ = false;
  if (scratch_->next.size() > entries_.capacity() ||
      entries_.capacity() > kSlackMax * (scratch_->next.size() + kTableSlotsMin)) {
    entries_ = std::vector<SeriesEntry>(scratch_->next.begin(), scratch_->next.end());
  } else {
    entries_.assign(scratch_->next.begin(), scratch_->next.end());
  }
}

void SeriesCache::Abandon() {
  rebuilding_ = false;
  expected_ = 0;
}

}  // namespace narthex::scrape
