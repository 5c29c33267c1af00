// ec2_sd_configs: instances of EC2.
#pragma once

#include "config/sd_mechanisms.h"
#include "discovery/discoverer.h"

namespace narthex {

std::unique_ptr<Discoverer> MakeEc2Discoverer(const Ec2SdConfig& config, std::string set_name,
                                              DiscoveryEnvironment& environment);

}  // namespace narthex
