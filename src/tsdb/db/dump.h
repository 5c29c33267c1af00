// A store as text, one sample a line, as `promtool tsdb dump` prints it:
//
//   {__name__="up", job="node"} 1 1700000000000
#pragma once

#include <functional>
#include <span>
#include <string_view>

#include "model/matcher.h"
#include "storage/storage.h"
#include "util/status.h"
#include "util/time.h"

namespace narthex::tsdb {

// Series in label order, samples in time order. With no matchers everything is printed.
Status DumpSeries(storage::Querier& querier, TimeRange range, std::span<const Matcher> matchers,
                  const std::function<Status(std::string_view line)>& print);

}  // namespace narthex::tsdb
