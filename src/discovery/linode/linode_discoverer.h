// linode_sd_configs: instances at Linode.
#pragma once

#include "discovery/discoverer.h"

namespace narthex {

void RegisterLinodeDiscovery(DiscoveryRegistry& registry);

}  // namespace narthex
