// uyuni_sd_configs: exporters on the systems that Uyuni manages.
#pragma once

#include "discovery/discoverer.h"

namespace narthex {

void RegisterUyuniDiscovery(DiscoveryRegistry& registry);

}  // namespace narthex
