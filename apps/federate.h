// /federate: the newest samples of selected series, for another server to scrape
// (parity/api.md section 12).
#pragma once

#include <cstdint>

#include "model/labels.h"
#include "net/http_server.h"
#include "storage/storage.h"

namespace narthex::apps {

void Federate(net::HttpExchange& exchange, storage::Queryable& store, int64_t lookback_ms,
              const Labels& external_labels);

}  // namespace narthex::apps
