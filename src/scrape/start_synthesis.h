// Start timestamps for cumulative series that come without one (feature st-synthesis): the first
// sample is taken as the start and not stored, later ones count from it; a reset starts anew just
// before the sample that shows it.
#pragma once

#include <cstdint>
#include <optional>

#include "model/histogram.h"
#include "util/status.h"

namespace narthex::scrape {

class StartSynthesis {
 public:
  // Rewrites the sample. False: it is the first one, do not store it.
  bool Adjust(double* value, int64_t timestamp_ms);
  Result<bool> Adjust(FloatHistogram* histogram, int64_t timestamp_ms);
  Result<bool> Adjust(Histogram* histogram, int64_t timestamp_ms);

  int64_t start_ms() const { return start_ms_; }
  uint64_t last_scrape = 0;

 private:
  int64_t start_ms_ = 0;  // 0: no sample yet.
  double previous_ = 0;
  double origin_ = 0;
  std::optional<FloatHistogram> previous_histogram_;
  std::optional<FloatHistogram> origin_histogram_;
};

}  // namespace narthex::scrape
