// Brokers and controllers of Managed Streaming for Apache Kafka. Labels: parity/discovery.md, msk.
#pragma once

#include <memory>
#include <string>

#include "config/sd_mechanisms.h"
#include "discovery/discoverer.h"

namespace narthex {

std::unique_ptr<Discoverer> MakeMskDiscoverer(const MskSdConfig& config, std::string set_name,
                                              DiscoveryEnvironment& environment);

}  // namespace narthex
