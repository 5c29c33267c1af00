// Query results as the API's JSON (parity/api.md section 2).
#pragma once

#include "model/histogram.h"
#include "promql/engine/query_result.h"
#include "util/status.h"
#include "web/json_writer.h"
#include "web/response_writer.h"

namespace narthex::web {

// {"count":"…","sum":"…","buckets":[[boundaries,"lower","upper","count"],…]}
void WriteHistogram(JsonWriter& json, const FloatHistogram& histogram);

// {"resultType":…,"result":…[,"stats":…]}, flushed as it grows. A limit of 0 is none.
enum class StatsLevel { kNone, kBasic, kPerStep };
Status WriteQueryResult(const promql::QueryResult& result, size_t limit, StatsLevel stats,
                        ResponseWriter& writer, bool* truncated);

}  // namespace narthex::web
