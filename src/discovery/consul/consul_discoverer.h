// consul_sd_configs: instances of the services in a Consul catalog.
#pragma once

#include "discovery/discoverer.h"

namespace narthex {

void RegisterConsulDiscovery(DiscoveryRegistry& registry);

}  // namespace narthex
