// serverset_sd_configs and nerve_sd_configs: what services write of themselves into a ZooKeeper.
#pragma once

#include "discovery/discoverer.h"

namespace narthex {

void RegisterZookeeperDiscovery(DiscoveryRegistry& registry);

}  // namespace narthex
