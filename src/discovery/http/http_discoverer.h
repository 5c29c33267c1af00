// http_sd_configs: target groups from a JSON list that a URL serves.
//
// The answer must have status 200 and the content type application/json (UTF-8). Every group
// carries the label __meta_url. On errors the groups of the last good answer stay.
#pragma once

#include <string_view>

#include "discovery/discoverer.h"

namespace narthex {

void RegisterHttpDiscovery(DiscoveryRegistry& registry);

// application/json, with no parameter but an optional charset of utf-8; in any case.
bool IsJsonContentType(std::string_view header);

}  // namespace narthex
