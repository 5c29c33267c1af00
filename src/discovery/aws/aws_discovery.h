// aws_sd_configs with its roles, and the sections that are a role of their own.
#pragma once

#include "discovery/discoverer.h"

namespace narthex {

void RegisterAwsDiscovery(DiscoveryRegistry& registry);

}  // namespace narthex
