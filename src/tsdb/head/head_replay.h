// Start-up: brings a head back from chunks_head, checkpoint and WAL.
//
//   loader (replay_loader.h)      reads, checks, decompresses, takes records apart
//      |  records in order
//      v
//   router (the calling thread)   makes series; sorts samples by the slab of their series
//      |  batches in order
//      v
//   appliers (1..n)               each owns every n-th slab and appends to its series
//
// Postings are not kept while series are made: at the end they are built in one walk over all
// series by ascending reference, in which lists are only appended to.
//
// Samples of a chunk that stands in chunks_head are not read again: the chunk is listed, and what
// the WAL repeats of it is dropped by its time.
//
// A damaged WAL gives back the place, after everything before it was loaded.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "tsdb/head/head.h"
#include "tsdb/head/replay_loader.h"

namespace narthex::tsdb {

// Full chunks go to files while the log is read, so that a long log fits into memory.
inline constexpr uint64_t kReplayPendingBytesMax = 64 << 20;

class HeadReplay {
 public:
  explicit HeadReplay(Head* head);
  ~HeadReplay();

  // An error that Repair can cure leaves its place in `corruption`.
  Status Run(std::optional<WalCorruption>* corruption);

 private:
  // What one applier gets: samples of its slabs, in order of the log.
  struct FloatSample {
    int64_t timestamp_ms;
    int64_t start_ms;
    double value;
    SlotId slot;
  };
  struct Batch {
    std::vector<FloatSample> floats;
    std::vector<WalHistogram> histograms;
    std::vector<SlotId> histogram_slots;
    std::vector<WalFloatHistogram> float_histograms;
    std::vector<SlotId> float_histogram_slots;
    size_t size() const { return floats.size() + histograms.size() + float_histograms.size(); }
    void Clear();
  };
  struct Applier {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::unique_ptr<Batch>> queue;
    std::vector<std::unique_ptr<Batch>> spare;
    bool busy = false;
    bool stopping = false;
    std::unique_ptr<Batch> filling;  // The reader's.
    AppendTally tally;
    std::thread thread;
  };
  enum class Kind : uint8_t { kNone, kFloat, kHistogram, kFloatHistogram };

  // Head chunk files that were damaged are taken away.
  Status LoadMappedChunks();
  // chunk_snapshot.h. `position`: the log is needed from there on only.
  Status LoadSnapshot(int last_segment, std::optional<WalPosition>* position);
  Status ReadSnapshot(const std::string& path);
  void RestoreChunk(SlotId slot, const SnapshotSeries& series);
  Status RestoreExemplars(std::string_view record);
  void ForgetLoaded();
  Status ReadSegments(WalReader& reader, std::optional<WalCorruption>* corruption);
  Status Dispatch(LoadedRecord& record);
  void OnSeries(const LoadedRecord& record);
  SlotId OnOneSeries(const LoadedSeries& series);
  void OnSamples(const LoadedRecord& record);
  template <typename H>
  void OnHistograms(std::vector<WalHistogramOf<H>>& samples);
  Status OnTombstones(std::string_view record);
  Status OnExemplars(std::string_view record);
  Status OnMetadata(std::string_view record);
  // Finds or makes the series.
  SlotId SlotForSeries(const LoadedSeries& series, bool* is_new);
  SlotId InsertSeries(uint64_t ref, uint64_t hash);
  void BuildPostings();
  void AttachMapped(SlotId slot, uint64_t ref, bool is_new);
  // The slot of a sample's series; follows aliases and notes how long their records are needed.
  SlotId SlotOf(uint64_t ref, int64_t t);
  void NoteAlias(uint64_t ref, int64_t t);
  Applier& ApplierOf(SlotId slot) { return *appliers_[slot / kSlotsPerSlab % appliers_.size()]; }
  // Makes room for a sample of the kind.
  void Push(Applier& applier, Kind kind);
  bool ApplyStale(Slab& slab, uint16_t index, const FloatSample& sample, SeriesAppender& appender);
  void Submit(Applier& applier);
  void Drain();
  void Stop();
  void Apply(Applier* applier);
  void ApplyBatch(const Batch& batch, SeriesAppender& appender);
  void AttachLate(SlotId slot, uint64_t ref);
  // The log of samples out of order.
  Status ReadWbl(std::optional<WalCorruption>* corruption);
  Status DispatchLate(std::string_view record);
  template <typename S>
  Status AddLate(const std::vector<S>& samples);
  Status OnMarkers(std::string_view record);
  void LogUnknown();

  Head& head_;
  HashMap<uint64_t, std::vector<MappedChunk>> mapped_;
  HashMap<uint64_t, std::vector<MappedChunk>> mapped_late_;
  uint64_t last_mapped_ref_ = 0;
  std::vector<std::unique_ptr<Applier>> appliers_;
  HashMap<uint64_t, uint64_t> aliases_;  // Reference in the log -> reference in the head.
  HashMap<uint64_t, int64_t> alias_expiry_;
  HashMap<uint64_t, uint8_t> unknown_;
  // Labels of the series before, by position: neighbours share most of them.
  struct Hint {
    std::string bytes;  // A copy: snapshots have a record for each series.
    PairId pair;
  };
  std::vector<Hint> hints_;
  std::vector<PairId> pairs_;
  bool evicted_ = false;
  bool mapped_damaged_ = false;
  std::vector<WalSample> samples_;
  std::vector<WalHistogram> histograms_;
  std::vector<WalFloatHistogram> float_histograms_;
  uint64_t unknown_samples_ = 0, unknown_histograms_ = 0, unknown_exemplars_ = 0;
  uint64_t unknown_metadata_ = 0, unknown_tombstones_ = 0;
  size_t skipped_schemas_ = 0;
};

}  // namespace narthex::tsdb
