// oci_sd_configs: instances at Oracle Cloud Infrastructure.
#pragma once

#include "discovery/discoverer.h"

namespace narthex {

void RegisterOciDiscovery(DiscoveryRegistry& registry);

}  // namespace narthex
