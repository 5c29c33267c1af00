// ionos_sd_configs: servers of a data center of IONOS Cloud.
#pragma once

#include "discovery/discoverer.h"

namespace narthex {

void RegisterIonosDiscovery(DiscoveryRegistry& registry);

}  // namespace narthex
