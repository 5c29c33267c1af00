// dockerswarm_sd_configs: services, tasks or nodes of a Docker Swarm.
#pragma once

#include "discovery/discoverer.h"

namespace narthex {

void RegisterDockerSwarmDiscovery(DiscoveryRegistry& registry);

}  // namespace narthex
