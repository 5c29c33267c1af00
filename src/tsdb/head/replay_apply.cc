// The appliers of a replay: threads that append samples to the series of their slabs.
#include <algorithm>
#include <utility>

#include "tsdb/head/head_replay.h"
#include "util/numbers.h"

namespace narthex::tsdb {
namespace {

constexpr size_t kBatchSamples = 8192;
constexpr size_t kBatchesQueued = 16;

}  // namespace

void HeadReplay::Batch::Clear() {
  floats.clear();
  histograms.clear();
  histogram_slots.clear();
  float_histograms.clear();
  float_histogram_slots.clear();
}

HeadReplay::HeadReplay(Head* head) : head_(*head) {
  const size_t count = std::max<size_t>(1, head_.options_.replay_threads);
  for (size_t i = 0; i < count; ++i) {
    appliers_.push_back(std::make_unique<Applier>());
    Applier* applier = appliers_.back().get();
    applier->filling = std::make_unique<Batch>();
    applier->thread = std::thread([this, applier] { Apply(applier); });
  }
}

HeadReplay::~HeadReplay() {
  Stop();
}

void HeadReplay::Stop() {
  for (auto& applier : appliers_) {
    {
      const std::lock_guard lock(applier->mutex);
      applier->stopping = true;
    }
    applier->changed.notify_all();
  }
  for (auto& applier : appliers_) {
    if (applier->thread.joinable()) applier->thread.join();
  }
}

void HeadReplay::Submit(Applier& applier) {
  if (applier.filling->size() == 0) return;
  std::unique_lock lock(applier.mutex);
  applier.changed.wait(lock, [&] { return applier.queue.size() < kBatchesQueued; });
  applier.queue.push_back(std::move(applier.filling));
  if (applier.spare.empty()) {
    applier.filling = std::make_unique<Batch>();
  } else {
    applier.filling = std::move(applier.spare.back());
    applier.spare.pop_back();
  }
  lock.unlock();
  applier.changed.notify_all();
}

void HeadReplay::Drain() {
  for (auto& applier : appliers_) Submit(*applier);
  for (auto& applier : appliers_) {
    std::unique_lock lock(applier->mutex);
    applier->changed.wait(lock, [&] { return applier->queue.empty() && !applier->busy; });
  }
}

void HeadReplay::Apply(Applier* applier) {
  SeriesAppender appender(&head_.pool_, head_.rules(), Isolation::Commit{});
  for (;;) {
    std::unique_ptr<Batch> batch;
    {
      std::unique_lock lock(applier->mutex);
      applier->changed.wait(lock, [&] { return applier->stopping || !applier->queue.empty(); });
      if (applier->queue.empty()) return;
      batch = std::move(applier->queue.front());
      applier->queue.pop_front();
      applier->busy = true;
    }
    applier->changed.notify_all();
    ApplyBatch(*batch, appender);
    head_.AddTally(appender.TakeTally());
    batch->Clear();
    {
      const std::lock_guard lock(applier->mutex);
      applier->busy = false;
      applier->spare.push_back(std::move(batch));
    }
    applier->changed.notify_all();
  }
}

// As at commit, a histogram series goes stale with a histogram. Its newest value may stand in a
// file only.
bool HeadReplay::ApplyStale(Slab& slab, uint16_t index, const FloatSample& s,
                            SeriesAppender& appender) {
  const SeriesHot& hot = slab.hot[index];
  const uint64_t ref = slab.cold[index].ref;
  ValueKind newest = ValueKind::kFloat;
  if (hot.flags & kHistogramLast) {
    newest = slab.histograms.find(index)->second->last_integer != nullptr
                 ? ValueKind::kHistogram
                 : ValueKind::kFloatHistogram;
  } else if (hot.encoding == ChunkEncoding::kNone && hot.mapped != kNoSlab) {
    std::vector<MappedChunk> mapped;
    ReadMappedChunks(head_.pool_, hot.mapped, &mapped);
    newest = KindOf(mapped.back().encoding);
  }
  if (newest == ValueKind::kHistogram) {
    Histogram stale;
    stale.sum = s.value;
    return appender.AppendHistogram(slab, index, ref, s.start_ms, s.timestamp_ms, stale);
  }
  if (newest == ValueKind::kFloatHistogram) {
    FloatHistogram stale;
    stale.sum = s.value;
    return appender.AppendHistogram(slab, index, ref, s.start_ms, s.timestamp_ms, stale);
  }
  return appender.AppendFloat(slab, index, ref, s.start_ms, s.timestamp_ms, s.value);
}

void HeadReplay::ApplyBatch(const Batch& batch, SeriesAppender& appender) {
  int64_t min_ms = INT64_MAX;
  int64_t max_ms = INT64_MIN;
  Slab* slab = nullptr;
  std::unique_lock<std::mutex> lock;
  const auto enter = [&](SlotId slot) {
    Slab* wanted = &head_.store_.slab(slot);
    if (wanted == slab) return;
    lock = {};
    slab = wanted;
    lock = std::unique_lock(slab->mutex);
  };
  const auto note = [&](int64_t t) {
    min_ms = std::min(min_ms, t);
    max_ms = std::max(max_ms, t);
  };
  for (const FloatSample& s : batch.floats) {
    enter(s.slot);
    const uint16_t index = SeriesStore::IndexOf(s.slot);
    if (IsStaleNan(s.value)) [[unlikely]] {
      if (ApplyStale(*slab, index, s, appender)) note(s.timestamp_ms);
    } else if (appender.AppendFloat(*slab, index, slab->cold[index].ref, s.start_ms, s.timestamp_ms,
                                    s.value)) {
      note(s.timestamp_ms);
    }
  }
  const auto apply = [&](const auto& samples, const std::vector<SlotId>& slots) {
    for (size_t i = 0; i < samples.size(); ++i) {
      const auto& s = samples[i];
      enter(slots[i]);
      const uint16_t index = SeriesStore::IndexOf(slots[i]);
      if (appender.AppendHistogram(*slab, index, slab->cold[index].ref, s.start_ms, s.timestamp_ms,
                                   s.histogram)) {
        note(s.timestamp_ms);
      }
    }
  };
  apply(batch.histograms, batch.histogram_slots);
  apply(batch.float_histograms, batch.float_histogram_slots);
  lock = {};
  if (min_ms <= max_ms) head_.WidenTimes(min_ms, max_ms);
}

// A batch applies its kinds one after the other, so a series must not change kind within it.
void HeadReplay::Push(Applier& applier, Kind kind) {
  const Batch& batch = *applier.filling;
  const bool other_kind = (kind != Kind::kFloat && !batch.floats.empty()) ||
                          (kind != Kind::kHistogram && !batch.histograms.empty()) ||
                          (kind != Kind::kFloatHistogram && !batch.float_histograms.empty());
  if (other_kind || batch.size() >= kBatchSamples) Submit(applier);
}

}  // namespace narthex::tsdb
