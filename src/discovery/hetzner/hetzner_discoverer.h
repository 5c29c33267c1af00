// hetzner_sd_configs: servers of Hetzner Cloud or Robot.
#pragma once

#include "discovery/discoverer.h"

namespace narthex {

void RegisterHetznerDiscovery(DiscoveryRegistry& registry);

}  // namespace narthex
