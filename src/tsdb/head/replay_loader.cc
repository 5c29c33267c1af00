#include "tsdb/head/replay_loader.h"

#include <utility>

#include "util/hash.h"

namespace narthex::tsdb {
namespace {

constexpr size_t kBatchBytes = 256 << 10;
constexpr size_t kBatchRecords = 512;
constexpr size_t kBatchesQueued = 8;
constexpr size_t kQueuedBytesMax = 32 << 20;
// The memory of a batch with a giant record is not kept.
constexpr size_t kSpareBytesMax = 4 << 20;
// Both encodings of a label set write a length below this as one byte.
constexpr uint8_t kPlainLengthEnd = 0x80;

}  // namespace

LoadedSeries LoadSeries(const WalSeries& series) {
  LoadedSeries loaded{series.ref, series.labels, 0, false};
  // The decoder has checked the lengths.
  const auto* at = reinterpret_cast<const uint8_t*>(series.labels.data());
  const auto* const end = at + series.labels.size();
  if (at == end || *at >= kPlainLengthEnd) return loaded;
  std::string_view before;
  for (unsigned left = *at++; left > 0; --left) {
    const uint8_t name_size = *at;
    if (name_size == 0 || name_size >= kPlainLengthEnd) return loaded;
    const std::string_view name(reinterpret_cast<const char*>(at + 1), name_size);
    at += 1 + name_size;
    const uint8_t value_size = *at;
    if (value_size == 0 || value_size >= kPlainLengthEnd) return loaded;
    at += 1 + value_size;
    if (!(before < name)) return loaded;
    before = name;
  }
  loaded.hash = XxHash64(series.labels.substr(1));
  loaded.plain = true;
  return loaded;
}

ReplayLoader::ReplayLoader(WalReader* reader, Records records)
    : reader_(reader), records_(records), thread_([this] { Run(); }) {}

ReplayLoader::~ReplayLoader() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void ReplayLoader::LoadSnapshotRecord(LoadedRecord* record) {
  record->type = RecordType::kUnknown;
  record->series.clear();
  if (record->bytes.empty()) {
    record->status = Status(ErrorCode::kCorruption, "empty snapshot record");
    return;
  }
  const auto type = static_cast<uint8_t>(record->bytes[0]);
  switch (static_cast<SnapshotRecordType>(type)) {
    case SnapshotRecordType::kSeries:
      record->status = DecodeSnapshotSeries(record->bytes, &record->snapshot)
                           .WithPrefix("decode series record: ");
      if (record->status.ok()) {
        record->series.push_back(LoadSeries({record->snapshot.ref, record->snapshot.labels}));
      }
      break;
    case SnapshotRecordType::kTombstones:
    case SnapshotRecordType::kExemplars: break;
    default:
      record->status = MakeError(ErrorCode::kCorruption, "unsupported snapshot record type 0b{:b}",
                                 unsigned{type});
  }
}

void ReplayLoader::Load(LoadedRecord* record) {
  if (reader_->segment() != segment_) {
    segment_ = reader_->segment();
    offset_ = 0;
  }
  record->segment = segment_;
  record->begin_offset = offset_;
  offset_ = reader_->offset();
  record->bytes = reader_->TakeRecord(&record->buffer);
  record->status = {};
  record->skipped_schemas = 0;
  if (records_ == Records::kSnapshot) return LoadSnapshotRecord(record);
  record->type = TypeOfRecord(record->bytes);
  switch (record->type) {
    case RecordType::kSeries:
      series_.clear();
      record->series.clear();
      record->status = DecodeSeries(record->bytes, &series_).WithPrefix("decode series: ");
      record->series.reserve(series_.size());
      for (const WalSeries& series : series_) record->series.push_back(LoadSeries(series));
      break;
    case RecordType::kSamples:
    case RecordType::kSamplesV2:
      record->samples.clear();
      record->status =
          DecodeSamples(record->bytes, &record->samples).WithPrefix("decode samples: ");
      break;
    case RecordType::kHistogramSamples:
    case RecordType::kCustomBucketsHistogramSamples:
    case RecordType::kHistogramSamplesV2:
      record->histograms.clear();
      record->status =
          DecodeHistogramSamples(record->bytes, &record->histograms, &record->skipped_schemas)
              .WithPrefix("decode histograms: ");
      break;
    case RecordType::kFloatHistogramSamples:
    case RecordType::kCustomBucketsFloatHistogramSamples:
    case RecordType::kFloatHistogramSamplesV2:
      record->float_histograms.clear();
      record->status =
          DecodeHistogramSamples(record->bytes, &record->float_histograms, &record->skipped_schemas)
              .WithPrefix("decode float histograms: ");
      break;
    default: break;
  }
}

// False: nobody wants more.
bool ReplayLoader::Hand(std::unique_ptr<Batch> batch) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] {
    return stopping_ || queue_.empty() ||
           (queue_.size() < kBatchesQueued && queued_bytes_ < kQueuedBytesMax);
  });
  if (stopping_) return false;
  queued_bytes_ += batch->bytes;
  queue_.push_back(std::move(batch));
  lock.unlock();
  changed_.notify_all();
  return true;
}

void ReplayLoader::Run() {
  for (bool more = true; more;) {
    std::unique_ptr<Batch> batch;
    {
      const std::lock_guard lock(mutex_);
      if (!spare_.empty()) {
        batch = std::move(spare_.back());
        spare_.pop_back();
      }
    }
    if (batch == nullptr) batch = std::make_unique<Batch>();
    batch->count = 0;
    size_t bytes = 0;
    while (bytes < kBatchBytes && batch->count < kBatchRecords) {
      more = reader_->Next();
      if (!more) break;
      if (batch->count == batch->records.size()) {
        batch->records.push_back(std::make_unique<LoadedRecord>());
      }
      LoadedRecord* const record = batch->records[batch->count++].get();
      Load(record);
      bytes += record->bytes.size();
      if (!record->status.ok()) more = false;
      if (!more) break;
    }
    batch->bytes = bytes;
    if (!Hand(std::move(batch))) return;
  }
  {
    const std::lock_guard lock(mutex_);
    done_ = true;
  }
  changed_.notify_all();
}

LoadedRecord* ReplayLoader::Next() {
  while (current_ == nullptr || next_ == current_->count) {
    std::unique_lock lock(mutex_);
    if (current_ != nullptr && current_->bytes < kSpareBytesMax) {
      spare_.push_back(std::move(current_));
    }
    current_.reset();
    changed_.notify_all();
    changed_.wait(lock, [&] { return done_ || !queue_.empty(); });
    if (queue_.empty()) return nullptr;
    current_ = std::move(queue_.front());
    queue_.pop_front();
    queued_bytes_ -= current_->bytes;
    next_ = 0;
    lock.unlock();
    changed_.notify_all();
  }
  return current_->records[next_++].get();
}

}  // namespace narthex::tsdb
