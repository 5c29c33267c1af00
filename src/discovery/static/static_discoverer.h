// static_configs: targets that stand in the configuration itself.
#pragma once

#include "discovery/discoverer.h"

namespace narthex {

void RegisterStaticDiscovery(DiscoveryRegistry& registry);

}  // namespace narthex
