// outscale_sd_configs: virtual machines at Outscale.
#pragma once

#include "discovery/discoverer.h"

namespace narthex {

void RegisterOutscaleDiscovery(DiscoveryRegistry& registry);

}  // namespace narthex
