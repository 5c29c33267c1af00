// The logs and the head's chunk files.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

#include "tsdb/chunks/head_chunk_files.h"
#include "tsdb/db/verify_internal.h"
#include "tsdb/wal/checkpoint.h"
#include "tsdb/wal/records.h"
#include "tsdb/wal/wal.h"
#include "util/bytes.h"
#include "util/hash_map.h"

namespace narthex::tsdb {
namespace {

constexpr TimeRange kAllTime{INT64_MIN, INT64_MAX};

// Decodes records and remembers which references were explained.
class RecordVerifier {
 public:
  explicit RecordVerifier(VerifyReport* report) : report_(*report) {}

  Status Check(std::string_view record) {
    ++report_.records;
    switch (TypeOfRecord(record)) {
      case RecordType::kSeries: return Series(record);
      case RecordType::kSamples:
      case RecordType::kSamplesV2: return Samples<WalSample>(record, DecodeSamples);
      case RecordType::kHistogramSamples:
      case RecordType::kHistogramSamplesV2:
      case RecordType::kCustomBucketsHistogramSamples: return Histograms<WalHistogram>(record);
      case RecordType::kFloatHistogramSamples:
      case RecordType::kFloatHistogramSamplesV2:
      case RecordType::kCustomBucketsFloatHistogramSamples:
        return Histograms<WalFloatHistogram>(record);
      case RecordType::kTombstones: return Others<WalTombstone>(record, DecodeTombstones);
      case RecordType::kExemplars: return Others<WalExemplar>(record, DecodeExemplars);
      case RecordType::kMetadata: return Others<WalMetadata>(record, DecodeMetadata);
      case RecordType::kMmapMarkers: return Others<WalMmapMarker>(record, DecodeMmapMarkers);
      case RecordType::kMinValidTime: return DecodeMinValidTime(record).status();
      case RecordType::kUnknown: ++unknown_records_; return {};
    }
    return {};
  }

  // Since the last call.
  void TellCounts(Findings& findings) {
    if (unknown_refs_ > 0) {
      findings.Warning(fmt::format("{} samples of series that no record explains", unknown_refs_));
    }
    if (unknown_records_ > 0) {
      findings.Warning(fmt::format("{} records of an unknown type", unknown_records_));
    }
    unknown_refs_ = unknown_records_ = 0;
  }
  const HashSet<uint64_t>& refs() const { return refs_; }

 private:
  Status Series(std::string_view record) {
    std::vector<WalSeries> series;
    NARTHEX_RETURN_IF_ERROR(DecodeSeries(record, &series));
    for (const WalSeries& s : series) refs_.insert(s.ref);
    return {};
  }
  template <typename S, typename Decode>
  Status Samples(std::string_view record, Decode decode) {
    std::vector<S> samples;
    NARTHEX_RETURN_IF_ERROR(decode(record, &samples));
    Count(samples);
    return {};
  }
  template <typename S>
  Status Histograms(std::string_view record) {
    std::vector<S> samples;
    NARTHEX_RETURN_IF_ERROR(DecodeHistogramSamples(record, &samples));
    Count(samples);
    return {};
  }
  template <typename S>
  void Count(const std::vector<S>& samples) {
    report_.log_samples += samples.size();
    for (const S& s : samples) unknown_refs_ += refs_.contains(s.ref) ? 0 : 1;
  }
  template <typename T, typename Decode>
  Status Others(std::string_view record, Decode decode) {
    std::vector<T> entries;
    return decode(record, &entries);
  }

  VerifyReport& report_;
  HashSet<uint64_t> refs_;
  uint64_t unknown_refs_ = 0;
  uint64_t unknown_records_ = 0;
};

// Reads the segments of a folder; `newest_may_be_torn`: a crash of the server ends like that.
void VerifySegments(FileSystem& files, const std::string& folder, const std::string& place,
                    bool newest_may_be_torn, RecordVerifier& records, VerifyReport* report) {
  const Result<std::vector<WalSegment>> segments = ListWalSegments(files, folder);
  if (!segments.ok()) return Findings(report, place).Error(segments.status().message());
  for (const WalSegment& segment : *segments) {
    ++report->segments;
    Findings findings(report, JoinPath(place, BaseName(segment.path)));
    WalReader reader(files, {segment});
    uint64_t good = 0;
    Status status;
    while (status.ok() && reader.Next()) {
      status = records.Check(reader.record());
      if (status.ok()) good = reader.offset();
    }
    if (!status.ok()) {
      findings.Error(fmt::format("record behind offset {}: {}", good, status.message()));
    } else if (const WalCorruption* damage = reader.corruption(); damage != nullptr) {
      const bool is_tail = newest_may_be_torn && segment.index == segments->back().index;
      const std::string text = fmt::format("at offset {}: {}", damage->offset, damage->reason);
      if (is_tail) {
        findings.Warning(text + "; a start keeps what stands before it");
      } else {
        findings.Error(text);
      }
    } else if (!reader.status().ok()) {
      findings.Error(reader.status().message());
    }
    records.TellCounts(findings);
  }
}

void VerifyWal(FileSystem& files, const std::string& directory, RecordVerifier& records,
               VerifyReport* report) {
  const std::string wal = JoinPath(directory, "wal");
  if (!files.Exists(wal)) return;
  Findings findings(report, "wal");
  const auto checkpoint = FindLastCheckpoint(files, wal);
  if (!checkpoint.ok()) {
    findings.Error(checkpoint.status().message());
  } else if (checkpoint->has_value()) {
    VerifySegments(files, (*checkpoint)->path, JoinPath("wal", BaseName((*checkpoint)->path)),
                   /*newest_may_be_torn=*/false, records, report);
    const auto segments = ListWalSegments(files, wal);
    if (segments.ok() && !segments->empty() && segments->front().index > (*checkpoint)->index + 1) {
      findings.Error(fmt::format("segments begin at {}, the checkpoint ends at {}",
                                 segments->front().index, (*checkpoint)->index));
    }
  }
  VerifySegments(files, wal, "wal", /*newest_may_be_torn=*/true, records, report);
  if (const auto entries = files.List(wal); entries.ok()) {
    for (const FileInfo& entry : *entries) {
      if (entry.name.ends_with(".tmp") || entry.name.ends_with(".repair")) {
        Findings(report, JoinPath("wal", entry.name)).Note("left by a crash");
      }
    }
  }
}

bool HasGoodHeader(std::string_view data) {
  return data.size() >= 8 && LoadBigEndian32(data.data()) == kHeadChunksMagic && data[4] == 1;
}

}  // namespace

void VerifyLogs(FileSystem& files, const std::string& directory, VerifyReport* report) {
  RecordVerifier records(report);
  VerifyWal(files, directory, records, report);
  // Its samples are of the series of the other log.
  VerifySegments(files, JoinPath(directory, "wbl"), "wbl", /*newest_may_be_torn=*/true, records,
                 report);
}

void VerifyHeadChunks(FileSystem& files, const std::string& directory, VerifyReport* report) {
  const std::string folder = JoinPath(directory, "chunks_head");
  const Result<std::vector<FileInfo>> entries = files.List(folder);
  if (!entries.ok()) {
    if (entries.status().code() != ErrorCode::kNotFound) {
      Findings(report, "chunks_head").Error(entries.status().message());
    }
    return;
  }
  HashMap<uint64_t, int64_t> newest;  // Of series: the last time of their chunks in order.
  int64_t number_before = -1;
  for (size_t i = 0; i < entries->size(); ++i) {
    const std::string& name = (*entries)[i].name;
    Findings findings(report, JoinPath("chunks_head", name));
    const bool is_number = !name.empty() && name.size() <= 9 &&
                           std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; });
    if (!is_number) {
      findings.Note("not a chunk file");
      continue;
    }
    ++report->head_chunk_files;
    const auto number = static_cast<uint32_t>(std::stoul(name));
    if (number_before >= 0 && number != number_before + 1) {
      findings.Error(
          fmt::format("found unsequential head chunk files: {} is before it", number_before));
    }
    number_before = number;
    const auto map = files.Map(JoinPath(folder, name));
    if (!map.ok()) {
      findings.Error(map.status().message());
      continue;
    }
    const std::string_view data = (*map)->data();
    if (!HasGoodHeader(data)) {
      if (i + 1 == entries->size() &&
          data.find_first_not_of('\0', std::min<size_t>(8, data.size())) ==
              std::string_view::npos) {
        findings.Warning("it has no header and no chunks; a start removes it");
      } else {
        findings.Error("its header is not one");
      }
      continue;
    }
    std::string damage;
    const Status visited = HeadChunkFiles::ScanFile(
        number, data,
        [&](const HeadChunkMeta& chunk) -> Status {
          ++report->head_chunks;
          storage::SampleColumns columns;
          const Status decoded = DecodeChunk(chunk.encoding, chunk.bytes, kAllTime, {}, &columns);
          if (!decoded.ok() || columns.size() == 0) {
            findings.Error(fmt::format("chunk {:#x}: {}", chunk.chunk_ref,
                                       decoded.ok() ? "no samples" : decoded.message()));
          } else if (columns.timestamps_ms.front() != chunk.min_ms ||
                     columns.timestamps_ms.back() != chunk.max_ms) {
            findings.Error(fmt::format("chunk {:#x} holds other times than [{}, {}]",
                                       chunk.chunk_ref, chunk.min_ms, chunk.max_ms));
          }
          if (chunk.is_out_of_order) return {};
          const auto [at, is_new] = newest.try_emplace(chunk.series_ref, chunk.max_ms);
          if (!is_new && chunk.min_ms <= at->second) {
            findings.Error(
                fmt::format("out of sequence m-mapped chunk for series ref {}: [{}, {}] behind {}",
                            chunk.series_ref, chunk.min_ms, chunk.max_ms, at->second));
          }
          at->second = chunk.max_ms;
          return {};
        },
        &damage);
    if (!visited.ok()) findings.Error(visited.message());
    if (!damage.empty()) findings.Warning(damage + "; a start takes what follows from the log");
  }
}

}  // namespace narthex::tsdb
