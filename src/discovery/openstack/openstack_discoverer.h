// openstack_sd_configs: hypervisors, instances or load balancers of OpenStack.
#pragma once

#include "discovery/discoverer.h"

namespace narthex {

void RegisterOpenstackDiscovery(DiscoveryRegistry& registry);

}  // namespace narthex
