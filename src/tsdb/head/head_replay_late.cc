// The part of start-up that concerns samples out of order: late chunks and the WBL.
#include <algorithm>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "tsdb/head/head_replay.h"
#include "tsdb/head/out_of_order.h"
#include "util/log.h"

namespace narthex::tsdb {

void HeadReplay::AttachLate(SlotId slot, uint64_t ref) {
  const auto found = mapped_late_.find(ref);
  if (found == mapped_late_.end()) return;
  Slab& slab = head_.store_.slab(slot);
  const uint16_t index = SeriesStore::IndexOf(slot);
  const std::lock_guard lock(slab.mutex);
  std::unique_ptr<OutOfOrderSeries>& late = slab.out_of_order[index];
  if (late == nullptr) late = std::make_unique<OutOfOrderSeries>();
  slab.hot[index].flags |= kHasOutOfOrder;
  for (const MappedChunk& chunk : found->second) {
    late->mapped.push_back(chunk);
    head_.min_late_ms_.store(std::min(head_.min_late_ms(), chunk.min_ms));
    head_.max_late_ms_.store(std::max(head_.max_late_ms_.load(), chunk.max_ms));
  }
  head_.counters_.chunks_created.fetch_add(found->second.size(), std::memory_order_relaxed);
  mapped_late_.erase(found);
}

template <typename S>
Status HeadReplay::AddLate(const std::vector<S>& samples) {
  for (const S& s : samples) {
    const SlotId slot = SlotOf(s.ref, s.timestamp_ms);
    if (slot == kNoSeries) {
      if constexpr (std::is_same_v<S, WalSample>) {
        ++unknown_samples_;
      } else {
        ++unknown_histograms_;
      }
      unknown_.emplace(s.ref, uint8_t{0});
      continue;
    }
    OutOfOrderSample late;
    late.timestamp_ms = s.timestamp_ms;
    late.start_ms = s.start_ms;
    if constexpr (std::is_same_v<S, WalSample>) {
      late.value = s.value;
    } else if constexpr (std::is_same_v<S, WalHistogram>) {
      late.histogram = std::make_shared<const Histogram>(s.histogram);
    } else {
      late.float_histogram = std::make_shared<const FloatHistogram>(s.histogram);
    }
    Slab& slab = head_.store_.slab(slot);
    const uint16_t index = SeriesStore::IndexOf(slot);
    const std::lock_guard lock(slab.mutex);
    NARTHEX_RETURN_IF_ERROR(
        head_.AppendLate(slab, index, slab.cold[index].ref, std::move(late), nullptr).status());
  }
  return {};
}

Status HeadReplay::OnMarkers(std::string_view record) {
  std::vector<WalMmapMarker> markers;
  NARTHEX_RETURN_IF_ERROR(DecodeMmapMarkers(record, &markers).WithPrefix("decode mmap markers: "));
  for (const WalMmapMarker& marker : markers) {
    // A chunk that did not reach the files: its samples are still needed from here.
    if (marker.chunk_ref > last_mapped_ref_) {
      head_.late_log_stale_ = true;
      continue;
    }
    const SlotId slot = SlotOf(marker.ref, INT64_MIN);
    if (slot == kNoSeries) {
      unknown_.emplace(marker.ref, uint8_t{0});
      continue;
    }
    Slab& slab = head_.store_.slab(slot);
    const std::lock_guard lock(slab.mutex);
    const auto late = slab.out_of_order.find(SeriesStore::IndexOf(slot));
    if (late != slab.out_of_order.end()) late->second->open.clear();
  }
  return {};
}

Status HeadReplay::DispatchLate(std::string_view record) {
  switch (TypeOfRecord(record)) {
    case RecordType::kSamples:
    case RecordType::kSamplesV2:
      samples_.clear();
      NARTHEX_RETURN_IF_ERROR(DecodeSamples(record, &samples_).WithPrefix("decode samples: "));
      return AddLate(samples_);
    case RecordType::kHistogramSamples:
    case RecordType::kCustomBucketsHistogramSamples:
    case RecordType::kHistogramSamplesV2:
      histograms_.clear();
      NARTHEX_RETURN_IF_ERROR(DecodeHistogramSamples(record, &histograms_, &skipped_schemas_)
                                  .WithPrefix("decode histograms: "));
      return AddLate(histograms_);
    case RecordType::kFloatHistogramSamples:
    case RecordType::kCustomBucketsFloatHistogramSamples:
    case RecordType::kFloatHistogramSamplesV2:
      float_histograms_.clear();
      NARTHEX_RETURN_IF_ERROR(DecodeHistogramSamples(record, &float_histograms_, &skipped_schemas_)
                                  .WithPrefix("decode float histograms: "));
      return AddLate(float_histograms_);
    case RecordType::kMmapMarkers: return OnMarkers(record);
    default: return {};
  }
}

Status HeadReplay::ReadWbl(std::optional<WalCorruption>* corruption) {
  const Wal* wbl = head_.wbl_.load();
  const std::string directory = wbl != nullptr ? wbl->directory() : head_.options_.wbl_directory;
  if (directory.empty()) return {};
  NARTHEX_TRY(const std::vector<WalSegment> segments,
              ListWalSegments(*head_.options_.file_system, directory));
  for (const WalSegment& segment : segments) {
    WalReader reader(*head_.options_.file_system, {segment});
    uint64_t before = 0;
    Status status;
    while (status.ok() && reader.Next()) {
      status = DispatchLate(reader.record());
      if (status.ok()) before = reader.offset();
    }
    WalCorruption damage;
    if (!status.ok()) {
      damage.offset = before;
      damage.reason = status.message();
    } else if (const WalCorruption* found = reader.corruption(); found != nullptr) {
      damage = *found;
      status = reader.status();
    } else if (!reader.status().ok()) {
      return reader.status();
    } else {
      LOG_INFO("WBL segment loaded", {"segment", segment.index},
               {"maxSegment", segments.back().index});
      if (head_.options_.on_replay_progress) {
        head_.options_.on_replay_progress(segments.front().index, segments.back().index,
                                          segment.index);
      }
      continue;
    }
    damage.directory = directory;
    damage.segment = segment.index;
    *corruption = damage;
    return status;
  }
  return {};
}

}  // namespace narthex::tsdb
