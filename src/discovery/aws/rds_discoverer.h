// Database instances of RDS clusters. Labels: parity/discovery.md, rds.
#pragma once

#include <memory>
#include <string>

#include "config/sd_mechanisms.h"
#include "discovery/discoverer.h"

namespace narthex {

std::unique_ptr<Discoverer> MakeRdsDiscoverer(const RdsSdConfig& config, std::string set_name,
                                              DiscoveryEnvironment& environment);

}  // namespace narthex
