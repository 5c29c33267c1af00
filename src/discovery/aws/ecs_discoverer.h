// Tasks of Elastic Container Service, with what is known of their services, clusters and hosts.
// Labels: parity/discovery.md, ecs.
#pragma once

#include <memory>
#include <string>

#include "config/sd_mechanisms.h"
#include "discovery/discoverer.h"

namespace narthex {

std::unique_ptr<Discoverer> MakeEcsDiscoverer(const EcsSdConfig& config, std::string set_name,
                                              DiscoveryEnvironment& environment);

}  // namespace narthex
