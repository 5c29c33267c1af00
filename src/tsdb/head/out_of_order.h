// Samples that arrive late: behind their series' newest sample, but within the out-of-order window.
//
// A series keeps up to 32 of them sorted in memory. When they are full they are encoded and written
// to the head chunk files, marked as out of order; such chunks may overlap one another and the
// samples in order. Compaction writes them into blocks of their own. What is in memory is durable
// through a second log, the WBL, whose markers tell which samples went into files:
//
//   WBL   [samples][marker: chunk ref][samples]...      marker 0: the first of a series
//
// Late samples are not isolated: a reader may see a part of a commit. Deletions do not touch them,
// as in upstream.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "model/histogram.h"
#include "storage/storage.h"
#include "tsdb/chunks/chunk.h"
#include "tsdb/head/mapped_chunks.h"
#include "tsdb/wal/records.h"
#include "tsdb/wal/wal.h"
#include "util/status.h"
#include "util/time.h"

namespace narthex::tsdb {

inline constexpr size_t kLateSamplesMax = 32;
// While they cannot be written.
inline constexpr size_t kLateSamplesBound = 1024;

struct OutOfOrderSample {
  int64_t timestamp_ms = 0;
  int64_t start_ms = 0;
  double value = 0;
  // At most one of the two.
  std::shared_ptr<const Histogram> histogram;
  std::shared_ptr<const FloatHistogram> float_histogram;
};

struct OutOfOrderSeries {
  std::vector<OutOfOrderSample> open;  // By time.
  std::vector<MappedChunk> mapped;     // As written; may overlap one another.
};

// False, and nothing done, when there is one of that time already.
bool InsertLate(OutOfOrderSample sample, std::vector<OutOfOrderSample>* open);
Result<std::vector<EncodedChunk>> EncodeLate(const std::vector<OutOfOrderSample>& samples,
                                             bool xor2, bool histogram_st);
void ReadLateSamples(const std::vector<OutOfOrderSample>& samples, TimeRange range,
                     storage::SampleColumns* out);

// Collects what one commit writes to the WBL.
class WblBatch {
 public:
  explicit WblBatch(SampleFormat format) : format_(format) {}
  // A chunk of the series went into files, or its first was begun (no references). Belongs before
  // the sample that caused it.
  void AddMarkers(uint64_t ref, const std::vector<uint64_t>& chunk_refs);
  void Add(const WalSample& sample) { floats_.push_back(sample); }
  void Add(const WalHistogram& sample) { histograms_.push_back(sample); }
  void Add(const WalFloatHistogram& sample) { float_histograms_.push_back(sample); }
  // What was added, as records of the log; the batch is empty then.
  std::vector<std::string> Take();

 private:
  void Collect();

  SampleFormat format_;
  std::vector<WalMmapMarker> markers_;
  std::vector<WalSample> floats_;
  std::vector<WalHistogram> histograms_;
  std::vector<WalFloatHistogram> float_histograms_;
  std::vector<std::string> records_;
};

}  // namespace narthex::tsdb
