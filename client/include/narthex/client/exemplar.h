// Making exemplars: examples that point from a counter or bucket to one event, usually a trace.
#pragma once

#include "narthex/client/metric_family.h"
#include "narthex/client/status.h"

namespace narthex::client {

// Limit of OpenMetrics for names and values of all labels together, in Unicode code points.
inline constexpr int kExemplarRunesMax = 128;

// Fails when a label name is invalid, a value is not UTF-8, or the labels are too long.
Result<ExemplarPtr> MakeExemplar(const Labels& labels, double value, Timestamp timestamp);

}  // namespace narthex::client
