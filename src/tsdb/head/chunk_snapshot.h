// Chunk snapshots: the open chunks of a clean shutdown, so that the next start need not build them
// from the log again.
//
//   chunk_snapshot.000042.0000098304/00000000   a log (tsdb/wal) of records
//                  |      offset in it: what is behind is newer than the snapshot
//                  last segment of the WAL
//
//   1  ref, labels, open chunk with the newest value     one record a series
//   2  tombstones                                        one record
//   3  exemplars, oldest first                           up to 10000 a record
//
// Byte diagram: docs/formats/wal-records.md. Threads: all functions are pure but for the disk.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/histogram.h"
#include "tsdb/chunks/chunk.h"
#include "tsdb/wal/wal.h"
#include "util/file.h"
#include "util/status.h"

namespace narthex::tsdb {

enum class SnapshotRecordType : uint8_t { kSeries = 1, kTombstones = 2, kExemplars = 3 };
inline constexpr size_t kSnapshotExemplarsPerRecord = 10'000;

struct ChunkSnapshotInfo {
  std::string path;
  WalPosition position;
};
std::string ChunkSnapshotPath(const std::string& directory, WalPosition position);
// The newest one; nothing when there is none. Other names are ignored; a file of such a name is an
// error.
Result<std::optional<ChunkSnapshotInfo>> FindLastChunkSnapshot(FileSystem& files,
                                                               const std::string& directory);
// Removes the snapshots before `position`; all of them without one.
Status DeleteChunkSnapshots(FileSystem& files, const std::string& directory,
                            std::optional<WalPosition> position);

struct SnapshotSeries {
  uint64_t ref = 0;
  std::string_view labels;                        // As in WalSeries.
  ChunkEncoding encoding = ChunkEncoding::kNone;  // kNone: there is no open chunk.
  int64_t min_ms = 0;
  int64_t max_ms = 0;
  std::string_view chunk;  // Complete, with its header. A view into the record.
  // The newest value, by the kind of the chunk.
  double last_value = 0;
  Histogram last_histogram;
  FloatHistogram last_float_histogram;
};

// `labels` of the series are encoded already.
void EncodeSnapshotSeries(const SnapshotSeries& series, std::string* out);
Status DecodeSnapshotSeries(std::string_view record, SnapshotSeries* out);

struct SnapshotTombstone {
  uint64_t ref;
  int64_t min_ms;
  int64_t max_ms;
};
void EncodeSnapshotTombstones(const std::vector<SnapshotTombstone>& tombstones, std::string* out);
Status DecodeSnapshotTombstones(std::string_view record, std::vector<SnapshotTombstone>* out);

}  // namespace narthex::tsdb
