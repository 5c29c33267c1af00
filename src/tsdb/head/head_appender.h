// One commit to the head.
//
// Appending judges each sample against what is there and collects; Commit writes the collection to
// the WAL as one batch, then walks it slab by slab. A series changes its kind of value only between
// batches of one commit, since a WAL record holds one kind and replay must meet them in order.
//
// AppendFloats is the path of every scrape after the first: a look-up in a table of references, a
// comparison of times, two stores. No hashing of labels, no allocation once buffers have grown, one
// lock of the index a call and one of a slab for each run of neighbours.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "storage/storage.h"
#include "tsdb/head/head.h"

namespace narthex::tsdb {

enum class SampleKind : uint8_t {
  kFloat,
  kHistogram,
  kCustomHistogram,
  kFloatHistogram,
  kCustomFloatHistogram,
};

// Samples of which each series has one kind only. Slots run beside the samples.
struct AppendBatch {
  std::vector<WalSample> floats;
  std::vector<SlotId> float_slots;
  std::vector<WalHistogram> histograms;
  std::vector<SlotId> histogram_slots;
  std::vector<WalFloatHistogram> float_histograms;
  std::vector<SlotId> float_histogram_slots;
  std::vector<std::pair<uint64_t, Metadata>> metadata;
  std::vector<std::pair<uint64_t, Exemplar>> exemplars;

  void Clear();
};

// Reused from commit to commit.
struct AppendBuffers {
  std::vector<AppendBatch> batches;
  size_t batch_count = 0;
  std::vector<std::pair<uint64_t, SlotId>> unlogged;  // Series whose record is not in the WAL yet.
  HashMap<uint64_t, SampleKind> kinds;                // Of histogram series in the last batch.
  std::vector<std::string> records;
};

class HeadAppender : public storage::Appender {
 public:
  explicit HeadAppender(Head* head);
  ~HeadAppender() override;

  Result<storage::SeriesRef> Append(storage::SeriesRef ref, const Labels& labels,
                                    int64_t timestamp_ms, double value,
                                    const storage::AppendOptions& options) override;
  Result<storage::SeriesRef> AppendHistogram(storage::SeriesRef ref, const Labels& labels,
                                             int64_t timestamp_ms, const Histogram& histogram,
                                             const storage::AppendOptions& options) override;
  Result<storage::SeriesRef> AppendFloatHistogram(storage::SeriesRef ref, const Labels& labels,
                                                  int64_t timestamp_ms,
                                                  const FloatHistogram& histogram,
                                                  const storage::AppendOptions& options) override;
  void AppendFloats(std::span<const storage::RefSample> samples,
                    std::span<storage::AppendOutcome> outcomes) override;
  Status AppendExemplar(storage::SeriesRef ref, const Labels& labels,
                        const Exemplar& exemplar) override;
  Status UpdateMetadata(storage::SeriesRef ref, const Labels& labels,
                        const Metadata& metadata) override;
  Result<storage::SeriesRef> AppendStartZero(storage::SeriesRef ref, const Labels& labels,
                                             int64_t timestamp_ms, int64_t start_timestamp_ms,
                                             const FloatHistogram* like) override;
  Status Commit() override;
  Status Rollback() override;

 private:
  struct CommitCounts;

  void Start(int64_t first_ms);
  AppendBatch& BatchFor(SampleKind kind, uint64_t ref);
  AppendBatch& AnyBatch();
  AppendBatch& NextBatch();
  template <typename H>
  Result<storage::SeriesRef> AppendHistogramOf(storage::SeriesRef ref, const Labels& labels,
                                               int64_t timestamp_ms, const H& histogram,
                                               int64_t start_ms, bool discard_out_of_order);
  void NoteLateness(Verdict verdict, int64_t t);
  void CountRefusal(Verdict verdict, bool histogram);
  Status WriteRecords(bool samples);
  void EncodeRecords(bool samples);
  Status Log();
  void ApplyFloats(AppendBatch& batch, SeriesAppender& appender, CommitCounts& counts,
                   WblBatch& wbl);
  template <typename H>
  void ApplyHistograms(const std::vector<WalHistogramOf<H>>& samples,
                       const std::vector<SlotId>& slots, SeriesAppender& appender,
                       CommitCounts& counts, WblBatch& wbl);
  // Puts a sample out of order in; gives whether it was new.
  template <typename S>
  bool ApplyLate(const S& sample, Slab& slab, uint16_t index, WblBatch& wbl);
  void ApplyExemplars(const AppendBatch& batch);
  void ApplyMetadata(const AppendBatch& batch);
  void Close();

  Head* head_;
  AppendBounds bounds_;
  bool started_ = false;
  bool closed_ = false;
  Status late_error_;  // Of the first late sample that could not be taken.
  uint64_t epoch_ = 0;
  int64_t registered_bound_ = 0;
  std::unique_ptr<AppendBuffers> buffers_;
};

}  // namespace narthex::tsdb
