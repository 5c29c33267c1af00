// nomad_sd_configs: instances of the services that a Nomad cluster lists.
#pragma once

#include "discovery/discoverer.h"

namespace narthex {

void RegisterNomadDiscovery(DiscoveryRegistry& registry);

}  // namespace narthex
