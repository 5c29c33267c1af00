// vultr_sd_configs: instances at Vultr.
#pragma once

#include "discovery/discoverer.h"

namespace narthex {

void RegisterVultrDiscovery(DiscoveryRegistry& registry);

}  // namespace narthex
