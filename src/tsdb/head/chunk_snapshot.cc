#include "tsdb/head/chunk_snapshot.h"

#include <charconv>
#include <tuple>

#include "tsdb/wal/records.h"
#include "util/bytes.h"

namespace narthex::tsdb {
namespace {

constexpr std::string_view kPrefix = "chunk_snapshot.";
constexpr uint8_t kTombstonesVersion = 1;
// Far above what any chunk takes; bits of it are counted in 32 bits.
constexpr size_t kChunkBytesMax = 16 << 20;
// In front of the last value of a float chunk stand values that nobody reads any more.
constexpr size_t kUnusedValues = 3;

bool ParseNumber(std::string_view text, int64_t* out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return error == std::errc() && end == text.data() + text.size() && *out >= 0;
}

std::optional<WalPosition> ParseName(std::string_view name) {
  if (!name.starts_with(kPrefix)) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  const size_t dot = name.find('.');
  int64_t segment = 0;
  int64_t offset = 0;
  if (dot == std::string_view::npos || !ParseNumber(name.substr(0, dot), &segment) ||
      !ParseNumber(name.substr(dot + 1), &offset) || segment > INT32_MAX) {
    return std::nullopt;
  }
  return WalPosition{static_cast<int>(segment), static_cast<uint64_t>(offset)};
}

bool Before(WalPosition a, WalPosition b) {
  return std::tie(a.segment, a.offset) < std::tie(b.segment, b.offset);
}

std::string_view TakeLabels(std::string_view record, ByteReader& reader) {
  const size_t begin = record.size() - reader.remaining();
  for (uint64_t left = reader.Uvarint(); left > 0 && !reader.failed(); --left) {
    reader.UvarintString();
    reader.UvarintString();
  }
  if (reader.failed()) return {};
  return record.substr(begin, record.size() - reader.remaining() - begin);
}

}  // namespace

std::string ChunkSnapshotPath(const std::string& directory, WalPosition position) {
  return JoinPath(directory,
                  fmt::format("{}{:06}.{:010}", kPrefix, position.segment, position.offset));
}

Result<std::optional<ChunkSnapshotInfo>> FindLastChunkSnapshot(FileSystem& files,
                                                               const std::string& directory) {
  std::optional<ChunkSnapshotInfo> newest;
  if (!files.Exists(directory)) return newest;
  NARTHEX_TRY(const std::vector<FileInfo> entries, files.List(directory));
  for (const FileInfo& entry : entries) {
    if (!entry.name.starts_with(kPrefix)) continue;
    if (!entry.is_directory) {
      return MakeError(ErrorCode::kInvalidInput, "chunk snapshot {} is not a directory",
                       entry.name);
    }
    const std::optional<WalPosition> position = ParseName(entry.name);
    if (!position.has_value()) continue;
    if (newest.has_value() && !Before(newest->position, *position)) continue;
    newest = ChunkSnapshotInfo{JoinPath(directory, entry.name), *position};
  }
  return newest;
}

Status DeleteChunkSnapshots(FileSystem& files, const std::string& directory,
                            std::optional<WalPosition> position) {
  NARTHEX_TRY(const std::vector<FileInfo> entries, files.List(directory));
  Status status;
  for (const FileInfo& entry : entries) {
    const std::optional<WalPosition> found = ParseName(entry.name);
    if (!found.has_value() || (position.has_value() && !Before(*found, *position))) continue;
    Status removed = files.RemoveAll(JoinPath(directory, entry.name));
    if (status.ok()) status = std::move(removed);
  }
  return status;
}

void EncodeSnapshotSeries(const SnapshotSeries& series, std::string* out) {
  ByteWriter writer(out);
  writer.PutByte(static_cast<uint8_t>(SnapshotRecordType::kSeries));
  writer.PutBigEndian64(series.ref);
  writer.PutBytes(series.labels);
  writer.PutBigEndian64(0);  // Was the chunk range once.
  if (series.encoding == ChunkEncoding::kNone) {
    writer.PutUvarint(0);
    return;
  }
  writer.PutUvarint(1);
  writer.PutBigEndian64(static_cast<uint64_t>(series.min_ms));
  writer.PutBigEndian64(static_cast<uint64_t>(series.max_ms));
  writer.PutByte(static_cast<uint8_t>(series.encoding));
  writer.PutUvarintString(series.chunk);
  switch (KindOf(series.encoding)) {
    case ValueKind::kHistogram: AppendWalHistogram(series.last_histogram, writer); return;
    case ValueKind::kFloatHistogram:
      AppendWalHistogram(series.last_float_histogram, writer);
      return;
    default: break;
  }
  for (size_t i = 0; i < kUnusedValues * 2 + 1; ++i) writer.PutBigEndian64(0);
  writer.PutDouble(series.last_value);
}

Status DecodeSnapshotSeries(std::string_view record, SnapshotSeries* out) {
  ByteReader reader(record);
  if (const uint8_t type = reader.Byte(); type != 1) {
    return MakeError(ErrorCode::kCorruption, "invalid record type {:x}", type);
  }
  out->ref = reader.BigEndian64();
  out->labels = TakeLabels(record, reader);
  out->encoding = ChunkEncoding::kNone;
  reader.BigEndian64();
  const bool has_chunk = reader.Uvarint() != 0;
  if (reader.failed()) return Status(ErrorCode::kCorruption, "invalid size");
  if (!has_chunk) return {};
  out->min_ms = static_cast<int64_t>(reader.BigEndian64());
  out->max_ms = static_cast<int64_t>(reader.BigEndian64());
  const auto encoding = static_cast<ChunkEncoding>(reader.Byte());
  out->chunk = reader.UvarintString();
  if (reader.failed()) return Status(ErrorCode::kCorruption, "invalid size");
  if (encoding == ChunkEncoding::kNone || !IsValidChunkEncoding(encoding)) {
    return MakeError(ErrorCode::kCorruption, "chunk from data: invalid chunk encoding \"{}\"",
                     static_cast<int>(encoding));
  }
  switch (KindOf(encoding)) {
    case ValueKind::kHistogram: ReadWalHistogram(reader, &out->last_histogram); break;
    case ValueKind::kFloatHistogram: ReadWalHistogram(reader, &out->last_float_histogram); break;
    default:
      reader.Skip((kUnusedValues * 2 + 1) * sizeof(uint64_t));
      out->last_value = reader.Double();
      break;
  }
  if (reader.failed()) return Status(ErrorCode::kCorruption, "invalid size");
  if (!reader.empty()) {
    return MakeError(ErrorCode::kCorruption, "unexpected {} bytes left in entry",
                     reader.remaining());
  }
  // What only we check: an open chunk has samples and times in order.
  if (out->chunk.size() > kChunkBytesMax || out->chunk.size() <= sizeof(uint16_t) + 1 ||
      (static_cast<uint8_t>(out->chunk[0]) | static_cast<uint8_t>(out->chunk[1])) == 0 ||
      out->min_ms > out->max_ms) {
    return MakeError(ErrorCode::kCorruption, "invalid chunk of series {}", out->ref);
  }
  out->encoding = encoding;
  return {};
}

void EncodeSnapshotTombstones(const std::vector<SnapshotTombstone>& tombstones, std::string* out) {
  std::string body;
  ByteWriter body_writer(&body);
  body_writer.PutByte(kTombstonesVersion);
  for (const SnapshotTombstone& stone : tombstones) {
    body_writer.PutUvarint(stone.ref);
    body_writer.PutVarint(stone.min_ms);
    body_writer.PutVarint(stone.max_ms);
  }
  ByteWriter writer(out);
  writer.PutByte(static_cast<uint8_t>(SnapshotRecordType::kTombstones));
  writer.PutUvarintString(body);
}

Status DecodeSnapshotTombstones(std::string_view record, std::vector<SnapshotTombstone>* out) {
  ByteReader reader(record);
  if (const uint8_t type = reader.Byte(); type != 2) {
    return MakeError(ErrorCode::kCorruption, "invalid record type {:x}", type);
  }
  ByteReader body(reader.UvarintString());
  if (const uint8_t version = body.Byte(); reader.failed() || version != kTombstonesVersion) {
    return MakeError(ErrorCode::kCorruption, "decode tombstones: invalid tombstone format {:x}",
                     version);
  }
  while (!body.empty()) {
    SnapshotTombstone stone{};
    stone.ref = body.Uvarint();
    stone.min_ms = body.Varint();
    stone.max_ms = body.Varint();
    if (body.failed()) return Status(ErrorCode::kCorruption, "decode tombstones: invalid size");
    out->push_back(stone);
  }
  return {};
}

}  // namespace narthex::tsdb
