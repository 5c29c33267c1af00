// marathon_sd_configs: tasks of the apps on a Marathon.
#pragma once

#include "discovery/discoverer.h"

namespace narthex {

void RegisterMarathonDiscovery(DiscoveryRegistry& registry);

}  // namespace narthex
