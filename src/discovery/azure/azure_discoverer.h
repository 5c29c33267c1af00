// azure_sd_configs: virtual machines of Azure.
#pragma once

#include "discovery/discoverer.h"

namespace narthex {

void RegisterAzureDiscovery(DiscoveryRegistry& registry);

}  // namespace narthex
