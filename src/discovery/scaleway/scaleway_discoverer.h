// scaleway_sd_configs: instances or bare metal servers of Scaleway.
#pragma once

#include "discovery/discoverer.h"

namespace narthex {

void RegisterScalewayDiscovery(DiscoveryRegistry& registry);

}  // namespace narthex
