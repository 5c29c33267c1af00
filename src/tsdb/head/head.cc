#include "tsdb/head/head.h"

#include <algorithm>
#include <utility>

#include "tsdb/head/head_appender.h"
#include "tsdb/head/head_querier.h"
#include "util/check.h"
#include "util/log.h"

namespace narthex::tsdb {
namespace {

constexpr size_t kBuffersKept = 64;
constexpr size_t kBufferSamplesKept = 100'000;
// More than this waiting in full chunks wakes the thread that maps them.
constexpr uint64_t kPendingBytesMax = 8 << 20;

void Shrink(AppendBuffers& buffers) {
  for (AppendBatch& batch : buffers.batches) batch.Clear();
  buffers.batch_count = 0;
  buffers.unlogged.clear();
  buffers.kinds.clear();
  buffers.records.clear();
  if (!buffers.batches.empty() && buffers.batches.front().floats.capacity() > kBufferSamplesKept) {
    buffers.batches.clear();
  }
}

}  // namespace

Head::Head(HeadOptions options)
    : options_(std::move(options)),
      index_(&pool_),
      store_(&pool_),
      exemplars_(options_.exemplars_max) {
  if (options_.file_system == nullptr) options_.file_system = &FileSystem::Posix();
  out_of_order_window_ms_.store(options_.out_of_order_window_ms, std::memory_order_relaxed);
  wbl_.store(options_.wbl);
  xor2_.store(options_.xor2 || options_.start_timestamp_storage, std::memory_order_relaxed);
  exemplars_.SetOutOfOrderWindow(options_.out_of_order_window_ms);
}

Head::~Head() = default;

ChunkRules Head::rules() const {
  return {options_.chunk_range_ms, options_.samples_per_chunk,
          xor2_.load(std::memory_order_relaxed), options_.histogram_start_timestamps,
          options_.start_timestamp_storage};
}

AppendBounds Head::CurrentBounds() const {
  AppendBounds bounds;
  bounds.head_max_ms = max_time_ms();
  const int64_t oldest = bounds.head_max_ms < INT64_MIN + options_.chunk_range_ms / 2
                             ? INT64_MIN
                             : bounds.head_max_ms - options_.chunk_range_ms / 2;
  bounds.min_valid_ms = std::max(min_valid_ms(), oldest);
  bounds.out_of_order_window_ms = out_of_order_window_ms_.load(std::memory_order_relaxed);
  return bounds;
}

void Head::NoteFirstTime(int64_t t) {
  int64_t unset = INT64_MAX;
  if (!min_time_ms_.compare_exchange_strong(unset, t)) return;
  unset = INT64_MIN;
  max_time_ms_.compare_exchange_strong(unset, t);
}

void Head::WidenTimes(int64_t min_ms, int64_t max_ms) {
  int64_t seen = min_time_ms_.load();
  while (min_ms < seen && !min_time_ms_.compare_exchange_weak(seen, min_ms)) {
  }
  seen = max_time_ms_.load();
  while (max_ms > seen && !max_time_ms_.compare_exchange_weak(seen, max_ms)) {
  }
}

void Head::AddTally(const AppendTally& tally) {
  const auto add = [](auto& counter, auto value) {
    if (value != 0) counter.fetch_add(value, std::memory_order_relaxed);
  };
  add(counters_.chunks_created, static_cast<uint64_t>(tally.chunks_created));
  add(counters_.stale_series, tally.stale_series);
  add(counters_.histogram_series, tally.histogram_series);
  add(counters_.histogram_buckets, tally.histogram_buckets);
  if (tally.pending_bytes == 0) return;
  const uint64_t before = pending_bytes_.fetch_add(tally.pending_bytes, std::memory_order_relaxed);
  if (before < kPendingBytesMax && before + tally.pending_bytes >= kPendingBytesMax &&
      options_.on_full_chunks) {
    options_.on_full_chunks();
  }
}

void HeadCounters::ObserveLateness(int64_t late_ms) {
  const double seconds = static_cast<double>(late_ms) / 1000;
  for (size_t i = 0; i < std::size(kLatenessBounds); ++i) {
    if (seconds > kLatenessBounds[i]) continue;
    lateness_buckets[i].fetch_add(1, std::memory_order_relaxed);
    break;
  }
  lateness_count.fetch_add(1, std::memory_order_relaxed);
  lateness_sum.fetch_add(seconds, std::memory_order_relaxed);
}

bool Head::compactable() const {
  if (!initialized()) return false;
  return max_time_ms() - min_time_ms() > options_.chunk_range_ms / 2 * 3;
}

bool Head::HasAppenderBelow(int64_t time_ms) const {
  const std::lock_guard lock(epoch_mutex_);
  return !open_bounds_.empty() && open_bounds_.begin()->first <= time_ms;
}

uint64_t Head::OpenEpoch() {
  const std::lock_guard lock(epoch_mutex_);
  ++open_epochs_[epoch_];
  return epoch_;
}

void Head::CloseEpoch(uint64_t epoch) {
  const std::lock_guard lock(epoch_mutex_);
  const auto found = open_epochs_.find(epoch);
  if (--found->second == 0) open_epochs_.erase(found);
}

std::unique_ptr<AppendBuffers> Head::TakeBuffers() {
  {
    const std::lock_guard lock(buffers_mutex_);
    if (!free_buffers_.empty()) {
      std::unique_ptr<AppendBuffers> buffers = std::move(free_buffers_.back());
      free_buffers_.pop_back();
      return buffers;
    }
  }
  return std::make_unique<AppendBuffers>();
}

void Head::ReturnBuffers(std::unique_ptr<AppendBuffers> buffers) {
  Shrink(*buffers);
  const std::lock_guard lock(buffers_mutex_);
  if (free_buffers_.size() < kBuffersKept) free_buffers_.push_back(std::move(buffers));
}

// --- Finding and making series
// --------------------------------------------------------------------

void Head::Touch(SlotId slot, uint64_t epoch) {
  Slab& slab = store_.slab(slot);
  const std::lock_guard lock(slab.mutex);
  uint16_t& touched = slab.hot[SeriesStore::IndexOf(slot)].touch_epoch;
  const uint16_t wanted = static_cast<uint16_t>(epoch);
  if (static_cast<int16_t>(wanted - touched) > 0) touched = wanted;
}

Head::SeriesAt Head::Find(uint64_t ref, const Labels& labels, uint64_t epoch) {
  const std::shared_lock lock(index_mutex_);
  SlotId slot = ref == 0 ? kNoSeries : store_.FindRef(ref);
  if (slot == kNoSeries && !labels.empty()) slot = store_.FindLabels(index_, labels, labels.Hash());
  if (slot == kNoSeries) return {};
  Touch(slot, epoch);
  return {slot, store_.cold(slot).ref};
}

Result<Head::SeriesAt> Head::Locate(uint64_t ref, const Labels& labels, uint64_t epoch) {
  const SeriesAt found = Find(ref, labels, epoch);
  if (found.slot != kNoSeries) return found;
  if (labels.empty()) return Status(ErrorCode::kInvalidInput, "empty labelset: invalid sample");
  const uint64_t hash = labels.Hash();
  const std::unique_lock lock(index_mutex_);
  SlotId slot = store_.FindLabels(index_, labels, hash);
  if (slot == kNoSeries) {
    slot = CreateLocked(last_ref_.fetch_add(1, std::memory_order_relaxed) + 1, labels, hash);
  }
  Touch(slot, epoch);
  return SeriesAt{slot, store_.cold(slot).ref};
}

SlotId Head::CreateLocked(uint64_t ref, const Labels& labels, uint64_t hash) {
  std::vector<PairId> pairs;
  pairs.reserve(16);
  for (const LabelView& label : labels) {
    const size_t i = pairs.size();
    if (i == pair_hints_.size()) pair_hints_.push_back(kNoId);
    pair_hints_[i] = index_.Intern(label.name, label.value, pair_hints_[i]);
    pairs.push_back(pair_hints_[i]);
  }
  const SlotId slot = store_.Insert(ref, hash, pairs);
  for (const PairId pair : pairs) index_.AddPosting(pair, ref);
  counters_.series_created.fetch_add(1, std::memory_order_relaxed);
  return slot;
}

// --- Views of one series
// --------------------------------------------------------------------------

bool Head::CopySeries(SlotId slot, uint64_t ref, TimeRange range, int64_t in_order_from_ms,
                      const Isolation::Snapshot* snapshot, SeriesCopy* out) const {
  Slab& slab = store_.slab(slot);
  const uint16_t index = SeriesStore::IndexOf(slot);
  std::vector<MappedChunk> mapped;
  const std::lock_guard lock(slab.mutex);
  if (slab.cold[index].ref != ref) return false;
  const SeriesHot& hot = slab.hot[index];
  if (snapshot != nullptr && hot.commit_id != 0) {
    if (snapshot->Hides(hot.commit_id)) out->hidden_from_ms = hot.xor_state.last_ms;
    if (hot.flags & kHasOlder) {
      for (const OlderCommit& older : slab.older_commits.find(index)->second) {
        if (snapshot->Hides(older.id)) {
          out->hidden_from_ms = std::min(out->hidden_from_ms, older.first_ms);
        }
      }
    }
  }
  const int64_t from_ms = std::max(range.start_ms, in_order_from_ms);
  const auto wanted = [&](int64_t min_ms, int64_t max_ms) {
    return min_ms <= range.end_ms && max_ms >= from_ms;
  };
  const auto wanted_late = [&](int64_t min_ms, int64_t max_ms) {
    return min_ms <= range.end_ms && max_ms >= range.start_ms;
  };
  // What begins within the open chunk needs none of those before.
  const bool open_suffices = hot.encoding != ChunkEncoding::kNone && hot.chunk_min_ms <= from_ms;
  if (!open_suffices) ReadMappedChunks(pool_, hot.mapped, &mapped);
  for (const MappedChunk& chunk : mapped) {
    if (!wanted(chunk.min_ms, chunk.max_ms)) continue;
    out->chunks.push_back(
        {chunk.encoding, chunk.min_ms, chunk.max_ms, chunk.sample_count, chunk.file_ref, {}});
  }
  for (const PendingChunk& chunk : slab.pending) {
    if (chunk.index != index || !wanted(chunk.min_ms, chunk.max_ms)) continue;
    out->chunks.push_back({chunk.encoding, chunk.min_ms, chunk.max_ms, chunk.sample_count, 0,
                           std::string(pool_.At(chunk.data), chunk.size)});
  }
  if (hot.encoding != ChunkEncoding::kNone && wanted(hot.chunk_min_ms, hot.xor_state.last_ms)) {
    OpenChunkView view;
    ChunkCopy& copy = out->chunks.emplace_back();
    CopyOpenChunk(pool_, slab, index, &view, &copy.bytes);
    copy.encoding = view.encoding;
    copy.min_ms = view.min_ms;
    copy.max_ms = view.max_ms;
    copy.sample_count = view.sample_count;
  }
  if (hot.flags & kHasOutOfOrder) {
    const OutOfOrderSeries& late = *slab.out_of_order.find(index)->second;
    if (!late.open.empty() &&
        wanted_late(late.open.front().timestamp_ms, late.open.back().timestamp_ms)) {
      out->late = late.open;
    }
    for (const MappedChunk& chunk : late.mapped) {
      if (!wanted_late(chunk.min_ms, chunk.max_ms)) continue;
      out->late_chunks.push_back(
          {chunk.encoding, chunk.min_ms, chunk.max_ms, chunk.sample_count, chunk.file_ref, {}});
    }
  }
  return true;
}

bool Head::HasChunkIn(const Slab& slab, uint16_t index, TimeRange range,
                      int64_t in_order_from_ms) const {
  const SeriesHot& hot = slab.hot[index];
  const int64_t from_ms = std::max(range.start_ms, in_order_from_ms);
  const auto wanted = [&](int64_t min_ms, int64_t max_ms) {
    return min_ms <= range.end_ms && max_ms >= from_ms;
  };
  const auto wanted_late = [&](int64_t min_ms, int64_t max_ms) {
    return min_ms <= range.end_ms && max_ms >= range.start_ms;
  };
  if (hot.encoding != ChunkEncoding::kNone && wanted(hot.chunk_min_ms, hot.xor_state.last_ms)) {
    return true;
  }
  for (const PendingChunk& chunk : slab.pending) {
    if (chunk.index == index && wanted(chunk.min_ms, chunk.max_ms)) return true;
  }
  if (hot.mapped != kNoSlab) {
    std::vector<MappedChunk> mapped;
    ReadMappedChunks(pool_, hot.mapped, &mapped);
    for (const MappedChunk& chunk : mapped) {
      if (wanted(chunk.min_ms, chunk.max_ms)) return true;
    }
  }
  if (hot.flags & kHasOutOfOrder) {
    const OutOfOrderSeries& late = *slab.out_of_order.find(index)->second;
    if (!late.open.empty() &&
        wanted_late(late.open.front().timestamp_ms, late.open.back().timestamp_ms)) {
      return true;
    }
    for (const MappedChunk& chunk : late.mapped) {
      if (wanted_late(chunk.min_ms, chunk.max_ms)) return true;
    }
  }
  return false;
}

Head::SortedSeries Head::SortSeries(Which which) const {
  SortedSeries sorted;
  if (which == Which::kAll) sorted.series.reserve(store_.size());
  for (uint32_t number = 0; number < store_.slab_count(); ++number) {
    Slab& slab = store_.slab_at(number);
    const std::lock_guard lock(slab.mutex);
    for (uint32_t i = 0; i < kSlotsPerSlab; ++i) {
      const uint8_t flags = slab.hot[i].flags;
      const bool late = (flags & kHasOutOfOrder) != 0;
      const bool wanted =
          which == Which::kAll || (which == Which::kLate ? late : (flags & kStale) && !late);
      if (slab.cold[i].ref != 0 && wanted) {
        sorted.series.push_back({number * kSlotsPerSlab + i, slab.cold[i].ref});
      }
    }
  }
  // After the series, so that all their pairs are among those that are ordered.
  LabelIndex::OrderInput input;
  {
    const std::shared_lock lock(index_mutex_);
    input = index_.CollectOrder();
  }
  LabelIndex::Order order = index_.SortOrder(input);
  // Labels are lists of pairs in order of names: their order is that of the ranks.
  std::sort(sorted.series.begin(), sorted.series.end(), [&](const auto& a, const auto& b) {
    const std::span<const PairId> left = store_.PairsOf(a.slot);
    const std::span<const PairId> right = store_.PairsOf(b.slot);
    return std::lexicographical_compare(
        left.begin(), left.end(), right.begin(), right.end(),
        [&](PairId x, PairId y) { return order.rank_of_pair[x] < order.rank_of_pair[y]; });
  });
  sorted.texts = std::move(order.texts);
  return sorted;
}

Head::StaleSelection Head::SelectStale() const {
  StaleSelection selection;
  selection.sorted = SortSeries(Which::kStale);
  selection.last_ms.reserve(selection.sorted.series.size());
  for (const SortedSeries::Entry& entry : selection.sorted.series) {
    Slab& slab = store_.slab(entry.slot);
    const std::lock_guard lock(slab.mutex);
    selection.last_ms.push_back(slab.hot[SeriesStore::IndexOf(entry.slot)].xor_state.last_ms);
  }
  return selection;
}

Status Head::ReadRange(const SortedSeries::Entry& entry, TimeRange range, RangeSeries* out) const {
  out->chunks.clear();
  SeriesCopy copy;
  if (!CopySeries(entry.slot, entry.ref, range, INT64_MIN, nullptr, &copy) || copy.chunks.empty())
    return {};
  for (ChunkCopy& chunk : copy.chunks) {
    EncodedChunk& encoded = out->chunks.emplace_back();
    encoded.min_ms = chunk.min_ms;
    encoded.max_ms = chunk.max_ms;
    encoded.encoding = chunk.encoding;
    if (chunk.file_ref == 0) {
      encoded.bytes = std::move(chunk.bytes);
    } else {
      std::shared_ptr<const void> owner;
      NARTHEX_TRY(const std::string_view bytes, ChunkBytes(chunk, &owner));
      encoded.bytes.assign(bytes);
    }
  }
  out->deleted = TombstonesOf(entry.ref);
  const std::shared_lock lock(index_mutex_);
  out->labels = store_.LabelsOf(index_, entry.slot);
  return {};
}

Result<std::string_view> Head::ChunkBytes(const ChunkCopy& chunk,
                                          std::shared_ptr<const void>* owner) const {
  if (chunk.file_ref == 0) return std::string_view(chunk.bytes);
  NARTHEX_TRY(HeadChunk read, head_chunks_->Read(chunk.file_ref));
  *owner = std::move(read.owner);
  return read.bytes;
}

std::unique_ptr<storage::Appender> Head::NewAppender() {
  return std::make_unique<HeadAppender>(this);
}

std::unique_ptr<storage::Querier> Head::OpenQuerier(TimeRange range) {
  return std::make_unique<HeadQuerier>(this, range);
}

uint64_t Head::symbol_bytes() const {
  const std::shared_lock lock(index_mutex_);
  return index_.symbol_bytes();
}

bool Head::HasTombstones() const {
  const std::lock_guard lock(tombstones_mutex_);
  return !tombstones_.empty();
}

std::vector<std::pair<int64_t, int64_t>> Head::TombstonesOf(uint64_t ref) const {
  const std::lock_guard lock(tombstones_mutex_);
  const auto found = tombstones_.find(ref);
  if (found == tombstones_.end()) return {};
  return found->second;
}

void Head::SetOutOfOrderWindow(int64_t window_ms, Wal* wbl) {
  if (wbl != nullptr) wbl_.store(wbl);
  out_of_order_window_ms_.store(window_ms, std::memory_order_relaxed);
  exemplars_.SetOutOfOrderWindow(window_ms);
}

HeadCardinality Head::Cardinality(size_t limit) const {
  HeadCardinality result;
  const std::shared_lock lock(index_mutex_);
  result.series = store_.size();
  result.label_pairs = index_.pair_count();
  using Entry = HeadCardinality::Entry;
  // Upstream keeps the largest; ties fall as they come, here by name.
  const auto keep_largest = [limit](std::vector<Entry>& entries) {
    const auto larger = [](const Entry& a, const Entry& b) {
      return a.count != b.count ? a.count > b.count : a.name < b.name;
    };
    const size_t kept = std::min(limit, entries.size());
    std::partial_sort(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(kept),
                      entries.end(), larger);
    entries.resize(kept);
  };
  index_.ForEachName([&](NameId id, std::string_view name) {
    uint64_t values = 0;
    uint64_t bytes = 0;
    std::vector<Entry> pairs;
    for (const PairId pair : index_.PairsOf(id)) {
      const uint64_t count = index_.PostingCount(pair);
      if (count == 0) continue;
      ++values;
      const std::string_view value = index_.View(pair).value;
      // As upstream counts: both texts with a byte of length each, for every series.
      bytes += (name.size() + value.size() + 2) * count;
      if (name == kMetricNameLabel) {
        result.series_by_metric_name.push_back({std::string(value), count});
        if (result.series_by_metric_name.size() > 4096 + limit) {
          keep_largest(result.series_by_metric_name);
        }
      }
      pairs.push_back({std::string(name) + "=" + std::string(value), count});
      if (pairs.size() > 4096 + limit) keep_largest(pairs);
    }
    if (values == 0) return;
    keep_largest(pairs);
    result.series_by_label_pair.insert(result.series_by_label_pair.end(), pairs.begin(),
                                       pairs.end());
    result.values_by_label_name.push_back({std::string(name), values});
    result.memory_by_label_name.push_back({std::string(name), bytes});
  });
  keep_largest(result.series_by_metric_name);
  keep_largest(result.values_by_label_name);
  keep_largest(result.memory_by_label_name);
  keep_largest(result.series_by_label_pair);
  return result;
}

}  // namespace narthex::tsdb
