#include "tsdb/head/series_store.h"

#include <algorithm>
#include <cstring>

#include "tsdb/head/out_of_order.h"
#include "tsdb/head/series_append.h"
#include "util/check.h"

namespace narthex::tsdb {

Slab::Slab() {
  std::memset(static_cast<void*>(hot), 0, sizeof hot);
  std::memset(static_cast<void*>(cold), 0, sizeof cold);
}
Slab::~Slab() = default;

SeriesStore::SeriesStore(SlabPool* pool)
    : pool_(pool), slabs_(std::make_unique<std::unique_ptr<Slab>[]>(kSlabsMax)) {}

SeriesStore::~SeriesStore() = default;

SlotId SeriesStore::TakeSlot() {
  if (free_slots_.empty()) {
    const uint32_t number = slab_count_.load(std::memory_order_relaxed);
    NARTHEX_CHECK(number < kSlabsMax);
    slabs_[number] = std::make_unique<Slab>();
    slab_count_.store(number + 1, std::memory_order_release);
    // Handed out from the back: ascending.
    for (uint32_t i = kSlotsPerSlab; i-- > 0;) {
      const SlotId slot = number * kSlotsPerSlab + i;
      if (slot != kNoSeries) free_slots_.push_back(slot);
    }
  }
  const SlotId slot = free_slots_.back();
  free_slots_.pop_back();
  return slot;
}

bool SeriesStore::SameLabels(const LabelIndex& index, SlotId slot, const Labels& labels) const {
  const std::span<const PairId> pairs = PairsOf(slot);
  size_t i = 0;
  for (const LabelView& label : labels) {
    if (i == pairs.size() || index.View(pairs[i]) != label) return false;
    ++i;
  }
  return i == pairs.size();
}

SlotId SeriesStore::Insert(uint64_t ref, uint64_t hash, std::span<const PairId> pairs,
                           uint8_t flags) {
  const SlotId slot = TakeSlot();
  const SlabRef list = pool_->Allocate(pairs.size_bytes());
  if (!pairs.empty()) std::memcpy(pool_->At(list), pairs.data(), pairs.size_bytes());
  {
    Slab& home = slab(slot);
    const std::lock_guard lock(home.mutex);
    home.hot[IndexOf(slot)] = SeriesHot{};
    home.hot[IndexOf(slot)].flags = flags;
    home.cold[IndexOf(slot)] = {ref, list, static_cast<uint16_t>(pairs.size()), 0};
  }

  by_hash_.Insert(hash, slot);
  AddAlias(ref, slot);
  size_.fetch_add(1, std::memory_order_relaxed);
  return slot;
}

void SeriesStore::AddAlias(uint64_t ref, SlotId slot) {
  std::unique_ptr<RefPage>& page = ref_pages_[ref / kRefsPerPage];
  if (page == nullptr) page = std::make_unique<RefPage>();
  SlotId& entry = page->slots[ref % kRefsPerPage];
  if (entry == kNoSeries) ++page->live;
  entry = slot;
}

void SeriesStore::RemoveAlias(uint64_t ref) {
  const auto found = ref_pages_.find(ref / kRefsPerPage);
  if (found == ref_pages_.end()) return;
  SlotId& entry = found->second->slots[ref % kRefsPerPage];
  if (entry == kNoSeries) return;
  entry = kNoSeries;
  if (--found->second->live == 0) ref_pages_.erase(found);
}

void SeriesStore::Remove(SlotId slot, uint64_t hash) {
  by_hash_.Erase(hash, slot);
  const SeriesCold gone = cold(slot);
  {
    Slab& home = slab(slot);
    const std::lock_guard lock(home.mutex);
    home.cold[IndexOf(slot)] = SeriesCold{};
    home.hot[IndexOf(slot)] = SeriesHot{};
  }
  RemoveAlias(gone.ref);
  pool_->Free(gone.labels);
  free_slots_.push_back(slot);
  size_.fetch_sub(1, std::memory_order_relaxed);
}

Labels SeriesStore::LabelsOf(const LabelIndex& index, SlotId slot) const {
  constexpr size_t kMostSeries = 32;
  const std::span<const PairId> pairs = PairsOf(slot);
  if (pairs.size() > kMostSeries) {
    std::vector<LabelView> views;
    views.reserve(pairs.size());
    for (const PairId pair : pairs) views.push_back(index.View(pair));
    return Labels::FromSorted(views);
  }
  LabelView views[kMostSeries];
  for (size_t i = 0; i < pairs.size(); ++i) views[i] = index.View(pairs[i]);
  return Labels::FromSorted(std::span<const LabelView>(views, pairs.size()));
}

std::vector<uint64_t> SeriesStore::AllRefs() const {
  std::vector<uint64_t> page_numbers;
  page_numbers.reserve(ref_pages_.size());
  for (const auto& [number, page] : ref_pages_) page_numbers.push_back(number);
  std::sort(page_numbers.begin(), page_numbers.end());
  std::vector<uint64_t> refs;
  refs.reserve(size());
  for (const uint64_t number : page_numbers) {
    const RefPage& page = *ref_pages_.find(number)->second;
    for (uint64_t i = 0; i < kRefsPerPage; ++i) {
      const uint64_t ref = number * kRefsPerPage + i;
      if (page.slots[i] != kNoSeries && cold(page.slots[i]).ref == ref) refs.push_back(ref);
    }
  }
  return refs;
}

}  // namespace narthex::tsdb
