// A store in memory for scripts and unit tests of rules: series as columns, nothing on disk.
//
// It treats native histograms as a time-series database does: within a run of samples of one layout
// without a counter reset (a chunk) all but the first are known not to be reset; a stale marker
// after a histogram is a histogram.
//
// Threads: any number of readers, but nobody may append meanwhile.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "model/labels.h"
#include "storage/storage.h"
#include "util/hash_map.h"

namespace narthex::promql {

class MemoryStore : public storage::Queryable {
 public:
  void Clear();
  // Samples of a series may come in any order; a later one replaces an earlier one of the same
  // time. `start_ms` 0: no start timestamp known.
  void AppendFloat(const Labels& labels, int64_t time_ms, double value, int64_t start_ms = 0);
  void AppendHistogram(const Labels& labels, int64_t time_ms, FloatHistogram histogram,
                       int64_t start_ms = 0);

  Result<std::unique_ptr<storage::Querier>> OpenQuerier(TimeRange range) override;

 private:
  struct SeriesData {
    Labels labels;
    storage::SampleColumns samples;
  };
  class StoredSeries;
  class Set;
  class StoreQuerier;

  SeriesData& Find(const Labels& labels);
  static void Insert(SeriesData* series, int64_t time_ms, double value,
                     std::shared_ptr<const FloatHistogram> histogram, int64_t start_ms);

  std::vector<std::shared_ptr<SeriesData>> series_;  // In order of creation.
  HashMap<Labels, size_t, LabelsHash> index_;
};

}  // namespace narthex::promql
