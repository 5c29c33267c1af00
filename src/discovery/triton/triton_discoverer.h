// triton_sd_configs: containers or compute nodes of Triton.
#pragma once

#include "discovery/discoverer.h"

namespace narthex {

void RegisterTritonDiscovery(DiscoveryRegistry& registry);

}  // namespace narthex
