// Samples out of order as columns.
#pragma once

#include <vector>

#include "storage/storage.h"
#include "tsdb/head/out_of_order.h"
#include "util/time.h"

namespace narthex::tsdb {

void ReadLateSamples(const std::vector<OutOfOrderSample>& samples, TimeRange range,
                     storage::SampleColumns* out);

}  // namespace narthex::tsdb
