#include "scrape/start_synthesis.h"

#include <utility>
#include <vector>

#include "model/float_histogram_ops.h"

namespace narthex::scrape {

bool StartSynthesis::Adjust(double* value, int64_t timestamp_ms) {
  const double seen = *value;
  if (start_ms_ == 0) {
    start_ms_ = timestamp_ms;
    previous_ = origin_ = seen;
    return false;
  }
  if (seen < previous_) {
    // The reset lies somewhere before; the latest possible moment claims the least.
    origin_ = 0;
    start_ms_ = timestamp_ms - 1;
  }
  previous_ = seen;
  *value = seen - origin_;
  return true;
}

Result<bool> StartSynthesis::Adjust(FloatHistogram* histogram, int64_t timestamp_ms) {
  if (start_ms_ == 0) {
    start_ms_ = timestamp_ms;
    previous_histogram_ = origin_histogram_ = *histogram;
    return false;
  }
  const bool reset = DetectReset(*histogram, *previous_histogram_);
  previous_histogram_ = *histogram;
  if (reset) {
    origin_histogram_.reset();
    start_ms_ = timestamp_ms - 1;
    return true;
  }
  if (!origin_histogram_) return true;
  NARTHEX_TRY([[maybe_unused]] const HistogramMerge merge,
              SubHistogram(histogram, *origin_histogram_));
  CompactHistogram(histogram, 0);
  return true;
}

Result<bool> StartSynthesis::Adjust(Histogram* histogram, int64_t timestamp_ms) {
  FloatHistogram floats = histogram->ToFloat();
  NARTHEX_TRY(const bool store, Adjust(&floats, timestamp_ms));
  if (!store || !origin_histogram_) return store;
  const auto to_deltas = [](const std::vector<double>& counts) {
    std::vector<int64_t> deltas;
    int64_t last = 0;
    for (const double count : counts) {
      const auto absolute = static_cast<int64_t>(count);
      deltas.push_back(absolute - last);
      last = absolute;
    }
    return deltas;
  };
  histogram->schema = floats.schema;
  histogram->zero_threshold = floats.zero_threshold;
  histogram->zero_count = static_cast<uint64_t>(floats.zero_count);
  histogram->count = static_cast<uint64_t>(floats.count);
  histogram->sum = floats.sum;
  histogram->positive_buckets = to_deltas(floats.positive_buckets);
  histogram->negative_buckets = to_deltas(floats.negative_buckets);
  histogram->positive_spans = std::move(floats.positive_spans);
  histogram->negative_spans = std::move(floats.negative_spans);
  histogram->custom_values = std::move(floats.custom_values);
  return true;
}

}  // namespace narthex::scrape
