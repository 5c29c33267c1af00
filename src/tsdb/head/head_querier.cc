#include "tsdb/head/head_querier.h"

#include <algorithm>
#include <bit>
#include <mutex>
#include <utility>

#include "storage/merge.h"
#include "tsdb/head/intervals.h"
#include "tsdb/head/out_of_order.h"

namespace narthex::tsdb {
namespace {

using storage::LabelQueryHints;
using storage::SampleColumns;
using storage::SelectHints;
using storage::Series;
using storage::SeriesOrder;
using storage::SeriesSet;

// Labels are built this many at a time: the index lock is held for a moment only.
constexpr size_t kLabelsPerHold = 512;

// Selects of more chunks a series do not look for a place to begin at.
constexpr size_t kResumeChunksMax = 2;

struct Found {
  SlotId slot;
  uint64_t ref;
  // The newest sample, where the query wants nothing else and it was at hand.
  bool has_latest = false;
  double latest = 0;
  int64_t latest_ms = 0;
};

// Drops the samples that a tombstone covers.
void DropDeleted(const std::vector<Interval>& deleted, size_t from, SampleColumns* columns) {
  size_t kept = from;
  const auto keep = [&](size_t i) {
    columns->timestamps_ms[kept] = columns->timestamps_ms[i];
    columns->values[kept] = columns->values[i];
    if (!columns->histograms.empty()) columns->histograms[kept] = std::move(columns->histograms[i]);
    if (!columns->start_timestamps_ms.empty()) {
      columns->start_timestamps_ms[kept] = columns->start_timestamps_ms[i];
    }
    ++kept;
  };
  for (size_t i = from; i < columns->size(); ++i) {
    if (InIntervals(deleted, columns->timestamps_ms[i])) continue;
    if (kept == i) {
      ++kept;
    } else {
      keep(i);
    }
  }
  columns->timestamps_ms.resize(kept);
  columns->values.resize(kept);
  if (!columns->histograms.empty()) columns->histograms.resize(kept);
  if (!columns->start_timestamps_ms.empty()) columns->start_timestamps_ms.resize(kept);
}

class HeadSeries : public Series {
 public:
  HeadSeries(Labels labels, HeadSeriesReader reader)
      : labels_(std::move(labels)), reader_(std::move(reader)) {}
  const Labels& labels() const override { return labels_; }
  Status Read(SampleColumns* out) const override { return reader_.Read(out); }

 private:
  Labels labels_;
  HeadSeriesReader reader_;
};

// A series of whose samples only the newest is wanted, which lies in the head's arrays: no chunk is
// copied or decoded.
class LatestSeries : public Series {
 public:
  LatestSeries(Labels labels, int64_t timestamp_ms, double value)
      : labels_(std::move(labels)), timestamp_ms_(timestamp_ms), value_(value) {}
  const Labels& labels() const override { return labels_; }
  Status Read(SampleColumns* out) const override {
    out->AddFloat(timestamp_ms_, value_);
    return {};
  }

 private:
  Labels labels_;
  int64_t timestamp_ms_;
  double value_;
};

// Whether the newest sample of a series is a float that a reader sees and that lies in `range`.
// With the slab's mutex held.
bool LatestIsFloatIn(const SeriesHot& hot, TimeRange range, const Isolation::Snapshot& snapshot) {
  const bool is_float = hot.encoding == ChunkEncoding::kXor || hot.encoding == ChunkEncoding::kXor2;
  // Late samples may lie anywhere, also behind the newest in order.
  return is_float && (hot.flags & (kHasSamples | kHistogramLast | kHasOutOfOrder)) == kHasSamples &&
         hot.xor_state.last_ms >= range.start_ms && hot.xor_state.last_ms <= range.end_ms &&
         !snapshot.Hides(hot.commit_id);
}

// A reader that was waited for long enough gets an error instead of what is left.
Status CheckNotExpired(const Isolation::Snapshot& snapshot) {
  if (!snapshot.expired.load(std::memory_order_acquire)) return {};
  return Status(ErrorCode::kTimeout,
                "the query took so long that the head has let go of samples it asks for");
}

}  // namespace

Status HeadSeriesReader::Read(SampleColumns* out) const {
  Status status = ReadOpen(out);
  NARTHEX_RETURN_IF_ERROR(CheckNotExpired(*view_.snapshot));
  return status;
}

Status HeadSeriesReader::ReadOpen(SampleColumns* out) const {
  Head::SeriesCopy copy;
  if (!head_->CopySeries(slot_, ref_, view_.range, view_.in_order_from_ms, view_.snapshot, &copy)) {
    return {};
  }
  const auto decode = [&](const Head::ChunkCopy& chunk, TimeRange within, SampleColumns* to) {
    std::shared_ptr<const void> owner;
    NARTHEX_TRY(const std::string_view bytes, head_->ChunkBytes(chunk, &owner));
    return DecodeChunk(
        chunk.encoding, bytes, within,
        {.histogram_stats = view_.histogram_stats, .sample_count = chunk.sample_count}, to);
  };
  TimeRange range = view_.range;
  range.start_ms = std::max(range.start_ms, view_.in_order_from_ms);
  if (copy.hidden_from_ms <= range.end_ms) range.end_ms = copy.hidden_from_ms - 1;
  const auto read_in_order = [&](SampleColumns* to) -> Status {
    const size_t from = to->size();
    std::vector<ChunkInput> inputs;
    std::vector<std::shared_ptr<const void>> owners;
    inputs.reserve(copy.chunks.size());
    owners.reserve(copy.chunks.size());
    Status status;
    for (const Head::ChunkCopy& chunk : copy.chunks) {
      if (chunk.min_ms > range.end_ms) break;
      const auto bytes = head_->ChunkBytes(chunk, &owners.emplace_back());
      if (!bytes.ok()) {
        status = bytes.status();
        break;
      }
      inputs.push_back({chunk.encoding, *bytes, chunk.sample_count});
    }
    std::span<const ChunkInput> rest = inputs;
    // A window at the end of a chunk. Longer ones cost so much that their begin does not matter.
    if (inputs.size() <= kResumeChunksMax && !inputs.empty() &&
        inputs[0].encoding == ChunkEncoding::kXor && copy.chunks[0].min_ms < range.start_ms) {
      const int64_t chunk_min_ms = copy.chunks[0].min_ms;
      XorResume resume;
      head_->resume_cache_.Find(ref_, chunk_min_ms, range.start_ms, &resume);
      const uint32_t known = resume.samples;
      NARTHEX_RETURN_IF_ERROR(
          DecodeXor(inputs[0].bytes, inputs[0].sample_count, range, to, &resume));
      if (resume.samples > known) {
        head_->resume_cache_.Store(ref_, chunk_min_ms, range.start_ms, resume);
      }
      rest = rest.subspan(1);
    }
    const Status decoded =
        DecodeChunks(rest, range, {.histogram_stats = view_.histogram_stats}, to);
    NARTHEX_RETURN_IF_ERROR(decoded);
    NARTHEX_RETURN_IF_ERROR(status);
    if (!deleted_.empty()) DropDeleted(deleted_, from, to);
    return {};
  };
  if (copy.late.empty() && copy.late_chunks.empty()) return read_in_order(out);
  // Late chunks overlap anything; samples in order win.
  std::vector<SampleColumns> parts(2 + copy.late_chunks.size());
  NARTHEX_RETURN_IF_ERROR(read_in_order(&parts[0]));
  ReadLateSamples(copy.late, view_.range, &parts[1]);
  for (size_t i = 0; i < copy.late_chunks.size(); ++i) {
    NARTHEX_RETURN_IF_ERROR(decode(copy.late_chunks[i], view_.range, &parts[2 + i]));
  }
  storage::MergeColumns(parts, out);
  return {};
}

// Series by reference, or by labels when they were all needed to sort.
class HeadSeriesSet : public SeriesSet {
 public:
  HeadSeriesSet(Head* head, std::vector<Found> found, const HeadSeriesReader::View& view,
                bool has_tombstones)
      : head_(head), found_(std::move(found)), has_tombstones_(has_tombstones), view_(view) {}

  void Sort() {
    while (loaded_ < found_.size()) Load(&labels_);
    std::vector<uint32_t> order(found_.size());
    for (uint32_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(),
              [&](uint32_t a, uint32_t b) { return labels_[a] < labels_[b]; });
    std::vector<Found> found;
    std::vector<Labels> labels;
    for (const uint32_t i : order) {
      // Gone between finding and looking.
      if (labels_[i].empty()) continue;
      found.push_back(found_[i]);
      labels.push_back(std::move(labels_[i]));
    }
    found_ = std::move(found);
    labels_ = std::move(labels);
    loaded_ = found_.size();
  }

  void Truncate(size_t limit) {
    if (limit == 0 || found_.size() <= limit) return;
    found_.resize(limit);
    if (labels_.size() > limit) labels_.resize(limit);
    loaded_ = std::min(loaded_, limit);
  }

  Status status() const override { return CheckNotExpired(*view_.snapshot); }

  std::unique_ptr<Series> Next() override {
    for (;;) {
      if (next_ == found_.size()) return nullptr;
      if (next_ == loaded_) {
        labels_.clear();
        first_ = loaded_;
        Load(&labels_);
      }
      const size_t i = next_++;
      Labels& labels = labels_[i - first_];
      if (labels.empty()) continue;
      const Found& found = found_[i];
      if (found.has_latest) {
        return std::make_unique<LatestSeries>(std::move(labels), found.latest_ms, found.latest);
      }
      return std::make_unique<HeadSeries>(
          std::move(labels), HeadSeriesReader(head_, found.slot, found.ref, view_,
                                              has_tombstones_ ? head_->TombstonesOf(found.ref)
                                                              : std::vector<Interval>()));
    }
  }

 private:
  void Load(std::vector<Labels>* to) {
    const size_t end = std::min(found_.size(), loaded_ + kLabelsPerHold);
    const std::shared_lock lock(head_->index_mutex_);
    for (; loaded_ < end; ++loaded_) {
      const Found& f = found_[loaded_];
      const bool same = head_->store_.cold(f.slot).ref == f.ref;
      to->push_back(same ? head_->store_.LabelsOf(head_->index_, f.slot) : Labels());
    }
  }

  Head* head_;
  std::vector<Found> found_;
  bool has_tombstones_;
  std::vector<Labels> labels_;  // Of found_[first_ .. loaded_).
  size_t first_ = 0;
  size_t loaded_ = 0;
  size_t next_ = 0;
  HeadSeriesReader::View view_;
};

HeadQuerier::HeadQuerier(Head* head, TimeRange range) : head_(head), range_(range) {
  // First registered, then cut: a truncation that this reader is not waited for by has raised the
  // bound before.
  snapshot_ = head_->isolation_.OpenReader(range);
  in_order_from_ms_ = head_->readable_from_ms_.load(std::memory_order_acquire);
  if (range_.start_ms < in_order_from_ms_) {
    head_->isolation_.NarrowReader(snapshot_, {in_order_from_ms_, range_.end_ms});
  }
}

bool HeadQuerier::OutsideOfHead() const {
  return range_.start_ms > std::max(head_->max_time_ms(), head_->max_late_ms_.load()) ||
         range_.end_ms < std::min(head_->min_time_ms(), head_->min_late_ms());
}

HeadQuerier::~HeadQuerier() {
  head_->isolation_.CloseReader(snapshot_);
}

Result<std::unique_ptr<SeriesSet>> HeadQuerier::Select(SeriesOrder order, const SelectHints& hints,
                                                       std::span<const Matcher> matchers) {
  TimeRange range = range_;
  range.start_ms = std::max(range.start_ms, hints.start_ms);
  range.end_ms = std::min(range.end_ms, hints.end_ms);
  if (range.start_ms > range.end_ms) return storage::EmptySeriesSet();
  std::vector<Found> found;
  {
    const std::shared_lock lock(head_->index_mutex_);
    const std::vector<uint64_t> refs = HeadPostings(head_->index_, head_->store_).Select(matchers);
    found.reserve(refs.size());
    for (const uint64_t ref : refs) {
      const SlotId slot = head_->store_.FindRef(ref);
      if (slot != kNoSeries) found.push_back({slot, ref});
    }
  }
  // Deletions of later than now need not show.
  const bool has_tombstones = head_->HasTombstones();
  {
    // Neighbours in references mostly lie in one slab, which is then held for all of them.
    const Slab* held = nullptr;
    std::unique_lock<std::mutex> lock;
    const bool latest = hints.latest_only && !has_tombstones;
    const TimeRange in_order = {std::max(range.start_ms, in_order_from_ms_), range.end_ms};
    std::erase_if(found, [&](Found& f) {
      Slab& slab = head_->store_.slab(f.slot);
      if (&slab != held) {
        if (lock.owns_lock()) lock.unlock();
        lock = std::unique_lock(slab.mutex);
        held = &slab;
      }
      const uint16_t index = SeriesStore::IndexOf(f.slot);
      const SeriesHot& hot = slab.hot[index];
      if (latest && slab.cold[index].ref == f.ref && LatestIsFloatIn(hot, in_order, *snapshot_)) {
        f.has_latest = true;
        f.latest_ms = hot.xor_state.last_ms;
        f.latest = std::bit_cast<double>(hot.xor_state.last_value_bits);
        return false;
      }
      return !head_->HasChunkIn(slab, index, range, in_order_from_ms_);
    });
  }
  auto set = std::make_unique<HeadSeriesSet>(
      head_, std::move(found),
      HeadSeriesReader::View{range, in_order_from_ms_, snapshot_, hints.histogram_stats},
      has_tombstones);
  if (order == SeriesOrder::kSorted) set->Sort();
  set->Truncate(hints.limit);
  return std::unique_ptr<SeriesSet>(std::move(set));
}

Result<std::vector<std::string>> HeadQuerier::LabelValues(std::string_view name,
                                                          const LabelQueryHints& hints,
                                                          std::span<const Matcher> matchers) {
  std::vector<std::string> values;
  if (OutsideOfHead()) return values;
  {
    const std::shared_lock lock(head_->index_mutex_);
    const LabelIndex& index = head_->index_;
    const NameId id = index.FindName(name);
    if (id == kNoId) return values;
    const bool by_value = std::all_of(matchers.begin(), matchers.end(),
                                      [&](const Matcher& m) { return m.name() == name; });
    if (by_value) {
      for (const PairId pair : index.PairsOf(id)) {
        if (index.PostingCount(pair) == 0) continue;
        const std::string_view value = index.View(pair).value;
        if (std::all_of(matchers.begin(), matchers.end(),
                        [&](const Matcher& m) { return m.Matches(value); })) {
          values.emplace_back(value);
        }
      }
    } else {
      const HeadPostings postings(index, head_->store_);
      HashSet<PairId> seen;
      for (const uint64_t ref : postings.Select(matchers)) {
        const SlotId slot = head_->store_.FindRef(ref);
        if (slot == kNoSeries) continue;
        const PairId pair = postings.PairOf(slot, id);
        if (pair != kNoId && seen.insert(pair).second) values.emplace_back(index.View(pair).value);
      }
    }
  }
  std::sort(values.begin(), values.end());
  if (hints.limit > 0 && values.size() > hints.limit) values.resize(hints.limit);
  return values;
}

Result<std::vector<std::string>> HeadQuerier::LabelNames(const LabelQueryHints& hints,
                                                         std::span<const Matcher> matchers) {
  std::vector<std::string> names;
  if (OutsideOfHead()) return names;
  {
    const std::shared_lock lock(head_->index_mutex_);
    const LabelIndex& index = head_->index_;
    if (matchers.empty()) {
      index.ForEachName([&](NameId, std::string_view name) { names.emplace_back(name); });
    } else {
      HashSet<NameId> seen;
      for (const uint64_t ref : HeadPostings(index, head_->store_).Select(matchers)) {
        const SlotId slot = head_->store_.FindRef(ref);
        if (slot == kNoSeries) continue;
        for (const PairId pair : head_->store_.PairsOf(slot)) {
          const NameId id = index.NameOf(pair);
          if (seen.insert(id).second) names.emplace_back(index.NameText(id));
        }
      }
    }
  }
  std::sort(names.begin(), names.end());
  if (hints.limit > 0 && names.size() > hints.limit) names.resize(hints.limit);
  return names;
}

Status Head::Delete(TimeRange range, std::span<const Matcher> matchers) {
  range.start_ms = std::max(range.start_ms, min_time_ms());
  range.end_ms = std::min(range.end_ms, max_time_ms());
  if (range.start_ms > range.end_ms) return {};
  std::vector<WalTombstone> stones;
  {
    const std::shared_lock lock(index_mutex_);
    std::vector<MappedChunk> mapped;
    for (const uint64_t ref : HeadPostings(index_, store_).Select(matchers)) {
      const SlotId slot = store_.FindRef(ref);
      if (slot == kNoSeries) continue;
      // Until the values of now, not beyond.
      Slab& slab = store_.slab(slot);
      const uint16_t index = SeriesStore::IndexOf(slot);
      const std::lock_guard slab_lock(slab.mutex);
      const SeriesHot& hot = slab.hot[index];
      int64_t first = INT64_MAX;
      mapped.clear();
      ReadMappedChunks(pool_, hot.mapped, &mapped);
      if (!mapped.empty()) first = mapped.front().min_ms;
      for (const PendingChunk& chunk : slab.pending) {
        if (chunk.index == index) first = std::min(first, chunk.min_ms);
      }
      if (hot.encoding != ChunkEncoding::kNone) first = std::min(first, hot.chunk_min_ms);
      if (first == INT64_MAX) continue;
      const int64_t from = std::max(range.start_ms, first);
      const int64_t to = std::min(range.end_ms, hot.xor_state.last_ms);
      if (from <= to) stones.push_back({ref, from, to});
    }
  }
  if (stones.empty()) return {};
  if (options_.wal != nullptr) {
    std::string record;
    EncodeTombstones(stones, &record);
    NARTHEX_RETURN_IF_ERROR(options_.wal->Log(record));
  }
  for (const WalTombstone& stone : stones) AddTombstone(stone.ref, {stone.min_ms, stone.max_ms});
  return {};
}

}  // namespace narthex::tsdb
