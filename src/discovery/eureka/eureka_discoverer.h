// eureka_sd_configs: instances registered with Eureka.
#pragma once

#include "discovery/discoverer.h"

namespace narthex {

void RegisterEurekaDiscovery(DiscoveryRegistry& registry);

}  // namespace narthex
