#include "tsdb/head/out_of_order.h"

#include <utility>

#include "tsdb/head/out_of_order_read.h"

namespace narthex::tsdb {

void ReadLateSamples(const std::vector<OutOfOrderSample>& samples, TimeRange range,
                     storage::SampleColumns* out) {
  for (const OutOfOrderSample& sample : samples) {
    if (sample.timestamp_ms < range.start_ms || sample.timestamp_ms > range.end_ms) continue;
    if (sample.histogram != nullptr) {
      auto histogram = std::make_shared<FloatHistogram>(sample.histogram->ToFloat());
      histogram->from_integer = true;
      out->AddHistogram(sample.timestamp_ms, std::move(histogram));
    } else if (sample.float_histogram != nullptr) {
      out->AddHistogram(sample.timestamp_ms, sample.float_histogram);
    } else {
      out->AddFloat(sample.timestamp_ms, sample.value);
    }
    out->SetStartTimestamp(sample.start_ms);
  }
}

}  // namespace narthex::tsdb
