// Reading the text format back into families, for tools that take pages rather than scrape them: a
// push gateway, a lint check, tests. (The scraper of a server wants speed and has its own parser.)
//
// Semantics and error texts are those of expfmt's TextParser: errors begin with
// `text format parsing error in line N: `; histograms and summaries are put together from their
// samples; duplicate series are kept; families come sorted by name. Threads: a pure function.
#pragma once

#include <string_view>
#include <vector>

#include "narthex/client/metric_family.h"
#include "narthex/client/names.h"
#include "narthex/client/status.h"

namespace narthex::client {

// `validation`: which names of metrics and labels are taken. Time and memory: linear in the text.
Result<std::vector<MetricFamily>> ReadText(std::string_view text,
                                           NameValidation validation = NameValidation::kUtf8);

}  // namespace narthex::client
