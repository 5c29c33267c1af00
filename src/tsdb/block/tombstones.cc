#include "tsdb/block/tombstones.h"

#include <algorithm>
#include <limits>

#include "util/bytes.h"
#include "util/crc32c.h"

namespace narthex::tsdb {
namespace {

constexpr uint32_t kMagic = 0x0130BA30;
constexpr uint8_t kFormat = 1;
constexpr size_t kCrcBytes = 4;

// Whether `a` ends so far before `b` that the two do not even touch.
bool IsApart(const TimeRange& a, const TimeRange& b) {
  return a.end_ms != std::numeric_limits<int64_t>::max() && a.end_ms + 1 < b.start_ms;
}

}  // namespace

void AddTimeRange(TimeRange added, TimeRanges* ranges) {
  const auto first =
      std::ranges::find_if(*ranges, [&](const TimeRange& range) { return !IsApart(range, added); });
  auto last = first;
  for (; last != ranges->end() && !IsApart(added, *last); ++last) {
    added.start_ms = std::min(added.start_ms, last->start_ms);
    added.end_ms = std::max(added.end_ms, last->end_ms);
  }
  ranges->insert(ranges->erase(first, last), added);
}

bool ContainsTime(std::span<const TimeRange> ranges, int64_t t) {
  return std::ranges::any_of(
      ranges, [t](const TimeRange& range) { return t >= range.start_ms && t <= range.end_ms; });
}

bool CoversRange(std::span<const TimeRange> ranges, TimeRange range) {
  return std::ranges::any_of(ranges, [&](const TimeRange& r) {
    return r.start_ms <= range.start_ms && range.end_ms <= r.end_ms;
  });
}

bool OverlapsRange(std::span<const TimeRange> ranges, TimeRange range) {
  return std::ranges::any_of(ranges, [&](const TimeRange& r) {
    return r.start_ms <= range.end_ms && range.start_ms <= r.end_ms;
  });
}

void RemoveDeleted(std::span<const TimeRange> ranges, size_t first,
                   storage::SampleColumns* columns) {
  if (ranges.empty()) return;
  size_t out = first;
  size_t at = 0;  // The first interval that does not end before the sample.
  for (size_t i = first; i < columns->size(); ++i) {
    const int64_t t = columns->timestamps_ms[i];
    while (at < ranges.size() && ranges[at].end_ms < t) ++at;
    if (at < ranges.size() && ranges[at].start_ms <= t) continue;
    columns->timestamps_ms[out] = t;
    columns->values[out] = columns->values[i];
    if (!columns->histograms.empty() && out != i) {
      columns->histograms[out] = std::move(columns->histograms[i]);
    }
    if (!columns->start_timestamps_ms.empty()) {
      columns->start_timestamps_ms[out] = columns->start_timestamps_ms[i];
    }
    ++out;
  }
  columns->timestamps_ms.resize(out);
  columns->values.resize(out);
  if (!columns->histograms.empty()) columns->histograms.resize(out);
  if (!columns->start_timestamps_ms.empty()) columns->start_timestamps_ms.resize(out);
}

uint64_t Tombstones::count() const {
  uint64_t count = 0;
  for (const auto& [ref, ranges] : by_ref_) count += ranges.size();
  return count;
}

std::string EncodeTombstonesBody(const Tombstones& tombstones) {
  std::string body;
  ByteWriter writer(&body);
  writer.PutByte(kFormat);
  for (const auto& [ref, ranges] : tombstones.by_ref()) {
    for (const TimeRange& range : ranges) {
      writer.PutUvarint(ref);
      writer.PutVarint(range.start_ms);
      writer.PutVarint(range.end_ms);
    }
  }
  return body;
}

std::string EncodeTombstonesFile(const Tombstones& tombstones) {
  const std::string body = EncodeTombstonesBody(tombstones);
  std::string bytes;
  ByteWriter writer(&bytes);
  writer.PutBigEndian32(kMagic);
  writer.PutBytes(body);
  // The format byte is not covered.
  writer.PutBigEndian32(Crc32c(std::string_view(body).substr(1)));
  return bytes;
}

Result<Tombstones> DecodeTombstonesBody(std::string_view body) {
  ByteReader reader(body);
  if (const uint8_t format = reader.Byte(); format != kFormat) {
    return MakeError(ErrorCode::kCorruption, "invalid tombstone format {:x}", format);
  }
  Tombstones tombstones;
  while (!reader.empty()) {
    const uint64_t ref = reader.Uvarint();
    TimeRange range;
    range.start_ms = reader.Varint();
    range.end_ms = reader.Varint();
    if (reader.failed()) return MakeError(ErrorCode::kCorruption, "invalid size");
    tombstones.Add(ref, range);
  }
  return tombstones;
}

Result<Tombstones> DecodeTombstonesFile(std::string_view bytes) {
  if (bytes.size() < 5) {
    return MakeError(ErrorCode::kCorruption, "tombstones header: invalid size");
  }
  if (const uint32_t magic = LoadBigEndian32(bytes.data()); magic != kMagic) {
    return MakeError(ErrorCode::kCorruption, "invalid magic number {:x}", magic);
  }
  if (bytes.size() < 5 + kCrcBytes) {
    return MakeError(ErrorCode::kCorruption, "tombstones header: invalid size");
  }
  const std::string_view body = bytes.substr(4, bytes.size() - 4 - kCrcBytes);
  if (Crc32c(body.substr(1)) != LoadBigEndian32(bytes.data() + bytes.size() - kCrcBytes)) {
    return MakeError(ErrorCode::kCorruption, "checksum did not match");
  }
  return DecodeTombstonesBody(body);
}

Result<Tombstones> ReadTombstones(FileSystem& files, const std::string& block_directory) {
  auto bytes = files.ReadAll(JoinPath(block_directory, kTombstonesFileName));
  if (!bytes.ok()) {
    if (bytes.status().code() == ErrorCode::kNotFound) return Tombstones();
    return std::move(bytes).status();
  }
  return DecodeTombstonesFile(*bytes);
}

Status WriteTombstones(FileSystem& files, const std::string& block_directory,
                       const Tombstones& tombstones) {
  return files.WriteAtomically(JoinPath(block_directory, kTombstonesFileName),
                               EncodeTombstonesFile(tombstones));
}

}  // namespace narthex::tsdb
