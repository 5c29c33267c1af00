// Start-up: brings a head back from chunks_head, checkpoint and WAL.
//
//   reader (the calling thread)   large sequential reads, checks, decompression, decoding; makes
//                                 series; sorts samples by the slab of their series
//      |  batches in order
//      v
//   appliers (1..n)               each owns every n-th slab and appends to its series
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

namespace narthex::tsdb {

class HeadReplay {
 public:
  explicit HeadReplay(Head* head);
  ~HeadReplay();

  // An error that Repair can cure leaves its place in `corruption`.
  Status Run(std::optional<WalCorruption>* corruption);

 private:
  // What one applier gets: samples of its slabs, in order of the log.
  struct Batch {
    std::vector<WalSample> floats;
    std::vector<SlotId> float_slots;
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

  Status LoadMappedChunks();
  Status ReadSegments(WalReader& reader, std::optional<WalCorruption>* corruption);
  Status Dispatch(std::string_view record);
  Status OnSeries(std::string_view record);
  Status OnSamples(std::string_view record);
  template <typename H>
  Status OnHistograms(std::string_view record);
  Status OnTombstones(std::string_view record);
  Status OnExemplars(std::string_view record);
  Status OnMetadata(std::string_view record);
  void AttachMapped(SlotId slot, uint64_t ref, bool is_new);
  // The slot of a sample's series; follows aliases and notes how long their records are needed.
  SlotId SlotOf(uint64_t ref, int64_t t);
  Applier& ApplierOf(SlotId slot) { return *appliers_[slot / kSlotsPerSlab % appliers_.size()]; }
  void Push(Applier& applier, Kind kind);
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
  std::vector<WalSeries> series_;
  std::vector<WalSample> samples_;
  std::vector<WalHistogram> histograms_;
  std::vector<WalFloatHistogram> float_histograms_;
  uint64_t unknown_samples_ = 0, unknown_histograms_ = 0, unknown_exemplars_ = 0;
  uint64_t unknown_metadata_ = 0, unknown_tombstones_ = 0;
  size_t skipped_schemas_ = 0;
};

}  // namespace narthex::tsdb
