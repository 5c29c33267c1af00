// /federate: the newest samples of selected series, for another server to scrape
// (parity/api.md section 12).
//
// The newest sample of each series is gathered first, with all labels in one piece of memory, so
// that nothing of the store is held while a slow reader takes the page. The page itself is written
// in parts.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "model/labels.h"
#include "net/http_server.h"
#include "promql/parser/parser.h"
#include "storage/storage.h"
#include "util/time.h"

namespace narthex::apps {

struct FederateOptions {
  int64_t lookback_ms = 0;
  Labels external_labels;
  promql::ParserOptions parser;
  // Told of a failure while selecting, and of the number of warnings.
  std::function<void()> on_error;
  std::function<void(size_t count)> on_warnings;
};

void Federate(const std::shared_ptr<net::HttpExchange>& exchange, storage::Queryable& store,
              const FederateOptions& options, Clock& clock = Clock::System());

}  // namespace narthex::apps
