// docker_sd_configs: containers of one Docker daemon.
#pragma once

#include "discovery/discoverer.h"

namespace narthex {

void RegisterDockerDiscovery(DiscoveryRegistry& registry);

}  // namespace narthex
