// lightsail_sd_configs: instances of Lightsail.
#pragma once

#include "config/sd_mechanisms.h"
#include "discovery/discoverer.h"

namespace narthex {

std::unique_ptr<Discoverer> MakeLightsailDiscoverer(const LightsailSdConfig& config,
                                                    std::string set_name,
                                                    DiscoveryEnvironment& environment);

}  // namespace narthex
