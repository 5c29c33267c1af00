// Parts of `query` that have files of their own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/tool_api_client.h"
#include "util/time.h"

namespace narthex::apps {

struct AnalyzeQueryOptions {
  std::string type;  // "histogram" is the only one there is.
  int64_t duration_nanos = 3600 * kNanosPerSecond;
  std::string time;  // Now when empty.
  std::vector<std::string> match;
};
// Prints statistics of the buckets of every histogram that the selectors find.
Status AnalyzeQueries(ApiClient& client, const AnalyzeQueryOptions& options);

}  // namespace narthex::apps
