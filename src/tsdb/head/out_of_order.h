// Samples that arrived late, inside the out-of-order window of one series.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "model/histogram.h"
#include "tsdb/head/mapped_chunks.h"

namespace narthex::tsdb {

struct OutOfOrderSample {
  int64_t start_ms = 0;
  int64_t timestamp_ms = 0;
  double value = 0;
  std::shared_ptr<const Histogram> histogram;  // At most one of the two.
  std::shared_ptr<const FloatHistogram> float_histogram;
};

struct OutOfOrderSeries {
  std::vector<OutOfOrderSample> open;  // By time.
  std::vector<MappedChunk> mapped;     // May overlap one another.
};

}  // namespace narthex::tsdb
