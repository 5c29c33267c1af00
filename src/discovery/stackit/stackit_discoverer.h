// stackit_sd_configs: servers of STACKIT.
#pragma once

#include "discovery/discoverer.h"

namespace narthex {

void RegisterStackitDiscovery(DiscoveryRegistry& registry);

}  // namespace narthex
