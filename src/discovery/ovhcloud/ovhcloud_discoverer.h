// ovhcloud_sd_configs: virtual private or dedicated servers of OVHcloud.
#pragma once

#include "discovery/discoverer.h"

namespace narthex {

void RegisterOvhcloudDiscovery(DiscoveryRegistry& registry);

}  // namespace narthex
