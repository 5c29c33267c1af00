// kuma_sd_configs: data planes of a Kuma mesh.
#pragma once

#include "discovery/discoverer.h"

namespace narthex {

void RegisterKumaDiscovery(DiscoveryRegistry& registry);

}  // namespace narthex
