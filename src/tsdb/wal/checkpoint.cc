#include "tsdb/wal/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

namespace narthex::tsdb {
namespace {

constexpr std::string_view kPrefix = "checkpoint.";
constexpr std::string_view kTemporarySuffix = ".tmp";
// Records are handed to the log in batches of about this size.
constexpr size_t kFlushBytes = 1024 * 1024;
// Bounds the size of one metadata record, as upstream does.
constexpr size_t kMetadataBatch = 1000;

Result<std::vector<CheckpointInfo>> ListCheckpoints(FileSystem& files,
                                                    const std::string& wal_directory) {
  std::vector<CheckpointInfo> checkpoints;
  auto listed = files.List(wal_directory);
  if (!listed.ok()) {
    if (listed.status().code() == ErrorCode::kNotFound) return checkpoints;
    return std::move(listed).status();
  }
  for (const FileInfo& info : *listed) {
    if (!info.name.starts_with(kPrefix)) continue;
    if (!info.is_directory) {
      return MakeError(ErrorCode::kCorruption, "checkpoint {} is not a directory", info.name);
    }
    const std::string_view number = std::string_view(info.name).substr(kPrefix.size());
    int index = 0;
    const auto parsed = std::from_chars(number.data(), number.data() + number.size(), index);
    if (parsed.ec != std::errc() || parsed.ptr != number.data() + number.size()) continue;
    checkpoints.push_back({JoinPath(wal_directory, info.name), index});
  }
  std::ranges::sort(checkpoints, {}, &CheckpointInfo::index);
  return checkpoints;
}

// Filters records and hands what remains to the checkpoint's log.
class CheckpointWriter {
 public:
  CheckpointWriter(Wal& log, const CheckpointOptions& options) : log_(log), options_(options) {}

  Status Add(std::string_view record);
  Status Finish();
  const CheckpointStats& stats() const { return stats_; }

 private:
  Status AddSeriesRecord(std::string_view record);
  Status AddSamples(std::string_view record);
  template <typename H>
  Status AddHistograms(std::string_view record);
  Status AddTombstones(std::string_view record);
  Status AddExemplars(std::string_view record);
  Status CollectMetadata(std::string_view record);
  // Takes `scratch_` as one record if there is anything in it.
  void Emit() {
    if (scratch_.empty()) return;
    buffered_bytes_ += scratch_.size();
    records_.push_back(std::move(scratch_));
    scratch_.clear();
  }
  Status Flush();

  struct Metadata {
    MetricType type;
    std::string unit;
    std::string help;
  };

  Wal& log_;
  const CheckpointOptions& options_;
  CheckpointStats stats_;
  std::string scratch_;
  std::vector<std::string> records_;
  size_t buffered_bytes_ = 0;
  std::map<uint64_t, Metadata> latest_metadata_;
  std::vector<WalSeries> series_;
  std::vector<WalSample> samples_;
  std::vector<WalTombstone> tombstones_;
  std::vector<WalExemplar> exemplars_;
  std::vector<WalMetadata> metadata_;
};

Status CheckpointWriter::Flush() {
  const std::vector<std::string_view> views(records_.begin(), records_.end());
  NARTHEX_RETURN_IF_ERROR(log_.Log(views).WithPrefix("flush records: "));
  records_.clear();
  buffered_bytes_ = 0;
  return {};
}

Status CheckpointWriter::Add(std::string_view record) {
  switch (TypeOfRecord(record)) {
    case RecordType::kSeries:
      NARTHEX_RETURN_IF_ERROR(AddSeriesRecord(record).WithPrefix("decode series: "));
      break;
    case RecordType::kSamples:
    case RecordType::kSamplesV2:
      NARTHEX_RETURN_IF_ERROR(AddSamples(record).WithPrefix("decode samples: "));
      break;
    case RecordType::kHistogramSamples:
    case RecordType::kHistogramSamplesV2:
    case RecordType::kCustomBucketsHistogramSamples:
      NARTHEX_RETURN_IF_ERROR(
          AddHistograms<Histogram>(record).WithPrefix("decode histogram samples: "));
      break;
    case RecordType::kFloatHistogramSamples:
    case RecordType::kFloatHistogramSamplesV2:
    case RecordType::kCustomBucketsFloatHistogramSamples:
      NARTHEX_RETURN_IF_ERROR(
          AddHistograms<FloatHistogram>(record).WithPrefix("decode float histogram samples: "));
      break;
    case RecordType::kTombstones:
      NARTHEX_RETURN_IF_ERROR(AddTombstones(record).WithPrefix("decode deletes: "));
      break;
    case RecordType::kExemplars:
      NARTHEX_RETURN_IF_ERROR(AddExemplars(record).WithPrefix("decode exemplars: "));
      break;
    case RecordType::kMetadata:
      NARTHEX_RETURN_IF_ERROR(CollectMetadata(record).WithPrefix("decode metadata: "));
      break;
    case RecordType::kMmapMarkers:
    case RecordType::kMinValidTime:  // Folded into the one written at the start.
    case RecordType::kUnknown: return {};
  }
  return buffered_bytes_ > kFlushBytes ? Flush() : Status();
}

Status CheckpointWriter::AddSeriesRecord(std::string_view record) {
  series_.clear();
  NARTHEX_RETURN_IF_ERROR(DecodeSeries(record, &series_));
  for (const WalSeries& series : series_) {
    ++stats_.series;
    if (!options_.keep(series.ref)) {
      ++stats_.series_dropped;
      continue;
    }
    if (scratch_.empty()) BeginSeriesRecord(&scratch_);
    AddSeries(series, &scratch_);
  }
  Emit();
  return {};
}

Status CheckpointWriter::AddSamples(std::string_view record) {
  samples_.clear();
  NARTHEX_RETURN_IF_ERROR(DecodeSamples(record, &samples_));
  stats_.samples += samples_.size();
  stats_.samples_dropped +=
      std::erase_if(samples_, [&](const WalSample& s) { return s.timestamp_ms < options_.min_ms; });
  if (!samples_.empty()) EncodeSamples(samples_, options_.format, &scratch_);
  Emit();
  return {};
}

template <typename H>
Status CheckpointWriter::AddHistograms(std::string_view record) {
  std::vector<WalHistogramOf<H>> histograms;
  NARTHEX_RETURN_IF_ERROR(DecodeHistogramSamples(record, &histograms));
  stats_.samples += histograms.size();
  stats_.samples_dropped +=
      std::erase_if(histograms, [&](const auto& h) { return h.timestamp_ms < options_.min_ms; });
  if (histograms.empty()) return {};
  EncodeHistogramSamples(histograms, options_.format, &scratch_);
  Emit();
  if (options_.format == SampleFormat::kV1) {
    EncodeCustomBucketsSamples(histograms, &scratch_);
    Emit();
  }
  return {};
}

Status CheckpointWriter::AddTombstones(std::string_view record) {
  tombstones_.clear();
  NARTHEX_RETURN_IF_ERROR(DecodeTombstones(record, &tombstones_));
  stats_.tombstones += tombstones_.size();
  stats_.tombstones_dropped += std::erase_if(tombstones_, [&](const WalTombstone& t) {
    return !options_.keep(t.ref) || t.max_ms < options_.min_ms;
  });
  if (!tombstones_.empty()) EncodeTombstones(tombstones_, &scratch_);
  Emit();
  return {};
}

Status CheckpointWriter::AddExemplars(std::string_view record) {
  exemplars_.clear();
  NARTHEX_RETURN_IF_ERROR(DecodeExemplars(record, &exemplars_));
  stats_.exemplars += exemplars_.size();
  stats_.exemplars_dropped += std::erase_if(
      exemplars_, [&](const WalExemplar& e) { return e.timestamp_ms < options_.min_ms; });
  if (!exemplars_.empty()) EncodeExemplars(exemplars_, &scratch_);
  Emit();
  return {};
}

Status CheckpointWriter::CollectMetadata(std::string_view record) {
  metadata_.clear();
  NARTHEX_RETURN_IF_ERROR(DecodeMetadata(record, &metadata_));
  for (const WalMetadata& entry : metadata_) {
    ++stats_.metadata;
    if (!options_.keep(entry.ref)) {
      ++stats_.metadata_dropped;
      continue;
    }
    const auto [at, is_new] = latest_metadata_.insert_or_assign(
        entry.ref, Metadata{entry.type, std::string(entry.unit), std::string(entry.help)});
    if (!is_new) ++stats_.metadata_dropped;
  }
  return {};
}

Status CheckpointWriter::Finish() {
  metadata_.clear();
  size_t left = latest_metadata_.size();
  for (const auto& [ref, entry] : latest_metadata_) {
    metadata_.push_back({ref, entry.type, entry.unit, entry.help});
    if (--left == 0 || metadata_.size() == kMetadataBatch) {
      EncodeMetadata(metadata_, &scratch_);
      metadata_.clear();
      Emit();
      if (buffered_bytes_ > kFlushBytes) NARTHEX_RETURN_IF_ERROR(Flush());
    }
  }
  return Flush();
}

Status WriteCheckpoint(FileSystem& files, const Wal& wal, const CheckpointOptions& options,
                       const std::string& temporary, std::vector<WalSegment> segments,
                       std::optional<int64_t> previous_min_valid, CheckpointStats* stats) {
  NARTHEX_TRY(std::unique_ptr<Wal> log,
              Wal::Open(files, temporary, {.compression = wal.compression()}));
  if (options.write_min_valid_time) {
    // A restart may ask for an earlier truncation than the run before did; the bound never falls.
    std::string record;
    EncodeMinValidTime(std::max(options.min_ms, previous_min_valid.value_or(options.min_ms)),
                       &record);
    NARTHEX_RETURN_IF_ERROR(log->Log(record).WithPrefix("write min valid time record: "));
  }
  CheckpointWriter writer(*log, options);
  WalReader reader(files, std::move(segments));
  while (reader.Next()) NARTHEX_RETURN_IF_ERROR(writer.Add(reader.record()));
  NARTHEX_RETURN_IF_ERROR(reader.status().WithPrefix("read segments: "));
  NARTHEX_RETURN_IF_ERROR(writer.Finish());
  NARTHEX_RETURN_IF_ERROR(log->Close().WithPrefix("close checkpoint: "));
  *stats = writer.stats();
  return files.SyncDirectory(temporary).WithPrefix("sync temporary checkpoint directory: ");
}

}  // namespace

std::string CheckpointPath(const std::string& wal_directory, int index) {
  return JoinPath(wal_directory, fmt::format("{}{:08}", kPrefix, index));
}

Result<std::optional<CheckpointInfo>> FindLastCheckpoint(FileSystem& files,
                                                         const std::string& wal_directory) {
  NARTHEX_TRY(const std::vector<CheckpointInfo> checkpoints, ListCheckpoints(files, wal_directory));
  if (checkpoints.empty()) return std::optional<CheckpointInfo>();
  return std::optional<CheckpointInfo>(checkpoints.back());
}

Status DeleteCheckpoints(FileSystem& files, const std::string& wal_directory, int index) {
  NARTHEX_TRY(const std::vector<CheckpointInfo> checkpoints, ListCheckpoints(files, wal_directory));
  Status first_error;
  for (const CheckpointInfo& checkpoint : checkpoints) {
    if (checkpoint.index >= index) break;
    Status status = files.RemoveAll(checkpoint.path);
    if (!status.ok() && first_error.ok()) first_error = std::move(status);
  }
  return first_error;
}

Status DeleteTemporaryCheckpoints(FileSystem& files, const std::string& wal_directory) {
  NARTHEX_TRY(const std::vector<FileInfo> infos, files.List(wal_directory));
  for (const FileInfo& info : infos) {
    if (info.is_directory && info.name.starts_with(kPrefix) &&
        info.name.ends_with(kTemporarySuffix)) {
      NARTHEX_RETURN_IF_ERROR(files.RemoveAll(JoinPath(wal_directory, info.name))
                                  .WithPrefix("remove previous temporary checkpoint dirs: "));
    }
  }
  return {};
}

Result<std::optional<int64_t>> ReadCheckpointMinValidTime(FileSystem& files,
                                                          const std::string& wal_directory) {
  std::optional<int64_t> min_ms;
  NARTHEX_TRY(const std::optional<CheckpointInfo> last, FindLastCheckpoint(files, wal_directory));
  if (!last) return min_ms;
  NARTHEX_TRY(WalReader reader, OpenWalReader(files, last->path));
  if (!reader.Next()) {
    if (!reader.status().ok()) return reader.status();
    return min_ms;
  }
  if (TypeOfRecord(reader.record()) != RecordType::kMinValidTime) return min_ms;
  auto decoded = DecodeMinValidTime(reader.record());
  if (!decoded.ok()) return decoded.status().WithPrefix("decode min valid time: ");
  min_ms = *decoded;
  return min_ms;
}

Result<CheckpointStats> CreateCheckpoint(FileSystem& files, const Wal& wal,
                                         const CheckpointOptions& options) {
  const std::string& directory = wal.directory();
  NARTHEX_TRY(const std::optional<CheckpointInfo> last, FindLastCheckpoint(files, directory));
  int first = options.first_segment;
  std::vector<WalSegment> segments;
  std::optional<int64_t> previous_min_valid;
  if (last) {
    if (first > last->index + 1) {
      return MakeError(ErrorCode::kInternal,
                       "unexpected gap to last checkpoint. expected:{}, requested:{}",
                       last->index + 1, first);
    }
    first = last->index + 1;
    NARTHEX_TRY(segments, ListWalSegments(files, last->path));
    if (options.write_min_valid_time) {
      NARTHEX_TRY(previous_min_valid, ReadCheckpointMinValidTime(files, directory));
    }
  }
  NARTHEX_TRY(const std::vector<WalSegment> own, ListWalSegments(files, directory));
  for (const WalSegment& segment : own) {
    if (segment.index >= first && segment.index <= options.last_segment) {
      segments.push_back(segment);
    }
  }

  NARTHEX_RETURN_IF_ERROR(DeleteTemporaryCheckpoints(files, directory));
  const std::string final_path = CheckpointPath(directory, options.last_segment);
  const std::string temporary = final_path + std::string(kTemporarySuffix);
  CheckpointStats stats;
  Status status = WriteCheckpoint(files, wal, options, temporary, std::move(segments),
                                  previous_min_valid, &stats);
  if (status.ok()) status = files.RemoveAll(final_path);
  if (status.ok()) status = files.Rename(temporary, final_path);
  if (status.ok()) status = files.SyncDirectory(directory);
  if (!status.ok()) {
    (void)files.RemoveAll(temporary);  // The first error is the one to tell.
    return status;
  }
  return stats;
}

}  // namespace narthex::tsdb
