// Adding up what short-lived jobs push one after the other.
#pragma once

#include "push/group.h"
#include "util/status.h"

namespace narthex::push {

// `stored` with `pushed` added: counters, and counts, sums and buckets of histograms and summaries
// grow; gauges and untyped values are replaced; series of either side that the other has not stay.
// kInvalidInput when the types differ, or histograms have other buckets.
Result<FamilyPtr> AddFamilies(const client::MetricFamily& stored,
                              const client::MetricFamily& pushed);

}  // namespace narthex::push
