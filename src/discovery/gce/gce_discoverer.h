// gce_sd_configs: instances of Google Compute Engine.
#pragma once

#include "discovery/discoverer.h"

namespace narthex {

void RegisterGceDiscovery(DiscoveryRegistry& registry);

}  // namespace narthex
