#include "tsdb/head/head_appender.h"

#include <algorithm>
#include <bit>
#include <type_traits>
#include <utility>

#include "model/float_histogram_ops.h"
#include "util/log.h"
#include "util/numbers.h"

namespace narthex::tsdb {
namespace {

using storage::AppendOptions;
using storage::AppendOutcome;
using storage::RefSample;
using storage::SeriesRef;

// The state of so many series is fetched from memory at once; one by one each would be waited for.
constexpr size_t kSamplesAhead = 32;

template <typename H>
constexpr bool kIsInteger = std::is_same_v<H, Histogram>;

template <typename H>
SampleKind KindOfHistogram(const H& histogram) {
  if constexpr (kIsInteger<H>) {
    return histogram.uses_custom_buckets() ? SampleKind::kCustomHistogram : SampleKind::kHistogram;
  } else {
    return histogram.uses_custom_buckets() ? SampleKind::kCustomFloatHistogram
                                           : SampleKind::kFloatHistogram;
  }
}

Status OutOfBounds() {
  return Status(ErrorCode::kOutOfBounds, "out of bounds");
}

// Upstream's error for a refused sample; `hot` is the state that refused it.
Status RefusalOf(Verdict verdict, const SeriesHot& hot, int64_t t, const double* value) {
  switch (verdict) {
    case Verdict::kOutOfOrder: return Status(ErrorCode::kOutOfOrderSample, "out of order sample");
    case Verdict::kOutOfBounds: return OutOfBounds();
    case Verdict::kTooOld: return Status(ErrorCode::kTooOldSample, "too old sample");
    case Verdict::kDuplicate:
      if (value == nullptr) {
        return Status(ErrorCode::kDuplicateSample, "duplicate sample for timestamp");
      }
      if (hot.flags & kHistogramLast) {
        return MakeError(ErrorCode::kDuplicateSample,
                         "duplicate sample for timestamp {}; overrides not allowed: existing is a "
                         "histogram, new value {}",
                         t, FormatFloatG(*value));
      }
      return MakeError(ErrorCode::kDuplicateSample,
                       "duplicate sample for timestamp {}; overrides not allowed: existing {}, new "
                       "value {}",
                       t, FormatFloatG(std::bit_cast<double>(hot.xor_state.last_value_bits)),
                       FormatFloatG(*value));
    case Verdict::kInOrder:
    case Verdict::kOutOfOrderAccepted: break;
  }
  return {};
}

AppendOutcome OutcomeOf(Verdict verdict) {
  switch (verdict) {
    case Verdict::kInOrder:
    case Verdict::kOutOfOrderAccepted: return AppendOutcome::kAccepted;
    case Verdict::kOutOfOrder: return AppendOutcome::kOutOfOrder;
    case Verdict::kOutOfBounds: return AppendOutcome::kOutOfBounds;
    case Verdict::kTooOld: return AppendOutcome::kTooOld;
    case Verdict::kDuplicate: return AppendOutcome::kDuplicate;
  }
  return AppendOutcome::kAccepted;
}

bool Accepted(Verdict verdict) {
  return verdict == Verdict::kInOrder || verdict == Verdict::kOutOfOrderAccepted;
}

Status ClosedError() {
  return Status(ErrorCode::kUnavailable, "appender closed");
}

// Holds at most one slab, changing when the next series lies in another.
class SlabWalk {
 public:
  explicit SlabWalk(const SeriesStore& store) : store_(store) {}
  Slab& At(SlotId slot) {
    Slab& wanted = store_.slab(slot);
    if (&wanted != slab_) {
      slab_ = &wanted;
      lock_ = {};  // Never two at once.
      lock_ = std::unique_lock(wanted.mutex);
    }
    return wanted;
  }

 private:
  const SeriesStore& store_;
  Slab* slab_ = nullptr;
  std::unique_lock<std::mutex> lock_;
};

}  // namespace

void AppendBatch::Clear() {
  floats.clear();
  float_slots.clear();
  histograms.clear();
  histogram_slots.clear();
  float_histograms.clear();
  float_histogram_slots.clear();
  metadata.clear();
  exemplars.clear();
}

struct HeadAppender::CommitCounts {
  int64_t floats = 0;
  int64_t histograms = 0;
  int64_t late_floats = 0;
  int64_t late_histograms = 0;
  int64_t min_ms = INT64_MAX;
  int64_t max_ms = INT64_MIN;

  void Appended(int64_t t) {
    min_ms = std::min(min_ms, t);
    max_ms = std::max(max_ms, t);
  }
};

HeadAppender::HeadAppender(Head* head)
    : head_(head), epoch_(head->OpenEpoch()), buffers_(head->TakeBuffers()) {
  head_->counters_.appenders_created.fetch_add(1, std::memory_order_relaxed);
  head_->counters_.active_appenders.fetch_add(1, std::memory_order_relaxed);
  if (head_->initialized()) Start(0);
}

HeadAppender::~HeadAppender() {
  if (closed_) return;
  if (const Status status = Rollback(); !status.ok()) {
    LOG_WARN("Rolling back an appender failed", {"err", status.message()});
  }
}

void HeadAppender::Start(int64_t first_ms) {
  started_ = true;
  if (!head_->initialized()) head_->NoteFirstTime(first_ms);
  bounds_ = head_->CurrentBounds();
  registered_bound_ = bounds_.min_valid_ms;
  const std::lock_guard lock(head_->epoch_mutex_);
  ++head_->open_bounds_[registered_bound_];
}

void HeadAppender::Close() {
  closed_ = true;
  if (started_) {
    const std::lock_guard lock(head_->epoch_mutex_);
    const auto bound = head_->open_bounds_.find(registered_bound_);
    if (--bound->second == 0) head_->open_bounds_.erase(bound);
  }
  head_->CloseEpoch(epoch_);
  head_->counters_.active_appenders.fetch_sub(1, std::memory_order_relaxed);
  head_->ReturnBuffers(std::move(buffers_));
}

AppendBatch& HeadAppender::NextBatch() {
  AppendBuffers& b = *buffers_;
  b.kinds.clear();
  if (b.batch_count == b.batches.size()) b.batches.emplace_back();
  return b.batches[b.batch_count++];
}

AppendBatch& HeadAppender::AnyBatch() {
  return buffers_->batch_count == 0 ? NextBatch() : buffers_->batches[buffers_->batch_count - 1];
}

AppendBatch& HeadAppender::BatchFor(SampleKind kind, uint64_t ref) {
  AppendBatch& last = AnyBatch();
  const auto known = buffers_->kinds.find(ref);
  if (known == buffers_->kinds.end()) {
    if (kind != SampleKind::kFloat) buffers_->kinds.emplace(ref, kind);
    return last;
  }
  if (known->second == kind) return last;
  AppendBatch& next = NextBatch();
  if (kind != SampleKind::kFloat) buffers_->kinds.emplace(ref, kind);
  return next;
}

void HeadAppender::NoteLateness(Verdict verdict, int64_t t) {
  if (verdict == Verdict::kInOrder || verdict == Verdict::kDuplicate) return;
  if (bounds_.head_max_ms > t) head_->counters_.ObserveLateness(bounds_.head_max_ms - t);
}

void HeadAppender::CountRefusal(Verdict verdict, bool histogram) {
  HeadCounters& c = head_->counters_;
  switch (verdict) {
    case Verdict::kOutOfOrder:
      (histogram ? c.out_of_order_histograms : c.out_of_order_floats)
          .fetch_add(1, std::memory_order_relaxed);
      break;
    case Verdict::kOutOfBounds:
      (histogram ? c.out_of_bound_histograms : c.out_of_bound_floats)
          .fetch_add(1, std::memory_order_relaxed);
      break;
    case Verdict::kTooOld:
      (histogram ? c.too_old_histograms : c.too_old_floats).fetch_add(1, std::memory_order_relaxed);
      break;
    default: break;
  }
}

Result<SeriesRef> HeadAppender::Append(SeriesRef ref, const Labels& labels, int64_t t, double value,
                                       const AppendOptions& options) {
  if (closed_) return ClosedError();
  if (!started_) Start(t);
  if (bounds_.out_of_order_window_ms == 0 && t < bounds_.min_valid_ms) {
    CountRefusal(Verdict::kOutOfBounds, false);
    return OutOfBounds();
  }
  NARTHEX_TRY(const Head::SeriesAt at, head_->Locate(ref, labels, epoch_));
  if (IsStaleNan(value) && !buffers_->kinds.empty()) {
    const auto kind = buffers_->kinds.find(at.ref);
    if (kind != buffers_->kinds.end()) {
      if (kind->second == SampleKind::kHistogram || kind->second == SampleKind::kCustomHistogram) {
        Histogram stale;
        stale.sum = value;
        return AppendHistogramOf(at.ref, labels, t, stale, options.start_timestamp_ms,
                                 options.discard_out_of_order);
      }
      FloatHistogram stale;
      stale.sum = value;
      return AppendHistogramOf(at.ref, labels, t, stale, options.start_timestamp_ms,
                               options.discard_out_of_order);
    }
  }
  {
    Slab& slab = head_->store_.slab(at.slot);
    const std::lock_guard lock(slab.mutex);
    const SeriesHot& hot = slab.hot[SeriesStore::IndexOf(at.slot)];
    Verdict verdict = JudgeFloat(hot, t, value, bounds_);
    NoteLateness(verdict, t);
    if (verdict == Verdict::kOutOfOrderAccepted && options.discard_out_of_order) {
      verdict = Verdict::kOutOfOrder;
    }
    if (!Accepted(verdict)) {
      CountRefusal(verdict, false);
      return RefusalOf(verdict, hot, t, &value);
    }
    if ((hot.flags & kLogged) == 0) buffers_->unlogged.emplace_back(at.ref, at.slot);
  }
  AppendBatch& batch = BatchFor(SampleKind::kFloat, at.ref);
  batch.floats.push_back({at.ref, t, options.start_timestamp_ms, value});
  batch.float_slots.push_back(at.slot);
  return at.ref;
}

void HeadAppender::AppendFloats(std::span<const RefSample> samples,
                                std::span<AppendOutcome> outcomes) {
  if (closed_ || samples.empty()) {
    std::fill(outcomes.begin(), outcomes.end(), AppendOutcome::kUnknownSeries);
    return;
  }
  if (!started_) Start(samples.front().timestamp_ms);
  if (!buffers_->kinds.empty()) {
    // Histograms came before in this commit: the kinds of each series must be watched.
    for (size_t i = 0; i < samples.size(); ++i) {
      const RefSample& s = samples[i];
      Head::SeriesAt at = head_->Find(s.ref, Labels(), epoch_);
      if (at.slot == kNoSeries) {
        outcomes[i] = AppendOutcome::kUnknownSeries;
        continue;
      }
      const Result<SeriesRef> result = Append(at.ref, Labels(), s.timestamp_ms, s.value, {});
      if (result.ok()) {
        outcomes[i] = AppendOutcome::kAccepted;
        continue;
      }
      switch (result.status().code()) {
        case ErrorCode::kOutOfOrderSample: outcomes[i] = AppendOutcome::kOutOfOrder; break;
        case ErrorCode::kOutOfBounds: outcomes[i] = AppendOutcome::kOutOfBounds; break;
        case ErrorCode::kTooOldSample: outcomes[i] = AppendOutcome::kTooOld; break;
        case ErrorCode::kDuplicateSample: outcomes[i] = AppendOutcome::kDuplicate; break;
        default: outcomes[i] = AppendOutcome::kUnknownSeries; break;
      }
    }
    return;
  }

  AppendBatch& batch = AnyBatch();
  batch.floats.reserve(batch.floats.size() + samples.size());
  batch.float_slots.reserve(batch.float_slots.size() + samples.size());
  const uint16_t epoch = static_cast<uint16_t>(epoch_);
  const std::shared_lock index_lock(head_->index_mutex_);
  SlabWalk walk(head_->store_);
  SeriesStore::RefCursor cursor(head_->store_);
  SlotId slots[kSamplesAhead];
  for (size_t begin = 0; begin < samples.size(); begin += kSamplesAhead) {
    const size_t end = std::min(samples.size(), begin + kSamplesAhead);
    for (size_t i = begin; i < end; ++i) {
      const SlotId slot = cursor.Find(samples[i].ref);
      slots[i - begin] = slot;
      if (slot != kNoSeries) {
        __builtin_prefetch(&head_->store_.slab(slot).hot[SeriesStore::IndexOf(slot)], 1);
      }
    }
    for (size_t i = begin; i < end; ++i) {
      const RefSample& s = samples[i];
      const SlotId slot = slots[i - begin];
      if (slot == kNoSeries) [[unlikely]] {
        outcomes[i] = AppendOutcome::kUnknownSeries;
        head_->counters_.series_not_found.fetch_add(1, std::memory_order_relaxed);
        continue;
      }
      Slab& slab = walk.At(slot);
      SeriesHot& hot = slab.hot[SeriesStore::IndexOf(slot)];
      const Verdict verdict = JudgeFloat(hot, s.timestamp_ms, s.value, bounds_);
      if (verdict != Verdict::kInOrder) [[unlikely]]
        NoteLateness(verdict, s.timestamp_ms);
      outcomes[i] = OutcomeOf(verdict);
      if (!Accepted(verdict)) [[unlikely]] {
        CountRefusal(verdict, false);
        continue;
      }
      // Commit writes there when the rest of the page has been judged.
      __builtin_prefetch(EndOfOpenChunk(head_->pool_, hot), 1);
      if (static_cast<int16_t>(epoch - hot.touch_epoch) > 0) hot.touch_epoch = epoch;
      if ((hot.flags & kLogged) == 0) [[unlikely]]
        buffers_->unlogged.emplace_back(s.ref, slot);
      batch.floats.push_back({s.ref, s.timestamp_ms, 0, s.value});
      batch.float_slots.push_back(slot);
    }
  }
}

template <typename H>
Result<SeriesRef> HeadAppender::AppendHistogramOf(SeriesRef ref, const Labels& labels, int64_t t,
                                                  const H& histogram, int64_t start_ms,
                                                  bool discard_out_of_order) {
  if (closed_) return ClosedError();
  if (!started_) Start(t);
  if (bounds_.out_of_order_window_ms == 0 && t < bounds_.min_valid_ms) {
    CountRefusal(Verdict::kOutOfBounds, true);
    return OutOfBounds();
  }
  NARTHEX_TRY(const Head::SeriesAt at, head_->Locate(ref, labels, epoch_));
  {
    Slab& slab = head_->store_.slab(at.slot);
    const std::lock_guard lock(slab.mutex);
    const uint16_t index = SeriesStore::IndexOf(at.slot);
    const SeriesHot& hot = slab.hot[index];
    Verdict verdict = JudgeHistogram(slab, index, t, histogram, bounds_);
    NoteLateness(verdict, t);
    if (verdict == Verdict::kOutOfOrderAccepted && discard_out_of_order) {
      verdict = Verdict::kOutOfOrder;
    }
    if (!Accepted(verdict)) {
      CountRefusal(verdict, true);
      return RefusalOf(verdict, hot, t, nullptr);
    }
    if ((hot.flags & kLogged) == 0) buffers_->unlogged.emplace_back(at.ref, at.slot);
  }
  AppendBatch& batch = BatchFor(KindOfHistogram(histogram), at.ref);
  if constexpr (kIsInteger<H>) {
    batch.histograms.push_back({at.ref, t, start_ms, histogram});
    batch.histogram_slots.push_back(at.slot);
  } else {
    batch.float_histograms.push_back({at.ref, t, start_ms, histogram});
    batch.float_histogram_slots.push_back(at.slot);
  }
  return at.ref;
}

Result<SeriesRef> HeadAppender::AppendHistogram(SeriesRef ref, const Labels& labels, int64_t t,
                                                const Histogram& histogram,
                                                const AppendOptions& options) {
  if (!IsStaleNan(histogram.sum)) NARTHEX_RETURN_IF_ERROR(histogram.Validate());
  return AppendHistogramOf(ref, labels, t, histogram, options.start_timestamp_ms,
                           options.discard_out_of_order);
}

Result<SeriesRef> HeadAppender::AppendFloatHistogram(SeriesRef ref, const Labels& labels, int64_t t,
                                                     const FloatHistogram& histogram,
                                                     const AppendOptions& options) {
  if (!IsStaleNan(histogram.sum)) NARTHEX_RETURN_IF_ERROR(histogram.Validate());
  return AppendHistogramOf(ref, labels, t, histogram, options.start_timestamp_ms,
                           options.discard_out_of_order);
}

Result<SeriesRef> HeadAppender::AppendStartZero(SeriesRef ref, const Labels& labels, int64_t t,
                                                int64_t start_ms, const FloatHistogram* like) {
  if (start_ms >= t) {
    return Status(ErrorCode::kInvalidInput,
                  "ST is newer or the same as sample's timestamp, ignoring");
  }
  const auto late = [](Status status) {
    if (!status.ok() && status.code() == ErrorCode::kOutOfOrderSample) {
      return Status(ErrorCode::kOutOfOrderSample, "start timestamp out of order, ignoring");
    }
    return status;
  };
  // Going out of order is refused even inside a window: after the first scrape the same start
  // timestamp comes again and again.
  const AppendOptions options{.discard_out_of_order = true};
  Result<SeriesRef> result = SeriesRef{0};
  if (like == nullptr) {
    result = Append(ref, labels, start_ms, 0, options);
  } else if (like->from_integer) {
    Histogram zero;
    zero.counter_reset_hint = CounterResetHint::kReset;
    zero.schema = like->schema;
    zero.zero_threshold = like->zero_threshold;
    zero.custom_values = like->custom_values;
    result = AppendHistogramOf(ref, labels, start_ms, zero, 0, true);
  } else {
    FloatHistogram zero;
    zero.counter_reset_hint = CounterResetHint::kReset;
    zero.schema = like->schema;
    zero.zero_threshold = like->zero_threshold;
    zero.custom_values = like->custom_values;
    result = AppendHistogramOf(ref, labels, start_ms, zero, 0, true);
  }
  if (!result.ok()) return late(std::move(result).status());
  return result;
}

Status HeadAppender::AppendExemplar(SeriesRef ref, const Labels& labels, const Exemplar& exemplar) {
  if (closed_) return ClosedError();
  if (!head_->exemplars_.enabled()) {
    return Status(ErrorCode::kExemplarsDisabled,
                  "exemplar storage is disabled or max exemplars is less than or equal to 0");
  }
  const Head::SeriesAt at = head_->Find(ref, labels, epoch_);
  if (at.slot == kNoSeries) {
    return MakeError(ErrorCode::kNotFound, "unknown HeadSeriesRef when trying to add exemplar: {}",
                     ref);
  }
  Labels series;
  {
    const std::shared_lock lock(head_->index_mutex_);
    series = head_->store_.LabelsOf(head_->index_, at.slot);
  }
  NARTHEX_RETURN_IF_ERROR(head_->exemplars_.Validate(series, exemplar));
  {
    Slab& slab = head_->store_.slab(at.slot);
    const std::lock_guard lock(slab.mutex);
    int64_t& newest =
        slab.exemplar_times.try_emplace(SeriesStore::IndexOf(at.slot), INT64_MIN).first->second;
    newest = std::max(newest, exemplar.timestamp_ms);
  }
  AnyBatch().exemplars.emplace_back(at.ref, exemplar);
  return {};
}

Status HeadAppender::UpdateMetadata(SeriesRef ref, const Labels& labels, const Metadata& metadata) {
  if (closed_) return ClosedError();
  const Head::SeriesAt at = head_->Find(ref, labels, epoch_);
  if (at.slot == kNoSeries) {
    return MakeError(
        ErrorCode::kNotFound,
        "unknown series when trying to add metadata with HeadSeriesRef: {} and labels: {}", ref,
        labels.ToString());
  }
  {
    const std::lock_guard lock(head_->metadata_mutex_);
    const auto known = head_->metadata_.find(at.ref);
    if (known != head_->metadata_.end() && known->second == metadata) return {};
  }
  AnyBatch().metadata.emplace_back(at.ref, metadata);
  return {};
}

// --- Commit
// ---------------------------------------------------------------------------------------

Status HeadAppender::WriteRecords(bool samples) {
  std::unique_lock<std::mutex> series_lock;
  if (!buffers_->unlogged.empty()) series_lock = std::unique_lock(head_->series_log_mutex_);
  EncodeRecords(samples);
  return Log();
}

void HeadAppender::EncodeRecords(bool samples) {
  AppendBuffers& b = *buffers_;
  b.records.clear();
  const SampleFormat format =
      head_->options_.start_timestamp_storage ? SampleFormat::kV2 : SampleFormat::kV1;
  const auto add = [&](auto encode) {
    std::string& record = b.records.emplace_back();
    encode(&record);
    if (record.empty()) b.records.pop_back();
  };
  if (!b.unlogged.empty()) {
    // Somebody else may have written the record since.
    std::erase_if(b.unlogged, [&](const auto& entry) {
      Slab& slab = head_->store_.slab(entry.second);
      const std::lock_guard lock(slab.mutex);
      return (slab.hot[SeriesStore::IndexOf(entry.second)].flags & kLogged) != 0;
    });
  }
  if (!b.unlogged.empty()) {
    std::sort(b.unlogged.begin(), b.unlogged.end());
    b.unlogged.erase(std::unique(b.unlogged.begin(), b.unlogged.end()), b.unlogged.end());
    add([&](std::string* record) {
      BeginSeriesRecord(record);
      std::vector<LabelView> views;
      const std::shared_lock lock(head_->index_mutex_);
      for (const auto& [ref, slot] : b.unlogged) {
        views.clear();
        for (const PairId pair : head_->store_.PairsOf(slot)) {
          views.push_back(head_->index_.View(pair));
        }
        AddSeries(ref, views, record);
      }
    });
  }
  if (!samples) return;
  for (size_t i = 0; i < b.batch_count; ++i) {
    const AppendBatch& batch = b.batches[i];
    if (!batch.metadata.empty()) {
      std::vector<WalMetadata> metadata;
      for (const auto& [ref, m] : batch.metadata) {
        metadata.push_back({ref, m.type, m.unit, m.help});
      }
      add([&](std::string* record) { EncodeMetadata(metadata, record); });
    }
    if (!batch.floats.empty()) {
      add([&](std::string* record) { EncodeSamples(batch.floats, format, record); });
    }
    if (!batch.histograms.empty()) {
      add([&](std::string* r) { EncodeHistogramSamples(batch.histograms, format, r); });
      if (format == SampleFormat::kV1) {
        add([&](std::string* r) { EncodeCustomBucketsSamples(batch.histograms, r); });
      }
    }
    if (!batch.float_histograms.empty()) {
      add([&](std::string* r) { EncodeHistogramSamples(batch.float_histograms, format, r); });
      if (format == SampleFormat::kV1) {
        add([&](std::string* r) { EncodeCustomBucketsSamples(batch.float_histograms, r); });
      }
    }
    if (!batch.exemplars.empty()) {
      std::vector<std::string> labels(batch.exemplars.size());
      std::vector<WalExemplar> exemplars;
      for (size_t j = 0; j < batch.exemplars.size(); ++j) {
        const auto& [ref, e] = batch.exemplars[j];
        AppendWalLabels(e.labels, &labels[j]);
        exemplars.push_back({ref, e.timestamp_ms, e.value, labels[j]});
      }
      add([&](std::string* record) { EncodeExemplars(exemplars, record); });
    }
  }
}

Status HeadAppender::Log() {
  AppendBuffers& b = *buffers_;
  if (head_->options_.wal != nullptr && !b.records.empty()) {
    const std::vector<std::string_view> views(b.records.begin(), b.records.end());
    NARTHEX_RETURN_IF_ERROR(head_->options_.wal->Log(views).WithPrefix("write to WAL: "));
  }
  for (const auto& [ref, slot] : b.unlogged) {
    Slab& slab = head_->store_.slab(slot);
    const std::lock_guard lock(slab.mutex);
    slab.hot[SeriesStore::IndexOf(slot)].flags |= kLogged;
  }
  if (head_->options_.on_wal_write && !b.records.empty()) head_->options_.on_wal_write();
  return {};
}

template <typename S>
bool HeadAppender::ApplyLate(const S& sample, Slab& slab, uint16_t index, WblBatch& wbl) {
  OutOfOrderSample late;
  late.timestamp_ms = sample.timestamp_ms;
  late.start_ms = sample.start_ms;
  if constexpr (std::is_same_v<S, WalSample>) {
    late.value = sample.value;
  } else if constexpr (std::is_same_v<S, WalHistogram>) {
    late.histogram = std::make_shared<const Histogram>(sample.histogram);
  } else {
    late.float_histogram = std::make_shared<const FloatHistogram>(sample.histogram);
  }
  const Result<bool> inserted = head_->AppendLate(slab, index, sample.ref, std::move(late), &wbl);
  if (!inserted.ok()) {
    LOG_ERROR("Failed to write out-of-order samples to a chunk file",
              {"err", inserted.status().message()});
    if (late_error_.ok()) late_error_ = inserted.status();
    return false;
  }
  if (*inserted) wbl.Add(sample);
  return *inserted;
}

void HeadAppender::ApplyFloats(AppendBatch& batch, SeriesAppender& appender, CommitCounts& counts,
                               WblBatch& wbl) {
  SlabWalk walk(head_->store_);
  for (size_t i = 0; i < batch.floats.size(); ++i) {
    const WalSample& s = batch.floats[i];
    const SlotId slot = batch.float_slots[i];
    Slab& slab = walk.At(slot);
    const uint16_t index = SeriesStore::IndexOf(slot);
    SeriesHot& hot = slab.hot[index];
    if (IsStaleNan(s.value) && (hot.flags & kHistogramLast)) [[unlikely]] {
      // A histogram series goes stale with a histogram. It joins the histograms of this batch,
      // which has no other one of this series.
      const HistogramSeries& series = *slab.histograms.find(index)->second;
      if (series.last_integer != nullptr) {
        WalHistogram& stale = batch.histograms.emplace_back();
        stale.ref = s.ref;
        stale.timestamp_ms = s.timestamp_ms;
        stale.start_ms = s.start_ms;
        stale.histogram.sum = s.value;
        batch.histogram_slots.push_back(slot);
      } else {
        WalFloatHistogram& stale = batch.float_histograms.emplace_back();
        stale.ref = s.ref;
        stale.timestamp_ms = s.timestamp_ms;
        stale.start_ms = s.start_ms;
        stale.histogram.sum = s.value;
        batch.float_histogram_slots.push_back(slot);
      }
      continue;
    }
    const Verdict verdict = JudgeFloat(hot, s.timestamp_ms, s.value, bounds_);
    if (verdict == Verdict::kInOrder) [[likely]] {
      if (appender.AppendFloat(slab, index, s.ref, s.start_ms, s.timestamp_ms, s.value)) {
        ++counts.floats;
        counts.Appended(s.timestamp_ms);
      }
    } else if (verdict == Verdict::kOutOfOrderAccepted) {
      if (ApplyLate(s, slab, index, wbl)) ++counts.late_floats;
    } else {
      CountRefusal(verdict, false);
    }
  }
}

template <typename H>
void HeadAppender::ApplyHistograms(const std::vector<WalHistogramOf<H>>& samples,
                                   const std::vector<SlotId>& slots, SeriesAppender& appender,
                                   CommitCounts& counts, WblBatch& wbl) {
  SlabWalk walk(head_->store_);
  for (size_t i = 0; i < samples.size(); ++i) {
    const WalHistogramOf<H>& s = samples[i];
    Slab& slab = walk.At(slots[i]);
    const uint16_t index = SeriesStore::IndexOf(slots[i]);
    const Verdict verdict = JudgeHistogram(slab, index, s.timestamp_ms, s.histogram, bounds_);
    if (verdict == Verdict::kOutOfOrderAccepted) {
      if (ApplyLate(s, slab, index, wbl)) ++counts.late_histograms;
      continue;
    }
    if (verdict != Verdict::kInOrder) {
      CountRefusal(verdict, true);
      continue;
    }
    if (appender.AppendHistogram(slab, index, s.ref, s.start_ms, s.timestamp_ms, s.histogram)) {
      ++counts.histograms;
      counts.Appended(s.timestamp_ms);
    } else {
      CountRefusal(Verdict::kOutOfOrder, true);
    }
  }
}

void HeadAppender::ApplyExemplars(const AppendBatch& batch) {
  for (const auto& [ref, exemplar] : batch.exemplars) {
    Labels series;
    {
      const std::shared_lock lock(head_->index_mutex_);
      const SlotId slot = head_->store_.FindRef(ref);
      if (slot == kNoSeries) continue;
      series = head_->store_.LabelsOf(head_->index_, slot);
    }
    // Refusals are counted by the store; the sample itself is in.
    static_cast<void>(head_->exemplars_.Add(series, exemplar));
  }
}

void HeadAppender::ApplyMetadata(const AppendBatch& batch) {
  if (batch.metadata.empty()) return;
  const std::lock_guard lock(head_->metadata_mutex_);
  for (const auto& [ref, metadata] : batch.metadata) head_->metadata_[ref] = metadata;
}

Status HeadAppender::Commit() {
  if (closed_) return ClosedError();
  AppendBuffers& b = *buffers_;
  if (Status status = WriteRecords(/*samples=*/true); !status.ok()) {
    Close();
    return status;
  }
  for (size_t i = 0; i < b.batch_count; ++i) ApplyExemplars(b.batches[i]);

  CommitCounts counts;
  const Isolation::Commit commit = head_->isolation_.BeginCommit();
  SeriesAppender appender(&head_->pool_, head_->rules(), commit);
  WblBatch wbl(head_->options_.start_timestamp_storage ? SampleFormat::kV2 : SampleFormat::kV1);
  for (size_t i = 0; i < b.batch_count; ++i) {
    AppendBatch& batch = b.batches[i];
    // The order matters: stale markers of histogram series move from the floats to the others.
    ApplyFloats(batch, appender, counts, wbl);
    ApplyHistograms(batch.histograms, batch.histogram_slots, appender, counts, wbl);
    ApplyHistograms(batch.float_histograms, batch.float_histogram_slots, appender, counts, wbl);
    ApplyMetadata(batch);
  }
  if (counts.min_ms <= counts.max_ms) head_->WidenTimes(counts.min_ms, counts.max_ms);
  head_->isolation_.EndCommit(commit.id);
  Status late = head_->LogLate(wbl.Take());
  if (!late.ok()) {
    // The samples are in memory and stay there; they are logged with what comes next. But nobody
    // may rely on them yet, so the commit says that it failed.
    LOG_ERROR("Failed to log out of order samples into the WAL", {"err", late.message()});
  }
  if (late.ok()) late = std::exchange(late_error_, {});

  HeadCounters& c = head_->counters_;
  c.floats_appended.fetch_add(static_cast<uint64_t>(counts.floats), std::memory_order_relaxed);
  c.histograms_appended.fetch_add(static_cast<uint64_t>(counts.histograms),
                                  std::memory_order_relaxed);
  c.late_floats_appended.fetch_add(static_cast<uint64_t>(counts.late_floats),
                                   std::memory_order_relaxed);
  c.late_histograms_appended.fetch_add(static_cast<uint64_t>(counts.late_histograms),
                                       std::memory_order_relaxed);
  head_->AddTally(appender.tally());
  Close();
  if (head_->options_.on_compactable && head_->compactable() &&
      !head_->compactable_told_.exchange(true, std::memory_order_relaxed)) {
    head_->options_.on_compactable();
  }
  return late.WithPrefix("write to WBL: ");
}

Status HeadAppender::Rollback() {
  if (closed_) return ClosedError();
  // New series exist from the moment they were appended to, so their records are written anyway.
  Status status = WriteRecords(/*samples=*/false);
  Close();
  return status;
}

}  // namespace narthex::tsdb
