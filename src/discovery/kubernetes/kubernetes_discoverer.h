// kubernetes_sd_configs: see README.md of this folder.
#pragma once

#include "discovery/discoverer.h"

namespace narthex {

void RegisterKubernetesDiscovery(DiscoveryRegistry& registry);

}  // namespace narthex
