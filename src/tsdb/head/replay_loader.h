// Reads a log ahead of whoever replays it: on a thread of its own, records are read, checked,
// decompressed and taken apart as far as that needs no head, so that the replaying thread only
// finds series and hands samples out.
//
//   WalReader -> [batch of records] -> [batch] -> ... -> Next()        at most kBatchesQueued,
//                                                                      about kQueuedBytesMax
//
// Records are handed over in batches of about kBatchBytes: a log of small commits would otherwise
// spend its time on waking threads. Memory goes around and is used again.
//
// Threads: one caller.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tsdb/head/chunk_snapshot.h"
#include "tsdb/wal/records.h"
#include "tsdb/wal/wal.h"
#include "util/status.h"

namespace narthex::tsdb {

struct LoadedSeries {
  uint64_t ref = 0;
  std::string_view labels;  // As in WalSeries.
  uint64_t hash = 0;        // The label hash, if plain.
  // Names ascend, nothing is empty and all texts are short: behind the count the bytes are then
  // those of model/labels.h.
  bool plain = false;
};

// A record with what it holds, by its type; views point into it.
struct LoadedRecord {
  RecordType type = RecordType::kUnknown;
  std::string_view bytes;
  int segment = -1;
  uint64_t begin_offset = 0;  // Behind the record before, within the segment.
  Status status;              // Of taking it apart.
  std::vector<LoadedSeries> series;
  std::vector<WalSample> samples;
  std::vector<WalHistogram> histograms;
  std::vector<WalFloatHistogram> float_histograms;
  size_t skipped_schemas = 0;
  SnapshotSeries snapshot;  // Only of a chunk snapshot.
  std::string buffer;
};

class ReplayLoader {
 public:
  enum class Records : uint8_t { kWal, kSnapshot };
  // `reader` is used from the loader's thread until Next gave null or the loader is destroyed.
  explicit ReplayLoader(WalReader* reader, Records records = Records::kWal);
  ~ReplayLoader();
  ReplayLoader(const ReplayLoader&) = delete;
  ReplayLoader& operator=(const ReplayLoader&) = delete;

  // The next record, good until the next call; null at the end of what the reader gives.
  LoadedRecord* Next();

 private:
  struct Batch {
    std::vector<std::unique_ptr<LoadedRecord>> records;
    size_t count = 0;
    size_t bytes = 0;
  };
  void Run();
  void Load(LoadedRecord* record);
  void LoadSnapshotRecord(LoadedRecord* record);
  bool Hand(std::unique_ptr<Batch> batch);

  WalReader* reader_;
  const Records records_;
  uint64_t offset_ = 0;
  int segment_ = -1;
  std::vector<WalSeries> series_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<Batch>> queue_;
  std::vector<std::unique_ptr<Batch>> spare_;
  size_t queued_bytes_ = 0;  // Of the records in queue_.
  bool done_ = false;
  bool stopping_ = false;

  std::unique_ptr<Batch> current_;  // The caller's.
  size_t next_ = 0;
  std::thread thread_;
};

// Takes the series of a record apart; for tests and ReplayLoader.
LoadedSeries LoadSeries(const WalSeries& series);

}  // namespace narthex::tsdb
