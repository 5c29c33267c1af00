// For tests of programs that count things: what does the page say now?
//
//   EXPECT_EQ(SampleValue(registry, "jobs_total", {{"queue", "a"}}), 3);
//   EXPECT_EQ(PageDifference(registry, "# HELP …", {"jobs_total"}), "");
//
// Threads: all.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "narthex/client/registry.h"

namespace narthex::client {

// The value of one sample as the text format shows it: also `x_sum`, `x_count`, `x_bucket` with its
// `le`, `x` with its `quantile`. Labels in any order. Empty: there is no such sample.
std::optional<double> SampleValue(const Gatherable& source, std::string_view name,
                                  Labels labels = {});

// How many series have this name; with an empty name, all.
size_t SeriesCount(const Gatherable& source, std::string_view name = {});

// Compares with a page in the text format; only families with these names, or all. Empty when both
// say the same; otherwise both pages, normalised.
std::string PageDifference(const Gatherable& source, std::string_view expected,
                           const std::vector<std::string>& names = {});

}  // namespace narthex::client
