// digitalocean_sd_configs: droplets or database clusters of DigitalOcean.
#pragma once

#include "discovery/discoverer.h"

namespace narthex {

void RegisterDigitaloceanDiscovery(DiscoveryRegistry& registry);

}  // namespace narthex
