// puppetdb_sd_configs: resources that a PuppetDB query gives.
#pragma once

#include "discovery/discoverer.h"

namespace narthex {

void RegisterPuppetdbDiscovery(DiscoveryRegistry& registry);

}  // namespace narthex
