// Checkpoints: what is still needed of old WAL segments, written as a log of its own so that the
// segments can go. Named by the last segment it covers: wal/checkpoint.00000042/00000000...
//
// Byte diagram: docs/formats/wal.md.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "tsdb/wal/records.h"
#include "tsdb/wal/wal.h"
#include "util/file.h"
#include "util/status.h"

namespace narthex::tsdb {

struct CheckpointInfo {
  std::string path;
  int index = 0;  // The last segment it covers.
};
std::string CheckpointPath(const std::string& wal_directory, int index);
// The newest one; nothing when there is none.
Result<std::optional<CheckpointInfo>> FindLastCheckpoint(FileSystem& files,
                                                         const std::string& wal_directory);
// Removes the checkpoints below `index`.
Status DeleteCheckpoints(FileSystem& files, const std::string& wal_directory, int index);
// Removes checkpoint.*.tmp, which a crash leaves behind.
Status DeleteTemporaryCheckpoints(FileSystem& files, const std::string& wal_directory);
// The lower bound for valid samples that the newest checkpoint carries; nothing when there is none.
Result<std::optional<int64_t>> ReadCheckpointMinValidTime(FileSystem& files,
                                                          const std::string& wal_directory);

struct CheckpointOptions {
  int first_segment = 0;
  int last_segment = 0;
  int64_t min_ms = 0;  // Older samples and exemplars are dropped.
  // Whether records of this series are still needed. Answers must not change during the call.
  std::function<bool(uint64_t ref)> keep;
  SampleFormat format = SampleFormat::kV1;
  // The server writes it, the agent does not.
  bool write_min_valid_time = true;
};

struct CheckpointStats {
  size_t series = 0, series_dropped = 0;
  size_t samples = 0, samples_dropped = 0;  // Histograms included.
  size_t tombstones = 0, tombstones_dropped = 0;
  size_t exemplars = 0, exemplars_dropped = 0;
  size_t metadata = 0, metadata_dropped = 0;
};

// Writes the checkpoint of the previous one and the segments first to last. The caller then removes
// segments and older checkpoints. On an error nothing is left behind.
Result<CheckpointStats> CreateCheckpoint(FileSystem& files, const Wal& wal,
                                         const CheckpointOptions& options);

}  // namespace narthex::tsdb
